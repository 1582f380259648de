/*
 * eval_ood.c - the out-of-distribution score, 1 - the mean over atoms of the
 * largest cosine with a token (archetypal SAE, equation 9); see
 * eval_dictionary.h.
 *
 * A token counts only where its cosine is above the largest so far, which the
 * device finds out: pre-activations of the atoms, plus 1, above thresholds.
 * Batches begin with one token and double, so that few are.
 */
#include <math.h>

#include "cmd/models/eval_dictionary.h"
#include "kernels/dot.h"

/* Products at once, of which all might count. */
#define PRODUCTS ((size_t)1 << 24)

static int
failed(const struct bs_eval_ood *o, struct bs_err *e)
{
    *e = *bs_dev_error(o->dev);
    return -e->code;
}

int
bs_eval_ood_open(struct bs_eval_ood *o, const struct bs_atoms *a,
                 struct bs_dev *dev, struct bs_err *e)
{
    float *ones = bs_alloc_array(a->count, sizeof *ones);
    size_t i, bytes;
    int r = 0;

    *o = (struct bs_eval_ood){.atoms = a, .dev = dev};
    o->rows = PRODUCTS / a->count;
    o->rows = o->rows < 1 ? 1 : o->rows > 1024 ? 1024 : o->rows;
    bytes = o->rows * a->width * sizeof *o->unit;
    o->cosine = bs_alloc_array(a->count, sizeof *o->cosine);
    o->tau = bs_alloc_array(a->count, sizeof *o->tau);
    o->unit = bs_alloc(bytes);
    if (ones == NULL || o->cosine == NULL || o->tau == NULL || o->unit == NULL)
        r = bs_err_memory(e, "tokens", bytes);
    for (i = 0; i < a->count && r == 0; i++) {
        ones[i] = 1;
        o->cosine[i] = -1;
    }
    if (r == 0 && (bs_dev_encoder(dev, &o->enc, a->unit, ones, a->count,
                                  a->width, BS_SCREEN_AUTO) < 0 ||
                   bs_dev_alloc(dev, &o->x, bytes) < 0))
        r = failed(o, e);
    bs_free(ones);
    return r;
}

void
bs_eval_ood_drop(struct bs_eval_ood *o)
{
    if (o->dev != NULL) {
        bs_dev_encoder_free(o->dev, o->enc);
        bs_dev_free(o->dev, &o->x);
    }
    o->enc = NULL;
    bs_ragged_release(&o->hits);
    bs_free(o->unit);
    o->unit = NULL;
}

void
bs_eval_ood_release(struct bs_eval_ood *o)
{
    bs_eval_ood_drop(o);
    bs_free(o->cosine);
    bs_free(o->tau);
    *o = (struct bs_eval_ood){0};
}

/* m tokens of length 1; one of length 0 stays so. */
static void
to_units(struct bs_eval_ood *o, const float *x, size_t m)
{
    size_t width = o->atoms->width, i, c;

    for (i = 0; i < m; i++) {
        const float *from = x + i * width;
        double length = sqrt(bs_dot(from, from, width));

        for (c = 0; c < width; c++)
            o->unit[i * width + c] =
                length > 0 ? (float)((double)from[c] / length) : 0.0f;
    }
}

/* The largest of an atom's hits counts, the first of equal ones, whose cosine
 * is made again in f64. */
static void
take_hits(struct bs_eval_ood *o, const float *x)
{
    const struct bs_ragged *h = &o->hits;
    const struct bs_atoms *a = o->atoms;
    size_t i, k;

    for (i = 0; i < h->rows; i++)
        for (k = h->ptr[i]; k < h->ptr[i + 1]; k++) {
            uint32_t atom = h->idx[k];
            const float *token = x + i * a->width, *w = a->w + atom * a->width;
            double lengths;

            if (!(h->val[k] > o->tau[atom]))
                continue;
            o->tau[atom] = h->val[k];
            lengths = sqrt(bs_dot(token, token, a->width)) * a->norm[atom];
            o->cosine[atom] =
                lengths > 0 ? bs_dot(token, w, a->width) / lengths : 0;
        }
}

int
bs_eval_ood_add(struct bs_eval_ood *o, const float *x, size_t m,
                struct bs_err *e)
{
    size_t width = o->atoms->width, n;

    for (; m > 0; x += n * width, m -= n) {
        n = o->tokens < 1 ? 1 : o->tokens < o->rows ? o->tokens : o->rows;
        n = n < m ? n : m;
        to_units(o, x, n);
        if (bs_dev_put(o->dev, &o->x, 0, o->unit, n * width * sizeof *x) < 0 ||
            bs_dev_encode_threshold(o->dev, o->enc, &o->x, width, n, o->tau,
                                    true, UINT32_MAX, &o->hits) < 0)
            return failed(o, e);
        take_hits(o, x);
        o->tokens += n;
    }
    return 0;
}

void
bs_eval_ood_metrics(const struct bs_eval_ood *o,
                    struct bs_cell cell[BS_METRICS])
{
    double sum = 0;
    size_t i;

    for (i = 0; i < o->atoms->count; i++)
        sum += o->cosine[i];
    bs_metric_real(cell, BS_M_OOD,
                   o->tokens > 0 ? 1 - sum / (double)o->atoms->count : NAN);
}
