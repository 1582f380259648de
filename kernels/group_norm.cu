/*
 * group_norm.cu - group norm, with or without SiLU; see image_ops.h.  As on the
 * CPU: the sums of each channel over parts of an image, what they say, and a
 * pass that applies it.
 */
#include "kernels/cuda.cuh"

/* A thread a channel: sums of the values of a part of an image, less those of
 * the image's first pixel, and of their squares; f32 over 32 pixels, then f64.
 */
BS_KERNEL(group_sums, BS_EACH_THREADS, 4, bs_group_norm_args)
{
    size_t c = blockIdx.y * (size_t)BS_EACH_THREADS + threadIdx.x;
    size_t image = blockIdx.x / a.parts, part = blockIdx.x % a.parts;
    size_t i = part * a.part_pixels, end = i + a.part_pixels;

    if (c >= a.channels)
        return;
    const float *x = a.x + image * a.pixels * a.ldx + c;
    double *to = a.sums + blockIdx.x * 2 * a.channels + c;
    double sum = 0, square = 0;
    float origin = *x;

    if (end > a.pixels)
        end = a.pixels;
    while (i < end) {
        size_t stop = end - i < 32 ? end : i + 32;
        float s = 0, q = 0;

        for (; i < stop; i++) {
            float d = x[i * a.ldx] - origin;

            s += d;
            q += d * d;
        }
        sum += (double)s;
        square += (double)q;
    }
    to[0] = sum;
    to[a.channels] = square;
}

/* The sums of a channel over an image. */
static __device__ inline void
channel_total(const bs_group_norm_args &a, size_t image, size_t c, double *sum,
              double *square)
{
    const double *s = a.sums + image * a.parts * 2 * a.channels + c;

    *sum = *square = 0;
    for (size_t i = 0; i < a.parts; i++, s += 2 * a.channels) {
        *sum += s[0];
        *square += s[a.channels];
    }
}

/* A warp a group.  With channel c summed from its own origin o, sum (x - o) = s
 * and sum (x - o)^2 = q over p pixels, the squares around the mean m are q + 2
 * (o - m) s + p (o - m)^2. */
BS_KERNEL(group_factors, BS_ROW_THREADS, 4, bs_group_norm_args)
{
    size_t group = blockIdx.x * (size_t)BS_ROW_WARPS + threadIdx.x / 32;
    size_t image = group / a.groups, n = a.channels / a.groups;
    size_t first = group % a.groups * n + threadIdx.x % 32;
    size_t end = group % a.groups * n + n;

    if (image >= a.batch)
        return;
    const float *origin = a.x + image * a.pixels * a.ldx;
    float *factor = a.factors + image * 2 * a.channels;
    double p = (double)a.pixels, mean = 0, var = 0, sum, square;

    for (size_t c = first; c < end; c += 32) {
        channel_total(a, image, c, &sum, &square);
        mean += ((double)origin[c] + sum / p) / (double)n;
    }
    mean = bs_warp_sum(mean);
    for (size_t c = first; c < end; c += 32) {
        double off = (double)origin[c] - mean;

        channel_total(a, image, c, &sum, &square);
        var += (square + 2 * off * sum + p * off * off) / (p * (double)n);
    }
    var = bs_warp_sum(var);
    double inv = 1 / sqrt((var < 0 ? 0 : var) + (double)a.eps);
    for (size_t c = first; c < end; c += 32) {
        double g = (double)a.gamma[c] * inv;

        factor[c] = (float)g;
        factor[a.channels + c] = (float)((double)a.beta[c] - mean * g);
    }
}

/* A thread a value. */
BS_KERNEL(group_apply, BS_EACH_THREADS, 4, bs_group_norm_args)
{
    size_t pixel = blockIdx.x / a.row_blocks;
    size_t c =
        blockIdx.x % a.row_blocks * (size_t)BS_EACH_THREADS + threadIdx.x;

    if (c >= a.channels)
        return;
    const float *factor = a.factors + pixel / a.pixels * 2 * a.channels + c;
    float v = a.x[pixel * a.ldx + c] * factor[0] + factor[a.channels];

    a.y[pixel * a.ldy + c] = a.silu ? v / (1 + expf(-v)) : v;
}
