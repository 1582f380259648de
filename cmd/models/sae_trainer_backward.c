/*
 * sae_trainer_backward.c - gradients of a step, their norm, and the update.
 */
#include "cmd/models/sae_trainer_own.h"

#include "common/mem.h"

#include <math.h>

int
bs_trainer_squares(struct bs_trainer *t, const struct bs_mem *grad, size_t n,
                   double *sum, struct bs_err *e)
{
    double squares;

    if (bs_dev_squares(t->dev, grad, n, &squares) < 0)
        return bs_trainer_failed(t, e);
    *sum += squares;
    return 0;
}

/* ---- gradients -------------------------------------------------------------
 */

/* What the codes themselves get: d loss / d value. */
static int
code_gradients(struct bs_trainer *t, struct bs_trainer_codes *c,
               struct bs_err *e)
{
    float scale = (float)c->scale;

    if (bs_dev_group_dots(t->dev, c->groups, &c->error, t->dict, t->o.concepts,
                          t->o.width, scale, &c->dz) < 0 ||
        bs_dev_group_sum(t->dev, c->groups, &c->coef, &c->error, t->o.width,
                         scale, c->first, &t->grad_dec, NULL) < 0)
        return bs_trainer_failed(t, e);
    return 0;
}

static int
row_gradients(struct bs_trainer *t, struct bs_trainer_codes *c,
              struct bs_err *e)
{
    if (bs_dev_group_sum(t->dev, c->groups, &c->dz, t->in, t->o.width, 1,
                         c->first, &t->grad_enc, &t->total) < 0)
        return bs_trainer_failed(t, e);
    return 0;
}

/* Of an encoder without a norm: sparse rows, and one that all others share. */
static int
encoder_gradients(struct bs_trainer *t, double *sum, struct bs_err *e)
{
    size_t width = t->o.width, j;
    float rest =
        bs_trainer_pushes(t) ? (float)(-t->dead.push * (double)t->m) : 0;
    double squares = 0;
    int r = row_gradients(t, &t->codes, e);

    if (r == 0 && t->has_other)
        r = row_gradients(t, &t->other, e);
    if (r == 0)
        r = bs_trainer_squares(t, &t->grad_enc, t->active * width, sum, e);
    if (r == 0 && bs_dev_get(t->dev, t->host, &t->total, 0,
                             t->active * sizeof(float)) < 0)
        r = bs_trainer_failed(t, e);
    if (r < 0)
        return r;
    for (j = 0; j < t->o.concepts; j++)
        t->row_grad[j] =
            t->slot[j] != BS_CODE_NONE ? t->host[t->slot[j]] : rest;
    if (!bs_trainer_pushes(t))
        return 0;
    /* The sum of the tokens is still there. */
    for (j = 0; j < width; j++) {
        t->host[j] = (float)(-t->dead.push * t->sum[j]);
        squares += (double)t->host[j] * (double)t->host[j];
    }
    *sum += (double)t->dead.n * squares;
    return bs_trainer_put(t, &t->common, t->host, width, e);
}

/* The bias is added to what is decoded, and subtracted from what is encoded:
 * there, the sum over all tokens is a product of the encoder's rows with the
 * gradient of its bias. */
static int
bias_gradient(struct bs_trainer *t, double *sum, struct bs_err *e)
{
    size_t width = t->o.width, i;
    double *out = t->sum, *in = t->sum + width;
    int r;

    if (bs_dev_row_sum(t->dev, &t->codes.error, t->m, width, NULL, out) < 0 ||
        bs_dev_row_sum(t->dev, t->in_w, t->o.concepts, width, t->row_grad, in) <
            0)
        return bs_trainer_failed(t, e);
    for (i = 0; i < width; i++)
        t->host[i] = (float)(t->codes.scale * out[i] - in[i]);
    r = bs_trainer_put(t, &t->grad_bias, t->host, width, e);
    return r == 0 ? bs_trainer_squares(t, &t->grad_bias, width, sum, e) : r;
}

/* Room for a row an atom, and for some more: the next step may have them. */
static int
grow(struct bs_trainer *t, struct bs_mem *m, size_t cols, struct bs_err *e)
{
    size_t rows = t->active + t->active / 4;

    if (m->p != NULL && t->active * cols <= m->bytes / sizeof(float))
        return 0;
    rows = rows < t->o.concepts ? rows : t->o.concepts;
    return bs_trainer_room(t, m, rows, cols, e);
}

int
bs_trainer_backward(struct bs_trainer *t, struct bs_err *e)
{
    size_t width = t->o.width, j;
    double sum = 0;
    int r = grow(t, &t->grad_enc, width, e);

    if (r == 0)
        r = grow(t, &t->grad_dec, width, e);
    if (r == 0)
        r = grow(t, &t->total, 1, e);
    if (r == 0)
        r = code_gradients(t, &t->codes, e);
    if (r == 0 && t->has_other)
        r = code_gradients(t, &t->other, e);
    if (r == 0)
        r = t->o.layer_norm ? bs_trainer_norm_backward(t, &sum, e)
                            : encoder_gradients(t, &sum, e);
    if (r == 0 && t->o.pre_bias)
        r = bias_gradient(t, &sum, e);
    if (r == 0)
        r = bs_trainer_dict_backward(t, &sum, e);
    for (j = 0; t->o.enc_bias && j < t->o.concepts; j++)
        sum += (double)t->row_grad[j] * (double)t->row_grad[j];
    if (r == 0 && t->o.enc_bias)
        r = bs_trainer_put(t, &t->grad_b, t->row_grad, t->o.concepts, e);
    t->norm = sqrt(sum);
    if (r == 0 && !isfinite(t->norm))
        r = bs_err_set(e, BS_EX_DATA, "the gradient is not finite");
    return r;
}

/* ---- update ----------------------------------------------------------------
 */

/* torch's clip_grad_norm_. */
static float
clip_factor(const struct bs_trainer *t)
{
    float factor;

    if (!(t->o.clip > 0))
        return 1;
    factor = t->o.clip / ((float)t->norm + 1e-6f);
    return factor < 1 ? factor : 1;
}

/* A gradient for all rows. */
static int
update_all(struct bs_trainer *t, enum bs_trainer_param which,
           const struct bs_mem *grad, float scale, struct bs_err *e)
{
    const struct bs_adam_grad g = {
        .n = t->param[which].at.rows, .grad = grad, .scale = scale};

    return bs_trainer_adam(t, which, t->step + 1, &g, e);
}

int
bs_trainer_update(struct bs_trainer *t, struct bs_err *e)
{
    float scale = clip_factor(t);
    const struct bs_adam_grad sparse = {
        .n = t->o.concepts,
        .grad = &t->grad_enc,
        .slot = t->slot,
        .common = bs_trainer_pushes(t) ? &t->common : NULL,
        .scale = scale};
    int r = t->o.layer_norm
                ? update_all(t, BS_PARAM_ENC_W, &t->grad_dense, scale, e)
                : bs_trainer_adam(t, BS_PARAM_ENC_W, t->step + 1, &sparse, e);

    if (r == 0)
        r = update_all(t, BS_PARAM_ENC_B, &t->grad_b, scale, e);
    if (r == 0)
        r = update_all(t, BS_PARAM_LN_G, &t->grad_ln_g, scale, e);
    if (r == 0)
        r = update_all(t, BS_PARAM_LN_B, &t->grad_ln_b, scale, e);
    if (r == 0)
        r = update_all(t, BS_PARAM_BIAS, &t->grad_bias, scale, e);
    return r == 0 ? bs_trainer_dict_update(t, scale, e) : r;
}
