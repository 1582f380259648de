/*
 * sae_trainer.c - see sae_trainer.h.  Opening, and one step: forward, loss,
 * gradients, update.
 */
#include "cmd/models/sae_trainer_own.h"

#include "cmd/models/sae_norm.h"
#include "common/mem.h"

#include <inttypes.h>

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
bs_trainer_room(struct bs_trainer *t, struct bs_mem *m, size_t rows,
                size_t cols, struct bs_err *e)
{
    size_t bytes;

    if (!bs_mul(rows, cols, &bytes) || !bs_mul(bytes, sizeof(float), &bytes))
        return bs_err_memory(e, "trainer", SIZE_MAX);
    if (m->p != NULL && bytes <= m->bytes)
        return 0;
    bs_dev_free(t->dev, m);
    return bs_dev_alloc(t->dev, m, bytes) < 0 ? bs_trainer_failed(t, e) : 0;
}

int
bs_trainer_put(struct bs_trainer *t, struct bs_mem *m, const float *from,
               size_t n, struct bs_err *e)
{
    int r = bs_trainer_room(t, m, n, 1, e);

    if (r == 0 && bs_dev_put(t->dev, m, 0, from, n * sizeof *from) < 0)
        r = bs_trainer_failed(t, e);
    return r;
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
    if (o->aux_kind == BS_AUX_AUXK && (o->aux_k == 0 || o->aux_k > 1024))
        return bs_err_set(e, BS_EX_USAGE, "AuxK of %u, 1 to 1024", o->aux_k);
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
    if (o->dictionary == BS_DICT_ARCHETYPAL &&
        (s->ra_c == NULL || s->ra_w == NULL || s->ra_relax == NULL))
        return bs_err_set(e, BS_EX_DATA,
                          "a model without the parts of an archetypal "
                          "dictionary");
    for (c = 0; o->pre_bias && c < s->width; c++)
        if (!(s->pre_b[c] == s->dec_b[c]))
            return bs_err_set(e, BS_EX_DATA,
                              "a model whose pre_b and dec_b differ");
    return 0;
}

/* Moments of 0 and, for lazy rows, no step done. */
static int
clear(struct bs_trainer *t, struct bs_mem *to, size_t n, struct bs_err *e)
{
    float *zero = bs_alloc_array(n, sizeof *zero);
    int r;

    if (zero == NULL)
        return bs_err_memory(e, "moments", n * sizeof *zero);
    r = bs_trainer_put(t, to, zero, n, e);
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
    r = bs_trainer_put(t, &p->at.p, from, n, e);
    if (r == 0)
        r = clear(t, &p->at.m, n, e);
    if (r == 0)
        r = clear(t, &p->at.v, n, e);
    if (r == 0 && p->lazy)
        r = clear(t, &p->at.last, rows, e);
    return r;
}

static int
add_encoder(struct bs_trainer *t, const struct bs_sae *s, struct bs_err *e)
{
    size_t n = s->concepts;
    int r = add_param(t, BS_PARAM_ENC_W, s->enc_w, n, s->width, e);

    if (r == 0)
        r = add_param(t, BS_PARAM_ENC_B, s->enc_b, n, 1, e);
    if (r == 0)
        r = add_param(t, BS_PARAM_LN_G, s->ln_g, n, 1, e);
    if (r == 0)
        r = add_param(t, BS_PARAM_LN_B, s->ln_b, n, 1, e);
    return r == 0 ? add_param(t, BS_PARAM_BIAS, s->pre_b, 1, s->width, e) : r;
}

static int
add_dictionary(struct bs_trainer *t, const struct bs_sae *s, struct bs_err *e)
{
    struct bs_trainer_tensor *p = t->param;
    size_t n = s->concepts;
    int r;

    p[BS_PARAM_DEC_W].lazy = true;
    p[BS_PARAM_RA_W].lazy = p[BS_PARAM_RA_RELAX].lazy = true;
    p[BS_PARAM_RA_W].project = BS_PROJECT_SIMPLEX;
    p[BS_PARAM_RA_RELAX].project = BS_PROJECT_BALL;
    p[BS_PARAM_RA_RELAX].radius = t->o.delta;
    if (t->o.dictionary == BS_DICT_UNIT || t->o.dictionary == BS_DICT_L2)
        p[BS_PARAM_DEC_W].project = BS_PROJECT_UNIT;
    if (t->o.dictionary != BS_DICT_ARCHETYPAL) {
        r = add_param(t, BS_PARAM_DEC_W, s->dec_w, n, s->width, e);
    } else {
        r = add_param(t, BS_PARAM_RA_W, s->ra_w, n, s->points, e);
        if (r == 0)
            r = add_param(t, BS_PARAM_RA_RELAX, s->ra_relax, n, s->width, e);
        if (r == 0 && t->o.multiplier)
            r = add_param(t, BS_PARAM_RA_M, &s->ra_m, 1, 1, e);
    }
    return r == 0 ? bs_trainer_dict_open(t, s, e) : r;
}

static int
prepare(struct bs_trainer *t, const struct bs_sae *s, struct bs_err *e)
{
    size_t concepts = t->o.concepts, width = t->o.width, cols = width;
    int r = add_encoder(t, s, e);

    if (r == 0)
        r = add_dictionary(t, s, e);
    if (r == 0 && t->o.layer_norm) {
        cols = width + BS_NORM_EXTRA;
        r = bs_trainer_norm_open(t, s->ln_eps, e);
    }
    if (r < 0)
        return r;
    t->fired = bs_alloc_array(concepts, sizeof *t->fired);
    t->slot = bs_alloc_array(concepts, sizeof *t->slot);
    t->atoms = bs_alloc_array(concepts, sizeof *t->atoms);
    t->list = bs_alloc_array(concepts, sizeof *t->list);
    t->row_grad = bs_alloc_array(concepts, sizeof *t->row_grad);
    t->host =
        bs_alloc_array(concepts > width ? concepts : width, sizeof *t->host);
    t->mean = bs_alloc_array(width, sizeof *t->mean);
    t->sum = bs_alloc_array(width, 2 * sizeof *t->sum);
    t->dead.w = bs_alloc_array(width, sizeof *t->dead.w);
    if (t->fired == NULL || t->slot == NULL || t->atoms == NULL ||
        t->list == NULL || t->row_grad == NULL || t->host == NULL ||
        t->mean == NULL || t->sum == NULL || t->dead.w == NULL)
        return bs_err_memory(e, "trainer", concepts * sizeof *t->fired);
    return bs_dev_encoder_reserve(t->dev, &t->enc, concepts, cols,
                                  BS_SCREEN_AUTO) < 0
               ? bs_trainer_failed(t, e)
               : 0;
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

static void
close_codes(struct bs_trainer *t, struct bs_trainer_codes *c)
{
    bs_ragged_release(&c->rows);
    bs_dev_groups_free(t->dev, c->groups);
    bs_dev_free(t->dev, &c->error);
    bs_dev_free(t->dev, &c->coef);
    bs_dev_free(t->dev, &c->dz);
    bs_dev_free(t->dev, &c->weight);
}

static void
close_device(struct bs_trainer *t)
{
    struct bs_mem *const all[] = {
        &t->x,         &t->centred,    &t->narrow,    &t->narrow_w,
        &t->idx,       &t->val,        &t->grad_enc,  &t->grad_dec,
        &t->total,     &t->grad_dense, &t->common,    &t->grad_b,
        &t->grad_ln_g, &t->grad_ln_b,  &t->grad_bias, &t->grad_m,
    };
    size_t i;

    for (i = 0; i < BS_LEN(all); i++)
        bs_dev_free(t->dev, all[i]);
    for (i = 0; i < BS_PARAMS; i++) {
        bs_dev_free(t->dev, &t->param[i].at.p);
        bs_dev_free(t->dev, &t->param[i].at.m);
        bs_dev_free(t->dev, &t->param[i].at.v);
        bs_dev_free(t->dev, &t->param[i].at.last);
    }
    bs_dev_encoder_free(t->dev, t->enc);
    bs_dev_encoder_free(t->dev, t->enc_dead);
}

void
bs_trainer_close(struct bs_trainer *t)
{
    size_t i;

    if (t == NULL)
        return;
    close_codes(t, &t->codes);
    close_codes(t, &t->other);
    bs_trainer_norm_close(t);
    bs_trainer_dict_close(t);
    close_device(t);
    for (i = 0; i < BS_LEN(t->lent); i++)
        bs_free(t->lent[i]);
    bs_free(t->steps);
    bs_free(t->fired);
    bs_free(t->slot);
    bs_free(t->atoms);
    bs_free(t->list);
    bs_free(t->row_grad);
    bs_free(t->host);
    bs_free(t->mean);
    bs_free(t->sum);
    bs_free(t->dead.w);
    bs_free(t);
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
        .r2 = t->spread > 0 ? 1 - t->codes.squares / t->spread : 0,
        .r2_all = 1 - t->codes.squares / entries / (all / entries + 1e-6),
        .l0 = (double)t->codes.rows.ptr[t->m] / (double)t->m,
        .norm = t->norm,
        .rate = bs_trainer_rate(&t->o, t->step - 1),
    };
    for (i = 0; i < t->o.concepts; i++)
        out->dead += t->tokens - t->fired[i] >= t->o.dead_tokens;
}

/* Before the first step as every update leaves it. */
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

static void
commit(struct bs_trainer *t)
{
    const struct bs_groups *g = t->codes.groups;
    float ema = t->o.ema;
    size_t i;

    if (t->o.select == BS_SAE_BATCH_TOPK)
        t->tau =
            t->step == 0 ? t->now_tau : ema * t->tau + (1 - ema) * t->now_tau;
    t->step++;
    t->tokens += t->m;
    for (i = 0; i < g->n; i++)
        t->fired[g->atom[i]] = t->tokens;
}

int
bs_trainer_step(struct bs_trainer *t, const float *x, size_t m,
                struct bs_trainer_metrics *out, struct bs_err *e)
{
    int r = 0;

    t->m = m;
    if (m == 0 || m >= UINT32_MAX)
        r = bs_err_set(e, BS_EX_DATA, "%zu tokens", m);
    else if (t->step == UINT32_MAX - 1)
        r = bs_err_set(e, BS_EX_DATA, "too many steps");
    if (r == 0)
        r = bs_trainer_steps(t, t->step + 1, e);
    if (r == 0)
        r = first_projection(t, e);
    if (r == 0)
        r = bs_trainer_forward(t, x, e);
    if (r == 0)
        r = bs_trainer_backward(t, e);
    if (r == 0)
        r = bs_trainer_update(t, e);
    if (r < 0)
        return bs_err_prefix(e, "step %" PRIu32, t->step + 1);
    commit(t);
    report(t, out);
    return 0;
}
