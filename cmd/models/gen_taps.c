/*
 * gen_taps.c - see gen_taps.h.  Memory: for each image of a batch, f32, all
 * updates that are tapped.
 */
#include "cmd/models/gen_taps.h"

#include <math.h>

#include "cmd/models/gen_steps.h"
#include "formats/json.h"

struct tap {
    struct bs_unet_block block;
    const char *spec;
    bool uncond;
    bool *chosen; /* [evaluations] */
    size_t steps; /* chosen */
    size_t values;
    float *data; /* [batch, steps, values] */
};

struct bs_gen_taps {
    struct bs_diffusion *model;
    struct bs_dev *dev;
    enum bs_dtype dtype;
    size_t count;
    struct tap *tap;
    bool plain;    /* records have their images' keys */
    void *written; /* the values of a record in its type */
};

/* ---- open -----------------------------------------------------------------
 */

static int
find_block(struct tap *t, const char *name, const struct bs_diffusion *d,
           struct bs_err *e)
{
    const struct bs_unet_block *b;
    char names[300] = "";
    size_t i, n = 0;

    for (i = 0; (b = bs_diffusion_block(d, i)) != NULL; i++) {
        if (strcmp(b->name, name) == 0) {
            t->block = *b;
            t->values = b->height * b->width * b->channels;
            return 0;
        }
        if (n < sizeof names)
            n += (size_t)snprintf(names + n, sizeof names - n, "%s%s",
                                  i > 0 ? ", " : "", b->name);
    }
    return bs_err_set(e, BS_EX_USAGE, "no block '%.60s'; there are %s", name,
                      names);
}

/* BLOCK@STEPS[:cond|uncond] */
static int
parse(struct tap *t, const char *spec, const struct bs_diffusion *d,
      struct bs_err *e)
{
    size_t count = bs_diffusion_evaluations(d);
    char text[300], *at, *side;
    ptrdiff_t steps;
    int r;

    t->spec = spec;
    if (snprintf(text, sizeof text, "%s", spec) >= (int)sizeof text)
        return bs_err_set(e, BS_EX_USAGE, "too long");
    at = strchr(text, '@');
    if (at == NULL)
        return bs_err_set(e, BS_EX_USAGE, "not BLOCK@STEPS[:cond|uncond]");
    *at++ = '\0';
    side = strchr(at, ':');
    if (side != NULL)
        *side++ = '\0';
    t->uncond = side != NULL && strcmp(side, "uncond") == 0;
    if (side != NULL && !t->uncond && strcmp(side, "cond") != 0)
        return bs_err_set(e, BS_EX_USAGE, "neither 'cond' nor 'uncond'");
    if (t->uncond && !bs_diffusion_guided(d))
        return bs_err_set(e, BS_EX_USAGE,
                          "without guidance there is no 'uncond'");
    r = find_block(t, text, d, e);
    if (r < 0)
        return r;
    t->chosen = bs_alloc_array(count, sizeof *t->chosen);
    if (t->chosen == NULL)
        return bs_err_memory(e, "steps", count);
    steps = bs_gen_steps(t->chosen, count, at, e);
    t->steps = steps > 0 ? (size_t)steps : 0;
    return steps < 0 ? (int)steps : 0;
}

static int
alloc_tap(struct tap *t, size_t batch, struct bs_err *e)
{
    size_t n;

    if (!bs_mul(batch, t->steps, &n) || !bs_mul(n, t->values, &n))
        return bs_err_memory(e, "taps", SIZE_MAX);
    t->data = bs_alloc_array(n, sizeof *t->data);
    return t->data != NULL ? 0 : bs_err_memory(e, "taps", n * sizeof *t->data);
}

static int
plan(struct bs_gen_taps *t, const char *const *spec, struct bs_err *e)
{
    size_t batch = bs_diffusion_options(t->model)->batch, most = 0, i;
    int r = 0;

    for (i = 0; i < t->count && r == 0; i++) {
        r = parse(&t->tap[i], spec[i], t->model, e);
        if (r < 0)
            return bs_err_prefix(e, "tap '%.100s'", spec[i]);
        r = alloc_tap(&t->tap[i], batch, e);
        most = t->tap[i].values > most ? t->tap[i].values : most;
    }
    if (r < 0)
        return r;
    t->plain = t->count == 1 && t->tap[0].steps == 1;
    t->written = bs_alloc_array(most, sizeof(float));
    return t->written != NULL ? 0 : bs_err_memory(e, "taps", most);
}

int
bs_gen_taps_open(struct bs_gen_taps **out, const char *const *spec,
                 size_t count, enum bs_dtype dtype, struct bs_diffusion *d,
                 struct bs_dev *dev, struct bs_err *e)
{
    struct bs_gen_taps *t = bs_alloc_array(1, sizeof *t);
    int r;

    *out = NULL;
    if (t == NULL)
        return bs_err_memory(e, "taps", sizeof *t);
    t->model = d;
    t->dev = dev;
    t->dtype = dtype;
    t->count = count;
    t->tap = bs_alloc_array(count, sizeof *t->tap);
    r = t->tap == NULL ? bs_err_memory(e, "taps", count * sizeof *t->tap)
                       : plan(t, spec, e);
    if (r < 0) {
        bs_gen_taps_close(t);
        return r;
    }
    *out = t;
    return 0;
}

void
bs_gen_taps_close(struct bs_gen_taps *t)
{
    size_t i;

    if (t == NULL)
        return;
    for (i = 0; t->tap != NULL && i < t->count; i++) {
        bs_free(t->tap[i].chosen);
        bs_free(t->tap[i].data);
    }
    bs_free(t->tap);
    bs_free(t->written);
    bs_free(t);
}

const char *
bs_gen_taps_block(const struct bs_gen_taps *t, size_t i)
{
    return t != NULL && i < t->count ? t->tap[i].block.name : NULL;
}

size_t
bs_gen_taps_suffix(const struct bs_gen_taps *t)
{
    return t == NULL || t->plain
               ? 0
               : sizeof t->tap->block.name + sizeof "/uncond/" + sizeof "65536";
}

int
bs_gen_taps_json(const struct bs_gen_taps *t, struct bs_buf *out,
                 struct bs_err *e)
{
    size_t i;
    int r = bs_buf_str(out, "[", e);

    for (i = 0; i < t->count && r == 0; i++) {
        if (i > 0)
            r = bs_buf_str(out, ",", e);
        if (r == 0)
            r = bs_json_quote(out, t->tap[i].spec, e);
    }
    return r < 0 ? r : bs_buf_str(out, "]", e);
}

/* ---- updates --------------------------------------------------------------
 */

/* The place of a step among those that are chosen. */
static size_t
place_of(const struct tap *t, size_t step)
{
    size_t n = 0, i;

    for (i = 0; i < step; i++)
        n += t->chosen[i];
    return n;
}

int
bs_gen_taps_take(struct bs_gen_taps *t, const struct bs_unet_block *block,
                 size_t step, size_t batch, const struct bs_mem *update,
                 struct bs_err *e)
{
    size_t images = bs_diffusion_guided(t->model) ? batch / 2 : batch, i, k;

    for (i = 0; i < t->count; i++) {
        const struct tap *a = &t->tap[i];
        size_t first = bs_diffusion_guided(t->model) && !a->uncond ? images : 0;
        size_t bytes = a->values * sizeof(float), at = place_of(a, step);

        if (!a->chosen[step] || strcmp(a->block.name, block->name) != 0)
            continue;
        for (k = 0; k < images; k++)
            if (bs_dev_get(t->dev, a->data + (k * a->steps + at) * a->values,
                           update, (first + k) * bytes, bytes) < 0) {
                *e = *bs_dev_error(t->dev);
                return -e->code;
            }
    }
    return 0;
}

/* ---- records --------------------------------------------------------------
 */

static int
set_key(const struct bs_gen_taps *t, const struct tap *a, size_t step,
        struct bs_doc *rec, const char *key, struct bs_err *e)
{
    char block[sizeof a->block.name], *p;

    if (t->plain)
        return bs_doc_set(rec, "key", key, e);
    snprintf(block, sizeof block, "%s", a->block.name);
    for (p = block; *p != '\0'; p++)
        *p = *p == '.' ? '-' : *p;
    return bs_doc_setf(rec, "key", e, "%s/%s/%s/%zu", key, block,
                       a->uncond ? "uncond" : "cond", step);
}

static int
set_place(const struct bs_gen_taps *t, const struct tap *a, size_t step,
          struct bs_doc *rec, struct bs_err *e)
{
    int r =
        bs_doc_setf(rec, "grid", e, "%zux%zu", a->block.height, a->block.width);

    if (r == 0)
        r = bs_doc_set(rec, "prefix", "0", e);
    if (r == 0)
        r = bs_doc_set(rec, "block", a->block.name, e);
    if (r == 0)
        r = bs_doc_set(rec, "side", a->uncond ? "uncond" : "cond", e);
    if (r == 0)
        r = bs_doc_setf(rec, "step", e, "%zu", step);
    return r < 0 ? r
                 : bs_doc_setf(rec, "timestep", e, "%.9g",
                               bs_diffusion_time(t->model, step));
}

static int
put_values(struct bs_gen_taps *t, const struct tap *a, const float *x,
           struct bs_doc *rec, struct bs_err *e)
{
    /* the least that rounds to infinity; bf16 and f32 have the same range but
     * for a last half step */
    float limit = t->dtype == BS_DTYPE_F16 ? 65520.0f : INFINITY;
    uint64_t shape[2] = {a->block.height * a->block.width, a->block.channels};
    size_t i;
    int odd = 0;

    for (i = 0; i < a->values; i++)
        odd |= !(fabsf(x[i]) < limit);
    if (odd)
        return bs_err_set(e, BS_EX_DATA, "an update is too large for %s",
                          bs_dtype_name(t->dtype));
    bs_from_f32(t->written, t->dtype, x, a->values);
    return bs_doc_put(rec, "x", t->dtype, 2, shape, t->written, e);
}

int
bs_gen_taps_emit(struct bs_gen_taps *t, size_t i, const char *key,
                 const char *caption,
                 int (*record)(void *arg, const struct bs_doc *rec), void *arg,
                 struct bs_err *e)
{
    size_t count = bs_diffusion_evaluations(t->model), k, s, at;
    int r = 0;

    for (k = 0; k < t->count && r == 0; k++) {
        const struct tap *a = &t->tap[k];

        for (s = 0, at = 0; s < count && r == 0; s++) {
            struct bs_doc rec = {0};

            if (!a->chosen[s])
                continue;
            r = set_key(t, a, s, &rec, key, e);
            if (r == 0)
                r = bs_doc_set(&rec, "caption", caption, e);
            if (r == 0)
                r = set_place(t, a, s, &rec, e);
            if (r == 0)
                r = put_values(t, a, a->data + (i * a->steps + at) * a->values,
                               &rec, e);
            if (r < 0)
                (void)bs_err_prefix(e, "image '%s', block '%s', step %zu", key,
                                    a->block.name, s);
            if (r == 0)
                r = record(arg, &rec);
            bs_doc_release(&rec);
            at++;
        }
    }
    return r;
}
