/*
 * image_ops.h - operations on images of many channels, for generators:
 * convolution and group norm.  Conventions of dev.h: bs_mem, 0 or negative.
 *
 * An image lies channels last: a batch is f32 [batch, height, width, channels],
 * so that its pixels are the rows of a matrix; `ld` is how many floats lie
 * between two pixels, so that an image may be columns of a wider one.
 */
#ifndef BS_KERNELS_IMAGE_OPS_H
#define BS_KERNELS_IMAGE_OPS_H

#include "kernels/dev.h"

/* ---- convolution ----------------------------------------------------------
 */

struct bs_conv_shape {
    size_t in, out; /* channels */
    size_t side;    /* of the square kernel */
    size_t stride;
    size_t pad; /* rows and columns of zeros on each side */
};

struct bs_conv; /* the weights of a convolution, packed for this device */

/*
 * Pack w [out, in, side, side] of `type` F32, F16 or BF16 in host memory (any
 * alignment), for `math`.  The host memory may go afterwards.
 */
int bs_dev_conv(struct bs_dev *d, struct bs_conv **out, const void *w,
                enum bs_dtype type, const struct bs_conv_shape *shape,
                enum bs_math math) BS_CHECKED;
void bs_dev_conv_free(struct bs_dev *d, struct bs_conv *w);

/*
 * y = conv(x) + bias (+ residual).  x: [batch, height, width, in]; it is first
 * enlarged to [up_height, up_width] by repeating pixels (nearest: row i is row
 * i * height / up_height, whole numbers) where those are not 0.  y: [batch, h,
 * w, out] with h = (height + 2 pad - side) / stride + 1, after enlarging.
 * bias: f32 [out] or NULL.  residual: like y, or NULL; may be y itself.  x
 * overlaps neither.
 *
 * Summed in f32, in one order for a shape of the weights.  Tolerance: |error|
 * <= 1e-6 (f32) or 8e-3 (bf16) times S, the sum of the absolute products, plus
 * 1e-6 |y|; 3 x 3 kernels of stride 1, which a device may multiply in
 * transformed tiles (Winograd), add 4e-6 times the largest S within 5 pixels.
 * NaN and infinity in x or w reach every y that they enter, as infinity or NaN;
 * with such kernels they may reach others within 5 pixels.
 */
struct bs_conv2d {
    const struct bs_conv *w;
    struct bs_mem x, y;
    size_t ldx, ldy;
    size_t batch, height, width;
    size_t up_height, up_width; /* both or neither */
    const struct bs_mem *bias;
    const struct bs_mem *residual;
    size_t ldr;
};
int bs_dev_conv2d(struct bs_dev *d, const struct bs_conv2d *a) BS_CHECKED;

/* Rows (or columns) of y for so many of x: 0 where the kernel does not fit. */
size_t bs_conv_length(const struct bs_conv_shape *shape, size_t length);

/* ---- group norm -----------------------------------------------------------
 */

/*
 * y = (x - mean) / sqrt(var + eps) * gamma + beta, mean and var (divisor n)
 * over the pixels and the channels of a group of an image; then y * sigmoid(y)
 * where `silu`.  channels is a multiple of groups.  y may be x.  gamma, beta:
 * f32 [channels].  Sums are f32 over 32 pixels from the first one's values,
 * then f64, in a fixed order.  Tolerance: 4e-6 (|gamma| (|x| + |mean|) /
 * sqrt(var + eps) + |beta|) + 1e-6.
 */
struct bs_group_norm {
    struct bs_mem x, y;
    size_t ldx, ldy;
    size_t batch, pixels, channels, groups;
    struct bs_mem gamma, beta;
    float eps;
    bool silu;
};
int bs_dev_group_norm(struct bs_dev *d,
                      const struct bs_group_norm *a) BS_CHECKED;

#endif
