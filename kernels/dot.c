/*
 * dot.c - see dot.h.
 */
#include "kernels/dot.h"

#include "common/mem.h"

enum { LANES = 8, BLOCK = 256, TILE = 4 };

typedef double quad __attribute__((vector_size(TILE * sizeof(double))));

double
bs_dot(const float *x, const float *y, size_t n)
{
    double sum[LANES] = {0};
    size_t i, l, half;

    for (i = 0; i + LANES <= n; i += LANES)
        for (l = 0; l < LANES; l++)
            sum[l] += (double)x[i + l] * (double)y[i + l];
    for (l = 0; i + l < n; l++)
        sum[l] += (double)x[i + l] * (double)y[i + l];
    for (half = LANES / 2; half > 0; half /= 2)
        for (l = 0; l < half; l++)
            sum[l] += sum[l + half];
    return sum[0];
}

/* ---- x^T x ----------------------------------------------------------------
 */

/* A block of rows, as columns of four: quad [columns / 4][rows]. */
struct gram {
    double *g;
    size_t k, quads, rows;
    quad *block;
};

/* Four columns' products with four others' over the block. */
static void
add_tile(const struct gram *w, size_t a, size_t b)
{
    const quad *x = w->block + a * w->rows, *y = w->block + b * w->rows;
    quad sum[TILE] = {{0}};
    size_t i, r, c;

    for (i = 0; i < w->rows; i++)
#pragma GCC unroll 4
        for (r = 0; r < TILE; r++)
            sum[r] += x[i][r] * y[i];
    for (r = 0; r < TILE && a * TILE + r < w->k; r++)
        for (c = 0; c < TILE && b * TILE + c < w->k; c++)
            w->g[(a * TILE + r) * w->k + b * TILE + c] += sum[r][c];
}

/* A chunk is four columns, with all from them on. */
static void
add_columns(void *arg, size_t chunk, unsigned thread)
{
    const struct gram *w = arg;
    size_t b;

    (void)thread;
    for (b = chunk; b < w->quads; b++)
        add_tile(w, chunk, b);
}

static void
take_block(struct gram *w, const float *x, size_t rows)
{
    size_t i, c;

    w->rows = rows;
    for (i = 0; i < rows; i++)
        for (c = 0; c < w->k; c++)
            w->block[c / TILE * rows + i][c % TILE] = (double)x[i * w->k + c];
}

int
bs_dot_columns(double *g, const float *x, size_t n, size_t k,
               struct bs_pool *pool, struct bs_err *e)
{
    struct gram w = {.g = g, .k = k, .quads = k / TILE + (k % TILE != 0)};
    size_t i, j;

    w.block = bs_alloc_array(w.quads, BLOCK * sizeof *w.block);
    if (w.block == NULL)
        return bs_err_memory(e, "products", w.quads * BLOCK * sizeof(quad));
    for (i = 0; i < k * k; i++)
        g[i] = 0;
    for (i = 0; i < n; i += BLOCK) {
        take_block(&w, x + i * k, n - i < BLOCK ? n - i : BLOCK);
        bs_pool_run(pool, w.quads, add_columns, &w);
    }
    for (i = 0; i < k; i++)
        for (j = 0; j < i; j++)
            g[i * k + j] = g[j * k + i];
    bs_free(w.block);
    return 0;
}
