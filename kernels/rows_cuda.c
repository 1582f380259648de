/*
 * rows_cuda.c - operations on rows of values, and images to tokens, on the CUDA
 * device: rows.cu.
 */
#include "kernels/cuda.h"

int
bs_cuda_layer_norm(struct bs_dev *d, const struct bs_dev_layer_norm *a)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    const struct bs_layer_norm_args args = {a->x,     a->y,    a->m,  a->k,
                                            a->gamma, a->beta, a->eps};
    struct bs_grid grid = {bs_blocks(a->m, BS_ROW_WARPS), 1, BS_ROW_THREADS, 0};

    return BS_LAUNCH(c, layer_norm, grid, args);
}

struct bs_grid
bs_cuda_each(size_t rows, size_t k, unsigned *row_blocks)
{
    size_t blocks = bs_blocks(k, BS_EACH_THREADS);
    struct bs_grid grid = {SIZE_MAX, 1, BS_EACH_THREADS, 0};

    *row_blocks = (unsigned)blocks;
    if (blocks <= INT32_MAX && rows <= INT32_MAX)
        grid.x = rows * blocks;
    return grid;
}

int
bs_cuda_swiglu(struct bs_dev *d, const struct bs_dev_gate *a)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    struct bs_gate_args args = {a->x, a->y, a->m, a->k, 0};
    struct bs_grid grid = bs_cuda_each(a->m, a->k, &args.row_blocks);

    return BS_LAUNCH(c, swiglu, grid, args);
}

int
bs_cuda_geglu(struct bs_dev *d, const struct bs_dev_gate *a)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    struct bs_gate_args args = {a->x, a->y, a->m, a->k, 0};
    struct bs_grid grid = bs_cuda_each(a->m, a->k, &args.row_blocks);

    return BS_LAUNCH(c, geglu, grid, args);
}

int
bs_cuda_add(struct bs_dev *d, const struct bs_dev_add *a)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    struct bs_add_args args = {a->x, a->y, a->ldx, a->ldy, a->k, 0};
    struct bs_grid grid = bs_cuda_each(a->m, a->k, &args.row_blocks);

    return BS_LAUNCH(c, add, grid, args);
}

int
bs_cuda_patchify(struct bs_dev *d, const struct bs_dev_patchify *a)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    struct bs_patchify_args args = {
        .rgb = a->rgb,
        .y = a->y,
        .batch = a->batch,
        .height = a->height,
        .width = a->width,
        .patch = a->patch,
    };
    struct bs_grid grid = {
        bs_blocks(a->batch * a->height * a->width * 3, BS_EACH_THREADS), 1,
        BS_EACH_THREADS, 0};

    memcpy(args.mean, a->mean, sizeof args.mean);
    memcpy(args.std, a->std, sizeof args.std);
    return BS_LAUNCH(c, patchify, grid, args);
}

int
bs_cuda_assemble(struct bs_dev *d, const struct bs_dev_assemble *a)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    struct bs_assemble_args args = {
        a->patches, a->lead, a->pos, a->y, a->batch, a->n, a->prefix, a->k, 0};
    struct bs_grid grid =
        bs_cuda_each(a->batch * (a->prefix + a->n), a->k, &args.row_blocks);

    return BS_LAUNCH(c, assemble, grid, args);
}

int
bs_cuda_round_rows(struct bs_cuda *c, const float *x, size_t ldx, size_t rows,
                   size_t k, float scale, uint16_t *y, size_t depth)
{
    struct bs_round_args args = {
        .x = x,
        .ldx = ldx,
        .k = k,
        .scale = scale,
        .y = (uint32_t *)(void *)y,
        .pairs = depth / 2,
    };
    struct bs_grid grid = bs_cuda_each(rows, args.pairs, &args.row_blocks);

    return BS_LAUNCH(c, round_rows, grid, args);
}

int
bs_cuda_widen_rows(struct bs_cuda *c, const uint16_t *x, size_t rows, size_t k,
                   float *y, size_t ldy)
{
    struct bs_widen_args args = {
        .x = (const uint32_t *)(const void *)x,
        .pairs = k / 2,
        .y = y,
        .ldy = ldy,
    };
    struct bs_grid grid = bs_cuda_each(rows, args.pairs, &args.row_blocks);

    return BS_LAUNCH(c, widen_rows, grid, args);
}
