/*
 * conv_cuda.c - convolution on the CUDA device: conv.cu.
 */
#include "kernels/conv_cpu.h"
#include "kernels/gemm_cuda.h"

#include "common/mem.h"

struct cuda_conv {
    struct bs_conv head;
    struct bs_weight *w; /* [out, side, side, in] */
};

/* ---- weights ---------------------------------------------------------------
 */

int
bs_cuda_conv(struct bs_dev *d, struct bs_conv **out, const void *from,
             enum bs_dtype type, const struct bs_conv_shape *s,
             enum bs_math math)
{
    struct cuda_conv *w = bs_alloc_array(1, sizeof *w);
    size_t k = s->side * s->side * s->in;
    size_t bytes = s->out * k * bs_dtype_size(type);
    void *turned = bs_alloc(bytes);
    int r;

    if (w == NULL || turned == NULL) {
        r = bs_err_memory(&d->err, "convolution", bytes);
    } else {
        w->head.shape = *s;
        bs_conv_taps_first(turned, from, s, bs_dtype_size(type));
        r = bs_cuda_weight(d, &w->w, turned, type, s->out, k, math);
    }
    bs_free(turned);
    if (r < 0) {
        bs_free(w);
        return r;
    }
    *out = &w->head;
    return 0;
}

void
bs_cuda_conv_free(struct bs_dev *d, struct bs_conv *conv)
{
    struct cuda_conv *w = (struct cuda_conv *)conv;

    bs_cuda_weight_free(d, w->w);
    bs_free(w);
}

/* ---- convolution -----------------------------------------------------------
 */

/* Places in an image are counted in 32 bits, also where rows are multiplied by
 * rows to enlarge it. */
#define SIDE_MAX 32768

int
bs_cuda_conv2d(struct bs_dev *d, const struct bs_dev_conv2d *a)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    const struct bs_conv_shape *s = &a->w->shape;
    const struct cuda_weight *w =
        (const struct cuda_weight *)((const struct cuda_conv *)a->w)->w;
    const struct bs_conv_args args = {
        .w = w->at.p,
        .depth = w->depth,
        .x = a->x,
        .ldx = a->ldx,
        .y = a->y,
        .ldy = a->ldy,
        .m = a->batch * a->out_height * a->out_width,
        .n = w->head.n,
        .k = w->head.k,
        .bias = a->bias,
        .residual = a->residual,
        .ldr = a->ldr,
        .in = (unsigned)s->in,
        .side = (unsigned)s->side,
        .stride = (unsigned)s->stride,
        .pad = (unsigned)s->pad,
        .height = (unsigned)a->height,
        .width = (unsigned)a->width,
        .up_height = (unsigned)a->up_height,
        .up_width = (unsigned)a->up_width,
        .out_height = (unsigned)a->out_height,
        .out_width = (unsigned)a->out_width,
    };
    const struct bs_grid grid = {bs_blocks(args.m, BS_GEMM_ROWS),
                                 bs_blocks(args.n, BS_GEMM_COLS),
                                 BS_GEMM_THREADS, 0};

    if (a->up_height > SIDE_MAX || a->up_width > SIDE_MAX ||
        s->stride > SIDE_MAX || args.k > INT32_MAX)
        return bs_err_set(&d->err, BS_EX_SOFTWARE,
                          "conv2d: %zu x %zu pixels of %zu channels are more "
                          "than device 'cuda' counts",
                          a->up_width, a->up_height, s->in);
    return w->type == BS_DTYPE_BF16 ? BS_LAUNCH(c, conv_bf16, grid, args)
                                    : BS_LAUNCH(c, conv_f32, grid, args);
}
