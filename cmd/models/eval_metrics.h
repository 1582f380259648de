/*
 * eval_metrics.h - the metrics of bs-sae eval: names, groups, values.
 *
 * Formulas stand in bs-sae-eval(1) and where each is computed.
 */
#ifndef BS_MODELS_EVAL_METRICS_H
#define BS_MODELS_EVAL_METRICS_H

#include "cmd/models/rank_report.h"
#include "common/bs.h"
#include "common/err.h"

enum bs_metric_group {
    BS_GROUP_RECONSTRUCTION, /* of features */
    BS_GROUP_CODES,
    BS_GROUP_OOD,
    BS_GROUP_COACTIVATION,
    BS_GROUP_DICTIONARY,
    BS_GROUP_MATCH, /* with another dictionary */
    BS_GROUPS
};

/* In the order of the report. */
enum bs_metric {
    BS_M_RECORDS,
    BS_M_TOKENS,
    BS_M_R2,
    BS_M_R2_GLOBAL,
    BS_M_FVU,
    BS_M_EXPLAINED_VARIANCE,
    BS_M_MSE,
    BS_M_NORMALIZED_MSE,
    BS_M_AVG_L2,
    BS_M_AVG_L1,
    BS_M_RELATIVE_AVG_L2,
    BS_M_RELATIVE_AVG_L1,
    BS_M_COSINE,
    BS_M_L2_RATIO,
    BS_M_L0,
    BS_M_L0_SHARE,
    BS_M_L1,
    BS_M_HOYER,
    BS_M_KAPPA_4,
    BS_M_EMPTY,
    BS_M_ALIVE,
    BS_M_DEAD,
    BS_M_OOD,
    BS_M_PAIRS,
    BS_M_CONNECTIVITY,
    BS_M_MAX_CORRELATION,
    BS_M_FROBENIUS,
    BS_M_SPECTRAL,
    BS_M_FROBENIUS_TOKEN,
    BS_M_SPECTRAL_TOKEN,
    BS_M_CONCEPTS,
    BS_M_WIDTH,
    BS_M_NORM_MIN,
    BS_M_NORM_MEAN,
    BS_M_NORM_MAX,
    BS_M_ZERO_ATOMS,
    BS_M_STABLE_RANK,
    BS_M_EFFECTIVE_RANK,
    BS_M_COHERENCE,
    BS_M_STABILITY,
    BS_M_STABILITY_GAP,
    BS_M_STABILITY_SIGNED,
    BS_M_STABILITY_SIGNED_GAP,
    BS_M_MAX_COSINE,
    BS_M_MEAN_MAX_COSINE,
    BS_M_MEAN_MAX_COSINE_OTHER,
    BS_METRICS
};

struct bs_metric_info {
    const char *name;
    enum bs_metric_group group;
};
extern const struct bs_metric_info bs_metric_infos[BS_METRICS];
extern const char *const bs_metric_group_names[BS_GROUPS];

/* Which are wanted. */
struct bs_metric_choice {
    bool metric[BS_METRICS];
    bool named; /* one by one or by group, not all */
};

/* From "r2,dictionary", names of metrics and groups; NULL: all.  An unknown
 * name is -BS_EX_USAGE with the list of the known ones. */
int bs_metric_choose(struct bs_metric_choice *c, const char *names,
                     struct bs_err *e) BS_CHECKED;
/* Any of the group. */
bool bs_metric_wanted(const struct bs_metric_choice *c,
                      enum bs_metric_group group);
/* Whether features must be read for what is wanted. */
bool bs_metric_needs_features(const struct bs_metric_choice *c);

/* Values: a cell a metric, BS_CELL_NONE where it is not known. */
static inline void
bs_metric_real(struct bs_cell *cell, enum bs_metric m, double value)
{
    cell[m] = (struct bs_cell){.kind = BS_CELL_REAL, .real = value};
}

static inline void
bs_metric_count(struct bs_cell *cell, enum bs_metric m, uint64_t value)
{
    cell[m] = (struct bs_cell){.kind = BS_CELL_COUNT, .count = value};
}

#endif
