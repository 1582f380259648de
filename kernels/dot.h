/*
 * dot.h - products of f32 vectors, summed in f64 in one order: the same bits on
 * every processor and with any number of threads.  Host memory.
 */
#ifndef BS_KERNELS_DOT_H
#define BS_KERNELS_DOT_H

#include "common/bs.h"
#include "common/err.h"
#include "common/pool.h"

/* The sum of x[i] y[i], products exact, in eight partial sums. */
double bs_dot(const float *x, const float *y, size_t n);

/*
 * g [k, k] = x^T x of x [n, k], row-major, both triangles.  Each element is
 * summed over blocks of rows, and those one after the other: off by at most
 * 2^-52 sqrt(n)-ish, 2^-53 (256 + n / 256) at worst, of the sum of absolute
 * products.  Scratch: 2 KiB k.
 */
int bs_dot_columns(double *g, const float *x, size_t n, size_t k,
                   struct bs_pool *pool, struct bs_err *e) BS_CHECKED;

#endif
