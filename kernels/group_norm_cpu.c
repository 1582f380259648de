/*
 * group_norm_cpu.c - group norm, with or without SiLU: one pass over an image
 * for the sums of each channel, one to apply what they say.
 */
#include "kernels/cpu.h"

#include "common/mem.h"

#include <math.h>

#define SUM_PIXELS 512  /* of a chunk of the first pass */
#define APPLY_PIXELS 64 /* of the second */

struct job {
    const struct bs_isa *isa;
    const struct bs_dev_group_norm *a;
    size_t chunks;  /* of an image, in the first pass */
    double *sums;   /* [batch][chunks][2][channels]: of the values less those
                       of the image's first pixel; of the squares */
    float *factors; /* [batch][2][channels]: y = x * factor + offset */
};

static size_t
divide_up(size_t n, size_t by)
{
    return n / by + (n % by != 0);
}

static const float *
first_pixel(const struct job *job, size_t image)
{
    return job->a->x + image * job->a->pixels * job->a->ldx;
}

static void
sum_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct job *job = arg;
    const struct bs_dev_group_norm *a = job->a;
    const float *origin = first_pixel(job, chunk / job->chunks);
    size_t first = chunk % job->chunks * SUM_PIXELS;
    size_t left = a->pixels - first;

    (void)thread;
    job->isa->channel_sums(
        job->sums + chunk * 2 * a->channels, origin + first * a->ldx, a->ldx,
        left < SUM_PIXELS ? left : SUM_PIXELS, a->channels, origin);
}

/* The sums of a channel over an image. */
static void
channel_total(const struct job *job, size_t image, size_t channel, double *sum,
              double *square)
{
    size_t n = job->a->channels, i;
    const double *s = job->sums + image * job->chunks * 2 * n + channel;

    *sum = *square = 0;
    for (i = 0; i < job->chunks; i++, s += 2 * n) {
        *sum += s[0];
        *square += s[n];
    }
}

/* Channels first..first+n-1 are a group.  With channel c summed from its own
 * origin o, sum (x - o) = s and sum (x - o)^2 = q over p pixels, the squares
 * around the mean m are q + 2 (o - m) s + p (o - m)^2. */
static void
group_factors(const struct job *job, size_t image, size_t first, size_t n)
{
    const struct bs_dev_group_norm *a = job->a;
    const float *origin = first_pixel(job, image);
    float *factor = job->factors + image * 2 * a->channels;
    double p = (double)a->pixels, mean = 0, var = 0, sum, square, inv;
    size_t c;

    for (c = first; c < first + n; c++) {
        channel_total(job, image, c, &sum, &square);
        mean += ((double)origin[c] + sum / p) / (double)n;
    }
    for (c = first; c < first + n; c++) {
        double off = (double)origin[c] - mean;

        channel_total(job, image, c, &sum, &square);
        var += (square + 2 * off * sum + p * off * off) / (p * (double)n);
    }
    inv = 1 / sqrt((var < 0 ? 0 : var) + (double)a->eps);
    for (c = first; c < first + n; c++) {
        double g = (double)a->gamma[c] * inv;

        factor[c] = (float)g;
        factor[a->channels + c] = (float)((double)a->beta[c] - mean * g);
    }
}

static void
factors_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct job *job = arg;
    size_t n = job->a->channels / job->a->groups;

    (void)thread;
    group_factors(job, chunk / job->a->groups, chunk % job->a->groups * n, n);
}

static void
apply_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct job *job = arg;
    const struct bs_dev_group_norm *a = job->a;
    size_t parts = divide_up(a->pixels, APPLY_PIXELS), image = chunk / parts;
    size_t first = chunk % parts * APPLY_PIXELS, i;
    size_t end =
        a->pixels - first < APPLY_PIXELS ? a->pixels : first + APPLY_PIXELS;
    const float *factor = job->factors + image * 2 * a->channels;

    (void)thread;
    for (i = first; i < end; i++)
        job->isa->affine(a->y + (image * a->pixels + i) * a->ldy,
                         a->x + (image * a->pixels + i) * a->ldx, a->channels,
                         factor, factor + a->channels, a->silu);
}

int
bs_cpu_group_norm(struct bs_dev *d, const struct bs_dev_group_norm *a)
{
    struct bs_cpu *c = (struct bs_cpu *)d;
    struct job job = {
        .isa = c->isa, .a = a, .chunks = divide_up(a->pixels, SUM_PIXELS)};
    size_t rows = a->batch * job.chunks, sums, factors;
    int r;

    if (!bs_mul(rows, 2 * sizeof(double) * a->channels, &sums) ||
        !bs_mul(a->batch, 2 * sizeof(float) * a->channels, &factors) ||
        !bs_add(factors, sums, &factors))
        return bs_err_memory(&d->err, "group norm", SIZE_MAX);
    r = bs_cpu_shared(c, factors);
    if (r < 0)
        return r;
    job.sums = c->shared;
    job.factors = (float *)(job.sums + rows * 2 * a->channels);
    bs_pool_run(c->pool, rows, sum_chunk, &job);
    bs_pool_run(c->pool, a->batch * a->groups, factors_chunk, &job);
    bs_pool_run(c->pool, a->batch * divide_up(a->pixels, APPLY_PIXELS),
                apply_chunk, &job);
    return 0;
}
