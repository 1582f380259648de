/*
 * sae_train_cpu.c - tokens on their way through a training step, and the table
 * of operations.  Chunks have one size, so sums have one order.
 */
#include "kernels/sae_cpu.h"
#include "kernels/sae_train_own.h"
#include "kernels/sae_train_table.h"

#include "common/dtype.h"
#include "common/mem.h"

#define LANES 8

/* A partial sum of each chunk, [chunks, n]. */
static double *
partial(struct bs_cpu *c, size_t chunks, size_t n)
{
    double *p = NULL;
    size_t bytes;

    if (bs_mul(chunks, n, &bytes) && bs_mul(bytes, sizeof *p, &bytes))
        p = bs_alloc(bytes);
    if (p == NULL)
        bs_err_memory(&c->dev.err, "sums", chunks * n * sizeof *p);
    return p;
}

static double
fold(const double lane[LANES])
{
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
           ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

/* ---- tokens ----------------------------------------------------------------
 */

#define TOKEN_ROWS 64

struct tokens_job {
    const float *x, *centre;
    size_t m, width;
    enum bs_math math;
    float *out;
    double *sums; /* [chunks, width], then [chunks] */
    const double *mean;
};

static void
token_row(const struct tokens_job *job, size_t i, double *sums)
{
    const float *x = job->x + i * job->width;
    float *out = job->out + i * job->width;
    size_t c;

    for (c = 0; c < job->width; c++)
        out[c] = job->centre != NULL ? x[c] - job->centre[c] : x[c];
    if (job->math == BS_MATH_BF16)
        for (c = 0; c < job->width; c++)
            out[c] = bs_f32_from_bf16(bs_bf16_from_f32(out[c]));
    if (sums != NULL)
        for (c = 0; c < job->width; c++)
            sums[c] += (double)x[c];
}

static void
token_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct tokens_job *job = arg;
    size_t i = chunk * TOKEN_ROWS, c;
    size_t end = job->m - i < TOKEN_ROWS ? job->m : i + TOKEN_ROWS;
    double *sums = job->sums != NULL ? job->sums + chunk * job->width : NULL;

    (void)thread;
    for (c = 0; sums != NULL && c < job->width; c++)
        sums[c] = 0;
    for (; i < end; i++)
        token_row(job, i, sums);
}

static void
spread_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct tokens_job *job = arg;
    size_t i = chunk * TOKEN_ROWS, c;
    size_t end = job->m - i < TOKEN_ROWS ? job->m : i + TOKEN_ROWS;
    double lane[LANES] = {0};

    (void)thread;
    for (; i < end; i++)
        for (c = 0; c < job->width; c++) {
            double off = (double)job->x[i * job->width + c] - job->mean[c];

            lane[c % LANES] += off * off;
        }
    job->sums[chunk] = fold(lane);
}

static int
cpu_tokens(struct bs_dev *d, const float *x, const float *centre, size_t m,
           size_t width, enum bs_math math, float *out, double *mean,
           double *spread)
{
    struct bs_cpu *c = (struct bs_cpu *)d;
    struct tokens_job job = {x, centre, m, width, math, out, NULL, mean};
    size_t chunks = m / TOKEN_ROWS + (m % TOKEN_ROWS != 0), i, j;

    if (mean != NULL) {
        job.sums = partial(c, chunks, width);
        if (job.sums == NULL)
            return -d->err.code;
    }
    bs_pool_run(c->pool, chunks, token_chunk, &job);
    if (mean == NULL)
        return 0;
    for (j = 0; j < width; j++) {
        mean[j] = 0;
        for (i = 0; i < chunks; i++)
            mean[j] += job.sums[i * width + j];
        mean[j] /= (double)m;
    }
    bs_pool_run(c->pool, width > 0 ? chunks : 0, spread_chunk, &job);
    *spread = 0;
    for (i = 0; width > 0 && i < chunks; i++)
        *spread += job.sums[i];
    bs_free(job.sums);
    return 0;
}

/* ---- sums ------------------------------------------------------------------
 */

#define PIECE ((size_t)8192)

struct residual_job {
    const float *x;
    float *y; /* or NULL */
    size_t n;
    double *sums;
};

static void
residual_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct residual_job *job = arg;
    size_t first = chunk * PIECE, i;
    size_t n = job->n - first < PIECE ? job->n - first : PIECE;
    const float *x = job->x + first;
    float *y = job->y != NULL ? job->y + first : NULL;
    double lane[LANES] = {0};

    (void)thread;
    for (i = 0; y != NULL && i < n; i++)
        y[i] = x[i] - y[i];
    x = y != NULL ? y : x;
    for (i = 0; i < n; i++)
        lane[i % LANES] += (double)x[i] * (double)x[i];
    job->sums[chunk] = fold(lane);
}

static int
cpu_residual(struct bs_dev *d, const float *x, float *y, size_t n,
             double *squares)
{
    struct bs_cpu *c = (struct bs_cpu *)d;
    size_t chunks = n / PIECE + (n % PIECE != 0), i;
    struct residual_job job = {x, y, n, partial(c, chunks, 1)};

    if (job.sums == NULL)
        return -d->err.code;
    bs_pool_run(c->pool, chunks, residual_chunk, &job);
    *squares = 0;
    for (i = 0; i < chunks; i++)
        *squares += job.sums[i];
    bs_free(job.sums);
    return 0;
}

/* ---- table -----------------------------------------------------------------
 */

static const void *
cpu_host(struct bs_dev *d, const struct bs_mem *m)
{
    (void)d;
    return m->p;
}

const struct bs_train_ops bs_cpu_train_ops = {
    .host = cpu_host,
    .encoder_reserve = bs_cpu_encoder_reserve,
    .encoder_fill = bs_cpu_encoder_fill,
    .tokens = cpu_tokens,
    .residual = cpu_residual,
    .row_sum = bs_cpu_row_sum,
    .gram = bs_cpu_gram,
    .copy_rows = bs_cpu_copy_rows,
    .group = bs_cpu_group,
    .groups_free = bs_cpu_groups_free,
    .group_dots = bs_cpu_group_dots,
    .group_sum = bs_cpu_group_sum,
    .tangent = bs_cpu_tangent,
    .norm_gradient = bs_cpu_norm_gradient,
    .adam = bs_cpu_adam,
    .project = bs_cpu_project,
};
