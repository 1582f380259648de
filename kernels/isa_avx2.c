/*
 * isa_avx2.c - the inner loops for AVX2 with FMA: 12 accumulators, 2 weights
 * and a broadcast of the 16 registers.
 */
#include "kernels/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define ISA_NAME avx2
#define VW 8
#define MR 6
#define NV 2
#define MAX_OF(a, b) ((V)_mm256_max_ps((__m256)(a), (__m256)(b)))
#define PAIR_SUMS(a, b) ((U)_mm256_madd_epi16((__m256i)(a), (__m256i)(b)))
#define BYTE_PAIRS(u, w) _mm256_maddubs_epi16((__m256i)(u), (__m256i)(w))
#define BYTE_SUMS(x, u, w, j)                                              \
    ((x) +                                                                 \
     (U)_mm256_madd_epi16(                                                 \
         _mm256_add_epi16(                                                 \
             _mm256_add_epi16(_mm256_add_epi16(BYTE_PAIRS(u[0], w[0][j]),  \
                                               BYTE_PAIRS(u[1], w[1][j])), \
                              BYTE_PAIRS(u[2], w[2][j])),                  \
             BYTE_PAIRS(u[3], w[3][j])),                                   \
         _mm256_set1_epi16(1)))
#define SIGNS(m) ((uint32_t)_mm256_movemask_ps((__m256)(m)))
#include "kernels/isa_body.h"
#endif
