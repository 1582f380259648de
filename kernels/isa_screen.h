/*
 * isa_screen.h - template: the tile of whole numbers and the test of bounds
 * that screen an encoder's products.
 *
 * Two int16 products and their sum are one instruction and its addition
 * another: as many products as a fused multiply-add of f32 has, but both can
 * start in every cycle twice.
 */
#ifndef BS_KERNELS_ISA_SCREEN_H
#define BS_KERNELS_ISA_SCREEN_H

#include "kernels/isa.h"
#include "kernels/isa_tile.h"

#if !defined(PAIR_SUMS) && VW == 4 && defined(__SSE2__)
#include <emmintrin.h>
#define PAIR_SUMS(a, b) ((U)_mm_madd_epi16((__m128i)(a), (__m128i)(b)))
#define SIGNS(m) ((uint32_t)_mm_movemask_ps((__m128)(m)))
#endif

/* Each lane is two int16: the sum of their products. */
#ifndef PAIR_SUMS
#define PAIR_SUMS(a, b)                                   \
    (U)(((I)((a) << 16) >> 16) * ((I)((b) << 16) >> 16) + \
        ((I)(a) >> 16) * ((I)(b) >> 16))
#define WHOLE_PAYS false
#else
#define WHOLE_PAYS true
#endif

/* One bit a lane. */
#ifndef SIGNS
#define SIGNS(m) signs_of(m)
INLINE uint32_t
signs_of(I m)
{
    uint32_t signs = 0;
    size_t i;

    for (i = 0; i < VW; i++)
        signs |= (uint32_t)(m[i] < 0) << i;
    return signs;
}
#endif

INLINE void
tile_whole(const size_t mr, const int16_t *a, size_t lda, const int16_t *b,
           size_t k, int32_t *c, const int16_t *next)
{
    U x[MR][NV];
    size_t i, j, l;

#pragma GCC unroll 16
    for (i = 0; i < mr; i++)
#pragma GCC unroll 4
        for (j = 0; j < NV; j++)
            x[i][j] = (U){0};
    for (l = 0; l < k; l += 2) {
        U w[NV];

        if (next != NULL)
            __builtin_prefetch(next + l * NR, 0, 2);
#pragma GCC unroll 4
        for (j = 0; j < NV; j++)
            w[j] = *(const U *)(const void *)(b + l * NR + 2 * j * VW);
#pragma GCC unroll 16
        for (i = 0; i < mr; i++) {
            uint32_t pair;
            U both;

            memcpy(&pair, a + i * lda + l, sizeof pair);
            both = (U){0} + pair;
#pragma GCC unroll 4
            for (j = 0; j < NV; j++)
                x[i][j] += PAIR_SUMS(both, w[j]);
        }
    }
    tile_store_whole(x, c, mr);
}

#define TILE_WHOLE_CASE(n)                                      \
    case n:                                                     \
        if (n <= MR)                                            \
            tile_whole(n <= MR ? n : 1, a, lda, b, k, c, NULL); \
        break;

static void
gemm_whole(const int16_t *a, size_t lda, const int16_t *b, size_t k, int32_t *c,
           size_t rows, const int16_t *next)
{
    if (rows >= MR) {
        tile_whole(MR, a, lda, b, k, c, next);
        rows -= MR, a += MR * lda, c += MR * NR;
    }
    for (; rows >= MR; rows -= MR, a += MR * lda, c += MR * NR)
        tile_whole(MR, a, lda, b, k, c, NULL);
    switch (rows) {
        TILE_WHOLE_CASE(1)
        TILE_WHOLE_CASE(2)
        TILE_WHOLE_CASE(3)
        TILE_WHOLE_CASE(4)
        TILE_WHOLE_CASE(5)
        TILE_WHOLE_CASE(6)
        TILE_WHOLE_CASE(7)
        TILE_WHOLE_CASE(8)
        TILE_WHOLE_CASE(9)
        TILE_WHOLE_CASE(10)
        TILE_WHOLE_CASE(11)
    }
}

static bool
screen(uint32_t *hits, const void *c, bool whole,
       const struct bs_isa_atoms *atoms, size_t col,
       const struct bs_isa_row *row, size_t rows)
{
    uint32_t any = 0;
    size_t i, j;

    for (i = 0; i < rows; i++, row++) {
        uint32_t bits = 0;

#pragma GCC unroll 4
        for (j = 0; j < NV; j++) {
            size_t at = i * NR + j * VW, to = col + j * VW;
            V v = whole ? __builtin_convertvector(
                              *(const I *)((const int32_t *)c + at), V)
                        : LOAD((const float *)c + at);

            v = v * (LOAD(atoms->scale + to) * row->scale) +
                LOAD(atoms->norm + to) * row->rest +
                LOAD(atoms->rest + to) * row->norm +
                LOAD(atoms->bias + to) * row->unit;
            bits |= SIGNS((I)(v >= row->cut)) << j * VW;
        }
        hits[i] = bits;
        any |= bits;
    }
    return any != 0;
}

#endif
