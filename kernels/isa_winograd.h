/*
 * isa_winograd.h - template: the three transforms of Winograd's convolution
 * F(4 x 4, 3 x 3) (Lavin and Gray, arXiv:1509.09308, section 4.3), points 0,
 * +-1, +-2 and infinity:
 *     y = A^T ((G g G^T) * (B^T d B)) A
 * for a tile d of 6 x 6 pixels, a kernel g of 3 x 3 and 4 x 4 results y, the
 * product * position by position and summed over the channels.  The factors
 * 1/4, -1/6, -1/6, 1/24, 1/24, 1 of the rows of G are moved to those of B^T:
 * weights are transformed more often than pixels.
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
    V even = d[4] * (-1 / 6.0f) + d[2] * (4 / 6.0f);
    V odd = d[3] * (-1 / 6.0f) + d[1] * (4 / 6.0f);
    V near = (d[4] - d[2]) * (1 / 24.0f), far = (d[3] - d[1]) * (2 / 24.0f);

    v[0] = d[0] - d[2] * 1.25f + d[4] * 0.25f;
    v[1] = even + odd;
    v[2] = even - odd;
    v[3] = near + far;
    v[4] = near - far;
    v[5] = d[1] * 4.0f - d[3] * 5.0f + d[5];
}

static void
winograd_input(float *v, size_t plane, const float *const pixel[36],
               size_t first, size_t k)
{
    size_t c, i, j;

    for (c = 0; c < k; c += VW) {
        V d[6], t[6][6], column[6];

#pragma GCC unroll 6
        for (j = 0; j < 6; j++) {
#pragma GCC unroll 6
            for (i = 0; i < 6; i++)
                d[i] = load_some(pixel[i * 6 + j] + first + c, k - c, 0);
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

/* G g */
INLINE void
weight_of_column(V u[6], V g0, V g1, V g2)
{
    V ends = g0 + g2, wide = g0 + g2 * 4.0f;

    u[0] = g0;
    u[1] = ends + g1;
    u[2] = ends - g1;
    u[3] = wide + g1 * 2.0f;
    u[4] = wide - g1 * 2.0f;
    u[5] = g2;
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
weight_all(float *u, size_t plane, const void *w, bool half, size_t k)
{
    size_t c, i, j, v;

    for (c = 0; c < k; c++)
#pragma GCC unroll 4
        for (v = 0; v < NR; v += VW) {
            V t[6][3], column[6];

#pragma GCC unroll 3
            for (j = 0; j < 3; j++) {
                size_t at = (c * 9 + j) * NR + v;

                weight_of_column(column, load_weight(w, at, half),
                                 load_weight(w, at + 3 * NR, half),
                                 load_weight(w, at + 6 * NR, half));
#pragma GCC unroll 6
                for (i = 0; i < 6; i++)
                    t[i][j] = column[i];
            }
#pragma GCC unroll 6
            for (i = 0; i < 6; i++) {
                weight_of_column(column, t[i][0], t[i][1], t[i][2]);
#pragma GCC unroll 6
                for (j = 0; j < 6; j++)
                    STORE(u + (i * 6 + j) * plane + c * NR + v, column[j]);
            }
        }
}

static void
winograd_weight(float *u, size_t plane, const void *w, bool half, size_t k)
{
    if (half)
        weight_all(u, plane, w, true, k);
    else
        weight_all(u, plane, w, false, k);
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
