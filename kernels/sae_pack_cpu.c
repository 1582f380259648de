/*
 * sae_pack_cpu.c - an encoder's weights, as they came and packed to be
 * screened.
 */
#include "kernels/sae_cpu.h"

#include "common/mem.h"

#include <math.h>

/* ---- whole numbers ---------------------------------------------------------
 */

float
bs_float_up(double value)
{
    float f = (float)value;

    return (double)f < value ? nextafterf(f, INFINITY) : f;
}

float
bs_float_down(double value)
{
    return -bs_float_up(-value);
}

/* Squares in double: neither overflow nor underflow, and a rounding error that
 * UP outweighs. */
#define UP (1 + 1e-7)

static double
length(const float *x, size_t k, float *most)
{
    double sum = 0;
    size_t i;

    *most = 0;
    for (i = 0; i < k; i++) {
        float size = fabsf(x[i]);

        *most = size > *most ? size : *most;
        sum += (double)x[i] * (double)x[i];
    }
    return sqrt(sum) * UP;
}

/* Two vectors of at most this length have no product past 2^31. */
#define LONGEST 46340.0

#define MOST_COLUMNS ((size_t)1 << 28)

/* Below this, and above its inverse, a vector is all rest. */
#define SHORTEST 0x1p-80

void
bs_cpu_round(struct bs_whole *out, int16_t *q, const float *x, size_t k)
{
    float most, scale, factor;
    double held = 0, rest = 0;
    size_t i;

    *out = (struct bs_whole){.norm = length(x, k, &most)};
    out->rest = out->norm;
    if (q == NULL)
        return;
    memset(q, 0, k * sizeof *q);
    if (out->norm < SHORTEST || out->norm > 1 / SHORTEST || k > MOST_COLUMNS)
        return;
    /* Rounding each number adds half the root of k to the length. */
    scale = (float)fmax((double)most / INT16_MAX,
                        out->norm / (LONGEST - sqrt((double)k)));
    factor = 1 / scale;
    for (i = 0; i < k; i++) {
        float v = x[i] * factor;
        int whole = (int)(v + copysignf(0.5f, v));
        double left = (double)x[i] - (double)scale * whole;

        q[i] = (int16_t)whole;
        held += (double)whole * whole;
        rest += left * left;
    }
    out->scale = (double)scale;
    out->held = (double)scale * sqrt(held) * UP;
    out->rest = sqrt(rest) * UP;
}

/* ---- packing ---------------------------------------------------------------
 */

static void
pack_whole(int16_t *out, const int16_t *q, size_t depth, size_t nr)
{
    size_t i, j;

    for (i = 0; i < depth; i++)
        for (j = 0; j < nr; j++)
            out[(i / 2 * nr + j) * 2 + i % 2] = q[j * depth + i];
}

/* Where rows come from: w [.., width], others [..] or NULL. */
struct source {
    const float *w, *bias, *gain, *shift;
    size_t width;
    const uint32_t *rows; /* NULL: 0.. */
};

struct pack_job {
    struct bs_cpu *c;
    struct cpu_encoder *e;
    const struct source *from;
};

/* Row j of the encoder as it is multiplied; see sae_train_ops.h. */
static void
bring_row(struct cpu_encoder *e, const struct source *from, size_t j)
{
    size_t row = from->rows != NULL ? from->rows[j] : j, c;
    const float *w = from->w + row * from->width;
    float *to = e->w + j * e->head.k;
    float gain = from->gain != NULL ? from->gain[row] : 1;
    float bias = from->bias != NULL ? from->bias[row] : 0;

    for (c = 0; c < from->width; c++)
        to[c] = gain * w[c];
    e->bias[j] = from->gain != NULL ? 0 : bias;
    if (from->gain == NULL)
        return;
    to[c++] = gain * bias;
    to[c++] = gain;
    to[c] = from->shift[row];
}

/* One chunk is one panel.  Scratch: its atoms in whole numbers. */
static void
pack_panel(void *arg, size_t panel, unsigned thread)
{
    const struct pack_job *job = arg;
    struct cpu_encoder *e = job->e;
    size_t nr = job->c->isa->nr, k = e->head.k, first = panel * nr, j;
    size_t cols = e->head.n - first < nr ? e->head.n - first : nr;
    int16_t *q = e->whole ? job->c->scratch[thread] : NULL;

    for (j = 0; j < cols; j++)
        bring_row(e, job->from, first + j);
    if (e->whole)
        memset(q, 0, nr * e->depth * sizeof *q);
    else
        job->c->isa->pack((float *)e->packed + panel * nr * k, e->w + first * k,
                          k, cols, k);
    for (j = 0; j < nr; j++) {
        double bias = j < cols ? (double)e->bias[first + j] : 0;
        struct bs_whole size = {0};

        if (j < cols)
            bs_cpu_round(&size, e->whole ? q + j * e->depth : NULL,
                         e->w + (first + j) * k, k);
        e->scale[first + j] = e->whole ? (float)size.scale : 1;
        e->norm[first + j] = bs_float_up(size.norm);
        e->rest[first + j] = e->whole ? bs_float_up(size.rest) : 0;
        /* Some units in the last place more, for the sums it enters. */
        e->bound[first + j] =
            j < cols ? bs_float_up(bias + fabs(bias) * 0x1p-20) : -INFINITY;
    }
    if (e->whole)
        pack_whole((int16_t *)e->packed + panel * nr * e->depth, q, e->depth,
                   nr);
}

int
bs_cpu_check_finite(struct bs_err *err, const char *op, const float *x,
                    size_t ldx, size_t rows, size_t k)
{
    size_t i;

    for (i = 0; i < rows; i++)
        if (!bs_finite(x + i * ldx, k))
            return bs_err_set(err, BS_EX_DATA,
                              "%s: row %zu has a value that is not finite", op,
                              i);
    return 0;
}

/* Room for n rows. */
static int
alloc_encoder(struct bs_cpu *c, struct cpu_encoder *e, size_t n)
{
    size_t nr = c->isa->nr, size, columns;

    e->room = n;
    e->depth = e->whole ? e->head.k + e->head.k % 2 : e->head.k;
    columns = BS_ROUND_UP(n, nr);
    if (!bs_mul(columns, e->depth, &size) ||
        !bs_mul(size, e->whole ? sizeof(int16_t) : sizeof(float), &size))
        return bs_err_memory(&c->dev.err, "encoder", SIZE_MAX);
    e->packed = bs_cpu_alloc_large(size);
    e->w = bs_cpu_alloc_large(n * e->head.k * sizeof *e->w);
    e->bias = bs_alloc_array(n, sizeof *e->bias);
    e->scale = bs_alloc_array(columns, sizeof *e->scale);
    e->norm = bs_alloc_array(columns, sizeof *e->norm);
    e->rest = bs_alloc_array(columns, sizeof *e->rest);
    e->bound = bs_alloc_array(columns, sizeof *e->bound);
    if (e->packed == NULL || e->w == NULL || e->bias == NULL ||
        e->scale == NULL || e->norm == NULL || e->rest == NULL ||
        e->bound == NULL)
        return bs_err_memory(&c->dev.err, "encoder", size);
    return 0;
}

static int
new_encoder(struct bs_cpu *c, struct bs_encoder **out, size_t n, size_t k,
            enum bs_screen screen)
{
    struct cpu_encoder *e = bs_alloc_array(1, sizeof *e);
    int r;

    if (e == NULL)
        return bs_err_memory(&c->dev.err, "encoder", sizeof *e);
    e->head.k = k;
    e->whole = screen == BS_SCREEN_LOW ||
               (screen == BS_SCREEN_AUTO && c->isa->whole_pays);
    r = alloc_encoder(c, e, n);
    if (r < 0)
        bs_cpu_encoder_free(&c->dev, &e->head);
    else
        *out = &e->head;
    return r;
}

/* A length is finite where all values are, or they are very large. */
static int
check_lengths(struct bs_cpu *c, const struct cpu_encoder *e,
              const struct source *from)
{
    size_t i;

    for (i = 0; i < e->head.n; i++)
        if (!(e->norm[i] < INFINITY && fabsf(e->bias[i]) < INFINITY) &&
            (!bs_finite(e->w + i * e->head.k, e->head.k) ||
             !bs_finite(e->bias + i, 1)))
            return bs_err_set(&c->dev.err, BS_EX_DATA,
                              "encoder: row %zu has a value that is not finite",
                              from->rows != NULL ? (size_t)from->rows[i] : i);
    return 0;
}

static int
fill_encoder(struct bs_cpu *c, struct cpu_encoder *e, const struct source *from,
             size_t n)
{
    struct pack_job job = {c, e, from};
    size_t nr = c->isa->nr, i;
    int r = bs_cpu_scratch(c, nr * e->depth * sizeof(int16_t));

    if (r < 0)
        return r;
    e->head.n = n;
    e->panels = n / nr + (n % nr != 0);
    bs_pool_run(c->pool, e->panels, pack_panel, &job);
    r = check_lengths(c, e, from);
    e->most_norm = e->most_bias = 0;
    for (i = 0; i < n; i++) {
        e->most_norm = fmax(e->most_norm, (double)e->norm[i]);
        e->most_bias = fmax(e->most_bias, fabs((double)e->bias[i]));
    }
    return r;
}

int
bs_cpu_encoder(struct bs_dev *d, struct bs_encoder **out, const float *w,
               const float *bias, size_t n, size_t k, enum bs_screen screen)
{
    const struct source from = {.w = w, .bias = bias, .width = k};
    struct bs_cpu *c = (struct bs_cpu *)d;
    struct bs_encoder *e;
    int r = new_encoder(c, &e, n, k, screen);

    if (r < 0)
        return r;
    r = fill_encoder(c, (struct cpu_encoder *)e, &from, n);
    if (r < 0)
        bs_cpu_encoder_free(d, e);
    else
        *out = e;
    return r;
}

int
bs_cpu_encoder_reserve(struct bs_dev *d, struct bs_encoder **out, size_t n,
                       size_t k, enum bs_screen screen)
{
    return new_encoder((struct bs_cpu *)d, out, n, k, screen);
}

int
bs_cpu_encoder_fill(struct bs_dev *d, struct bs_encoder *enc,
                    const struct bs_encoder_rows *rows)
{
    const struct source from = {
        .w = rows->w->p,
        .bias = rows->bias != NULL ? rows->bias->p : NULL,
        .gain = rows->gain != NULL ? rows->gain->p : NULL,
        .shift = rows->shift != NULL ? rows->shift->p : NULL,
        .width = rows->width,
        .rows = rows->rows,
    };
    struct cpu_encoder *e = (struct cpu_encoder *)enc;

    if (rows->n > e->room)
        return bs_err_set(&d->err, BS_EX_SOFTWARE,
                          "encoder: %zu rows in room for %zu", rows->n,
                          e->room);
    return fill_encoder((struct bs_cpu *)d, e, &from, rows->n);
}

void
bs_cpu_encoder_free(struct bs_dev *d, struct bs_encoder *encoder)
{
    struct cpu_encoder *e = (struct cpu_encoder *)encoder;

    (void)d;
    bs_free(e->w);
    bs_free(e->bias);
    bs_free(e->packed);
    bs_free(e->scale);
    bs_free(e->norm);
    bs_free(e->rest);
    bs_free(e->bound);
    bs_free(e);
}
