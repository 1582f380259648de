/*
 * angles.c - see angles.h.
 */
#include "kernels/angles.h"

#include <math.h>

#include "common/mem.h"
#include "kernels/eigen.h"

static double
dot(const double *x, const double *y, size_t n)
{
    double sum = 0;
    size_t i;

    for (i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

static void
add(double *x, double c, const double *y, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        x[i] += c * y[i];
}

/* The triangle [b][b] of the rows x [b][n], by modified Gram and Schmidt: its
 * singular values are those of x to eps of the largest.  Spoils x. */
static void
triangle(double *x, size_t b, size_t n, double *r)
{
    size_t i, j;

    for (i = 0; i < b; i++) {
        double length = sqrt(dot(x + i * n, x + i * n, n));

        r[i * b + i] = length;
        for (j = i + 1; j < b && length > 0; j++) {
            double c = dot(x + i * n, x + j * n, n) / length;

            r[i * b + j] = c;
            add(x + j * n, -c / length, x + i * n, n);
        }
    }
}

/* What is left of the rows of v when the span of u is taken out. */
static double *
left_over(const double *u, size_t a, const double *v, size_t b, size_t n,
          const double *product)
{
    double *x = bs_alloc_array(b * n, sizeof *x);
    size_t i, j;

    for (j = 0; j < b && x != NULL; j++) {
        memcpy(x + j * n, v + j * n, n * sizeof *x);
        for (i = 0; i < a; i++)
            add(x + j * n, -product[i * b + j], u + i * n, n);
    }
    return x;
}

/* From singular values, cosines descending and sines descending. */
static void
angles_of(double *angle, const double *cosines, const double *sines, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        double c = fmin(cosines[i], 1), s = fmin(sines[n - 1 - i], 1);

        angle[i] = c * c < 0.5 ? acos(c) : asin(s);
    }
}

/* big [m][n], small [k][n], k <= m; product [m][k] receives big small^T. */
static int
angles_between(const double *big, size_t m, const double *small, size_t k,
               size_t n, double *angle, double *product, struct bs_err *e)
{
    double *square = bs_alloc_array(k * k, sizeof *square);
    double *cosines = bs_alloc_array(k, sizeof *cosines);
    double *sines = bs_alloc_array(k, sizeof *sines), *left;
    size_t i, j;
    int r = 0;

    for (i = 0; i < m; i++)
        for (j = 0; j < k; j++)
            product[i * k + j] = dot(big + i * n, small + j * n, n);
    left = left_over(big, m, small, k, n, product);
    if (square == NULL || cosines == NULL || sines == NULL || left == NULL)
        r = bs_err_memory(e, "angles", k * n * sizeof *left);
    if (r == 0) {
        triangle(left, k, n, square);
        r = bs_svd(product, m, k, cosines, e);
    }
    if (r == 0)
        r = bs_svd(square, k, k, sines, e);
    if (r == 0)
        angles_of(angle, cosines, sines, k);
    bs_free(square);
    bs_free(cosines);
    bs_free(sines);
    bs_free(left);
    return r;
}

int
bs_principal_angles(const double *u, size_t a, const double *v, size_t b,
                    size_t n, double *angle, double *cosine, struct bs_err *e)
{
    bool swapped = a < b;
    double *product = bs_alloc_array(a * b, sizeof *product);
    size_t i, j;
    int r;

    if (product == NULL)
        return bs_err_memory(e, "angles", a * b * sizeof *product);
    r = swapped ? angles_between(v, b, u, a, n, angle, product, e)
                : angles_between(u, a, v, b, n, angle, product, e);
    for (i = 0; i < a && r == 0 && cosine != NULL; i++)
        for (j = 0; j < b; j++)
            cosine[i * b + j] =
                swapped ? product[j * a + i] : product[i * b + j];
    bs_free(product);
    return r;
}
