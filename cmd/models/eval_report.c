/*
 * eval_report.c - see eval_report.h.
 */
#include "cmd/models/eval_report.h"

#include <math.h>

/* ---- metrics --------------------------------------------------------------
 */

static int
print_row(struct bs_report *r, enum bs_metric m, const struct bs_cell *cell,
          const char *against, struct bs_err *e)
{
    struct bs_cell row[] = {
        bs_cell_text(bs_metric_infos[m].name), cell[m], {.kind = BS_CELL_NONE}};

    if (against != NULL)
        row[2] = bs_cell_text(against);
    return bs_report_row(r, row, e);
}

int
bs_eval_print_metrics(const struct bs_eval_findings *f,
                      const struct bs_metric_choice *choice,
                      enum bs_report_format format, const struct bs_out *out,
                      struct bs_err *e)
{
    static const char *const names[] = {"metric", "value", "against"};
    struct bs_report report = {0};
    size_t m, o;
    int r =
        bs_report_begin(&report, format, out, names, f->others > 0 ? 3 : 2, e);

    for (m = 0; m < BS_METRICS && r == 0; m++)
        if (choice->metric[m] && bs_metric_infos[m].group != BS_GROUP_MATCH)
            r = print_row(&report, (enum bs_metric)m, f->cell, NULL, e);
    for (o = 0; o < f->others; o++)
        for (m = 0; m < BS_METRICS && r == 0; m++)
            if (choice->metric[m] && bs_metric_infos[m].group == BS_GROUP_MATCH)
                r = print_row(&report, (enum bs_metric)m, f->other[o].cell,
                              f->other[o].label, e);
    if (r == 0)
        r = bs_report_end(&report, e);
    bs_report_release(&report);
    return r;
}

/* ---- concepts -------------------------------------------------------------
 */

enum {
    CONCEPT,
    FIRES,
    RECORDS,
    FREQUENCY,
    MEAN,
    MEAN_ACTIVE,
    MAX,
    ENERGY,
    NORM,
    NEAREST,
    NEAREST_COSINE,
    DATA_COSINE,
    MATCH,
    MATCH_COSINE,
    SIGNED_MATCH,
    SIGNED_COSINE,
    COLUMNS
};

static const char *const column_names[COLUMNS] = {
    "concept",        "fires",       "records", "frequency",    "mean",
    "mean_active",    "max",         "energy",  "norm",         "nearest",
    "nearest_cosine", "data_cosine", "match",   "match_cosine", "signed_match",
    "signed_cosine"};

static bool
is_usual(int column, const struct bs_metric_choice *choice)
{
    switch (column) {
    case CONCEPT:
    case NORM:
        return true;
    case FIRES:
    case RECORDS:
    case MEAN:
    case MAX:
    case ENERGY:
        return bs_metric_needs_features(choice);
    case NEAREST:
    case NEAREST_COSINE:
        return choice->metric[BS_M_COHERENCE];
    case DATA_COSINE:
        return choice->metric[BS_M_OOD];
    default:
        return false;
    }
}

int
bs_eval_concept_columns(struct bs_columns *c, const char *asked,
                        const struct bs_metric_choice *choice,
                        const struct bs_eval_findings *f, struct bs_err *e)
{
    struct bs_column known[COLUMNS + 1] = {0};
    const char **label = bs_alloc_array(f->others, sizeof *label);
    bool matched = f->others > 0 && choice->metric[BS_M_STABILITY];
    size_t i;
    int r;

    if (label == NULL)
        return bs_err_memory(e, "labels", f->others);
    for (i = 0; i < f->others; i++)
        label[i] = f->other[i].label;
    for (i = 0; i < COLUMNS; i++) {
        known[i].name = column_names[i];
        known[i].usual = is_usual((int)i, choice);
        known[i].each = i >= MATCH;
    }
    r = bs_columns_choose(c, known, asked, matched ? "match_cosine" : NULL,
                          label, f->others, e);
    bs_free((void *)label);
    return r;
}

static struct bs_cell
sums_cell(const struct bs_eval_findings *f, size_t k, int column)
{
    const struct bs_concept_sums *c = &f->sums->concept[k];
    double tokens = (double)f->sums->tokens, fires = (double)c->fires;

    switch (column) {
    case FIRES:
        return bs_cell_count(c->fires);
    case RECORDS:
        return bs_cell_count(c->records);
    case FREQUENCY:
        return bs_cell_real(fires / tokens);
    case MEAN:
        return bs_cell_real(c->sum / tokens);
    case MEAN_ACTIVE:
        return c->fires > 0 ? bs_cell_real(c->sum / fires)
                            : (struct bs_cell){0};
    case MAX:
        return bs_cell_real((double)c->most);
    default:
        return bs_cell_real(c->sum / tokens * f->atoms->norm[k]);
    }
}

static struct bs_cell
match_cell(const struct bs_eval_findings *f, size_t k, int column, int other)
{
    const struct bs_matching *m;

    if (f->others == 0)
        return (struct bs_cell){0};
    m = &f->other[other < 0 ? 0 : other]
             .match
             .kind[column >= SIGNED_MATCH ? BS_MATCH_SIGNED : BS_MATCH_PLAIN];
    if (m->partner == NULL || m->partner[k] == BS_MATCH_NONE)
        return (struct bs_cell){0};
    return column == MATCH || column == SIGNED_MATCH
               ? bs_cell_count(m->partner[k])
               : bs_cell_real(m->cosine[k]);
}

static struct bs_cell
concept_cell(const struct bs_eval_findings *f, size_t k, int column, int other)
{
    bool near =
        f->nearest.atom != NULL && f->nearest.atom[k] != BS_NEAREST_NONE;

    switch (column) {
    case CONCEPT:
        return bs_cell_count(k);
    case NORM:
        return bs_cell_real(f->atoms->norm[k]);
    case NEAREST:
        return near ? bs_cell_count(f->nearest.atom[k]) : (struct bs_cell){0};
    case NEAREST_COSINE:
        return near ? bs_cell_real(f->nearest.cosine[k]) : (struct bs_cell){0};
    case DATA_COSINE:
        return f->ood != NULL ? bs_cell_real(f->ood[k]) : (struct bs_cell){0};
    default:
        break;
    }
    if (column >= MATCH)
        return match_cell(f, k, column, other);
    return f->sums != NULL ? sums_cell(f, k, column) : (struct bs_cell){0};
}

int
bs_eval_print_concepts(const struct bs_eval_findings *f,
                       const struct bs_columns *columns,
                       enum bs_report_format format, const struct bs_out *out,
                       struct bs_err *e)
{
    struct bs_cell *cell = bs_alloc_array(columns->count, sizeof *cell);
    struct bs_report report = {0};
    size_t k, c;
    int r = cell == NULL ? bs_err_memory(e, "columns", columns->count)
                         : bs_report_begin(&report, format, out, columns->name,
                                           columns->count, e);

    for (k = 0; k < f->concepts && r == 0; k++) {
        for (c = 0; c < columns->count; c++)
            cell[c] = concept_cell(f, k, columns->pick[c].column,
                                   columns->pick[c].model);
        r = bs_report_row(&report, cell, e);
    }
    if (r == 0)
        r = bs_report_end(&report, e);
    bs_report_release(&report);
    bs_free(cell);
    return r;
}
