/*
 * isa_dots.h - template: four products of tokens and atoms, as sae_ops.h
 * defines them.
 */
#ifndef BS_KERNELS_ISA_DOTS_H
#define BS_KERNELS_ISA_DOTS_H

#include "kernels/isa.h"
#include "kernels/isa_tile.h"

#define LANES 16 /* partial sums, whatever the width of a vector */
#define LANE_VECTORS (LANES / VW)

/* A product is rounded before it is added: here no compiler fuses the two. */
#if defined(__FMA__)
#define ROUNDED(v) __asm__("" : "+x"(v))
#else
#define ROUNDED(v) (void)(v)
#endif

/* Columns from i on, and the partial sums folded. */
INLINE float
fold_lanes(float sum[LANES], const float *x, const float *w, size_t i, size_t k)
{
    size_t l, half;

    for (l = 0; i + l < k; l++) {
        float product = x[i + l] * w[i + l];

        ROUNDED(product);
        sum[l] += product;
    }
    for (half = LANES / 2; half > 0; half /= 2)
        for (l = 0; l < half; l++)
            sum[l] += sum[l + half];
    return sum[0];
}

static void
dots(float out[4], const float *const x[4], const float *const w[4], size_t k)
{
    V sum[4][LANE_VECTORS];
    float part[LANES];
    size_t i, j, l;

#pragma GCC unroll 4
    for (j = 0; j < 4; j++)
#pragma GCC unroll 4
        for (l = 0; l < LANE_VECTORS; l++)
            sum[j][l] = (V){0};
    for (i = 0; i + LANES <= k; i += LANES)
#pragma GCC unroll 4
        for (j = 0; j < 4; j++)
#pragma GCC unroll 4
            for (l = 0; l < LANE_VECTORS; l++) {
                V product = LOAD(x[j] + i + l * VW) * LOAD(w[j] + i + l * VW);

                ROUNDED(product);
                sum[j][l] += product;
            }
#pragma GCC unroll 4
    for (j = 0; j < 4; j++) {
        memcpy(part, sum[j], sizeof part);
        out[j] = fold_lanes(part, x[j], w[j], i, k);
    }
}

#endif
