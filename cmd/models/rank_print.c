/*
 * rank_print.c - see rank_print.h.
 */
#include "cmd/models/rank_print.h"

#include "cmd/models/rank_pairs.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* A report being printed: its columns and a row of cells. */
struct printing {
    const struct bs_rank_energy *en;
    struct bs_columns columns;
    struct bs_report report;
    struct bs_cell *cell;
};

static int
begin(struct printing *p, const struct bs_rank_output *out,
      const struct bs_rank_energy *en, const struct bs_column *known,
      const char *each_of, struct bs_err *e)
{
    const char **label = bs_alloc_array(en->models, sizeof *label);
    size_t m;
    int r;

    p->en = en;
    if (label == NULL)
        return bs_err_memory(e, "labels", en->models);
    for (m = 0; m < en->models; m++)
        label[m] = en->model[m].label;
    r = bs_columns_choose(&p->columns, known, out->columns, each_of, label,
                          en->models, e);
    bs_free((void *)label);
    if (r < 0)
        return r;
    p->cell = bs_alloc_array(p->columns.count, sizeof *p->cell);
    if (p->cell == NULL)
        return bs_err_memory(e, "columns", p->columns.count);
    return bs_report_begin(&p->report, out->format, out->out, p->columns.name,
                           p->columns.count, e);
}

static int
end(struct printing *p, int r, struct bs_err *e)
{
    if (r == 0)
        r = bs_report_end(&p->report, e);
    bs_report_release(&p->report);
    bs_columns_release(&p->columns);
    bs_free(p->cell);
    return r;
}

/* ---- concepts ------------------------------------------------------------
 */

/* The columns of bs_rank_f64 and bs_rank_u64 follow the first in their order.
 */
enum {
    CONCEPT,
    MODEL,
    SIDE,
    F64_FIRST,
    U64_FIRST = F64_FIRST + BS_RANK_F64S,
    PAIRS = U64_FIRST + BS_RANK_U64S,
    P_EQ,
    Q_EQ,
    CONCEPT_COLUMNS
};

/* Which of the columns are usual. */
static bool
is_usual(int column, const struct bs_rank_options *o)
{
    switch (column) {
    case CONCEPT:
    case MODEL:
    case SIDE:
    case F64_FIRST + BS_RANK_REAL:
    case F64_FIRST + BS_RANK_GEN:
    case F64_FIRST + BS_RANK_RAW:
    case F64_FIRST + BS_RANK_REL:
    case F64_FIRST + BS_RANK_DELTA:
    case F64_FIRST + BS_RANK_LO:
    case F64_FIRST + BS_RANK_HI:
    case F64_FIRST + BS_RANK_Q:
    case U64_FIRST + BS_RANK_REAL_IMAGES:
    case U64_FIRST + BS_RANK_GEN_IMAGES:
        return true;
    default:
        return (column == P_EQ || column == Q_EQ) && o->specific;
    }
}

static void
name_columns(struct bs_column known[CONCEPT_COLUMNS + 1],
             const struct bs_rank_options *o)
{
    int i;

    known[CONCEPT].name = "concept";
    known[MODEL].name = "model";
    known[SIDE].name = "side";
    for (i = 0; i < BS_RANK_F64S; i++)
        known[F64_FIRST + i].name = bs_rank_f64_names[i];
    for (i = 0; i < BS_RANK_U64S; i++)
        known[U64_FIRST + i].name = bs_rank_u64_names[i];
    known[PAIRS].name = "pairs";
    known[P_EQ].name = "p_eq";
    known[Q_EQ].name = "q_eq";
    for (i = 0; i < CONCEPT_COLUMNS; i++) {
        known[i].usual = is_usual(i, o);
        known[i].each = i >= SIDE && i <= PAIRS;
    }
    known[CONCEPT_COLUMNS] = (struct bs_column){0};
}

static struct bs_cell
concept_cell(const struct bs_rank_energy *en, const struct bs_rank_row *row,
             const struct bs_rank_options *o, struct bs_pick_column pick)
{
    size_t model = pick.model < 0 ? row->model : (size_t)pick.model;
    const uint64_t *counts;

    switch (pick.column) {
    case CONCEPT:
        return bs_cell_count(row->concept);
    case MODEL:
        return bs_cell_text(en->model[model].label);
    case SIDE:
        return bs_cell_text(bs_rank_side(en, model, row->concept, o));
    case PAIRS:
        return bs_cell_count(en->model[model].pairs);
    case P_EQ:
        return isnan(row->p_eq) ? (struct bs_cell){0} : bs_cell_real(row->p_eq);
    case Q_EQ:
        return isnan(row->q_eq) ? (struct bs_cell){0} : bs_cell_real(row->q_eq);
    default:
        break;
    }
    if (pick.column < U64_FIRST)
        return bs_cell_real(
            bs_rank_f64(en, model, row->concept,
                        (enum bs_rank_f64)(pick.column - F64_FIRST)));
    counts = en->model[model].u64[pick.column - U64_FIRST];
    return counts != NULL ? bs_cell_count(counts[row->concept])
                          : (struct bs_cell){0};
}

int
bs_rank_print_concepts(const struct bs_rank_output *out,
                       const struct bs_rank_energy *en,
                       const struct bs_rank_list *list,
                       const struct bs_rank_options *o, struct bs_err *e)
{
    struct bs_column known[CONCEPT_COLUMNS + 1];
    struct printing p = {0};
    size_t i, c;
    int r;

    name_columns(known, o);
    r = begin(&p, out, en, known, o->specific || o->universal ? "delta" : NULL,
              e);
    for (i = 0; i < list->rows && r == 0; i++) {
        for (c = 0; c < p.columns.count; c++)
            p.cell[c] = concept_cell(en, &list->row[i], o, p.columns.pick[c]);
        r = bs_report_row(&p.report, p.cell, e);
    }
    return end(&p, r, e);
}

/* ---- top images ----------------------------------------------------------
 */

enum {
    T_CONCEPT,
    T_MODEL,
    T_SIDE,
    T_RANK,
    T_KEY,
    T_SCORE,
    T_OTHER,
    T_DELTA,
    T_CAPTION
};

static struct bs_cell
top_cell(const struct bs_rank_energy *en, const struct bs_rank_row *row,
         const struct bs_tops *tops, int side, size_t rank, int column)
{
    size_t list = tops->list_of[row->concept];
    const struct bs_top *top = &tops->top[side][list * tops->places + rank];

    switch (column) {
    case T_CONCEPT:
        return bs_cell_count(row->concept);
    case T_MODEL:
        return bs_cell_text(en->model[row->model].label);
    case T_SIDE:
        return bs_cell_text(bs_side_names[side]);
    case T_RANK:
        return bs_cell_count(rank + 1);
    case T_KEY:
        return bs_cell_text(bs_tops_key(tops, top->image));
    case T_SCORE:
        return bs_cell_real(top->score);
    case T_OTHER:
        return isnan(top->other) ? (struct bs_cell){0}
                                 : bs_cell_real(top->other);
    case T_DELTA:
        return bs_cell_real(
            bs_rank_f64(en, row->model, row->concept, BS_RANK_DELTA));
    default:
        return bs_cell_text(bs_tops_caption(tops, top->image));
    }
}

int
bs_rank_print_tops(const struct bs_rank_output *out,
                   const struct bs_rank_energy *en,
                   const struct bs_rank_list *list, const struct bs_tops *tops,
                   struct bs_err *e)
{
    static const struct bs_column known[] = {
        {"concept", true, false}, {"model", true, false},
        {"side", true, false},    {"rank", true, false},
        {"key", true, false},     {"score", true, false},
        {"other", true, false},   {"delta", false, false},
        {"caption", true, false}, {0}};
    struct printing p = {0};
    size_t i, rank, c;
    int side, r = begin(&p, out, en, known, NULL, e);

    for (i = 0; i < list->rows; i++)
        for (side = 0; side < BS_SIDES; side++) {
            size_t n = tops->count[side][tops->list_of[list->row[i].concept]];

            for (rank = 0; rank < n && r == 0; rank++) {
                for (c = 0; c < p.columns.count; c++)
                    p.cell[c] = top_cell(en, &list->row[i], tops, side, rank,
                                         p.columns.pick[c].column);
                r = bs_report_row(&p.report, p.cell, e);
            }
        }
    return end(&p, r, e);
}

/* ---- pairs ---------------------------------------------------------------
 */

enum { D_MODEL, D_RANK, D_KEY, D_L2, D_MEAN, D_TOP, D_CAPTION };

/* "17326:-0.43 12:0.2": the concepts that differ most; a place without a
 * concept, and what is not known, ends it. */
static int
name_top(struct bs_buf *b, const struct bs_rank_energy *en, size_t pair,
         size_t model, struct bs_err *e)
{
    const struct bs_rank_pairs *p = &en->pairs;
    size_t at = (pair * en->models + model) * p->top, i;
    const uint32_t *idx = (const uint32_t *)(const void *)p->top_idx.data;
    const double *diff = (const double *)(const void *)p->top_diff.data;
    int r = 0;

    b->len = 0;
    for (i = at; i < at + p->top && r == 0; i++) {
        if (idx[i] == UINT32_MAX || isnan(diff[i]))
            break;
        r = bs_buf_printf(b, e, "%s%" PRIu32 ":%.4g", i > at ? " " : "", idx[i],
                          diff[i]);
    }
    return r < 0 ? r : bs_buf_add(b, "", 1, e);
}

static struct bs_cell
pair_cell(const struct bs_rank_energy *en, const struct bs_distant *d,
          size_t model, size_t rank, const char *top, int column)
{
    const double *mean = (const double *)(const void *)en->pairs.mean.data;

    switch (column) {
    case D_MODEL:
        return bs_cell_text(en->model[model].label);
    case D_RANK:
        return bs_cell_count(rank + 1);
    case D_KEY:
        return bs_cell_text(d->key);
    case D_L2:
        return bs_cell_real(d->l2);
    case D_MEAN:
        return bs_cell_real(mean[d->pair * en->models + model]);
    case D_TOP:
        return bs_cell_text(top);
    default:
        return bs_cell_text(bs_rank_pair_caption(en, d->pair));
    }
}

static int
print_model_pairs(struct printing *p, const struct bs_distant *d, size_t n,
                  size_t model, struct bs_buf *top, struct bs_err *e)
{
    size_t i, c;
    int r = 0;

    for (i = 0; i < n && r == 0; i++) {
        r = name_top(top, p->en, d[i].pair, model, e);
        for (c = 0; c < p->columns.count && r == 0; c++)
            p->cell[c] =
                pair_cell(p->en, &d[i], model, i, (const char *)top->data,
                          p->columns.pick[c].column);
        if (r == 0)
            r = bs_report_row(&p->report, p->cell, e);
    }
    return r;
}

int
bs_rank_print_pairs(const struct bs_rank_output *out,
                    const struct bs_rank_energy *en,
                    const struct bs_rank_options *o, bool identical,
                    struct bs_err *e)
{
    static const struct bs_column known[] = {
        {"model", true, false},   {"rank", true, false},
        {"key", true, false},     {"l2", true, false},
        {"mean", true, false},    {"top", true, false},
        {"caption", true, false}, {0}};
    struct printing p = {0};
    struct bs_buf top = {0};
    size_t m;
    int r = begin(&p, out, en, known, NULL, e);

    for (m = 0; m < en->models && r == 0; m++) {
        struct bs_distant *d;
        size_t n;

        if (!o->models[m])
            continue;
        r = bs_rank_distances(&d, &n, en, m, o, identical, e);
        if (r == 0)
            r = print_model_pairs(&p, d, n, m, &top, e);
        bs_free(d);
    }
    bs_buf_release(&top);
    return end(&p, r, e);
}

/* ---- correlations --------------------------------------------------------
 */

enum {
    C_A,
    C_B,
    C_CONCEPTS,
    C_PEARSON, /* r, lo, hi, p */
    C_SPEARMAN = C_PEARSON + 4
};

static struct bs_cell
correlation_cell(const struct bs_rank_energy *en,
                 const struct bs_rank_pairing *x, int column)
{
    const struct bs_correlation *c =
        column < C_SPEARMAN ? &x->pearson : &x->spearman;

    switch (column) {
    case C_A:
        return bs_cell_text(en->model[x->a].label);
    case C_B:
        return bs_cell_text(en->model[x->b].label);
    case C_CONCEPTS:
        return bs_cell_count(x->used);
    default:
        break;
    }
    switch ((column - C_PEARSON) % 4) {
    case 0:
        return bs_cell_real(c->r);
    case 1:
        return bs_cell_real(c->lo);
    case 2:
        return bs_cell_real(c->hi);
    default:
        return bs_cell_real(c->p);
    }
}

int
bs_rank_print_correlations(const struct bs_rank_output *out,
                           const struct bs_rank_energy *en,
                           const struct bs_rank_options *o, struct bs_err *e)
{
    static const struct bs_column known[] = {
        {"a", true, false},           {"b", true, false},
        {"concepts", true, false},    {"pearson", true, false},
        {"pearson_lo", true, false},  {"pearson_hi", true, false},
        {"pearson_p", true, false},   {"spearman", true, false},
        {"spearman_lo", true, false}, {"spearman_hi", true, false},
        {"spearman_p", true, false},  {0}};
    struct printing p = {0};
    struct bs_rank_pairing x;
    size_t a, b, c;
    int r = begin(&p, out, en, known, NULL, e);

    for (a = 0; a < en->models; a++)
        for (b = a + 1; b < en->models && r == 0; b++) {
            if (!o->models[a] || !o->models[b])
                continue;
            r = bs_rank_correlate(&x, en, a, b, o, e);
            for (c = 0; c < p.columns.count && r == 0; c++)
                p.cell[c] = correlation_cell(en, &x, p.columns.pick[c].column);
            if (r == 0)
                r = bs_report_row(&p.report, p.cell, e);
        }
    return end(&p, r, e);
}
