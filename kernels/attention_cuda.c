/*
 * attention_cuda.c - attention on the CUDA device: attention_cudnn.c, or
 * attention.cu, in f32 for either kind of math.
 */
#include "kernels/cuda.h"

#include <math.h>

/* Kernels for heads of up to `dim` columns; queries of a block. */
static const struct {
    enum bs_cuda_kernel kernel;
    size_t dim, queries;
} kernels[] = {
    {BS_KERNEL_attention_64, 64, 64},
    {BS_KERNEL_attention_128, 128, 64},
    {BS_KERNEL_attention_256, 256, 32},
    {BS_KERNEL_attention_512, 512, 16},
};

int
bs_cuda_attention(struct bs_dev *d, const struct bs_dev_attention *a)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    struct bs_attention_args args = {
        .q = a->q,
        .k = a->k,
        .v = a->v,
        .out = a->out,
        .ldq = a->ldq,
        .ldk = a->ldk,
        .ldv = a->ldv,
        .ldo = a->ldo,
        .queries = a->queries,
        .keys = a->keys,
        .causal = a->causal,
        .heads = a->heads,
        .dim = a->dim,
        .scale = (float)(1 / (sqrt((double)a->dim) * log(2))),
    };
    struct bs_grid grid = {SIZE_MAX, 1, BS_ATTENTION_THREADS, 0};
    size_t i = 0, blocks;
    bool done;
    int r = bs_cuda_dnn_attention(c, a, &done);

    if (r < 0 || done)
        return r;
    while (kernels[i].dim < a->dim)
        i++;
    args.query_blocks = bs_blocks(a->queries, kernels[i].queries);
    blocks = a->batch * a->heads; /* less than the bytes that are there */
    if (blocks <= INT32_MAX && args.query_blocks <= INT32_MAX)
        grid.x = blocks * args.query_blocks;
    /* Queries and keys with four columns more, and the queries' weights. */
    grid.shared =
        ((kernels[i].queries + BS_ATTENTION_KEYS) * (kernels[i].dim + 4) +
         kernels[i].queries * (BS_ATTENTION_KEYS + 4)) *
        sizeof(float);
    return bs_cuda_launch(c, kernels[i].kernel, grid, &args, sizeof args);
}
