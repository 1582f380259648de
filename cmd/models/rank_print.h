/*
 * rank_print.h - the lists of bs-rank as rows of a report.
 */
#ifndef BS_MODELS_RANK_PRINT_H
#define BS_MODELS_RANK_PRINT_H

#include "cmd/models/rank_energy.h"
#include "cmd/models/rank_list.h"
#include "cmd/models/rank_report.h"
#include "cmd/models/rank_top.h"
#include "common/bs.h"
#include "common/err.h"
#include "common/io.h"

struct bs_rank_output {
    enum bs_report_format format;
    const struct bs_out *out;
    const char *columns; /* asked for, or NULL */
};

/* The concepts of a list. */
int bs_rank_print_concepts(const struct bs_rank_output *out,
                           const struct bs_rank_energy *en,
                           const struct bs_rank_list *list,
                           const struct bs_rank_options *o,
                           struct bs_err *e) BS_CHECKED;

/* For every concept of a list its images, real and then generated. */
int bs_rank_print_tops(const struct bs_rank_output *out,
                       const struct bs_rank_energy *en,
                       const struct bs_rank_list *list,
                       const struct bs_tops *tops, struct bs_err *e) BS_CHECKED;

/* Pairs of every listed model: those with the largest l2 first, or with the
 * smallest; equal ones by key; without those that the model lacks. */
int bs_rank_print_pairs(const struct bs_rank_output *out,
                        const struct bs_rank_energy *en,
                        const struct bs_rank_options *o, bool identical,
                        struct bs_err *e) BS_CHECKED;

/* Every two of the listed models. */
int bs_rank_print_correlations(const struct bs_rank_output *out,
                               const struct bs_rank_energy *en,
                               const struct bs_rank_options *o,
                               struct bs_err *e) BS_CHECKED;

#endif
