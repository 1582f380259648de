/*
 * eval_dictionary.h - metrics of a dictionary alone, and of how far its atoms
 * are from the data (archetypal SAE, appendix C).
 */
#ifndef BS_MODELS_EVAL_DICTIONARY_H
#define BS_MODELS_EVAL_DICTIONARY_H

#include "cmd/models/atoms.h"
#include "cmd/models/eval_metrics.h"
#include "common/mem.h"
#include "common/pool.h"

#define BS_NEAREST_NONE UINT32_MAX

/* Of each atom the other one with the largest cosine; NULL where coherence was
 * not asked for. */
struct bs_eval_nearest {
    uint32_t *atom; /* [count], or BS_NEAREST_NONE: it is alone, or of length 0
                     */
    double *cosine;
};

/*
 * The metrics of the group that `choice` wants.  Singular values below 1e-7 of
 * the largest count as 0.  More than 16384 of them are not computed: the ranks
 * are then not known.  -BS_EX_TEMPFAIL where bs_stop_wanted.
 */
int bs_eval_dictionary(const struct bs_atoms *a,
                       const struct bs_metric_choice *choice,
                       struct bs_dev *dev, struct bs_pool *pool,
                       const struct bs_watch *watch,
                       struct bs_cell cell[BS_METRICS],
                       struct bs_eval_nearest *nearest,
                       struct bs_err *e) BS_CHECKED;
void bs_eval_nearest_release(struct bs_eval_nearest *n);

/* ---- out of distribution --------------------------------------------------
 */

/* Of each atom the largest cosine with a token. */
struct bs_eval_ood {
    const struct bs_atoms *atoms;
    struct bs_dev *dev;
    double *cosine; /* [count]; -1 before the first token */

    struct bs_encoder *enc; /* private, as is the rest */
    float *tau;             /* [count]: 1 + the largest, as the device has it */
    float *unit;            /* tokens of length 1 */
    size_t rows;            /* room of it */
    uint64_t tokens;
    struct bs_mem x;
    struct bs_ragged hits;
};

int bs_eval_ood_open(struct bs_eval_ood *o, const struct bs_atoms *a,
                     struct bs_dev *dev, struct bs_err *e) BS_CHECKED;
/* m tokens x [m, width]. */
int bs_eval_ood_add(struct bs_eval_ood *o, const float *x, size_t m,
                    struct bs_err *e) BS_CHECKED;
/* 1 - the mean of the cosines. */
void bs_eval_ood_metrics(const struct bs_eval_ood *o,
                         struct bs_cell cell[BS_METRICS]);
/* Release all but the cosines; no more tokens are added. */
void bs_eval_ood_drop(struct bs_eval_ood *o);
void bs_eval_ood_release(struct bs_eval_ood *o);

#endif
