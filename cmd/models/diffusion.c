/*
 * diffusion.c - from captions and noise to images: see diffusion.h.
 */

#include "cmd/models/diffusion_own.h"

/* ---- text -----------------------------------------------------------------
 */

int
bs_diffusion_encode(struct bs_diffusion *d, struct bs_diffusion_job *jobs,
                    size_t count, size_t first, struct bs_err *e)
{
    size_t row = d->tokens * d->hidden * sizeof(float), i;
    struct bs_mem to = bs_mem_from(&d->context, first * row);
    int r = 0;

    for (i = 0; i < count && r == 0; i++)
        r = bs_clip_bpe_encode(d->tokenizer, jobs[i].caption,
                               strlen(jobs[i].caption), d->ids + i * d->tokens,
                               &jobs[i].tokens, e);
    return r < 0 ? r
                 : bs_clip_text_forward(d->text, d->ids, count, d->tokens, &to,
                                        e);
}

int
bs_diffusion_count(struct bs_diffusion *d, const char *caption, size_t *tokens,
                   struct bs_err *e)
{
    return bs_clip_bpe_encode(d->tokenizer, caption, strlen(caption), d->ids,
                              tokens, e);
}

/* The context of a batch: the unconditional ones first. */
static int
prepare_text(struct bs_diffusion *d, struct bs_diffusion_job *jobs,
             size_t count, struct bs_err *e)
{
    size_t row = d->tokens * d->hidden * sizeof(float);
    size_t first = d->guided ? count : 0, i;
    int r = bs_diffusion_encode(d, jobs, count, first, e);

    for (i = 0; i < first && r == 0; i++)
        if (bs_dev_put(d->dev, &d->context, i * row, d->negative, row) < 0)
            r = bs_diffusion_failed(d, e);
    return r < 0 ? r
                 : bs_unet_context(d->unet, &d->context, first + count,
                                   d->tokens, e);
}

/* ---- latents --------------------------------------------------------------
 */

/* [channels, pixels] to [pixels, channels], and back. */
static void
channels_last(const struct bs_diffusion *d, const float *x, float *y)
{
    size_t pixels = d->height * d->width, i, c;

    for (c = 0; c < d->channels; c++)
        for (i = 0; i < pixels; i++)
            y[i * d->channels + c] = x[c * pixels + i];
}

static void
channels_first(const struct bs_diffusion *d, const float *x, float *y)
{
    size_t pixels = d->height * d->width, i, c;

    for (c = 0; c < d->channels; c++)
        for (i = 0; i < pixels; i++)
            y[c * pixels + i] = x[i * d->channels + c];
}

static void
draw(struct bs_diffusion *d, size_t i, float *to)
{
    bs_draws_next(&d->draws[i], d->drawn, d->values);
    channels_last(d, d->drawn, to);
}

static void
start_sample(struct bs_diffusion *d, const struct bs_diffusion_job *jobs,
             size_t count)
{
    float deviation = bs_scheduler_start(d->scheduler);
    size_t i;

    for (i = 0; i < count; i++) {
        const struct bs_diffusion_job *j = &jobs[i];
        float *x = d->sample + i * d->values;

        if (j->draws != NULL)
            d->draws[i] = *j->draws;
        else
            bs_draws_seed(&d->draws[i], d->options.noise, j->seed);
        if (j->noise != NULL)
            channels_last(d, j->noise, x);
        else
            draw(d, i, x);
    }
    for (i = 0; i < count * d->values; i++)
        d->sample[i] *= deviation;
}

int
bs_diffusion_skip(const struct bs_diffusion *d, struct bs_draws *draws,
                  struct bs_err *e)
{
    size_t times = 1, i;
    float *room = bs_alloc_array(d->values, sizeof *room);

    if (room == NULL)
        return bs_err_memory(e, "noise", d->values * sizeof *room);
    if (bs_scheduler_noisy(d->scheduler))
        times += bs_diffusion_evaluations(d);
    for (i = 0; i < times; i++)
        bs_draws_next(draws, room, d->values);
    bs_free(room);
    return 0;
}

/* ---- steps ----------------------------------------------------------------
 */

/* d->prediction for d->sample: with guidance, away from the unconditional one.
 */
static int
predict(struct bs_diffusion *d, size_t step, size_t count, struct bs_err *e)
{
    size_t n = count * d->values, all = d->guided ? 2 * n : n, i;
    size_t bytes = all * sizeof(float);
    float scale = (float)d->options.guidance, *p = d->prediction;
    int r;

    bs_scheduler_input(d->scheduler, d->sample, d->input);
    if (d->guided)
        memcpy(d->input + n, d->input, n * sizeof(float));
    if (bs_dev_put(d->dev, &d->latents, 0, d->input, bytes) < 0)
        return bs_diffusion_failed(d, e);
    r = bs_unet_forward(d->unet, step, &d->latents, &d->latents, e);
    if (r < 0)
        return r;
    if (bs_dev_get(d->dev, p, &d->latents, 0, bytes) < 0)
        return bs_diffusion_failed(d, e);
    for (i = 0; d->guided && i < n; i++)
        p[i] += scale * (p[n + i] - p[i]);
    return 0;
}

static int
denoise(struct bs_diffusion *d, size_t count, bs_diffusion_step *fn, void *user,
        struct bs_err *e)
{
    size_t steps = bs_diffusion_evaluations(d), i, k;
    bool noisy = bs_scheduler_noisy(d->scheduler);
    int r = bs_scheduler_begin(d->scheduler, count * d->values, e);

    for (k = 0; k < steps && r == 0; k++) {
        if (fn != NULL && (r = fn(user, k, steps)) != 0)
            return r;
        r = predict(d, k, count, e);
        if (r < 0)
            return r;
        for (i = 0; noisy && i < count; i++)
            draw(d, i, d->noise + i * d->values);
        bs_scheduler_step(d->scheduler, d->prediction, noisy ? d->noise : NULL,
                          d->sample);
    }
    return r;
}

/* ---- images ---------------------------------------------------------------
 */

static int
decode(struct bs_diffusion *d, const float *x, struct bs_diffusion_job *j,
       struct bs_err *e)
{
    const struct bs_diffusion_options *o = &d->options;
    size_t n = o->width * o->height * d->out;
    int r;

    if (j->latents != NULL)
        channels_first(d, x, j->latents);
    if (bs_dev_put(d->dev, &d->latents, 0, x, d->values * sizeof *x) < 0)
        return bs_diffusion_failed(d, e);
    r = bs_vae_decode(d->vae, &d->latents, d->image, e);
    if (r < 0)
        return r;
    if (!bs_finite(x, d->values) || !bs_finite(d->image, n))
        return bs_err_set(e, BS_EX_DATA,
                          "an image is not finite (are the model's weights "
                          "damaged?)");
    bs_vae_bytes(j->rgb, d->image, n);
    j->flagged = false;
    return d->safety == NULL ? 0
                             : bs_safety_check(d->safety, j->rgb, o->height,
                                               o->width, &j->flagged, NULL, e);
}

int
bs_diffusion_generate(struct bs_diffusion *d, struct bs_diffusion_job *jobs,
                      size_t count, bs_diffusion_step *step, void *user,
                      struct bs_err *e)
{
    size_t i;
    int r;

    if (count == 0)
        return 0;
    if (count > d->options.batch)
        return bs_err_set(e, BS_EX_SOFTWARE, "%zu images at once, %zu at most",
                          count, d->options.batch);
    r = prepare_text(d, jobs, count, e);
    if (r < 0)
        return r;
    start_sample(d, jobs, count);
    r = denoise(d, count, step, user, e);
    for (i = 0; i < count && r == 0; i++)
        r = decode(d, d->sample + i * d->values, &jobs[i], e);
    return r;
}
