/*
 * sae_decode.cu - from sparse codes back to rows; see sae_ops.h.  A row's codes
 * are added in their order, the bias last, as on the CPU: the same bits.
 */
#include "kernels/cuda.cuh"

BS_KERNEL(sae_decode, BS_EACH_THREADS, 4, bs_sae_decode_args)
{
    size_t row = blockIdx.x;
    size_t first = a.ptr != NULL ? a.ptr[row] : row * a.top;
    size_t end = a.ptr != NULL ? a.ptr[row + 1] : first + a.top;

    for (size_t col = threadIdx.x; col < a.width; col += BS_EACH_THREADS) {
        float sum = 0;

        for (size_t i = first; i < end; i++)
            if (a.idx[i] != 0xffffffffu) /* BS_CODE_NONE */
                sum += a.val[i] * a.dict[a.idx[i] * a.width + col];
        a.y[row * a.width + col] = a.bias != NULL ? sum + a.bias[col] : sum;
    }
}
