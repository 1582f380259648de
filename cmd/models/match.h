/*
 * match.h - two dictionaries' atoms matched one to one (archetypal SAE,
 * equations 2 and 7).
 *
 * The stability is the mean cosine of the matched atoms, where the matching is
 * the best there is: of cosines, or, signed, of their magnitudes.  Where one
 * dictionary is larger, some of its atoms are left without a partner, and the
 * mean is over the smaller.
 *
 * The matching is exact although the cosines of all pairs, K^2 of them, are
 * never stored: it is found among the nearest atoms of each (assign.h), and its
 * prices are then held against all other pairs.  A pair that is worth more than
 * its prices joins the candidates, and prices and matching are made again,
 * until there is none; then no other matching is better.  What the products in
 * f32 leave open is looked at in f64.
 */
#ifndef BS_MODELS_MATCH_H
#define BS_MODELS_MATCH_H

#include "cmd/models/atoms.h"
#include "cmd/models/eval_metrics.h"
#include "common/pool.h"

enum bs_match_kind { BS_MATCH_PLAIN, BS_MATCH_SIGNED, BS_MATCH_KINDS };

#define BS_MATCH_NONE UINT32_MAX

struct bs_matching {
    double mean;       /* of the cosines, or of their magnitudes */
    double gap;        /* the best mean is at most this much larger */
    uint32_t *partner; /* [own->count], or BS_MATCH_NONE */
    double *cosine;    /* [own->count]; NaN where there is none */
};

struct bs_match {
    struct bs_matching kind[BS_MATCH_KINDS]; /* those asked for */
    double max;        /* the largest cosine of any pair */
    double mean_own;   /* the mean over own atoms of that with the nearest */
    double mean_other; /* and over the others' */
    unsigned rounds;
};

struct bs_match_options {
    bool kinds[BS_MATCH_KINDS];
    const struct bs_watch *watch; /* may be NULL */
};

/*
 * Widths must be the same, both at least one atom.  Cosines are rounded to
 * 2^-35.  -BS_EX_TEMPFAIL where bs_stop_wanted.  Memory: 5 to 10 KiB an atom
 * of either, and what bs_nearest takes.
 */
int bs_match(struct bs_match *m, const struct bs_atoms *own,
             const struct bs_atoms *other, const struct bs_match_options *o,
             struct bs_dev *dev, struct bs_pool *pool,
             struct bs_err *e) BS_CHECKED;
void bs_match_release(struct bs_match *m);

/* Set the metrics of the group. */
void bs_match_metrics(const struct bs_match *m,
                      const struct bs_match_options *o,
                      struct bs_cell cell[BS_METRICS]);

#endif
