/*
 * rank_stats.c - see rank_stats.h.  Time O(n log n), memory a few arrays of n.
 */
#include "cmd/models/rank_stats.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "cmd/models/stats.h"
#include "common/mem.h"

/* ---- distributions -------------------------------------------------------
 */

/* The continued fraction of the incomplete beta function (Lentz's method);
 * converges quickly for x < (a + 1)/(a + b + 2). */
static double
beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1), f;
    int m;

    d = 1 / (fabs(d) < tiny ? tiny : d);
    f = d;
    for (m = 1; m <= 10000; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd =
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        double step;

        d = 1 + even * d;
        c = 1 + even / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        f *= d * c;
        d = 1 + odd * d;
        c = 1 + odd / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        step = d * c;
        f *= step;
        if (fabs(step - 1) < DBL_EPSILON)
            break;
    }
    return f;
}

/* The regularised incomplete beta function at x; y = 1 - x, which the caller
 * knows without cancellation. */
static double
beta_inc(double a, double b, double x, double y)
{
    int sign;
    double front;

    if (x <= 0 || y <= 0)
        return x <= 0 ? 0 : 1;
    front = exp(lgamma_r(a + b, &sign) - lgamma_r(a, &sign) -
                lgamma_r(b, &sign) + a * log(x) + b * log(y));
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, y) / b;
}

double
bs_t_upper(double t, double df)
{
    double square = t * t, tail;

    if (isnan(t) || !(df > 0))
        return NAN;
    if (isinf(square))
        return t > 0 ? 0 : 1;
    tail =
        0.5 * beta_inc(df / 2, 0.5, df / (df + square), square / (df + square));
    return t > 0 ? tail : 1 - tail;
}

double
bs_tost(double mean, double se, uint64_t n, double bound)
{
    double df = (double)n - 1, above, below;

    if (isnan(mean) || isnan(se) || n < 2)
        return NAN;
    if (se == 0)
        return fabs(mean) < bound ? 0 : 1;
    above = bs_t_upper((mean + bound) / se, df);
    below = bs_t_upper((bound - mean) / se, df);
    return above > below ? above : below;
}

/* ---- order ---------------------------------------------------------------
 */

struct ranked {
    double value;
    size_t at;
};

static int
by_value(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* The values in ascending order with their places; NULL where there is no
 * memory. */
static struct ranked *
sorted(const double *x, size_t n, struct bs_err *e)
{
    struct ranked *s = bs_alloc_array(n, sizeof *s);
    size_t i;

    if (s == NULL) {
        (void)bs_err_memory(e, "ranks", n);
        return NULL;
    }
    for (i = 0; i < n; i++)
        s[i] = (struct ranked){x[i], i};
    qsort(s, n, sizeof *s, by_value);
    return s;
}

/* Replace values by their ranks from 1, equal ones by the mean of theirs. */
static int
to_ranks(double *x, size_t n, struct bs_err *e)
{
    struct ranked *s = sorted(x, n, e);
    size_t i, j, k;

    if (s == NULL)
        return -e->code;
    for (i = 0; i < n; i = j) {
        for (j = i + 1; j < n && s[j].value == s[i].value; j++)
            ;
        for (k = i; k < j; k++)
            x[s[k].at] = ((double)i + 1 + (double)j) / 2;
    }
    bs_free(s);
    return 0;
}

/* ---- correlation ---------------------------------------------------------
 */

static double
mean_of(const double *x, size_t n)
{
    double sum = 0;
    size_t i;

    for (i = 0; i < n; i++)
        sum += x[i];
    return sum / (double)n;
}

static double
pearson_r(const double *x, const double *y, size_t n)
{
    double mx = mean_of(x, n), my = mean_of(y, n);
    double xx = 0, yy = 0, xy = 0, r;
    size_t i;

    for (i = 0; i < n; i++) {
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (y[i] - my) * (y[i] - my);
        xy += (x[i] - mx) * (y[i] - my);
    }
    if (!(xx * yy > 0))
        return NAN;
    r = xy / sqrt(xx * yy); /* exact for ranks that agree */
    return r > 1 ? 1 : r < -1 ? -1 : r;
}

/* Interval and p-value of an r of n pairs; widen: what multiplies the variance
 * of Fisher's z. */
static struct bs_correlation
judge(double r, size_t n, double level, double widen)
{
    struct bs_correlation c = {r, r, r, NAN};
    double half;

    if (isnan(r))
        return c;
    c.p = n < 3 ? 1
                : beta_inc(((double)n - 2) / 2, 0.5, (1 - r) * (1 + r), r * r);
    if (n < 4) {
        c.lo = -1;
        c.hi = 1;
    } else if (fabs(r) < 1) {
        half =
            bs_normal_quantile((1 + level) / 2) * sqrt(widen / ((double)n - 3));
        c.lo = tanh(atanh(r) - half);
        c.hi = tanh(atanh(r) + half);
    }
    return c;
}

int
bs_correlate(const double *x, const double *y, size_t n, double level,
             size_t *used, struct bs_correlation *pearson,
             struct bs_correlation *spearman, struct bs_err *e)
{
    double *a = bs_alloc_array(n, sizeof *a), *b = bs_alloc_array(n, sizeof *b);
    size_t i, m = 0;
    int r = a != NULL && b != NULL ? 0 : bs_err_memory(e, "ranks", n);

    for (i = 0; r == 0 && i < n; i++)
        if (!isnan(x[i]) && !isnan(y[i])) {
            a[m] = x[i];
            b[m++] = y[i];
        }
    *used = m;
    if (r == 0)
        *pearson = judge(pearson_r(a, b, m), m, level, 1);
    if (r == 0)
        r = to_ranks(a, m, e);
    if (r == 0)
        r = to_ranks(b, m, e);
    if (r == 0) {
        double rho = pearson_r(a, b, m);

        *spearman = judge(rho, m, level, 1 + rho * rho / 2);
    }
    bs_free(a);
    bs_free(b);
    return r;
}
