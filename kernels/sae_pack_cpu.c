/*
 * sae_pack_cpu.c - an encoder's weights, as they came and packed to be
 * screened.
 */
#include "kernels/sae_cpu.h"

#include "common/mem.h"

#include <math.h>

/* No sum of products of whole numbers that small passes 2^31. */
#define MOST_SMALL_COLUMNS ((size_t)1 << 18)

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

/* What a token's BS_SMALL_ZERO adds is where the sums start. */
static void
pack_bytes(char *out, const int16_t *q, size_t depth, size_t nr)
{
    int8_t *bytes = (int8_t *)out + nr * sizeof(int32_t);
    size_t i, j;

    for (j = 0; j < nr; j++) {
        int32_t sum = 0;

        for (i = 0; i < depth; i++) {
            sum += q[j * depth + i];
            bytes[(i / 4 * nr + j) * 4 + i % 4] = (int8_t)q[j * depth + i];
        }
        sum *= -BS_SMALL_ZERO;
        memcpy(out + j * sizeof sum, &sum, sizeof sum);
    }
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

/* Panel `panel` of bytes, of rows that have been brought.  `memory`: a row
 * of floats, and nr of int16. */
static void
pack_coarse(struct cpu_encoder *e, size_t panel, size_t nr, void *memory)
{
    struct cpu_packed *to = &e->coarse;
    float *turned = memory;
    int16_t *q = (int16_t *)(turned + to->depth);
    size_t first = panel * nr, j;

    for (j = 0; j < nr; j++) {
        struct bs_whole size = {0};

        if (first + j < e->head.n)
            bs_cpu_round_small(&size, q + j * to->depth, turned,
                               e->w + (first + j) * e->head.k, e->sign,
                               e->head.k, true);
        else
            memset(q + j * to->depth, 0, to->depth * sizeof *q);
        to->scale[first + j] = (float)size.scale;
        to->rest[first + j] = bs_float_up(size.rest);
    }
    pack_bytes(to->panels + panel * to->panel_size, q, to->depth, nr);
}

static void
pack_fine(struct cpu_encoder *e, size_t panel, const struct bs_isa *isa,
          void *memory)
{
    struct cpu_packed *to = &e->fine;
    char *out = to->panels + panel * to->panel_size;
    size_t nr = isa->nr, k = e->head.k, first = panel * nr, j;
    size_t cols = e->head.n - first < nr ? e->head.n - first : nr;
    int16_t *q = e->whole ? memory : NULL;

    if (e->whole)
        memset(q, 0, nr * to->depth * sizeof *q);
    else
        isa->pack((float *)out, e->w + first * k, k, cols, k);
    for (j = 0; j < nr; j++) {
        double bias = j < cols ? (double)e->bias[first + j] : 0;
        struct bs_whole size = {0};

        if (j < cols)
            bs_cpu_round(&size, e->whole ? q + j * to->depth : NULL,
                         e->w + (first + j) * k, k);
        to->scale[first + j] = e->whole ? (float)size.scale : 1;
        to->rest[first + j] = e->whole ? bs_float_up(size.rest) : 0;
        e->norm[first + j] = bs_float_up(size.norm);
        /* Some units in the last place more, for the sums it enters. */
        e->bound[first + j] =
            j < cols ? bs_float_up(bias + fabs(bias) * 0x1p-20) : -INFINITY;
    }
    if (e->whole)
        pack_whole((int16_t *)out, q, to->depth, nr);
}

/* One chunk is one panel.  Scratch: its atoms in whole numbers. */
static void
pack_panel(void *arg, size_t panel, unsigned thread)
{
    const struct pack_job *job = arg;
    struct cpu_encoder *e = job->e;
    const struct bs_isa *isa = job->c->isa;
    size_t first = panel * isa->nr, j;

    for (j = first; j < first + isa->nr && j < e->head.n; j++)
        bring_row(e, job->from, j);
    pack_fine(e, panel, isa, job->c->scratch[thread]);
    if (e->coarse.panels != NULL)
        pack_coarse(e, panel, isa->nr, job->c->scratch[thread]);
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

/* Room for `columns` atoms, whole panels of them, each of `size` bytes. */
static int
alloc_packed(struct bs_cpu *c, struct cpu_packed *p, size_t columns,
             size_t size)
{
    size_t all;

    p->panel_size = c->isa->nr * size;
    if (!bs_mul(columns, size, &all))
        all = SIZE_MAX;
    else
        p->panels = bs_cpu_alloc_large(all);
    p->scale = bs_alloc_array(columns, sizeof *p->scale);
    p->rest = bs_alloc_array(columns, sizeof *p->rest);
    return p->panels == NULL || p->scale == NULL || p->rest == NULL
               ? bs_err_memory(&c->dev.err, "encoder", all)
               : 0;
}

/* Room for n rows. */
static int
alloc_encoder(struct bs_cpu *c, struct cpu_encoder *e, size_t n, bool bytes)
{
    size_t columns = BS_ROUND_UP(n, c->isa->nr), k = e->head.k;
    int r;

    e->room = n;
    e->fine.depth = e->whole ? k + k % 2 : k;
    e->coarse.depth = BS_ROUND_UP(k, BS_SMALL_COLUMNS);
    e->w = bs_cpu_alloc_large(n * k * sizeof *e->w);
    e->bias = bs_alloc_array(n, sizeof *e->bias);
    e->norm = bs_alloc_array(columns, sizeof *e->norm);
    e->bound = bs_alloc_array(columns, sizeof *e->bound);
    if (e->w == NULL || e->bias == NULL || e->norm == NULL || e->bound == NULL)
        return bs_err_memory(&c->dev.err, "encoder", n * k * sizeof *e->w);
    r = alloc_packed(c, &e->fine, columns,
                     e->fine.depth *
                         (e->whole ? sizeof(int16_t) : sizeof(float)));
    if (r < 0 || !bytes)
        return r;
    e->sign = bs_alloc_array(e->coarse.depth, sizeof *e->sign);
    if (e->sign == NULL)
        return bs_err_memory(&c->dev.err, "encoder",
                             e->coarse.depth * sizeof *e->sign);
    bs_cpu_turn_signs(e->sign, e->coarse.depth);
    return alloc_packed(c, &e->coarse, columns,
                        e->coarse.depth + sizeof(int32_t));
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
    e->whole = screen != BS_SCREEN_NONE;
    r = alloc_encoder(c, e, n,
                      screen == BS_SCREEN_BYTES && k <= MOST_SMALL_COLUMNS);
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
    int r = bs_cpu_scratch(
        c,
        nr * e->coarse.depth * sizeof(int16_t) +
            (e->coarse.panels != NULL ? e->coarse.depth * sizeof(float) : 0));

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
    int r;

    if (screen == BS_SCREEN_AUTO)
        screen = c->isa->bytes_pay    ? BS_SCREEN_BYTES
                 : c->isa->whole_pays ? BS_SCREEN_LOW
                                      : BS_SCREEN_NONE;
    r = new_encoder(c, &e, n, k, screen);
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
    struct bs_cpu *c = (struct bs_cpu *)d;

    /* Bytes take longer to pack than they save: weights change. */
    if (screen == BS_SCREEN_AUTO)
        screen = c->isa->whole_pays ? BS_SCREEN_LOW : BS_SCREEN_NONE;
    return new_encoder(c, out, n, k, screen);
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

static void
free_packed(struct cpu_packed *p)
{
    bs_free(p->panels);
    bs_free(p->scale);
    bs_free(p->rest);
}

void
bs_cpu_encoder_free(struct bs_dev *d, struct bs_encoder *encoder)
{
    struct cpu_encoder *e = (struct cpu_encoder *)encoder;

    (void)d;
    bs_free(e->w);
    bs_free(e->bias);
    bs_free(e->norm);
    bs_free(e->bound);
    bs_free(e->sign);
    free_packed(&e->fine);
    free_packed(&e->coarse);
    bs_free(e);
}
