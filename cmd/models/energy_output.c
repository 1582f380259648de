/*
 * energy_output.c - see energy_output.h.
 */
#include "cmd/models/energy_output.h"

#include <math.h>
#include <string.h>

#include "cmd/models/stats.h"

/* Of the mean of a pair's differences, as in the paper's plot of DPO. */
#define PAIR_TEMPERATURE 0.8

int
bs_energy_config_head(const struct bs_energy_config *c, struct bs_doc *head,
                      struct bs_err *e)
{
    int r = bs_doc_set(head, "form", bs_energy_form_names[c->form], e);

    if (r == 0)
        r = bs_doc_setf(head, "temperature", e, "%.17g", c->temperature);
    if (r == 0)
        r = bs_doc_set(head, "interval", bs_energy_interval_names[c->interval],
                       e);
    if (r == 0)
        r = bs_doc_setf(head, "level", e, "%.17g", c->level);
    return r;
}

/* Write the record that was made where r is 0, and empty it. */
static int
put(struct bs_writer *w, struct bs_doc *rec, int r, struct bs_err *e)
{
    if (r == 0) {
        r = bs_writer_record(w, rec);
        if (r < 0)
            *e = *bs_writer_error(w);
    }
    bs_doc_release(rec);
    return r;
}

static int
write_concepts(struct bs_writer *w, const char *label,
               const struct bs_energy_table *t, uint64_t concepts,
               struct bs_err *e)
{
    struct bs_doc rec = {0};
    size_t i;
    int r = bs_doc_set(&rec, "key", label, e);

    if (r == 0)
        r = bs_doc_set(&rec, "table", "concept", e);
    if (r == 0)
        r = bs_doc_setf(&rec, "pairs", e, "%zu", t->pairs);
    if (r == 0)
        r = bs_doc_setf(&rec, "only_real", e, "%zu", t->only_real);
    if (r == 0)
        r = bs_doc_setf(&rec, "only_gen", e, "%zu", t->only_gen);
    if (r == 0)
        r = bs_doc_setf(&rec, "tested", e, "%zu", t->tested);
    for (i = 0; i < BS_E_COLUMNS && r == 0; i++)
        r = bs_doc_put(&rec, bs_energy_column_names[i], BS_DTYPE_F64, 1,
                       &concepts, t->column[i], e);
    for (i = 0; i < BS_E_COUNTS && r == 0; i++)
        r = bs_doc_put(&rec, bs_energy_count_names[i], BS_DTYPE_U64, 1,
                       &concepts, t->count[i], e);
    return put(w, &rec, r, e);
}

static int
write_contrast(struct bs_writer *w, const struct bs_energy_input *in,
               const struct bs_contrast_table *t, uint64_t concepts,
               struct bs_err *e)
{
    const char *a = in->label[t->a], *b = in->label[t->b];
    struct bs_doc rec = {0};
    size_t i;
    int r = bs_doc_setf(&rec, "key", e, "%s/%s", a, b);

    if (r == 0)
        r = bs_doc_set(&rec, "table", "contrast", e);
    if (r == 0)
        r = bs_doc_set(&rec, "a", a, e);
    if (r == 0)
        r = bs_doc_set(&rec, "b", b, e);
    if (r == 0)
        r = bs_doc_setf(&rec, "pairs", e, "%zu", t->pairs);
    if (r == 0)
        r = bs_doc_setf(&rec, "tested", e, "%zu", t->tested);
    for (i = 0; i < BS_C_COLUMNS && r == 0; i++)
        r = bs_doc_put(&rec, bs_contrast_column_names[i], BS_DTYPE_F64, 1,
                       &concepts, t->column[i], e);
    return put(w, &rec, r, e);
}

static int
write_null(struct bs_writer *w, const struct bs_energy_result *result,
           uint64_t concepts, struct bs_err *e)
{
    struct bs_doc rec = {0};
    int r = bs_doc_set(&rec, "key", "null", e);

    if (r == 0)
        r = bs_doc_set(&rec, "table", "null", e);
    if (r == 0)
        r = bs_doc_setf(&rec, "split", e, "%zu/%zu", result->half[0],
                        result->half[1]);
    if (r == 0)
        r = bs_doc_put(&rec, "delta", BS_DTYPE_F64, 1, &concepts, result->null,
                       e);
    return put(w, &rec, r, e);
}

/* ---- pairs ----------------------------------------------------------------
 */

/* What a pair's record says, a row a generated stream. */
struct pair_rows {
    size_t top;
    double *l2, *mean; /* [models] */
    uint32_t *idx;     /* [models, top] */
    double *diff;      /* [models, top] */
};

/* Keep the `top` largest absolute differences; of equal ones the concepts that
 * came first. */
static void
keep_top(uint32_t *idx, double *diff, size_t top, uint32_t concept, double d)
{
    size_t at = top;

    while (at > 0 && fabs(d) > fabs(diff[at - 1]))
        at--;
    if (at == top)
        return;
    memmove(idx + at + 1, idx + at, (top - at - 1) * sizeof *idx);
    memmove(diff + at + 1, diff + at, (top - at - 1) * sizeof *diff);
    idx[at] = concept;
    diff[at] = d;
}

/* One stream's row: of the pair (real, gen), or of none. */
static void
fill_row(struct pair_rows *p, size_t m, const struct bs_energies *real,
         const struct bs_energies *gen, double concepts, double unit)
{
    uint32_t *idx = p->idx + m * p->top;
    double *diff = p->diff + m * p->top;
    double squares = 0, sum = 0, differ = 0;
    size_t i, j = 0;

    for (i = 0; i < p->top; i++) {
        idx[i] = UINT32_MAX;
        diff[i] = gen != NULL ? 0 : NAN;
    }
    p->l2[m] = p->mean[m] = NAN;
    for (i = 0; gen != NULL && (i < real->n || j < gen->n);) {
        bool left =
            j == gen->n || (i < real->n && real->concept[i] <= gen->concept[j]);
        bool right =
            i == real->n || (j < gen->n && gen->concept[j] <= real->concept[i]);
        uint32_t k = left ? real->concept[i] : gen->concept[j];
        int64_t units =
            (right ? gen->energy[j] : 0) - (left ? real->energy[i] : 0);
        double d = (double)units * unit;

        squares += d * d;
        sum += bs_sigmoid(d / PAIR_TEMPERATURE);
        differ++;
        keep_top(idx, diff, p->top, k, d);
        i += left;
        j += right;
    }
    if (gen != NULL) {
        p->l2[m] = sqrt(squares);
        p->mean[m] = (sum + 0.5 * (concepts - differ)) / concepts;
    }
}

static int
write_pair(struct bs_writer *w, const struct bs_energy_input *in,
           const struct bs_energy_result *result, struct pair_rows *p,
           size_t place, struct bs_err *e)
{
    const struct bs_energy_set *real = &in->set[0];
    struct bs_energies x = bs_energy_set_get(real, real->order[place]);
    uint64_t shape[2] = {in->models, p->top};
    struct bs_doc rec = {0};
    size_t m, partners = 0;
    int r;

    for (m = 0; m < in->models; m++) {
        size_t partner = result->table[m].partner[place];
        struct bs_energies y = {0};

        if (partner != SIZE_MAX)
            y = bs_energy_set_get(&in->set[1 + m], partner);
        partners += partner != SIZE_MAX;
        fill_row(p, m, &x, partner != SIZE_MAX ? &y : NULL,
                 (double)in->origin.head.concepts, bs_energy_unit(in->pooling));
    }
    if (partners == 0)
        return 0;
    r = bs_energy_set_describe(real, real->order[place], &rec, e);
    if (r == 0)
        r = bs_doc_set(&rec, "table", "pair", e);
    if (r == 0)
        r = bs_doc_put(&rec, "l2", BS_DTYPE_F64, 1, shape, p->l2, e);
    if (r == 0)
        r = bs_doc_put(&rec, "mean", BS_DTYPE_F64, 1, shape, p->mean, e);
    if (r == 0)
        r = bs_doc_put(&rec, "top_idx", BS_DTYPE_U32, 2, shape, p->idx, e);
    if (r == 0)
        r = bs_doc_put(&rec, "top_diff", BS_DTYPE_F64, 2, shape, p->diff, e);
    return put(w, &rec, r, e);
}

static int
write_pairs(struct bs_writer *w, const struct bs_energy_input *in,
            const struct bs_energy_result *result, size_t top, struct bs_err *e)
{
    struct pair_rows p = {.top = top};
    size_t i;
    int r = 0;

    p.l2 = bs_alloc_array(in->models, sizeof *p.l2);
    p.mean = bs_alloc_array(in->models, sizeof *p.mean);
    p.idx = bs_alloc_array(in->models * top, sizeof *p.idx);
    p.diff = bs_alloc_array(in->models * top, sizeof *p.diff);
    if (p.l2 == NULL || p.mean == NULL || p.idx == NULL || p.diff == NULL)
        r = bs_err_memory(e, "pairs", in->models * top);
    for (i = 0; i < in->set[0].records && r == 0; i++)
        r = write_pair(w, in, result, &p, i, e);
    bs_free(p.l2);
    bs_free(p.mean);
    bs_free(p.idx);
    bs_free(p.diff);
    return r;
}

int
bs_energy_write(struct bs_writer *w, const struct bs_energy_input *in,
                const struct bs_energy_config *config,
                const struct bs_energy_result *result, size_t top,
                struct bs_err *e)
{
    size_t m;
    int r = 0;

    for (m = 0; m < result->models && r == 0; m++)
        r = write_concepts(w, in->label[m], &result->table[m], config->concepts,
                           e);
    for (m = 0; m < result->contrasts && r == 0; m++)
        r = write_contrast(w, in, &result->contrast[m], config->concepts, e);
    if (r == 0)
        r = write_null(w, result, config->concepts, e);
    return r < 0 ? r : write_pairs(w, in, result, top, e);
}
