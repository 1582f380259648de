/*
 * group_norm_cuda.c - group norm on the CUDA device: group_norm.cu.
 */
#include "kernels/cuda.h"

#include "common/mem.h"

/* Parts of an image, by its size alone: results do not depend on the batch. */
static void
divide(struct bs_group_norm_args *args)
{
    size_t pixels = bs_blocks(args->pixels, BS_GROUP_PARTS);

    if (pixels < BS_GROUP_PIXELS)
        pixels = BS_GROUP_PIXELS;
    args->part_pixels = BS_ROUND_UP(pixels, 32);
    args->parts = bs_blocks(args->pixels, args->part_pixels);
}

int
bs_cuda_group_norm(struct bs_dev *d, const struct bs_dev_group_norm *a)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    struct bs_group_norm_args args = {
        .x = a->x,
        .y = a->y,
        .ldx = a->ldx,
        .ldy = a->ldy,
        .batch = a->batch,
        .pixels = a->pixels,
        .channels = a->channels,
        .groups = a->groups,
        .gamma = a->gamma,
        .beta = a->beta,
        .eps = a->eps,
        .silu = a->silu,
    };
    const struct bs_grid apply =
        bs_cuda_each(a->batch * a->pixels, a->channels, &args.row_blocks);
    struct bs_grid sums = {0, bs_blocks(a->channels, BS_EACH_THREADS),
                           BS_EACH_THREADS, 0};
    const struct bs_grid factors = {
        bs_blocks(a->batch * a->groups, BS_ROW_WARPS), 1, BS_ROW_THREADS, 0};
    size_t bytes; /* of the factors */
    int r;

    divide(&args);
    sums.x = a->batch * args.parts;
    if (!bs_mul(a->batch, 2 * sizeof(float) * a->channels, &bytes))
        return bs_err_memory(&d->err, "group norm", SIZE_MAX);
    r = bs_cuda_scratch(c, BS_SCRATCH_FACTORS, &args.factors, bytes);
    if (r == 0 && !bs_mul(args.parts, 2 * bytes, &bytes))
        r = bs_err_memory(&d->err, "group norm", SIZE_MAX);
    if (r == 0)
        r = bs_cuda_scratch(c, BS_SCRATCH_SUMS, &args.sums, bytes);
    if (r == 0)
        r = BS_LAUNCH(c, group_sums, sums, args);
    if (r == 0)
        r = BS_LAUNCH(c, group_factors, factors, args);
    return r < 0 ? r : BS_LAUNCH(c, group_apply, apply, args);
}
