/*
 * bench-gpu.c - operations at the sizes they are used at, on the CUDA device:
 * milliseconds, and the share of what its multiprocessors could compute, or of
 * a copy in its memory.  Part of make check-gpu.
 *
 *     bench-gpu             all of it
 *     bench-gpu --probe     say which GPU there is, or why none
 *     bench-gpu --small     tiny sizes, for the emulation
 */
#include "tests/bench/bench.h"

#include "kernels/cuda.h"
#include "kernels/sae_ops.h"

#define ROUNDS 5
#define LEAST_SECONDS 0.2 /* of a round */

/* Attributes of a device. */
enum { CLOCK_KHZ = 13, PROCESSORS = 16, MAJOR = 75, MINOR = 76 };

struct gpu {
    struct bs_dev *d;
    double f32, bf16; /* flops a second at its clock; 0: not known */
    bool small;
};

/* Multiply-adds a clock of a multiprocessor, from NVIDIA's tables of compute
 * capabilities: f32 units, and dense bf16 products with sums in f32. */
static const struct {
    int major, minor;
    double f32, bf16;
} known[] = {
    {8, 0, 64, 1024},
    {8, 6, 128, 256},
    {8, 9, 128, 256},
    {9, 0, 128, 2048},
};

static int
attribute(const struct gpu *g, int which)
{
    struct bs_cuda *c = (struct bs_cuda *)g->d;
    int value = 0;

    must(c->cu.cuDeviceGetAttribute(&value, which, c->device) == 0,
         "attribute");
    return value;
}

static void
find_peaks(struct gpu *g)
{
    int major = attribute(g, MAJOR), minor = attribute(g, MINOR);
    double clocks =
        1e3 * attribute(g, CLOCK_KHZ) * (double)attribute(g, PROCESSORS);
    size_t i;

    for (i = 0; i < BS_LEN(known); i++)
        if (known[i].major == major && known[i].minor == minor) {
            g->f32 = 2 * clocks * known[i].f32;
            g->bf16 = 2 * clocks * known[i].bf16;
        }
}

/* ---- memory, time ----------------------------------------------------------
 */

static struct bs_mem
on_device(const struct gpu *g, size_t n)
{
    struct bs_mem m;
    float *host = floats(n);

    if (bs_dev_alloc(g->d, &m, n * sizeof *host) < 0 ||
        bs_dev_put(g->d, &m, 0, host, n * sizeof *host) < 0) {
        fprintf(stderr, "bench-gpu: %s\n", bs_dev_error(g->d)->text);
        exit(1);
    }
    bs_free(host);
    return m;
}

static void
done(const struct gpu *g, int r)
{
    if (r == 0)
        return;
    fprintf(stderr, "bench-gpu: %s\n", bs_dev_error(g->d)->text);
    exit(1);
}

/* Seconds of one call, the best of some rounds. */
static double
time_of(const struct gpu *g, void (*run)(void *), void *arg)
{
    double best = INFINITY;
    int round;

    run(arg); /* loads the kernel */
    done(g, bs_dev_sync(g->d));
    for (round = 0; round < (g->small ? 1 : ROUNDS); round++) {
        double start = seconds(), now;
        size_t calls = 0;

        do {
            run(arg);
            done(g, bs_dev_sync(g->d));
            calls++;
            now = seconds();
        } while (!g->small && now - start < LEAST_SECONDS);
        best = fmin(best, (now - start) / (double)calls);
    }
    return best;
}

/* A line: operations of `flops`, and `things` of what they do. */
static void
report(const char *what, double s, double flops, double peak, double things,
       const char *thing)
{
    printf("%-44s %9.3f ms", what, 1e3 * s);
    if (flops > 0)
        printf(" %8.2f TF/s", 1e-12 * flops / s);
    else
        printf(" %13s", "");
    if (flops > 0 && peak > 0)
        printf(" %5.1f %%", 100 * flops / s / peak);
    else
        printf(" %7s", "");
    if (thing != NULL)
        printf(" %12.0f %s/s", things / s, thing);
    putchar('\n');
    fflush(stdout);
}

/* ---- products, attention ---------------------------------------------------
 */

struct product {
    const struct gpu *g;
    size_t m, n, k;
    struct bs_weight *w;
    struct bs_mem x, y;
};

static void
run_product(void *arg)
{
    struct product *p = arg;

    done(p->g, bs_dev_gemm(p->g->d, p->w, &p->x, p->k, &p->y, p->n, p->m, NULL,
                           BS_EPI_NONE, NULL));
}

static void
bench_product(const struct gpu *g, size_t m, size_t n, size_t k)
{
    static const enum bs_math maths[] = {BS_MATH_F32, BS_MATH_BF16};
    struct product p = {.g = g, .m = m, .n = n, .k = k};
    float *w = floats(n * k);
    size_t i;

    p.x = on_device(g, m * k);
    p.y = on_device(g, m * n);
    for (i = 0; i < BS_LEN(maths); i++) {
        bool half = maths[i] == BS_MATH_BF16;
        char what[80];

        done(g, bs_dev_weight(g->d, &p.w, w, BS_DTYPE_F32, n, k, maths[i]));
        snprintf(what, sizeof what, "gemm %s %zu x %zu x %zu",
                 half ? "bf16" : "f32", m, n, k);
        report(what, time_of(g, run_product, &p),
               2 * (double)m * (double)n * (double)k, half ? g->bf16 : g->f32,
               0, NULL);
        bs_dev_weight_free(g->d, p.w);
    }
    bs_dev_free(g->d, &p.x);
    bs_dev_free(g->d, &p.y);
    bs_free(w);
}

struct attention {
    const struct gpu *g;
    struct bs_attention a;
};

static void
run_attention(void *arg)
{
    struct attention *a = arg;

    done(a->g, bs_dev_attention(a->g->d, &a->a));
}

static void
bench_attention(const struct gpu *g, size_t batch, size_t tokens, size_t heads,
                size_t dim)
{
    size_t width = heads * dim, n = batch * tokens * width;
    struct attention a = {g,
                          {.ldq = width,
                           .ldk = width,
                           .ldv = width,
                           .ldo = width,
                           .batch = batch,
                           .queries = tokens,
                           .keys = tokens,
                           .heads = heads,
                           .dim = dim}};
    char what[80];

    a.a.q = a.a.k = a.a.v = on_device(g, n);
    a.a.out = on_device(g, n);
    snprintf(what, sizeof what, "attention %zu x %zu, %zu heads of %zu", batch,
             tokens, heads, dim);
    report(what, time_of(g, run_attention, &a), 4 * (double)n * (double)tokens,
           g->f32, (double)batch, "image");
    bs_dev_free(g->d, &a.a.q);
    bs_dev_free(g->d, &a.a.out);
}

/* ---- a transformer ---------------------------------------------------------
 */

/* The layers of ViT-B/14 at 224 pixels with four registers, in order; the same
 * weights in each, as only their time counts. */
struct layers {
    const struct gpu *g;
    size_t images, tokens, width, heads, layers;
    struct bs_weight *qkv, *project, *up, *down;
    struct bs_mem x, norm, wide, gain;
};

static int
run_layer(struct layers *l)
{
    struct bs_dev *d = l->g->d;
    size_t m = l->images * l->tokens, k = l->width;
    struct bs_attention a = {.q = l->wide,
                             .k = bs_mem_from(&l->wide, k * sizeof(float)),
                             .v = bs_mem_from(&l->wide, 2 * k * sizeof(float)),
                             .out = l->norm,
                             .ldq = 3 * k,
                             .ldk = 3 * k,
                             .ldv = 3 * k,
                             .ldo = k,
                             .batch = l->images,
                             .queries = l->tokens,
                             .keys = l->tokens,
                             .heads = l->heads,
                             .dim = k / l->heads};
    const struct bs_mem *gain = &l->gain;
    int r = bs_dev_layer_norm(d, &l->x, &l->norm, m, k, gain, gain, 1e-6f);

    if (r == 0)
        r = bs_dev_gemm(d, l->qkv, &l->norm, k, &l->wide, 3 * k, m, NULL,
                        BS_EPI_NONE, NULL);
    if (r == 0)
        r = bs_dev_attention(d, &a);
    if (r == 0)
        r = bs_dev_gemm(d, l->project, &l->norm, k, &l->x, k, m, gain,
                        BS_EPI_RESIDUAL, gain);
    if (r == 0)
        r = bs_dev_layer_norm(d, &l->x, &l->norm, m, k, gain, gain, 1e-6f);
    if (r == 0)
        r = bs_dev_gemm(d, l->up, &l->norm, k, &l->wide, 4 * k, m, NULL,
                        BS_EPI_GELU, NULL);
    return r < 0 ? r
                 : bs_dev_gemm(d, l->down, &l->wide, 4 * k, &l->x, k, m, gain,
                               BS_EPI_RESIDUAL, gain);
}

static void
run_layers(void *arg)
{
    struct layers *l = arg;
    size_t i;

    for (i = 0; i < l->layers; i++)
        done(l->g, run_layer(l));
}

static void
bench_layers(const struct gpu *g, enum bs_math math)
{
    struct layers l = {.g = g,
                       .images = g->small ? 1 : 64,
                       .tokens = g->small ? 9 : 261,
                       .width = g->small ? 64 : 768,
                       .heads = g->small ? 1 : 12,
                       .layers = 12};
    size_t k = l.width, m = l.images * l.tokens;
    float *w = floats(4 * k * k);
    double flops =
        (double)l.layers * (double)m *
        (24 * (double)k * (double)k + 4 * (double)l.tokens * (double)k);
    char what[80];

    done(g, bs_dev_weight(g->d, &l.qkv, w, BS_DTYPE_F32, 3 * k, k, math));
    done(g, bs_dev_weight(g->d, &l.project, w, BS_DTYPE_F32, k, k, math));
    done(g, bs_dev_weight(g->d, &l.up, w, BS_DTYPE_F32, 4 * k, k, math));
    done(g, bs_dev_weight(g->d, &l.down, w, BS_DTYPE_F32, k, 4 * k, math));
    l.x = on_device(g, m * k);
    l.norm = on_device(g, m * k);
    l.wide = on_device(g, m * 4 * k);
    l.gain = on_device(g, k);
    snprintf(what, sizeof what, "12 layers of ViT-B/14 %s, %zu images",
             math == BS_MATH_BF16 ? "bf16" : "f32", l.images);
    report(what, time_of(g, run_layers, &l), flops,
           math == BS_MATH_BF16 ? g->bf16 : g->f32, (double)l.images, "image");
    bs_dev_weight_free(g->d, l.qkv);
    bs_dev_weight_free(g->d, l.project);
    bs_dev_weight_free(g->d, l.up);
    bs_dev_weight_free(g->d, l.down);
    bs_dev_free(g->d, &l.x);
    bs_dev_free(g->d, &l.norm);
    bs_dev_free(g->d, &l.wide);
    bs_dev_free(g->d, &l.gain);
    bs_free(w);
}

/* ---- codes -----------------------------------------------------------------
 */

struct codes {
    const struct gpu *g;
    size_t m, n, k, top;
    struct bs_encoder *enc;
    struct bs_mem x, idx, val, y, dict;
    struct bs_code_rows rows;
};

static void
run_encode(void *arg)
{
    struct codes *c = arg;

    done(c->g, bs_dev_encode_topk(c->g->d, c->enc, &c->x, c->k, c->m, c->top,
                                  &c->idx, &c->val));
}

static void
run_decode(void *arg)
{
    struct codes *c = arg;

    done(c->g,
         bs_dev_decode(c->g->d, &c->rows, &c->dict, c->n, c->k, NULL, &c->y));
}

static void
bench_codes(const struct gpu *g, enum bs_screen screen)
{
    struct codes c = {.g = g,
                      .m = g->small ? 5 : 16384,
                      .n = g->small ? 300 : 32000,
                      .k = g->small ? 48 : 768,
                      .top = 5};
    float *w = floats(c.n * c.k), *val = floats(c.m * c.top);
    uint32_t *idx = bs_alloc_array(c.m * c.top, sizeof *idx);
    double products = (double)c.m * (double)c.n * (double)c.k;
    bool exact = screen == BS_SCREEN_NONE;
    char what[80];

    must(idx != NULL, "allocation");
    c.x = on_device(g, c.m * c.k);
    c.y = on_device(g, c.m * c.k);
    c.idx = on_device(g, c.m * c.top);
    c.val = on_device(g, c.m * c.top);
    c.dict = on_device(g, c.n * c.k);
    done(g, bs_dev_encoder(g->d, &c.enc, w, NULL, c.n, c.k, screen));
    snprintf(what, sizeof what, "top %zu of %zu, %s", c.top, c.n,
             exact ? "screened in f32" : "screened in bf16");
    report(what, time_of(g, run_encode, &c), 2 * products,
           exact ? g->f32 : g->bf16, (double)c.m, "token");
    done(g, bs_dev_get(g->d, idx, &c.idx, 0, c.m * c.top * sizeof *idx));
    done(g, bs_dev_get(g->d, val, &c.val, 0, c.m * c.top * sizeof *val));
    c.rows = (struct bs_code_rows){c.m, c.top, NULL, idx, val};
    if (!exact)
        report("decode them", time_of(g, run_decode, &c), 0, 0, (double)c.m,
               "token");
    bs_dev_encoder_free(g->d, c.enc);
    bs_dev_free(g->d, &c.x);
    bs_dev_free(g->d, &c.y);
    bs_dev_free(g->d, &c.idx);
    bs_dev_free(g->d, &c.val);
    bs_dev_free(g->d, &c.dict);
    bs_free(idx);
    bs_free(val);
    bs_free(w);
}

/* ---- images ----------------------------------------------------------------
 */

struct image {
    const struct gpu *g;
    struct bs_conv2d conv;
    struct bs_group_norm norm;
    struct bs_mem gain;
};

static void
run_conv(void *arg)
{
    struct image *i = arg;

    done(i->g, bs_dev_conv2d(i->g->d, &i->conv));
}

static void
run_norm(void *arg)
{
    struct image *i = arg;

    done(i->g, bs_dev_group_norm(i->g->d, &i->norm));
}

static void
bench_image(const struct gpu *g, size_t side, size_t channels,
            enum bs_math math)
{
    const struct bs_conv_shape shape = {channels, channels, 3, 1, 1};
    size_t n = 2 * side * side * channels;
    float *w = floats(9 * channels * channels);
    struct image i = {.g = g, .gain = on_device(g, channels)};
    struct bs_conv *conv;
    char what[80];

    done(g, bs_dev_conv(g->d, &conv, w, BS_DTYPE_F32, &shape, math));
    i.conv = (struct bs_conv2d){.w = conv,
                                .x = on_device(g, n),
                                .y = on_device(g, n),
                                .ldx = channels,
                                .ldy = channels,
                                .batch = 2,
                                .height = side,
                                .width = side};
    snprintf(what, sizeof what, "3 x 3 %s, 2 x %zu x %zu, %zu channels",
             math == BS_MATH_BF16 ? "bf16" : "f32", side, side, channels);
    report(what, time_of(g, run_conv, &i), 18 * (double)n * (double)channels,
           math == BS_MATH_BF16 ? g->bf16 : g->f32, 0, NULL);
    i.norm = (struct bs_group_norm){.x = i.conv.x,
                                    .y = i.conv.y,
                                    .ldx = channels,
                                    .ldy = channels,
                                    .batch = 2,
                                    .pixels = side * side,
                                    .channels = channels,
                                    .groups = 32,
                                    .gamma = i.gain,
                                    .beta = i.gain,
                                    .eps = 1e-5f,
                                    .silu = true};
    if (math == BS_MATH_F32)
        report("group norm and SiLU of it", time_of(g, run_norm, &i), 0, 0, 0,
               NULL);
    bs_dev_conv_free(g->d, conv);
    bs_dev_free(g->d, &i.conv.x);
    bs_dev_free(g->d, &i.conv.y);
    bs_dev_free(g->d, &i.gain);
    bs_free(w);
}

int
main(int argc, char **argv)
{
    bool probe = argc > 1 && strcmp(argv[1], "--probe") == 0;
    struct gpu g = {.small = argc > 1 && strcmp(argv[1], "--small") == 0};
    size_t scale = g.small ? 64 : 1;
    struct bs_err e = {0};

    if (bs_dev_open(&g.d, "cuda", 1, &e) < 0) {
        fprintf(stderr, "bench-gpu: %s\n", e.text);
        return e.code;
    }
    puts(bs_dev_describe(g.d));
    if (!probe) {
        find_peaks(&g);
        if (g.f32 > 0)
            printf("by its clock: %.1f TF/s in f32, %.1f in bf16\n",
                   1e-12 * g.f32, 1e-12 * g.bf16);
        bench_product(&g, 16704 / scale, 2304 / scale, 768 / scale);
        bench_product(&g, 16704 / scale, 3072 / scale, 768 / scale);
        bench_product(&g, 16704 / scale, 768 / scale, 3072 / scale);
        bench_attention(&g, 64 / scale, g.small ? 20 : 261, 12, 64);
        bench_layers(&g, BS_MATH_F32);
        bench_layers(&g, BS_MATH_BF16);
        bench_codes(&g, BS_SCREEN_AUTO);
        bench_codes(&g, BS_SCREEN_NONE);
        bench_image(&g, 64 / scale, g.small ? 32 : 320, BS_MATH_F32);
        bench_image(&g, 64 / scale, g.small ? 32 : 320, BS_MATH_BF16);
        bench_image(&g, g.small ? 4 : 256, g.small ? 32 : 256, BS_MATH_BF16);
    }
    bs_dev_close(g.d);
    return 0;
}
