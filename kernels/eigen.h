/*
 * eigen.h - eigenvalues and singular values of small dense matrices, f64.
 *
 * Host memory, row-major; through LAPACK, on the caller's thread only, so that
 * the bits do not depend on how many processors there are (they may depend on
 * which LAPACK is installed: compare within 1e-12 of the largest value).
 * Values that are not finite are -BS_EX_DATA.
 */
#ifndef BS_KERNELS_EIGEN_H
#define BS_KERNELS_EIGEN_H

#include "common/bs.h"
#include "common/err.h"

/* As many rows or columns as a matrix may have. */
enum { BS_EIGEN_MAX = 16384 };

/*
 * a [n, n] is symmetric: only its lower triangle (j <= i of a[i][j]) is read.
 * values [n]: descending.  vectors [n, n], or NULL: row i is the eigenvector of
 * values[i], of length 1, its first component of the largest magnitude
 * positive.  n 0 is fine.
 */
int bs_eigen_sym(const double *a, size_t n, double *values, double *vectors,
                 struct bs_err *e) BS_CHECKED;

/* Turn a vector so that its first component of the largest magnitude is
 * positive.  n >= 1. */
void bs_eigen_sign(double *x, size_t n);

/* The min(m, n) singular values of a [m, n], descending. */
int bs_svd(const double *a, size_t m, size_t n, double *values,
           struct bs_err *e) BS_CHECKED;

#endif
