/*
 * rank_list.c - see rank_list.h.  Memory: a row a concept and model.
 */
#include "cmd/models/rank_list.h"

#include <math.h>
#include <stdlib.h>

#include "cmd/models/stats.h"
#include "common/mem.h"

const char *const bs_rank_by_names[] = {"delta", "raw",     "relative",
                                        "q",     "concept", NULL};
const char *const bs_rank_fdr_names[] = {"bh", "by", "maxt", NULL};

static const enum bs_rank_f64 limited[] = {BS_RANK_Q, BS_RANK_Q_BY,
                                           BS_RANK_P_MAX};

/* ---- one concept of one model --------------------------------------------
 */

/* -1 suppressed, 1 exaggerated, 0 in between or not known. */
static int
side_of(const struct bs_rank_energy *en, size_t model, uint32_t concept,
        const struct bs_rank_options *o)
{
    double delta = bs_rank_f64(en, model, concept, BS_RANK_DELTA);

    return delta < o->below ? -1 : delta > o->above ? 1 : 0;
}

const char *
bs_rank_side(const struct bs_rank_energy *en, size_t model, uint32_t concept,
             const struct bs_rank_options *o)
{
    static const char *const names[] = {"suppressed", "", "exaggerated"};

    return names[side_of(en, model, concept, o) + 1];
}

static bool
fires(const struct bs_rank_model *m, uint32_t concept, uint64_t least)
{
    const uint64_t *real = m->u64[BS_RANK_REAL_IMAGES];
    const uint64_t *gen = m->u64[BS_RANK_GEN_IMAGES];

    return least == 0 || (real != NULL && real[concept] >= least) ||
           (gen != NULL && gen[concept] >= least);
}

/* Is it looked at, on a side that is wanted, and significant? */
static bool
qualifies(const struct bs_rank_energy *en, size_t model, uint32_t concept,
          const struct bs_rank_options *o)
{
    bool either = o->suppressed == o->exaggerated;
    bool any = either && !o->suppressed && !o->universal && !o->specific;
    int side = side_of(en, model, concept, o);

    if ((o->concepts != NULL && !o->concepts[concept]) ||
        !fires(&en->model[model], concept, o->min_images))
        return false;
    if (!any && (side == 0 || (!either && (side < 0) != o->suppressed)))
        return false;
    return isnan(o->max_q) ||
           bs_rank_f64(en, model, concept, limited[o->fdr]) <= o->max_q;
}

/* How much it stands out, by what was asked for: more is earlier. */
static double
weight(const struct bs_rank_energy *en, const struct bs_rank_row *row,
       enum bs_rank_by by)
{
    switch (by) {
    case BS_RANK_BY_RAW:
        return fabs(bs_rank_f64(en, row->model, row->concept, BS_RANK_RAW));
    case BS_RANK_BY_RELATIVE:
        return fabs(bs_rank_f64(en, row->model, row->concept, BS_RANK_REL));
    case BS_RANK_BY_Q:
        return -bs_rank_f64(en, row->model, row->concept, BS_RANK_Q);
    case BS_RANK_BY_CONCEPT:
        return 0;
    default:
        return fabs(bs_rank_f64(en, row->model, row->concept, BS_RANK_DELTA) -
                    0.5);
    }
}

/* ---- order ---------------------------------------------------------------
 */

/* What qsort compares: it has no argument for the energies. */
struct sortable {
    double first, second; /* weights: as asked for, then by delta */
    struct bs_rank_row row;
};

/* The larger first, NaN last. */
static int
larger(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b);
    return a > b ? -1 : a < b;
}

static int
compare(const void *a, const void *b)
{
    const struct sortable *x = a, *y = b;
    int c = larger(x->first, y->first);

    if (c == 0)
        c = larger(x->second, y->second);
    if (c == 0)
    c = x->row.concept < y->row.concept ? -1 : x->row.concept > y->row.concept;
    return c;
}

static int
sort_rows(struct bs_rank_row *row, size_t n, const struct bs_rank_energy *en,
          enum bs_rank_by by, struct bs_err *e)
{
    struct sortable *s = bs_alloc_array(n, sizeof *s);
    size_t i;

    if (s == NULL)
        return bs_err_memory(e, "list", n * sizeof *s);
    for (i = 0; i < n; i++) {
        s[i].first = weight(en, &row[i], by);
        s[i].second = by == BS_RANK_BY_CONCEPT
                          ? 0
                          : weight(en, &row[i], BS_RANK_BY_DELTA);
        s[i].row = row[i];
    }
    qsort(s, n, sizeof *s, compare);
    for (i = 0; i < n; i++)
        row[i] = s[i].row;
    bs_free(s);
    return 0;
}

/* ---- lists ---------------------------------------------------------------
 */

/* The concepts of one model that qualify; returns how many. */
static size_t
plain_rows(struct bs_rank_row *row, const struct bs_rank_energy *en,
           size_t model, const struct bs_rank_options *o)
{
    size_t n = 0;
    uint32_t k;

    for (k = 0; k < en->concepts; k++)
        if (qualifies(en, model, k, o))
            row[n++] = (struct bs_rank_row){k, (uint32_t)model, NAN, NAN};
    return n;
}

/* Does the concept qualify in every model, on one side?  *weakest is then the
 * listed one whose delta is nearest to 0.5. */
static bool
qualifies_everywhere(const struct bs_rank_energy *en, uint32_t concept,
                     const struct bs_rank_options *o, uint32_t *weakest)
{
    double least = INFINITY;
    int side = side_of(en, 0, concept, o);
    size_t m;

    for (m = 0; m < en->models; m++) {
        double far = fabs(bs_rank_f64(en, m, concept, BS_RANK_DELTA) - 0.5);

        if (!qualifies(en, m, concept, o) || side_of(en, m, concept, o) != side)
            return false;
        if (o->models[m] && far < least) {
            least = far;
            *weakest = (uint32_t)m;
        }
    }
    return true;
}

static size_t
universal_rows(struct bs_rank_row *row, const struct bs_rank_energy *en,
               const struct bs_rank_options *o)
{
    uint32_t k, weakest = 0;
    size_t n = 0;

    for (k = 0; k < en->concepts; k++)
        if (qualifies_everywhere(en, k, o, &weakest))
            row[n++] = (struct bs_rank_row){k, weakest, NAN, NAN};
    return n;
}

/* The largest p-value of equivalence among the other models; NaN where one
 * cannot be told. */
static double
equivalence(const struct bs_rank_energy *en, size_t model, uint32_t concept,
            double bound)
{
    enum bs_rank_f64 form = en->relative ? BS_RANK_REL : BS_RANK_RAW;
    enum bs_rank_f64 se = en->relative ? BS_RANK_REL_SE : BS_RANK_RAW_SE;
    double most = 0;
    size_t m;

    for (m = 0; m < en->models; m++) {
        double p;

        if (m == model)
            continue;
        p = bs_tost(bs_rank_f64(en, m, concept, form),
                    bs_rank_f64(en, m, concept, se), en->model[m].pairs, bound);
        if (isnan(p))
            return NAN;
        most = p > most ? p : most;
    }
    return most;
}

/* Adjust the equivalences of n rows (what is not known counts as 1) and keep
 * the rows that stay within the limit; returns how many, or < 0. */
static ptrdiff_t
keep_equivalent(struct bs_rank_row *row, size_t n, double max_q,
                struct bs_err *e)
{
    double *q = bs_alloc_array(n, sizeof *q);
    size_t i, kept = 0;

    if (q == NULL)
        return bs_err_memory(e, "list", n * sizeof *q);
    for (i = 0; i < n; i++)
        q[i] = isnan(row[i].p_eq) ? 1 : row[i].p_eq;
    if (bs_q_values(q, q, NULL, n, BS_FDR_BH, e) < 0) {
        bs_free(q);
        return -e->code;
    }
    for (i = 0; i < n; i++)
        if (q[i] <= max_q && !isnan(row[i].p_eq)) {
            row[kept] = row[i];
            row[kept++].q_eq = q[i];
        }
    bs_free(q);
    return (ptrdiff_t)kept;
}

static ptrdiff_t
specific_rows(struct bs_rank_row *row, const struct bs_rank_energy *en,
              size_t model, const struct bs_rank_options *o, struct bs_err *e)
{
    size_t n = plain_rows(row, en, model, o), i;
    double bound = bs_rank_bound(en, o->margin);

    for (i = 0; i < n; i++)
        row[i].p_eq = equivalence(en, model, row[i].concept, bound);
    return keep_equivalent(row, n, o->max_q, e);
}

/* Sort the n rows behind those that are there, and keep what the limit lets. */
static int
finish_rows(struct bs_rank_list *list, size_t n,
            const struct bs_rank_energy *en, const struct bs_rank_options *o,
            struct bs_err *e)
{
    int r = sort_rows(list->row + list->rows, n, en, o->by, e);

    list->rows += n < o->limit ? n : (size_t)o->limit;
    return r;
}

/* ---- what must be there --------------------------------------------------
 */

static int
need_column(const struct bs_rank_energy *en, enum bs_rank_f64 column,
            const char *what, struct bs_err *e)
{
    size_t m;

    for (m = 0; m < en->models; m++)
        if (en->model[m].f64[column] == NULL)
            return bs_err_set(e, BS_EX_DATA,
                              "the energies of '%.40s' have no '%s', which %s "
                              "needs",
                              en->model[m].label, bs_rank_f64_names[column],
                              what);
    return 0;
}

static int
need_images(const struct bs_rank_energy *en, const struct bs_rank_options *o,
            struct bs_err *e)
{
    size_t m;

    for (m = 0; m < en->models && o->min_images > 0; m++)
        if (en->model[m].u64[BS_RANK_REAL_IMAGES] == NULL ||
            en->model[m].u64[BS_RANK_GEN_IMAGES] == NULL)
            return bs_err_set(e, BS_EX_DATA,
                              "the energies of '%.40s' do not count images, "
                              "which '--min-images' needs",
                              en->model[m].label);
    return 0;
}

static int
check(const struct bs_rank_energy *en, const struct bs_rank_options *o,
      struct bs_err *e)
{
    const char *what = o->specific ? "'--specific'" : "'--universal'";
    int r = 0;

    if ((o->specific || o->universal) && en->models < 2)
        return bs_err_set(e, BS_EX_DATA,
                          "%s compares models, and there is one only", what);
    if (!isnan(o->max_q))
        r = need_column(en, limited[o->fdr], "a limit of q", e);
    if (r == 0 && o->by == BS_RANK_BY_Q)
        r = need_column(en, BS_RANK_Q, "'--by=q'", e);
    if (r == 0 && o->specific)
        r = need_column(en, en->relative ? BS_RANK_REL_SE : BS_RANK_RAW_SE,
                        what, e);
    return r < 0 ? r : need_images(en, o, e);
}

static int
select_all(struct bs_rank_list *list, const struct bs_rank_energy *en,
           const struct bs_rank_options *o, struct bs_err *e)
{
    ptrdiff_t n;
    size_t m;
    int r = 0;

    if (o->universal)
        return finish_rows(list, universal_rows(list->row, en, o), en, o, e);
    for (m = 0; m < en->models && r == 0; m++) {
        struct bs_rank_row *row = list->row + list->rows;

        if (!o->models[m])
            continue;
        n = o->specific ? specific_rows(row, en, m, o, e)
                        : (ptrdiff_t)plain_rows(row, en, m, o);
        r = n < 0 ? (int)n : finish_rows(list, (size_t)n, en, o, e);
    }
    return r;
}

int
bs_rank_select(struct bs_rank_list *list, const struct bs_rank_energy *en,
               const struct bs_rank_options *o, struct bs_err *e)
{
    size_t room;
    int r = check(en, o, e);

    *list = (struct bs_rank_list){0};
    if (r < 0)
        return r;
    if (!bs_mul(en->models, en->concepts, &room))
        room = SIZE_MAX;
    list->row = bs_alloc_array(room, sizeof *list->row);
    if (list->row == NULL)
        return bs_err_memory(e, "list", room);
    return select_all(list, en, o, e);
}

/* ---- models against each other -------------------------------------------
 */

/* The column, NaN where a concept is not looked at; NULL: no memory. */
static double *
looked_at(const struct bs_rank_energy *en, size_t model, enum bs_rank_f64 c,
          const struct bs_rank_options *o)
{
    double *x = bs_alloc_array(en->concepts, sizeof *x);
    uint32_t k;

    for (k = 0; x != NULL && k < en->concepts; k++)
        x[k] = (o->concepts == NULL || o->concepts[k]) &&
                       fires(&en->model[model], k, o->min_images)
                   ? bs_rank_f64(en, model, k, c)
                   : NAN;
    return x;
}

int
bs_rank_correlate(struct bs_rank_pairing *out, const struct bs_rank_energy *en,
                  size_t a, size_t b, const struct bs_rank_options *o,
                  struct bs_err *e)
{
    enum bs_rank_f64 column = o->by == BS_RANK_BY_RAW     ? BS_RANK_RAW
                              : o->by == BS_RANK_BY_DELTA ? BS_RANK_DELTA
                                                          : BS_RANK_REL;
    double *x, *y;
    int r = need_images(en, o, e);

    *out = (struct bs_rank_pairing){.a = a, .b = b};
    if (r < 0)
        return r;
    x = looked_at(en, a, column, o);
    y = looked_at(en, b, column, o);
    r = x == NULL || y == NULL
            ? bs_err_memory(e, "correlation", en->concepts)
            : bs_correlate(x, y, en->concepts, en->level, &out->used,
                           &out->pearson, &out->spearman, e);
    bs_free(x);
    bs_free(y);
    return r;
}
