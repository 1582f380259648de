/*
 * positions.c - bicubic resize of position embeddings, as torch computes it.
 *
 * Both of torch's kernels weigh a few neighbours per axis, so each is a list of
 * taps per output place; the plane is then resized row-wise and column-wise.
 * Runs once a model: O(height * width * taps * k).
 */
#include "cmd/models/dinov2.h"

#include <math.h>

/* The neighbours of each output place along one axis, and their weights. */
struct taps {
    size_t places, count; /* count: taps of a place, unused ones weigh 0 */
    size_t *index;        /* [places, count] */
    float *weight;        /* [places, count] */
};

/* Keys' cubic convolution at distance x. */
static float
cubic(float x, float a)
{
    x = fabsf(x);
    if (x < 1.0f)
        return ((a + 2.0f) * x - (a + 3.0f)) * x * x + 1.0f;
    if (x < 2.0f)
        return ((a * x - 5.0f * a) * x + 8.0f * a) * x - 4.0f * a;
    return 0.0f;
}

/* Four taps around the source place, clamped to the edge; A = -0.75. */
static void
plain_taps(struct taps *t, size_t from)
{
    float scale = (float)from / (float)t->places;
    size_t i, k;

    for (i = 0; i < t->places; i++) {
        float real = scale * ((float)i + 0.5f) - 0.5f;
        float low = floorf(real), part = real - low;

        for (k = 0; k < 4; k++) {
            ptrdiff_t at = (ptrdiff_t)low - 1 + (ptrdiff_t)k;

            at = at < 0 ? 0 : at;
            at = at < (ptrdiff_t)from ? at : (ptrdiff_t)from - 1;
            t->index[4 * i + k] = (size_t)at;
            t->weight[4 * i + k] = cubic(part + 1.0f - (float)k, -0.75f);
        }
    }
}

/* Taps under a kernel as wide as the shrinking asks, cut at the edges and
 * normalised; A = -0.5. */
static void
antialias_taps(struct taps *t, size_t from)
{
    float scale = (float)from / (float)t->places;
    float wide = scale > 1.0f ? scale : 1.0f;
    float support = 2.0f * wide;
    size_t i, k;

    for (i = 0; i < t->places; i++) {
        float center = scale * ((float)i + 0.5f), total = 0.0f;
        ptrdiff_t first = (ptrdiff_t)(center - support + 0.5f);
        ptrdiff_t end = (ptrdiff_t)(center + support + 0.5f);

        first = first < 0 ? 0 : first;
        end = end < (ptrdiff_t)from ? end : (ptrdiff_t)from;
        for (k = 0; first + (ptrdiff_t)k < end; k++) {
            float x = (float)((ptrdiff_t)k + first) - center + 0.5f;
            float w = cubic(x * (1.0f / wide), -0.5f);

            t->index[t->count * i + k] = (size_t)first + k;
            t->weight[t->count * i + k] = w;
            total += w;
        }
        while (k-- > 0)
            t->weight[t->count * i + k] /= total;
    }
}

static int
taps_make(struct taps *t, size_t places, size_t from, bool antialias,
          struct bs_err *e)
{
    float scale = (float)from / (float)places;
    float support = 2.0f * (scale > 1.0f ? scale : 1.0f);

    t->places = places;
    t->count = antialias ? (size_t)ceilf(support) * 2 + 1 : 4;
    t->index = bs_alloc_array(places * t->count, sizeof *t->index);
    t->weight = bs_alloc_array(places * t->count, sizeof *t->weight);
    if (t->index == NULL || t->weight == NULL)
        return bs_err_memory(e, "positions", places * t->count);
    if (antialias)
        antialias_taps(t, from);
    else
        plain_taps(t, from);
    return 0;
}

static void
taps_release(struct taps *t)
{
    bs_free(t->index);
    bs_free(t->weight);
}

/* out[k] += weight * in[k] over the taps of one place; in's rows are `stride`
 * floats apart. */
static void
blend(float *out, const struct taps *t, size_t place, const float *in,
      size_t stride, size_t k)
{
    size_t i, j;

    for (j = 0; j < k; j++)
        out[j] = 0.0f;
    for (i = 0; i < t->count; i++) {
        const float *row = in + t->index[t->count * place + i] * stride;
        float w = t->weight[t->count * place + i];

        for (j = 0; j < k; j++)
            out[j] += w * row[j];
    }
}

int
bs_positions_resize(float *out, size_t height, size_t width, const float *in,
                    size_t from, size_t k, bool antialias, struct bs_err *e)
{
    struct taps across = {0}, down = {0};
    float *middle = bs_alloc_array(from * width * k, sizeof *middle);
    size_t x, y;
    int r = 0;

    if (middle == NULL)
        r = bs_err_memory(e, "positions", from * width * k * sizeof *middle);
    if (r == 0)
        r = taps_make(&across, width, from, antialias, e);
    if (r == 0)
        r = taps_make(&down, height, from, antialias, e);
    for (y = 0; y < from && r == 0; y++)
        for (x = 0; x < width; x++)
            blend(middle + (y * width + x) * k, &across, x, in + y * from * k,
                  k, k);
    for (y = 0; y < height && r == 0; y++)
        blend(out + y * width * k, &down, y, middle, width * k, width * k);
    taps_release(&across);
    taps_release(&down);
    bs_free(middle);
    return r;
}
