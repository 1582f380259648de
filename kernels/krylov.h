/*
 * krylov.h - the largest eigenvalues, and their vectors, of a symmetric
 * positive semidefinite operator that is only known by its products: block
 * Lanczos with full reorthogonalisation and thick restarts (Golub and
 * Underwood 1977; Wu and Simon 2000).
 *
 * f64.  Deterministic: the start is fixed, and sums run in an order that
 * depends on n alone, so that the bits depend on neither threads nor time;
 * through eigen.h they may depend on which LAPACK is installed, and on the
 * instruction set: compare within the residuals.
 *
 * Eigenvalues that are equal are found up to BS_PANEL times each, as many as
 * the vectors of a block; of more copies some may be missing, as in every
 * Krylov method.
 */
#ifndef BS_KERNELS_KRYLOV_H
#define BS_KERNELS_KRYLOV_H

#include "common/bs.h"
#include "common/err.h"
#include "common/pool.h"
#include "kernels/gram.h"

/* y = A x for panels [n] of gram.h; 0, or negative to give up. */
typedef int bs_krylov_fn(void *arg, const double *x, double *y,
                         struct bs_err *e);

struct bs_krylov {
    size_t n;         /* the order of A */
    size_t wanted;    /* eigenvalues, from the largest on; >= 1 */
    double tolerance; /* residual <= tolerance * eigenvalue */

    /* Results, for bs_krylov_release. */
    size_t found;     /* <= wanted: those above n eps times the largest */
    size_t converged; /* of these, from the largest on */
    size_t products;  /* panels that A was multiplied with */
    double *value;    /* [found], descending */
    double *residual; /* [found]: |A v - value v|, measured */
    double *vector;   /* [found][n], of length 1, the component of the largest
                         magnitude (the first of such) positive */
};

/* Bytes that a solution works in, besides its results and a 64th more a thread;
 * SIZE_MAX where that is not a number. */
size_t bs_krylov_bytes(size_t n, size_t wanted);

/* Release *k also when this fails. */
int bs_krylov_solve(struct bs_krylov *k, bs_krylov_fn *fn, void *arg,
                    struct bs_pool *pool, struct bs_err *e) BS_CHECKED;
void bs_krylov_release(struct bs_krylov *k);

#endif
