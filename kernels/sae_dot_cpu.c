/*
 * sae_dot_cpu.c - the product of a token and an atom, as sae_ops.h defines it:
 * products are rounded before they are added, so nothing here is an FMA.
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

#if defined(__x86_64__)
typedef float eight __attribute__((vector_size(32), aligned(4), may_alias));

__attribute__((target("avx2"))) static void
dots_avx2(float out[4], const float *x, const float *const w[4], size_t k)
{
    eight sum[4][2] = {{{0}}};
    float part[LANES];
    size_t i, j;

    for (i = 0; i + LANES <= k; i += LANES)
#pragma GCC unroll 4
        for (j = 0; j < 4; j++) {
            sum[j][0] += *(const eight *)(x + i) * *(const eight *)(w[j] + i);
            sum[j][1] += *(const eight *)(x + i + LANES / 2) *
                         *(const eight *)(w[j] + i + LANES / 2);
        }
#pragma GCC unroll 4
    for (j = 0; j < 4; j++) {
        memcpy(part, sum[j], sizeof part);
        out[j] = fold(part, x, w[j], i, k);
    }
}
#endif

void
bs_cpu_dots(const struct bs_isa *isa, float out[4], const float *x,
            const float *const w[4], size_t k)
{
    size_t j;

#if defined(__x86_64__)
    if (isa != &bs_isa_portable) {
        dots_avx2(out, x, w, k);
        return;
    }
#endif
    (void)isa;
    for (j = 0; j < 4; j++)
        out[j] = bs_cpu_dot(x, w[j], k);
}
