/*
 * stats.h - the statistics of a mean and of many tests.
 *
 * Levels are of confidence: 0.95 means that an interval errs 1 time in 20.
 */
#ifndef BS_MODELS_STATS_H
#define BS_MODELS_STATS_H

#include "common/bs.h"
#include "common/err.h"

/* 1 / (1 + exp(-x)), without overflow. */
double bs_sigmoid(double x);

/* P(Z > z) of a standard normal Z; and the z of a lower tail p in (0, 1), to
 * 1e-14; NaN for other p. */
double bs_normal_upper(double z);
double bs_normal_quantile(double p);

/*
 * Half widths of sigma(D / T) around D = mean(y) - mean(x), for n pairs of
 * values in [0, range] (conceptual blindspots, appendix I, for dependent
 * halves of a pair): sigma grows by at most 1/4, so a bound on D, divided by
 * 4 T, is one on delta.
 *
 * McDiarmid: t with 2 exp(-8 n t^2 T^2 / range^2) = 1 - level.
 * Empirical Bernstein (Audibert, Munos, Szepesvari 2009): sqrt(2 V l / n) +
 * 3 R l / n with l = ln(3 / (1 - level)), V the variance of the differences
 * (over n), R = 2 range.
 */
double bs_mcdiarmid(double n, double range, double temperature, double level);
double bs_bernstein(double n, double variance, double range, double temperature,
                    double level);

/*
 * Half widths of the mean of n values in [0, range]: Hoeffding, range *
 * sqrt(ln(2 / (1 - level)) / (2 n)); empirical Bernstein as above with R =
 * range.
 */
double bs_hoeffding_mean(double n, double range, double level);
double bs_bernstein_mean(double n, double variance, double range, double level);

/*
 * q-values of n p-values in [0, 1]: Benjamini and Hochberg (1995), for
 * independent or positively dependent tests, or Benjamini and Yekutieli (2001),
 * for any.  Only those with tested[i] count (NULL: all); the others get 1.  q
 * may be p.
 */
enum bs_fdr { BS_FDR_BH, BS_FDR_BY };
int bs_q_values(double *q, const double *p, const bool *tested, size_t n,
                enum bs_fdr kind, struct bs_err *e) BS_CHECKED;

/* The p quantile of n ascending values, linear between neighbours (NumPy's and
 * R's default); n > 0. */
double bs_quantile_sorted(const double *v, size_t n, double p);

/* Compare doubles, ascending, for qsort. */
int bs_compare_doubles(const void *a, const void *b);

#endif
