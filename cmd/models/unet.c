/*
 * unet.c - a forward pass of UNet2DConditionModel on a device, and what does
 * not change from pass to pass.  See unet_plan.c for where the images are.
 */
#include "cmd/models/unet_own.h"

#include "common/mem.h"

#include <math.h>

/* ---- timesteps ------------------------------------------------------------
 */

/* The sinusoids of a timestep, each operation in f32, as the reference. */
static void
sinusoids(const struct bs_unet_config *c, float *out, double timestep)
{
    size_t half = c->level[0].channels / 2, i;
    size_t cosine = c->cosine_first ? 0 : half;

    for (i = 0; i < half; i++) {
        float exponent = (float)-log(10000) * (float)i;
        float rate = expf(exponent / (float)((double)half - c->freq_shift));
        float angle = (float)timestep * rate;

        out[cosine + i] = cosf(angle);
        out[half - cosine + i] = sinf(angle);
    }
}

/* The columns of a stage's resnets. */
static int
stage_times(struct bs_unet *m, const struct bs_unet_stage *s,
            const struct bs_mem *embedding, size_t count)
{
    size_t at = s->time_at, i;
    int r = 0;

    for (i = 0; i < s->layers && r == 0; i++) {
        const struct bs_resnet *n = &s->resnet[i];
        struct bs_mem column = bs_mem_from(&m->times, at * sizeof(float));

        r = bs_dev_gemm(m->dev, n->time.weight, embedding, m->config.time,
                        &column, m->weights.times, count, &n->time.bias,
                        BS_EPI_NONE, NULL);
        at += n->out;
    }
    return r;
}

/* in: [count, channels] sinusoids; a, b: [count, time].  The activation that
 * each resnet begins with is the same for all. */
static int
fill_times(struct bs_unet *m, const struct bs_mem *in, struct bs_mem *a,
           struct bs_mem *b, size_t count)
{
    const struct bs_unet_config *c = &m->config;
    size_t i;
    int r = bs_dev_gemm(m->dev, m->weights.time1.weight, in,
                        c->level[0].channels, a, c->time, count,
                        &m->weights.time1.bias, BS_EPI_SILU, NULL);

    if (r == 0)
        r = bs_dev_gemm(m->dev, m->weights.time2.weight, a, c->time, b, c->time,
                        count, &m->weights.time2.bias, BS_EPI_SILU, NULL);
    for (i = 0; i < c->levels && r == 0; i++) {
        r = stage_times(m, &m->weights.down[i], b, count);
        if (r == 0)
            r = stage_times(m, &m->weights.up[i], b, count);
    }
    return r < 0 ? r : stage_times(m, &m->weights.mid, b, count);
}

int
bs_unet_schedule(struct bs_unet *m, const double *timesteps, size_t count,
                 struct bs_err *e)
{
    const struct bs_unet_config *c = &m->config;
    size_t k = c->level[0].channels, i, wave, table, width;
    struct bs_mem in = {0}, a = {0}, b = {0};
    float *waves;
    int r;

    m->steps = 0;
    bs_dev_free(m->dev, &m->times);
    if (!bs_mul(count, k * sizeof(float), &wave) ||
        !bs_mul(count, c->time * sizeof(float), &width) ||
        !bs_mul(count, m->weights.times * sizeof(float), &table))
        return bs_err_memory(e, "timesteps", SIZE_MAX);
    waves = bs_alloc(wave);
    if (waves == NULL)
        return bs_err_memory(e, "timesteps", wave);
    for (i = 0; i < count; i++)
        sinusoids(c, waves + i * k, timesteps[i]);
    if ((r = bs_dev_alloc(m->dev, &in, wave)) == 0 &&
        (r = bs_dev_put(m->dev, &in, 0, waves, wave)) == 0 &&
        (r = bs_dev_alloc(m->dev, &a, width)) == 0 &&
        (r = bs_dev_alloc(m->dev, &b, width)) == 0 &&
        (r = bs_dev_alloc(m->dev, &m->times, table)) == 0)
        r = fill_times(m, &in, &a, &b, count);
    if (r < 0)
        r = bs_unet_failed(m, e);
    else
        m->steps = count;
    bs_dev_free(m->dev, &in);
    bs_dev_free(m->dev, &a);
    bs_dev_free(m->dev, &b);
    bs_free(waves);
    return r;
}

/* ---- text -----------------------------------------------------------------
 */

static int
stage_text(struct bs_unet *m, struct bs_unet_stage *s,
           const struct bs_mem *context)
{
    size_t i;
    int r = 0;

    for (i = 0; i < s->attentions && r == 0; i++)
        r = bs_transformer2d_text(&s->attention[i], &m->transformers, context);
    return r;
}

int
bs_unet_context(struct bs_unet *m, const struct bs_mem *context, size_t batch,
                size_t tokens, struct bs_err *e)
{
    size_t i;
    int r = 0;

    if (batch > m->batch || tokens == 0)
        return bs_err_set(e, BS_EX_SOFTWARE, "unet: %zu texts of %zu tokens",
                          batch, tokens);
    m->transformers.batch = batch;
    m->transformers.tokens = tokens;
    for (i = 0; i < m->config.levels && r == 0; i++) {
        r = stage_text(m, &m->weights.down[i], context);
        if (r == 0)
            r = stage_text(m, &m->weights.up[i], context);
    }
    if (r == 0)
        r = stage_text(m, &m->weights.mid, context);
    if (r == 0)
        return 0;
    m->transformers.batch = 0;
    return bs_unet_failed(m, e);
}

/* ---- forward --------------------------------------------------------------
 */

struct pass {
    struct bs_unet *m;
    size_t step;
    struct bs_err *e;
};

static struct bs_images
left_part(const struct bs_unet_joint *j)
{
    return (struct bs_images){bs_mem_from(&j->mem, j->below * sizeof(float)),
                              j->below + j->left};
}

/* The channels from below, or all of them. */
static struct bs_images
joint_of(const struct bs_unet_joint *j)
{
    return (struct bs_images){j->mem, j->below + j->left};
}

static int
failed(struct pass *p)
{
    return bs_unet_failed(p->m, p->e);
}

static int
resnet(struct pass *p, const struct bs_unet_stage *s, size_t i, size_t level,
       const struct bs_images *x, const struct bs_images *y, bool keep)
{
    struct bs_unet *m = p->m;
    const struct bs_resnet *r = &s->resnet[i];
    size_t column = p->step * m->weights.times + s->time_at + i * r->out;
    struct bs_mem time = bs_mem_from(&m->times, column * sizeof(float));

    return bs_resnet_forward(r, &m->resnets, x, y, m->transformers.batch,
                             m->height[level], m->width[level], keep, &time) < 0
               ? failed(p)
               : 0;
}

/* x += the transformer's update, which is shown to who watches it. */
static int
attention(struct pass *p, const struct bs_unet_stage *s, size_t i, size_t level,
          const struct bs_images *x)
{
    struct bs_unet *m = p->m;
    const struct bs_transformer2d *t = &s->attention[i];
    const struct bs_unet_watch *w = &m->watch[s->block + i];
    size_t pixels = m->height[level] * m->width[level];
    size_t batch = m->transformers.batch;
    struct bs_mem update = m->transformers.part, to = x->mem;
    int r;

    if (w->fn == NULL)
        return bs_transformer2d_forward(t, &m->transformers, x, pixels) < 0
                   ? failed(p)
                   : 0;
    if (bs_transformer2d_update(t, &m->transformers, x, pixels) < 0)
        return failed(p);
    update.bytes = batch * pixels * t->channels * sizeof(float);
    r = w->fn(w->user, &w->block, p->step, batch, &update, p->e);
    if (r < 0)
        return r;
    return bs_dev_add(m->dev, &update, t->channels, &to, x->ld, batch * pixels,
                      t->channels) < 0
               ? failed(p)
               : 0;
}

/* The image of level `from`, brought to the size of `to` where that is larger.
 */
static int
convolve(struct pass *p, const struct bs_convolution *c,
         const struct bs_images *x, size_t from, const struct bs_images *y,
         size_t to)
{
    struct bs_unet *m = p->m;
    struct bs_conv2d a = {
        .w = c->weight,
        .x = x->mem,
        .y = y->mem,
        .ldx = x->ld,
        .ldy = y->ld,
        .batch = m->transformers.batch,
        .height = m->height[from],
        .width = m->width[from],
        .bias = &c->bias,
    };

    if (to < from) {
        a.up_height = m->height[to];
        a.up_width = m->width[to];
    }
    return bs_dev_conv2d(m->dev, &a) < 0 ? failed(p) : 0;
}

/* `at` is the joint in whose left part the image is, then that of the result.
 */
static int
go_down(struct pass *p, size_t level, size_t *at)
{
    struct bs_unet *m = p->m;
    const struct bs_unet_stage *s = &m->weights.down[level];
    size_t i;
    int r = 0;

    for (i = 0; i < s->layers && r == 0; i++) {
        struct bs_images x = left_part(&m->joint[*at]);
        struct bs_images y = left_part(&m->joint[++*at]);

        r = resnet(p, s, i, level, &x, &y, true);
        if (r == 0 && s->attentions > 0)
            r = attention(p, s, i, level, &y);
    }
    if (r == 0 && s->sampler.weight != NULL) {
        struct bs_images x = left_part(&m->joint[*at]);
        struct bs_images y = left_part(&m->joint[++*at]);

        r = convolve(p, &s->sampler, &x, level, &y, level + 1);
    }
    return r;
}

static int
turn(struct pass *p, const struct bs_unet_joint *j)
{
    const struct bs_unet_stage *s = &p->m->weights.mid;
    struct bs_images x = left_part(j), y = joint_of(j);
    int r = resnet(p, s, 0, j->level, &x, &y, true);

    if (r == 0)
        r = attention(p, s, 0, j->level, &y);
    return r < 0 ? r : resnet(p, s, 1, j->level, &y, &y, true);
}

/* `at` is the joint to take up; then the one of the level above, or tail has
 * the image. */
static int
go_up(struct pass *p, size_t level, size_t *at)
{
    struct bs_unet *m = p->m;
    const struct bs_unet_stage *s = &m->weights.up[level];
    struct bs_images tail = {m->tail, m->config.level[level].channels};
    size_t i;
    int r = 0;

    for (i = 0; i < s->layers && r == 0; i++) {
        bool last = i + 1 == s->layers;
        struct bs_images x = joint_of(&m->joint[*at]), y = tail;

        if (*at > 0)
            --*at;
        if (!last)
            y = joint_of(&m->joint[*at]);
        r = resnet(p, s, i, level, &x, &y, false);
        if (r == 0 && s->attentions > 0)
            r = attention(p, s, i, level, &y);
    }
    if (r == 0 && level > 0) {
        struct bs_images y = joint_of(&m->joint[*at]);

        r = convolve(p, &s->sampler, &tail, level, &y, level - 1);
    }
    return r;
}

static int
finish(struct pass *p, struct bs_mem *out)
{
    struct bs_unet *m = p->m;
    const struct bs_unet_config *c = &m->config;
    size_t k = c->level[0].channels;
    struct bs_images x = {m->resnets.first, k}, y = {*out, c->out};
    const struct bs_group_norm norm = {
        .x = m->tail,
        .y = x.mem,
        .ldx = k,
        .ldy = k,
        .batch = m->transformers.batch,
        .pixels = m->height[0] * m->width[0],
        .channels = k,
        .groups = c->groups,
        .gamma = m->weights.norm.gamma,
        .beta = m->weights.norm.beta,
        .eps = c->eps,
        .silu = true,
    };

    if (bs_dev_group_norm(m->dev, &norm) < 0)
        return failed(p);
    return convolve(p, &m->weights.out, &x, 0, &y, 0);
}

int
bs_unet_forward(struct bs_unet *m, size_t step, const struct bs_mem *latents,
                struct bs_mem *out, struct bs_err *e)
{
    struct pass p = {m, step, e};
    struct bs_images x = {*latents, m->config.in}, y = left_part(&m->joint[0]);
    size_t at = 0, i;
    int r;

    if (step >= m->steps || m->transformers.batch == 0)
        return bs_err_set(e, BS_EX_SOFTWARE, "unet: step %zu of %zu, %zu texts",
                          step, m->steps, m->transformers.batch);
    r = convolve(&p, &m->weights.in, &x, 0, &y, 0);
    for (i = 0; i < m->config.levels && r == 0; i++)
        r = go_down(&p, i, &at);
    if (r == 0)
        r = turn(&p, &m->joint[at]);
    for (i = m->config.levels; i-- > 0 && r == 0;)
        r = go_up(&p, i, &at);
    return r < 0 ? r : finish(&p, out);
}
