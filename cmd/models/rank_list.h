/*
 * rank_list.h - the concepts of an energy stream that are suppressed,
 * exaggerated, so in every model, or in one alone; and the correlation of
 * models.
 */
#ifndef BS_MODELS_RANK_LIST_H
#define BS_MODELS_RANK_LIST_H

#include "cmd/models/rank_energy.h"
#include "cmd/models/rank_stats.h"
#include "common/bs.h"
#include "common/err.h"

/* What counts: the order of lists, and what models are correlated by. */
enum bs_rank_by {
    BS_RANK_BY_DELTA,
    BS_RANK_BY_RAW,
    BS_RANK_BY_RELATIVE,
    BS_RANK_BY_Q,
    BS_RANK_BY_CONCEPT
};
extern const char *const bs_rank_by_names[];

/* Which p-values, adjusted for how many there are, are held against the limit.
 */
enum bs_rank_fdr { BS_RANK_FDR_BH, BS_RANK_FDR_BY, BS_RANK_FDR_MAXT };
extern const char *const bs_rank_fdr_names[];

struct bs_rank_options {
    bool suppressed, exaggerated; /* neither: both, and what is between */
    bool universal, specific;
    double below, above; /* suppressed: delta < below; exaggerated: > above */
    double max_q;        /* NaN: no limit */
    double margin;       /* of equivalence: delta within 0.5 -+ margin */
    enum bs_rank_fdr fdr;
    enum bs_rank_by by;
    uint64_t min_images;  /* real or generated, in which a concept fires */
    uint64_t limit;       /* rows of a model */
    const bool *models;   /* [models]: the ones to list */
    const bool *concepts; /* [concepts]: the ones to look at, NULL for all */
};

/* A line of a list.  Universal: `model` is, of the listed ones, that nearest to
 * 0.5. */
struct bs_rank_row {
    uint32_t concept, model;
    double p_eq, q_eq; /* specific: of equivalence in the others; else NaN */
};

struct bs_rank_list {
    struct bs_rank_row *row; /* for bs_free */
    size_t rows;
};

/* "suppressed", "exaggerated", or "" in between. */
const char *bs_rank_side(const struct bs_rank_energy *en, size_t model,
                         uint32_t concept, const struct bs_rank_options *o);

/*
 * The rows of every model that is listed, in the stream's order of models, each
 * sorted: what stands out most first, equal ones by number, NaN last.
 *
 * Specific: a concept on a wanted side of one model with q <= max_q and, in
 * every other model, equivalent to no difference: two one-sided t-tests of the
 * form that delta is made of, against the value where delta is 0.5 -+ margin.
 * p_eq is the largest of the others; q_eq is p_eq adjusted (BH) over the
 * concepts that this model singles out, and at most max_q.
 *
 * -BS_EX_DATA where a column is missing that the options ask for, or a second
 * model.
 */
int bs_rank_select(struct bs_rank_list *list, const struct bs_rank_energy *en,
                   const struct bs_rank_options *o,
                   struct bs_err *e) BS_CHECKED;

/* Two models over the concepts looked at: by delta, raw or relative. */
struct bs_rank_pairing {
    size_t a, b, used;
    struct bs_correlation pearson, spearman;
};
int bs_rank_correlate(struct bs_rank_pairing *out,
                      const struct bs_rank_energy *en, size_t a, size_t b,
                      const struct bs_rank_options *o,
                      struct bs_err *e) BS_CHECKED;

#endif
