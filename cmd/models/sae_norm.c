/*
 * sae_norm.c - see sae_norm.h.
 */
#include "cmd/models/sae_norm.h"

#include <math.h>

void
bs_norm_root(double *cov, size_t n, double least)
{
    double most = 0;
    size_t i, j, k;

    for (i = 0; i < n; i++)
        most = fmax(most, cov[i * n + i]);
    least *= most;
    for (k = 0; k < n; k++) {
        double pivot = cov[k * n + k], scale;

        scale = pivot > least ? 1.0 / sqrt(pivot) : 0.0;
        for (j = k; j < n; j++)
            cov[k * n + j] *= scale;
        for (i = k + 1; i < n; i++) {
            double by = cov[k * n + i];

            for (j = i; j < n; j++)
                cov[i * n + j] -= by * cov[k * n + j];
        }
        for (j = 0; j < k; j++)
            cov[k * n + j] = 0;
    }
}

void
bs_norm_token(const double *mean, const float *in, const float *product,
              size_t width, double eps, float *out, double *mu, double *scale)
{
    double centre = 0, variance = 0, factor;
    size_t n = width + 1, c;

    for (c = 0; c < n; c++) {
        centre += mean[c] * (double)in[c];
        variance += (double)product[c] * (double)product[c];
    }
    factor = 1.0 / sqrt(variance + eps);
    for (c = 0; c < n; c++)
        out[c] = (float)((double)in[c] * factor);
    out[c++] = (float)(-centre * factor);
    out[c] = 1.0f;
    if (mu != NULL)
        *mu = centre;
    if (scale != NULL)
        *scale = factor;
}
