/*
 * conv_cpu.c - convolution as a matrix product: the rows of the matrix are the
 * windows of x, which are put together a block at a time, in the cache.
 */
#include "kernels/conv_cpu.h"

#include "common/mem.h"

/* Below this, transforming tiles costs more than it saves. */
#define WINOGRAD_IN 16

/* ---- packing ---------------------------------------------------------------
 */

void
bs_conv_taps_first(void *out, const void *in, const struct bs_conv_shape *s,
                   size_t size)
{
    size_t taps = s->side * s->side, o, t, c;
    const char *from = in;
    char *to = out;

    for (o = 0; o < s->out; o++, from += taps * s->in * size)
        for (t = 0; t < taps; t++)
            for (c = 0; c < s->in; c++, to += size)
                memcpy(to, from + (c * taps + t) * size, size);
}

static int
pack_matrix(struct bs_cpu *c, struct bs_cpu_conv *w, const void *from,
            enum bs_dtype type, enum bs_math math)
{
    const struct bs_conv_shape *s = &w->head.shape;
    size_t k = s->side * s->side * s->in;
    size_t bytes = s->out * k * bs_dtype_size(type);
    void *turned;
    int r;

    if (s->side == 1)
        return bs_cpu_weight(&c->dev, &w->w, from, type, s->out, k, math);
    turned = bs_alloc(bytes);
    if (turned == NULL)
        return bs_err_memory(&c->dev.err, "convolution", bytes);
    bs_conv_taps_first(turned, from, s, bs_dtype_size(type));
    r = bs_cpu_weight(&c->dev, &w->w, turned, type, s->out, k, math);
    bs_free(turned);
    return r;
}

int
bs_cpu_conv(struct bs_dev *d, struct bs_conv **out, const void *from,
            enum bs_dtype type, const struct bs_conv_shape *shape,
            enum bs_math math)
{
    struct bs_cpu *c = (struct bs_cpu *)d;
    struct bs_cpu_conv *w = bs_alloc_array(1, sizeof *w);
    int r;

    if (w == NULL)
        return bs_err_memory(&d->err, "convolution", sizeof *w);
    w->head.shape = *shape;
    w->winograd = shape->side == 3 && shape->stride == 1 && shape->pad == 1 &&
                  shape->in >= WINOGRAD_IN;
    if (w->winograd)
        r = bs_cpu_pack(c, &w->w, from, type, shape->out, 9 * shape->in,
                        math != BS_MATH_BF16 ? BS_CPU_F32 : BS_CPU_BF16);
    else
        r = pack_matrix(c, w, from, type, math);
    if (r < 0) {
        bs_free(w);
        return r;
    }
    *out = &w->head;
    return 0;
}

void
bs_cpu_conv_free(struct bs_dev *d, struct bs_conv *conv)
{
    struct bs_cpu_conv *w = (struct bs_cpu_conv *)conv;

    bs_cpu_weight_free(d, w->w);
    bs_free(w);
}

/* ---- windows ---------------------------------------------------------------
 */

/* The pixel of x that stands at a place of the padded, enlarged image, or NULL
 * in the padding. */
static const float *
pixel_of(const struct bs_dev_conv2d *a, size_t image, size_t row, size_t col)
{
    size_t pad = a->w->shape.pad;

    if (row < pad || row - pad >= a->up_height || col < pad ||
        col - pad >= a->up_width)
        return NULL;
    row = (row - pad) * a->height / a->up_height;
    col = (col - pad) * a->width / a->up_width;
    return a->x + ((image * a->height + row) * a->width + col) * a->ldx;
}

/* Columns k..k+depth-1 of the window of output pixel `at`. */
static void
take_window(const struct bs_dev_conv2d *a, float *out, size_t at, size_t k,
            size_t depth)
{
    const struct bs_conv_shape *s = &a->w->shape;
    size_t col = at % a->out_width * s->stride;
    size_t row = at / a->out_width % a->out_height * s->stride;
    size_t image = at / a->out_width / a->out_height;
    size_t tap = k / s->in, c = k % s->in;

    for (; depth > 0; tap++, c = 0) {
        const float *x =
            pixel_of(a, image, row + tap / s->side, col + tap % s->side);
        size_t n = s->in - c < depth ? s->in - c : depth;

        if (x != NULL)
            memcpy(out, x + c, n * sizeof *out);
        else
            memset(out, 0, n * sizeof *out);
        out += n;
        depth -= n;
    }
}

static void
take_windows(const void *arg, float *out, size_t ldo, size_t row, size_t rows,
             size_t k, size_t depth)
{
    size_t i;

    for (i = 0; i < rows; i++)
        take_window(arg, out + i * ldo, row + i, k, depth);
}

int
bs_cpu_conv2d(struct bs_dev *d, const struct bs_dev_conv2d *a)
{
    const struct bs_cpu_conv *w = (const struct bs_cpu_conv *)a->w;
    const struct bs_conv_shape *s = &w->head.shape;
    bool pixels = s->side == 1 && s->stride == 1 && a->up_height == a->height &&
                  a->up_width == a->width;
    struct bs_cpu_product p = {
        .w = w->w,
        .m = a->batch * a->out_height * a->out_width,
        .x = a->x,
        .ldx = a->ldx,
        .rows = pixels ? NULL : take_windows,
        .arg = a,
        .y = a->y,
        .ldy = a->ldy,
        .bias = a->bias,
        .epilogue = a->residual != NULL ? BS_EPI_RESIDUAL : BS_EPI_NONE,
        .residual = a->residual,
        .ldr = a->ldr,
    };

    if (w->winograd)
        return bs_cpu_winograd((struct bs_cpu *)d, a);
    return bs_cpu_multiply((struct bs_cpu *)d, &p);
}
