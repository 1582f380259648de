/*
 * eval_report.h - the reports of bs-sae eval: a row a metric, and a row a
 * concept.
 */
#ifndef BS_MODELS_EVAL_REPORT_H
#define BS_MODELS_EVAL_REPORT_H

#include "cmd/models/eval_metrics.h"
#include "cmd/models/match.h"
#include "cmd/models/sae_eval.h"

/* The model beside another. */
struct bs_eval_other {
    const char *label;
    struct bs_cell cell[BS_METRICS];
    struct bs_match match;
};

/* What was found out; what was not is empty. */
struct bs_eval_findings {
    struct bs_cell cell[BS_METRICS];
    size_t concepts;
    const struct bs_atoms *atoms;
    const struct bs_eval_sums *sums; /* NULL: no features were read */
    const double *ood;               /* [concepts], or NULL */
    struct bs_eval_nearest nearest;
    struct bs_eval_other *other;
    size_t others;
};

/* Rows of metric, value and, where there is another model, against. */
int bs_eval_print_metrics(const struct bs_eval_findings *f,
                          const struct bs_metric_choice *choice,
                          enum bs_report_format format,
                          const struct bs_out *out,
                          struct bs_err *e) BS_CHECKED;

/*
 * The columns of the rows of concepts: those asked for, or the usual ones,
 * which depend on what `choice` wants.  Of f the others' labels are looked at.
 */
int bs_eval_concept_columns(struct bs_columns *c, const char *asked,
                            const struct bs_metric_choice *choice,
                            const struct bs_eval_findings *f,
                            struct bs_err *e) BS_CHECKED;
int bs_eval_print_concepts(const struct bs_eval_findings *f,
                           const struct bs_columns *columns,
                           enum bs_report_format format,
                           const struct bs_out *out,
                           struct bs_err *e) BS_CHECKED;

#endif
