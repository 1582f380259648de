/*
 * isa_avx512.c - the inner loops for AVX-512: 24 accumulators, 2 weights and a
 * broadcast of the 32 registers.
 */
#include "kernels/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define ISA_NAME avx512
#define VW 16
#define MR 12
#define NV 2
#define MAX_OF(a, b) ((V)_mm512_max_ps((__m512)(a), (__m512)(b)))
#define PAIR_SUMS(a, b) ((U)_mm512_madd_epi16((__m512i)(a), (__m512i)(b)))
#define BYTE_PAIRS(u, w) _mm512_maddubs_epi16((__m512i)(u), (__m512i)(w))
#define BYTE_SUMS(x, u, w, j)                                              \
    ((x) +                                                                 \
     (U)_mm512_madd_epi16(                                                 \
         _mm512_add_epi16(                                                 \
             _mm512_add_epi16(_mm512_add_epi16(BYTE_PAIRS(u[0], w[0][j]),  \
                                               BYTE_PAIRS(u[1], w[1][j])), \
                              BYTE_PAIRS(u[2], w[2][j])),                  \
             BYTE_PAIRS(u[3], w[3][j])),                                   \
         _mm512_set1_epi16(1)))
#define BYTE_ROWS 8
#define SIGNS(m) ((uint32_t)_mm512_movepi32_mask((__m512i)(m)))
#include "kernels/isa_body.h"
#endif
