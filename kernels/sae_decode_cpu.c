/*
 * sae_decode_cpu.c - from sparse codes back to rows.  A row's codes are added
 * in their order, the bias last, one multiply and one add at a time: the sum
 * is the same on every processor.
 */
#include "kernels/sae_cpu.h"

#define CHUNK_ROWS 16
#define COLS 32 /* columns whose sums stay in registers */

struct decode_job {
    const struct bs_dev_decode *a;
};

/* Columns col..col+cols-1 of a row from `n` codes. */
static inline void
decode_part(const struct bs_dev_decode *a, const uint32_t *idx,
            const float *val, size_t n, size_t col, const size_t cols, float *y)
{
    float sum[COLS] = {0};
    size_t i, j;

    for (i = 0; i < n; i++) {
        const float *atom;

        if (idx[i] == BS_CODE_NONE)
            continue;
        atom = a->dict + (size_t)idx[i] * a->width + col;
        for (j = 0; j < cols; j++)
            sum[j] += val[i] * atom[j];
    }
    for (j = 0; j < cols; j++)
        y[col + j] = a->bias != NULL ? sum[j] + a->bias[col + j] : sum[j];
}

static void
decode_row(const struct bs_dev_decode *a, size_t row)
{
    const struct bs_code_rows *c = a->codes;
    size_t first = c->ptr != NULL ? c->ptr[row] : row * c->top;
    size_t n = c->ptr != NULL ? c->ptr[row + 1] - first : c->top, col;
    float *y = a->y + row * a->width;

    for (col = 0; col + COLS <= a->width; col += COLS)
        decode_part(a, c->idx + first, c->val + first, n, col, COLS, y);
    if (col < a->width)
        decode_part(a, c->idx + first, c->val + first, n, col, a->width - col,
                    y);
}

static void
decode_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct decode_job *job = arg;
    size_t m = job->a->codes->m, i = chunk * CHUNK_ROWS;
    size_t end = m - i < CHUNK_ROWS ? m : i + CHUNK_ROWS;

    (void)thread;
    for (; i < end; i++)
        decode_row(job->a, i);
}

int
bs_cpu_decode(struct bs_dev *d, const struct bs_dev_decode *a)
{
    struct bs_cpu *c = (struct bs_cpu *)d;
    struct decode_job job = {a};
    size_t m = a->codes->m;

    bs_pool_run(c->pool, m / CHUNK_ROWS + (m % CHUNK_ROWS != 0), decode_chunk,
                &job);
    return 0;
}
