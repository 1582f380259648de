/*
 * resize_cpu.c - see resize.h.  Coefficients are computed in double and rounded
 * to integers exactly as Pillow does; the passes are integer arithmetic, so
 * their order of summation is free.
 *
 * One loop does both passes: a weighted sum of rows of bytes, which compilers
 * vectorise.  For the horizontal pass, blocks of rows are turned on their side.
 */
#include "kernels/resize.h"

#include <math.h>

#include "common/mem.h"

#define PRECISION 22 /* 32 bits less 8 of the pixel and 2 of headroom */
#define HALF (1 << (PRECISION - 1))
#define SIZE_LIMIT ((size_t)1 << 24)
#define PI 3.14159265358979323846
#define BLOCK 32 /* rows turned at once: their columns are vectors */

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

/* Room for one sum of `len` bytes and for a block with its result. */
struct scratch {
    uint32_t *low;
    uint16_t *high;
    uint8_t *turned, *result;
};

static void
scratch_release(struct scratch *s)
{
    bs_free(s->low);
    bs_free(s->high);
    bs_free(s->turned);
    bs_free(s->result);
    *s = (struct scratch){0};
}

/* For sums of `len` bytes, and blocks of `in` columns that become `out`. */
static int
scratch_init(struct scratch *s, size_t len, size_t in, size_t out,
             struct bs_err *e)
{
    len = len > BLOCK ? len : BLOCK;
    s->low = bs_alloc_array(len, sizeof *s->low);
    s->high = bs_alloc_array(len, sizeof *s->high);
    s->turned = bs_alloc_array(in * 3, BLOCK);
    s->result = bs_alloc_array(out * 3, BLOCK);
    if (s->low != NULL && s->high != NULL && s->turned != NULL &&
        s->result != NULL)
        return 0;
    scratch_release(s);
    return bs_err_memory(e, "resize rows", (in + out) * 3 * BLOCK + len * 6);
}

/* The rounded sum as a byte; 16 bits hold it, and 16-bit minima are fast. */
static uint8_t
clip8(int32_t sum)
{
    int16_t v = (int16_t)(sum >> PRECISION);

    v = v < 0 ? 0 : v;
    return (uint8_t)(v > 255 ? 255 : v);
}

/*
 * out[x] = the sum of weight[i] row_i[x], rounded, for `len` bytes of `count`
 * rows that are `stride` bytes apart.
 *
 * A weight is split into its low 16 bits, signed, and the rest: processors
 * multiply 16-bit numbers fast, and of the high sum only the low 16 bits reach
 * the result.  Everything wraps modulo 2^32; the whole sum does not.
 */
static void
blend_rows(const uint8_t *in, size_t stride, const int32_t *weight,
           size_t count, const struct scratch *s, uint8_t *out, size_t len)
{
    uint32_t *restrict low = s->low;
    uint16_t *restrict high = s->high;
    size_t i, x;

    for (x = 0; x < len; x++) {
        low[x] = HALF;
        high[x] = 0;
    }
    for (i = 0; i < count; i++) {
        const uint8_t *restrict row = in + i * stride;
        int16_t l = (int16_t)(weight[i] & 0xffff);
        int16_t h = (int16_t)((weight[i] - l) / 65536);

        for (x = 0; x < len; x++) {
            int16_t p = row[x];

            low[x] += (uint32_t)(p * l);
            high[x] = (uint16_t)(high[x] + p * h);
        }
    }
    for (x = 0; x < len; x++)
        out[x] = clip8((int32_t)(low[x] + ((uint32_t)high[x] << 16)));
}

/* out[x][y] = in[y][x], bytes. */
static void
turn(const uint8_t *restrict in, size_t in_stride, uint8_t *restrict out,
     size_t out_stride, size_t rows, size_t columns)
{
    size_t x, y;

    for (x = 0; x < columns; x++)
        for (y = 0; y < rows; y++)
            out[x * out_stride + y] = in[y * in_stride + x];
}

/* The number of inputs that c uses, from c->first[0] on. */
static size_t
coeffs_span(const struct coeffs *c, size_t n)
{
    return c->first[n - 1] + c->count[n - 1] - c->first[0];
}

/* `rows` rows of `width` pixels to rows of n pixels, without gaps. */
static void
resize_rows(const uint8_t *in, size_t width, size_t rows, uint8_t *out,
            const struct coeffs *c, size_t n, const struct scratch *s)
{
    size_t from = c->first[0], span = coeffs_span(c, n), y, x, k;

    for (y = 0; y < rows; y += BLOCK) {
        size_t some = rows - y < BLOCK ? rows - y : BLOCK;

        turn(in + (y * width + from) * 3, width * 3, s->turned, BLOCK, some,
             span * 3);
        for (x = 0; x < n; x++)
            for (k = 0; k < 3; k++)
                blend_rows(s->turned + ((c->first[x] - from) * 3 + k) * BLOCK,
                           3 * BLOCK, c->weight + x * c->taps, c->count[x], s,
                           s->result + (x * 3 + k) * BLOCK, some);
        turn(s->result, BLOCK, out + y * n * 3, n * 3, n * 3, some);
    }
}

/* The crop's columns of `rows` rows; `c` NULL: as they are. */
static void
pass_horizontal(const uint8_t *src, size_t width, size_t rows, uint8_t *dst,
                const struct coeffs *c, const struct bs_crop *crop,
                const struct scratch *s)
{
    size_t y;

    if (c != NULL)
        resize_rows(src, width, rows, dst, c, crop->width, s);
    else
        for (y = 0; y < rows; y++)
            memcpy(dst + y * crop->width * 3, src + (y * width + crop->x) * 3,
                   crop->width * 3);
}

/* Both passes, the horizontal one into rows of their own. */
static int
pass_both(const uint8_t *src, size_t width, uint8_t *dst,
          const struct coeffs *across, const struct coeffs *down,
          const struct bs_crop *crop, const struct scratch *s, struct bs_err *e)
{
    size_t top = down->first[0], rows = coeffs_span(down, crop->height);
    size_t len = crop->width * 3, bytes, y;
    uint8_t *wide = NULL;

    if (bs_mul(rows, len, &bytes))
        wide = bs_alloc(bytes);
    if (wide == NULL)
        return bs_err_memory(e, "resize rows", rows * len);
    pass_horizontal(src + top * width * 3, width, rows, wide, across, crop, s);
    for (y = 0; y < crop->height; y++)
        blend_rows(wide + (down->first[y] - top) * len, len,
                   down->weight + y * down->taps, down->count[y], s,
                   dst + y * len, len);
    bs_free(wide);
    return 0;
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
    struct scratch scratch = {0};
    const struct coeffs *wide = out_width != width ? &across : NULL;
    int r = 0;

    if (!sizes_fit(width, height, out_width, out_height, crop))
        return bs_err_set(e, BS_EX_USAGE,
                          "cannot resize %zu x %zu to %zu x %zu pixels, of "
                          "which %zu x %zu",
                          width, height, out_width, out_height, crop->width,
                          crop->height);
    if (wide != NULL)
        r = coeffs_init(&across, width, out_width, crop->x, crop->width, filter,
                        e);
    if (r == 0 && out_height != height)
        r = coeffs_init(&down, height, out_height, crop->y, crop->height,
                        filter, e);
    if (r == 0)
        r = scratch_init(&scratch, crop->width * 3,
                         wide != NULL ? coeffs_span(wide, crop->width) : 0,
                         wide != NULL ? crop->width : 0, e);
    if (r == 0 && out_height != height)
        r = pass_both(src, width, dst, wide, &down, crop, &scratch, e);
    else if (r == 0)
        pass_horizontal(src + crop->y * width * 3, width, crop->height, dst,
                        wide, crop, &scratch);
    scratch_release(&scratch);
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

/* n / 2 rounded as Python's round() does: 1 -> 0, 3 -> 2, 5 -> 2. */
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
