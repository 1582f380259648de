/*
 * k-sae-train-adam.c - AdamW against a plain loop of torch's single-tensor
 * steps, bit for bit, on the CPU and on CUDA, with every projection: rows that
 * missed steps, gradients by row, by slot and shared, long rows, and what a
 * projection must survive.
 */
#include "tests/kernels/compare.h"

#include "kernels/sae_train_ops.h"

/* ---- plain -----------------------------------------------------------------
 */

static double
plain_total(const float *p, size_t n, bool square)
{
    double total = 0;
    size_t first, i, half;

    for (first = 0; first < n; first += 1024) {
        float sum[16] = {0};

        for (i = first; i < n && i < first + 1024; i++)
            sum[(i - first) % 16] += square ? p[i] * p[i] : p[i];
        for (half = 8; half > 0; half /= 2)
            for (i = 0; i < half; i++)
                sum[i] += sum[i + half];
        total += (double)sum[0];
    }
    return total;
}

static void
plain_project(enum bs_project kind, float radius, float *p, size_t n)
{
    float by = 1, length;
    size_t i;

    if (kind == BS_PROJECT_NONE)
        return;
    for (i = 0; kind == BS_PROJECT_SIMPLEX && i < n; i++)
        if (!(p[i] > 0))
            p[i] = 0;
    if (kind == BS_PROJECT_SIMPLEX) {
        by = (float)plain_total(p, n, false) + 1e-8f;
    } else {
        length = (float)sqrt(plain_total(p, n, true));
        by = length + 1e-8f;
        if (kind == BS_PROJECT_BALL) {
            for (i = 0; length > 0 && radius / length < 1 && i < n; i++)
                p[i] *= radius / length;
            return;
        }
    }
    for (i = 0; i < n; i++)
        p[i] /= by;
}

/* One operation a line, as torch has them. */
static void
plain_step(const struct bs_adam *a, uint32_t t, float *p, float *m, float *v,
           const float *g, float scale, size_t n)
{
    const struct bs_adam_step *s = &a->steps[t];
    size_t i;

    for (i = 0; i < n; i++) {
        volatile float grad = g != NULL ? scale * g[i] : 0, x, y;

        x = p[i] * s->keep;
        p[i] = x;
        x = grad - m[i];
        if (a->toward1 < 0.5f) {
            x = a->toward1 * x;
            m[i] = m[i] + x;
        } else {
            x = x * (1 - a->toward1);
            m[i] = grad - x;
        }
        x = v[i] * a->keep2;
        y = a->toward2 * grad;
        y = y * grad;
        v[i] = x + y;
        x = sqrtf(v[i]);
        x = x / s->root;
        x = x + a->eps;
        y = -s->rate * m[i];
        y = y / x;
        p[i] = p[i] + y;
    }
    plain_project(a->project, a->radius, p, n);
}

/* ---- problems --------------------------------------------------------------
 */

#define STEPS 9

/* Every so many-th of the cases below is run. */
static size_t every = 1, cases;

struct problem {
    struct bs_adam a;
    struct bs_adam_step steps[STEPS + 1];
    size_t rows, cols;
    struct floats p, m, v, grad, common;
    uint32_t *last, *slot, *row;
    float *want; /* [3][rows, cols]: p, m, v */
};

static struct problem *
problem_of(size_t rows, size_t cols, enum bs_project project, float toward1)
{
    struct problem *b = need(bs_alloc_array(1, sizeof *b));
    size_t n = rows * cols, i;
    uint32_t t;

    b->rows = rows;
    b->cols = cols;
    for (t = 1; t <= STEPS; t++)
        b->steps[t] =
            (struct bs_adam_step){1 - 0.001f * (float)t, 0.05f / (float)t,
                                  1 / (float)(STEPS + 1 - t)};
    b->a = (struct bs_adam){b->steps, STEPS, toward1, 0.99f,
                            0.01f,    1e-8f, project, 0.5f};
    b->p = floats_of(n, 1, 1);
    b->m = floats_of(n, 0.1f, 2);
    b->v = floats_of(n, 0.1f, 3);
    b->grad = floats_of(n, 1, 4);
    b->common = floats_of(cols, 1, 5);
    for (i = 0; i < n; i++)
        b->v.at[i] = fabsf(b->v.at[i]);
    /* Rows never met: any, one of zeros, at a corner of the simplex, one that
     * only looks so. */
    for (i = 0; i < n && i < 4 * cols; i++)
        b->m.at[i] = b->v.at[i] = 0;
    if (rows > 3)
        b->p.at[3 * cols] = 1;
    for (i = cols; i < n && i < 3 * cols; i++)
        b->p.at[i] = i == 2 * cols + cols / 2;
    b->last = need(bs_alloc_array(rows, sizeof *b->last));
    b->slot = need(bs_alloc_array(rows, sizeof *b->slot));
    b->row = need(bs_alloc_array(rows, sizeof *b->row));
    b->want = need(bs_alloc_array(3 * n, sizeof *b->want));
    for (i = 0; i < rows; i++) {
        b->last[i] = (uint32_t)(i % (STEPS + 1));
        b->slot[i] = i % 3 == 0 ? BS_CODE_NONE : (uint32_t)(i / 3);
        b->row[i] = (uint32_t)(rows - 1 - i);
    }
    memcpy(b->want, b->p.at, n * sizeof(float));
    memcpy(b->want + n, b->m.at, n * sizeof(float));
    memcpy(b->want + 2 * n, b->v.at, n * sizeof(float));
    return b;
}

static int
problem_free(struct problem *b)
{
    int good = floats_free(&b->p) & floats_free(&b->m) & floats_free(&b->v) &
               floats_free(&b->grad) & floats_free(&b->common);

    bs_free(b->last);
    bs_free(b->slot);
    bs_free(b->row);
    bs_free(b->want);
    bs_free(b);
    return good;
}

static const float *
gradient_of(const struct problem *b, const struct bs_adam_grad *g, size_t i,
            size_t row)
{
    const float *common = g->common != NULL ? b->common.at : NULL;

    if (g->slot != NULL)
        return g->slot[row] == BS_CODE_NONE
                   ? common
                   : b->grad.at + g->slot[row] * b->cols;
    return g->grad == NULL ? common : b->grad.at + (g->first + i) * b->cols;
}

/* Run the operation and the plain loop. */
static int
agrees(struct bs_dev *d, struct problem *b, const struct bs_adam_grad *g,
       bool late)
{
    struct bs_adam_rows rows = {b->p.mem, b->m.mem, b->v.mem,
                                {0},      b->rows,  b->cols};
    size_t n = b->rows * b->cols, i;
    int good = 1;

    for (i = 0; i < g->n; i++) {
        size_t row = g->row != NULL ? g->row[i] : i, at = row * b->cols;
        uint32_t t = late ? b->last[row] : STEPS - 1;

        for (t++; t <= STEPS; t++)
            plain_step(&b->a, t, b->want + at, b->want + n + at,
                       b->want + 2 * n + at,
                       t == STEPS ? gradient_of(b, g, i, row) : NULL, g->scale,
                       b->cols);
    }
    if (late)
        rows.last = (struct bs_mem){b->last, b->rows * sizeof *b->last};
    good &= bs_dev_adam(d, &b->a, &rows, g) == 0;
    good &=
        n == 0 || (memcmp(b->p.at, b->want, n * sizeof(float)) == 0 &&
                   memcmp(b->m.at, b->want + n, n * sizeof(float)) == 0 &&
                   memcmp(b->v.at, b->want + 2 * n, n * sizeof(float)) == 0);
    for (i = 0; late && i < g->n; i++)
        good &= b->last[g->row != NULL ? g->row[i] : i] == STEPS;
    return good;
}

/* ---- tests -----------------------------------------------------------------
 */

static int
shape_good(struct bs_dev *d, size_t rows, size_t cols, enum bs_project project,
           float toward1)
{
    int kind, good = 1;

    for (kind = 0; kind < 6; kind++) {
        struct bs_adam_grad g = {.n = rows, .scale = 0.7f};
        struct problem *b;

        if (cases++ % every != 0)
            continue;
        b = problem_of(rows, cols, project, toward1);
        if (kind == 1 || kind == 2)
            g.grad = &b->grad.mem;
        if (kind == 2) {
            g.row = b->row;
            g.n = rows / 2;
            g.first = rows - g.n;
        }
        if (kind == 3 || kind == 4) {
            g.slot = b->slot;
            g.grad = &b->grad.mem;
        }
        if (kind >= 4)
            g.common = &b->common.mem;
        good &= agrees(d, b, &g, kind % 2 == 0);
        good &= problem_free(b);
    }
    return good;
}

static void
test_shapes(struct bs_dev *d, const char *name)
{
    static const size_t shapes[][2] = {{0, 5},    {1, 1},    {4, 3},
                                       {30, 1},   {13, 17},  {40, 70},
                                       {3, 1025}, {2, 40000}};
    static const enum bs_project projects[] = {
        BS_PROJECT_NONE, BS_PROJECT_UNIT, BS_PROJECT_BALL, BS_PROJECT_SIMPLEX};
    size_t i, j;

    for (j = 0; j < BS_LEN(projects); j++) {
        int good = 1;

        for (i = 0; i < BS_LEN(shapes); i++)
            good &=
                shape_good(d, shapes[i][0], shapes[i][1], projects[j], 0.1f) &
                shape_good(d, shapes[i][0], shapes[i][1], projects[j], 0.6f);
        ok(good, "%s: the bits of plain AdamW, projection %zu", name, j);
    }
}

static void
test_project(struct bs_dev *d)
{
    struct floats p = floats_of(4 * 3, 1, 1);
    int i, finite = 1;

    memset(p.at, 0, 12 * sizeof(float));
    p.at[3] = 3;
    p.at[4] = -4;
    ok(bs_dev_project(d, BS_PROJECT_BALL, 0, &p.mem, 4, 3) == 0 &&
           p.at[3] == 0 && p.at[4] == 0,
       "a ball of radius 0");
    p.at[3] = 3;
    p.at[4] = -4;
    ok(bs_dev_project(d, BS_PROJECT_BALL, 2.5f, &p.mem, 4, 3) == 0 &&
           p.at[3] == 1.5f && p.at[4] == -2,
       "a row too long");
    ok(bs_dev_project(d, BS_PROJECT_BALL, 2.5f, &p.mem, 4, 3) == 0 &&
           p.at[3] == 1.5f && p.at[4] == -2,
       "a row that is not");
    ok(bs_dev_project(d, BS_PROJECT_UNIT, 0, &p.mem, 4, 3) == 0 &&
           near((double)p.at[3], 0.6, 1e-7) &&
           near((double)p.at[4], -0.8, 1e-7),
       "length 1");
    ok(bs_dev_project(d, BS_PROJECT_SIMPLEX, 0, &p.mem, 4, 3) == 0 &&
           p.at[3] == 1 && p.at[4] == 0,
       "not negative, sum 1");
    for (i = 0; i < 12; i++)
        finite &= isfinite(p.at[i]) && (i == 3 || p.at[i] == 0);
    ok(finite, "rows of zeros stay so");
    ok(floats_free(&p), "sentinels");
}

static void
test_bad(struct bs_dev *d)
{
    struct problem *b = problem_of(4, 3, BS_PROJECT_NONE, 0.1f);
    struct bs_adam_rows rows = {b->p.mem, b->m.mem, b->v.mem, {0}, 4, 3};
    struct bs_adam_grad g = {.n = 5, .grad = &b->grad.mem};

    ok(bs_dev_adam(d, &b->a, &rows, &g) == -BS_EX_SOFTWARE,
       "a row that is not there: %s", bs_dev_error(d)->text);
    d->err.code = 0;
    g.n = 2;
    g.first = 3;
    ok(bs_dev_adam(d, &b->a, &rows, &g) == -BS_EX_SOFTWARE,
       "a gradient that is not there: %s", bs_dev_error(d)->text);
    d->err.code = 0;
    rows.cols = 4;
    ok(bs_dev_adam(d, &b->a, &rows, &g) == -BS_EX_SOFTWARE,
       "a parameter too small: %s", bs_dev_error(d)->text);
    d->err.code = 0;
    ok(problem_free(b), "sentinels");
}

/* There are no inner loops of an instruction set. */
static void
test_all(const struct bs_isa *isa, unsigned threads, const char *name)
{
    struct bs_dev *d = open_isa(isa, threads);

    test_shapes(d, name);
    if (threads == 1) {
        test_project(d);
        test_bad(d);
    }
    bs_dev_close(d);
}

int
main(void)
{
    struct bs_isa isa[DEVICES];
    size_t n = devices_to_test(isa);

    if (isa[0].name != bs_isa_cuda.name) {
        test_all(&isa[0], 1, "a thread");
        test_all(&isa[0], 3, "three threads");
    }
    every = case_step(&isa[n - 1]);
    if (isa[n - 1].name == bs_isa_cuda.name)
        test_all(&isa[n - 1], 1, isa[n - 1].name);
    return tap_done();
}
