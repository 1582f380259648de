/*
 * sae_train_sums_cpu.c - sums over all rows of a matrix: of the rows, and of
 * their products with themselves.
 */
#include "kernels/cpu.h"
#include "kernels/sae_train_own.h"

#include "common/mem.h"

/* ---- rows ------------------------------------------------------------------
 */

#define SUM_COLS 32

struct row_sum_job {
    const float *x, *coef;
    size_t rows, cols;
    double *out;
};

static void
row_sum_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct row_sum_job *job = arg;
    size_t first = chunk * SUM_COLS, r, c;
    size_t n = job->cols - first < SUM_COLS ? job->cols - first : SUM_COLS;
    double sum[SUM_COLS] = {0};

    (void)thread;
    for (r = 0; r < job->rows; r++) {
        const float *x = job->x + r * job->cols + first;
        double coef = job->coef != NULL ? (double)job->coef[r] : 1;

        if (coef == 0)
            continue;
        for (c = 0; c < n; c++)
            sum[c] += coef * (double)x[c];
    }
    for (c = 0; c < n; c++)
        job->out[first + c] = sum[c];
}

int
bs_cpu_row_sum(struct bs_dev *d, const float *x, size_t rows, size_t cols,
               const float *coef, double *out)
{
    struct row_sum_job job = {x, coef, rows, cols, out};

    bs_pool_run(((struct bs_cpu *)d)->pool,
                cols / SUM_COLS + (cols % SUM_COLS != 0), row_sum_chunk, &job);
    return 0;
}

/* ---- products --------------------------------------------------------------
 */

#define RUN 128   /* rows whose products are summed in f32 */
#define PART 1024 /* rows that are turned at a time */
#define TURN 32   /* columns of a chunk of that */

struct gram_job {
    struct bs_cpu *c;
    const float *x, *coef, *mean;
    size_t rows, cols;
    float *turned; /* [cols, PART] of the part: coef (x - mean) */
    size_t first, n;
    double *out;
};

static inline float
off_mean(const struct gram_job *job, const float *x, size_t col)
{
    return job->mean != NULL ? x[col] - job->mean[col] : x[col];
}

static void
turn_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct gram_job *job = arg;
    size_t col = chunk * TURN, c, r;
    size_t end = job->cols - col < TURN ? job->cols : col + TURN;

    (void)thread;
    for (r = 0; r < job->n; r++) {
        const float *x = job->x + (job->first + r) * job->cols;
        float coef = job->coef != NULL ? job->coef[job->first + r] : 1;

        for (c = col; c < end; c++)
            job->turned[c * PART + r] = coef * off_mean(job, x, c);
    }
}

/* Add the products of a run of rows: all columns up to the panel's last, by
 * those of the panel. */
static void
add_run(const struct gram_job *job, size_t panel, size_t r, float *b, float *c)
{
    const struct bs_isa *isa = job->c->isa;
    size_t nr = isa->nr, col = panel * nr, i, j;
    size_t n = job->n - r < RUN ? job->n - r : RUN;
    size_t cols = job->cols - col < nr ? job->cols - col : nr;

    for (i = 0; i < n; i++) {
        const float *x = job->x + (job->first + r + i) * job->cols;

        for (j = 0; j < nr; j++)
            b[i * nr + j] = j < cols ? off_mean(job, x, col + j) : 0;
    }
    isa->gemm(job->turned + r, PART, b, n, c, col + cols, true, b);
    for (i = 0; i < col + cols; i++)
        for (j = 0; j < cols; j++)
            job->out[i * job->cols + col + j] += (double)c[i * nr + j];
}

static void
gram_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct gram_job *job = arg;
    size_t nr = job->c->isa->nr, r;
    /* The widest first: they are the longest. */
    size_t panels = job->cols / nr + (job->cols % nr != 0);
    float *b = job->c->scratch[thread];

    for (r = 0; r < job->n; r += RUN)
        add_run(job, panels - 1 - chunk, r, b, b + RUN * nr);
}

int
bs_cpu_gram(struct bs_dev *d, const float *x, size_t rows, size_t cols,
            const float *coef, const float *mean, double *out)
{
    struct bs_cpu *c = (struct bs_cpu *)d;
    size_t nr = c->isa->nr, i, j;
    struct gram_job job = {c, x, coef, mean, rows, cols, NULL, 0, 0, out};
    int r = bs_cpu_scratch(c, (RUN + cols + nr) * nr * sizeof(float));

    if (r < 0)
        return r;
    job.turned = bs_alloc_array(cols, PART * sizeof *job.turned);
    if (job.turned == NULL)
        return bs_err_memory(&d->err, "gram", cols * PART * sizeof(float));
    for (i = 0; i < cols * cols; i++)
        out[i] = 0;
    for (; job.first < rows; job.first += PART) {
        job.n = rows - job.first < PART ? rows - job.first : PART;
        bs_pool_run(c->pool, cols / TURN + (cols % TURN != 0), turn_chunk,
                    &job);
        bs_pool_run(c->pool, cols / nr + (cols % nr != 0), gram_chunk, &job);
    }
    for (i = 0; i < cols; i++)
        for (j = 0; j < i; j++)
            out[i * cols + j] = out[j * cols + i];
    bs_free(job.turned);
    return 0;
}
