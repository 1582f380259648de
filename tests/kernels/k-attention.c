/*
 * k-attention.c - attention on every instruction set against a softmax in
 * double: lengths around the blocks, head sizes, NaN, large scores, and
 * results that do not depend on threads or on the batch.
 */
#include "tests/kernels/compare.h"

struct shape {
    size_t batch, tokens, heads, dim;
};

static struct floats
qkv_of(const struct shape *s, float scale)
{
    return floats_of(s->batch * s->tokens * 3 * s->heads * s->dim, scale, 7);
}

static struct floats
out_of(const struct shape *s)
{
    return floats_of(s->batch * s->tokens * s->heads * s->dim, 1, 8);
}

static int
run(struct bs_dev *d, const struct shape *s, struct floats *qkv,
    struct floats *out, enum bs_math math)
{
    return bs_dev_attention(d, &qkv->mem, &out->mem, s->batch, s->tokens,
                            s->heads, s->dim, math);
}

/* Where q (part 0), k (1) or v (2) of a row and head begins. */
static const float *
part_of(const struct shape *s, const struct floats *qkv, size_t row,
        size_t part, size_t head)
{
    return qkv->at + ((row * 3 + part) * s->heads + head) * s->dim;
}

/* The weights of one query's keys. */
static void
softmax_row(const struct shape *s, const struct floats *qkv, size_t image,
            size_t token, size_t head, double *p)
{
    const float *q = part_of(s, qkv, image * s->tokens + token, 0, head);
    double max = (double)-INFINITY, sum = 0;
    size_t t, c;

    for (t = 0; t < s->tokens; t++) {
        const float *k = part_of(s, qkv, image * s->tokens + t, 1, head);

        p[t] = 0;
        for (c = 0; c < s->dim; c++)
            p[t] += (double)q[c] * (double)k[c];
        p[t] /= sqrt((double)s->dim);
        max = p[t] > max ? p[t] : max;
    }
    for (t = 0; t < s->tokens; t++)
        sum += p[t] = exp(p[t] - max);
    for (t = 0; t < s->tokens; t++)
        p[t] /= sum;
}

/* Compare one output row of one head; tolerance is of the largest |v|. */
static int
row_good(const struct shape *s, const struct floats *qkv,
         const struct floats *out, size_t row, size_t head, double tolerance,
         double *p)
{
    size_t image = row / s->tokens, t, c;
    const float *got = out->at + (row * s->heads + head) * s->dim;
    double largest = 0;

    softmax_row(s, qkv, image, row % s->tokens, head, p);
    for (t = 0; t < s->tokens; t++)
        for (c = 0; c < s->dim; c++)
            largest =
                fmax(largest, fabs((double)part_of(
                                  s, qkv, image * s->tokens + t, 2, head)[c]));
    for (c = 0; c < s->dim; c++) {
        double want = 0;

        for (t = 0; t < s->tokens; t++)
            want += p[t] *
                    (double)part_of(s, qkv, image * s->tokens + t, 2, head)[c];
        if (!near((double)got[c], want, tolerance * largest)) {
            printf("# %zu x %zu x %zu x %zu: row %zu head %zu column %zu is "
                   "%.9g, wanted %.9g +- %.2g\n",
                   s->batch, s->tokens, s->heads, s->dim, row, head, c,
                   (double)got[c], want, tolerance * largest);
            return 0;
        }
    }
    return 1;
}

static int
case_good(struct bs_dev *d, const struct shape *s, enum bs_math math,
          float scale)
{
    struct floats qkv = qkv_of(s, scale), out = out_of(s);
    double *p = need(bs_alloc(s->tokens * sizeof *p));
    double tolerance = math == BS_MATH_F32 ? 2e-6 : 1e-2;
    size_t rows = s->batch * s->tokens, row, head;
    size_t step = rows * s->heads * s->tokens * s->dim / 1000000 + 1;
    int good = run(d, s, &qkv, &out, math) == 0;

    for (row = 0; row < rows && good; row += step)
        for (head = 0; head < s->heads && good; head++)
            good = row_good(s, &qkv, &out, row, head, tolerance, p);
    if (rows > 0 && s->heads > 0 && s->dim > 0 && good)
        good = row_good(s, &qkv, &out, rows - 1, s->heads - 1, tolerance, p);
    bs_free(p);
    return floats_free(&qkv) & floats_free(&out) & good;
}

static void
test_shapes(const struct bs_isa *isa, struct bs_dev *d, enum bs_math math)
{
    static const size_t tokens[] = {0, 1, 2, 5, 31, 32, 33, 48, 49, 97};
    static const size_t dims[] = {1,  2,  7,  8,  15,  16, 17,
                                  32, 33, 64, 80, 255, 256};
    static const struct shape large[] = {
        {1, 257, 3, 64}, {2, 261, 2, 64}, {1, 511, 1, 40},  {1, 512, 1, 64},
        {1, 513, 2, 64}, {1, 1025, 1, 9}, {1, 1301, 1, 64}, {5, 3, 7, 64},
    };
    const char *name = math == BS_MATH_F32 ? "f32" : "bf16";
    size_t i, j;
    int good = 1;

    for (i = 0; i < BS_LEN(tokens); i++)
        for (j = 0; j < BS_LEN(dims); j++) {
            struct shape s = {2, tokens[i], 2, dims[j]};

            good &= case_good(d, &s, math, 1.5f);
        }
    ok(good, "%s, %s: %zu small shapes", isa->name, name,
       BS_LEN(tokens) * BS_LEN(dims));
    for (i = 0; i < BS_LEN(large); i++)
        ok(case_good(d, &large[i], math, 1.5f), "%s, %s: %zu x %zu x %zu x %zu",
           isa->name, name, large[i].batch, large[i].tokens, large[i].heads,
           large[i].dim);
}

/* Scores so far apart that most weights vanish, in later blocks of keys too. */
static void
test_peaked(const struct bs_isa *isa, struct bs_dev *d)
{
    const struct shape s = {1, 700, 1, 16};
    struct floats qkv = qkv_of(&s, 1), out = out_of(&s);
    size_t t, c;
    int good;

    for (t = 0; t < s.tokens; t++) {
        float *row = qkv.at + t * 3 * s.dim;

        for (c = 0; c < s.dim; c++) {
            row[c] = 100;
            row[s.dim + c] = (float)t;
            row[2 * s.dim + c] = (float)t;
        }
    }
    good = run(d, &s, &qkv, &out, BS_MATH_F32) == 0;
    for (t = 0; t < s.tokens * s.dim; t++)
        good &= out.at[t] == (float)(s.tokens - 1);
    ok(floats_free(&qkv) & floats_free(&out) & good,
       "%s: a dominant last key takes all", isa->name);
}

/* NaN in q: its own row; in k: every row of the head; in v: a column of it.
 * Other heads and sequences stay clean. */
static void
test_nan(const struct bs_isa *isa, struct bs_dev *d, enum bs_math math)
{
    const struct shape s = {2, 600, 2, 20};
    static const size_t places[] = {0, 299, 599};
    size_t part, i, row, c;
    int good = 1;

    for (part = 0; part < 3; part++)
        for (i = 0; i < BS_LEN(places); i++) {
            struct floats qkv = qkv_of(&s, 1), out = out_of(&s);
            size_t bad = s.tokens + places[i];

            qkv.at[((bad * 3 + part) * s.heads + 1) * s.dim + 3] = NAN;
            good &= run(d, &s, &qkv, &out, math) == 0;
            for (row = 0; row < s.batch * s.tokens; row++)
                for (c = 0; c < s.heads * s.dim; c++) {
                    bool hit = row >= s.tokens && c >= s.dim &&
                               (part != 0 || row == bad) &&
                               (part != 2 || c == s.dim + 3);

                    good &= !isnan(out.at[row * s.heads * s.dim + c]) == !hit;
                }
            good &= floats_free(&qkv) & floats_free(&out);
        }
    ok(good, "%s, %s: NaN reaches what depends on it, nothing else", isa->name,
       math == BS_MATH_F32 ? "f32" : "bf16");
}

static void
test_invariance(const struct bs_isa *isa, enum bs_math math)
{
    const struct shape s = {3, 530, 3, 48}, one = {1, 530, 3, 48};
    const char *name = math == BS_MATH_F32 ? "f32" : "bf16";
    struct floats qkv = qkv_of(&s, 1), first = out_of(&s), out = out_of(&s);
    size_t bytes = out.n * sizeof(float), image;
    unsigned threads;
    struct bs_dev *d;
    int good;

    d = open_isa(isa, 1);
    good = run(d, &s, &qkv, &first, math) == 0 &&
           run(d, &s, &qkv, &out, math) == 0 &&
           memcmp(first.at, out.at, bytes) == 0;
    ok(good, "%s, %s: twice the same", isa->name, name);
    bs_dev_close(d);
    for (threads = 2; threads <= 4; threads++) {
        d = open_isa(isa, threads);
        memset(out.at, 0, bytes);
        good = run(d, &s, &qkv, &out, math) == 0 &&
               memcmp(first.at, out.at, bytes) == 0;
        ok(good, "%s, %s: the same on %u threads", isa->name, name, threads);
        bs_dev_close(d);
    }
    d = open_isa(isa, 4);
    memset(out.at, 0, bytes);
    for (image = 0; image < s.batch; image++) {
        struct bs_mem in = {qkv.at + image * qkv.n / 3, qkv.mem.bytes / 3};
        struct bs_mem to = {out.at + image * out.n / 3, out.mem.bytes / 3};

        good &= bs_dev_attention(d, &in, &to, one.batch, one.tokens, one.heads,
                                 one.dim, math) == 0;
    }
    ok(good && memcmp(first.at, out.at, bytes) == 0,
       "%s, %s: the same one by one", isa->name, name);
    bs_dev_close(d);
    ok(floats_free(&qkv) & floats_free(&first) & floats_free(&out),
       "%s, %s: sentinels", isa->name, name);
}

static void
test_misuse(struct bs_dev *d)
{
    struct floats qkv = floats_of(300, 1, 1), out = floats_of(100, 1, 1);

    ok(bs_dev_attention(d, &qkv.mem, &out.mem, 1, 11, 1, 10, BS_MATH_F32) ==
           -BS_EX_SOFTWARE,
       "too small: %s", bs_dev_error(d)->text);
    ok(bs_dev_attention(d, &qkv.mem, &out.mem, 1, 1, 1, 257, BS_MATH_F32) ==
           -BS_EX_SOFTWARE,
       "a head too wide");
    ok(bs_dev_attention(d, &qkv.mem, &out.mem, SIZE_MAX / 2, SIZE_MAX / 2, 9, 9,
                        BS_MATH_F32) == -BS_EX_SOFTWARE,
       "sizes past all memory");
    ok(floats_free(&qkv) & floats_free(&out), "sentinels");
}

int
main(void)
{
    static const enum bs_math maths[] = {BS_MATH_F32, BS_MATH_BF16};
    struct bs_isa isa[6];
    size_t n = isas_to_test(isa), i, m;
    struct bs_dev *d;

    for (i = 0; i < n; i++)
        for (m = 0; m < BS_LEN(maths); m++) {
            if (maths[m] == BS_MATH_BF16 && isa[i].gemm_bf16 == NULL)
                continue; /* the very same code as for f32 */
            d = open_isa(&isa[i], 2);
            test_shapes(&isa[i], d, maths[m]);
            test_peaked(&isa[i], d);
            test_nan(&isa[i], d, maths[m]);
            bs_dev_close(d);
            test_invariance(&isa[i], maths[m]);
        }
    d = open_isa(&isa[0], 1);
    test_misuse(d);
    bs_dev_close(d);
    return tap_done();
}
