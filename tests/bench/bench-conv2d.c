/*
 * bench-conv2d.c - 3 x 3 convolutions of Stable Diffusion at 512 x 512 pixels,
 * against oneDNN in the layouts that it likes best: direct, and Winograd where
 * it has one for the processor.  A rate counts the products of a direct
 * convolution, so Winograd may pass the peak.
 *
 *     bench-conv2d [rounds]
 */
#include "tests/bench/peers.h"

struct problem {
    size_t batch, side, in, out;
    float *x, *w, *bias, *y;
    struct bs_dev *dev;
    struct bs_conv *f32, *bf16;
    struct peer direct, winograd;
    bool has_winograd;
};

static void
run_ours(struct problem *p, const struct bs_conv *w)
{
    size_t pixels = p->batch * p->side * p->side;
    struct bs_mem bias = mem_of(p->bias, p->out);
    struct bs_conv2d a = {
        .w = w,
        .x = mem_of(p->x, pixels * p->in),
        .y = mem_of(p->y, pixels * p->out),
        .ldx = p->in,
        .ldy = p->out,
        .batch = p->batch,
        .height = p->side,
        .width = p->side,
        .bias = &bias,
    };

    must(bs_dev_conv2d(p->dev, &a) == 0, "bs conv2d");
}

static void
run_f32(void *arg)
{
    struct problem *p = arg;

    run_ours(p, p->f32);
}

static void
run_bf16(void *arg)
{
    struct problem *p = arg;

    run_ours(p, p->bf16);
}

static void
run_direct(void *arg)
{
    peer_run(&((struct problem *)arg)->direct);
}

static void
run_winograd(void *arg)
{
    peer_run(&((struct problem *)arg)->winograd);
}

/* oneDNN with all of its memory in the layouts that it chooses. */
static bool
peer_conv_init(struct peer *p, const struct problem *q, dnnl_alg_kind_t kind)
{
    dnnl_dim_t n = (dnnl_dim_t)q->batch, s = (dnnl_dim_t)q->side;
    dnnl_dims_t src = {n, (dnnl_dim_t)q->in, s, s};
    dnnl_dims_t dst = {n, (dnnl_dim_t)q->out, s, s};
    dnnl_dims_t weights = {(dnnl_dim_t)q->out, (dnnl_dim_t)q->in, 3, 3};
    dnnl_dims_t one = {1, 1}, bias = {(dnnl_dim_t)q->out};
    static const dnnl_query_t query[] = {
        dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md};
    static const int slot[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST};
    dnnl_memory_desc_t md[3], bias_md;
    dnnl_convolution_desc_t desc;
    dnnl_primitive_desc_t pd;
    int i;

    must(
        dnnl_memory_desc_init_by_tag(&md[0], 4, src, dnnl_f32,
                                     dnnl_format_tag_any) == dnnl_success &&
            dnnl_memory_desc_init_by_tag(&md[1], 4, weights, dnnl_f32,
                                         dnnl_format_tag_any) == dnnl_success &&
            dnnl_memory_desc_init_by_tag(&md[2], 4, dst, dnnl_f32,
                                         dnnl_format_tag_any) == dnnl_success &&
            dnnl_memory_desc_init_by_tag(&bias_md, 1, bias, dnnl_f32, dnnl_a) ==
                dnnl_success &&
            dnnl_engine_create(&p->engine, dnnl_cpu, 0) == dnnl_success &&
            dnnl_stream_create(&p->stream, p->engine,
                               dnnl_stream_default_flags) == dnnl_success &&
            dnnl_convolution_forward_desc_init(
                &desc, dnnl_forward_inference, kind, &md[0], &md[1], NULL,
                &md[2], one, one, one) == dnnl_success,
        "oneDNN convolution");
    if (dnnl_primitive_desc_create(&pd, &desc, NULL, p->engine, NULL) !=
        dnnl_success)
        return false;
    must(dnnl_primitive_create(&p->primitive, pd) == dnnl_success,
         "oneDNN convolution");
    p->nargs = 3;
    for (i = 0; i < 3; i++) {
        const dnnl_memory_desc_t *best =
            dnnl_primitive_desc_query_md(pd, query[i], 0);

        p->args[i] = (dnnl_exec_arg_t){
            slot[i], peer_memory(p->engine, best, DNNL_MEMORY_ALLOCATE)};
    }
    dnnl_primitive_desc_destroy(pd);
    return true;
}

static void
problem_init(struct problem *p)
{
    const struct bs_conv_shape shape = {p->in, p->out, 3, 1, 1};
    size_t pixels = p->batch * p->side * p->side;

    p->x = floats(pixels * p->in);
    p->w = floats(p->out * p->in * 9);
    p->bias = floats(p->out);
    p->y = floats(pixels * p->out);
    must(bs_dev_conv(p->dev, &p->f32, p->w, BS_DTYPE_F32, &shape,
                     BS_MATH_F32) == 0 &&
             bs_dev_conv(p->dev, &p->bf16, p->w, BS_DTYPE_F32, &shape,
                         BS_MATH_BF16) == 0,
         "bs weights");
    must(peer_conv_init(&p->direct, p, dnnl_convolution_direct),
         "oneDNN direct convolution");
    p->has_winograd =
        peer_conv_init(&p->winograd, p, dnnl_convolution_winograd);
}

static void
problem_release(struct problem *p)
{
    bs_dev_conv_free(p->dev, p->f32);
    bs_dev_conv_free(p->dev, p->bf16);
    peer_release(&p->direct);
    if (p->has_winograd)
        peer_release(&p->winograd);
    bs_free(p->x);
    bs_free(p->w);
    bs_free(p->bias);
    bs_free(p->y);
}

static void
measure(struct problem *p, int rounds, double peak)
{
    static void (*const run[])(void *) = {run_f32, run_bf16, run_direct,
                                          run_winograd};
    double best[] = {INFINITY, INFINITY, INFINITY, INFINITY}, peer;
    double flops = 18e-9 * (double)(p->batch * p->side * p->side) *
                   (double)(p->in * p->out);
    size_t n, c;
    int r;

    problem_init(p);
    n = p->has_winograd ? 4 : 3;
    for (r = 0; r < rounds; r++)
        for (c = 0; c < n; c++)
            best[c] = fmin(best[c], turn(run[c], p, 3));
    printf("%4zu %5zu %6zu %6zu", p->batch, p->side, p->in, p->out);
    for (c = 0; c < BS_LEN(run); c++)
        printf(" %10.1f", flops / best[c]);
    peer = fmin(best[2], best[3]);
    printf("  %6.3f", peer / best[0]);
    if (peak > 0)
        printf("  %6.3f", flops / best[0] / peak);
    putchar('\n');
    fflush(stdout);
    problem_release(p);
}

static void
table(unsigned threads, int rounds)
{
    static const size_t shapes[][4] = {
        {2, 64, 320, 320},   {2, 64, 960, 320},  {2, 32, 640, 640},
        {2, 16, 1280, 1280}, {2, 8, 1280, 1280}, {2, 8, 2560, 1280},
        {1, 8, 1280, 1280},  {1, 256, 256, 256}, {1, 512, 128, 128},
        {2, 64, 320, 4},
    };
    double peak = peak_gflops(threads);
    struct bs_err e = {0};
    struct bs_dev *d;
    size_t i;

    must(bs_dev_open(&d, "cpu", threads, &e) == 0, e.text);
    peers_init(threads);
    printf("# GF/s of a direct convolution; %s; oneDNN %d.%d; f32 peak %.1f\n",
           bs_dev_describe(d), DNNL_VERSION_MAJOR, DNNL_VERSION_MINOR, peak);
    printf("# im  side     in    out     bs f32    bs bf16 dnn direct   "
           "dnn wino   /peer   /peak\n");
    for (i = 0; i < BS_LEN(shapes); i++) {
        struct problem p = {.batch = shapes[i][0],
                            .side = shapes[i][1],
                            .in = shapes[i][2],
                            .out = shapes[i][3],
                            .dev = d};

        measure(&p, rounds, peak);
    }
    bs_dev_close(d);
}

int
main(int argc, char *argv[])
{
    int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 5;
    unsigned all = bs_pool_processors();

    table(1, rounds);
    if (all > 1)
        table(all, rounds);
    return 0;
}
