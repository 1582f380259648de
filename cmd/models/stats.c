/*
 * stats.c - see stats.h.
 */
#include "cmd/models/stats.h"

#include <math.h>
#include <stdlib.h>

#include "common/mem.h"

double
bs_sigmoid(double x)
{
    double small;

    if (x >= 0)
        return 1 / (1 + exp(-x));
    small = exp(x);
    return small / (1 + small);
}

double
bs_normal_upper(double z)
{
    return 0.5 * erfc(z * M_SQRT1_2);
}

double
bs_normal_quantile(double p)
{
    double tail = p < 0.5 ? p : 1 - p; /* of the upper side */
    double t = sqrt(-2 * log(tail));
    /* Abramowitz and Stegun 26.2.23: within 4.5e-4, then Newton's steps. */
    double z = t - (2.515517 + t * (0.802853 + t * 0.010328)) /
                       (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
    int i;

    if (!(p > 0 && p < 1))
        return NAN;
    for (i = 0; i < 4; i++) {
        double density = exp(-0.5 * z * z) / sqrt(2 * M_PI);

        z += (bs_normal_upper(z) - tail) / density;
    }
    return p < 0.5 ? -z : z;
}

double
bs_mcdiarmid(double n, double range, double temperature, double level)
{
    return range / temperature * sqrt(log(2 / (1 - level)) / (8 * n));
}

double
bs_bernstein(double n, double variance, double range, double temperature,
             double level)
{
    return bs_bernstein_mean(n, variance, 2 * range, level) / (4 * temperature);
}

double
bs_hoeffding_mean(double n, double range, double level)
{
    return range * sqrt(log(2 / (1 - level)) / (2 * n));
}

double
bs_bernstein_mean(double n, double variance, double range, double level)
{
    double l = log(3 / (1 - level));

    return sqrt(2 * variance * l / n) + 3 * range * l / n;
}

/* ---- many tests -----------------------------------------------------------
 */

struct ranked {
    double p;
    size_t at;
};

/* By p, then by place, so that the order is one. */
static int
compare_ranked(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->p != y->p)
        return x->p < y->p ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

int
bs_q_values(double *q, const double *p, const bool *tested, size_t n,
            enum bs_fdr kind, struct bs_err *e)
{
    struct ranked *r = bs_alloc_array(n, sizeof *r);
    double factor = 1, least = 1;
    size_t i, m = 0;

    if (r == NULL)
        return bs_err_memory(e, "q-values", n);
    for (i = 0; i < n; i++) {
        if (tested == NULL || tested[i])
            r[m++] = (struct ranked){p[i], i};
        q[i] = 1;
    }
    qsort(r, m, sizeof *r, compare_ranked);
    if (kind == BS_FDR_BY)
        for (i = 2; i <= m; i++)
            factor += 1 / (double)i;
    for (i = m; i-- > 0;) {
        least = fmin(least, r[i].p * factor * (double)m / (double)(i + 1));
        q[r[i].at] = least;
    }
    bs_free(r);
    return 0;
}

double
bs_quantile_sorted(const double *v, size_t n, double p)
{
    double at = p * (double)(n - 1);
    size_t below = (size_t)at;
    double part = at - (double)below;

    return below + 1 < n ? v[below] + part * (v[below + 1] - v[below])
                         : v[n - 1];
}

int
bs_compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}
