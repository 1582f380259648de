/*
 * sae_train_ops.c - see sae_train_ops.h.  Checks the ranges of every call
 * before the backend sees it.
 */
#include "kernels/sae_train_table.h"

#include "common/mem.h"
#include "kernels/dev_ops.h"
#include "kernels/ranges.h"

/* Bytes of f32 [rows, cols]; SIZE_MAX on overflow, which no memory holds. */
static size_t
bytes_of(size_t rows, size_t cols)
{
    return bs_range_product(rows, cols, sizeof(float));
}

/* bs_range_check for memory that need not be there. */
static int
check_some(struct bs_dev *d, const char *op, const char *what,
           const struct bs_mem *m, size_t bytes)
{
    return m != NULL ? bs_range_check(d, op, what, m, bytes) : 0;
}

static float *
pointer(const struct bs_mem *m)
{
    return m != NULL ? m->p : NULL;
}

const void *
bs_dev_host(struct bs_dev *d, const struct bs_mem *m)
{
    return d->ops->train->host(d, m);
}

/* ---- encoder ---------------------------------------------------------------
 */

int
bs_dev_encoder_reserve(struct bs_dev *d, struct bs_encoder **out, size_t n,
                       size_t k, enum bs_screen screen)
{
    *out = NULL;
    if (n >= BS_CODE_NONE)
        return bs_err_set(&d->err, BS_EX_DATA, "encoder: %zu concepts", n);
    if (bytes_of(n, k) == SIZE_MAX)
        return bs_err_memory(&d->err, "encoder", SIZE_MAX);
    return d->ops->train->encoder_reserve(d, out, n, k, screen);
}

int
bs_dev_encoder_fill(struct bs_dev *d, struct bs_encoder *enc,
                    const struct bs_encoder_rows *from)
{
    size_t last = from->n, i, k = from->width + (from->gain != NULL ? 3 : 0);
    int r;

    for (i = 0; from->rows != NULL && i < from->n; i++)
        if (i == 0 || last <= from->rows[i])
            last = (size_t)from->rows[i] + 1;
    if (k != enc->k || (from->gain != NULL) != (from->shift != NULL))
        return bs_err_set(&d->err, BS_EX_SOFTWARE,
                          "encoder: rows of %zu columns, not %zu", k, enc->k);
    r = bs_range_check(d, "encoder", "w", from->w, bytes_of(last, from->width));
    if (r == 0)
        r = check_some(d, "encoder", "bias", from->bias, bytes_of(last, 1));
    if (r == 0)
        r = check_some(d, "encoder", "gain", from->gain, bytes_of(last, 1));
    if (r == 0)
        r = check_some(d, "encoder", "shift", from->shift, bytes_of(last, 1));
    return r < 0 ? r : d->ops->train->encoder_fill(d, enc, from);
}

/* ---- tokens ----------------------------------------------------------------
 */

int
bs_dev_tokens(struct bs_dev *d, const struct bs_mem *x,
              const struct bs_mem *centre, size_t m, size_t width,
              enum bs_math math, struct bs_mem *out, double *mean,
              double *spread)
{
    int r = bs_range_check(d, "tokens", "x", x, bytes_of(m, width));

    if (r == 0)
        r = check_some(d, "tokens", "centre", centre, bytes_of(1, width));
    if (r == 0)
        r = bs_range_check(d, "tokens", "out", out, bytes_of(m, width));
    if (r < 0)
        return r;
    return d->ops->train->tokens(d, x->p, pointer(centre), m, width, math,
                                 out->p, mean, spread);
}

int
bs_dev_residual(struct bs_dev *d, const struct bs_mem *x, struct bs_mem *y,
                size_t n, double *squares)
{
    int r = bs_range_check(d, "residual", "x", x, bytes_of(n, 1));

    if (r == 0)
        r = bs_range_check(d, "residual", "y", y, bytes_of(n, 1));
    return r < 0 ? r : d->ops->train->residual(d, x->p, y->p, n, squares);
}

int
bs_dev_squares(struct bs_dev *d, const struct bs_mem *x, size_t n,
               double *squares)
{
    int r = bs_range_check(d, "squares", "x", x, bytes_of(n, 1));

    return r < 0 ? r : d->ops->train->residual(d, x->p, NULL, n, squares);
}

int
bs_dev_row_sum(struct bs_dev *d, const struct bs_mem *x, size_t rows,
               size_t cols, const float *coef, double *out)
{
    int r = bs_range_check(d, "row sum", "x", x, bytes_of(rows, cols));

    return r < 0 ? r : d->ops->train->row_sum(d, x->p, rows, cols, coef, out);
}

int
bs_dev_gram(struct bs_dev *d, const struct bs_mem *x, size_t rows, size_t cols,
            const float *coef, const float *mean, double *out)
{
    int r = bs_range_check(d, "gram", "x", x, bytes_of(rows, cols));

    return r < 0 ? r
                 : d->ops->train->gram(d, x->p, rows, cols, coef, mean, out);
}

/* How many rows a table must have. */
static size_t
rows_of(const uint32_t *row, size_t n)
{
    size_t rows = row != NULL ? 0 : n, i;

    for (i = 0; row != NULL && i < n; i++)
        rows = rows > row[i] ? rows : (size_t)row[i] + 1;
    return rows;
}

int
bs_dev_gather(struct bs_dev *d, const struct bs_mem *table, size_t cols,
              const uint32_t *row, size_t n, struct bs_mem *out)
{
    int r = bs_range_check(d, "gather", "table", table,
                           bytes_of(rows_of(row, n), cols));

    if (r == 0)
        r = bs_range_check(d, "gather", "out", out, bytes_of(n, cols));
    return r < 0 ? r
                 : d->ops->train->copy_rows(d, table->p, row, out->p, NULL, n,
                                            cols, 1);
}

int
bs_dev_scatter(struct bs_dev *d, const struct bs_mem *from, float scale,
               size_t cols, const uint32_t *row, size_t n, struct bs_mem *table)
{
    int r = bs_range_check(d, "scatter", "from", from, bytes_of(n, cols));

    if (r == 0)
        r = bs_range_check(d, "scatter", "table", table,
                           bytes_of(rows_of(row, n), cols));
    return r < 0 ? r
                 : d->ops->train->copy_rows(d, from->p, NULL, table->p, row, n,
                                            cols, scale);
}

/* ---- codes by atom ---------------------------------------------------------
 */

int
bs_dev_group(struct bs_dev *d, struct bs_groups **g,
             const struct bs_code_rows *codes, size_t concepts)
{
    int r = bs_check_codes(d, "group", codes, concepts);

    return r < 0 ? r : d->ops->train->group(d, g, codes, concepts);
}

void
bs_dev_groups_free(struct bs_dev *d, struct bs_groups *g)
{
    if (g != NULL)
        d->ops->train->groups_free(d, g);
}

int
bs_dev_group_dots(struct bs_dev *d, const struct bs_groups *g,
                  const struct bs_mem *x, const struct bs_mem *table,
                  size_t concepts, size_t width, float scale,
                  struct bs_mem *out)
{
    int r = bs_range_check(d, "dots", "x", x, bytes_of(g->tokens, width));

    if (r == 0)
        r = bs_range_check(d, "dots", "table", table,
                           bytes_of(concepts, width));
    if (r == 0)
        r = bs_range_check(d, "dots", "out", out, bytes_of(g->places, 1));
    if (r == 0 && g->n > 0 && g->atom[g->n - 1] >= concepts)
        r = bs_err_set(&d->err, BS_EX_SOFTWARE, "dots: concept %u of %zu",
                       g->atom[g->n - 1], concepts);
    return r < 0 ? r
                 : d->ops->train->group_dots(d, g, x->p, table->p, width, scale,
                                             out->p);
}

int
bs_dev_group_sum(struct bs_dev *d, const struct bs_groups *g,
                 const struct bs_mem *coef, const struct bs_mem *x,
                 size_t width, float scale, size_t first, struct bs_mem *out,
                 struct bs_mem *total)
{
    size_t rows;
    int r = bs_range_check(d, "sums", "x", x, bytes_of(g->tokens, width));

    if (!bs_add(first, g->n, &rows))
        rows = SIZE_MAX;
    if (r == 0)
        r = bs_range_check(d, "sums", "coef", coef, bytes_of(g->places, 1));
    if (r == 0)
        r = bs_range_check(d, "sums", "out", out, bytes_of(rows, width));
    if (r == 0)
        r = check_some(d, "sums", "total", total, bytes_of(rows, 1));
    if (r < 0 || g->n == 0)
        return r;
    return d->ops->train->group_sum(
        d, g, coef->p, x->p, width, scale, (float *)out->p + first * width,
        total != NULL ? (float *)total->p + first : NULL);
}

int
bs_dev_tangent(struct bs_dev *d, struct bs_mem *grad,
               const struct bs_mem *table, const uint32_t *row, size_t n,
               size_t width)
{
    int r = bs_range_check(d, "tangent", "grad", grad, bytes_of(n, width));

    if (r == 0)
        r = bs_range_check(d, "tangent", "table", table,
                           bytes_of(rows_of(row, n), width));
    return r < 0 ? r
                 : d->ops->train->tangent(d, grad->p, table->p, row, n, width);
}

int
bs_dev_norm_gradient(struct bs_dev *d, struct bs_mem *grad,
                     const struct bs_norm_gradient *a)
{
    size_t slots = 0, j;
    int r = bs_range_check(d, "norm", "grad", grad,
                           bytes_of(a->concepts, a->width));

    for (j = 0; j < a->concepts; j++)
        if (a->slot[j] != BS_CODE_NONE && a->slot[j] >= slots)
            slots = (size_t)a->slot[j] + 1;
    if (r == 0 && slots > 0)
        r = bs_range_check(d, "norm", "sparse", a->sparse,
                           bytes_of(slots, a->width));
    return r < 0 ? r : d->ops->train->norm_gradient(d, grad->p, a);
}

/* ---- AdamW -----------------------------------------------------------------
 */

static int
check_rows(struct bs_dev *d, const struct bs_adam_rows *p)
{
    size_t bytes = bytes_of(p->rows, p->cols);
    int r = bs_range_check(d, "adam", "p", &p->p, bytes);

    if (r == 0)
        r = bs_range_check(d, "adam", "m", &p->m, bytes);
    if (r == 0)
        r = bs_range_check(d, "adam", "v", &p->v, bytes);
    if (r == 0 && p->last.p != NULL)
        r = bs_range_check(d, "adam", "last", &p->last, bytes_of(p->rows, 1));
    return r;
}

/* Rows must be there, and their gradients. */
static int
check_grad(struct bs_dev *d, const struct bs_adam_rows *p,
           const struct bs_adam_grad *g)
{
    size_t grads = 0, i;

    for (i = 0; i < g->n; i++) {
        size_t row = g->row != NULL ? g->row[i] : i;
        size_t at = g->first + i;

        if (row >= p->rows)
            return bs_err_set(&d->err, BS_EX_SOFTWARE, "adam: row %zu of %zu",
                              row, p->rows);
        if (g->slot != NULL)
            at = g->slot[row];
        if (g->slot != NULL && g->slot[row] == BS_CODE_NONE)
            continue;
        grads = grads > at ? grads : at + 1;
    }
    if (g->common != NULL && bs_range_check(d, "adam", "common", g->common,
                                            bytes_of(1, p->cols)) < 0)
        return -d->err.code;
    return check_some(d, "adam", "grad", g->grad, bytes_of(grads, p->cols));
}

int
bs_dev_adam(struct bs_dev *d, const struct bs_adam *a,
            const struct bs_adam_rows *p, const struct bs_adam_grad *g)
{
    int r = check_rows(d, p);

    if (r == 0)
        r = check_grad(d, p, g);
    if (r < 0 || g->n == 0 || p->cols == 0)
        return r;
    return d->ops->train->adam(d, a, p, g);
}

int
bs_dev_project(struct bs_dev *d, enum bs_project project, float radius,
               struct bs_mem *p, size_t rows, size_t cols)
{
    int r = bs_range_check(d, "project", "p", p, bytes_of(rows, cols));

    if (r < 0 || project == BS_PROJECT_NONE || rows == 0 || cols == 0)
        return r;
    return d->ops->train->project(d, project, radius, p->p, rows, cols);
}
