/*
 * isa_bytes.h - template: the tile of bytes that screens an encoder's products
 * before isa_screen.h's does.
 *
 * Sixteen products are four instructions that multiply bytes and add them in
 * pairs, three additions in 16 bits, and one instruction that adds pairs of
 * those: half of what the same products take in 16 bits.  The 16 bits hold what
 * the packing lets through, see sae_round_cpu.c.
 */
#ifndef BS_KERNELS_ISA_BYTES_H
#define BS_KERNELS_ISA_BYTES_H

#include "kernels/isa.h"
#include "kernels/isa_tile.h"

/* x + the sums of products of u[0..3], unsigned, and w[0..3][j], signed: four
 * bytes a lane. */
#ifndef BYTE_SUMS
#define BYTE_SUMS(x, u, w, j)                                                \
    ((x) + FOUR(u[0], w[0][j]) + FOUR(u[1], w[1][j]) + FOUR(u[2], w[2][j]) + \
     FOUR(u[3], w[3][j]))
#define FOUR(u, w) (ONE(u, w, 0) + ONE(u, w, 8) + ONE(u, w, 16) + ONE(u, w, 24))
#define ONE(u, w, bit) \
    ((U)((I)((u) >> (bit)&255) * ((I)((w) << (24 - (bit))) >> 24)))
#define BYTES_PAY false
#else
#define BYTES_PAY true
#endif

#ifndef BYTE_ROWS
#define BYTE_ROWS MR /* rows of a tile */
#endif

INLINE void
tile_bytes(const size_t mr, const uint8_t *a, size_t lda, const char *b,
           size_t k, int32_t *c, const char *next)
{
    U x[BYTE_ROWS][NV];
    size_t i, j, l;

#pragma GCC unroll 16
    for (i = 0; i < mr; i++)
#pragma GCC unroll 4
        for (j = 0; j < NV; j++)
            x[i][j] = *(const U *)(const void *)(b + 4 * j * VW);
    b += 4 * NR;
    for (l = 0; l < k; l += 16) {
        U w[4][NV];
        size_t g;

#pragma GCC unroll 4
        for (g = 0; g < 4; g++) {
            const char *at = b + (l + 4 * g) * NR;

            if (next != NULL)
                __builtin_prefetch(next + (l + 4 * g) * NR, 0, 2);
#pragma GCC unroll 4
            for (j = 0; j < NV; j++)
                w[g][j] = *(const U *)(const void *)(at + 4 * j * VW);
        }
#pragma GCC unroll 16
        for (i = 0; i < mr; i++) {
            U u[4];

#pragma GCC unroll 4
            for (g = 0; g < 4; g++) {
                uint32_t four;

                memcpy(&four, a + i * lda + l + 4 * g, sizeof four);
                u[g] = (U){0} + four;
            }
#pragma GCC unroll 4
            for (j = 0; j < NV; j++)
                x[i][j] = BYTE_SUMS(x[i][j], u, w, j);
        }
    }
    tile_store_whole(x, c, mr);
}

#define TILE_BYTES_CASE(n)                                            \
    case n:                                                           \
        if (n < BYTE_ROWS)                                            \
            tile_bytes(n < BYTE_ROWS ? n : 1, a, lda, b, k, c, NULL); \
        break;

static void
gemm_bytes(const uint8_t *a, size_t lda, const void *b, size_t k, int32_t *c,
           size_t rows, const void *next)
{
    if (rows >= BYTE_ROWS) {
        tile_bytes(BYTE_ROWS, a, lda, b, k, c, next);
        rows -= BYTE_ROWS, a += BYTE_ROWS * lda, c += BYTE_ROWS * NR;
    }
    for (; rows >= BYTE_ROWS;
         rows -= BYTE_ROWS, a += BYTE_ROWS * lda, c += BYTE_ROWS * NR)
        tile_bytes(BYTE_ROWS, a, lda, b, k, c, NULL);
    switch (rows) {
        TILE_BYTES_CASE(1)
        TILE_BYTES_CASE(2)
        TILE_BYTES_CASE(3)
        TILE_BYTES_CASE(4)
        TILE_BYTES_CASE(5)
        TILE_BYTES_CASE(6)
        TILE_BYTES_CASE(7)
        TILE_BYTES_CASE(8)
        TILE_BYTES_CASE(9)
        TILE_BYTES_CASE(10)
        TILE_BYTES_CASE(11)
    }
}

#endif
