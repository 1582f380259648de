/*
 * sae_trainer_state.c - a trainer's state: out as a model and a document, and
 * in again.
 */
#include "cmd/models/sae_trainer_own.h"

#include "common/mem.h"
#include "common/num.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>

static const char *const names[BS_PARAMS] = {"enc_w",    "enc_b", "ln_g",
                                             "ln_b",     "dec_w", "ra_w",
                                             "ra_relax", "ra_m",  "bias"};

static size_t
count(const struct bs_trainer_tensor *p)
{
    return p->at.rows * p->at.cols;
}

/* ---- model -----------------------------------------------------------------
 */

int
bs_trainer_model(struct bs_trainer *t, struct bs_sae *out, struct bs_err *e)
{
    const struct {
        enum bs_trainer_param which;
        float **to;
    } parts[] = {
        {BS_PARAM_ENC_W, &out->enc_w}, {BS_PARAM_ENC_B, &out->enc_b},
        {BS_PARAM_LN_G, &out->ln_g},   {BS_PARAM_LN_B, &out->ln_b},
        {BS_PARAM_BIAS, &out->pre_b},  {BS_PARAM_BIAS, &out->dec_b},
    };
    size_t i;
    int r = bs_trainer_catch_up(t, e);

    *out = (struct bs_sae){
        .concepts = t->o.concepts,
        .width = t->o.width,
        .select = t->o.select,
        .k = t->o.k,
        .tau = t->tau,
        .ln_eps = bs_trainer_norm_eps(t),
    };
    snprintf(out->name, sizeof out->name, "%s", t->name);
    for (i = 0; r == 0 && i < BS_LEN(parts); i++) {
        const struct bs_trainer_tensor *p = &t->param[parts[i].which];

        r = bs_trainer_get(t, &p->at.p, count(p), parts[i].to, e);
    }
    if (r == 0)
        r = bs_trainer_dict_model(t, out, e);
    if (r < 0)
        bs_sae_release(out);
    return r;
}

/* ---- saving ----------------------------------------------------------------
 */

/* The memory itself where the host can read it, else a copy kept in *lent. */
static int
lend(struct bs_trainer *t, const struct bs_mem *m, size_t bytes, void **lent,
     const void **out, struct bs_err *e)
{
    *out = bs_dev_host(t->dev, m);
    if (*out != NULL)
        return 0;
    bs_free(*lent);
    *lent = bs_alloc(bytes);
    if (*lent == NULL)
        return bs_err_memory(e, "moments", bytes);
    *out = *lent;
    return bs_dev_get(t->dev, *lent, m, 0, bytes) < 0 ? bs_trainer_failed(t, e)
                                                      : 0;
}

static int
save_moment(struct bs_trainer *t, struct bs_doc *doc, size_t which,
            const char *moment, const struct bs_mem *m, void **lent,
            struct bs_err *e)
{
    const struct bs_trainer_tensor *p = &t->param[which];
    uint64_t shape[2] = {p->at.rows, p->at.cols};
    const void *data;
    char name[40];
    int r = lend(t, m, count(p) * sizeof(float), lent, &data, e);

    snprintf(name, sizeof name, "opt.%s.%s", names[which], moment);
    return r < 0 ? r : bs_doc_put(doc, name, BS_DTYPE_F32, 2, shape, data, e);
}

int
bs_trainer_save(struct bs_trainer *t, struct bs_doc *doc, struct bs_err *e)
{
    uint64_t concepts = t->o.concepts;
    int r = bs_trainer_catch_up(t, e);
    size_t i;

    for (i = 0; r == 0 && i < BS_PARAMS; i++) {
        const struct bs_trainer_tensor *p = &t->param[i];

        if (p->at.cols == 0)
            continue;
        r = save_moment(t, doc, i, "m", &p->at.m, &t->lent[2 * i], e);
        if (r == 0)
            r = save_moment(t, doc, i, "v", &p->at.v, &t->lent[2 * i + 1], e);
    }
    if (r == 0)
        r = bs_doc_put(doc, "opt.fired", BS_DTYPE_U64, 1, &concepts, t->fired,
                       e);
    if (r == 0)
        r = bs_doc_setf(doc, "opt.step", e, "%" PRIu32, t->step);
    if (r == 0)
        r = bs_doc_setf(doc, "opt.tokens", e, "%" PRIu64, t->tokens);
    if (r == 0)
        r = bs_doc_setf(doc, "opt.tau", e, "%.9g", (double)t->tau);
    return r;
}

/* ---- restoring -------------------------------------------------------------
 */

static int
find(const struct bs_doc *doc, const char *name, enum bs_dtype type,
     size_t count, const struct bs_tensor **out, struct bs_err *e)
{
    const struct bs_tensor *f = bs_doc_tensor(doc, name);

    if (f == NULL)
        return bs_err_set(e, BS_EX_DATA, "tensor '%s' is missing", name);
    if (f->dtype != type || f->bytes != count * bs_dtype_size(type))
        return bs_err_set(e, BS_EX_DATA,
                          "tensor '%s': %s of %zu bytes, not %s "
                          "of %zu",
                          name, bs_dtype_name(f->dtype), f->bytes,
                          bs_dtype_name(type), count * bs_dtype_size(type));
    *out = f;
    return 0;
}

static int
restore_moment(struct bs_trainer *t, const struct bs_doc *doc, size_t which,
               const char *moment, struct bs_mem *m, struct bs_err *e)
{
    const struct bs_trainer_tensor *p = &t->param[which];
    const struct bs_tensor *f;
    bool square = strcmp(moment, "v") == 0;
    char name[40];
    size_t i;
    int r;

    snprintf(name, sizeof name, "opt.%s.%s", names[which], moment);
    r = find(doc, name, BS_DTYPE_F32, count(p), &f, e);
    for (i = 0; r == 0 && i < count(p); i++) {
        float value;

        memcpy(&value, (const char *)f->data + i * sizeof value, sizeof value);
        if (!isfinite(value) || (square && value < 0))
            r = bs_err_set(e, BS_EX_DATA, "tensor '%s': value %zu is %g", name,
                           i, (double)value);
    }
    if (r == 0 && bs_dev_put(t->dev, m, 0, f->data, f->bytes) < 0)
        r = bs_trainer_failed(t, e);
    return r;
}

static int
read_number(const struct bs_doc *doc, const char *name, uint64_t most,
            uint64_t *out, struct bs_err *e)
{
    const char *text = bs_doc_meta(doc, name);
    const char *why =
        text != NULL ? bs_num_u64(text, 0, most, out) : "is missing";

    return why == NULL
               ? 0
               : bs_err_set(e, BS_EX_DATA, "metadata '%s': %s", name, why);
}

static int
restore_counters(struct bs_trainer *t, const struct bs_doc *doc,
                 struct bs_err *e)
{
    const char *tau = bs_doc_meta(doc, "opt.tau"), *why = "is missing";
    const struct bs_tensor *fired;
    uint64_t step, tokens;
    double value = 0;
    size_t i;
    int r = read_number(doc, "opt.step", UINT32_MAX - 1, &step, e);

    if (r == 0)
        r = read_number(doc, "opt.tokens", UINT64_MAX, &tokens, e);
    if (tau != NULL)
        why = bs_num_f64(tau, 0, FLT_MAX, &value);
    if (r == 0 && why != NULL)
        r = bs_err_set(e, BS_EX_DATA, "metadata 'opt.tau': %s", why);
    if (r == 0)
        r = find(doc, "opt.fired", BS_DTYPE_U64, t->o.concepts, &fired, e);
    if (r < 0)
        return r;
    memcpy(t->fired, fired->data, fired->bytes);
    for (i = 0; i < t->o.concepts; i++)
        if (t->fired[i] > tokens)
            return bs_err_set(
                e, BS_EX_DATA,
                "tensor 'opt.fired': value %zu is past the %" PRIu64 " tokens",
                i, tokens);
    t->step = (uint32_t)step;
    t->tokens = tokens;
    t->tau = (float)value;
    return 0;
}

/* All rows are at the step. */
static int
set_last(struct bs_trainer *t, struct bs_trainer_tensor *p, struct bs_err *e)
{
    uint32_t *last;
    size_t i, bytes = p->at.rows * sizeof *last;
    int r = 0;

    if (!p->lazy || p->at.cols == 0)
        return 0;
    last = bs_alloc(bytes);
    if (last == NULL)
        return bs_err_memory(e, "steps", bytes);
    for (i = 0; i < p->at.rows; i++)
        last[i] = t->step;
    if (bs_dev_put(t->dev, &p->at.last, 0, last, bytes) < 0)
        r = bs_trainer_failed(t, e);
    bs_free(last);
    return r;
}

int
bs_trainer_restore(struct bs_trainer *t, const struct bs_doc *doc,
                   struct bs_err *e)
{
    int r = restore_counters(t, doc, e);
    size_t i;

    for (i = 0; r == 0 && i < BS_PARAMS; i++) {
        struct bs_trainer_tensor *p = &t->param[i];

        if (p->at.cols == 0)
            continue;
        r = restore_moment(t, doc, i, "m", &p->at.m, e);
        if (r == 0)
            r = restore_moment(t, doc, i, "v", &p->at.v, e);
        if (r == 0)
            r = set_last(t, p, e);
    }
    return r;
}
