/*
 * u-eigen.c - eigenvalues and singular values: cases worked by hand, random
 * ones by what defines them, and what is refused.
 */
#include "kernels/eigen.h"

#include <math.h>

#include "common/mem.h"
#include "common/rng.h"
#include "tests/unit/tap.h"

static bool
close_to(double got, double want, double scale)
{
    return fabs(got - want) <= 1e-12 * scale;
}

/* [[2, 1], [1, 2]]: 3 and 1; what is above the diagonal is not read. */
static void
by_hand(void)
{
    static const double a[] = {2, 99, 1, 2};
    double h = sqrt(0.5), values[2], v[4];
    struct bs_err e = {0};

    ok(bs_eigen_sym(a, 2, values, v, &e) == 0 && close_to(values[0], 3, 3) &&
           close_to(values[1], 1, 3),
       "two by two: the values, descending");
    ok(close_to(v[0], h, 1) && close_to(v[1], h, 1),
       "its first vector, positive");
    ok(close_to(fabs(v[2]), h, 1) && close_to(v[2], -v[3], 1),
       "its second vector");
    ok(bs_eigen_sym(a, 2, values, NULL, &e) == 0 && close_to(values[0], 3, 3),
       "the values alone");
    ok(bs_eigen_sym(a, 0, values, v, &e) == 0, "no rows");
}

/* A V^T = V^T diag(values), V V^T = 1, for a random matrix. */
static void
residuals(size_t n)
{
    double *a = bs_alloc_array(n * n, sizeof *a);
    double *v = bs_alloc_array(n * n, sizeof *v);
    double *values = bs_alloc_array(n, sizeof *values);
    double worst = 0, apart = 0, largest = 0;
    struct bs_rng rng;
    struct bs_err e = {0};
    size_t i, j, k;

    bs_rng_init(&rng, 7, n, 0);
    for (i = 0; i < n; i++)
        for (j = 0; j <= i; j++)
            a[i * n + j] = a[j * n + i] = bs_rng_normal(&rng);
    ok(bs_eigen_sym(a, n, values, v, &e) == 0, "%zu by %zu: solved%s", n, n,
       e.text);
    for (i = 0; i < n; i++) {
        largest = fmax(largest, fabs(values[i]));
        for (j = 0; j < n; j++) {
            double av = 0, vv = 0;

            for (k = 0; k < n; k++) {
                av += a[j * n + k] * v[i * n + k];
                vv += v[i * n + k] * v[j * n + k];
            }
            worst = fmax(worst, fabs(av - values[i] * v[i * n + j]));
            apart = fmax(apart, fabs(vv - (i == j)));
        }
    }
    ok(worst <= 1e-12 * largest && apart <= 1e-12,
       "its residual %.1e of %.1f, its vectors orthogonal to %.1e", worst,
       largest, apart);
    bs_free(a);
    bs_free(v);
    bs_free(values);
}

/* Singular values: of a wide matrix, of its transpose, of a zero one. */
static void
singular(void)
{
    static const double wide[] = {3, 0, 0, 0, 0, 4};
    static const double tall[] = {3, 0, 0, 0, 0, 4};
    static const double zero[6] = {0};
    double s[2];
    struct bs_err e = {0};

    ok(bs_svd(wide, 2, 3, s, &e) == 0 && close_to(s[0], 4, 4) &&
           close_to(s[1], 3, 4),
       "singular values of 2 by 3");
    ok(bs_svd(tall, 3, 2, s, &e) == 0 && close_to(s[0], 4, 4) &&
           close_to(s[1], 3, 4),
       "singular values of 3 by 2");
    ok(bs_svd(zero, 2, 3, s, &e) == 0 && s[0] == 0 && s[1] == 0,
       "singular values of nothing");
    ok(bs_svd(zero, 0, 3, s, &e) == 0, "no rows");
}

static void
refusals(void)
{
    const double holes[] = {1, 0, NAN, 1}, upper[] = {1, NAN, 0, 1};
    double s[2], v[4];
    struct bs_err e = {0};

    ok(bs_eigen_sym(holes, 2, s, v, &e) == -BS_EX_DATA &&
           strstr(e.text, "row 1, column 0") != NULL,
       "NaN is refused (%s)", e.text);
    ok(bs_eigen_sym(upper, 2, s, v, &e) == 0,
       "a NaN in the triangle that is not read is not");
    e = (struct bs_err){0};
    ok(bs_svd(upper, 2, 2, s, &e) == -BS_EX_DATA, "but in a general matrix");
    e = (struct bs_err){0};
    ok(bs_eigen_sym(holes, (size_t)BS_EIGEN_MAX + 1, s, v, &e) == -BS_EX_DATA &&
           strstr(e.text, "16385 rows") != NULL,
       "too large a matrix is refused (%s)", e.text);
}

int
main(void)
{
    by_hand();
    residuals(1);
    residuals(31);
    residuals(150);
    singular();
    refusals();
    return tap_done();
}
