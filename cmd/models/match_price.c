/*
 * match_price.c - all pairs held against the prices of a matching.
 *
 * With row prices u and column prices v as bs_assign leaves them, no matching
 * is better if weight <= u + v for every pair, candidate or not.  For a row
 * this needs no product where u is at least the cosine of the last of its
 * nearest atoms; nor where, since its pairs were looked at, its price has risen
 * by as much as any column's has fallen.
 */
#include <math.h>
#include <stdlib.h>

#include "cmd/models/match_own.h"

/* Pairs so little below their prices are soon above them: candidates too. */
#define NEAR 0.005

enum { SPREAD = 4 /* columns that become candidates of a row at once */ };

/* ---- which rows -----------------------------------------------------------
 */

/* By how much a column's price has fallen, at most; may be below 0. */
static int64_t
largest_fall(const struct bs_matcher *m, const struct bs_match_round *t)
{
    int64_t fall = INT64_MIN;
    size_t i;

    for (i = 0; i < m->cols->count; i++)
        if (t->v_before[i] - t->v[i] > fall)
            fall = t->v_before[i] - t->v[i];
    return fall;
}

/* The rows some of whose pairs may exceed their prices, but for those of length
 * 0. */
static size_t
pick_rows(const struct bs_matcher *m, struct bs_match_round *t)
{
    int64_t fall = largest_fall(m, t);
    size_t n = 0, i;

    for (i = 0; i < m->rows->count; i++) {
        bool known =
            t->priced && !t->open[i] && t->u[i] - t->u_before[i] >= fall;

        t->open[i] = false;
        t->excess[i] = 0;
        if (!known && m->rows->norm[i] > 0 &&
            m->beyond[i] > bs_match_real(t->u[i]))
            m->pick[n++] = (uint32_t)i;
    }
    memcpy(t->u_before, t->u, m->rows->count * sizeof *t->u);
    memcpy(t->v_before, t->v, m->cols->count * sizeof *t->v);
    t->priced = true;
    return n;
}

/* ---- atoms of length 0 ----------------------------------------------------
 */

struct priced {
    int64_t price;
    uint32_t col;
};

static int
compare_priced(const void *a, const void *b)
{
    const struct priced *x = a, *y = b;

    if (x->price != y->price)
        return x->price < y->price ? -1 : 1;
    return x->col < y->col ? -1 : x->col > y->col;
}

/* The columns, or those of length 0, cheapest first; how many. */
static size_t
sort_columns(const struct bs_matcher *m, const struct bs_match_round *t,
             bool all, struct priced *cheap)
{
    size_t n = 0, i;

    for (i = 0; i < m->cols->count; i++)
        if (all || m->cols->norm[i] == 0)
            cheap[n++] = (struct priced){t->v[i], (uint32_t)i};
    qsort(cheap, n, sizeof *cheap, compare_priced);
    return n;
}

/* Pairs of weight 0: the rows of length 0 with all columns, or the others with
 * the columns of length 0.  The cheapest column is best; each row gets some
 * more of the cheap ones, others than the row before. */
static ptrdiff_t
price_zeros(struct bs_matcher *m, struct bs_match_round *t, bool zero_rows,
            struct bs_err *e)
{
    struct priced *cheap = bs_alloc_array(m->cols->count, sizeof *cheap);
    size_t n, i, k, at = 0;
    ptrdiff_t found = 0;
    int r = 0;

    if (cheap == NULL)
        return bs_err_memory(e, "columns", m->cols->count * sizeof *cheap);
    n = sort_columns(m, t, zero_rows, cheap);
    for (i = 0; i < m->rows->count && n > 0 && r == 0; i++) {
        int64_t weight = -t->u[i] - cheap[0].price;

        if (weight <= 0 || (m->rows->norm[i] == 0) != zero_rows)
            continue;
        found++;
        t->excess[i] = bs_match_real(weight);
        r = bs_match_pairs_add(&m->pairs, (uint32_t)i, cheap[0].col, e);
        for (k = 0; k < SPREAD && r == 0; k++, at = (at + 1) % n)
            r = bs_match_pairs_add(&m->pairs, (uint32_t)i, cheap[at].col, e);
    }
    bs_free(cheap);
    return r < 0 ? r : found;
}

/* ---- the others -----------------------------------------------------------
 */

/* The shift of all sums that leaves none of interest below 0; those of columns
 * of length 0 are of none. */
static double
fill_bias(const struct bs_matcher *m, const struct bs_match_round *t,
          size_t picked, double *most)
{
    double shift = 0;
    size_t i;

    for (i = 0; i < picked; i++)
        shift = fmax(shift, -bs_match_real(t->u[m->pick[i]]));
    shift += 2 * NEAR;
    *most = shift;
    for (i = 0; i < m->cols->count; i++) {
        t->bias[i] = m->cols->norm[i] > 0
                         ? (float)(shift - bs_match_real(t->v[i]))
                         : -1.0f;
        *most = fmax(*most, fabs((double)t->bias[i]));
    }
    return shift;
}

/* One row's list: what exceeds its prices, or nearly does, becomes a candidate;
 * how many exceed them. */
static ptrdiff_t
price_row(struct bs_matcher *m, struct bs_match_round *t, size_t at,
          double shift, double error, struct bs_err *e)
{
    const uint32_t *idx = m->idx + at * m->top;
    const float *val = m->val + at * m->top;
    uint32_t row = m->pick[at];
    double over = 0;
    ptrdiff_t found = 0;
    size_t k;

    for (k = 0; k < m->top && idx[k] != BS_CODE_NONE; k++) {
        int64_t weight;

        over = (double)val[k] - shift + error - bs_match_real(t->u[row]);
        if (over <= -NEAR)
            return found;
        weight = bs_match_cosine(m->rows, row, m->cols, idx[k]);
        if (t->magnitude && weight < 0)
            weight = -weight;
        weight -= t->u[row] + t->v[idx[k]];
        t->excess[row] = fmax(t->excess[row], bs_match_real(weight));
        if (bs_match_real(weight) > -NEAR &&
            bs_match_pairs_add(&m->pairs, row, idx[k], e) < 0)
            return -e->code;
        found += weight > 0;
    }
    if (k == m->top && m->top < m->cols->count && over > 0) {
        t->open[row] = true;
        t->excess[row] = fmax(t->excess[row], over);
    }
    return found;
}

ptrdiff_t
bs_match_price(struct bs_matcher *m, struct bs_match_round *t, struct bs_err *e)
{
    size_t n = pick_rows(m, t), i;
    double most, shift = fill_bias(m, t, n, &most);
    double error = bs_nearest_error(m->cols->width, most) + BS_COSINE_UNIT;
    struct bs_nearest q = {.x = m->rows->unit,
                           .pick = m->pick,
                           .n = n,
                           .w = m->cols->unit,
                           .bias = t->bias,
                           .count = m->cols->count,
                           .width = m->cols->width,
                           .watch = m->options->watch};
    ptrdiff_t found = price_zeros(m, t, true, e), here;
    int sign;

    if (found >= 0) {
        here = price_zeros(m, t, false, e);
        found = here < 0 ? here : found + here;
    }
    q.top = m->top = q.count < BS_MATCH_TOP ? q.count : BS_MATCH_TOP;
    for (sign = 0; sign <= t->magnitude && found >= 0; sign++) {
        q.opposite = sign == 1;
        if (bs_nearest(&q, m->dev, m->idx, m->val, e) < 0)
            return -e->code;
        for (i = 0; i < n; i++) {
            here = price_row(m, t, i, shift, error, e);
            if (here < 0)
                return here;
            found += here;
        }
    }
    return found;
}
