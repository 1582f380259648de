/*
 * sae_import_archetypal.c - the dictionary of a relaxed archetypal autoencoder,
 *
 *     dec_w = exp(m) (rownorm(relu W) C + clamp(Relax)),
 *
 * made without W in memory, which at 32,000 concepts is 4 GB: rows of the
 * mapped file are read once, a few at a time.  Products are summed in one
 * order, in f32 over a panel of candidates and in f64 over panels, so that
 * every machine makes the same model.
 */
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>

#include "cmd/models/sae_import_own.h"
#include "common/mem.h"
#include "common/pool.h"

enum { ROWS = 8, PANEL = 64 };

/* What one thread works in. */
struct desk {
    float *weight;      /* [ROWS, PANEL] */
    float *part;        /* [ROWS, width]: the sums of a panel */
    double *sum;        /* [ROWS, width] */
    double total[ROWS]; /* of the weights of each row */
};

struct fusion {
    struct bs_sae *s;
    const struct bs_tensor *w;
    const float *c;
    const float *relax;
    struct desk *desk; /* [threads] */
    unsigned threads;
    atomic_size_t wrong; /* the first row with a value that is not finite */
};

static void
desks_free(struct fusion *f)
{
    unsigned t;

    for (t = 0; f->desk != NULL && t < f->threads; t++) {
        bs_free(f->desk[t].weight);
        bs_free(f->desk[t].part);
        bs_free(f->desk[t].sum);
    }
    bs_free(f->desk);
}

static int
desks_alloc(struct fusion *f, struct bs_err *e)
{
    size_t width = f->s->width;
    unsigned t;

    f->desk = bs_alloc_array(f->threads, sizeof *f->desk);
    for (t = 0; f->desk != NULL && t < f->threads; t++) {
        struct desk *d = &f->desk[t];

        d->weight = bs_alloc_array(ROWS, PANEL * sizeof *d->weight);
        d->part = bs_alloc_array(ROWS, width * sizeof *d->part);
        d->sum = bs_alloc_array(ROWS, width * sizeof *d->sum);
        if (d->weight == NULL || d->part == NULL || d->sum == NULL)
            return bs_err_memory(e, "dictionary", ROWS * width * 12);
    }
    return f->desk != NULL ? 0 : bs_err_memory(e, "dictionary", f->threads);
}

static void
note_wrong(struct fusion *f, size_t row)
{
    size_t seen = atomic_load(&f->wrong);

    while (row < seen && !atomic_compare_exchange_weak(&f->wrong, &seen, row))
        ;
}

/* relu of the row's weights of a panel, and their part in the row's total. */
static void
take_weights(struct fusion *f, struct desk *d, size_t row, size_t r, size_t at,
             size_t n)
{
    float *w = d->weight + r * PANEL;
    size_t i;

    bs_import_values(w, f->w, row * f->s->points + at, n);
    for (i = 0; i < n; i++) {
        if (!(fabsf(w[i]) < INFINITY))
            note_wrong(f, row);
        if (!(w[i] > 0))
            w[i] = 0;
        d->total[r] += (double)w[i];
    }
}

static void
add_scaled(float *restrict y, const float *restrict x, float by, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        y[i] += by * x[i];
}

/* Add n candidates from `at` on to the sums of `rows` rows. */
static void
add_panel(const struct fusion *f, struct desk *d, size_t rows, size_t at,
          size_t n)
{
    size_t width = f->s->width, p, r, i;

    memset(d->part, 0, rows * width * sizeof *d->part);
    for (p = 0; p < n; p++)
        for (r = 0; r < rows; r++)
            if (d->weight[r * PANEL + p] > 0)
                add_scaled(d->part + r * width, f->c + (at + p) * width,
                           d->weight[r * PANEL + p], width);
    for (i = 0; i < rows * width; i++)
        d->sum[i] += (double)d->part[i];
}

/* A row of W as it is projected: no weight negative, their sum 1. */
static void
keep_weights(const struct fusion *f, size_t row, double by)
{
    size_t n = f->s->points, p;
    float *w = f->s->ra_w + row * n;

    bs_import_values(w, f->w, row * n, n);
    for (p = 0; p < n; p++)
        w[p] = (float)(fmax((double)w[p], 0) / by);
}

/* The atoms of the rows. */
static void
write_rows(struct fusion *f, const struct desk *d, size_t row, size_t rows)
{
    const struct bs_sae *s = f->s;
    double scale = exp((double)s->ra_m);
    size_t r, c;

    for (r = 0; r < rows; r++) {
        double by = d->total[r] + 1e-8;
        const float *relax = f->relax + (row + r) * s->width;

        for (c = 0; c < s->width; c++)
            s->dec_w[(row + r) * s->width + c] =
                (float)(scale *
                        (d->sum[r * s->width + c] / by + (double)relax[c]));
        if (s->ra_w != NULL)
            keep_weights(f, row + r, by);
    }
}

static void
fuse_rows(void *arg, size_t chunk, unsigned thread)
{
    struct fusion *f = arg;
    struct desk *d = &f->desk[thread];
    size_t row = chunk * ROWS, points = f->s->points, at, r, rows = ROWS;

    if (rows > f->s->concepts - row)
        rows = f->s->concepts - row;
    memset(d->sum, 0, ROWS * f->s->width * sizeof *d->sum);
    memset(d->total, 0, sizeof d->total);
    for (at = 0; at < points; at += PANEL) {
        size_t n = points - at < PANEL ? points - at : PANEL;

        for (r = 0; r < rows; r++)
            take_weights(f, d, row + r, r, at, n);
        add_panel(f, d, rows, at, n);
    }
    write_rows(f, d, row, rows);
}

/* No row longer than delta. */
static void
clamp_relaxation(const struct bs_sae *s, float *relax)
{
    size_t j, c;

    for (j = 0; j < s->concepts; j++) {
        float *row = relax + j * s->width;
        double sum = 0;

        for (c = 0; c < s->width; c++)
            sum += (double)row[c] * (double)row[c];
        if (sqrt(sum) > (double)s->ra_delta)
            for (c = 0; c < s->width; c++)
                row[c] =
                    (float)((double)row[c] * (double)s->ra_delta / sqrt(sum));
    }
}

static int
fuse(struct fusion *f, const struct bs_import *in, struct bs_err *e)
{
    struct bs_sae *s = f->s;
    struct bs_pool *pool;
    int r = bs_pool_open(&pool, in->options->threads, e);

    if (r < 0)
        return r;
    f->threads = bs_pool_threads(pool);
    atomic_init(&f->wrong, SIZE_MAX);
    r = desks_alloc(f, e);
    if (r == 0)
        bs_pool_run(pool, (s->concepts + ROWS - 1) / ROWS, fuse_rows, f);
    bs_pool_close(pool);
    desks_free(f);
    if (r == 0 && atomic_load(&f->wrong) != SIZE_MAX)
        r = bs_err_set(e, BS_EX_DATA,
                       "tensor '%s': row %zu holds a value that is not finite",
                       f->w->name, atomic_load(&f->wrong));
    return r;
}

/* W, checked but not read. */
static int
find_weights(struct fusion *f, const struct bs_import *in, struct bs_err *e)
{
    const struct bs_sae *s = f->s;

    f->w = bs_import_find(in, "dictionary.W");
    if (f->w == NULL)
        return bs_err_set(e, BS_EX_DATA, "tensor '%sdictionary.W' is missing",
                          in->prefix);
    if (f->w->rank != 2 || f->w->shape[0] != s->concepts ||
        f->w->shape[1] != s->points)
        return bs_err_set(e, BS_EX_DATA, "tensor '%s' is not [%zu, %zu]",
                          f->w->name, s->concepts, s->points);
    return bs_import_floats(f->w, e);
}

static int
find_points(struct bs_sae *s, const struct bs_import *in, struct bs_err *e)
{
    const struct bs_tensor *c = bs_import_find(in, "dictionary.C");

    if (c->rank != 2 || c->shape[0] < 1 || c->shape[0] > (uint64_t)1 << 24 ||
        c->shape[1] != s->width)
        return bs_err_set(e, BS_EX_DATA, "tensor '%s' is not [candidates, %zu]",
                          c->name, s->width);
    s->points = (size_t)c->shape[0];
    return 0;
}

static int
alloc_results(struct bs_sae *s, bool keep, struct bs_err *e)
{
    size_t n;

    s->dec_w = bs_alloc_array(s->concepts, s->width * sizeof *s->dec_w);
    if (keep && bs_mul(s->concepts, s->points, &n))
        s->ra_w = bs_alloc_array(n, sizeof *s->ra_w);
    return s->dec_w != NULL && (!keep || s->ra_w != NULL)
               ? 0
               : bs_err_memory(e, "dictionary", s->concepts * s->width);
}

int
bs_import_archetypal(struct bs_sae *s, const struct bs_import *in,
                     struct bs_err *e)
{
    bool keep = in->options->keep_parts;
    struct fusion f = {.s = s};
    float *c = NULL, *relax = NULL;
    int r = find_points(s, in, e);

    snprintf(s->name, sizeof s->name, "ra-sae");
    if (r == 0)
        r = find_weights(&f, in, e);
    if (r == 0)
        r = bs_import_scalar(&s->ra_m, in, "dictionary.multiplier", e);
    if (r == 0)
        r = bs_import_matrix(&c, in, "dictionary.C", s->points, s->width, false,
                             e);
    if (r == 0)
        r = bs_import_matrix(&relax, in, "dictionary.Relax", s->concepts,
                             s->width, false, e);
    if (r == 0)
        r = alloc_results(s, keep, e);
    if (r == 0) {
        f.c = c;
        f.relax = relax;
        clamp_relaxation(s, relax);
        r = fuse(&f, in, e);
    }
    if (r == 0 && keep) {
        s->ra_c = c;
        s->ra_relax = relax;
        return 0;
    }
    bs_free(c);
    bs_free(relax);
    s->points = 0;
    return r;
}
