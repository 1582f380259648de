/*
 * rows_cpu.c - operations on rows of values, and images to tokens: shared out
 * over the threads in runs of rows.
 */
#include "kernels/cpu.h"

/* Rows of a chunk: enough to outweigh its cost, few enough to balance. */
#define CHUNK_ROWS 16

/* Rows first..end-1 of chunk `chunk`; end <= m. */
static void
chunk_rows(size_t chunk, size_t m, size_t *first, size_t *end)
{
    *first = chunk * CHUNK_ROWS;
    *end = m - *first < CHUNK_ROWS ? m : *first + CHUNK_ROWS;
}

static size_t
chunks_of(size_t m)
{
    return m / CHUNK_ROWS + (m % CHUNK_ROWS != 0);
}

/* ---- layer norm, gates ----------------------------------------------------
 */

struct layer_norm_job {
    const struct bs_isa *isa;
    const struct bs_dev_layer_norm *a;
};

static void
layer_norm_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct layer_norm_job *job = arg;
    const struct bs_dev_layer_norm *a = job->a;
    size_t i, end;

    (void)thread;
    for (chunk_rows(chunk, a->m, &i, &end); i < end; i++)
        job->isa->layer_norm(a->y + i * a->k, a->x + i * a->k, a->k, a->gamma,
                             a->beta, a->eps);
}

int
bs_cpu_layer_norm(struct bs_dev *d, const struct bs_dev_layer_norm *a)
{
    struct bs_cpu *c = (struct bs_cpu *)d;
    struct layer_norm_job job = {c->isa, a};

    bs_pool_run(c->pool, chunks_of(a->m), layer_norm_chunk, &job);
    return 0;
}

struct gate_job {
    const struct bs_dev_gate *a;
    void (*gate)(float *y, const float *first, const float *second, size_t k);
};

static void
gate_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct gate_job *job = arg;
    const struct bs_dev_gate *a = job->a;
    size_t i, end;

    (void)thread;
    for (chunk_rows(chunk, a->m, &i, &end); i < end; i++) {
        const float *row = a->x + i * 2 * a->k;

        job->gate(a->y + i * a->k, row, row + a->k, a->k);
    }
}

int
bs_cpu_swiglu(struct bs_dev *d, const struct bs_dev_gate *a)
{
    struct bs_cpu *c = (struct bs_cpu *)d;
    struct gate_job job = {a, c->isa->swiglu};

    bs_pool_run(c->pool, chunks_of(a->m), gate_chunk, &job);
    return 0;
}

int
bs_cpu_geglu(struct bs_dev *d, const struct bs_dev_gate *a)
{
    struct bs_cpu *c = (struct bs_cpu *)d;
    struct gate_job job = {a, c->isa->geglu};

    bs_pool_run(c->pool, chunks_of(a->m), gate_chunk, &job);
    return 0;
}

/* ---- add -------------------------------------------------------------------
 */

static void
add_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct bs_dev_add *a = arg;
    size_t i, j, end;

    (void)thread;
    for (chunk_rows(chunk, a->m, &i, &end); i < end; i++)
        for (j = 0; j < a->k; j++)
            a->y[i * a->ldy + j] += a->x[i * a->ldx + j];
}

int
bs_cpu_add(struct bs_dev *d, const struct bs_dev_add *a)
{
    struct bs_cpu *c = (struct bs_cpu *)d;
    struct bs_dev_add job = *a;

    bs_pool_run(c->pool, chunks_of(a->m), add_chunk, &job);
    return 0;
}

/* ---- images to tokens ------------------------------------------------------
 */

struct patchify_job {
    const struct bs_dev_patchify *a;
    float value[3][256]; /* what each byte of each channel becomes */
};

/* One chunk is one row of patches of one image. */
static void
patchify_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct patchify_job *job = arg;
    const struct bs_dev_patchify *a = job->a;
    size_t p = a->patch, across = a->width / p;
    const uint8_t *rows = a->rgb + chunk * p * a->width * 3;
    float *y = a->y + chunk * across * 3 * p * p;
    size_t x, c, i, j;

    (void)thread;
    for (x = 0; x < across; x++)
        for (c = 0; c < 3; c++)
            for (i = 0; i < p; i++) {
                const uint8_t *u = rows + (i * a->width + x * p) * 3 + c;

                for (j = 0; j < p; j++)
                    *y++ = job->value[c][u[3 * j]];
            }
}

int
bs_cpu_patchify(struct bs_dev *d, const struct bs_dev_patchify *a)
{
    struct bs_cpu *cpu = (struct bs_cpu *)d;
    struct patchify_job job = {.a = a};
    int c, u;

    for (c = 0; c < 3; c++)
        for (u = 0; u < 256; u++) {
            float unit = (float)u / 255;

            job.value[c][u] = (unit - a->mean[c]) / a->std[c];
        }
    bs_pool_run(cpu->pool, a->batch * (a->height / a->patch), patchify_chunk,
                &job);
    return 0;
}

static void
assemble_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct bs_dev_assemble *a = arg;
    size_t tokens = a->prefix + a->n, i, j, end;

    (void)thread;
    for (chunk_rows(chunk, a->batch * tokens, &i, &end); i < end; i++) {
        size_t image = i / tokens, token = i % tokens;
        float *y = a->y + i * a->k;

        if (token < a->prefix) {
            memcpy(y, a->lead + token * a->k, a->k * sizeof *y);
        } else {
            size_t patch = token - a->prefix;
            const float *x = a->patches + (image * a->n + patch) * a->k;
            const float *pos = a->pos + patch * a->k;

            for (j = 0; j < a->k; j++)
                y[j] = x[j] + pos[j];
        }
    }
}

int
bs_cpu_assemble(struct bs_dev *d, const struct bs_dev_assemble *a)
{
    struct bs_cpu *c = (struct bs_cpu *)d;
    struct bs_dev_assemble job = *a;

    bs_pool_run(c->pool, chunks_of(a->batch * (a->prefix + a->n)),
                assemble_chunk, &job);
    return 0;
}
