/*
 * sae_trainer_forward.c - a step's way from tokens to the loss.
 */
#include "cmd/models/sae_trainer_own.h"

#include "common/mem.h"

#include <math.h>

double
bs_trainer_measure(const struct bs_trainer *t)
{
    return t->o.loss == BS_LOSS_FVU ? t->spread
                                    : (double)t->m * (double)t->o.width;
}

/* ---- tokens and weights ----------------------------------------------------
 */

/* Round to bf16 what the encoder multiplies. */
static int
narrow(struct bs_trainer *t, struct bs_err *e)
{
    const struct bs_trainer_tensor *w = &t->param[BS_PARAM_ENC_W];
    int r = bs_trainer_room(t, &t->narrow, t->m, t->o.width, e);

    if (r == 0)
        r = bs_trainer_room(t, &t->narrow_w, w->at.rows, w->at.cols, e);
    if (r < 0)
        return r;
    if (bs_dev_tokens(t->dev, &t->centred, NULL, t->m, t->o.width, BS_MATH_BF16,
                      &t->narrow, NULL, NULL) < 0 ||
        bs_dev_tokens(t->dev, &w->at.p, NULL, w->at.rows, w->at.cols,
                      BS_MATH_BF16, &t->narrow_w, NULL, NULL) < 0)
        return bs_trainer_failed(t, e);
    t->in = &t->narrow;
    t->in_w = &t->narrow_w;
    return 0;
}

static int
load(struct bs_trainer *t, const float *x, struct bs_err *e)
{
    size_t width = t->o.width;
    const struct bs_mem *bias =
        t->o.pre_bias ? &t->param[BS_PARAM_BIAS].at.p : NULL;
    int r = bs_trainer_room(t, &t->centred, t->m, width, e);

    if (r == 0)
        r = bs_trainer_put(t, &t->x, x, t->m * width, e);
    if (r == 0 && bs_dev_tokens(t->dev, &t->x, bias, t->m, width, BS_MATH_F32,
                                &t->centred, t->mean, &t->spread) < 0)
        r = bs_trainer_failed(t, e);
    if (r == 0 && !(t->spread < INFINITY))
        r = bs_err_set(e, BS_EX_DATA, "tokens that are not finite");
    t->in = &t->centred;
    t->in_w = &t->param[BS_PARAM_ENC_W].at.p;
    if (r == 0 && t->o.math == BS_MATH_BF16)
        r = narrow(t, e);
    t->wide = t->in;
    t->wide_cols = width;
    return r == 0 && t->o.layer_norm ? bs_trainer_norm_forward(t, e) : r;
}

int
bs_trainer_fill(struct bs_trainer *t, struct bs_encoder *enc,
                const uint32_t *rows, size_t n, struct bs_err *e)
{
    const struct bs_encoder_rows from = {
        .w = t->in_w,
        .bias = t->o.enc_bias ? &t->param[BS_PARAM_ENC_B].at.p : NULL,
        .gain = t->o.layer_norm ? &t->param[BS_PARAM_LN_G].at.p : NULL,
        .shift = t->o.layer_norm ? &t->param[BS_PARAM_LN_B].at.p : NULL,
        .width = t->o.width,
        .rows = rows,
        .n = n,
    };

    return bs_dev_encoder_fill(t->dev, enc, &from) < 0 ? bs_trainer_failed(t, e)
                                                       : 0;
}

/* ---- codes -----------------------------------------------------------------
 */

static int
code_room(struct bs_ragged *c, size_t m, size_t places, struct bs_err *e)
{
    if (m > c->room_rows || places > c->room || c->ptr == NULL) {
        bs_ragged_release(c);
        c->ptr = bs_alloc_array(m + 1, sizeof *c->ptr);
        c->idx = bs_alloc_array(places, sizeof *c->idx);
        c->val = bs_alloc_array(places, sizeof *c->val);
        c->room_rows = m;
        c->room = places;
    }
    if (c->ptr == NULL || c->idx == NULL || c->val == NULL) {
        bs_ragged_release(c);
        return bs_err_memory(e, "codes", places * sizeof *c->idx);
    }
    return 0;
}

/* Places that are used, one after another. */
static void
close_ranks(struct bs_ragged *c, size_t m, size_t top, const uint32_t *map)
{
    size_t i, j, n = 0;

    c->rows = m;
    c->ptr[0] = 0;
    for (i = 0; i < m; i++) {
        for (j = i * top; j < (i + 1) * top && c->idx[j] != BS_CODE_NONE; j++) {
            c->idx[n] = map != NULL ? map[c->idx[j]] : c->idx[j];
            c->val[n++] = c->val[j];
        }
        c->ptr[i + 1] = (uint32_t)n;
    }
}

int
bs_trainer_encode(struct bs_trainer *t, struct bs_encoder *enc,
                  const uint32_t *map, size_t top, struct bs_trainer_codes *c,
                  struct bs_err *e)
{
    size_t places, bytes;
    int r;

    if (!bs_mul(t->m, top, &places) || places >= UINT32_MAX)
        return bs_err_set(e, BS_EX_DATA, "%zu codes of %zu tokens", top, t->m);
    bytes = places * sizeof(float);
    r = code_room(&c->rows, t->m, places, e);
    if (r == 0)
        r = bs_trainer_room(t, &t->idx, t->m, top, e);
    if (r == 0)
        r = bs_trainer_room(t, &t->val, t->m, top, e);
    if (r < 0)
        return r;
    if (bs_dev_encode_topk(t->dev, enc, t->wide, t->wide_cols, t->m, top,
                           &t->idx, &t->val) < 0 ||
        bs_dev_get(t->dev, c->rows.idx, &t->idx, 0, bytes) < 0 ||
        bs_dev_get(t->dev, c->rows.val, &t->val, 0, bytes) < 0)
        return bs_trainer_failed(t, e);
    close_ranks(&c->rows, t->m, top, map);
    return 0;
}

static int
encode(struct bs_trainer *t, struct bs_err *e)
{
    size_t total;

    if (t->o.select == BS_SAE_TOPK)
        return bs_trainer_encode(t, t->enc, NULL, t->o.k, &t->codes, e);
    if (!bs_mul(t->m, t->o.k, &total))
        return bs_err_memory(e, "codes", SIZE_MAX);
    if (bs_dev_encode_batch(t->dev, t->enc, t->wide, t->wide_cols, t->m, total,
                            &t->codes.rows, &t->now_tau) < 0)
        return bs_trainer_failed(t, e);
    return 0;
}

static int
group(struct bs_trainer *t, struct bs_trainer_codes *c,
      const struct bs_code_rows *codes, struct bs_err *e)
{
    size_t n = codes->ptr[t->m], i;
    int r;

    if (bs_dev_group(t->dev, &c->groups, codes, t->o.concepts) < 0)
        return bs_trainer_failed(t, e);
    c->first = t->active;
    for (i = 0; i < c->groups->n; i++) {
        t->slot[c->groups->atom[i]] = (uint32_t)t->active;
        t->atoms[t->active++] = c->groups->atom[i];
    }
    r = bs_trainer_put(t, &c->coef, codes->val, n, e);
    return r == 0 ? bs_trainer_room(t, &c->dz, n, 1, e) : r;
}

int
bs_trainer_decode(struct bs_trainer *t, struct bs_trainer_codes *c,
                  const struct bs_mem *from, struct bs_err *e)
{
    const struct bs_code_rows codes = {t->m, 0, c->rows.ptr, c->rows.idx,
                                       c->rows.val};
    int r = group(t, c, &codes, e);

    if (r == 0)
        r = bs_trainer_dict_ready(t, c->groups->atom, c->groups->n, e);
    if (r == 0)
        r = bs_trainer_room(t, &c->error, t->m, t->o.width, e);
    if (r < 0)
        return r;
    if (bs_dev_decode(t->dev, &codes, t->dict, t->o.concepts, t->o.width, NULL,
                      &c->error) < 0 ||
        bs_dev_residual(t->dev, from, &c->error, t->m * t->o.width,
                        &c->squares) < 0)
        return bs_trainer_failed(t, e);
    return 0;
}

/* ---- all of it -------------------------------------------------------------
 */

int
bs_trainer_forward(struct bs_trainer *t, const float *x, struct bs_err *e)
{
    int r = load(t, x, e);

    t->active = 0;
    t->has_other = false;
    memset(t->slot, 0xff, t->o.concepts * sizeof *t->slot);
    if (r == 0)
        r = bs_trainer_fill(t, t->enc, NULL, t->o.concepts, e);
    if (r == 0)
        r = encode(t, e);
    if (r == 0)
        r = bs_trainer_decode(t, &t->codes, &t->centred, e);
    if (r < 0)
        return r;
    t->rec = t->codes.squares / bs_trainer_measure(t);
    t->codes.scale = -2 / bs_trainer_measure(t);
    r = bs_trainer_auxiliary(t, e);
    if (r < 0)
        return r;
    t->loss = t->rec + (double)t->o.aux * t->aux;
    if (isfinite(t->loss))
        return 0;
    if (t->o.loss == BS_LOSS_FVU && !(t->spread > 0))
        return bs_err_set(e, BS_EX_DATA, "no loss: all %zu tokens are the same",
                          t->m);
    return bs_err_set(e, BS_EX_DATA, "the loss is not finite");
}
