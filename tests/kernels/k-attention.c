/*
 * k-attention.c - attention on every instruction set against a softmax in
 * double: lengths around the blocks, head sizes, keys of another number than
 * queries, causal masks, NaN, large scores, and results that do not depend on
 * threads or on the batch.
 */
#include "tests/kernels/compare.h"

struct shape {
    size_t batch, queries, keys, heads, dim;
    bool causal;
};

/* Operands of a call; rows of each have a gap of their own behind them. */
struct call {
    struct shape s;
    struct floats q, k, v, out;
    size_t ldq, ldk, ldv, ldo;
};

static void
call_init(struct call *c, const struct shape *s, float scale)
{
    size_t width = s->heads * s->dim;

    c->s = *s;
    c->ldq = width + 3;
    c->ldk = width + 1;
    c->ldv = width;
    c->ldo = width + 2;
    c->q = floats_of(s->batch * s->queries * c->ldq, scale, 7);
    c->k = floats_of(s->batch * s->keys * c->ldk, scale, 8);
    c->v = floats_of(s->batch * s->keys * c->ldv, scale, 9);
    c->out = floats_of(s->batch * s->queries * c->ldo, 1, 10);
}

static int
call_release(struct call *c)
{
    return floats_free(&c->q) & floats_free(&c->k) & floats_free(&c->v) &
           floats_free(&c->out);
}

/* The images from `first` on, `count` of them. */
static int
run_images(struct bs_dev *d, const struct call *c, enum bs_math math,
           size_t first, size_t count)
{
    size_t q = first * c->s.queries * sizeof(float);
    size_t k = first * c->s.keys * sizeof(float);
    struct bs_attention a = {
        .q = bs_mem_from(&c->q.mem, q * c->ldq),
        .k = bs_mem_from(&c->k.mem, k * c->ldk),
        .v = bs_mem_from(&c->v.mem, k * c->ldv),
        .out = bs_mem_from(&c->out.mem, q * c->ldo),
        .ldq = c->ldq,
        .ldk = c->ldk,
        .ldv = c->ldv,
        .ldo = c->ldo,
        .batch = count,
        .queries = c->s.queries,
        .keys = c->s.keys,
        .heads = c->s.heads,
        .dim = c->s.dim,
        .causal = c->s.causal,
        .math = math,
    };

    return bs_dev_attention(d, &a);
}

static int
run(struct bs_dev *d, const struct call *c, enum bs_math math)
{
    return run_images(d, c, math, 0, c->s.batch);
}

/* Query `i` of an image sees the keys before this. */
static size_t
seen(const struct shape *s, size_t i)
{
    return s->causal ? i + 1 : s->keys;
}

/* The weights of one query's keys. */
static void
softmax_row(const struct call *c, size_t image, size_t i, size_t head,
            double *p)
{
    const struct shape *s = &c->s;
    const float *q =
        c->q.at + (image * s->queries + i) * c->ldq + head * s->dim;
    double max = (double)-INFINITY, sum = 0;
    size_t t, j;

    for (t = 0; t < seen(s, i); t++) {
        const float *k =
            c->k.at + (image * s->keys + t) * c->ldk + head * s->dim;

        p[t] = 0;
        for (j = 0; j < s->dim; j++)
            p[t] += (double)q[j] * (double)k[j];
        p[t] /= sqrt((double)s->dim);
        max = p[t] > max ? p[t] : max;
    }
    for (t = 0; t < seen(s, i); t++)
        sum += p[t] = exp(p[t] - max);
    for (t = 0; t < seen(s, i); t++)
        p[t] /= sum;
}

/* Compare one output row of one head; tolerance is of the largest |v|. */
static int
row_good(const struct call *c, size_t row, size_t head, double tolerance,
         double *p)
{
    const struct shape *s = &c->s;
    size_t image = row / s->queries, i = row % s->queries, t, j;
    const float *got = c->out.at + row * c->ldo + head * s->dim;
    const float *v = c->v.at + image * s->keys * c->ldv + head * s->dim;
    double largest = 0;

    softmax_row(c, image, i, head, p);
    for (t = 0; t < seen(s, i); t++)
        for (j = 0; j < s->dim; j++)
            largest = fmax(largest, fabs((double)v[t * c->ldv + j]));
    for (j = 0; j < s->dim; j++) {
        double want = 0;

        for (t = 0; t < seen(s, i); t++)
            want += p[t] * (double)v[t * c->ldv + j];
        if (!near((double)got[j], want, tolerance * largest)) {
            printf("# %zu x %zu of %zu x %zu x %zu: row %zu head %zu column "
                   "%zu is %.9g, wanted %.9g +- %.2g\n",
                   s->batch, s->queries, s->keys, s->heads, s->dim, row, head,
                   j, (double)got[j], want, tolerance * largest);
            return 0;
        }
    }
    return 1;
}

/* What lies behind the rows of out is as before. */
static int
gaps_good(const struct call *c)
{
    size_t rows = c->s.batch * c->s.queries, width = c->s.heads * c->s.dim;
    struct floats before = floats_of(rows * c->ldo, 1, 10);
    size_t i, j;
    int good = 1;

    for (i = 0; i < rows; i++)
        for (j = width; j < c->ldo; j++)
            good &= c->out.at[i * c->ldo + j] == before.at[i * c->ldo + j];
    return floats_free(&before) & good;
}

static int
case_good(struct bs_dev *d, const struct shape *s, enum bs_math math,
          float scale)
{
    double *p = need(bs_alloc(s->keys * sizeof *p));
    double tolerance = math == BS_MATH_F32 ? 2e-6 : 1e-2;
    size_t rows = s->batch * s->queries, row, head;
    size_t step = rows * s->heads * s->keys * s->dim / 1000000 + 1;
    struct call c;
    int good;

    call_init(&c, s, scale);
    good = run(d, &c, math) == 0 && gaps_good(&c);
    for (row = 0; row < rows && good; row += step)
        for (head = 0; head < s->heads && good; head++)
            good = row_good(&c, row, head, tolerance, p);
    if (rows > 0 && s->heads > 0 && s->dim > 0 && good)
        good = row_good(&c, rows - 1, s->heads - 1, tolerance, p);
    bs_free(p);
    return call_release(&c) & good;
}

static void
test_shapes(const struct bs_isa *isa, struct bs_dev *d, enum bs_math math)
{
    static const size_t tokens[] = {1, 2, 5, 31, 32, 33, 48, 49, 97};
    static const size_t dims[] = {1,  2,  7,  8,  15,  16, 17,
                                  32, 33, 64, 80, 257, 512};
    /* A library sees no masks, and whole runs of 8 columns; else it is as
     * above.
     */
    const bool library = isa->name == bs_isa_libraries.name;
    static const struct shape large[] = {
        {1, 257, 257, 3, 64, false},  {1, 257, 77, 3, 64, false},
        {2, 261, 261, 2, 64, false},  {1, 511, 511, 1, 40, false},
        {1, 512, 512, 1, 64, false},  {1, 513, 513, 2, 64, false},
        {1, 1025, 1025, 1, 9, false}, {1, 1301, 1301, 1, 64, true},
        {5, 3, 3, 7, 64, false},      {2, 1024, 77, 2, 40, false},
        {1, 1, 1500, 2, 24, false},   {2, 77, 77, 3, 64, true},
        {1, 600, 600, 1, 512, false}, {0, 5, 5, 2, 8, false},
        {3, 0, 5, 2, 8, false},
    };
    const char *name = math == BS_MATH_F32 ? "f32" : "bf16";
    size_t i, j, k, number = 0;
    int good = 1;

    for (i = 0; i < BS_LEN(tokens); i++)
        for (j = 0; j < BS_LEN(dims); j++)
            for (k = 0; k < 3; k++) {
                size_t keys = k < 2 ? tokens[i] : tokens[(i * 5 + j) % 9];
                struct shape s = {2, tokens[i], keys, 2, dims[j], k == 1};

                if (!left_out(isa, number++, 0))
                    good &= case_good(d, &s, math, 1.5f);
            }
    ok(good, "%s, %s: %zu small shapes", isa->name, name,
       3 * BS_LEN(tokens) * BS_LEN(dims));
    for (i = 0; i < BS_LEN(large); i++)
        if (!(library && (large[i].causal || large[i].dim % 8 != 0)) &&
            !left_out(isa, 0,
                      (double)(large[i].queries * large[i].keys *
                               large[i].heads * large[i].dim)))
            ok(case_good(d, &large[i], math, 1.5f),
               "%s, %s: %zu x %zu of %zu x %zu x %zu%s", isa->name, name,
               large[i].batch, large[i].queries, large[i].keys, large[i].heads,
               large[i].dim, large[i].causal ? ", causal" : "");
}

/* Scores so far apart that most weights vanish, in later blocks of keys too. */
static void
test_peaked(const struct bs_isa *isa, struct bs_dev *d, bool causal)
{
    const size_t n = staged_slow(isa) ? 150 : 700;
    const struct shape s = {1, n, n, 1, 16, causal};
    struct call c;
    size_t t, j;
    int good;

    call_init(&c, &s, 1);
    for (t = 0; t < s.keys; t++)
        for (j = 0; j < s.dim; j++) {
            c.q.at[t * c.ldq + j] = 100;
            c.k.at[t * c.ldk + j] = (float)t;
            c.v.at[t * c.ldv + j] = (float)t;
        }
    good = run(d, &c, BS_MATH_F32) == 0;
    for (t = 0; t < s.queries; t++)
        for (j = 0; j < s.dim; j++)
            good &= c.out.at[t * c.ldo + j] == (float)(seen(&s, t) - 1);
    ok(call_release(&c) & good, "%s: a dominant last key takes all%s",
       isa->name, causal ? ", causal" : "");
}

/* NaN in q: its own row; in k: every row of the head; in v: a column of it.
 * Other heads and sequences stay clean. */
static void
test_nan(const struct bs_isa *isa, struct bs_dev *d, enum bs_math math)
{
    const size_t n = staged_slow(isa) ? 70 : 600;
    const size_t dim = isa->name == bs_isa_libraries.name ? 24 : 20;
    const struct shape s = {2, n, n, 2, dim, false};
    const size_t places[] = {0, n / 2 - 1, n - 1};
    size_t part, i, row, j;
    int good = 1;

    for (part = 0; part < 3; part++)
        for (i = 0; i < BS_LEN(places); i++) {
            size_t bad = s.queries + places[i], column = s.dim + 3;
            struct call c;

            call_init(&c, &s, 1);
            if (part == 0)
                c.q.at[bad * c.ldq + column] = NAN;
            if (part == 1)
                c.k.at[bad * c.ldk + column] = NAN;
            if (part == 2)
                c.v.at[bad * c.ldv + column] = NAN;
            good &= run(d, &c, math) == 0;
            for (row = 0; row < s.batch * s.queries; row++)
                for (j = 0; j < s.heads * s.dim; j++) {
                    bool hit = row >= s.queries && j >= s.dim &&
                               (part != 0 || row == bad) &&
                               (part != 2 || j == column);

                    good &= !isnan(c.out.at[row * c.ldo + j]) == !hit;
                }
            good &= call_release(&c);
        }
    ok(good, "%s, %s: NaN reaches what depends on it, nothing else", isa->name,
       math == BS_MATH_F32 ? "f32" : "bf16");
}

/* Causal: what stands behind a query does not reach it. */
static void
test_future(const struct bs_isa *isa, struct bs_dev *d)
{
    const size_t n = staged_slow(isa) ? 165 : 650, from = n / 2 + 8;
    const struct shape s = {1, n, n, 2, 20, true};
    struct call c, changed;
    size_t j;
    int good;

    call_init(&c, &s, 1);
    call_init(&changed, &s, 1);
    for (j = from * c.ldk; j < s.keys * c.ldk; j++)
        changed.k.at[j] *= -3;
    for (j = from * c.ldv; j < s.keys * c.ldv; j++)
        changed.v.at[j] += 5;
    good = run(d, &c, BS_MATH_F32) == 0 && run(d, &changed, BS_MATH_F32) == 0;
    good &= memcmp(c.out.at, changed.out.at, from * c.ldo * sizeof(float)) == 0;
    good &= memcmp(c.out.at + from * c.ldo, changed.out.at + from * c.ldo,
                   c.ldo * sizeof(float)) != 0;
    ok(call_release(&c) & call_release(&changed) & good,
       "%s: a causal query does not see what comes", isa->name);
}

/* Run the call anew, on so many threads, whole or image by image. */
static int
same(const struct bs_isa *isa, const struct call *first, unsigned threads,
     bool whole, enum bs_math math)
{
    struct bs_dev *d = open_isa(isa, threads);
    struct call c;
    size_t image;
    int good = 1;

    call_init(&c, &first->s, 1);
    if (whole)
        good = run(d, &c, math) == 0;
    for (image = 0; image < c.s.batch && !whole; image++)
        good &= run_images(d, &c, math, image, 1) == 0;
    good &= memcmp(first->out.at, c.out.at, c.out.mem.bytes) == 0;
    bs_dev_close(d);
    return call_release(&c) & good;
}

/* The threads share queries of one head, heads, or sequences. */
static void
test_invariance(const struct bs_isa *isa, const struct shape *s,
                enum bs_math math)
{
    const char *name = math == BS_MATH_F32 ? "f32" : "bf16";
    struct bs_dev *d = open_isa(isa, 1);
    struct call first;
    unsigned threads;

    call_init(&first, s, 1);
    ok(run(d, &first, math) == 0, "%s, %s: %zu x %zu of %zu", isa->name, name,
       s->batch, s->queries, s->keys);
    bs_dev_close(d);
    for (threads = 1; threads <= most_threads(isa); threads++)
        ok(same(isa, &first, threads, true, math),
           "%s, %s: the same on %u threads", isa->name, name, threads);
    ok(same(isa, &first, 4, false, math), "%s, %s: the same one by one",
       isa->name, name);
    ok(call_release(&first), "%s, %s: sentinels", isa->name, name);
}

static void
test_misuse(struct bs_dev *d)
{
    const struct shape s = {1, 10, 10, 1, 10, false};
    struct call c;

    call_init(&c, &s, 1);
    c.s.queries = 11;
    ok(run(d, &c, BS_MATH_F32) == -BS_EX_SOFTWARE, "too small: %s",
       bs_dev_error(d)->text);
    c.s.queries = 10;
    c.s.keys = 11;
    ok(run(d, &c, BS_MATH_F32) == -BS_EX_SOFTWARE, "too few keys: %s",
       bs_dev_error(d)->text);
    c.s.keys = 0;
    ok(run(d, &c, BS_MATH_F32) == -BS_EX_SOFTWARE, "no keys: %s",
       bs_dev_error(d)->text);
    c.s.keys = 9;
    c.s.causal = true;
    ok(run(d, &c, BS_MATH_F32) == -BS_EX_SOFTWARE, "causal: %s",
       bs_dev_error(d)->text);
    c.s = s;
    c.ldk = 9;
    ok(run(d, &c, BS_MATH_F32) == -BS_EX_SOFTWARE, "rows too close: %s",
       bs_dev_error(d)->text);
    c.ldk = 11;
    c.s.dim = 513;
    ok(run(d, &c, BS_MATH_F32) == -BS_EX_SOFTWARE, "a head too wide: %s",
       bs_dev_error(d)->text);
    c.s.dim = 10;
    c.s.queries = SIZE_MAX / 2;
    c.s.batch = SIZE_MAX / 2;
    ok(run(d, &c, BS_MATH_F32) == -BS_EX_SOFTWARE, "sizes past all memory");
    ok(call_release(&c), "sentinels");
}

int
main(void)
{
    static const enum bs_math maths[] = {BS_MATH_F32, BS_MATH_BF16};
    static const struct shape shared[] = {{3, 530, 530, 3, 48, false},
                                          {3, 530, 530, 1, 48, true},
                                          {2, 300, 77, 5, 40, false}};
    struct bs_isa isa[DEVICES];
    size_t n = libraries_to_test(isa, devices_to_test(isa)), i, m, s;
    struct bs_dev *d;

    for (i = 0; i < n; i++)
        for (m = 0; m < BS_LEN(maths); m++) {
            if (maths[m] == BS_MATH_BF16 && isa[i].gemm_bf16 == NULL)
                continue; /* the very same code as for f32 */
            if (maths[m] == BS_MATH_F32 && isa[i].name == bs_isa_libraries.name)
                continue; /* no library computes it */
            d = open_isa(&isa[i], 2);
            test_shapes(&isa[i], d, maths[m]);
            test_nan(&isa[i], d, maths[m]);
            if (isa[i].name != bs_isa_libraries.name) {
                test_peaked(&isa[i], d, false); /* in f32 */
                test_peaked(&isa[i], d, true);
                test_future(&isa[i], d);
            }
            bs_dev_close(d);
            for (s = 0; s < BS_LEN(shared); s++)
                if (!(shared[s].causal &&
                      isa[i].name == bs_isa_libraries.name) &&
                    !left_out(&isa[i], 0,
                              (double)(shared[s].batch * shared[s].queries *
                                       shared[s].keys * shared[s].heads *
                                       shared[s].dim)))
                    test_invariance(&isa[i], &shared[s], maths[m]);
        }
    d = open_isa(&isa[0], 1);
    test_misuse(d);
    bs_dev_close(d);
    return tap_done();
}
