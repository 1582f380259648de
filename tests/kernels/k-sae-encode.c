/*
 * k-sae-encode.c - sparse codes on every instruction set, bit for bit those of
 * a plain loop over all products, whatever the screening and the threads:
 * sizes, ties, near ties, lengths from 1e-30 to 1e30, and bad input.
 */
#include "tests/kernels/compare.h"

#include "kernels/sae_ops.h"

#include <inttypes.h>

#define TAU 0.7f /* share of a row's largest that a threshold lies at */

/* ---- a plain encoder -------------------------------------------------------
 */

struct code {
    float val;
    uint32_t idx;
};

/* Operands; rows of x have a gap behind them. */
struct problem {
    size_t m, n, k, ldx;
    struct floats x, w, bias, tau;
    float *pre;         /* [m, n] */
    struct code *order; /* [m, n], each row sorted */
};

static float
plain_pre(const struct problem *p, size_t i, size_t j)
{
    const float *x = p->x.at + i * p->ldx, *w = p->w.at + j * p->k;
    float sum[16] = {0};
    size_t c, half;

    for (c = 0; c < p->k; c++)
        sum[c % 16] += x[c] * w[c];
    for (half = 8; half > 0; half /= 2)
        for (c = 0; c < half; c++)
            sum[c] += sum[c + half];
    return sum[0] + p->bias.at[j];
}

static int
by_value(const void *a, const void *b)
{
    const struct code *x = a, *y = b;

    if (x->val != y->val)
        return x->val < y->val ? 1 : -1;
    return x->idx < y->idx ? -1 : x->idx > y->idx;
}

static void
problem_solve(struct problem *p)
{
    size_t i, j;

    p->pre = need(bs_alloc_array(p->m * p->n, sizeof *p->pre));
    p->order = need(bs_alloc_array(p->m * p->n, sizeof *p->order));
    for (i = 0; i < p->m; i++) {
        struct code *row = p->order + i * p->n;

        for (j = 0; j < p->n; j++) {
            float pre = plain_pre(p, i, j);

            p->pre[i * p->n + j] = pre;
            row[j].val = pre > 0 ? pre : 0;
            row[j].idx = pre > 0 ? (uint32_t)j : BS_CODE_NONE;
        }
        qsort(row, p->n, sizeof *row, by_value);
    }
    for (j = 0; j < p->n; j++)
        p->tau.at[j] = p->m > 0 ? TAU * p->order[j % p->m * p->n].val : 0;
}

static struct problem
problem_of(size_t m, size_t n, size_t k, uint32_t seed)
{
    struct problem p = {.m = m, .n = n, .k = k, .ldx = k + 3};
    size_t i, j;

    p.x = floats_of(m * p.ldx, 1, seed);
    p.w = floats_of(n * k, 1, seed + 1);
    p.bias = floats_of(n, 0.1f, seed + 2);
    p.tau = floats_of(n, 1, seed + 3);
    for (i = 0; i < m; i++)
        for (j = k; j < p.ldx; j++)
            p.x.at[i * p.ldx + j] = NAN; /* never to be read */
    return p;
}

static int
problem_free(struct problem *p)
{
    bs_free(p->pre);
    bs_free(p->order);
    return floats_free(&p->x) & floats_free(&p->w) & floats_free(&p->bias) &
           floats_free(&p->tau);
}

/* ---- comparison ------------------------------------------------------------
 */

static int
topk_good(struct bs_dev *d, const struct bs_encoder *enc,
          const struct problem *p, size_t top)
{
    struct floats val = floats_of(p->m * top, 1, 1);
    struct floats idx = floats_of(p->m * top, 1, 2);
    int good = bs_dev_encode_topk(d, enc, &p->x.mem, p->ldx, p->m, top,
                                  &idx.mem, &val.mem) == 0;
    size_t i, j;

    for (i = 0; i < p->m && good; i++)
        for (j = 0; j < top && good; j++) {
            const struct code *want = &p->order[i * p->n + j];
            uint32_t got;

            memcpy(&got, &idx.at[i * top + j], sizeof got);
            good = got == want->idx && val.at[i * top + j] == want->val;
            if (!good)
                printf("# top %zu of row %zu, place %zu: %" PRIu32
                       " %.9g, wanted %" PRIu32 " %.9g\n",
                       top, i, j, got, (double)val.at[i * top + j], want->idx,
                       (double)want->val);
        }
    return floats_free(&val) & floats_free(&idx) & good;
}

/* Every row is what of its order reaches tau, or the one threshold. */
static int
ragged_good(const struct problem *p, const struct bs_ragged *r,
            const float *tau, bool strict, float threshold)
{
    size_t i, j, at = 0;

    if (r->rows != p->m || r->ptr[0] != 0)
        return 0;
    for (i = 0; i < p->m; i++) {
        for (j = 0; j < p->n; j++) {
            const struct code *c = &p->order[i * p->n + j];
            float least = tau != NULL && c->val > 0 ? tau[c->idx] : threshold;

            if (!(c->val > 0) || !(strict ? c->val > least : c->val >= least))
                continue;
            if (at >= r->ptr[p->m] || r->idx[at] != c->idx ||
                r->val[at] != c->val) {
                printf("# row %zu, value %zu\n", i, at);
                return 0;
            }
            at++;
        }
        if (r->ptr[i + 1] != at)
            return 0;
    }
    return 1;
}

static int
by_size(const void *a, const void *b)
{
    const float *x = a, *y = b;

    return *x < *y ? 1 : *x > *y ? -1 : 0;
}

static float
plain_threshold(const struct problem *p, size_t total)
{
    size_t n = p->m * p->n, i;
    float *all = need(bs_alloc_array(n, sizeof *all)), threshold;

    for (i = 0; i < n; i++)
        all[i] = p->pre[i] > 0 ? p->pre[i] : 0;
    qsort(all, n, sizeof *all, by_size);
    threshold = total <= n ? all[total - 1] : 0;
    bs_free(all);
    return threshold;
}

static int
batch_good(struct bs_dev *d, const struct bs_encoder *enc,
           const struct problem *p, size_t total, struct bs_ragged *r)
{
    float threshold, want = plain_threshold(p, total);
    int good = bs_dev_encode_batch(d, enc, &p->x.mem, p->ldx, p->m, total, r,
                                   &threshold) == 0;

    if (good && threshold != want)
        printf("# threshold of %zu: %.9g, wanted %.9g\n", total,
               (double)threshold, (double)want);
    return good && threshold == want && ragged_good(p, r, NULL, false, want);
}

static int
encoder_good(struct bs_dev *d, const struct problem *p, enum bs_screen screen)
{
    const size_t tops[] = {1, 5, 64, p->n};
    struct bs_encoder *enc;
    struct bs_ragged r = {0};
    size_t i;
    int good, strict;

    if (bs_dev_encoder(d, &enc, p->w.at, p->bias.at, p->n, p->k, screen) < 0)
        return 0;
    good = 1;
    for (i = 0; i < BS_LEN(tops); i++)
        if (tops[i] > 0 && tops[i] <= p->n && tops[i] <= 1024)
            good &= topk_good(d, enc, p, tops[i]);
    for (strict = 0; strict < 2; strict++)
        good &=
            bs_dev_encode_threshold(d, enc, &p->x.mem, p->ldx, p->m, p->tau.at,
                                    strict != 0, p->m * p->n, &r) == 0 &&
            ragged_good(p, &r, p->tau.at, strict != 0, 0);
    good &= batch_good(d, enc, p, 1, &r);
    good &= batch_good(d, enc, p, 3 * p->m + 1, &r);
    good &= batch_good(d, enc, p, p->m * p->n + 1, &r);
    bs_ragged_release(&r);
    bs_dev_encoder_free(d, enc);
    return good;
}

static const enum bs_screen screens[] = {BS_SCREEN_AUTO, BS_SCREEN_NONE,
                                         BS_SCREEN_LOW, BS_SCREEN_BYTES};

/* Takes the problem over. */
static int
problem_good(const struct bs_isa *isa, struct bs_dev *d, struct problem *p)
{
    int good = 1;
    size_t i;

    problem_solve(p);
    for (i = staged_slow(isa) ? 1 : 0; i < BS_LEN(screens); i++)
        if (!encoder_good(d, p, screens[i])) {
            printf("# screen %d: %zu x %zu x %zu\n", (int)screens[i], p->m,
                   p->n, p->k);
            good = 0;
        }
    return problem_free(p) & good;
}

/* ---- cases -----------------------------------------------------------------
 */

static void
test_shapes(const struct bs_isa *isa, struct bs_dev *d)
{
    static const size_t ms[] = {0, 1, 13, 31};
    static const size_t ns[] = {0, 1, 7, 8, 16, 17, 31, 32, 33};
    static const size_t ks[] = {0, 1, 2, 15, 16, 17, 31, 33};
    size_t i, j, l, number = 0;
    int good = 1;

    for (i = 0; i < BS_LEN(ms); i++)
        for (j = 0; j < BS_LEN(ns); j++)
            for (l = 0; l < BS_LEN(ks); l++) {
                struct problem p;

                if (left_out(isa, number++, 0))
                    continue;
                p = problem_of(ms[i], ns[j], ks[l], (uint32_t)(100 * j + l));
                good &= problem_good(isa, d, &p);
            }
    ok(good, "%s: small shapes", isa->name);
}

static void
test_large(const struct bs_isa *isa, struct bs_dev *d)
{
    static const size_t shapes[][3] = {
        {30, 2001, 97}, {205, 130, 48}, {2, 300, 1541}, {1, 5000, 20}};
    size_t i;

    for (i = 0; i < BS_LEN(shapes); i++) {
        size_t m = shapes[i][0];
        struct problem p = problem_of(staged_slow(isa) && m > 4 ? 4 : m,
                                      shapes[i][1], shapes[i][2], 7);

        ok(problem_good(isa, d, &p), "%s: %zu x %zu x %zu", isa->name,
           shapes[i][0], shapes[i][1], shapes[i][2]);
    }
}

/* Atom j is a copy of j % 7, a little off where `apart` is not 0. */
static void
set_ties(struct problem *p, float apart)
{
    size_t j, c;
    uint32_t state = 3;

    for (j = 7; j < p->n; j++) {
        p->bias.at[j] = p->bias.at[j % 7];
        for (c = 0; c < p->k; c++)
            p->w.at[j * p->k + c] =
                p->w.at[j % 7 * p->k + c] * (1 + apart * random_of(&state));
    }
}

static void
test_ties(const struct bs_isa *isa, struct bs_dev *d)
{
    static const float aparts[] = {0, 1e-7f, 1e-5f, 1e-3f};
    size_t i;
    int good = 1;

    for (i = 0; i < BS_LEN(aparts); i++) {
        struct problem p = problem_of(8, 900, 65, 11);

        set_ties(&p, aparts[i]);
        good &= problem_good(isa, d, &p);
    }
    ok(good, "%s: atoms that are equal, and nearly", isa->name);
}

/* More equals than a list of candidates holds, and none of them twice. */
static void
test_equals(const struct bs_isa *isa, struct bs_dev *d)
{
    struct problem p = problem_of(1, 5000, 3, 13);
    size_t i;

    for (i = 0; i < p.n * p.k; i++)
        p.w.at[i] = 1;
    for (i = 0; i < p.k; i++)
        p.x.at[i] = 1;
    for (i = 0; i < p.n; i++)
        p.bias.at[i] = i % 9 == 0 ? -1 : 0.25f;
    ok(problem_good(isa, d, &p), "%s: thousands of equals", isa->name);
}

static void
test_signs(const struct bs_isa *isa, struct bs_dev *d)
{
    struct problem p = problem_of(9, 200, 40, 12);
    size_t i;
    int good;

    for (i = 0; i < p.n; i++)
        p.bias.at[i] = -1000;
    good = problem_good(isa, d, &p);
    p = problem_of(9, 200, 40, 13);
    memset(p.x.at, 0, p.ldx * sizeof(float));
    memset(p.w.at + 10 * p.k, 0, 5 * p.k * sizeof(float));
    good &= problem_good(isa, d, &p);
    p = problem_of(9, 200, 40, 14);
    memset(p.x.at, 0, p.x.n * sizeof(float));
    memset(p.bias.at, 0, p.bias.n * sizeof(float));
    ok(good & problem_good(isa, d, &p), "%s: no value, rows and atoms of zeros",
       isa->name);
}

/* Lengths apart by many powers of ten: rows, atoms, columns, biases. */
static void
test_scales(const struct bs_isa *isa, struct bs_dev *d)
{
    static const float scales[] = {1e-30f, 1e-20f, 1e-10f, 1e-3f, 1,
                                   1e3f,   1e10f,  1e18f,  1e30f};
    size_t variant, i, c;
    int good = 1;

    for (variant = 0; variant < 6; variant++) {
        struct problem p = problem_of(9, 300, 50, 20);

        for (i = 0; i < p.m; i++)
            for (c = 0; c < p.k; c++)
                p.x.at[i * p.ldx + c] *= variant == 2   ? scales[c % 6]
                                         : variant == 4 ? 1e-38f
                                         : variant == 5 ? 1e37f
                                                        : scales[i % 9];
        for (i = 0; i < p.n; i++)
            for (c = 0; c < p.k; c++)
                p.w.at[i * p.k + c] *= variant == 0   ? 1
                                       : variant == 3 ? scales[i % 5]
                                       : variant == 4 ? 1e-6f
                                                      : scales[i % 9];
        for (i = 0; i < p.n; i++)
            p.bias.at[i] *= variant == 3 ? scales[i % 9] : 1e-10f;
        good &= problem_good(isa, d, &p);
    }
    ok(good, "%s: lengths from 1e-38 to 1e37", isa->name);
}

/* A few columns far larger than the rest: rounding takes much away. */
static void
test_tails(const struct bs_isa *isa, struct bs_dev *d)
{
    struct problem p = problem_of(12, 1500, 96, 31);
    size_t i;

    for (i = 0; i < p.m; i++)
        p.x.at[i * p.ldx + 5] *= 3000;
    for (i = 0; i < p.n; i++) {
        p.w.at[i * p.k + 5] = 0;
        p.w.at[i * p.k + 7] *= i % 10 == 0 ? 300 : 1;
    }
    ok(problem_good(isa, d, &p), "%s: columns that stand out", isa->name);
}

/* Values of 64 columns, 16 each: of all rows, all atoms, and one odd atom. */
struct pattern {
    float x[4], atom[4], odd[4];
};

/* The odd atom is the largest, by far, and the screened products say that it is
 * the least: nothing but their bound can keep it. */
static int
odd_good(const struct bs_isa *isa, struct bs_dev *d, const struct pattern *a)
{
    struct problem p = problem_of(3, 300, 64, 61);
    size_t i, c;
    const size_t odd = 211;

    for (c = 0; c < p.k; c++) {
        for (i = 0; i < p.m; i++)
            p.x.at[i * p.ldx + c] = a->x[c / 16];
        for (i = 0; i < p.n; i++)
            p.w.at[i * p.k + c] = i == odd ? a->odd[c / 16] : a->atom[c / 16];
    }
    memset(p.bias.at, 0, p.n * sizeof(float));
    return problem_good(isa, d, &p);
}

static void
test_bounds(const struct bs_isa *isa, struct bs_dev *d)
{
    const float down = 1 + 0.99f / 256, up = 1 + 0.51f / 128; /* in bf16 */
    const float more = 1 + 1.0f / 128, less = 1 - 1.0f / 256; /* exact */
    const struct pattern atoms = {
        {1, 1, 1, 1}, {more, 1, 1, 1}, {down, down, down, down}};
    const struct pattern rows = {
        {down, down, up, up}, {0, 0, less, less}, {1, 1, 0, 0}};

    ok(odd_good(isa, d, &atoms), "%s: what rounding takes from atoms",
       isa->name);
    ok(odd_good(isa, d, &rows), "%s: what rounding takes from rows", isa->name);
}

/* The same by the order of the sum: column by column all ones are lost. */
static void
test_order(const struct bs_isa *isa, struct bs_dev *d)
{
    struct problem p = problem_of(3, 300, 64, 62);
    size_t i;

    for (i = 0; i < p.m * p.ldx; i++)
        p.x.at[i] = i % p.ldx < p.k ? 1 : NAN;
    for (i = 0; i < p.n * p.k; i++)
        p.w.at[i] = i / p.k == 211 ? 1 : 0.5f;
    p.w.at[211 * p.k] = 0x1p24f;
    p.w.at[211 * p.k + 48] = -0x1p24f;
    memset(p.bias.at, 0, p.n * sizeof(float));
    ok(problem_good(isa, d, &p), "%s: sums of another order", isa->name);
}

static void
test_threads(const struct bs_isa *isa)
{
    unsigned threads;

    for (threads = 1; threads <= (staged_slow(isa) ? 1 : 4); threads++) {
        struct problem p =
            problem_of(staged_slow(isa) ? 131 : 150, 500, 60, 41);
        struct bs_dev *d = open_isa(isa, threads);
        size_t i;

        /* The bounds of the last rows, which CUDA looks at apart, are others.
         */
        for (i = 128 * p.ldx; i < p.m * p.ldx; i++)
            p.x.at[i] *= 3000;
        if (threads == 4)
            set_ties(&p, 0);
        ok(problem_good(isa, d, &p), "%s: %u threads", isa->name, threads);
        bs_dev_close(d);
    }
}

/* ---- bad input -------------------------------------------------------------
 */

static void
test_values(struct bs_dev *d)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    struct problem p = problem_of(9, 40, 21, 51);
    struct floats out = floats_of(2 * p.m, 1, 1);
    struct bs_encoder *enc;
    size_t i;

    for (i = 0; i < BS_LEN(bad); i++) {
        float *x = &p.x.at[7 * p.ldx + 20], *w = &p.w.at[39 * p.k];
        float held = *w;

        *w = bad[i];
        ok(bs_dev_encoder(d, &enc, p.w.at, p.bias.at, p.n, p.k,
                          BS_SCREEN_AUTO) == -BS_EX_DATA &&
               strstr(bs_dev_error(d)->text, "row 39 ") != NULL,
           "a weight of %g", (double)bad[i]);
        d->err.code = 0;
        *w = held;
        held = p.bias.at[3];
        p.bias.at[3] = bad[i];
        ok(bs_dev_encoder(d, &enc, p.w.at, p.bias.at, p.n, p.k,
                          BS_SCREEN_AUTO) == -BS_EX_DATA &&
               strstr(bs_dev_error(d)->text, "row 3 ") != NULL,
           "a bias of %g", (double)bad[i]);
        d->err.code = 0;
        p.bias.at[3] = held;
        ok(bs_dev_encoder(d, &enc, p.w.at, NULL, p.n, p.k, BS_SCREEN_AUTO) == 0,
           "an encoder without bias");
        held = *x;
        *x = bad[i];
        {
            struct bs_mem val = {out.at, 4 * p.m};
            struct bs_mem idx = {out.at + p.m, 4 * p.m};

            ok(bs_dev_encode_topk(d, enc, &p.x.mem, p.ldx, p.m, 1, &idx,
                                  &val) == -BS_EX_DATA &&
                   strstr(bs_dev_error(d)->text, "row 7 ") != NULL,
               "a row with %g: %s", (double)bad[i], bs_dev_error(d)->text);
        }
        d->err.code = 0;
        *x = held;
        bs_dev_encoder_free(d, enc);
    }
    floats_free(&out);
    ok(problem_free(&p), "sentinels");
}

static void
test_misuse(struct bs_dev *d)
{
    struct problem p = problem_of(4, 10, 6, 61);
    struct floats out = floats_of(4, 1, 1);
    struct bs_ragged r = {0};
    struct bs_encoder *enc;
    float threshold;

    ok(bs_dev_encoder(d, &enc, p.w.at, NULL, p.n, p.k, BS_SCREEN_LOW) == 0,
       "an encoder");
    ok(bs_dev_encode_topk(d, enc, &p.x.mem, p.ldx, p.m, 0, &out.mem,
                          &out.mem) == -BS_EX_SOFTWARE &&
           bs_dev_encode_topk(d, enc, &p.x.mem, p.ldx, p.m, 11, &out.mem,
                              &out.mem) == -BS_EX_SOFTWARE,
       "a top of none, of more than there are");
    ok(bs_dev_encode_topk(d, enc, &p.x.mem, p.ldx, p.m, 2, &out.mem,
                          &out.mem) == -BS_EX_SOFTWARE &&
           bs_dev_encode_topk(d, enc, &p.x.mem, 5, p.m, 1, &out.mem,
                              &out.mem) == -BS_EX_SOFTWARE &&
           bs_dev_encode_topk(d, enc, &p.x.mem, SIZE_MAX / 4, p.m, 1, &out.mem,
                              &out.mem) == -BS_EX_SOFTWARE,
       "memory too small, rows that overlap, rows past all memory");
    d->err.code = 0;
    memset(p.tau.at, 0, p.n * sizeof(float));
    ok(bs_dev_encode_threshold(d, enc, &p.x.mem, p.ldx, p.m, p.tau.at, false, 1,
                               &r) == -BS_EX_DATA,
       "more values than the limit: %s", bs_dev_error(d)->text);
    d->err.code = 0;
    ok(bs_dev_encode_batch(d, enc, &p.x.mem, p.ldx, p.m, 0, &r, &threshold) ==
           -BS_EX_SOFTWARE,
       "a batch of none");
    bs_ragged_release(&r);
    bs_dev_encoder_free(d, enc);
    d->err.code = 0;
    floats_free(&out);
    ok(problem_free(&p), "sentinels");
}

/* Values that are hard to tell apart. */
static void
test_hard_values(const struct bs_isa *isa, struct bs_dev *d)
{
    test_large(isa, d);
    test_ties(isa, d);
    test_equals(isa, d);
    test_signs(isa, d);
    test_scales(isa, d);
    test_tails(isa, d);
    test_bounds(isa, d);
    test_order(isa, d);
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
        if (!races_only(&isa[i]))
            test_hard_values(&isa[i], d);
        bs_dev_close(d);
        if (!races_only(&isa[i]))
            test_threads(&isa[i]);
    }
    d = open_isa(&isa[0], 1);
    test_values(d);
    test_misuse(d);
    bs_dev_close(d);
    return tap_done();
}
