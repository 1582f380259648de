/*
 * rank_stats.h - the statistics of a ranking: equivalence tests, adjusted
 * p-values, correlations with intervals.
 *
 * Held against SciPy and statsmodels to 1e-9 (tests/golden/make-rank.py).
 * NaN in, NaN out, unless said otherwise.
 */
#ifndef BS_MODELS_RANK_STATS_H
#define BS_MODELS_RANK_STATS_H

#include "common/bs.h"
#include "common/err.h"

/* P(T > t) of Student's t with df > 0 degrees of freedom. */
double bs_t_upper(double t, double df);

/*
 * Two one-sided t-tests: the p-value of "the mean lies outside (-bound, bound)"
 * for a mean of n pairs with the standard error se.  Small: equivalent to
 * nothing.  With se 0, which leaves no doubt, 0 or 1.
 */
double bs_tost(double mean, double se, uint64_t n, double bound);

struct bs_correlation {
    double r, lo, hi; /* the interval: Fisher's z */
    double p;         /* of no correlation, both-sided: Student's t */
};

/*
 * Of the n pairs without a NaN, *used of them: Pearson's r and Spearman's (r of
 * the ranks, equal values sharing the mean rank).  Fisher's z has the standard
 * error 1/sqrt(n - 3); for ranks sqrt((1 + r^2/2)/(n - 3)) (Bonett and Wright,
 * 2000).  r is NaN where a side is constant; up to three pairs have the
 * interval -1..1.
 */
int bs_correlate(const double *x, const double *y, size_t n, double level,
                 size_t *used, struct bs_correlation *pearson,
                 struct bs_correlation *spearman, struct bs_err *e) BS_CHECKED;

#endif
