/*
 * gemm_cuda.h - a weight on the CUDA device.  Private to kernels/.
 */
#ifndef BS_KERNELS_GEMM_CUDA_H
#define BS_KERNELS_GEMM_CUDA_H

#include "kernels/cuda.h"

struct cuda_weight {
    struct bs_weight head;
    enum bs_dtype type; /* F32 or BF16 */
    bool own;           /* never multiplied by a library */
    size_t depth;       /* k, rounded up to a multiple of BS_GEMM_DEPTH */
    struct bs_mem at;   /* [n, depth] */
};

/* Multiply by cuBLASLt; *done is false where that cannot be had or has nothing
 * for it, and nothing was done. */
int bs_cuda_lt_gemm(struct bs_cuda *c, const struct bs_dev_gemm *a,
                    bool *done) BS_CHECKED;

#endif
