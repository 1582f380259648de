/*
 * unet_weights.c - the tensors of a UNet2DConditionModel.
 */
#include "cmd/models/unet_own.h"

struct loader {
    struct bs_loader base;
    struct bs_unet_weights *w;
    const struct bs_unet_config *config;
};

/* Channels that enter a resnet, of a stage's layer. */
typedef size_t channels_fn(const struct bs_unet_config *c, size_t level,
                           size_t layer);

static size_t
down_channels(const struct bs_unet_config *c, size_t level, size_t layer)
{
    size_t before = level > 0 ? level - 1 : 0;

    return c->level[layer > 0 ? level : before].channels;
}

static size_t
mid_channels(const struct bs_unet_config *c, size_t level, size_t layer)
{
    (void)layer;
    return c->level[level].channels;
}

/* What comes from below (or from the layer before), and what the layer of the
 * same number on the way down, counted from the end, has left. */
static size_t
up_channels(const struct bs_unet_config *c, size_t level, size_t layer)
{
    size_t below = level + 1 < c->levels ? level + 1 : level;
    size_t before = level > 0 ? level - 1 : 0;
    size_t from = c->level[layer > 0 ? level : below].channels;
    bool last = layer == c->level[level].layers;

    return from + c->level[last ? before : level].channels;
}

static int
load_resnets(struct loader *l, struct bs_unet_stage *s, size_t level,
             channels_fn *channels)
{
    size_t out = l->config->level[level].channels, i, mark;
    int r = 0;

    s->resnet = bs_alloc_array(s->layers, sizeof *s->resnet);
    if (s->resnet == NULL)
        return bs_err_memory(l->base.e, "resnets",
                             s->layers * sizeof *s->resnet);
    s->time_at = l->w->times;
    for (i = 0; i < s->layers && r == 0; i++) {
        mark = bs_loader_enter(&l->base, "resnets.%zu.", i);
        r = bs_resnet_load(&l->base, &s->resnet[i],
                           channels(l->config, level, i), out, l->config->time);
        bs_loader_leave(&l->base, mark);
        l->w->times += out;
    }
    return r;
}

static int
load_attentions(struct loader *l, struct bs_unet_stage *s, size_t level)
{
    size_t i, mark;
    int r = 0;

    s->attention = bs_alloc_array(s->attentions, sizeof *s->attention);
    if (s->attention == NULL)
        return bs_err_memory(l->base.e, "transformers",
                             s->attentions * sizeof *s->attention);
    s->block = l->w->blocks;
    for (i = 0; i < s->attentions && r == 0; i++) {
        struct bs_transformer2d *t = &s->attention[i];

        t->channels = l->config->level[level].channels;
        t->heads = l->config->level[level].heads;
        t->context = l->config->level[level].context;
        t->depth = l->config->level[level].depth;
        mark = bs_loader_enter(&l->base, "attentions.%zu.", i);
        r = bs_transformer2d_load(&l->base, t);
        bs_loader_leave(&l->base, mark);
        l->w->blocks++;
    }
    return r;
}

/* `sampler` is the name of the convolution, or NULL; `stride` its stride. */
static int
load_stage(struct loader *l, struct bs_unet_stage *s, size_t level,
           channels_fn *channels, const char *sampler, size_t stride)
{
    size_t k = l->config->level[level].channels;
    const struct bs_conv_shape shape = {k, k, 3, stride, 1};
    int r = load_resnets(l, s, level, channels);

    if (r == 0 && s->attentions > 0)
        r = load_attentions(l, s, level);
    if (r == 0 && sampler != NULL)
        r = bs_load_convolution(&l->base, &s->sampler, sampler, &shape, true);
    return r;
}

/* In the order of their evaluation, which numbers the transformers. */
static int
load_stages(struct loader *l)
{
    const struct bs_unet_config *c = l->config;
    size_t i, mark, level;
    int r = 0;

    for (i = 0; i < c->levels && r == 0; i++) {
        struct bs_unet_stage *s = &l->w->down[i];

        s->layers = c->level[i].layers;
        s->attentions = c->level[i].down_attention ? s->layers : 0;
        mark = bs_loader_enter(&l->base, "down_blocks.%zu.", i);
        r = load_stage(l, s, i, down_channels,
                       i + 1 < c->levels ? "downsamplers.0.conv" : NULL, 2);
        bs_loader_leave(&l->base, mark);
    }
    if (r == 0) {
        l->w->mid.layers = 2;
        l->w->mid.attentions = 1;
        mark = bs_loader_enter(&l->base, "mid_block.");
        r = load_stage(l, &l->w->mid, c->levels - 1, mid_channels, NULL, 1);
        bs_loader_leave(&l->base, mark);
    }
    for (i = 0; i < c->levels && r == 0; i++) {
        struct bs_unet_stage *s = &l->w->up[level = c->levels - 1 - i];

        s->layers = c->level[level].layers + 1;
        s->attentions = c->level[level].up_attention ? s->layers : 0;
        mark = bs_loader_enter(&l->base, "up_blocks.%zu.", i);
        r = load_stage(l, s, level, up_channels,
                       level > 0 ? "upsamplers.0.conv" : NULL, 1);
        bs_loader_leave(&l->base, mark);
    }
    return r;
}

static int
load_ends(struct loader *l)
{
    const struct bs_unet_config *c = l->config;
    struct bs_loader *b = &l->base;
    size_t k = c->level[0].channels;
    const struct bs_conv_shape in = {c->in, k, 3, 1, 1};
    const struct bs_conv_shape out = {k, c->out, 3, 1, 1};
    int r;

    if ((r = bs_load_linear(b, &l->w->time1, "time_embedding.linear_1", c->time,
                            k, true)) < 0 ||
        (r = bs_load_linear(b, &l->w->time2, "time_embedding.linear_2", c->time,
                            c->time, true)) < 0 ||
        (r = bs_load_convolution(b, &l->w->in, "conv_in", &in, true)) < 0 ||
        (r = bs_load_norm(b, &l->w->norm, "conv_norm_out", k)) < 0)
        return r;
    return bs_load_convolution(b, &l->w->out, "conv_out", &out, true);
}

int
bs_unet_load(struct bs_unet_weights *w, const struct bs_unet_config *config,
             const struct bs_safetensors *files, struct bs_dev *dev,
             enum bs_math math, struct bs_err *e)
{
    struct loader l = {
        .base = {.files = files, .dev = dev, .math = math, .e = e},
        .w = w,
        .config = config,
    };
    int r = load_ends(&l);

    if (r == 0)
        r = load_stages(&l);
    w->tensors = l.base.used;
    return r;
}

/* ---- release --------------------------------------------------------------
 */

static void
drop_stage(struct bs_unet_stage *s, struct bs_dev *dev)
{
    size_t i;

    for (i = 0; s->resnet != NULL && i < s->layers; i++)
        bs_resnet_drop(dev, &s->resnet[i]);
    for (i = 0; s->attention != NULL && i < s->attentions; i++)
        bs_transformer2d_drop(dev, &s->attention[i]);
    bs_drop_convolution(dev, &s->sampler);
    bs_free(s->resnet);
    bs_free(s->attention);
}

void
bs_unet_unload(struct bs_unet_weights *w, struct bs_dev *dev)
{
    size_t i;

    for (i = 0; i < BS_UNET_LEVELS; i++) {
        drop_stage(&w->down[i], dev);
        drop_stage(&w->up[i], dev);
    }
    drop_stage(&w->mid, dev);
    bs_drop_linear(dev, &w->time1);
    bs_drop_linear(dev, &w->time2);
    bs_drop_convolution(dev, &w->in);
    bs_drop_convolution(dev, &w->out);
    bs_drop_norm(dev, &w->norm);
    *w = (struct bs_unet_weights){0};
}
