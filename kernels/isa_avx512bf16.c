/*
 * isa_avx512bf16.c - AVX-512 and its dot product of bf16 pairs, vdpbf16ps.
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
#define SIGNS(m) ((uint32_t)_mm512_movepi32_mask((__m512i)(m)))
#include "kernels/isa_body.h"
#endif
