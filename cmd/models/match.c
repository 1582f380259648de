/*
 * match.c - see match.h.
 *
 * Rows are the atoms of the smaller dictionary, columns those of the other.
 */
#include "cmd/models/match.h"

#include <math.h>

#include "cmd/models/match_own.h"

enum { ROUNDS = 500 };

/* ---- candidates -----------------------------------------------------------
 */

/* The nearest atoms of `to` for each of `of`, both with a length; cosine + 1,
 * so that all are above 0.  Returns how many were looked up, or < 0. */
static ptrdiff_t
look_up(struct bs_matcher *m, const struct bs_atoms *of,
        const struct bs_atoms *to, bool opposite, struct bs_err *e)
{
    struct bs_nearest q = {.x = of->unit,
                           .pick = m->pick,
                           .opposite = opposite,
                           .w = to->unit,
                           .count = to->count,
                           .width = to->width,
                           .watch = m->options->watch};
    float *bias = bs_alloc_array(to->count, sizeof *bias);
    size_t i;
    int r;

    if (bias == NULL)
        return bs_err_memory(e, "bias", to->count * sizeof *bias);
    for (i = 0; i < to->count; i++)
        bias[i] = to->norm[i] > 0 ? 1.0f : -1.0f;
    for (i = 0; i < of->count; i++)
        if (of->norm[i] > 0)
            m->pick[q.n++] = (uint32_t)i;
    q.bias = bias;
    q.top = m->top = to->count < BS_MATCH_TOP ? to->count : BS_MATCH_TOP;
    r = bs_nearest(&q, m->dev, m->idx, m->val, e);
    bs_free(bias);
    return r < 0 ? r : (ptrdiff_t)q.n;
}

/* What the last of a row's list leaves for those that are not in it. */
static double
least_of(const struct bs_matcher *m, size_t at)
{
    size_t last = (at + 1) * m->top - 1;

    if (m->top == m->cols->count)
        return -INFINITY;
    return (m->idx[last] != BS_CODE_NONE ? (double)m->val[last] - 1 : -1) +
           bs_nearest_error(m->cols->width, 1);
}

/* The pairs of a list, whose rows are rows or columns. */
static int
add_list(struct bs_matcher *m, size_t at, bool by_rows, struct bs_err *e)
{
    uint32_t i = m->pick[at];
    size_t k;
    int r = 0;

    for (k = at * m->top; k < (at + 1) * m->top && r == 0; k++)
        if (m->idx[k] != BS_CODE_NONE)
            r = by_rows ? bs_match_pairs_add(&m->pairs, i, m->idx[k], e)
                        : bs_match_pairs_add(&m->pairs, m->idx[k], i, e);
    return r;
}

static int
add_candidates(struct bs_matcher *m, bool opposite, struct bs_err *e)
{
    ptrdiff_t n = look_up(m, m->rows, m->cols, opposite, e), i;
    int r = n < 0 ? (int)n : 0;

    for (i = 0; i < n && r == 0; i++) {
        double *beyond = &m->beyond[m->pick[i]];

        *beyond = fmax(*beyond, least_of(m, (size_t)i));
        r = add_list(m, (size_t)i, true, e);
    }
    if (r == 0) {
        n = look_up(m, m->cols, m->rows, opposite, e);
        r = n < 0 ? (int)n : 0;
    }
    for (i = 0; i < n && r == 0; i++)
        r = add_list(m, (size_t)i, false, e);
    /* So that there is a matching of all rows. */
    for (i = 0; i < (ptrdiff_t)m->rows->count && r == 0; i++)
        r = bs_match_pairs_add(&m->pairs, (uint32_t)i, (uint32_t)i, e);
    return r < 0 ? r : bs_match_pairs_settle(&m->pairs, m->pool, e);
}

/* ---- a matching -----------------------------------------------------------
 */

static int
round_open(struct bs_match_round *t, const struct bs_matcher *m, bool magnitude,
           struct bs_err *e)
{
    size_t rows = m->rows->count, cols = m->cols->count, i;

    *t = (struct bs_match_round){.magnitude = magnitude};
    t->match = bs_alloc_array(rows, sizeof *t->match);
    t->u = bs_alloc_array(rows, sizeof *t->u);
    t->v = bs_alloc_array(cols, sizeof *t->v);
    t->u_before = bs_alloc_array(rows, sizeof *t->u_before);
    t->v_before = bs_alloc_array(cols, sizeof *t->v_before);
    t->open = bs_alloc_array(rows, sizeof *t->open);
    t->excess = bs_alloc_array(rows, sizeof *t->excess);
    t->bias = bs_alloc_array(cols, sizeof *t->bias);
    if (t->match == NULL || t->u == NULL || t->v == NULL ||
        t->u_before == NULL || t->v_before == NULL || t->open == NULL ||
        t->excess == NULL || t->bias == NULL)
        return bs_err_memory(e, "matching", cols);
    for (i = 0; i < rows; i++)
        t->match[i] = BS_ASSIGN_NONE;
    return 0;
}

static void
round_close(struct bs_match_round *t)
{
    bs_free(t->match);
    bs_free(t->u);
    bs_free(t->v);
    bs_free(t->u_before);
    bs_free(t->v_before);
    bs_free(t->open);
    bs_free(t->excess);
    bs_free(t->bias);
}

/* Match over the candidates. */
static int
assign(struct bs_matcher *m, struct bs_match_round *t, struct bs_err *e)
{
    struct bs_assign_graph g;
    int r = bs_match_pairs_graph(&m->pairs, t->magnitude, &g, e);

    if (r == 0)
        r = bs_assign(&g, t->match, t->u, t->v, e);
    bs_match_graph_release(&g);
    return r;
}

/* Until no pair exceeds its prices. */
static int
solve(struct bs_matcher *m, struct bs_match_round *t, struct bs_err *e)
{
    ptrdiff_t found = 1;
    unsigned i;
    int r = 0;

    for (i = 0; i < ROUNDS && found > 0 && r == 0; i++, m->rounds++) {
        r = assign(m, t, e);
        found = r == 0 ? bs_match_price(m, t, e) : 0;
        if (found > 0)
            r = bs_match_pairs_settle(&m->pairs, m->pool, e);
    }
    return found < 0 ? (int)found : r;
}

/* From rows and columns to own and other. */
static int
take(struct bs_matching *to, const struct bs_matcher *m,
     const struct bs_match_round *t, const struct bs_atoms *own,
     struct bs_err *e)
{
    size_t rows = m->rows->count, i;
    int64_t sum = 0;
    double gap = 0;

    to->partner = bs_alloc_array(own->count, sizeof *to->partner);
    to->cosine = bs_alloc_array(own->count, sizeof *to->cosine);
    if (to->partner == NULL || to->cosine == NULL)
        return bs_err_memory(e, "matching", own->count);
    for (i = 0; i < own->count; i++) {
        to->partner[i] = BS_MATCH_NONE;
        to->cosine[i] = NAN;
    }
    for (i = 0; i < rows; i++) {
        uint32_t row = (uint32_t)i, col = t->match[i];
        int64_t cosine = bs_match_pairs_get(&m->pairs, row, col);
        size_t at = own == m->rows ? row : col;

        to->partner[at] = own == m->rows ? col : row;
        to->cosine[at] = bs_match_real(cosine);
        sum += t->magnitude && cosine < 0 ? -cosine : cosine;
        gap += t->excess[i];
    }
    to->mean = bs_match_real(sum) / (double)rows;
    to->gap = gap / (double)rows + 2 * BS_COSINE_UNIT;
    return 0;
}

static int
make(struct bs_match *out, struct bs_matcher *m, enum bs_match_kind kind,
     const struct bs_atoms *own, struct bs_err *e)
{
    struct bs_match_round t;
    int r = round_open(&t, m, kind == BS_MATCH_SIGNED, e);

    if (r == 0)
        r = solve(m, &t, e);
    if (r == 0)
        r = take(&out->kind[kind], m, &t, own, e);
    round_close(&t);
    return r;
}

/* ---- largest cosines ------------------------------------------------------
 */

/* 0 where one has no length, so that its cosine with all is 0; else -1. */
static double
least_cosine(const struct bs_atoms *a)
{
    size_t i;

    for (i = 0; i < a->count; i++)
        if (a->norm[i] == 0)
            return 0;
    return -1;
}

/* The mean over rows, or over columns, of the largest of their pairs. */
static double
mean_of_largest(const struct bs_matcher *m, bool rows, double *largest)
{
    const struct bs_atoms *of = rows ? m->rows : m->cols;
    double least = least_cosine(rows ? m->cols : m->rows), sum = 0;
    size_t i;

    for (i = 0; i < of->count; i++)
        largest[i] = of->norm[i] > 0 ? least : 0;
    for (i = 0; i < m->pairs.count; i++) {
        uint64_t key = m->pairs.key[i];
        double *to = &largest[rows ? key >> 32 : (uint32_t)key];

        *to = fmax(*to, bs_match_real(m->pairs.cosine[i]));
    }
    for (i = 0; i < of->count; i++)
        sum += largest[i];
    return sum / (double)of->count;
}

static int
find_largest(struct bs_match *out, const struct bs_matcher *m,
             const struct bs_atoms *own, struct bs_err *e)
{
    double *largest = bs_alloc_array(m->cols->count, sizeof *largest);
    size_t i;

    if (largest == NULL)
        return bs_err_memory(e, "cosines", m->cols->count);
    out->mean_own = mean_of_largest(m, own == m->rows, largest);
    out->mean_other = mean_of_largest(m, own != m->rows, largest);
    out->max = fmax(least_cosine(m->rows), least_cosine(m->cols));
    for (i = 0; i < m->pairs.count; i++)
        out->max = fmax(out->max, bs_match_real(m->pairs.cosine[i]));
    bs_free(largest);
    return 0;
}

/* ---- all of it ------------------------------------------------------------
 */

static int
matcher_open(struct bs_matcher *m, struct bs_err *e)
{
    size_t places = m->cols->count * BS_MATCH_TOP, i;

    m->pairs.rows = m->rows;
    m->pairs.cols = m->cols;
    m->beyond = bs_alloc_array(m->rows->count, sizeof *m->beyond);
    m->pick = bs_alloc_array(m->cols->count, sizeof *m->pick);
    m->idx = bs_alloc_array(places, sizeof *m->idx);
    m->val = bs_alloc_array(places, sizeof *m->val);
    if (m->beyond == NULL || m->pick == NULL || m->idx == NULL ||
        m->val == NULL)
        return bs_err_memory(e, "candidates", places * sizeof *m->val);
    for (i = 0; i < m->rows->count; i++)
        m->beyond[i] = -INFINITY;
    return 0;
}

int
bs_match(struct bs_match *out, const struct bs_atoms *own,
         const struct bs_atoms *other, const struct bs_match_options *o,
         struct bs_dev *dev, struct bs_pool *pool, struct bs_err *e)
{
    bool larger = own->count > other->count;
    struct bs_matcher m = {.rows = larger ? other : own,
                           .cols = larger ? own : other,
                           .options = o,
                           .dev = dev,
                           .pool = pool};
    int r = matcher_open(&m, e);

    *out = (struct bs_match){0};
    if (r == 0)
        r = add_candidates(&m, false, e);
    if (r == 0)
        r = find_largest(out, &m, own, e);
    if (r == 0 && o->kinds[BS_MATCH_PLAIN])
        r = make(out, &m, BS_MATCH_PLAIN, own, e);
    if (r == 0 && o->kinds[BS_MATCH_SIGNED])
        r = add_candidates(&m, true, e);
    if (r == 0 && o->kinds[BS_MATCH_SIGNED])
        r = make(out, &m, BS_MATCH_SIGNED, own, e);
    out->rounds = m.rounds;
    bs_match_pairs_release(&m.pairs);
    bs_free(m.beyond);
    bs_free(m.pick);
    bs_free(m.idx);
    bs_free(m.val);
    if (r < 0)
        bs_match_release(out);
    return r;
}

void
bs_match_release(struct bs_match *m)
{
    size_t i;

    for (i = 0; i < BS_MATCH_KINDS; i++) {
        bs_free(m->kind[i].partner);
        bs_free(m->kind[i].cosine);
    }
    *m = (struct bs_match){0};
}

void
bs_match_metrics(const struct bs_match *m, const struct bs_match_options *o,
                 struct bs_cell cell[BS_METRICS])
{
    static const enum bs_metric mean[] = {BS_M_STABILITY,
                                          BS_M_STABILITY_SIGNED};
    static const enum bs_metric gap[] = {BS_M_STABILITY_GAP,
                                         BS_M_STABILITY_SIGNED_GAP};
    size_t i;

    for (i = 0; i < BS_MATCH_KINDS; i++)
        if (o->kinds[i]) {
            bs_metric_real(cell, mean[i], m->kind[i].mean);
            bs_metric_real(cell, gap[i], m->kind[i].gap);
        }
    bs_metric_real(cell, BS_M_MAX_COSINE, m->max);
    bs_metric_real(cell, BS_M_MEAN_MAX_COSINE, m->mean_own);
    bs_metric_real(cell, BS_M_MEAN_MAX_COSINE_OTHER, m->mean_other);
}
