/*
 * sae_encode_cuda.h - an encoder on the CUDA device.  Private to kernels/.
 */
#ifndef BS_KERNELS_SAE_ENCODE_CUDA_H
#define BS_KERNELS_SAE_ENCODE_CUDA_H

#include "kernels/gemm_cuda.h"

struct cuda_encoder {
    struct bs_encoder head;
    size_t room;              /* rows that there is memory for */
    bool exact;               /* screened in f32 */
    struct bs_weight *screen; /* what gemm multiplies by */
    struct bs_mem w, bias;    /* as they are defined: [n, k], [n] */
    struct bs_mem size;       /* of the atoms */
    float *host_bias;         /* once more, [n] */
    struct bs_sae_size *host_size;
    float most_norm, most_rest, most_bias;
};

/* Lengths of rows of x, on the device; the first row with a value that is not
 * finite to *bad there, or 2^32 - 1. */
int bs_cuda_measure(struct bs_cuda *c, const float *x, size_t ldx, size_t m,
                    size_t k, struct bs_sae_size *size,
                    uint32_t *bad) BS_CHECKED;

#endif
