/*
 * k-sae-decode.c - rows from sparse codes on every instruction set: widths and
 * counts of all remainders, unused places, ragged codes, threads, bad codes.
 */
#include "tests/kernels/compare.h"

#include "kernels/sae_ops.h"

struct problem {
    size_t m, top, concepts, width;
    struct bs_code_rows codes;
    uint32_t *idx, *ptr;
    struct floats val, dict, bias, y;
};

static struct problem
problem_of(size_t m, size_t top, size_t width, bool ragged)
{
    struct problem p = {.m = m, .top = top, .concepts = 50, .width = width};
    uint32_t state = 5;
    size_t i;

    p.idx = need(bs_alloc_array(m * top, sizeof *p.idx));
    p.ptr = need(bs_alloc_array(m + 1, sizeof *p.ptr));
    p.val = floats_of(m * top, 2, 1);
    p.dict = floats_of(p.concepts * width, 1, 2);
    p.bias = floats_of(width, 1, 3);
    p.y = floats_of(m * width, 1, 4);
    for (i = 0; i < m * top; i++) {
        p.idx[i] = (uint32_t)(fabsf(random_of(&state)) * 49);
        if (!ragged && i % top > i / top % (top + 1)) {
            p.idx[i] = BS_CODE_NONE;
            p.val.at[i] = 0;
        }
    }
    for (i = 0; i < m; i++)
        p.ptr[i + 1] = p.ptr[i] + (uint32_t)(i * 3 % (top + 1));
    p.codes = (struct bs_code_rows){m, ragged ? 0 : top, ragged ? p.ptr : NULL,
                                    p.idx, p.val.at};
    return p;
}

static int
problem_free(struct problem *p)
{
    bs_free(p->idx);
    bs_free(p->ptr);
    return floats_free(&p->val) & floats_free(&p->dict) &
           floats_free(&p->bias) & floats_free(&p->y);
}

static int
run(struct bs_dev *d, struct problem *p, bool bias)
{
    return bs_dev_decode(d, &p->codes, &p->dict.mem, p->concepts, p->width,
                         bias ? &p->bias.mem : NULL, &p->y.mem);
}

static int
rows_good(const struct problem *p, bool bias)
{
    size_t i, j, l;

    for (i = 0; i < p->m; i++) {
        size_t first = p->codes.ptr != NULL ? p->ptr[i] : i * p->top;
        size_t end = p->codes.ptr != NULL ? p->ptr[i + 1] : first + p->top;

        for (j = 0; j < p->width; j++) {
            double sum = bias ? (double)p->bias.at[j] : 0, size = fabs(sum);

            for (l = first; l < end; l++) {
                double product;

                if (p->idx[l] == BS_CODE_NONE)
                    continue;
                product = (double)p->val.at[l] *
                          (double)p->dict.at[p->idx[l] * p->width + j];
                sum += product;
                size += fabs(product);
            }
            if (!near((double)p->y.at[i * p->width + j], sum, 1e-6 * size)) {
                printf("# row %zu, column %zu\n", i, j);
                return 0;
            }
        }
    }
    return 1;
}

static void
test_shapes(const struct bs_isa *isa)
{
    static const size_t ms[] = {0, 1, 15, 16, 17, 33};
    static const size_t tops[] = {1, 5, 31};
    static const size_t widths[] = {0, 1, 31, 32, 33, 65, 770};
    struct bs_dev *d = open_isa(isa, 2);
    size_t i, j, l;
    int good = 1, bits;

    for (i = 0; i < BS_LEN(ms); i++)
        for (j = 0; j < BS_LEN(tops); j++)
            for (l = 0; l < BS_LEN(widths); l++)
                for (bits = 0; bits < 4; bits++) {
                    struct problem p =
                        problem_of(ms[i], tops[j], widths[l], (bits & 1) != 0);

                    good &= run(d, &p, (bits & 2) != 0) == 0 &&
                            rows_good(&p, (bits & 2) != 0);
                    good &= problem_free(&p);
                }
    ok(good, "%s: shapes, with bias and without, ragged and not", isa->name);
    bs_dev_close(d);
}

/* The order of the sums is fixed: the same bits everywhere. */
static void
test_same(const struct bs_isa *isa, const float *want, size_t n)
{
    unsigned threads;

    for (threads = 1; threads <= 4; threads++) {
        struct problem p = problem_of(133, 9, 100, false);
        struct bs_dev *d = open_isa(isa, threads);
        int good = run(d, &p, true) == 0 &&
                   memcmp(p.y.at, want, n * sizeof *want) == 0;

        ok(problem_free(&p) & good, "%s: the same on %u threads", isa->name,
           threads);
        bs_dev_close(d);
    }
}

static void
test_bad(struct bs_dev *d)
{
    struct problem p = problem_of(6, 4, 10, false);
    struct problem r = problem_of(6, 4, 10, true);

    p.idx[0] = 50;
    ok(run(d, &p, false) == -BS_EX_DATA, "a concept that is not there: %s",
       bs_dev_error(d)->text);
    d->err.code = 0;
    p.idx[0] = 49;
    p.codes.m = 7;
    ok(run(d, &p, false) == -BS_EX_SOFTWARE, "y too small: %s",
       bs_dev_error(d)->text);
    d->err.code = 0;
    r.ptr[3] = r.ptr[2] - 1;
    ok(run(d, &r, false) == -BS_EX_DATA, "a row of less than nothing: %s",
       bs_dev_error(d)->text);
    d->err.code = 0;
    r.ptr[0] = 1;
    ok(run(d, &r, false) == -BS_EX_DATA, "codes before the first row: %s",
       bs_dev_error(d)->text);
    ok(problem_free(&p) & problem_free(&r), "sentinels");
}

int
main(void)
{
    struct bs_isa isa[DEVICES];
    size_t n = devices_to_test(isa), i;
    struct problem first = problem_of(133, 9, 100, false);
    struct bs_dev *d = open_isa(&isa[0], 1);

    ok(run(d, &first, true) == 0 && rows_good(&first, true), "133 rows");
    for (i = 0; i < n; i++) {
        test_shapes(&isa[i]);
        test_same(&isa[i], first.y.at, first.y.n);
    }
    test_bad(d);
    problem_free(&first);
    bs_dev_close(d);
    return tap_done();
}
