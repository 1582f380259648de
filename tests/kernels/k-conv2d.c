/*
 * k-conv2d.c - convolution on every instruction set against sums in double:
 * kernels, strides, edges, enlarged images, channels around the vectors,
 * residuals, weight types, special values, and results that depend neither on
 * threads nor on the batch.
 */
#include "tests/kernels/compare.h"

struct shape {
    size_t batch, height, width;
    struct bs_conv_shape conv;
    size_t up_height, up_width;
};

struct setup {
    enum bs_dtype type;
    enum bs_math math;
    bool bias, residual, in_place;
};

/* Operands of a call; pixels have a gap behind them. */
struct call {
    struct shape s;
    size_t height, width; /* enlarged */
    size_t out_height, out_width;
    size_t ldx, ldy, ldr;
    struct floats x, y, before, w, bias, residual;
    uint16_t *half; /* the weights as they are handed over, if 16 bits wide */
};

static void
call_init(struct call *c, const struct shape *s, const struct setup *u)
{
    size_t taps = s->conv.side * s->conv.side, n, i, j;

    c->s = *s;
    c->height = s->up_height > 0 ? s->up_height : s->height;
    c->width = s->up_width > 0 ? s->up_width : s->width;
    c->out_height = bs_conv_length(&s->conv, c->height);
    c->out_width = bs_conv_length(&s->conv, c->width);
    c->ldx = s->conv.in + 3;
    c->ldy = s->conv.out + 2;
    c->ldr = u->in_place ? c->ldy : s->conv.out + 1;
    n = s->batch * c->out_height * c->out_width;
    c->x = floats_of(s->batch * s->height * s->width * c->ldx, 1, 1);
    c->y = floats_of(n * c->ldy, 2, 2);
    c->before = floats_of(n * c->ldy, 2, 2);
    c->w = floats_of(s->conv.out * s->conv.in * taps, 1, 3);
    c->bias = floats_of(s->conv.out, 3, 4);
    c->residual = floats_of(n * c->ldr, 2, u->in_place ? 2 : 5);
    c->half = NULL;
    for (i = 0; i < s->batch * s->height * s->width; i++)
        for (j = s->conv.in; j < c->ldx; j++)
            c->x.at[i * c->ldx + j] = NAN; /* never to be read */
    if (u->type == BS_DTYPE_F32)
        return;
    c->half = need(bs_alloc(c->w.n * sizeof *c->half));
    bs_from_f32(c->half, u->type, c->w.at, c->w.n);
    bs_to_f32(c->w.at, u->type, c->half, c->w.n);
}

static int
call_release(struct call *c)
{
    bs_free(c->half);
    return floats_free(&c->x) & floats_free(&c->y) & floats_free(&c->before) &
           floats_free(&c->w) & floats_free(&c->bias) &
           floats_free(&c->residual);
}

static struct bs_conv *
weights_of(const struct call *c, struct bs_dev *d, const struct setup *u)
{
    const void *w = c->half != NULL ? (const void *)c->half : c->w.at;
    struct bs_conv *conv;

    if (bs_dev_conv(d, &conv, w, u->type, &c->s.conv, u->math) < 0) {
        ok(0, "weights: %s", bs_dev_error(d)->text);
        exit(1);
    }
    return conv;
}

/* Images first..first+count-1 as a call of their own. */
static int
run_images(const struct call *c, struct bs_dev *d, const struct bs_conv *w,
           const struct setup *u, size_t first, size_t count)
{
    size_t in = first * c->s.height * c->s.width * sizeof(float);
    size_t out = first * c->out_height * c->out_width * sizeof(float);
    const struct bs_mem *r = u->in_place ? &c->y.mem : &c->residual.mem;
    struct bs_mem residual = bs_mem_from(r, out * c->ldr);
    struct bs_conv2d a = {
        .w = w,
        .x = bs_mem_from(&c->x.mem, in * c->ldx),
        .y = bs_mem_from(&c->y.mem, out * c->ldy),
        .ldx = c->ldx,
        .ldy = c->ldy,
        .batch = count,
        .height = c->s.height,
        .width = c->s.width,
        .up_height = c->s.up_height,
        .up_width = c->s.up_width,
        .bias = u->bias ? &c->bias.mem : NULL,
        .residual = u->residual ? &residual : NULL,
        .ldr = c->ldr,
    };

    return bs_dev_conv2d(d, &a);
}

static int
call_run(const struct call *c, struct bs_dev *d, const struct setup *u)
{
    struct bs_conv *w = weights_of(c, d, u);
    int r = run_images(c, d, w, u, 0, c->s.batch);

    bs_dev_conv_free(d, w);
    return r;
}

/* One result without bias; *sum is that of the absolute products. */
static double
window(const struct call *c, size_t image, size_t row, size_t col, size_t out,
       double *sum)
{
    const struct bs_conv_shape *v = &c->s.conv;
    size_t i, j, k;
    double a = 0;

    *sum = 0;
    for (i = 0; i < v->side; i++)
        for (j = 0; j < v->side; j++) {
            size_t y = row * v->stride + i, x = col * v->stride + j;
            const float *at, *w;

            if (y < v->pad || y - v->pad >= c->height || x < v->pad ||
                x - v->pad >= c->width)
                continue;
            y = (y - v->pad) * c->s.height / c->height;
            x = (x - v->pad) * c->s.width / c->width;
            at =
                c->x.at + ((image * c->s.height + y) * c->s.width + x) * c->ldx;
            w = c->w.at + out * v->in * v->side * v->side + i * v->side + j;
            for (k = 0; k < v->in; k++) {
                double p = (double)at[k] * (double)w[k * v->side * v->side];

                a += p;
                *sum += fabs(p);
            }
        }
    return a;
}

static bool
transformed(const struct shape *s)
{
    return s->conv.side == 3 && s->conv.stride == 1;
}

/* S of image_ops.h within 5 pixels is at least that of the result itself, which
 * will do, as the numbers are alike everywhere. */
static int
result_good(const struct call *c, const struct setup *u, size_t pixel,
            size_t out)
{
    size_t image = pixel / c->out_width / c->out_height;
    size_t row = pixel / c->out_width % c->out_height;
    size_t col = pixel % c->out_width;
    double sum, want = window(c, image, row, col, out, &sum), tolerance;
    double got = (double)c->y.at[pixel * c->ldy + out];

    tolerance = (u->math == BS_MATH_F32 ? 1e-6 : 8e-3) * sum;
    if (transformed(&c->s))
        tolerance += 4e-6 * sum;
    if (u->bias)
        want += (double)c->bias.at[out];
    if (u->residual)
        want += (double)c->residual.at[pixel * c->ldr + out];
    tolerance += 1e-6 * fabs(want);
    if (near(got, want, tolerance))
        return 1;
    printf("# %zu x %zu x %zu, %zu to %zu channels, side %zu, stride %zu: "
           "image %zu [%zu][%zu] %zu is %.9g, wanted %.9g +- %.3g\n",
           c->s.batch, c->s.height, c->s.width, c->s.conv.in, c->s.conv.out,
           c->s.conv.side, c->s.conv.stride, image, row, col, out, got, want,
           tolerance);
    return 0;
}

/* Large results are looked at in part: first, last, and every so many. */
static int
call_good(const struct call *c, const struct setup *u)
{
    size_t pixels = c->s.batch * c->out_height * c->out_width;
    size_t out = c->s.conv.out, cells = pixels * out, at, i, j;
    size_t work = c->s.conv.in * c->s.conv.side * c->s.conv.side;
    size_t step = cells * work / 1000000 + 1;

    for (at = 0; at < cells;
         at = at + step < cells || at == cells - 1 ? at + step : cells - 1)
        if (!result_good(c, u, at / out, at % out))
            return 0;
    for (i = 0; i < pixels; i++)
        for (j = out; j < c->ldy; j++)
            if (c->y.at[i * c->ldy + j] != c->before.at[i * c->ldy + j]) {
                printf("# a gap of y was written at pixel %zu\n", i);
                return 0;
            }
    return 1;
}

static int
case_good(struct bs_dev *d, const struct shape *s, const struct setup *u)
{
    struct call c;
    int good;

    call_init(&c, s, u);
    good = call_run(&c, d, u) == 0 && call_good(&c, u);
    return call_release(&c) && good;
}

static void
test_shapes(const struct bs_isa *isa, struct bs_dev *d, enum bs_math math)
{
    static const struct bs_conv_shape kernels[] = {
        {0, 0, 3, 1, 1}, {0, 0, 3, 2, 1}, {0, 0, 1, 1, 0}, {0, 0, 2, 1, 0},
        {0, 0, 4, 4, 0}, {0, 0, 5, 2, 2}, {0, 0, 1, 2, 0}, {0, 0, 3, 1, 0},
    };
    static const size_t sides[] = {1, 2, 4, 5, 9};
    static const size_t channels[] = {1, 15, 16, 17, 33};
    const struct setup u = {BS_DTYPE_F32, math, true, false, false};
    const char *name = math == BS_MATH_F32 ? "f32" : "bf16";
    size_t k, i, j, up, number = 0;

    for (k = 0; k < BS_LEN(kernels); k++) {
        int good = 1;

        for (i = 0; i < BS_LEN(sides) * BS_LEN(sides); i++)
            for (j = 0; j < BS_LEN(channels); j++)
                for (up = 0; up < 2; up++, number++) {
                    struct shape s = {1 + i % 2,
                                      sides[i / BS_LEN(sides)],
                                      sides[i % BS_LEN(sides)],
                                      kernels[k],
                                      0,
                                      0};

                    if (left_out(isa, number, 0))
                        continue;
                    if (up == 1) {
                        s.up_height = 2 * s.height - i % 2;
                        s.up_width = 2 * s.width;
                    }
                    s.conv.in = channels[j];
                    s.conv.out = channels[(i + j) % BS_LEN(channels)];
                    good &= case_good(d, &s, &u);
                }
        ok(good, "%s, %s: side %zu, stride %zu, pad %zu", isa->name, name,
           kernels[k].side, kernels[k].stride, kernels[k].pad);
    }
}

/* What CUDA multiplies, in tiles of 128 channels. */
static double
products(const struct shape *s)
{
    size_t windows = s->batch * s->height * s->width;
    size_t values = s->conv.side * s->conv.side * s->conv.in;

    return (double)windows * (double)values *
           (double)BS_ROUND_UP(s->conv.out, 128);
}

/* Several passes of tiles, blocks of channels, ranges of a panel. */
static void
test_large(const struct bs_isa *isa, struct bs_dev *d, enum bs_math math)
{
    static const struct shape large[] = {
        {1, 40, 41, {16, 3, 3, 1, 1}, 0, 0},
        {2, 8, 8, {1281, 40, 3, 1, 1}, 0, 0},
        {1, 100, 101, {320, 8, 3, 1, 1}, 0, 0},
        {2, 16, 16, {64, 130, 3, 1, 1}, 32, 32},
        {2, 17, 16, {320, 33, 3, 2, 1}, 0, 0},
        {3, 9, 7, {900, 70, 1, 1, 0}, 0, 0},
    };
    const struct setup u = {BS_DTYPE_F32, math, true, true, false};
    const char *name = math == BS_MATH_F32 ? "f32" : "bf16";
    size_t i;

    for (i = 0; i < BS_LEN(large); i++) {
        if (left_out(isa, 0, products(&large[i])))
            continue;
        ok(case_good(d, &large[i], &u), "%s, %s: %zu x %zu x %zu, %zu to %zu",
           isa->name, name, large[i].batch, large[i].height, large[i].width,
           large[i].conv.in, large[i].conv.out);
    }
}

static void
test_setups(const struct bs_isa *isa, struct bs_dev *d)
{
    static const enum bs_dtype types[] = {BS_DTYPE_F32, BS_DTYPE_F16,
                                          BS_DTYPE_BF16};
    static const struct shape shapes[] = {
        {2, 7, 9, {20, 37, 3, 1, 1}, 0, 0}, {2, 7, 9, {20, 37, 3, 2, 1}, 0, 0},
        {1, 6, 5, {40, 18, 1, 1, 0}, 0, 0}, {0, 6, 5, {40, 18, 3, 1, 1}, 0, 0},
        {1, 2, 2, {4, 3, 5, 1, 0}, 0, 0},
    };
    size_t t, s, bits;
    int good = 1;

    for (t = 0; t < BS_LEN(types); t++)
        for (s = 0; s < BS_LEN(shapes); s++)
            for (bits = 0; bits < 16; bits++) {
                struct setup u = {types[t],
                                  bits & 1 ? BS_MATH_BF16 : BS_MATH_F32,
                                  bits & 2, bits & 4, (bits & 12) == 12};

                good &= case_good(d, &shapes[s], &u);
            }
    ok(good, "%s: every type, bias and residual", isa->name);
}

/* A special value reaches what it enters, and nothing 6 pixels off; one in the
 * weights, its channel. */
static void
test_specials(const struct bs_isa *isa, struct bs_dev *d)
{
    static const float value[] = {NAN, INFINITY, -INFINITY};
    const struct setup u = {BS_DTYPE_F32, BS_MATH_F32, true, false, false};
    const struct shape s = {2, 20, 20, {18, 21, 3, 1, 1}, 0, 0};
    size_t v, i, j;
    int good = 1;

    for (v = 0; v < BS_LEN(value); v++) {
        struct call c;

        call_init(&c, &s, &u);
        c.x.at[(400 + 10 * 20 + 9) * c.ldx + 17] = value[v];
        c.w.at[20 * 18 * 9 + 5] = value[v];
        good &= call_run(&c, d, &u) == 0;
        for (i = 0; i < 2 * 400; i++)
            for (j = 0; j < s.conv.out; j++) {
                size_t row = i % 400 / 20, col = i % 20;
                bool hit =
                    i >= 400 && row >= 9 && row <= 11 && col >= 8 && col <= 10;
                bool far =
                    i < 400 || row < 5 || row > 15 || col < 4 || col > 14;
                float y = c.y.at[i * c.ldy + j];

                good &= hit || j == 20 ? !isfinite(y) : !far || isfinite(y);
            }
        good &= call_release(&c);
    }
    ok(good, "%s: NaN and infinities reach what they enter", isa->name);
}

static void
test_invariance(const struct bs_isa *isa, const struct shape *s,
                enum bs_math math)
{
    const struct setup u = {BS_DTYPE_F32, math, true, true, true};
    struct call first, c;
    unsigned threads;
    int good = 1;

    call_init(&first, s, &u);
    for (threads = 1; threads <= most_threads(isa); threads++) {
        struct bs_dev *d = open_isa(isa, threads);
        struct bs_conv *w;
        size_t i;

        if (threads == 1)
            good &= call_run(&first, d, &u) == 0;
        call_init(&c, s, &u);
        good &= call_run(&c, d, &u) == 0 &&
                memcmp(c.y.at, first.y.at, c.y.mem.bytes) == 0;
        good &= call_release(&c);
        call_init(&c, s, &u);
        w = weights_of(&c, d, &u);
        for (i = 0; i < s->batch; i++)
            good &= run_images(&c, d, w, &u, i, 1) == 0;
        bs_dev_conv_free(d, w);
        good &= memcmp(c.y.at, first.y.at, c.y.mem.bytes) == 0;
        good &= call_release(&c);
        bs_dev_close(d);
    }
    ok(call_release(&first) & good,
       "%s, %s: %zu to %zu the same on any threads and one by one", isa->name,
       math == BS_MATH_F32 ? "f32" : "bf16", s->conv.in, s->conv.out);
}

static void
test_misuse(struct bs_dev *d)
{
    const struct setup u = {BS_DTYPE_F32, BS_MATH_F32, false, false, false};
    const struct shape s = {1, 4, 4, {3, 3, 3, 1, 1}, 0, 0};
    static const struct bs_conv_shape bad[] = {
        {0, 3, 3, 1, 1},        {3, 0, 3, 1, 1}, {3, 3, 0, 1, 0},
        {3, 3, 3, 0, 1},        {3, 3, 3, 1, 3}, {3, 3, 65, 1, 1},
        {3, 3, 3, 1, SIZE_MAX},
    };
    struct bs_conv *w;
    struct call c;
    size_t i;

    call_init(&c, &s, &u);
    w = weights_of(&c, d, &u);
    c.s.batch = 2;
    ok(run_images(&c, d, w, &u, 0, 2) == -BS_EX_SOFTWARE, "x too small: %s",
       bs_dev_error(d)->text);
    c.s.up_height = 3;
    c.s.up_width = 9;
    ok(run_images(&c, d, w, &u, 0, 1) == -BS_EX_SOFTWARE, "shrunk: %s",
       bs_dev_error(d)->text);
    c.s.up_height = c.s.up_width = 0;
    c.s.height = SIZE_MAX / 2;
    ok(run_images(&c, d, w, &u, 0, 1) == -BS_EX_SOFTWARE, "past all memory");
    c.s.height = 4;
    c.ldy = 2;
    ok(run_images(&c, d, w, &u, 0, 1) == -BS_EX_SOFTWARE, "overlap: %s",
       bs_dev_error(d)->text);
    bs_dev_conv_free(d, w);
    for (i = 0; i < BS_LEN(bad); i++)
        ok(bs_dev_conv(d, &w, c.w.at, BS_DTYPE_F32, &bad[i], BS_MATH_F32) ==
                   -BS_EX_SOFTWARE &&
               w == NULL,
           "%s", bs_dev_error(d)->text);
    ok(call_release(&c), "sentinels");
}

int
main(void)
{
    static const enum bs_math maths[] = {BS_MATH_F32, BS_MATH_BF16};
    static const struct shape shared[] = {
        {3, 13, 18, {48, 50, 3, 1, 1}, 0, 0},
        {3, 13, 18, {48, 50, 3, 2, 1}, 0, 0},
    };
    struct bs_isa isa[DEVICES];
    size_t n = devices_to_test(isa), i, m, s;
    struct bs_dev *d;

    for (i = 0; i < n; i++) {
        d = open_isa(&isa[i], 2);
        for (m = 0; m < BS_LEN(maths); m++) {
            test_shapes(&isa[i], d, maths[m]);
            test_large(&isa[i], d, maths[m]);
            for (s = 0; s < BS_LEN(shared); s++)
                test_invariance(&isa[i], &shared[s], maths[m]);
        }
        test_setups(&isa[i], d);
        test_specials(&isa[i], d);
        bs_dev_close(d);
    }
    d = open_isa(&isa[0], 1);
    test_misuse(d);
    bs_dev_close(d);
    return tap_done();
}
