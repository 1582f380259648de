/*
 * energy_concept.h - the statistics of one concept over paired images.
 */
#ifndef BS_MODELS_ENERGY_CONCEPT_H
#define BS_MODELS_ENERGY_CONCEPT_H

#include "cmd/models/energy_gather.h"
#include "cmd/models/energy_stats.h"
#include "cmd/models/sign_flip.h"

/* A concept's energies in the n pairs where it fires on either side; in the
 * others both are 0. */
struct bs_energy_pairs {
    size_t n;
    uint32_t *at;        /* places, ascending */
    int64_t *real, *gen; /* units */
    uint64_t tokens[2], images[2];
    uint64_t total[2]; /* units; both together below 2^62 */
};

/* What the concepts share. */
struct bs_energy_common {
    const struct bs_energy_config *config;
    const struct bs_flips *flips;
    const uint8_t *weight; /* bootstrap: [places, resamples] */
};

/* Room of one thread. */
struct bs_energy_scratch {
    struct bs_energy_pairs pairs, others, between;
    uint32_t *at;      /* [places]: of differences */
    int64_t *diff;     /* [places] */
    int64_t *sums;     /* [flips, rounded up] */
    double *resampled; /* [3, resamples] */
    double *most;      /* [models, flips]: largest statistic of each flip */
};

/* Merge a concept's entries on both sides, of the places where partner[place]
 * is not SIZE_MAX.  False where they are too large to be summed. */
bool bs_energy_merge(struct bs_energy_pairs *p,
                     const struct bs_energy_entry *real, size_t reals,
                     const struct bs_energy_entry *gen, size_t gens,
                     const size_t *partner) BS_CHECKED;

/* Fill row k of the table, but for the q-values and p_max, from scratch->pairs;
 * weights[resample]: the sum of the weights over the table's pairs.  Returns
 * the statistic of the sign flips, |sum| / norm, or -1 for a concept that is
 * not tested. */
double bs_energy_concept(struct bs_energy_table *t, size_t k, double *most,
                         const struct bs_energy_common *c,
                         const double *weights,
                         struct bs_energy_scratch *scratch);

/* Fill row k of a contrast, but for q: scratch->pairs is stream a against the
 * real one, others is b, between is a against b; all over the places that the
 * three have. */
void bs_energy_contrast(struct bs_contrast_table *t, size_t k,
                        const struct bs_energy_common *c,
                        struct bs_energy_scratch *scratch);

#endif
