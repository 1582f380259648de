/*
 * atoms.c - see atoms.h.
 */
#include "cmd/models/atoms.h"

#include <math.h>

#include "common/mem.h"
#include "common/stop.h"
#include "kernels/dot.h"

enum { BATCH = 4096 /* rows at once on the device */ };

int
bs_atoms_open(struct bs_atoms *a, const float *w, size_t count, size_t width,
              struct bs_err *e)
{
    size_t i, c;

    *a = (struct bs_atoms){.count = count, .width = width, .w = w};
    a->norm = bs_alloc_array(count, sizeof *a->norm);
    a->unit = bs_alloc_array(count, width * sizeof *a->unit);
    if (a->norm == NULL || a->unit == NULL) {
        bs_atoms_release(a);
        return bs_err_memory(e, "atoms", count * width * sizeof(float));
    }
    for (i = 0; i < count; i++) {
        const float *from = w + i * width;
        float *to = a->unit + i * width;

        a->norm[i] = sqrt(bs_dot(from, from, width));
        for (c = 0; c < width && a->norm[i] > 0; c++)
            to[c] = (float)((double)from[c] / a->norm[i]);
    }
    return 0;
}

void
bs_atoms_release(struct bs_atoms *a)
{
    bs_free(a->norm);
    bs_free(a->unit);
    *a = (struct bs_atoms){0};
}

double
bs_atoms_cosine(const struct bs_atoms *a, size_t i, const struct bs_atoms *b,
                size_t j)
{
    double lengths = a->norm[i] * b->norm[j];
    double dot = bs_dot(a->w + i * a->width, b->w + j * b->width, a->width);

    return lengths > 0 ? fmax(-1, fmin(1, dot / lengths)) : 0;
}

double
bs_nearest_error(size_t width, double most_bias)
{
    /* The roundings that a product passes: its own, those of a partial sum, of
     * four folds and of the bias; two of its factors. */
    double passed = (double)width / 16 + 9, unit = 0x1p-24;

    return 1.01 * unit * (passed + 2 + 2 * most_bias);
}

/* ---- nearest --------------------------------------------------------------
 */

struct search {
    const struct bs_nearest *q;
    struct bs_dev *dev;
    struct bs_encoder *atoms;
    struct bs_mem x, idx, val;
    float *rows; /* [batch, width] */
};

static int
failed(const struct search *s, struct bs_err *e)
{
    *e = *bs_dev_error(s->dev);
    return -e->code;
}

static int
search_open(struct search *s, size_t batch, struct bs_err *e)
{
    const struct bs_nearest *q = s->q;
    size_t bytes = batch * q->width * sizeof *s->rows;

    s->rows = bs_alloc(bytes);
    if (s->rows == NULL)
        return bs_err_memory(e, "rows", bytes);
    if (bs_dev_encoder(s->dev, &s->atoms, q->w, q->bias, q->count, q->width,
                       BS_SCREEN_AUTO) < 0 ||
        bs_dev_alloc(s->dev, &s->x, bytes) < 0 ||
        bs_dev_alloc(s->dev, &s->idx, batch * q->top * sizeof(uint32_t)) < 0 ||
        bs_dev_alloc(s->dev, &s->val, batch * q->top * sizeof(float)) < 0)
        return failed(s, e);
    return 0;
}

static void
search_close(struct search *s)
{
    bs_dev_free(s->dev, &s->x);
    bs_dev_free(s->dev, &s->idx);
    bs_dev_free(s->dev, &s->val);
    bs_dev_encoder_free(s->dev, s->atoms);
    bs_free(s->rows);
}

/* Rows from..from+m-1 of those asked for. */
static int
search_batch(struct search *s, size_t from, size_t m, uint32_t *idx, float *val,
             struct bs_err *e)
{
    const struct bs_nearest *q = s->q;
    size_t places = m * q->top, i, c;

    for (i = 0; i < m; i++) {
        size_t row = q->pick != NULL ? q->pick[from + i] : from + i;
        const float *x = q->x + row * q->width;
        float *to = s->rows + i * q->width;

        for (c = 0; c < q->width; c++)
            to[c] = q->opposite ? -x[c] : x[c];
    }
    if (bs_dev_put(s->dev, &s->x, 0, s->rows, m * q->width * sizeof(float)) <
            0 ||
        bs_dev_encode_topk(s->dev, s->atoms, &s->x, q->width, m, q->top,
                           &s->idx, &s->val) < 0 ||
        bs_dev_get(s->dev, idx + from * q->top, &s->idx, 0,
                   places * sizeof *idx) < 0 ||
        bs_dev_get(s->dev, val + from * q->top, &s->val, 0,
                   places * sizeof *val) < 0)
        return failed(s, e);
    if (q->watch != NULL && q->watch->step != NULL)
        q->watch->step(q->watch->arg, m);
    return 0;
}

int
bs_nearest(const struct bs_nearest *q, struct bs_dev *dev, uint32_t *idx,
           float *val, struct bs_err *e)
{
    struct search s = {.q = q, .dev = dev};
    size_t batch = q->n < BATCH ? q->n : BATCH, i;
    int r = q->n > 0 ? search_open(&s, batch, e) : 0;

    for (i = 0; i < q->n && r == 0; i += batch) {
        if (bs_stop_wanted())
            r = bs_err_set(e, BS_EX_TEMPFAIL, "ended early: %s",
                           bs_stop_reason());
        else
            r = search_batch(&s, i, q->n - i < batch ? q->n - i : batch, idx,
                             val, e);
    }
    search_close(&s);
    return r;
}
