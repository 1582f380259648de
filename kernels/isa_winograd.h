/*
 * isa_winograd.h - template: the three transforms of Winograd's convolution
 * F(4 x 4, 3 x 3) (Lavin and Gray, arXiv:1509.09308, section 4.3), points 0,
 * +-1, +-2 and infinity:
 *     y = A^T ((G g G^T) * (B^T d B)) A
 * for a tile d of 6 x 6 pixels, a kernel g of 3 x 3 and 4 x 4 results y, the
 * product * position by position and summed over the channels.
 *
 * Vectors run over channels; a transform along a column of the tile is done for
 * each of its columns first, then one along the rows.
 */
#ifndef BS_KERNELS_ISA_WINOGRAD_H
#define BS_KERNELS_ISA_WINOGRAD_H

#include "kernels/isa_rows.h"

/* B^T d */
INLINE void
input_of(V v[6], const V d[6])
{
    V even = d[4] - d[2] * 4.0f, odd = d[3] - d[1] * 4.0f;
    V near = d[4] - d[2], far = (d[3] - d[1]) * 2.0f;

    v[0] = d[0] * 4.0f - d[2] * 5.0f + d[4];
    v[1] = even + odd;
    v[2] = even - odd;
    v[3] = near + far;
    v[4] = near - far;
    v[5] = d[1] * 4.0f - d[3] * 5.0f + d[5];
}

static void
winograd_input(float *v, size_t plane, const float *const pixel[36], size_t k)
{
    size_t c, i, j;

    for (c = 0; c < k; c += VW) {
        V d[6], t[6][6], column[6];

#pragma GCC unroll 6
        for (j = 0; j < 6; j++) {
#pragma GCC unroll 6
            for (i = 0; i < 6; i++)
                d[i] = load_some(pixel[i * 6 + j] + c, k - c, 0);
            input_of(column, d);
#pragma GCC unroll 6
            for (i = 0; i < 6; i++)
                t[i][j] = column[i];
        }
#pragma GCC unroll 6
        for (i = 0; i < 6; i++) {
            input_of(d, t[i]);
#pragma GCC unroll 6
            for (j = 0; j < 6; j++)
                STORE(v + (i * 6 + j) * plane + c, d[j]);
        }
    }
}

/* Row `row` of G g, of a column of three values. */
INLINE V
weight_row(size_t row, V g0, V g1, V g2)
{
    switch (row) {
    case 0:
        return g0 * (1 / 4.0f);
    case 1:
        return (g0 + g1 + g2) * (-1 / 6.0f);
    case 2:
        return (g1 - g0 - g2) * (1 / 6.0f);
    case 3:
        return g0 * (1 / 24.0f) + g1 * (1 / 12.0f) + g2 * (1 / 6.0f);
    case 4:
        return g0 * (1 / 24.0f) - g1 * (1 / 12.0f) + g2 * (1 / 6.0f);
    default:
        return g2;
    }
}

/* VW values from `at` on, in f32 or bf16. */
INLINE V
load_weight(const void *w, size_t at, bool half)
{
    const H *h = (const H *)((const uint16_t *)w + at);

    return half ? (V)(__builtin_convertvector(*h, U) << 16)
                : LOAD((const float *)w + at);
}

INLINE void
weight_positions(float *u, size_t plane, const void *w, bool half, size_t k,
                 const size_t row)
{
    size_t c, i, j;

    for (c = 0; c < k; c++)
#pragma GCC unroll 4
        for (j = 0; j < NV; j++) {
            V g[3];

#pragma GCC unroll 3
            for (i = 0; i < 3; i++) {
                size_t at = (c * 9 + i) * NR + j * VW;

                g[i] = weight_row(row, load_weight(w, at, half),
                                  load_weight(w, at + 3 * NR, half),
                                  load_weight(w, at + 6 * NR, half));
            }
#pragma GCC unroll 6
            for (i = 0; i < 6; i++)
                STORE(u + i * plane + c * NR + j * VW,
                      weight_row(i, g[0], g[1], g[2]));
        }
}

#define WEIGHT_CASE(n)                                  \
    case n:                                             \
        if (half)                                       \
            weight_positions(u, plane, w, true, k, n);  \
        else                                            \
            weight_positions(u, plane, w, false, k, n); \
        break;

static void
winograd_weight(float *u, size_t plane, const void *w, bool half, size_t k,
                size_t row)
{
    switch (row) {
        WEIGHT_CASE(0)
        WEIGHT_CASE(1)
        WEIGHT_CASE(2)
        WEIGHT_CASE(3)
        WEIGHT_CASE(4)
        WEIGHT_CASE(5)
    }
}

/* A^T m */
INLINE void
output_of(V y[4], const V m[6])
{
    V s = m[1] + m[2], d = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4];

    y[0] = m[0] + s + s2;
    y[1] = d + d2 * 2.0f;
    y[2] = s + s2 * 4.0f;
    y[3] = d + d2 * 8.0f + m[5];
}

static void
winograd_output(const float *m, size_t plane, const struct bs_isa_tile *to)
{
    size_t i, j, v;

    for (v = 0; v < to->channels; v += VW) {
        size_t n = to->channels - v;
        V t[4][6], in[6], out[4], bias = {0};

#pragma GCC unroll 6
        for (j = 0; j < 6; j++) {
#pragma GCC unroll 6
            for (i = 0; i < 6; i++)
                in[i] = LOAD(m + (i * 6 + j) * plane + v);
            output_of(out, in);
#pragma GCC unroll 4
            for (i = 0; i < 4; i++)
                t[i][j] = out[i];
        }
        if (to->bias != NULL)
            bias = load_some(to->bias + v, n, 0);
        for (i = 0; i < to->rows; i++) {
            output_of(out, t[i]);
            for (j = 0; j < to->cols; j++) {
                V y = out[j] + bias;

                if (to->residual != NULL)
                    y += load_some(to->residual + i * to->residual_row +
                                       j * to->ldr + v,
                                   n, 0);
                store_some(to->y + i * to->y_row + j * to->ldy + v, y, n);
            }
        }
    }
}

#endif
