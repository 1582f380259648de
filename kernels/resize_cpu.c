/*
 * resize_cpu.c - see resize.h.  Coefficients are computed in double and cut to
 * integers exactly as Pillow does; the two passes are integer arithmetic.
 */
#include "kernels/resize.h"

#include <math.h>

#include "common/mem.h"

#define PRECISION 22 /* 32 bits less 8 of the pixel and 2 of headroom */
#define HALF (1 << (PRECISION - 1))
#define SIZE_LIMIT ((size_t)1 << 24)
#define PI 3.14159265358979323846

/* For each output index: the inputs first[i] to first[i] + count[i] - 1, with
 * `taps` places for weights, zero behind count[i]. */
struct coeffs {
    size_t taps;
    size_t *first, *count;
    int32_t *weight;
};

static double
bilinear(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* The cubic convolution with a = -0.5. */
static double
bicubic(double x)
{
    const double a = -0.5;

    x = fabs(x);
    if (x < 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0)
        return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static double
sinc(double x)
{
    if (x == 0.0)
        return 1.0;
    x *= PI;
    return sin(x) / x;
}

static double
lanczos(double x)
{
    return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

static const struct {
    double (*at)(double x);
    double support;
} filters[] = {
    [BS_FILTER_BICUBIC] = {bicubic, 2.0},
    [BS_FILTER_BILINEAR] = {bilinear, 1.0},
    [BS_FILTER_LANCZOS] = {lanczos, 3.0},
};

static void
coeffs_release(struct coeffs *c)
{
    bs_free(c->first);
    bs_free(c->count);
    bs_free(c->weight);
    *c = (struct coeffs){0};
}

/*
 * Weights of the inputs from `first` on for an output that lies at `center`:
 * normalised, then rounded half away from 0.
 */
static void
weigh(int32_t *weight, double *exact, size_t first, size_t count, double center,
      double inverse, enum bs_filter filter)
{
    double sum = 0.0;
    size_t i;

    for (i = 0; i < count; i++) {
        double x = (double)(first + i) - center + 0.5;

        exact[i] = filters[filter].at(x * inverse);
        sum += exact[i];
    }
    for (i = 0; i < count; i++) {
        double w = sum != 0.0 ? exact[i] / sum : exact[i];

        w *= 1 << PRECISION;
        weight[i] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
    }
}

/* Coefficients from `in` to `out` samples, for the outputs from `from` on. */
static int
coeffs_init(struct coeffs *c, size_t in, size_t out, size_t from, size_t n,
            enum bs_filter filter, struct bs_err *e)
{
    double scale = (double)in / (double)out;
    double stretch = scale < 1.0 ? 1.0 : scale;
    double support = filters[filter].support * stretch;
    double *exact;
    size_t places, i;

    *c = (struct coeffs){.taps = (size_t)ceil(support) * 2 + 1};
    exact = bs_alloc_array(c->taps, sizeof *exact);
    c->first = bs_alloc_array(n, sizeof *c->first);
    c->count = bs_alloc_array(n, sizeof *c->count);
    if (bs_mul(n, c->taps, &places))
        c->weight = bs_alloc_array(places, sizeof *c->weight);
    if (exact == NULL || c->first == NULL || c->count == NULL ||
        c->weight == NULL) {
        bs_free(exact);
        coeffs_release(c);
        return bs_err_memory(e, "resize coefficients", n * c->taps * 4);
    }
    for (i = 0; i < n; i++) {
        double center = ((double)(from + i) + 0.5) * scale;
        double low = center - support + 0.5, high = center + support + 0.5;
        size_t first = low > 0 ? (size_t)low : 0;
        size_t end = high < (double)in ? (size_t)high : in;

        c->first[i] = first;
        c->count[i] = end - first;
        weigh(c->weight + i * c->taps, exact, first, end - first, center,
              1.0 / stretch, filter);
    }
    bs_free(exact);
    return 0;
}

static uint8_t
clip8(int32_t sum)
{
    sum >>= PRECISION;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* One row to n pixels. */
static void
resize_row(const uint8_t *in, uint8_t *out, const struct coeffs *c, size_t n)
{
    size_t x, i;

    for (x = 0; x < n; x++) {
        const uint8_t *p = in + c->first[x] * 3;
        const int32_t *w = c->weight + x * c->taps;
        int32_t r = HALF, g = HALF, b = HALF;

        for (i = 0; i < c->count[x]; i++) {
            r += p[i * 3] * w[i];
            g += p[i * 3 + 1] * w[i];
            b += p[i * 3 + 2] * w[i];
        }
        out[x * 3] = clip8(r);
        out[x * 3 + 1] = clip8(g);
        out[x * 3 + 2] = clip8(b);
    }
}

/*
 * One output row of the vertical pass: `len` bytes, each a sum over `count`
 * rows that are `stride` bytes apart.
 */
static void
blend_rows(const uint8_t *in, size_t stride, const int32_t *weight,
           size_t count, int32_t *sum, uint8_t *out, size_t len)
{
    size_t i, x;

    for (x = 0; x < len; x++)
        sum[x] = HALF;
    for (i = 0; i < count; i++) {
        const uint8_t *row = in + i * stride;

        for (x = 0; x < len; x++)
            sum[x] += row[x] * weight[i];
    }
    for (x = 0; x < len; x++)
        out[x] = clip8(sum[x]);
}

/* The columns of the crop, of `rows` rows; `c` NULL: as they are. */
static void
pass_horizontal(const uint8_t *src, size_t width, size_t rows, uint8_t *dst,
                const struct coeffs *c, const struct bs_crop *crop)
{
    size_t y;

    for (y = 0; y < rows; y++) {
        const uint8_t *in = src + y * width * 3;
        uint8_t *out = dst + y * crop->width * 3;

        if (c != NULL)
            resize_row(in, out, c, crop->width);
        else
            memcpy(out, in + crop->x * 3, crop->width * 3);
    }
}

/* The rows of the crop, from rows of which the first has number `top`. */
static int
pass_vertical(const uint8_t *rows, size_t top, uint8_t *dst,
              const struct coeffs *c, const struct bs_crop *crop,
              struct bs_err *e)
{
    size_t len = crop->width * 3, y;
    int32_t *sum = bs_alloc_array(len, sizeof *sum);

    if (sum == NULL)
        return bs_err_memory(e, "resize row", len * sizeof *sum);
    for (y = 0; y < crop->height; y++)
        blend_rows(rows + (c->first[y] - top) * len, len,
                   c->weight + y * c->taps, c->count[y], sum, dst + y * len,
                   len);
    bs_free(sum);
    return 0;
}

/* Both passes: the horizontal one into scratch rows. */
static int
pass_both(const uint8_t *src, size_t width, uint8_t *dst,
          const struct coeffs *across, const struct coeffs *down,
          const struct bs_crop *crop, struct bs_err *e)
{
    size_t last = crop->height - 1, top = down->first[0];
    size_t rows = down->first[last] + down->count[last] - top, bytes;
    uint8_t *scratch = NULL;
    int r;

    if (bs_mul(rows, crop->width * 3, &bytes))
        scratch = bs_alloc(bytes);
    if (scratch == NULL)
        return bs_err_memory(e, "resize rows", rows * crop->width * 3);
    pass_horizontal(src + top * width * 3, width, rows, scratch, across, crop);
    r = pass_vertical(scratch, top, dst, down, crop, e);
    bs_free(scratch);
    return r;
}

static bool
sizes_fit(size_t width, size_t height, size_t out_width, size_t out_height,
          const struct bs_crop *crop)
{
    const size_t sizes[] = {width,      height,      out_width,
                            out_height, crop->width, crop->height};
    size_t i;

    for (i = 0; i < BS_LEN(sizes); i++)
        if (sizes[i] < 1 || sizes[i] > SIZE_LIMIT)
            return false;
    return crop->width <= out_width && crop->x <= out_width - crop->width &&
           crop->height <= out_height && crop->y <= out_height - crop->height;
}

int
bs_resize(const uint8_t *src, size_t width, size_t height, uint8_t *dst,
          size_t out_width, size_t out_height, enum bs_filter filter,
          const struct bs_crop *crop, struct bs_err *e)
{
    struct coeffs across = {0}, down = {0};
    int r = 0;

    if (!sizes_fit(width, height, out_width, out_height, crop))
        return bs_err_set(e, BS_EX_USAGE,
                          "cannot resize %zu x %zu to %zu x %zu pixels, of "
                          "which %zu x %zu",
                          width, height, out_width, out_height, crop->width,
                          crop->height);
    if (out_width != width)
        r = coeffs_init(&across, width, out_width, crop->x, crop->width, filter,
                        e);
    if (r == 0 && out_height != height)
        r = coeffs_init(&down, height, out_height, crop->y, crop->height,
                        filter, e);
    if (r == 0 && out_height != height)
        r = pass_both(src, width, dst, out_width != width ? &across : NULL,
                      &down, crop, e);
    else if (r == 0)
        pass_horizontal(src + crop->y * width * 3, width, crop->height, dst,
                        out_width != width ? &across : NULL, crop);
    coeffs_release(&across);
    coeffs_release(&down);
    return r;
}

void
bs_resize_fit(size_t width, size_t height, size_t shorter, size_t *out_width,
              size_t *out_height)
{
    size_t narrow = width < height ? width : height;
    size_t wide = width < height ? height : width;
    size_t longer = shorter * wide / narrow;

    *out_width = width <= height ? shorter : longer;
    *out_height = width <= height ? longer : shorter;
}

/* floor((n + 1) / 2) would take the odd pixel always from one side: rounding
 * half to even is what Python's round() does. */
static size_t
half_to_even(size_t n)
{
    return n / 2 + (n % 4 == 3);
}

int
bs_center_crop(size_t width, size_t height, size_t crop_width,
               size_t crop_height, struct bs_crop *out, struct bs_err *e)
{
    if (crop_width > width || crop_height > height)
        return bs_err_set(e, BS_EX_USAGE,
                          "cannot crop %zu x %zu from %zu x %zu pixels",
                          crop_width, crop_height, width, height);
    out->x = half_to_even(width - crop_width);
    out->y = half_to_even(height - crop_height);
    out->width = crop_width;
    out->height = crop_height;
    return 0;
}
