/*
 * sae_norm.h - a layer norm over concepts, from the weights alone: with the
 * rows' mean and covariance, a token's pre-activations have the mean
 * mean . (x, 1) and the variance |root (x, 1)|^2; see sae_encoder.h.
 */
#ifndef BS_MODELS_SAE_NORM_H
#define BS_MODELS_SAE_NORM_H

#include "common/bs.h"

enum { BS_NORM_EXTRA = 3 /* columns that a folded layer norm adds */ };

/*
 * The upper triangular R with R^T R = cov, f64 [n, n], in its place (Cholesky).
 * A pivot below `least` of the largest has a row of zeros: it is nothing but
 * rounding, as fewer concepts than columns, or a bias that is everywhere the
 * same, leave some.
 */
void bs_norm_root(double *cov, size_t n, double least);

/* A token as the folded encoder takes it, [width + 3], from (x, 1) and its
 * product with the root; *mu and *scale (NULL: not wanted) are the mean and 1 /
 * sqrt(variance + eps). */
void bs_norm_token(const double *mean, const float *in, const float *product,
                   size_t width, double eps, float *out, double *mu,
                   double *scale);

#endif
