/*
 * gen_hooks.c - see gen_hooks.h.
 */
#include "cmd/models/gen_hooks.h"

#include "cmd/models/gen_steer.h"
#include "formats/json.h"

struct bs_gen_hooks {
    struct bs_gen_taps *taps;
    struct bs_gen_steer **steer;
    size_t steers;
};

/* ---- updates --------------------------------------------------------------
 */

static int
on_update(void *user, const struct bs_unet_block *block, size_t step,
          size_t batch, struct bs_mem *update, struct bs_err *e)
{
    struct bs_gen_hooks *h = user;
    size_t i;
    int r = 0;

    for (i = 0; i < h->steers && r == 0; i++)
        if (strcmp(bs_gen_steer_block(h->steer[i]), block->name) == 0)
            r = bs_gen_steer_apply(h->steer[i], step, batch, update, e);
    if (r == 0 && h->taps != NULL)
        r = bs_gen_taps_take(h->taps, block, step, batch, update, e);
    return r;
}

static int
watch(struct bs_gen_hooks *h, struct bs_diffusion *d, struct bs_err *e)
{
    const char *block;
    size_t i;
    int r = 0;

    for (i = 0; i < h->steers && r == 0; i++)
        r = bs_diffusion_watch(d, bs_gen_steer_block(h->steer[i]), on_update, h,
                               e);
    for (i = 0; (block = bs_gen_taps_block(h->taps, i)) != NULL && r == 0; i++)
        r = bs_diffusion_watch(d, block, on_update, h, e);
    return r;
}

/* ---- open -----------------------------------------------------------------
 */

int
bs_gen_hooks_open(struct bs_gen_hooks **out,
                  const struct bs_gen_options *options, struct bs_diffusion *d,
                  struct bs_dev *dev, struct bs_err *e)
{
    struct bs_gen_hooks *h;
    size_t i;
    int r = 0;

    *out = NULL;
    if (options->taps == 0 && options->steers == 0)
        return 0;
    h = bs_alloc_array(1, sizeof *h);
    if (h == NULL)
        return bs_err_memory(e, "hooks", sizeof *h);
    h->steer = bs_alloc_array(options->steers, sizeof *h->steer);
    if (h->steer == NULL)
        r = bs_err_memory(e, "hooks", options->steers * sizeof *h->steer);
    for (i = 0; i < options->steers && r == 0; i++) {
        r = bs_gen_steer_open(&h->steer[i], options->steer[i], d, dev, e);
        h->steers += r == 0;
    }
    if (r == 0 && options->taps > 0)
        r = bs_gen_taps_open(&h->taps, options->tap, options->taps,
                             options->tap_dtype, d, dev, e);
    if (r == 0)
        r = watch(h, d, e);
    if (r < 0) {
        bs_gen_hooks_close(h);
        return r;
    }
    *out = h;
    return 0;
}

void
bs_gen_hooks_close(struct bs_gen_hooks *h)
{
    size_t i;

    if (h == NULL)
        return;
    for (i = 0; i < h->steers; i++)
        bs_gen_steer_close(h->steer[i]);
    bs_free(h->steer);
    bs_gen_taps_close(h->taps);
    bs_free(h);
}

struct bs_gen_taps *
bs_gen_hooks_taps(struct bs_gen_hooks *h)
{
    return h != NULL ? h->taps : NULL;
}

/* ---- bs.params ------------------------------------------------------------
 */

/* Append a text as canonical JSON says it. */
static int
add_text(struct bs_buf *b, const char *name, const char *text, struct bs_err *e)
{
    int r = bs_buf_printf(b, e, "\"%s\":", name);

    return r < 0 ? r : bs_json_quote(b, text, e);
}

/* What images depend on, up to the mode of the seeds. */
static int
add_images(struct bs_buf *b, const struct bs_gen_options *o,
           const struct bs_diffusion_options *m, struct bs_err *e)
{
    int r = bs_buf_printf(b, e,
                          "\"eta\":%.9g,\"format\":\"%s\",\"height\":%zu,"
                          "\"latents\":%s,",
                          m->eta, bs_gen_format_names[o->format], m->height,
                          o->latents ? "true" : "false");

    if (r == 0)
        r = add_text(b, "negative", m->negative, e);
    if (r == 0)
        r = bs_buf_printf(
            b, e,
            ",\"noise\":\"%s\",\"per_caption\":%zu,\"safety\":\"%s\","
            "\"scale\":%.9g,",
            o->given_noise ? "record" : bs_draws_names[m->noise],
            o->per_caption, m->safety ? bs_gen_safety_names[o->safety] : "none",
            m->guidance);
    if (r == 0)
        r = add_text(b, "scheduler", m->scheduler, e);
    return r < 0 ? r
                 : bs_buf_printf(b, e, ",\"seed_mode\":\"%s\"",
                                 bs_gen_seeds_names[o->seeds]);
}

static int
add_steers(struct bs_buf *b, const struct bs_gen_hooks *h, struct bs_err *e)
{
    size_t i;
    int r = 0;

    if (h == NULL || h->steers == 0)
        return 0;
    for (i = 0; i < h->steers && r == 0; i++)
        r = bs_buf_printf(b, e, "%s%s", i == 0 ? ",\"steer\":[" : ",",
                          bs_gen_steer_json(h->steer[i]));
    return r < 0 ? r : bs_buf_str(b, "]", e);
}

static int
add_taps(struct bs_buf *b, const struct bs_gen_hooks *h, struct bs_err *e)
{
    int r = bs_buf_str(b, ",\"taps\":", e);

    return r < 0 ? r : bs_gen_taps_json(h->taps, b, e);
}

int
bs_gen_params_write(struct bs_buf *b, const struct bs_gen_options *o,
                    const struct bs_diffusion_options *m,
                    const struct bs_gen_hooks *h, bool taps, struct bs_err *e)
{
    static const char *const tokenizers[] = {"auto", "slow", "fast"};
    int r = bs_buf_str(b, "{", e);

    if (r == 0 && taps)
        r = bs_buf_printf(b, e, "\"dtype\":\"%s\",",
                          bs_dtype_name(o->tap_dtype));
    if (r == 0)
        r = add_images(b, o, m, e);
    if (r == 0)
        r = add_steers(b, h, e);
    if (r == 0)
        r = bs_buf_printf(b, e, ",\"steps\":%zu", m->steps);
    if (r == 0 && taps)
        r = add_taps(b, h, e);
    if (r == 0)
        r = bs_buf_printf(b, e, ",\"tokenizer\":\"%s\",\"width\":%zu}",
                          tokenizers[m->tokenizer], m->width);
    return r < 0 ? r : bs_buf_add(b, "", 1, e);
}
