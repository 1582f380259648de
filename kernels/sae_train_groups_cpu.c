/*
 * sae_train_groups_cpu.c - codes by atom.  An atom's codes are summed by one
 * thread in the order of the tokens: no atomics, one order.
 */
#include "kernels/sae_cpu.h"
#include "kernels/sae_groups.h"
#include "kernels/sae_train_own.h"

#include "common/mem.h"

#define CHUNK_ATOMS 4

/* ---- grouping --------------------------------------------------------------
 */

int
bs_cpu_group(struct bs_dev *d, struct bs_groups **out,
             const struct bs_code_rows *codes, size_t concepts)
{
    struct bs_group_sort *g = (struct bs_group_sort *)*out;

    if (g == NULL) {
        g = bs_alloc_array(1, sizeof *g);
        if (g == NULL)
            return bs_err_memory(&d->err, "codes", sizeof *g);
        *out = &g->head;
    }
    return bs_group_codes(g, codes, concepts, &d->err);
}

void
bs_cpu_groups_free(struct bs_dev *d, struct bs_groups *groups)
{
    struct bs_group_sort *g = (struct bs_group_sort *)groups;

    (void)d;
    bs_group_release(g);
    bs_free(g);
}

/* ---- products and sums -----------------------------------------------------
 */

struct groups_job {
    const struct bs_group_sort *g;
    const float *x, *table, *coef;
    size_t width;
    float scale;
    float *out, *total;
};

static void
dots_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct groups_job *job = arg;
    const struct bs_group_sort *g = job->g;
    size_t i = chunk * CHUNK_ATOMS, j;
    size_t end = g->head.n - i < CHUNK_ATOMS ? g->head.n : i + CHUNK_ATOMS;

    (void)thread;
    for (; i < end; i++) {
        const float *row = job->table + g->head.atom[i] * job->width;

        for (j = g->start[i]; j < g->start[i + 1]; j++)
            job->out[g->place[j]] =
                job->scale *
                bs_cpu_dot(job->x + g->token[j] * job->width, row, job->width);
    }
}

int
bs_cpu_group_dots(struct bs_dev *d, const struct bs_groups *groups,
                  const float *x, const float *table, size_t width, float scale,
                  float *out)
{
    const struct bs_group_sort *g = (const struct bs_group_sort *)groups;
    struct groups_job job = {.g = g,
                             .x = x,
                             .table = table,
                             .width = width,
                             .scale = scale,
                             .out = out};

    if (g->start[g->head.n] < g->head.places)
        memset(out, 0, g->head.places * sizeof *out);
    bs_pool_run(((struct bs_cpu *)d)->pool,
                g->head.n / CHUNK_ATOMS + (g->head.n % CHUNK_ATOMS != 0),
                dots_chunk, &job);
    return 0;
}

#define COLS 32      /* columns whose sums stay in registers */
#define RUN_CODES 64 /* that are summed before they are added to the rest */

/* Columns col..col+cols-1 of an atom's sum over codes j..end-1. */
static inline void
sum_part(const struct groups_job *job, size_t j, size_t end, size_t col,
         const size_t cols, float *out)
{
    const struct bs_group_sort *g = job->g;
    float total[COLS] = {0};
    size_t c;

    while (j < end) {
        size_t stop = end - j < RUN_CODES ? end : j + RUN_CODES;
        float sum[COLS] = {0};

        for (; j < stop; j++) {
            const float *x = job->x + g->token[j] * job->width + col;
            float coef = job->coef[g->place[j]];

            for (c = 0; c < cols; c++)
                sum[c] += coef * x[c];
        }
        for (c = 0; c < cols; c++)
            total[c] += sum[c];
    }
    for (c = 0; c < cols; c++)
        out[col + c] = job->scale * total[c];
}

static float
sum_coefs(const struct groups_job *job, size_t j, size_t end)
{
    const struct bs_group_sort *g = job->g;
    float total = 0;

    while (j < end) {
        size_t stop = end - j < RUN_CODES ? end : j + RUN_CODES;
        float sum = 0;

        for (; j < stop; j++)
            sum += job->coef[g->place[j]];
        total += sum;
    }
    return job->scale * total;
}

static void
sum_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct groups_job *job = arg;
    const struct bs_group_sort *g = job->g;
    size_t i = chunk * CHUNK_ATOMS, col;
    size_t end = g->head.n - i < CHUNK_ATOMS ? g->head.n : i + CHUNK_ATOMS;

    (void)thread;
    for (; i < end; i++) {
        float *out = job->out + i * job->width;
        size_t j = g->start[i], stop = g->start[i + 1];

        for (col = 0; col + COLS <= job->width; col += COLS)
            sum_part(job, j, stop, col, COLS, out);
        if (col < job->width)
            sum_part(job, j, stop, col, job->width - col, out);
        if (job->total != NULL)
            job->total[i] = sum_coefs(job, j, stop);
    }
}

int
bs_cpu_group_sum(struct bs_dev *d, const struct bs_groups *groups,
                 const float *coef, const float *x, size_t width, float scale,
                 float *out, float *total)
{
    const struct bs_group_sort *g = (const struct bs_group_sort *)groups;
    struct groups_job job = {.g = g,
                             .x = x,
                             .coef = coef,
                             .width = width,
                             .scale = scale,
                             .out = out,
                             .total = total};

    bs_pool_run(((struct bs_cpu *)d)->pool,
                g->head.n / CHUNK_ATOMS + (g->head.n % CHUNK_ATOMS != 0),
                sum_chunk, &job);
    return 0;
}
