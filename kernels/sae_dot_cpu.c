/*
 * sae_dot_cpu.c - the product of a token and an atom, as sae_ops.h defines it.
 */
#include "kernels/sae_cpu.h"

#define LANES 16 /* partial sums */

/* Columns from i on, and the partial sums folded. */
static float
fold(float sum[LANES], const float *x, const float *w, size_t i, size_t k)
{
    size_t l, half;

    for (l = 0; i + l < k; l++)
        sum[l] += x[i + l] * w[i + l];
    for (half = LANES / 2; half > 0; half /= 2)
        for (l = 0; l < half; l++)
            sum[l] += sum[l + half];
    return sum[0];
}

typedef float four __attribute__((vector_size(16), aligned(4), may_alias));

float
bs_cpu_dot(const float *x, const float *w, size_t k)
{
    four sum[LANES / 4] = {{0}};
    float part[LANES];
    size_t i, l;

    for (i = 0; i + LANES <= k; i += LANES)
#pragma GCC unroll 4
        for (l = 0; l < LANES / 4; l++)
            sum[l] +=
                *(const four *)(x + i + 4 * l) * *(const four *)(w + i + 4 * l);
    memcpy(part, sum, sizeof part);
    return fold(part, x, w, i, k);
}
