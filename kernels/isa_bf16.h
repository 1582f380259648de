/*
 * isa_bf16.h - template: the gemm tile in bf16.  The including file defines
 * DOT_BF16(x, a, b) for its instruction set: each lane of x plus the products
 * of the two bf16 of a's and b's lanes.
 */
#ifndef BS_KERNELS_ISA_BF16_H
#define BS_KERNELS_ISA_BF16_H

#include "kernels/isa_tile.h"

#ifndef DOT_BF16
#define DOT_BF16(x, a, b)                    \
    ((x) + (V)((a) << 16) * (V)((b) << 16) + \
     (V)((a)&0xffff0000) * (V)((b)&0xffff0000))
#endif

INLINE void
tile_bf16(const size_t mr, const uint16_t *a, size_t lda, const uint16_t *b,
          size_t k, float *c, bool first)
{
    V x[MR][NV];
    size_t i, j, l;

#pragma GCC unroll 16
    for (i = 0; i < mr; i++)
#pragma GCC unroll 4
        for (j = 0; j < NV; j++)
            x[i][j] = (V){0};
    for (l = 0; l < k; l += 2) {
        U w[NV];

#pragma GCC unroll 4
        for (j = 0; j < NV; j++)
            w[j] = *(const U *)(b + l * NR + 2 * j * VW);
#pragma GCC unroll 16
        for (i = 0; i < mr; i++) {
            uint32_t pair;

            memcpy(&pair, a + i * lda + l, sizeof pair);
#pragma GCC unroll 4
            for (j = 0; j < NV; j++)
                x[i][j] = DOT_BF16(x[i][j], (U){0} + pair, w[j]);
        }
    }
    tile_store(x, c, mr, first);
}

#define TILE_BF16_CASE(n)                                       \
    case n:                                                     \
        if (n <= MR)                                            \
            tile_bf16(n <= MR ? n : 1, a, lda, b, k, c, first); \
        break;

static BS_UNUSED void
gemm_bf16(const uint16_t *a, size_t lda, const uint16_t *b, size_t k, float *c,
          size_t rows, bool first)
{
    for (; rows >= MR; rows -= MR, a += MR * lda, c += MR * NR)
        tile_bf16(MR, a, lda, b, k, c, first);
    switch (rows) {
        TILE_BF16_CASE(1)
        TILE_BF16_CASE(2)
        TILE_BF16_CASE(3)
        TILE_BF16_CASE(4)
        TILE_BF16_CASE(5)
        TILE_BF16_CASE(6)
        TILE_BF16_CASE(7)
        TILE_BF16_CASE(8)
        TILE_BF16_CASE(9)
        TILE_BF16_CASE(10)
        TILE_BF16_CASE(11)
    }
}

#define GEMM_BF16 gemm_bf16

#endif
