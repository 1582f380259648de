/*
 * gemm_cuda.h - a weight on the CUDA device.  Private to kernels/.
 */
#ifndef BS_KERNELS_GEMM_CUDA_H
#define BS_KERNELS_GEMM_CUDA_H

#include "kernels/cuda.h"

struct cuda_weight {
    struct bs_weight head;
    enum bs_dtype type; /* F32 or BF16 */
    size_t depth;       /* k, rounded up to a multiple of BS_GEMM_DEPTH */
    struct bs_mem at;   /* [n, depth] */
};

#endif
