/*
 * sae_train_rows_cuda.c - what a training step does to rows, one by one, on the
 * CUDA device: sae_train.cu.
 */
#include "kernels/sae_train_cuda.h"

int
bs_cuda_copy_rows(struct bs_dev *d, const float *from, const uint32_t *from_row,
                  float *to, const uint32_t *to_row, size_t n, size_t cols,
                  float scale)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    struct bs_copy_rows_args args = {
        .from = from, .to = to, .cols = cols, .scale = scale};
    const struct bs_grid grid = bs_cuda_each(n, cols, &args.row_blocks);
    int r;

    if (n == 0 || cols == 0)
        return 0;
    /* One of the two is NULL. */
    if (from_row != NULL)
        r = bs_cuda_words(c, BS_SCRATCH_LIST, &args.from_row, from_row, n);
    else
        r = bs_cuda_words(c, BS_SCRATCH_LIST, &args.to_row, to_row, n);
    return r < 0 ? r : BS_LAUNCH(c, copy_rows, grid, args);
}

int
bs_cuda_tangent(struct bs_dev *d, float *grad, const float *table,
                const uint32_t *row, size_t n, size_t width)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    struct bs_tangent_args args = {
        .grad = grad, .table = table, .n = n, .width = width};
    const struct bs_grid grid = {bs_blocks(n, BS_EACH_THREADS / 16), 1,
                                 BS_EACH_THREADS, 0};
    int r;

    if (n == 0 || width == 0)
        return 0;
    r = bs_cuda_words(c, BS_SCRATCH_LIST, &args.row, row, n);
    return r < 0 ? r : BS_LAUNCH(c, tangent, grid, args);
}

/* ---- layer norm ------------------------------------------------------------
 */

/* n floats to the end of a list that has room; *p is put on them. */
static int
add_vector(struct bs_dev *d, float **end, const float **p, const float *from,
           size_t n)
{
    *p = NULL;
    if (from == NULL)
        return 0;
    *p = *end;
    *end += n;
    return bs_cuda_put(d, (void *)(uintptr_t)*p, from, n * sizeof *from);
}

static int
put_vectors(struct bs_dev *d, struct bs_norm_gradient_args *to,
            const struct bs_norm_gradient *a)
{
    size_t n = a->concepts, width = a->width;
    float *end;
    int r = bs_cuda_scratch((struct bs_cuda *)d, BS_SCRATCH_VECTORS, &end,
                            (2 * n + 3 * width) * sizeof *end);

    if (r == 0)
        r = add_vector(d, &end, &to->bias, a->bias, n);
    if (r == 0)
        r = add_vector(d, &end, &to->weight, a->weight, n);
    if (r == 0)
        r = add_vector(d, &end, &to->along, a->along, width);
    if (r == 0)
        r = add_vector(d, &end, &to->rest, a->rest, width);
    return r < 0 ? r : add_vector(d, &end, &to->common, a->common, width);
}

int
bs_cuda_norm_gradient(struct bs_dev *d, float *grad,
                      const struct bs_norm_gradient *a)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    struct bs_norm_gradient_args args = {
        .grad = grad,
        .width = a->width,
        .sparse = a->sparse != NULL ? a->sparse->p : NULL,
    };
    const struct bs_grid grid =
        bs_cuda_each(a->concepts, a->width, &args.row_blocks);
    int r;

    if (a->concepts == 0 || a->width == 0)
        return 0;
    r = put_vectors(d, &args, a);
    if (r == 0)
        r = bs_cuda_words(c, BS_SCRATCH_SLOT, &args.slot, a->slot, a->concepts);
    return r < 0 ? r : BS_LAUNCH(c, norm_gradient, grid, args);
}
