/*
 * image_ops.c - see image_ops.h.  Checks the ranges of every call before the
 * backend sees it.
 */
#include "kernels/image_ops.h"

#include "common/mem.h"
#include "kernels/dev_ops.h"
#include "kernels/ranges.h"

/* ---- convolution ----------------------------------------------------------
 */

#define SIDE_MAX 64

int
bs_dev_conv(struct bs_dev *d, struct bs_conv **out, const void *w,
            enum bs_dtype type, const struct bs_conv_shape *shape,
            enum bs_math math)
{
    size_t taps = shape->side * shape->side;

    *out = NULL;
    if (type != BS_DTYPE_F32 && type != BS_DTYPE_F16 && type != BS_DTYPE_BF16)
        return bs_err_set(&d->err, BS_EX_SOFTWARE, "conv: type %s",
                          bs_dtype_name(type));
    if (shape->in == 0 || shape->out == 0 || shape->side == 0 ||
        shape->side > SIDE_MAX || shape->stride == 0 ||
        shape->pad >= shape->side)
        return bs_err_set(&d->err, BS_EX_SOFTWARE,
                          "conv: %zu to %zu channels, side %zu, stride %zu, "
                          "pad %zu",
                          shape->in, shape->out, shape->side, shape->stride,
                          shape->pad);
    if (bs_range_product(shape->in, shape->out, 8 * taps) == SIZE_MAX)
        return bs_err_memory(&d->err, "conv", SIZE_MAX);
    return BS_DEV_CALL(d, conv, d, out, w, type, shape, math);
}

void
bs_dev_conv_free(struct bs_dev *d, struct bs_conv *w)
{
    if (w != NULL)
        d->ops->conv_free(d, w);
}

size_t
bs_conv_length(const struct bs_conv_shape *shape, size_t length)
{
    size_t padded;

    if (length == 0 || !bs_add(length, 2 * shape->pad, &padded) ||
        padded < shape->side)
        return 0;
    return (padded - shape->side) / shape->stride + 1;
}

static int
check_conv2d(struct bs_dev *d, const struct bs_conv2d *a, size_t pixels_in,
             size_t pixels_out)
{
    const struct bs_conv_shape *s = &a->w->shape;
    int r;

    if (a->ldx < s->in || a->ldy < s->out ||
        (a->residual != NULL && a->ldr < s->out))
        return bs_err_set(&d->err, BS_EX_SOFTWARE, "conv2d: pixels overlap");
    r = bs_range_check(d, "conv2d", "x", &a->x,
                       bs_range_rows(pixels_in, s->in, a->ldx));
    if (r == 0)
        r = bs_range_check(d, "conv2d", "y", &a->y,
                           bs_range_rows(pixels_out, s->out, a->ldy));
    if (r == 0 && a->bias != NULL)
        r = bs_range_check(d, "conv2d", "bias", a->bias,
                           bs_range_rows(1, s->out, s->out));
    if (r == 0 && a->residual != NULL)
        r = bs_range_check(d, "conv2d", "residual", a->residual,
                           bs_range_rows(pixels_out, s->out, a->ldr));
    return r;
}

int
bs_dev_conv2d(struct bs_dev *d, const struct bs_conv2d *a)
{
    bool up = a->up_height != 0 || a->up_width != 0;
    struct bs_dev_conv2d op = {
        .w = a->w,
        .x = a->x.p,
        .ldx = a->ldx,
        .y = a->y.p,
        .ldy = a->ldy,
        .batch = a->batch,
        .height = a->height,
        .width = a->width,
        .up_height = up ? a->up_height : a->height,
        .up_width = up ? a->up_width : a->width,
        .bias = a->bias != NULL ? a->bias->p : NULL,
        .residual = a->residual != NULL ? a->residual->p : NULL,
        .ldr = a->ldr,
    };
    size_t pixels = bs_range_product(a->batch, a->height, a->width);
    size_t pixels_out;
    int r;

    if (op.up_height < a->height || op.up_width < a->width)
        return bs_err_set(&d->err, BS_EX_SOFTWARE,
                          "conv2d: %zu x %zu enlarged to %zu x %zu", a->width,
                          a->height, op.up_width, op.up_height);
    op.out_height = bs_conv_length(&a->w->shape, op.up_height);
    op.out_width = bs_conv_length(&a->w->shape, op.up_width);
    pixels_out = bs_range_product(a->batch, op.out_height, op.out_width);
    if (pixels == 0 || pixels_out == 0)
        return 0;
    r = check_conv2d(d, a, pixels, pixels_out);
    return r < 0 ? r : BS_DEV_CALL(d, conv2d, d, &op);
}

/* ---- group norm -----------------------------------------------------------
 */

int
bs_dev_group_norm(struct bs_dev *d, const struct bs_group_norm *a)
{
    struct bs_dev_group_norm op = {
        a->x.p,      a->y.p,    a->ldx,     a->ldy,    a->batch, a->pixels,
        a->channels, a->groups, a->gamma.p, a->beta.p, a->eps,   a->silu};
    size_t pixels = bs_range_product(a->batch, a->pixels, 1);
    size_t row = bs_range_rows(1, a->channels, a->channels);
    int r;

    if (a->groups == 0 || a->channels % a->groups != 0)
        return bs_err_set(&d->err, BS_EX_SOFTWARE,
                          "group_norm: %zu channels in %zu groups", a->channels,
                          a->groups);
    if (pixels == 0 || a->channels == 0)
        return 0;
    if (a->ldx < a->channels || a->ldy < a->channels)
        return bs_err_set(&d->err, BS_EX_SOFTWARE,
                          "group_norm: pixels overlap");
    r = bs_range_check(d, "group_norm", "x", &a->x,
                       bs_range_rows(pixels, a->channels, a->ldx));
    if (r == 0)
        r = bs_range_check(d, "group_norm", "y", &a->y,
                           bs_range_rows(pixels, a->channels, a->ldy));
    if (r == 0)
        r = bs_range_check(d, "group_norm", "gamma", &a->gamma, row);
    if (r == 0)
        r = bs_range_check(d, "group_norm", "beta", &a->beta, row);
    return r < 0 ? r : BS_DEV_CALL(d, group_norm, d, &op);
}
