/*
 * isa_avx512bf16.c - AVX-512 and its dot products of bf16 pairs, vdpbf16ps,
 * and of bytes, vpdpbusd.
 */
#include "kernels/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define ISA_NAME avx512bf16
#define VW 16
#define MR 12
#define NV 2
#define MAX_OF(a, b) ((V)_mm512_max_ps((__m512)(a), (__m512)(b)))
#define DOT_BF16(x, a, b) \
    ((V)_mm512_dpbf16_ps((__m512)(x), (__m512bh)(a), (__m512bh)(b)))
#include "kernels/isa_bf16.h"
#define PAIR_SUMS(a, b) ((U)_mm512_madd_epi16((__m512i)(a), (__m512i)(b)))
#define BYTE_QUADS(x, u, w) \
    _mm512_dpbusd_epi32((__m512i)(x), (__m512i)(u), (__m512i)(w))
#define BYTE_SUMS(x, u, w, j)                                               \
    ((U)BYTE_QUADS(                                                         \
        BYTE_QUADS(BYTE_QUADS(BYTE_QUADS(x, u[0], w[0][j]), u[1], w[1][j]), \
                   u[2], w[2][j]),                                          \
        u[3], w[3][j]))
#define BYTE_ROWS 8
#define SIGNS(m) ((uint32_t)_mm512_movepi32_mask((__m512i)(m)))
#include "kernels/isa_body.h"
#endif
