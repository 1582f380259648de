/*
 * angles.h - how two subspaces lie to each other.
 *
 * f64, host memory, row-major; through eigen.h, on the caller's thread.
 */
#ifndef BS_KERNELS_ANGLES_H
#define BS_KERNELS_ANGLES_H

#include "common/bs.h"
#include "common/err.h"

/*
 * Principal angles between the spans of the rows of u [a][n] and v [b][n], each
 * orthonormal: radians, ascending, min(a, b) of them.  Small ones come from
 * their sine, large ones from their cosine (Bjorck and Golub 1973), so that all
 * are exact to a few eps.  cosine [a][b] receives the products u v^T; NULL is
 * fine.
 */
int bs_principal_angles(const double *u, size_t a, const double *v, size_t b,
                        size_t n, double *angle, double *cosine,
                        struct bs_err *e) BS_CHECKED;

#endif
