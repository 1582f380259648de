/*
 * cuda.cuh - the first include of every .cu file.
 *
 * The files are C-shaped: extern "C" kernels that take one struct of
 * cuda_args.h and are launched by name.  nvcc compiles them for the device; g++
 * compiles the same text for the emulation in tests/cuda, which brings what the
 * language of CUDA adds.  So that both sum alike, contraction is off
 * (-fmad=false, -ffp-contract=off) and a fused multiply-add is written fmaf.
 *
 *     BS_SHARED(float, tile, [16][132])   shared memory of a block
 *     BS_SHARED_DYNAMIC(float, name)      that which the launch sized
 *     BS_KERNEL(name, threads, blocks, args)
 *         head of a kernel, bs_<name>, of blocks of so many threads, as many of
 *         which shall fit a multiprocessor
 */
#ifndef BS_KERNELS_CUDA_CUH
#define BS_KERNELS_CUDA_CUH

#include "kernels/cuda_args.h"

#ifdef BS_EMULATED

#include "tests/cuda/emu.h"

#else

#define BS_SHARED(type, name, dims) __shared__ type name dims
#define BS_SHARED_DYNAMIC(type, name)                           \
    extern __shared__ __align__(16) unsigned char bs_dynamic[]; \
    type *name = (type *)bs_dynamic
#define BS_KERNEL(name, threads, blocks, args)       \
    extern "C" __global__ __launch_bounds__(threads, \
                                            blocks) void bs_##name(args a)

/* d += a b: tiles of 16 x 16, 16 x 8 and 16 x 8 over a warp, bf16 pairs in,
 * f32 out; PTX names the lanes' places. */
static __device__ inline void
bs_mma(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#endif

#define BS_WARP_ALL 0xffffffffu

/* ---- bf16 ------------------------------------------------------------------
 */

/* To nearest, ties to even; a NaN stays one. */
static __device__ inline uint32_t
bs_bf16_of(float f)
{
    uint32_t u = __float_as_uint(f);

    if (f != f)
        return u >> 16 | 0x40;
    return (u + 0x7fff + (u >> 16 & 1)) >> 16;
}

static __device__ inline float
bs_float_of(uint32_t bf16)
{
    return __uint_as_float(bf16 << 16);
}

/* ---- activation ------------------------------------------------------------
 */

/* a Phi(a); Phi(a) - 1/2 by the same fit as on the CPU, kernels/isa_rows.h. */
static __device__ inline float
bs_gelu(float a)
{
    float c = fminf(fmaxf(a, -5.5f), 5.5f), s = c * c;
    float p = s * 2.223986999e-8f + 6.477436327e-6f;
    float q = s * 1.191993447e-6f + 7.745630172e-5f;

    p = p * s + 1.798587111e-4f;
    p = p * s + 4.744209240e-3f;
    p = p * s + 3.488060155e-2f;
    p = p * s + 3.989421450e-1f;
    q = q * s + 1.946298369e-3f;
    q = q * s + 2.924468707e-2f;
    q = q * s + 2.540974488e-1f;
    q = q * s + 1.0f;
    float h = c * p / q;

    h = a >= 5.5f ? 0.5f : a <= -5.5f ? -0.5f : h;
    return a * (h + 0.5f);
}

/* ---- sums over a warp: the same tree, and the sum on every lane ------------
 */

static __device__ inline float
bs_warp_sum(float v)
{
    for (int step = 16; step > 0; step /= 2)
        v += __shfl_xor_sync(BS_WARP_ALL, v, step);
    return v;
}

static __device__ inline double
bs_warp_sum(double v)
{
    for (int step = 16; step > 0; step /= 2)
        v += __shfl_xor_sync(BS_WARP_ALL, v, step);
    return v;
}

/* ---- products of vectors ---------------------------------------------------
 */

/*
 * x . w over 16 lanes, as sae_ops.h defines it: the lane's number is that of
 * its partial sum.  All 16 call it, and all get the result.
 */
static __device__ inline float
bs_dot16(const float *x, const float *w, size_t k)
{
    unsigned lane = threadIdx.x % 16, mask = 0xffffu << (threadIdx.x & 16);
    float sum = 0;

    for (size_t i = lane; i < k; i += 16)
        sum += x[i] * w[i];
    for (int half = 8; half > 0; half /= 2)
        sum += __shfl_down_sync(mask, sum, half, 16);
    return __shfl_sync(mask, sum, 0, 16);
}

#endif
