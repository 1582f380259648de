/*
 * sae_trainer_aux.c - auxiliary terms, for concepts without a code.
 *
 * AuxK: the largest of the dead concepts reconstruct what is left over; they
 * are a second set of codes, by an encoder of the dead alone.  Reanimation:
 * the pre-activations of all concepts without a code in this step, summed over
 * all tokens, are linear in the sum of the tokens, so that they are never
 * computed one by one.
 */
#include "cmd/models/sae_trainer_own.h"

#include "common/mem.h"

bool
bs_trainer_pushes(const struct bs_trainer *t)
{
    return t->o.aux_kind == BS_AUX_REANIMATE ||
           t->o.aux_kind == BS_AUX_REANIMATE_SUM;
}

/* ---- AuxK ------------------------------------------------------------------
 */

/* The concepts that are dead behind this step; none has a code. */
static size_t
list_dead(struct bs_trainer *t)
{
    uint64_t tokens = t->tokens + t->m;
    size_t j, n = 0;

    for (j = 0; j < t->o.concepts; j++)
        if (t->slot[j] == BS_CODE_NONE &&
            tokens - t->fired[j] >= t->o.dead_tokens)
            t->list[n++] = (uint32_t)j;
    return n;
}

static int
auxk(struct bs_trainer *t, struct bs_err *e)
{
    size_t n = list_dead(t), top = t->o.aux_k < n ? t->o.aux_k : n;
    int r = 0;

    if (n == 0)
        return 0;
    if (t->enc_dead == NULL &&
        bs_dev_encoder_reserve(t->dev, &t->enc_dead, t->o.concepts,
                               t->wide_cols, BS_SCREEN_AUTO) < 0)
        r = bs_trainer_failed(t, e);
    if (r == 0)
        r = bs_trainer_fill(t, t->enc_dead, t->list, n, e);
    if (r == 0)
        r = bs_trainer_encode(t, t->enc_dead, t->list, top, &t->other, e);
    if (r == 0)
        r = bs_trainer_decode(t, &t->other, &t->codes.error, e);
    if (r < 0)
        return r;
    t->has_other = true;
    t->aux = t->other.squares / bs_trainer_measure(t);
    t->other.scale = -2 * (double)t->o.aux / bs_trainer_measure(t);
    return 0;
}

/* ---- reanimation -----------------------------------------------------------
 */

static int
sum_dead(struct bs_trainer *t, struct bs_err *e)
{
    struct bs_trainer_dead *d = &t->dead;
    size_t n = t->o.concepts, bytes = n * sizeof(float), j;
    float *gain = t->host, *other = t->row_grad;

    *d = (struct bs_trainer_dead){.w = d->w};
    for (j = 0; j < n; j++)
        gain[j] = 1;
    if (t->o.layer_norm &&
        bs_dev_get(t->dev, gain, &t->param[BS_PARAM_LN_G].at.p, 0, bytes) < 0)
        return bs_trainer_failed(t, e);
    for (j = 0; j < n; j++) {
        if (t->slot[j] != BS_CODE_NONE)
            gain[j] = 0;
        else
            d->n++;
        d->gain += (double)gain[j];
    }
    if (bs_dev_row_sum(t->dev, t->in_w, n, t->o.width, gain, d->w) < 0)
        return bs_trainer_failed(t, e);
    if (t->o.enc_bias &&
        bs_dev_get(t->dev, other, &t->param[BS_PARAM_ENC_B].at.p, 0, bytes) < 0)
        return bs_trainer_failed(t, e);
    for (j = 0; t->o.enc_bias && j < n; j++)
        d->b += (double)gain[j] * (double)other[j];
    if (t->o.layer_norm &&
        bs_dev_get(t->dev, other, &t->param[BS_PARAM_LN_B].at.p, 0, bytes) < 0)
        return bs_trainer_failed(t, e);
    for (j = 0; t->o.layer_norm && j < n; j++)
        d->shift += t->slot[j] == BS_CODE_NONE ? (double)other[j] : 0;
    return 0;
}

static int
reanimate(struct bs_trainer *t, struct bs_err *e)
{
    struct bs_trainer_dead *d = &t->dead;
    double sum = 0, share;
    size_t c;
    int r = sum_dead(t, e);

    if (r < 0)
        return r;
    if (t->o.layer_norm) {
        r = bs_trainer_norm_dead(t, &sum, e);
    } else if (bs_dev_row_sum(t->dev, t->in, t->m, t->o.width, NULL, t->sum) <
               0) {
        r = bs_trainer_failed(t, e);
    } else {
        for (c = 0; c < t->o.width; c++)
            sum += d->w[c] * t->sum[c];
        sum += (double)t->m * d->b;
    }
    share = t->o.aux_kind == BS_AUX_REANIMATE
                ? 1 / ((double)t->m * (double)t->o.concepts)
                : 1 / ((double)d->n + 1e-6);
    t->aux = -sum * share;
    d->push = (double)t->o.aux * share;
    return r;
}

int
bs_trainer_auxiliary(struct bs_trainer *t, struct bs_err *e)
{
    t->aux = 0;
    if (t->o.aux_kind == BS_AUX_AUXK)
        return auxk(t, e);
    return bs_trainer_pushes(t) ? reanimate(t, e) : 0;
}
