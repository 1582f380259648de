/*
 * sae_trainer.c - see sae_trainer.h.  Opening, and one step: forward, loss,
 * gradients, update.
 */
#include "cmd/models/sae_trainer_own.h"

#include "common/mem.h"

#include <math.h>

const char *const bs_trainer_dictionary_names[] = {"plain", "unit", "l2",
                                                   "archetypal", NULL};
const char *const bs_trainer_loss_names[] = {"mse", "fvu", NULL};
const char *const bs_trainer_aux_names[] = {"none", "auxk", "reanimate",
                                            "reanimate-sum", NULL};

int
bs_trainer_failed(const struct bs_trainer *t, struct bs_err *e)
{
    *e = *bs_dev_error(t->dev);
    return -e->code;
}

int
bs_trainer_room(struct bs_trainer *t, struct bs_mem *m, size_t bytes,
                struct bs_err *e)
{
    if (m->p != NULL && bytes <= m->bytes)
        return 0;
    bs_dev_free(t->dev, m);
    return bs_dev_alloc(t->dev, m, bytes) < 0 ? bs_trainer_failed(t, e) : 0;
}

/* ---- opening ---------------------------------------------------------------
 */

static int
check_options(const struct bs_trainer_options *o, struct bs_err *e)
{
    if (o->width == 0 || o->concepts == 0)
        return bs_err_set(e, BS_EX_USAGE, "no concepts, or no width");
    if (o->select != BS_SAE_TOPK && o->select != BS_SAE_BATCH_TOPK)
        return bs_err_set(e, BS_EX_USAGE, "codes of '%s' cannot be trained",
                          bs_sae_select_names[o->select]);
    if (o->k == 0 || o->k > o->concepts)
        return bs_err_set(e, BS_EX_USAGE, "k is %u of %zu concepts", o->k,
                          o->concepts);
    if (o->select == BS_SAE_TOPK && o->k > 1024)
        return bs_err_set(e, BS_EX_USAGE, "k is %u, 1024 at most", o->k);
    if (o->steps > 0 && o->warmup > o->steps)
        return bs_err_set(e, BS_EX_USAGE, "a warm-up longer than the training");
    if (o->steps >= UINT32_MAX)
        return bs_err_set(e, BS_EX_USAGE, "2^32 steps and more");
    if (!(o->beta1 >= 0 && o->beta1 < 1 && o->beta2 >= 0 && o->beta2 < 1))
        return bs_err_set(e, BS_EX_USAGE, "betas are in [0, 1)");
    if (o->dead_tokens == 0)
        return bs_err_set(e, BS_EX_USAGE, "dead after no tokens");
    return 0;
}

static int
check_shape(const struct bs_trainer_options *o, const struct bs_sae *s,
            struct bs_err *e)
{
    size_t c;

    if (s->concepts != o->concepts || s->width != o->width)
        return bs_err_set(
            e, BS_EX_DATA,
            "a model of %zu concepts of width %zu, not %zu of %zu", s->concepts,
            s->width, o->concepts, o->width);
    if ((s->enc_b != NULL) != o->enc_bias)
        return bs_err_set(e, BS_EX_DATA, "a model %s encoder bias",
                          s->enc_b != NULL ? "with an" : "without");
    if ((s->ln_g != NULL) != o->layer_norm)
        return bs_err_set(e, BS_EX_DATA, "a model %s layer norm",
                          s->ln_g != NULL ? "with a" : "without");
    if ((s->pre_b != NULL || s->dec_b != NULL) != o->pre_bias)
        return bs_err_set(e, BS_EX_DATA, "a model %s bias of its tokens",
                          o->pre_bias ? "without" : "with a");
    if (o->pre_bias && (s->pre_b == NULL || s->dec_b == NULL))
        return bs_err_set(e, BS_EX_DATA, "a model with one of pre_b and dec_b");
    for (c = 0; o->pre_bias && c < s->width; c++)
        if (!(s->pre_b[c] == s->dec_b[c]))
            return bs_err_set(e, BS_EX_DATA,
                              "a model whose pre_b and dec_b differ");
    return 0;
}

static int
put(struct bs_trainer *t, struct bs_mem *to, const float *from, size_t n,
    struct bs_err *e)
{
    int r = bs_trainer_room(t, to, n * sizeof *from, e);

    if (r == 0 && from != NULL &&
        bs_dev_put(t->dev, to, 0, from, n * sizeof *from) < 0)
        r = bs_trainer_failed(t, e);
    return r;
}

/* Moments of 0 and, for lazy rows, no step done. */
static int
clear(struct bs_trainer *t, struct bs_mem *to, size_t n, struct bs_err *e)
{
    float *zero = bs_alloc_array(n, sizeof *zero);
    int r;

    if (zero == NULL)
        return bs_err_memory(e, "moments", n * sizeof *zero);
    r = put(t, to, zero, n, e);
    bs_free(zero);
    return r;
}

static int
add_param(struct bs_trainer *t, enum bs_trainer_param which, const float *from,
          size_t rows, size_t cols, struct bs_err *e)
{
    struct bs_trainer_tensor *p = &t->param[which];
    size_t n;
    int r;

    if (from == NULL)
        return 0;
    if (!bs_mul(rows, cols, &n))
        return bs_err_memory(e, "parameters", SIZE_MAX);
    p->at.rows = rows;
    p->at.cols = cols;
    r = put(t, &p->at.p, from, n, e);
    if (r == 0)
        r = clear(t, &p->at.m, n, e);
    if (r == 0)
        r = clear(t, &p->at.v, n, e);
    if (r == 0 && p->lazy)
        r = clear(t, &p->at.last, rows, e);
    return r;
}

static int
add_params(struct bs_trainer *t, const struct bs_sae *s, struct bs_err *e)
{
    enum bs_trainer_dictionary kind = t->o.dictionary;
    int r;

    t->param[BS_PARAM_DEC_W].lazy = true;
    if (kind == BS_DICT_UNIT || kind == BS_DICT_L2)
        t->param[BS_PARAM_DEC_W].project = BS_PROJECT_UNIT;
    r = add_param(t, BS_PARAM_ENC_W, s->enc_w, s->concepts, s->width, e);
    if (r == 0)
        r = add_param(t, BS_PARAM_ENC_B, s->enc_b, s->concepts, 1, e);
    if (r == 0)
        r = add_param(t, BS_PARAM_DEC_W, s->dec_w, s->concepts, s->width, e);
    if (r == 0)
        r = add_param(t, BS_PARAM_BIAS, s->pre_b, 1, s->width, e);
    return r;
}

static int
prepare(struct bs_trainer *t, const struct bs_sae *s, struct bs_err *e)
{
    size_t concepts = t->o.concepts, width = t->o.width;
    int r = add_params(t, s, e);

    if (r < 0)
        return r;
    t->fired = bs_alloc_array(concepts, sizeof *t->fired);
    t->slot = bs_alloc_array(concepts, sizeof *t->slot);
    t->mean = bs_alloc_array(width, sizeof *t->mean);
    t->row_grad = bs_alloc_array(concepts, sizeof *t->row_grad);
    t->column = bs_alloc_array(width, 2 * sizeof *t->column);
    if (t->fired == NULL || t->slot == NULL || t->mean == NULL ||
        t->row_grad == NULL || t->column == NULL)
        return bs_err_memory(e, "trainer", concepts * sizeof *t->fired);
    if (bs_dev_encoder_reserve(t->dev, &t->enc, concepts, width,
                               BS_SCREEN_AUTO) < 0)
        return bs_trainer_failed(t, e);
    r = bs_trainer_room(t, &t->common, width * sizeof(float), e);
    if (r == 0)
        r = bs_trainer_room(t, &t->common_b, sizeof(float), e);
    if (r == 0)
        r = bs_trainer_room(t, &t->through, width * sizeof(float), e);
    return r == 0 ? bs_trainer_room(t, &t->bias_grad, width * sizeof(float), e)
                  : r;
}

int
bs_trainer_open(struct bs_trainer **out, const struct bs_trainer_options *o,
                const struct bs_sae *init, struct bs_dev *dev, struct bs_err *e)
{
    struct bs_trainer *t;
    int r = check_options(o, e);

    *out = NULL;
    if (r == 0)
        r = check_shape(o, init, e);
    if (r < 0)
        return r;
    if (o->layer_norm || o->dictionary == BS_DICT_ARCHETYPAL ||
        o->aux_kind != BS_AUX_NONE)
        return bs_err_set(e, BS_EX_UNAVAIL, "not yet");
    t = bs_alloc_array(1, sizeof *t);
    if (t == NULL)
        return bs_err_memory(e, "trainer", sizeof *t);
    t->o = *o;
    t->dev = dev;
    t->tau = init->tau;
    snprintf(t->name, sizeof t->name, "%s", init->name);
    r = prepare(t, init, e);
    if (r < 0)
        bs_trainer_close(t);
    else
        *out = t;
    return r;
}

void
bs_trainer_close(struct bs_trainer *t)
{
    struct bs_mem *const mem[] = {
        &t->x,      &t->centred,  &t->error,     &t->idx,      &t->val,
        &t->coef,   &t->dz,       &t->grad_enc,  &t->grad_dec, &t->grad_enc_b,
        &t->common, &t->common_b, &t->bias_grad, &t->through,
    };
    size_t i;

    if (t == NULL)
        return;
    for (i = 0; i < BS_LEN(mem); i++)
        bs_dev_free(t->dev, mem[i]);
    for (i = 0; i < BS_PARAMS; i++) {
        bs_dev_free(t->dev, &t->param[i].at.p);
        bs_dev_free(t->dev, &t->param[i].at.m);
        bs_dev_free(t->dev, &t->param[i].at.v);
        bs_dev_free(t->dev, &t->param[i].at.last);
    }
    for (i = 0; i < BS_LEN(t->lent); i++)
        bs_free(t->lent[i]);
    bs_dev_encoder_free(t->dev, t->enc);
    bs_dev_groups_free(t->dev, t->groups);
    bs_ragged_release(&t->codes);
    bs_free(t->steps);
    bs_free(t->fired);
    bs_free(t->slot);
    bs_free(t->mean);
    bs_free(t->row_grad);
    bs_free(t->column);
    bs_free(t);
}

/* ---- forward ---------------------------------------------------------------
 */

static int
make_room(struct bs_trainer *t, size_t m, struct bs_err *e)
{
    size_t bytes, codes;
    int r;

    if (!bs_mul(m, t->o.width * sizeof(float), &bytes) ||
        !bs_mul(m, t->o.k * sizeof(float), &codes))
        return bs_err_memory(e, "tokens", SIZE_MAX);
    t->m = m;
    r = bs_trainer_room(t, &t->x, bytes, e);
    if (r == 0)
        r = bs_trainer_room(t, &t->centred, bytes, e);
    if (r == 0)
        r = bs_trainer_room(t, &t->error, bytes, e);
    if (r == 0 && t->o.select == BS_SAE_TOPK)
        r = bs_trainer_room(t, &t->idx, codes, e);
    if (r == 0 && t->o.select == BS_SAE_TOPK)
        r = bs_trainer_room(t, &t->val, codes, e);
    return r;
}

/* Tokens to the device, and the weights to the encoder. */
static int
load(struct bs_trainer *t, const float *x, struct bs_err *e)
{
    const struct bs_mem *bias = &t->param[BS_PARAM_BIAS].at.p;
    const struct bs_mem *enc_b = &t->param[BS_PARAM_ENC_B].at.p;
    const struct bs_encoder_rows rows = {
        .w = &t->param[BS_PARAM_ENC_W].at.p,
        .bias = t->o.enc_bias ? enc_b : NULL,
        .width = t->o.width,
        .n = t->o.concepts,
        .math = t->o.math,
    };

    if (bs_dev_put(t->dev, &t->x, 0, x, t->m * t->o.width * sizeof *x) < 0 ||
        bs_dev_tokens(t->dev, &t->x, t->o.pre_bias ? bias : NULL, t->m,
                      t->o.width, t->o.math, &t->centred, t->mean,
                      &t->spread) < 0 ||
        bs_dev_encoder_fill(t->dev, t->enc, &rows) < 0)
        return bs_trainer_failed(t, e);
    return 0;
}

/* The k places of each token as ragged rows. */
static int
take_topk(struct bs_trainer *t, struct bs_err *e)
{
    struct bs_ragged *c = &t->codes;
    size_t k = t->o.k, places = t->m * k, i, j, n = 0;

    if (t->m > c->room_rows || places > c->room || c->ptr == NULL) {
        bs_ragged_release(c);
        c->ptr = bs_alloc_array(t->m + 1, sizeof *c->ptr);
        c->idx = bs_alloc_array(places, sizeof *c->idx);
        c->val = bs_alloc_array(places, sizeof *c->val);
        c->room_rows = t->m;
        c->room = places;
    }
    if (c->ptr == NULL || c->idx == NULL || c->val == NULL) {
        bs_ragged_release(c);
        return bs_err_memory(e, "codes", places * sizeof *c->idx);
    }
    if (bs_dev_get(t->dev, c->idx, &t->idx, 0, places * sizeof *c->idx) < 0 ||
        bs_dev_get(t->dev, c->val, &t->val, 0, places * sizeof *c->val) < 0)
        return bs_trainer_failed(t, e);
    c->rows = t->m;
    for (i = 0; i < t->m; i++) {
        for (j = i * k; j < (i + 1) * k && c->idx[j] != BS_CODE_NONE; j++) {
            c->idx[n] = c->idx[j];
            c->val[n++] = c->val[j];
        }
        c->ptr[i + 1] = (uint32_t)n;
    }
    return 0;
}

static int
encode(struct bs_trainer *t, struct bs_err *e)
{
    size_t width = t->o.width, total;

    if (t->o.select == BS_SAE_TOPK) {
        if (bs_dev_encode_topk(t->dev, t->enc, &t->centred, width, t->m, t->o.k,
                               &t->idx, &t->val) < 0)
            return bs_trainer_failed(t, e);
        return take_topk(t, e);
    }
    if (!bs_mul(t->m, t->o.k, &total))
        return bs_err_memory(e, "codes", SIZE_MAX);
    if (bs_dev_encode_batch(t->dev, t->enc, &t->centred, width, t->m, total,
                            &t->codes, &t->now_tau) < 0)
        return bs_trainer_failed(t, e);
    return 0;
}

static struct bs_code_rows
code_rows(const struct bs_trainer *t)
{
    return (struct bs_code_rows){t->m, 0, t->codes.ptr, t->codes.idx,
                                 t->codes.val};
}

/* Group the codes, and bring the atoms they name up to date. */
static int
gather(struct bs_trainer *t, struct bs_err *e)
{
    const struct bs_code_rows codes = code_rows(t);
    struct bs_adam_grad none = {0};
    size_t n = codes.ptr[t->m], i;
    int r;

    if (bs_dev_group(t->dev, &t->groups, &codes, t->o.concepts) < 0)
        return bs_trainer_failed(t, e);
    r = bs_trainer_room(t, &t->coef, n * sizeof(float), e);
    if (r == 0)
        r = bs_trainer_room(t, &t->dz, n * sizeof(float), e);
    if (r == 0 &&
        bs_dev_put(t->dev, &t->coef, 0, codes.val, n * sizeof(float)) < 0)
        r = bs_trainer_failed(t, e);
    memset(t->slot, 0xff, t->o.concepts * sizeof *t->slot);
    for (i = 0; i < t->groups->n; i++)
        t->slot[t->groups->atom[i]] = (uint32_t)i;
    none.row = t->groups->atom;
    none.n = t->groups->n;
    return r == 0 ? bs_trainer_adam(t, BS_PARAM_DEC_W, t->step, &none, e) : r;
}

static int
reconstruct(struct bs_trainer *t, struct bs_err *e)
{
    const struct bs_code_rows codes = code_rows(t);

    if (bs_dev_decode(t->dev, &codes, &t->param[BS_PARAM_DEC_W].at.p,
                      t->o.concepts, t->o.width, NULL, &t->error) < 0 ||
        bs_dev_residual(t->dev, &t->centred, &t->error, t->m * t->o.width,
                        &t->squares) < 0)
        return bs_trainer_failed(t, e);
    return 0;
}

/* What e^2 is measured by. */
static double
measure(const struct bs_trainer *t)
{
    return t->o.loss == BS_LOSS_FVU ? t->spread
                                    : (double)t->m * (double)t->o.width;
}

/* ---- gradients -------------------------------------------------------------
 */

/* The bias is added to what is decoded, and subtracted from what is encoded:
 * there, the sum over all tokens is a product of W's rows with the gradient of
 * the encoder's bias. */
static int
bias_gradient(struct bs_trainer *t, float scale, struct bs_err *e)
{
    size_t n = t->groups->n, width = t->o.width, bytes = width * sizeof(float);
    size_t i;

    memset(t->row_grad, 0, t->o.concepts * sizeof *t->row_grad);
    if (bs_dev_get(t->dev, t->row_grad, &t->grad_enc_b, 0, n * sizeof(float)) <
        0)
        return bs_trainer_failed(t, e);
    /* To where each belongs: from the last on, none is written over. */
    for (i = n; i-- > 0;)
        if (t->groups->atom[i] != i) {
            t->row_grad[t->groups->atom[i]] = t->row_grad[i];
            t->row_grad[i] = 0;
        }
    if (bs_dev_row_sum(t->dev, &t->error, t->m, width, NULL, (double)scale,
                       &t->bias_grad) < 0 ||
        bs_dev_row_sum(t->dev, &t->param[BS_PARAM_ENC_W].at.p, t->o.concepts,
                       width, t->row_grad, -1, &t->through) < 0 ||
        bs_dev_get(t->dev, t->column, &t->bias_grad, 0, bytes) < 0 ||
        bs_dev_get(t->dev, t->column + width, &t->through, 0, bytes) < 0)
        return bs_trainer_failed(t, e);
    for (i = 0; i < width; i++)
        t->column[i] += t->column[width + i];
    if (bs_dev_put(t->dev, &t->bias_grad, 0, t->column, bytes) < 0)
        return bs_trainer_failed(t, e);
    return 0;
}

static int
gradients(struct bs_trainer *t, struct bs_err *e)
{
    size_t n = t->groups->n, width = t->o.width, bytes;
    float scale = (float)(-2 / measure(t));
    int r;

    if (!bs_mul(n, width * sizeof(float), &bytes))
        return bs_err_memory(e, "gradients", SIZE_MAX);
    r = bs_trainer_room(t, &t->grad_enc, bytes, e);
    if (r == 0)
        r = bs_trainer_room(t, &t->grad_dec, bytes, e);
    if (r == 0)
        r = bs_trainer_room(t, &t->grad_enc_b, n * sizeof(float), e);
    if (r < 0)
        return r;
    if (bs_dev_group_dots(t->dev, t->groups, &t->error,
                          &t->param[BS_PARAM_DEC_W].at.p, t->o.concepts, width,
                          scale, &t->dz) < 0 ||
        bs_dev_group_sum(t->dev, t->groups, &t->coef, &t->error, width, scale,
                         0, &t->grad_dec, NULL) < 0 ||
        bs_dev_group_sum(t->dev, t->groups, &t->dz, &t->centred, width, 1, 0,
                         &t->grad_enc, &t->grad_enc_b) < 0)
        return bs_trainer_failed(t, e);
    if (t->o.dictionary == BS_DICT_UNIT &&
        bs_dev_tangent(t->dev, &t->grad_dec, &t->param[BS_PARAM_DEC_W].at.p,
                       t->groups->atom, n, width) < 0)
        return bs_trainer_failed(t, e);
    return t->o.pre_bias ? bias_gradient(t, scale, e) : 0;
}

static int
add_squares(struct bs_trainer *t, const struct bs_mem *grad, size_t n,
            double *sum, struct bs_err *e)
{
    double squares;

    if (bs_dev_squares(t->dev, grad, n, &squares) < 0)
        return bs_trainer_failed(t, e);
    *sum += squares;
    return 0;
}

static int
measure_norm(struct bs_trainer *t, struct bs_err *e)
{
    size_t n = t->groups->n;
    double sum = 0;
    int r = add_squares(t, &t->grad_enc, n * t->o.width, &sum, e);

    if (r == 0)
        r = add_squares(t, &t->grad_dec, n * t->o.width, &sum, e);
    if (r == 0 && t->o.enc_bias)
        r = add_squares(t, &t->grad_enc_b, n, &sum, e);
    if (r == 0 && t->o.pre_bias)
        r = add_squares(t, &t->bias_grad, t->o.width, &sum, e);
    t->norm = sqrt(sum);
    return r;
}

/* ---- update ----------------------------------------------------------------
 */

static float
clip_factor(const struct bs_trainer *t)
{
    float factor;

    if (!(t->o.clip > 0))
        return 1;
    factor = t->o.clip / ((float)t->norm + 1e-6f);
    return factor < 1 ? factor : 1;
}

static int
update(struct bs_trainer *t, struct bs_err *e)
{
    struct bs_adam_grad dense = {.n = t->o.concepts,
                                 .grad = &t->grad_enc,
                                 .slot = t->slot,
                                 .scale = clip_factor(t)};
    struct bs_adam_grad sparse = {.row = t->groups->atom,
                                  .n = t->groups->n,
                                  .grad = &t->grad_dec,
                                  .scale = dense.scale};
    struct bs_adam_grad bias = {.n = 1, .grad = &t->bias_grad};
    uint32_t now = t->step + 1;
    int r = bs_trainer_adam(t, BS_PARAM_ENC_W, now, &dense, e);

    dense.grad = &t->grad_enc_b;
    if (r == 0)
        r = bs_trainer_adam(t, BS_PARAM_ENC_B, now, &dense, e);
    if (r == 0)
        r = bs_trainer_adam(t, BS_PARAM_DEC_W, now, &sparse, e);
    bias.scale = dense.scale;
    return r == 0 ? bs_trainer_adam(t, BS_PARAM_BIAS, now, &bias, e) : r;
}

static void
commit(struct bs_trainer *t)
{
    float ema = t->o.ema;
    size_t i;

    if (t->o.select == BS_SAE_BATCH_TOPK)
        t->tau =
            t->step == 0 ? t->now_tau : ema * t->tau + (1 - ema) * t->now_tau;
    t->step++;
    t->tokens += t->m;
    for (i = 0; i < t->groups->n; i++)
        t->fired[t->groups->atom[i]] = t->tokens;
}

/* ---- a step ----------------------------------------------------------------
 */

static void
report(const struct bs_trainer *t, struct bs_trainer_metrics *out)
{
    double entries = (double)t->m * (double)t->o.width, mean = 0, all;
    size_t i;

    for (i = 0; i < t->o.width; i++)
        mean += t->mean[i] / (double)t->o.width;
    all = t->spread;
    for (i = 0; i < t->o.width; i++)
        all += (double)t->m * (t->mean[i] - mean) * (t->mean[i] - mean);
    *out = (struct bs_trainer_metrics){
        .step = t->step,
        .tokens = t->tokens,
        .loss = t->loss,
        .rec = t->rec,
        .aux = t->aux,
        .r2 = t->spread > 0 ? 1 - t->squares / t->spread : 0,
        .r2_all = 1 - t->squares / entries / (all / entries + 1e-6),
        .l0 = (double)t->codes.ptr[t->m] / (double)t->m,
        .norm = t->norm,
        .rate = bs_trainer_rate(&t->o, t->step - 1),
    };
    for (i = 0; i < t->o.concepts; i++)
        out->dead += t->tokens - t->fired[i] >= t->o.dead_tokens;
}

/* Unit rows before the first step; every update leaves them so. */
static int
first_projection(struct bs_trainer *t, struct bs_err *e)
{
    size_t i;

    for (i = 0; t->step == 0 && i < BS_PARAMS; i++) {
        struct bs_trainer_tensor *p = &t->param[i];

        if (bs_dev_project(t->dev, p->project, p->radius, &p->at.p, p->at.rows,
                           p->at.cols) < 0)
            return bs_trainer_failed(t, e);
    }
    return 0;
}

static int
lose(struct bs_trainer *t, struct bs_err *e)
{
    t->aux = 0;
    t->rec = t->squares / measure(t);
    t->loss = t->rec + (double)t->o.aux * t->aux;
    if (!isfinite(t->loss))
        return bs_err_set(e, BS_EX_DATA, "the loss is not finite");
    return 0;
}

int
bs_trainer_step(struct bs_trainer *t, const float *x, size_t m,
                struct bs_trainer_metrics *out, struct bs_err *e)
{
    int r = 0;

    if (m == 0)
        r = bs_err_set(e, BS_EX_DATA, "no tokens");
    if (r == 0)
        r = bs_trainer_steps(t, t->step + 1, e);
    if (r == 0)
        r = make_room(t, m, e);
    if (r == 0)
        r = first_projection(t, e);
    if (r == 0)
        r = load(t, x, e);
    if (r == 0)
        r = encode(t, e);
    if (r == 0)
        r = gather(t, e);
    if (r == 0)
        r = reconstruct(t, e);
    if (r == 0)
        r = lose(t, e);
    if (r == 0)
        r = gradients(t, e);
    if (r == 0)
        r = measure_norm(t, e);
    if (r == 0 && !isfinite(t->norm))
        r = bs_err_set(e, BS_EX_DATA, "the gradient is not finite");
    if (r == 0)
        r = update(t, e);
    if (r < 0)
        return bs_err_prefix(e, "step %llu", (unsigned long long)t->step + 1);
    commit(t);
    report(t, out);
    return 0;
}
