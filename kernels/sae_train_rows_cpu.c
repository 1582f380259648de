/*
 * sae_train_rows_cpu.c - what a training step does to rows, one by one.
 */
#include "kernels/sae_cpu.h"
#include "kernels/sae_train_own.h"

#define CHUNK_ROWS 16

static void
run_rows(struct bs_dev *d, size_t n, bs_pool_fn *fn, void *job)
{
    bs_pool_run(((struct bs_cpu *)d)->pool,
                n / CHUNK_ROWS + (n % CHUNK_ROWS != 0), fn, job);
}

static size_t
end_of(size_t chunk, size_t n)
{
    size_t i = chunk * CHUNK_ROWS;

    return n - i < CHUNK_ROWS ? n : i + CHUNK_ROWS;
}

/* ---- copies ----------------------------------------------------------------
 */

struct copy_job {
    const float *from;
    const uint32_t *from_row;
    float *to;
    const uint32_t *to_row;
    size_t n, cols;
    float scale;
};

static void
copy_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct copy_job *job = arg;
    size_t i, c;

    (void)thread;
    for (i = chunk * CHUNK_ROWS; i < end_of(chunk, job->n); i++) {
        size_t from = job->from_row != NULL ? job->from_row[i] : i;
        size_t to = job->to_row != NULL ? job->to_row[i] : i;
        const float *x = job->from + from * job->cols;
        float *y = job->to + to * job->cols;

        for (c = 0; c < job->cols; c++)
            y[c] = job->scale * x[c];
    }
}

int
bs_cpu_copy_rows(struct bs_dev *d, const float *from, const uint32_t *from_row,
                 float *to, const uint32_t *to_row, size_t n, size_t cols,
                 float scale)
{
    struct copy_job job = {from, from_row, to, to_row, n, cols, scale};

    run_rows(d, n, copy_chunk, &job);
    return 0;
}

/* ---- unit rows -------------------------------------------------------------
 */

struct tangent_job {
    float *grad;
    const float *table;
    const uint32_t *row;
    size_t n, width;
};

static void
tangent_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct tangent_job *job = arg;
    size_t i, c;

    (void)thread;
    for (i = chunk * CHUNK_ROWS; i < end_of(chunk, job->n); i++) {
        float *grad = job->grad + i * job->width;
        const float *atom = job->table + job->row[i] * job->width;
        float along = bs_cpu_dot(grad, atom, job->width);

        for (c = 0; c < job->width; c++)
            grad[c] -= along * atom[c];
    }
}

int
bs_cpu_tangent(struct bs_dev *d, float *grad, const float *table,
               const uint32_t *row, size_t n, size_t width)
{
    struct tangent_job job = {grad, table, row, n, width};

    run_rows(d, n, tangent_chunk, &job);
    return 0;
}

/* ---- layer norm ------------------------------------------------------------
 */

struct norm_job {
    float *grad;
    const struct bs_norm_gradient *a;
};

static void
norm_row(const struct norm_job *job, size_t j)
{
    const struct bs_norm_gradient *a = job->a;
    float *grad = job->grad + j * a->width;
    float bias = a->bias != NULL ? a->bias[j] : 0;
    float weight = a->weight != NULL ? a->weight[j] : 0;
    size_t c;

    for (c = 0; c < a->width; c++)
        grad[c] = -(grad[c] + bias * a->along[c] + a->rest[c]);
    if (a->slot[j] != BS_CODE_NONE) {
        const float *part = (const float *)a->sparse->p + a->slot[j] * a->width;

        for (c = 0; c < a->width; c++)
            grad[c] += part[c];
    } else if (a->common != NULL) {
        for (c = 0; c < a->width; c++)
            grad[c] += weight * a->common[c];
    }
}

static void
norm_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct norm_job *job = arg;
    size_t j;

    (void)thread;
    for (j = chunk * CHUNK_ROWS; j < end_of(chunk, job->a->concepts); j++)
        norm_row(job, j);
}

int
bs_cpu_norm_gradient(struct bs_dev *d, float *grad,
                     const struct bs_norm_gradient *a)
{
    struct norm_job job = {grad, a};

    run_rows(d, a->concepts, norm_chunk, &job);
    return 0;
}
