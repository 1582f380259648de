/*
 * k-group-norm.c - group norm on every instruction set against plain loops in
 * double: channels and pixels around the vectors and blocks, in place, large
 * means, NaN, and results that depend neither on threads nor on the batch.
 */
#include "tests/kernels/compare.h"

struct shape {
    size_t batch, pixels, channels, groups;
};

struct call {
    struct shape s;
    size_t ldx, ldy;
    struct floats x, y, kept, gamma, beta;
    float eps;
    bool silu, in_place;
};

static void
call_init(struct call *c, const struct shape *s, float offset, float scale,
          bool silu, bool in_place)
{
    size_t i;

    c->s = *s;
    c->ldx = s->channels + 3;
    c->ldy = in_place ? c->ldx : s->channels + 1;
    c->x = floats_of(s->batch * s->pixels * c->ldx, scale, 1);
    c->y = floats_of(s->batch * s->pixels * c->ldy, 1, 2);
    c->kept = floats_of(s->batch * s->pixels * c->ldx, scale, 1);
    c->gamma = floats_of(s->channels, 2, 3);
    c->beta = floats_of(s->channels, 1, 4);
    c->eps = 1e-5f;
    c->silu = silu;
    c->in_place = in_place;
    for (i = 0; i < c->x.n; i++)
        c->kept.at[i] = c->x.at[i] += offset;
}

static int
call_release(struct call *c)
{
    return floats_free(&c->x) & floats_free(&c->y) & floats_free(&c->kept) &
           floats_free(&c->gamma) & floats_free(&c->beta);
}

static int
run_images(struct bs_dev *d, const struct call *c, size_t first, size_t count)
{
    size_t pixel = first * c->s.pixels * sizeof(float);
    const struct bs_mem *y = c->in_place ? &c->x.mem : &c->y.mem;
    struct bs_group_norm a = {
        .x = bs_mem_from(&c->x.mem, pixel * c->ldx),
        .y = bs_mem_from(y, pixel * c->ldy),
        .ldx = c->ldx,
        .ldy = c->ldy,
        .batch = count,
        .pixels = c->s.pixels,
        .channels = c->s.channels,
        .groups = c->s.groups,
        .gamma = c->gamma.mem,
        .beta = c->beta.mem,
        .eps = c->eps,
        .silu = c->silu,
    };

    return bs_dev_group_norm(d, &a);
}

static int
group_good(const struct call *c, size_t image, size_t group)
{
    size_t n = c->s.channels / c->s.groups, i, j;
    const float *x = c->kept.at + image * c->s.pixels * c->ldx + group * n;
    const float *y = (c->in_place ? c->x.at : c->y.at) +
                     image * c->s.pixels * c->ldy + group * n;
    double all = (double)(c->s.pixels * n), mean = 0, var = 0, inv;

    for (i = 0; i < c->s.pixels; i++)
        for (j = 0; j < n; j++)
            mean += (double)x[i * c->ldx + j] / all;
    for (i = 0; i < c->s.pixels; i++)
        for (j = 0; j < n; j++)
            var += pow((double)x[i * c->ldx + j] - mean, 2) / all;
    inv = 1 / sqrt(var + (double)c->eps);
    for (i = 0; i < c->s.pixels; i++)
        for (j = 0; j < n; j++) {
            double g = (double)c->gamma.at[group * n + j];
            double b = (double)c->beta.at[group * n + j];
            double a = (double)x[i * c->ldx + j], want, tolerance;
            double got = (double)y[i * c->ldy + j];

            want = (a - mean) * inv * g + b;
            tolerance =
                4e-6 * (fabs(g) * (fabs(a) + fabs(mean)) * inv + fabs(b)) +
                1e-6;
            if (c->silu)
                want /= 1 + exp(-want);
            if (!near(got, want, 1.2 * tolerance)) {
                printf("# %zu pixels, %zu channels, %zu groups: [%zu][%zu] is "
                       "%.9g, wanted %.9g +- %.2g\n",
                       c->s.pixels, c->s.channels, c->s.groups, i, j, got, want,
                       tolerance);
                return 0;
            }
        }
    return 1;
}

static int
case_good(struct bs_dev *d, const struct shape *s, float offset, float scale,
          bool silu, bool in_place)
{
    struct call c;
    size_t i, j;
    int good;

    call_init(&c, s, offset, scale, silu, in_place);
    good = run_images(d, &c, 0, s->batch) == 0;
    for (i = 0; i < s->batch && good; i++)
        for (j = 0; j < s->groups && good; j++)
            good = group_good(&c, i, j);
    for (i = 0; i < s->batch * s->pixels && in_place; i++)
        for (j = s->channels; j < c.ldx; j++)
            good &= c.x.at[i * c.ldx + j] == c.kept.at[i * c.ldx + j];
    return call_release(&c) & good;
}

static void
test_shapes(const struct bs_isa *isa, struct bs_dev *d)
{
    static const size_t pixels[] = {0,  1,  2,  31,  32,  33,
                                    63, 64, 65, 511, 512, 1100};
    static const size_t channels[][2] = {{1, 1},   {2, 1},    {6, 2},  {16, 1},
                                         {17, 17}, {32, 32},  {33, 3}, {80, 4},
                                         {96, 32}, {320, 32}, {0, 1}};
    size_t i, j;
    int good = 1;

    for (i = 0; i < BS_LEN(pixels); i++)
        for (j = 0; j < BS_LEN(channels); j++) {
            struct shape s = {(i + j) % 3, pixels[i], channels[j][0],
                              channels[j][1]};

            if (left_out(isa, (i * BS_LEN(channels) + j) * 3, 0))
                continue;
            good &= case_good(d, &s, 0.5f, 2, j % 2, i % 2);
        }
    ok(good, "%s: %zu shapes", isa->name, BS_LEN(pixels) * BS_LEN(channels));
}

static void
test_values(const struct bs_isa *isa, struct bs_dev *d)
{
    const struct shape s = {2, 700, 40, 4};

    ok(case_good(d, &s, 5000, 1, false, false) &&
           case_good(d, &s, -1e5f, 1, true, false),
       "%s: a mean far from zero", isa->name);
    ok(case_good(d, &s, 3, 0, false, false) &&
           case_good(d, &s, 0, 0, true, false),
       "%s: equal values give beta", isa->name);
    ok(case_good(d, &s, 0, 1e-18f, false, false) &&
           case_good(d, &s, 0, 1e15f, false, false),
       "%s: tiny and huge values", isa->name);
}

/* Also where the first pixel, from which the sums are taken, is far off. */
static void
test_outlier(const struct bs_isa *isa, struct bs_dev *d)
{
    const struct shape s = {1, 900, 8, 2};
    struct call c;
    size_t i;
    int good;

    call_init(&c, &s, 0, 1, false, false);
    for (i = 0; i < 8; i++)
        c.kept.at[i] = c.x.at[i] = 300;
    good = run_images(d, &c, 0, 1) == 0 && group_good(&c, 0, 0) &&
           group_good(&c, 0, 1);
    ok(call_release(&c) & good, "%s: an odd first pixel", isa->name);
}

static void
test_nan(const struct bs_isa *isa, struct bs_dev *d)
{
    static const float value[] = {NAN, INFINITY};
    static const size_t places[] = {0, 299, 599};
    const struct shape s = {2, 600, 24, 3};
    size_t v, p, i, j;
    int good = 1;

    for (v = 0; v < BS_LEN(value); v++)
        for (p = 0; p < BS_LEN(places); p++) {
            struct call c;

            call_init(&c, &s, 0, 1, false, false);
            c.x.at[(600 + places[p]) * c.ldx + 9] = value[v];
            good &= run_images(d, &c, 0, 2) == 0;
            for (i = 0; i < 1200; i++)
                for (j = 0; j < 24; j++)
                    good &= !isnan(c.y.at[i * c.ldy + j]) ==
                            (i < 600 || j < 8 || j >= 16);
            good &= call_release(&c);
        }
    ok(good, "%s: a NaN or infinity spoils its group and no other", isa->name);
}

static void
test_invariance(const struct bs_isa *isa)
{
    const struct shape s = {3, 1300, 48, 16};
    struct call first, c;
    unsigned threads;
    size_t i;
    int good = 1;

    call_init(&first, &s, 0, 1, true, false);
    for (threads = 1; threads <= most_threads(isa); threads++) {
        struct bs_dev *d = open_isa(isa, threads);

        if (threads == 1)
            good &= run_images(d, &first, 0, 3) == 0;
        call_init(&c, &s, 0, 1, true, false);
        good &= run_images(d, &c, 0, 3) == 0 &&
                memcmp(c.y.at, first.y.at, c.y.mem.bytes) == 0;
        good &= call_release(&c);
        call_init(&c, &s, 0, 1, true, false);
        for (i = 0; i < 3; i++)
            good &= run_images(d, &c, i, 1) == 0;
        good &= memcmp(c.y.at, first.y.at, c.y.mem.bytes) == 0;
        good &= call_release(&c);
        bs_dev_close(d);
    }
    ok(call_release(&first) & good,
       "%s: the same on any threads and one by one", isa->name);
}

static void
test_misuse(struct bs_dev *d)
{
    const struct shape s = {1, 10, 6, 2};
    struct call c;

    call_init(&c, &s, 0, 1, false, false);
    c.s.pixels = 11;
    ok(run_images(d, &c, 0, 1) == -BS_EX_SOFTWARE, "too small: %s",
       bs_dev_error(d)->text);
    c.s.pixels = 10;
    c.s.groups = 4;
    ok(run_images(d, &c, 0, 1) == -BS_EX_SOFTWARE, "groups: %s",
       bs_dev_error(d)->text);
    c.s.groups = 0;
    ok(run_images(d, &c, 0, 1) == -BS_EX_SOFTWARE, "no groups");
    c.s.groups = 2;
    c.ldy = 5;
    ok(run_images(d, &c, 0, 1) == -BS_EX_SOFTWARE, "overlap: %s",
       bs_dev_error(d)->text);
    c.ldy = 7;
    c.s.pixels = SIZE_MAX / 2;
    ok(run_images(d, &c, 0, 3) == -BS_EX_SOFTWARE, "past all memory");
    c.ldy = 7;
    ok(call_release(&c), "sentinels");
}

int
main(void)
{
    struct bs_isa isa[DEVICES];
    size_t n = devices_to_test(isa), i;
    struct bs_dev *d;

    for (i = 0; i < n; i++) {
        d = open_isa(&isa[i], 2);
        test_shapes(&isa[i], d);
        test_values(&isa[i], d);
        test_outlier(&isa[i], d);
        test_nan(&isa[i], d);
        bs_dev_close(d);
        test_invariance(&isa[i]);
    }
    d = open_isa(&isa[0], 1);
    test_misuse(d);
    bs_dev_close(d);
    return tap_done();
}
