/*
 * eval_pairs.h - concepts that fire together: Z^T Z of the codes Z of all
 * tokens, where it is not 0.
 *
 * Memory: 12 bytes a pair that fires together, at most `memory`, and 48 MiB for
 * codes that wait to be added.  Sums are in f64 and in the order of the tokens:
 * the same for any batch and number of threads.
 */
#ifndef BS_MODELS_EVAL_PAIRS_H
#define BS_MODELS_EVAL_PAIRS_H

#include "cmd/models/eval_metrics.h"
#include "cmd/models/eval_sums.h"
#include "common/pool.h"
#include "kernels/sae_ops.h"

/* A concept's row from its own column on: columns ascending. */
struct bs_pair_row {
    size_t n;
    double *sum;   /* [n], owned; the columns lie behind them */
    uint32_t *col; /* [n] */
};

struct bs_eval_pairs {
    size_t concepts;
    struct bs_pair_row *row; /* [concepts] */
    bool full;               /* more than `memory`: nothing is known */

    uint64_t memory; /* private, as is the rest */
    struct bs_pool *pool;
    size_t room, codes, tokens;  /* that wait */
    uint32_t *ptr, *idx, *token; /* their rows */
    float *val;
    uint32_t *first, *at; /* where each concept's codes are */
    struct bs_pair_scratch *scratch;
};

/* `pool` is borrowed until the release. */
int bs_eval_pairs_open(struct bs_eval_pairs *p, size_t concepts,
                       uint64_t memory, struct bs_pool *pool,
                       struct bs_err *e) BS_CHECKED;
int bs_eval_pairs_add(struct bs_eval_pairs *p, const struct bs_ragged *codes,
                      struct bs_err *e) BS_CHECKED;
/* Add what waits: the rows are then complete, or `full`. */
int bs_eval_pairs_finish(struct bs_eval_pairs *p, struct bs_err *e) BS_CHECKED;
void bs_eval_pairs_release(struct bs_eval_pairs *p);

/* The pairs, the connectivity and, where `correlated`, the largest correlation,
 * with the sums of the same tokens. */
int bs_eval_pairs_metrics(const struct bs_eval_pairs *p,
                          const struct bs_eval_sums *sums, bool correlated,
                          struct bs_cell cell[BS_METRICS],
                          struct bs_err *e) BS_CHECKED;

/* The interference of concepts with these atoms, [concepts, width].  The rows
 * hold its matrix, not Z^T Z, afterwards. */
int bs_eval_interference(struct bs_eval_pairs *p, const float *atoms,
                         size_t width, uint64_t tokens,
                         struct bs_cell cell[BS_METRICS],
                         struct bs_err *e) BS_CHECKED;

#endif
