/*
 * isa_tile.h - template: vectors of VW floats and the gemm tile of MR rows by
 * NV vectors.  The including file defines the three for its instruction set;
 * alone, the header compiles for 16-byte vectors.
 *
 * The accumulators of a tile live in registers for all of k: every loop over
 * rows and vectors is unrolled, with constant bounds.
 */
#ifndef BS_KERNELS_ISA_TILE_H
#define BS_KERNELS_ISA_TILE_H

#include "common/bs.h"

#ifndef VW
#define VW 4 /* floats of a vector */
#define MR 4 /* rows of a tile */
#define NV 2 /* vectors of a tile's row */
#endif
#define NR (VW * NV)

/* Loads and stores need no alignment. */
typedef float V __attribute__((vector_size(4 * VW), aligned(4), may_alias));
typedef uint32_t U __attribute__((vector_size(4 * VW), aligned(4), may_alias));
typedef int32_t I __attribute__((vector_size(4 * VW), aligned(4), may_alias));
typedef uint16_t H __attribute__((vector_size(2 * VW), aligned(2), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define LOAD(p) (*(const V *)(p))
#define STORE(p, v) (*(V *)(p) = (v))

INLINE void
tile_store(V x[][NV], float *c, size_t mr, bool first)
{
    size_t i, j;

#pragma GCC unroll 16
    for (i = 0; i < mr; i++)
#pragma GCC unroll 4
        for (j = 0; j < NV; j++) {
            float *p = c + i * NR + j * VW;

            if (!first)
                x[i][j] += LOAD(p);
            STORE(p, x[i][j]);
        }
}

INLINE void
tile_store_whole(U x[][NV], int32_t *c, size_t mr)
{
    size_t i, j;

#pragma GCC unroll 16
    for (i = 0; i < mr; i++)
#pragma GCC unroll 4
        for (j = 0; j < NV; j++)
            *(U *)(void *)(c + i * NR + j * VW) = x[i][j];
}

INLINE void
tile(const size_t mr, const float *a, size_t lda, const float *b, size_t k,
     float *c, bool first, const float *next)
{
    V x[MR][NV];
    size_t i, j, l;

#pragma GCC unroll 16
    for (i = 0; i < mr; i++)
#pragma GCC unroll 4
        for (j = 0; j < NV; j++)
            x[i][j] = (V){0};
    for (l = 0; l < k; l++) {
        V w[NV];

        if (next != NULL)
            __builtin_prefetch(next + l * NR, 0, 2);
#pragma GCC unroll 4
        for (j = 0; j < NV; j++)
            w[j] = LOAD(b + l * NR + j * VW);
#pragma GCC unroll 16
        for (i = 0; i < mr; i++) {
            float s = a[i * lda + l];

#pragma GCC unroll 4
            for (j = 0; j < NV; j++)
                x[i][j] += s * w[j];
        }
    }
    tile_store(x, c, mr, first);
}

/* A tile of each number of rows up to MR: the last rows cost no more than
 * their share. */
#define TILE_CASE(n)                                             \
    case n:                                                      \
        if (n <= MR)                                             \
            tile(n <= MR ? n : 1, a, lda, b, k, c, first, NULL); \
        break;

static void
gemm(const float *a, size_t lda, const float *b, size_t k, float *c,
     size_t rows, bool first, const float *next)
{
    if (rows >= MR) {
        tile(MR, a, lda, b, k, c, first, next);
        rows -= MR, a += MR * lda, c += MR * NR;
    }
    for (; rows >= MR; rows -= MR, a += MR * lda, c += MR * NR)
        tile(MR, a, lda, b, k, c, first, NULL);
    switch (rows) {
        TILE_CASE(1)
        TILE_CASE(2)
        TILE_CASE(3)
        TILE_CASE(4)
        TILE_CASE(5)
        TILE_CASE(6)
        TILE_CASE(7)
        TILE_CASE(8)
        TILE_CASE(9)
        TILE_CASE(10)
        TILE_CASE(11)
        TILE_CASE(12)
        TILE_CASE(13)
    }
}

#endif
