/*
 * eval_sums.h - how well tokens are reconstructed and how sparse their codes
 * are: sums over tokens, in f64 and in the order of the tokens, so that they
 * depend neither on batches nor on threads.
 */
#ifndef BS_MODELS_EVAL_SUMS_H
#define BS_MODELS_EVAL_SUMS_H

#include "cmd/models/eval_metrics.h"
#include "common/pool.h"
#include "kernels/sae_ops.h"

/* What is known of a concept. */
struct bs_concept_sums {
    uint64_t fires, records; /* tokens, records in which it fires */
    double sum;              /* of its codes */
    float most;              /* the largest */
    uint64_t last;           /* private: 1 + the record it fired in last */
};

/* Zero-initialised means empty. */
struct bs_eval_sums {
    size_t width, concepts;
    uint64_t records, tokens, codes;
    struct bs_concept_sums *concept; /* [concepts] */

    uint64_t none, nonzero; /* private: tokens without codes, of a length */
    double *column;         /* [COLUMN_SUMS][width] */
    double total[16];
    struct bs_buf token; /* the sums of each token of a batch */
};

int bs_eval_sums_open(struct bs_eval_sums *s, size_t concepts, size_t width,
                      struct bs_err *e) BS_CHECKED;

/*
 * Add m tokens x [m, width], their reconstruction y, or NULL where it is not
 * asked for, and codes; record [m]: the number of the record that each is of.
 */
int bs_eval_sums_add(struct bs_eval_sums *s, const float *x, const float *y,
                     const struct bs_ragged *codes, const uint64_t *record,
                     size_t m, struct bs_pool *pool,
                     struct bs_err *e) BS_CHECKED;

/* Set the metrics of reconstruction (where `decoded`) and of codes. */
void bs_eval_sums_metrics(const struct bs_eval_sums *s, bool decoded,
                          struct bs_cell cell[BS_METRICS]);
void bs_eval_sums_release(struct bs_eval_sums *s);

#endif
