/*
 * sae_groups.cu - products and sums of codes by atom; see sae_train_ops.h.  An
 * atom's codes are summed by one block in the order of the tokens: no atomics,
 * one order, the CPU's.
 */
#include "kernels/cuda.cuh"

/* One half-warp a code; those of an atom stand together, and find its row in
 * the cache. */
BS_KERNEL(group_dots, BS_EACH_THREADS, 4, bs_group_dots_args)
{
    size_t i = blockIdx.x * (size_t)(BS_EACH_THREADS / 16) + threadIdx.x / 16;

    if (i >= a.n)
        return;
    uint32_t place = a.place[i];
    float dot = bs_dot16(a.x + a.token[i] * a.width,
                         a.table + a.idx[place] * a.width, a.width);

    if (threadIdx.x % 16 == 0)
        a.out[place] = a.scale * dot;
}

/* One thread a column of an atom's sum; the sum of the coefficients is of the
 * thread of the first column. */
BS_KERNEL(group_sum, BS_EACH_THREADS, 4, bs_group_sum_args)
{
    BS_SHARED(float, coef, [BS_GROUP_RUN]);
    BS_SHARED(uint32_t, token, [BS_GROUP_RUN]);
    size_t i = blockIdx.x / a.row_blocks;
    size_t col =
        blockIdx.x % a.row_blocks * (size_t)BS_EACH_THREADS + threadIdx.x;
    size_t end = a.start[i + 1];
    float total = 0, coefs = 0;

    for (size_t j = a.start[i]; j < end; j += BS_GROUP_RUN) {
        unsigned n =
            (unsigned)(end - j < BS_GROUP_RUN ? end - j : BS_GROUP_RUN);
        float sum = 0, part = 0;

        if (threadIdx.x < n) {
            coef[threadIdx.x] = a.coef[a.place[j + threadIdx.x]];
            token[threadIdx.x] = a.token[j + threadIdx.x];
        }
        __syncthreads();
#pragma unroll 8
        for (unsigned l = 0; l < n; l++) {
            if (col < a.width)
                sum += coef[l] * a.x[token[l] * a.width + col];
            part += coef[l];
        }
        __syncthreads(); /* before they are those of the next run */
        total += sum;
        coefs += part;
    }
    if (col < a.width)
        a.out[i * a.width + col] = a.scale * total;
    if (col == 0 && a.total != NULL)
        a.total[i] = a.scale * coefs;
}
