/*
 * k-gemm.c - gemm on every instruction set against sums in double: all
 * remainders of tiles and blocks, epilogues, weight types, special values, and
 * results that do not depend on threads or on the rows of a call.
 */
#include "tests/kernels/compare.h"

struct shape {
    size_t m, n, k;
};

struct setup {
    enum bs_dtype type;
    enum bs_math math;
    enum bs_epilogue epilogue;
    bool bias, scale;
};

/* Operands of a call; rows of x and y have a gap behind them. */
struct call {
    struct shape s;
    size_t ldx, ldy;
    struct floats x, y, before, w, bias, scale;
    uint16_t *half; /* the weight as it is handed over, if 16 bits wide */
};

static void
call_init(struct call *c, const struct shape *s, const struct setup *u)
{
    size_t i, j;

    c->s = *s;
    c->ldx = s->k + 5;
    c->ldy = s->n + 3;
    c->x = floats_of(s->m * c->ldx, 1, 1);
    c->y = floats_of(s->m * c->ldy, 2, 2);
    c->before = floats_of(s->m * c->ldy, 2, 2);
    c->w = floats_of(s->n * s->k, 1, 3);
    c->bias = floats_of(s->n, 3, 4);
    c->scale = floats_of(s->n, 1, 5);
    c->half = NULL;
    for (i = 0; i < s->m; i++)
        for (j = s->k; j < c->ldx; j++)
            c->x.at[i * c->ldx + j] = NAN; /* never to be read */
    if (u->type == BS_DTYPE_F32)
        return;
    c->half = need(bs_alloc(s->n * s->k * sizeof *c->half));
    bs_from_f32(c->half, u->type, c->w.at, s->n * s->k);
    bs_to_f32(c->w.at, u->type, c->half, s->n * s->k);
}

static int
call_release(struct call *c)
{
    int good = floats_free(&c->x) & floats_free(&c->y) & floats_free(&c->w) &
               floats_free(&c->bias) & floats_free(&c->scale);

    floats_free(&c->before);
    bs_free(c->half);
    return good;
}

static int
call_run(struct call *c, struct bs_dev *d, const struct setup *u)
{
    const void *w = c->half != NULL ? (const void *)c->half : c->w.at;
    struct bs_weight *weight;
    int r;

    r = bs_dev_weight(d, &weight, w, u->type, c->s.n, c->s.k, u->math);
    if (r < 0)
        return r;
    r = bs_dev_gemm(d, weight, &c->x.mem, c->ldx, &c->y.mem, c->ldy, c->s.m,
                    u->bias ? &c->bias.mem : NULL, u->epilogue,
                    u->scale ? &c->scale.mem : NULL);
    bs_dev_weight_free(d, weight);
    return r;
}

static bool
is_activation(enum bs_epilogue e)
{
    return e == BS_EPI_GELU || e == BS_EPI_QUICK_GELU || e == BS_EPI_SILU;
}

static double
activation(enum bs_epilogue e, double a)
{
    if (e == BS_EPI_GELU)
        return a * 0.5 * (1 + erf(a * sqrt(0.5)));
    return a / (1 + exp(e == BS_EPI_SILU ? -a : -1.702 * a));
}

/* y[i][j] as dev.h defines it, and how far off it may be. */
static double
expected(const struct call *c, const struct setup *u, double relative, size_t i,
         size_t j, double *tolerance)
{
    double a = 0, sum = 0, y;
    size_t l;

    for (l = 0; l < c->s.k; l++) {
        double p =
            (double)c->x.at[i * c->ldx + l] * (double)c->w.at[j * c->s.k + l];

        a += p;
        sum += fabs(p);
    }
    if (u->bias)
        a += (double)c->bias.at[j];
    *tolerance = relative * sum + 1e-6 * fabs(a);
    if (u->epilogue == BS_EPI_NONE)
        return a;
    if (is_activation(u->epilogue)) {
        *tolerance = *tolerance * 1.2 + 4e-7 * fmax(1, fabs(a));
        return activation(u->epilogue, a);
    }
    if (u->scale) {
        a *= (double)c->scale.at[j];
        *tolerance *= fabs((double)c->scale.at[j]);
    }
    y = (double)c->before.at[i * c->ldy + j] + a;
    *tolerance += 1e-6 * fabs(y);
    return y;
}

/* Large results are looked at in part: first, last, and every so many. */
static int
call_good(const struct call *c, const struct setup *u, double relative)
{
    size_t step = c->s.m * c->s.n * c->s.k / 3000000 + 1, at, i, j;
    size_t cells = c->s.m * c->s.n;

    for (at = 0; at < cells;
         at = at + step < cells || at == cells - 1 ? at + step : cells - 1) {
        double tolerance, want, got;

        i = at / c->s.n;
        j = at % c->s.n;
        want = expected(c, u, relative, i, j, &tolerance);
        got = (double)c->y.at[i * c->ldy + j];
        if (!near(got, want, tolerance)) {
            printf("# %zu %zu %zu: [%zu][%zu] is %.9g, wanted %.9g +- %.3g\n",
                   c->s.m, c->s.n, c->s.k, i, j, got, want, tolerance);
            return 0;
        }
    }
    for (i = 0; i < c->s.m; i++)
        for (j = c->s.n; j < c->ldy; j++)
            if (c->y.at[i * c->ldy + j] != c->before.at[i * c->ldy + j]) {
                printf("# a gap of y was written at [%zu][%zu]\n", i, j);
                return 0;
            }
    return 1;
}

/* F32 activations by the weight's own bf16 values stay exact but for the sums
 * where the processor does not multiply bf16. */
static double
tolerance_of(const struct bs_isa *isa, const struct setup *u)
{
    bool exact = u->math == BS_MATH_F32 ||
                 (u->type == BS_DTYPE_BF16 && isa->gemm_bf16 == NULL);

    return exact ? 1e-6 : 8e-3;
}

static int
case_good(const struct bs_isa *isa, struct bs_dev *d, const struct shape *s,
          const struct setup *u)
{
    struct call c;
    int good;

    call_init(&c, s, u);
    good = call_run(&c, d, u) == 0 && call_good(&c, u, tolerance_of(isa, u));
    return call_release(&c) && good;
}

static void
test_shapes(const struct bs_isa *isa, struct bs_dev *d, enum bs_math math)
{
    static const size_t ms[] = {0, 1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 31, 32, 33};
    static const size_t ns[] = {0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 65};
    static const size_t ks[] = {0, 1, 2, 3, 31, 32, 33, 129};
    static const struct shape large[] = {
        {143, 40, 383}, {144, 257, 384}, {145, 40, 385}, {257, 768, 768},
        {289, 17, 769}, {25, 33, 3072},  {3, 1000, 588}, {601, 300, 20},
    };
    const struct setup u = {BS_DTYPE_F32, math, BS_EPI_NONE, false, false};
    const char *name = math == BS_MATH_F32 ? "f32" : "bf16";
    size_t i, j, l, number = 0;
    int good = 1;

    for (i = 0; i < BS_LEN(ms); i++)
        for (j = 0; j < BS_LEN(ns); j++)
            for (l = 0; l < BS_LEN(ks); l++) {
                struct shape s = {ms[i], ns[j], ks[l]};

                if (!left_out(isa, number++, 0))
                    good &= case_good(isa, d, &s, &u);
            }
    ok(good, "%s, %s: %zu small shapes", isa->name, name,
       BS_LEN(ms) * BS_LEN(ns) * BS_LEN(ks));
    for (i = 0; i < BS_LEN(large); i++)
        if (!left_out(isa, 0, (double)(large[i].m * large[i].n * large[i].k)))
            ok(case_good(isa, d, &large[i], &u), "%s, %s: %zu x %zu x %zu",
               isa->name, name, large[i].m, large[i].n, large[i].k);
}

static void
test_setups(const struct bs_isa *isa, struct bs_dev *d)
{
    static const enum bs_dtype types[] = {BS_DTYPE_F32, BS_DTYPE_F16,
                                          BS_DTYPE_BF16};
    static const struct shape shapes[] = {
        {19, 45, 70}, {2, 3, 0}, {50, 64, 401}};
    size_t t, s, bits, number = 0;
    int good = 1;

    for (t = 0; t < BS_LEN(types); t++)
        for (s = 0; s < BS_LEN(shapes); s++)
            for (bits = 0; bits < 40; bits++) {
                struct setup u = {
                    types[t], bits & 1 ? BS_MATH_BF16 : BS_MATH_F32,
                    (enum bs_epilogue)(bits / 8), bits & 2, bits & 4};

                if (!left_out(isa, number++, 0))
                    good &= case_good(isa, d, &shapes[s], &u);
            }
    ok(good, "%s: every type, epilogue, bias and scale", isa->name);
}

/* An activation over its whole range, through a weight of one. */
static void
test_activation(const struct bs_isa *isa, struct bs_dev *d, enum bs_epilogue e,
                const char *name)
{
    const struct setup u = {BS_DTYPE_F32, BS_MATH_F32, e, false, false};
    const struct shape s = {left_out(isa, 1, 0) ? 2001 : 40001, 1, 1};
    struct call c;
    size_t i;
    double worst = 0;

    call_init(&c, &s, &u);
    c.w.at[0] = 1;
    for (i = 0; i < s.m; i++)
        c.x.at[i * c.ldx] = 20 * (float)i / (float)(s.m - 1) - 10;
    if (!ok(call_run(&c, d, &u) == 0, "%s: %s", isa->name, name))
        return;
    for (i = 0; i < s.m; i++) {
        double a = (double)c.x.at[i * c.ldx];
        double want = activation(e, a);
        double off = fabs((double)c.y.at[i * c.ldy] - want) / fmax(1, fabs(a));

        if (!(off <= worst))
            worst = off;
    }
    ok(worst <= 4e-7, "%s: %s on -10..10, off by %.2g", isa->name, name, worst);
    ok(call_release(&c), "%s: sentinels", isa->name);
}

/* One special value in x or w reaches exactly its row or column. */
static void
test_specials(const struct bs_isa *isa, struct bs_dev *d, enum bs_math math)
{
    static const float value[] = {NAN, INFINITY, -INFINITY};
    static const size_t place[] = {0, 1, 5};
    const struct setup u = {BS_DTYPE_F32, math, BS_EPI_NONE, true, false};
    const struct shape s = {14, 35, 6};
    size_t v, p, i, j;
    int good = 1;

    for (v = 0; v < BS_LEN(value); v++)
        for (p = 0; p < 2 * BS_LEN(place); p++) {
            bool in_x = p < BS_LEN(place);
            size_t k = place[p % BS_LEN(place)], row = 13, column = 34;
            struct call c;

            call_init(&c, &s, &u);
            if (in_x)
                c.x.at[row * c.ldx + k] = value[v];
            else
                c.w.at[column * s.k + k] = value[v];
            good &= call_run(&c, d, &u) == 0;
            for (i = 0; i < s.m; i++)
                for (j = 0; j < s.n; j++) {
                    float y = c.y.at[i * c.ldy + j];
                    bool hit = in_x ? i == row : j == column;

                    good &= hit ? !isfinite(y) : isfinite(y);
                    good &= !hit || isinf(value[v]) || isnan(y);
                }
            good &= call_release(&c);
        }
    ok(good, "%s, %s: NaN and infinities reach their row or column only",
       isa->name, math == BS_MATH_F32 ? "f32" : "bf16");
}

static void
test_tiny(const struct bs_isa *isa, struct bs_dev *d)
{
    const struct setup u = {BS_DTYPE_F32, BS_MATH_F32, BS_EPI_NONE, false,
                            false};
    const struct shape s = {7, 9, 2};
    struct call c;
    size_t i;
    int good = 1;

    call_init(&c, &s, &u);
    for (i = 0; i < s.m; i++) {
        c.x.at[i * c.ldx] = 1e-40f;
        c.x.at[i * c.ldx + 1] = -0.0f;
    }
    for (i = 0; i < s.n; i++) {
        c.w.at[i * s.k] = 2;
        c.w.at[i * s.k + 1] = 1;
    }
    good &= call_run(&c, d, &u) == 0;
    for (i = 0; i < s.m; i++)
        good &= c.y.at[i * c.ldy + s.n - 1] == 2 * 1e-40f;
    ok(call_release(&c) && good, "%s: denormals are kept", isa->name);
}

static int
same_bits(const struct floats *a, const struct floats *b)
{
    return memcmp(a->at, b->at, a->n * sizeof(float)) == 0;
}

/* Rows first..first+count-1 of a call, as a call of their own. */
static int
run_rows(const struct call *c, struct bs_dev *d, const struct bs_weight *w,
         const struct setup *u, struct floats *y, size_t first, size_t count)
{
    struct bs_mem x = {c->x.at + first * c->ldx,
                       count * c->ldx * sizeof(float)};
    struct bs_mem out = {y->at + first * c->ldy,
                         count * c->ldy * sizeof(float)};

    return bs_dev_gemm(d, w, &x, c->ldx, &out, c->ldy, count, &c->bias.mem,
                       u->epilogue, &c->scale.mem) == 0;
}

static void
test_invariance(const struct bs_isa *isa, enum bs_math math)
{
    const struct setup u = {BS_DTYPE_F32, math, BS_EPI_RESIDUAL, true, true};
    const struct shape s = {301, 131, left_out(isa, 1, 0) ? 90 : 900};
    const char *name = math == BS_MATH_F32 ? "f32" : "bf16";
    struct call first, c;
    struct bs_dev *d;
    unsigned threads;
    int good = 1;

    d = open_isa(isa, 1);
    call_init(&first, &s, &u);
    good &= call_run(&first, d, &u) == 0;
    call_init(&c, &s, &u);
    good &= call_run(&c, d, &u) == 0 && same_bits(&c.y, &first.y);
    ok(call_release(&c) && good, "%s, %s: twice the same", isa->name, name);
    bs_dev_close(d);
    for (threads = 2; threads <= most_threads(isa); threads++) {
        d = open_isa(isa, threads);
        call_init(&c, &s, &u);
        good = call_run(&c, d, &u) == 0 && same_bits(&c.y, &first.y);
        ok(call_release(&c) && good, "%s, %s: the same on %u threads",
           isa->name, name, threads);
        bs_dev_close(d);
    }
    d = open_isa(isa, 2);
    call_init(&c, &s, &u);
    {
        struct bs_weight *w;

        good = bs_dev_weight(d, &w, c.w.at, u.type, s.n, s.k, math) == 0 &&
               run_rows(&c, d, w, &u, &c.y, 0, 1) &&
               run_rows(&c, d, w, &u, &c.y, 1, 7) &&
               run_rows(&c, d, w, &u, &c.y, 8, 256) &&
               run_rows(&c, d, w, &u, &c.y, 264, s.m - 264) &&
               same_bits(&c.y, &first.y);
        bs_dev_weight_free(d, w);
    }
    ok(call_release(&c) && good, "%s, %s: the same in batches", isa->name,
       name);
    call_release(&first);
    bs_dev_close(d);
}

static void
test_misuse(struct bs_dev *d)
{
    struct floats x = floats_of(12, 1, 1), y = floats_of(12, 1, 2);
    struct bs_weight *w;

    ok(bs_dev_weight(d, &w, x.at, BS_DTYPE_F32, 3, 4, BS_MATH_F32) == 0,
       "a weight");
    ok(bs_dev_gemm(d, w, &x.mem, 4, &y.mem, 3, 4, NULL, BS_EPI_NONE, NULL) ==
           -BS_EX_SOFTWARE,
       "x too small: %s", bs_dev_error(d)->text);
    ok(bs_dev_gemm(d, w, &x.mem, SIZE_MAX / 2, &y.mem, 3, 3, NULL, BS_EPI_NONE,
                   NULL) == -BS_EX_SOFTWARE,
       "leading dimension past all memory");
    bs_dev_weight_free(d, w);
    ok(floats_free(&x) & floats_free(&y), "sentinels");
}

int
main(void)
{
    struct bs_isa isa[DEVICES];
    size_t n = libraries_to_test(isa, devices_to_test(isa)), i;
    struct bs_dev *d;

    for (i = 0; i < n; i++) {
        d = open_isa(&isa[i], 2);
        test_shapes(&isa[i], d, BS_MATH_F32);
        test_shapes(&isa[i], d, BS_MATH_BF16);
        test_setups(&isa[i], d);
        test_activation(&isa[i], d, BS_EPI_GELU, "gelu");
        test_activation(&isa[i], d, BS_EPI_QUICK_GELU, "quick gelu");
        test_activation(&isa[i], d, BS_EPI_SILU, "silu");
        test_specials(&isa[i], d, BS_MATH_F32);
        test_specials(&isa[i], d, BS_MATH_BF16);
        test_tiny(&isa[i], d);
        bs_dev_close(d);
        test_invariance(&isa[i], BS_MATH_F32);
        test_invariance(&isa[i], BS_MATH_BF16);
    }
    d = open_isa(&isa[0], 1);
    test_misuse(d);
    bs_dev_close(d);
    return tap_done();
}
