/*
 * rank_pairs.h - pairs of a real and a generated image by their distance.
 */
#ifndef BS_MODELS_RANK_PAIRS_H
#define BS_MODELS_RANK_PAIRS_H

#include "cmd/models/rank_energy.h"
#include "cmd/models/rank_list.h"
#include "common/bs.h"
#include "common/err.h"

struct bs_distant {
    double l2;
    const char *key;
    size_t pair;
};

/* The pairs that a model has, o->limit at most: those with the largest l2 first
 * or, identical, with the smallest; equal ones by key.  The caller frees *out,
 * which is NULL where this fails. */
int bs_rank_distances(struct bs_distant **out, size_t *count,
                      const struct bs_rank_energy *en, size_t model,
                      const struct bs_rank_options *o, bool identical,
                      struct bs_err *e) BS_CHECKED;

#endif
