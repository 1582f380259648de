/*
 * staged_train.c - the operations of sae_train_ops.h on the staged device.
 */
#include "tests/kernels/staged_own.h"

#define CALL(s, op, ...) \
    ((s).r < 0 ? (s).r : (s).cuda->ops->train->op((s).cuda, __VA_ARGS__))

/* Bytes of f32 [rows, cols]. */
static size_t
bytes_of(size_t rows, size_t cols)
{
    return rows * cols * sizeof(float);
}

/* Rows that a list names; without one: n. */
static size_t
rows_of(const uint32_t *row, size_t n)
{
    size_t rows = row != NULL ? 0 : n, i;

    for (i = 0; row != NULL && i < n; i++)
        rows = rows > row[i] ? rows : (size_t)row[i] + 1;
    return rows;
}

/* The whole of what a test lends. */
static struct bs_mem
lend_memory(struct staged_arrays *s, const struct bs_mem *m, bool written)
{
    struct bs_mem to = {0};

    if (m != NULL && m->p != NULL) {
        to.p = staged_lend(s, m->p, m->bytes, written);
        to.bytes = m->bytes;
    }
    return to;
}

static const void *
staged_host(struct bs_dev *d, const struct bs_mem *m)
{
    return bs_dev_host(staged_cuda(d), m);
}

/* ---- encoders --------------------------------------------------------------
 */

static int
staged_reserve(struct bs_dev *d, struct bs_encoder **out, size_t n, size_t k,
               enum bs_screen screen)
{
    return staged_failed(
        d, bs_dev_encoder_reserve(staged_cuda(d), out, n, k, screen));
}

static int
staged_fill(struct bs_dev *d, struct bs_encoder *enc,
            const struct bs_encoder_rows *from)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};
    struct bs_mem w = lend_memory(&s, from->w, false);
    struct bs_mem bias = lend_memory(&s, from->bias, false);
    struct bs_mem gain = lend_memory(&s, from->gain, false);
    struct bs_mem shift = lend_memory(&s, from->shift, false);
    struct bs_encoder_rows b = *from;

    b.w = &w;
    b.bias = from->bias != NULL ? &bias : NULL;
    b.gain = from->gain != NULL ? &gain : NULL;
    b.shift = from->shift != NULL ? &shift : NULL;
    return staged_finish(&s, d, CALL(s, encoder_fill, enc, &b));
}

/* ---- tokens ----------------------------------------------------------------
 */

static int
staged_tokens(struct bs_dev *d, const float *x, const float *centre, size_t m,
              size_t width, enum bs_math math, float *out, double *mean,
              double *spread)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};

    x = staged_read(&s, x, bytes_of(m, width));
    centre = staged_read(&s, centre, bytes_of(1, width));
    out = staged_lend(&s, out, bytes_of(m, width), true);
    return staged_finish(
        &s, d, CALL(s, tokens, x, centre, m, width, math, out, mean, spread));
}

static int
staged_residual(struct bs_dev *d, const float *x, float *y, size_t n,
                double *squares)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};

    x = staged_read(&s, x, bytes_of(n, 1));
    y = staged_lend(&s, y, bytes_of(n, 1), true);
    return staged_finish(&s, d, CALL(s, residual, x, y, n, squares));
}

static int
staged_row_sum(struct bs_dev *d, const float *x, size_t rows, size_t cols,
               const float *coef, double *out)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};

    x = staged_read(&s, x, bytes_of(rows, cols));
    return staged_finish(&s, d, CALL(s, row_sum, x, rows, cols, coef, out));
}

static int
staged_gram(struct bs_dev *d, const float *x, size_t rows, size_t cols,
            const float *coef, const float *mean, double *out)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};

    x = staged_read(&s, x, bytes_of(rows, cols));
    return staged_finish(&s, d, CALL(s, gram, x, rows, cols, coef, mean, out));
}

/* ---- codes by atom ---------------------------------------------------------
 */

static int
staged_group(struct bs_dev *d, struct bs_groups **g,
             const struct bs_code_rows *codes, size_t concepts)
{
    return staged_failed(d, bs_dev_group(staged_cuda(d), g, codes, concepts));
}

static void
staged_groups_free(struct bs_dev *d, struct bs_groups *g)
{
    bs_dev_groups_free(staged_cuda(d), g);
}

static int
staged_dots(struct bs_dev *d, const struct bs_groups *g, const float *x,
            const float *table, size_t width, float scale, float *out)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};
    size_t rows = g->n > 0 ? (size_t)g->atom[g->n - 1] + 1 : 0;

    x = staged_read(&s, x, bytes_of(g->tokens, width));
    table = staged_read(&s, table, bytes_of(rows, width));
    out = staged_lend(&s, out, bytes_of(g->places, 1), true);
    return staged_finish(&s, d,
                         CALL(s, group_dots, g, x, table, width, scale, out));
}

static int
staged_sum(struct bs_dev *d, const struct bs_groups *g, const float *coef,
           const float *x, size_t width, float scale, float *out, float *total)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};

    coef = staged_read(&s, coef, bytes_of(g->places, 1));
    x = staged_read(&s, x, bytes_of(g->tokens, width));
    out = staged_lend(&s, out, bytes_of(g->n, width), true);
    total = staged_lend(&s, total, bytes_of(g->n, 1), true);
    return staged_finish(
        &s, d, CALL(s, group_sum, g, coef, x, width, scale, out, total));
}

/* ---- rows ------------------------------------------------------------------
 */

static int
staged_copy(struct bs_dev *d, const float *from, const uint32_t *from_row,
            float *to, const uint32_t *to_row, size_t n, size_t cols,
            float scale)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};

    from = staged_read(&s, from, bytes_of(rows_of(from_row, n), cols));
    to = staged_lend(&s, to, bytes_of(rows_of(to_row, n), cols), true);
    return staged_finish(
        &s, d, CALL(s, copy_rows, from, from_row, to, to_row, n, cols, scale));
}

static int
staged_tangent(struct bs_dev *d, float *grad, const float *table,
               const uint32_t *row, size_t n, size_t width)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};

    grad = staged_lend(&s, grad, bytes_of(n, width), true);
    table = staged_read(&s, table, bytes_of(rows_of(row, n), width));
    return staged_finish(&s, d, CALL(s, tangent, grad, table, row, n, width));
}

static int
staged_norm_gradient(struct bs_dev *d, float *grad,
                     const struct bs_norm_gradient *a)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};
    struct bs_mem sparse = lend_memory(&s, a->sparse, false);
    struct bs_norm_gradient b = *a;

    b.sparse = &sparse;
    grad = staged_lend(&s, grad, bytes_of(a->concepts, a->width), true);
    return staged_finish(&s, d, CALL(s, norm_gradient, grad, &b));
}

/* ---- AdamW -----------------------------------------------------------------
 */

static int
staged_adam(struct bs_dev *d, const struct bs_adam *a,
            const struct bs_adam_rows *p, const struct bs_adam_grad *g)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};
    struct bs_mem grad = lend_memory(&s, g->grad, false);
    struct bs_mem common = lend_memory(&s, g->common, false);
    struct bs_adam_rows q = *p;
    struct bs_adam_grad h = *g;

    q.p = lend_memory(&s, &p->p, true);
    q.m = lend_memory(&s, &p->m, true);
    q.v = lend_memory(&s, &p->v, true);
    q.last = lend_memory(&s, &p->last, true);
    h.grad = g->grad != NULL ? &grad : NULL;
    h.common = g->common != NULL ? &common : NULL;
    return staged_finish(&s, d, CALL(s, adam, a, &q, &h));
}

static int
staged_project(struct bs_dev *d, enum bs_project project, float radius,
               float *p, size_t rows, size_t cols)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};

    p = staged_lend(&s, p, bytes_of(rows, cols), true);
    return staged_finish(&s, d,
                         CALL(s, project, project, radius, p, rows, cols));
}

const struct bs_train_ops staged_train_ops = {
    .host = staged_host,
    .encoder_reserve = staged_reserve,
    .encoder_fill = staged_fill,
    .tokens = staged_tokens,
    .residual = staged_residual,
    .row_sum = staged_row_sum,
    .gram = staged_gram,
    .copy_rows = staged_copy,
    .group = staged_group,
    .groups_free = staged_groups_free,
    .group_dots = staged_dots,
    .group_sum = staged_sum,
    .tangent = staged_tangent,
    .norm_gradient = staged_norm_gradient,
    .adam = staged_adam,
    .project = staged_project,
};
