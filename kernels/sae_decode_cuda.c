/*
 * sae_decode_cuda.c - from sparse codes back to rows on the CUDA device:
 * sae_decode.cu.  The codes go to the device, in as few copies as they have
 * arrays.
 */
#include "kernels/cuda.h"

int
bs_cuda_decode(struct bs_dev *d, const struct bs_dev_decode *a)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    const struct bs_code_rows *codes = a->codes;
    struct bs_sae_decode_args args = {
        .top = codes->top,
        .dict = a->dict,
        .width = a->width,
        .bias = a->bias,
        .y = a->y,
    };
    const struct bs_grid grid = {codes->m, 1, BS_EACH_THREADS, 0};
    size_t n =
        codes->ptr != NULL ? codes->ptr[codes->m] : codes->m * codes->top;
    int r =
        bs_cuda_words(c, BS_SCRATCH_PTR, &args.ptr, codes->ptr, codes->m + 1);

    if (r == 0)
        r = bs_cuda_words(c, BS_SCRATCH_IDX, &args.idx, codes->idx, n);
    if (r == 0)
        r = bs_cuda_words(c, BS_SCRATCH_VAL, &args.val, codes->val, n);
    return r < 0 ? r : BS_LAUNCH(c, sae_decode, grid, args);
}
