/*
 * eval_dictionary.c - see eval_dictionary.h.
 */
#include "cmd/models/eval_dictionary.h"

#include <math.h>

#include "kernels/dot.h"
#include "kernels/eigen.h"

/* ---- lengths --------------------------------------------------------------
 */

static void
lengths(const struct bs_atoms *a, struct bs_cell *cell)
{
    double least = INFINITY, most = 0, sum = 0;
    uint64_t zeros = 0;
    size_t i;

    for (i = 0; i < a->count; i++) {
        least = fmin(least, a->norm[i]);
        most = fmax(most, a->norm[i]);
        sum += a->norm[i];
        zeros += a->norm[i] == 0;
    }
    bs_metric_count(cell, BS_M_CONCEPTS, a->count);
    bs_metric_count(cell, BS_M_WIDTH, a->width);
    bs_metric_real(cell, BS_M_NORM_MIN, least);
    bs_metric_real(cell, BS_M_NORM_MEAN, sum / (double)a->count);
    bs_metric_real(cell, BS_M_NORM_MAX, most);
    bs_metric_count(cell, BS_M_ZERO_ATOMS, zeros);
}

/* ---- ranks ----------------------------------------------------------------
 */

/* g = D^T D, or D D^T where that is smaller; of order n. */
static int
fill_gram(double *g, const struct bs_atoms *a, size_t n, struct bs_pool *pool,
          struct bs_err *e)
{
    float *turned;
    size_t i, c;
    int r;

    if (a->width == n)
        return bs_dot_columns(g, a->w, a->count, n, pool, e);
    turned = bs_alloc_array(a->width, n * sizeof *turned);
    if (turned == NULL)
        return bs_err_memory(e, "dictionary", a->width * n * sizeof *turned);
    for (i = 0; i < n; i++)
        for (c = 0; c < a->width; c++)
            turned[c * n + i] = a->w[i * a->width + c];
    r = bs_dot_columns(g, turned, a->width, n, pool, e);
    bs_free(turned);
    return r;
}

/* From the eigenvalues of the Gram matrix, the squares of the singular values:
 * stable rank |D|_F^2 / |D|_2^2; effective rank, the exponential of the entropy
 * of the singular values as shares of their sum. */
static void
set_ranks(const double *value, size_t n, struct bs_cell *cell)
{
    double squares = 0, sum = 0, entropy = 0;
    size_t i;

    for (i = 0; i < n; i++)
        if (value[i] > 1e-14 * value[0]) {
            squares += value[i];
            sum += sqrt(value[i]);
        }
    for (i = 0; i < n; i++)
        if (value[i] > 1e-14 * value[0]) {
            double share = sqrt(value[i]) / sum;

            entropy -= share * log(share);
        }
    bs_metric_real(cell, BS_M_STABLE_RANK, squares / value[0]);
    bs_metric_real(cell, BS_M_EFFECTIVE_RANK, squares > 0 ? exp(entropy) : NAN);
}

static int
ranks(const struct bs_atoms *a, struct bs_pool *pool, struct bs_cell *cell,
      struct bs_err *e)
{
    size_t n = a->count < a->width ? a->count : a->width;
    double *g, *value;
    int r;

    if (n > BS_EIGEN_MAX)
        return 0;
    g = bs_alloc_array(n, n * sizeof *g);
    value = bs_alloc_array(n, sizeof *value);
    r = g != NULL && value != NULL
            ? fill_gram(g, a, n, pool, e)
            : bs_err_memory(e, "dictionary", n * n * sizeof *g);
    if (r == 0)
        r = bs_eigen_sym(g, n, value, NULL, e);
    if (r == 0)
        set_ranks(value, n, cell);
    bs_free(g);
    bs_free(value);
    return r;
}

/* ---- coherence ------------------------------------------------------------
 */

/* Of each atom so many are looked at in f64: what f32 takes for the nearest may
 * be the next. */
enum { TOP = 8 };

struct coherence {
    const struct bs_atoms *a;
    struct bs_eval_nearest *nearest;
    double most; /* magnitude; below 0: there are no two atoms */
    uint32_t *pick, *idx;
    float *val;
};

/* The atoms nearest to each, or most opposite. */
static int
look_up(struct coherence *c, struct bs_nearest *q, struct bs_dev *dev,
        struct bs_err *e)
{
    size_t i, k;

    if (bs_nearest(q, dev, c->idx, c->val, e) < 0)
        return -e->code;
    for (i = 0; i < q->n; i++)
        for (k = i * q->top; k < (i + 1) * q->top; k++) {
            uint32_t atom = q->pick[i], other = c->idx[k];
            double cosine;

            if (other == BS_CODE_NONE || other == atom)
                continue;
            cosine = bs_atoms_cosine(c->a, atom, c->a, other);
            c->most = fmax(c->most, fabs(cosine));
            if (!q->opposite && (c->nearest->atom[atom] == BS_NEAREST_NONE ||
                                 cosine > c->nearest->cosine[atom])) {
                c->nearest->atom[atom] = other;
                c->nearest->cosine[atom] = cosine;
            }
        }
    return 0;
}

static int
search(struct coherence *c, const float *ones, struct bs_dev *dev,
       const struct bs_watch *watch, struct bs_err *e)
{
    const struct bs_atoms *a = c->a;
    struct bs_nearest q = {.x = a->unit,
                           .pick = c->pick,
                           .w = a->unit,
                           .bias = ones,
                           .count = a->count,
                           .width = a->width,
                           .top = a->count < TOP ? a->count : TOP,
                           .watch = watch};
    size_t i;
    int r;

    for (i = 0; i < a->count; i++) {
        c->nearest->atom[i] = BS_NEAREST_NONE;
        c->nearest->cosine[i] = NAN;
        if (a->norm[i] > 0)
            c->pick[q.n++] = (uint32_t)i;
    }
    /* A cosine of 0 has every atom of length 0 with any other. */
    c->most = q.n < a->count && a->count > 1 ? 0 : -1;
    r = look_up(c, &q, dev, e);
    q.opposite = true;
    return r < 0 ? r : look_up(c, &q, dev, e);
}

static int
coherence(const struct bs_atoms *a, struct bs_dev *dev,
          const struct bs_watch *watch, struct bs_cell *cell,
          struct bs_eval_nearest *nearest, struct bs_err *e)
{
    struct coherence c = {.a = a, .nearest = nearest};
    float *ones = bs_alloc_array(a->count, sizeof *ones);
    size_t i;
    int r = 0;

    nearest->atom = bs_alloc_array(a->count, sizeof *nearest->atom);
    nearest->cosine = bs_alloc_array(a->count, sizeof *nearest->cosine);
    c.pick = bs_alloc_array(a->count, sizeof *c.pick);
    c.idx = bs_alloc_array(a->count, TOP * sizeof *c.idx);
    c.val = bs_alloc_array(a->count, TOP * sizeof *c.val);
    if (ones == NULL || nearest->atom == NULL || nearest->cosine == NULL ||
        c.pick == NULL || c.idx == NULL || c.val == NULL)
        r = bs_err_memory(e, "atoms", a->count * TOP * sizeof *c.idx);
    for (i = 0; i < a->count && r == 0; i++)
        ones[i] = 1; /* so that all sums are above 0 */
    if (r == 0)
        r = search(&c, ones, dev, watch, e);
    if (r == 0)
        bs_metric_real(cell, BS_M_COHERENCE, c.most < 0 ? NAN : c.most);
    bs_free(ones);
    bs_free(c.pick);
    bs_free(c.idx);
    bs_free(c.val);
    return r;
}

/* ---- all of it ------------------------------------------------------------
 */

int
bs_eval_dictionary(const struct bs_atoms *a,
                   const struct bs_metric_choice *choice, struct bs_dev *dev,
                   struct bs_pool *pool, const struct bs_watch *watch,
                   struct bs_cell cell[BS_METRICS],
                   struct bs_eval_nearest *nearest, struct bs_err *e)
{
    int r = 0;

    *nearest = (struct bs_eval_nearest){0};
    lengths(a, cell);
    if (choice->metric[BS_M_STABLE_RANK] || choice->metric[BS_M_EFFECTIVE_RANK])
        r = ranks(a, pool, cell, e);
    if (r == 0 && choice->metric[BS_M_COHERENCE])
        r = coherence(a, dev, watch, cell, nearest, e);
    return r;
}

void
bs_eval_nearest_release(struct bs_eval_nearest *n)
{
    bs_free(n->atom);
    bs_free(n->cosine);
    *n = (struct bs_eval_nearest){0};
}
