/*
 * sae_encoder_cuda.c - an encoder's weights on the CUDA device, as they are
 * defined and as they are screened: sae_encode.cu.  Both are made there, also
 * from weights that come from the host.
 */
#include "kernels/sae_encode_cuda.h"

#include "common/mem.h"
#include "kernels/sae_cpu.h"
#include "kernels/sae_train_cuda.h"

#include <math.h>

/* ---- room ------------------------------------------------------------------
 */

/* What gemm multiplies by, to be filled by a kernel: rows of a depth. */
static int
alloc_screen(struct bs_dev *d, struct cuda_encoder *e, size_t n, size_t k)
{
    struct cuda_weight *w = bs_alloc_array(1, sizeof *w);
    size_t bytes;

    if (w == NULL)
        return bs_err_memory(&d->err, "encoder", sizeof *w);
    e->screen = &w->head;
    w->head.n = n;
    w->head.k = k;
    w->type = e->exact ? BS_DTYPE_F32 : BS_DTYPE_BF16;
    if (!bs_add(k, BS_GEMM_DEPTH, &w->depth) ||
        !bs_mul(w->depth, sizeof(float), &bytes) || !bs_mul(bytes, n, &bytes))
        return bs_err_memory(&d->err, "encoder", SIZE_MAX);
    w->depth = BS_ROUND_UP(k, BS_GEMM_DEPTH);
    return bs_cuda_alloc(d, &w->at, n * w->depth * bs_dtype_size(w->type));
}

int
bs_cuda_encoder_reserve(struct bs_dev *d, struct bs_encoder **out, size_t n,
                        size_t k, enum bs_screen screen)
{
    struct cuda_encoder *e = bs_alloc_array(1, sizeof *e);
    int r;

    if (e == NULL)
        return bs_err_memory(&d->err, "encoder", sizeof *e);
    e->head.k = k;
    e->room = n;
    e->exact = screen == BS_SCREEN_NONE;
    e->host_bias = bs_alloc_array(n, sizeof *e->host_bias);
    e->host_size = bs_alloc_array(n, sizeof *e->host_size);
    r = e->host_bias == NULL || e->host_size == NULL
            ? bs_err_memory(&d->err, "encoder", n * sizeof *e->host_size)
            : alloc_screen(d, e, n, k);
    if (r == 0)
        r = bs_cuda_alloc(d, &e->w, n * k * sizeof(float));
    if (r == 0)
        r = bs_cuda_alloc(d, &e->bias, n * sizeof(float));
    if (r == 0)
        r = bs_cuda_alloc(d, &e->size, n * sizeof(struct bs_sae_size));
    if (r < 0)
        bs_cuda_encoder_free(d, &e->head);
    else
        *out = &e->head;
    return r;
}

void
bs_cuda_encoder_free(struct bs_dev *d, struct bs_encoder *encoder)
{
    struct cuda_encoder *e = (struct cuda_encoder *)encoder;

    if (e->screen != NULL)
        bs_cuda_weight_free(d, e->screen);
    bs_cuda_free(d, &e->w);
    bs_cuda_free(d, &e->bias);
    bs_cuda_free(d, &e->size);
    bs_free(e->host_bias);
    bs_free(e->host_size);
    bs_free(e);
}

/* ---- filling ---------------------------------------------------------------
 */

int
bs_cuda_measure(struct bs_cuda *c, const float *x, size_t ldx, size_t m,
                size_t k, struct bs_sae_size *size, uint32_t *bad)
{
    const struct bs_sae_measure_args args = {x, ldx, m, k, size, bad};
    const struct bs_grid grid = {bs_blocks(m, BS_ROW_WARPS), 1, BS_ROW_THREADS,
                                 0};
    int r = bs_cuda_fill(c, bad, 0xff, sizeof *bad);

    return r < 0 || m == 0 ? r : BS_LAUNCH(c, sae_measure, grid, args);
}

/* Lengths and biases to the host, and the largest of them; *bad: the first row
 * that is not finite, or 2^32 - 1. */
static int
measure_atoms(struct bs_cuda *c, struct cuda_encoder *e, uint32_t *bad)
{
    struct bs_dev *d = &c->dev;
    size_t n = e->head.n, i;
    uint32_t *flags;
    int r = bs_cuda_scratch(c, BS_SCRATCH_FLAGS, &flags, 2 * sizeof *flags);

    if (r == 0)
        r = bs_cuda_measure(c, e->w.p, e->head.k, n, e->head.k, e->size.p,
                            flags);
    if (r == 0)
        r = bs_cuda_get(d, e->host_size, e->size.p, n * sizeof *e->host_size);
    if (r == 0)
        r = bs_cuda_get(d, e->host_bias, e->bias.p, n * sizeof *e->host_bias);
    if (r == 0)
        r = bs_cuda_get(d, bad, flags, sizeof *bad);
    e->most_norm = e->most_rest = e->most_bias = 0;
    for (i = 0; r == 0 && i < n; i++) {
        e->most_norm = fmaxf(e->most_norm, e->host_size[i].norm);
        e->most_rest = fmaxf(e->most_rest, e->host_size[i].rest);
        e->most_bias = fmaxf(e->most_bias, fabsf(e->host_bias[i]));
        if (!isfinite(e->host_bias[i]) && i < *bad)
            *bad = (uint32_t)i;
    }
    return r;
}

/* Make n rows; what they are made from may be the encoder's own w and bias. */
static int
fill_rows(struct bs_dev *d, struct cuda_encoder *e, struct bs_sae_fill_args *a,
          size_t n)
{
    const struct cuda_weight *screen = (const struct cuda_weight *)e->screen;
    struct bs_grid grid;

    e->head.n = e->screen->n = n;
    a->w = e->w.p;
    a->bias = e->bias.p;
    a->k = e->head.k;
    a->depth = screen->depth;
    a->screen = screen->at.p;
    a->exact = e->exact;
    /* A row of no columns has a bias. */
    grid = bs_cuda_each(n, a->depth > 0 ? a->depth : 1, &a->row_blocks);
    return n == 0 ? 0 : BS_LAUNCH((struct bs_cuda *)d, sae_fill, grid, *a);
}

static void *
pointer(const struct bs_mem *m)
{
    return m != NULL ? m->p : NULL;
}

int
bs_cuda_encoder_fill(struct bs_dev *d, struct bs_encoder *enc,
                     const struct bs_encoder_rows *from)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    struct cuda_encoder *e = (struct cuda_encoder *)enc;
    struct bs_sae_fill_args args = {.from = from->w->p,
                                    .from_bias = pointer(from->bias),
                                    .gain = pointer(from->gain),
                                    .shift = pointer(from->shift),
                                    .width = from->width};
    uint32_t bad;
    int r;

    if (from->n > e->room)
        return bs_err_set(&d->err, BS_EX_SOFTWARE,
                          "encoder: %zu rows in room for %zu", from->n,
                          e->room);
    r = bs_cuda_words(c, BS_SCRATCH_LIST, &args.rows, from->rows, from->n);
    if (r == 0)
        r = fill_rows(d, e, &args, from->n);
    if (r == 0)
        r = measure_atoms(c, e, &bad);
    if (r == 0 && bad != UINT32_MAX)
        r = bs_err_set(&d->err, BS_EX_DATA,
                       "encoder: row %zu has a value that is not finite",
                       from->rows != NULL ? (size_t)from->rows[bad]
                                          : (size_t)bad);
    return r;
}

/* ---- from the host ---------------------------------------------------------
 */

static int
put_rows(struct bs_dev *d, struct cuda_encoder *e, const float *w,
         const float *bias, size_t n)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    struct bs_sae_fill_args args = {.from = e->w.p, .width = e->head.k};
    uint32_t bad;
    int r = bs_cuda_put(d, e->w.p, w, n * e->head.k * sizeof *w);

    if (bias != NULL) {
        args.from_bias = e->bias.p;
        if (r == 0)
            r = bs_cuda_put(d, e->bias.p, bias, n * sizeof *bias);
    }
    if (r == 0)
        r = fill_rows(d, e, &args, n);
    return r < 0 ? r : measure_atoms(c, e, &bad); /* all is finite */
}

int
bs_cuda_encoder(struct bs_dev *d, struct bs_encoder **out, const float *w,
                const float *bias, size_t n, size_t k, enum bs_screen screen)
{
    struct bs_encoder *e = NULL;
    int r = bs_cpu_check_finite(&d->err, "encoder", w, k, n, k);

    if (r == 0 && bias != NULL)
        r = bs_cpu_check_finite(&d->err, "encoder: bias", bias, 1, n, 1);
    if (r == 0)
        r = bs_cuda_encoder_reserve(d, &e, n, k, screen);
    if (r < 0)
        return r;
    r = put_rows(d, (struct cuda_encoder *)e, w, bias, n);
    if (r < 0)
        bs_cuda_encoder_free(d, e);
    else
        *out = e;
    return r;
}
