/*
 * vae_weights.c - configuration and tensors of the decoder of AutoencoderKL.
 */
#include "cmd/models/vae_own.h"

#include "cmd/models/config.h"

enum { CHANNELS_MAX = 1 << 14, LAYERS_MAX = 1 << 6 };

/* ---- configuration --------------------------------------------------------
 */

static int
check_up_blocks(const struct bs_json *v, size_t levels, struct bs_err *e)
{
    const struct bs_json *list = bs_json_get(v, "up_block_types"), *b;

    if (list == NULL && levels == 1)
        return 0;
    if (list == NULL || list->type != BS_JSON_ARRAY || list->count != levels)
        return bs_err_set(e, BS_EX_DATA,
                          "'up_block_types' is no list of %zu blocks", levels);
    for (b = list->child; b != NULL; b = b->next)
        if (b->type != BS_JSON_STRING ||
            strcmp(b->text, "UpDecoderBlock2D") != 0)
            return bs_err_set(e, BS_EX_DATA,
                              "'up_block_types': block '%.40s' is not known, "
                              "only UpDecoderBlock2D",
                              b->type == BS_JSON_STRING ? b->text : "?");
    return 0;
}

static int
read_levels(struct bs_vae_config *c, const struct bs_json *v, struct bs_err *e)
{
    const struct bs_json *list = bs_json_get(v, "block_out_channels");
    size_t i;
    int r;

    c->levels = list != NULL && list->type == BS_JSON_ARRAY ? list->count : 1;
    if (c->levels == 0 || c->levels > BS_VAE_LEVELS)
        return bs_err_set(e, BS_EX_DATA,
                          "'block_out_channels' is no list of 1 to %d numbers",
                          BS_VAE_LEVELS);
    r = bs_config_sizes(v, "block_out_channels", 64, 1, CHANNELS_MAX,
                        c->channels, c->levels, e);
    for (i = 0; i < c->levels && r == 0; i++)
        if (c->channels[i] % c->groups != 0)
            r = bs_err_set(e, BS_EX_DATA,
                           "%zu channels do not divide into %zu groups",
                           c->channels[i], c->groups);
    if (r == 0 && c->attention && c->channels[c->levels - 1] > 512)
        r = bs_err_set(e, BS_EX_DATA,
                       "attention over %zu channels, 512 at most",
                       c->channels[c->levels - 1]);
    return r < 0 ? r : check_up_blocks(v, c->levels, e);
}

static int
read_config(void *config, const struct bs_json *v, struct bs_err *e)
{
    struct bs_vae_config *c = config;
    static const char *const class[] = {"AutoencoderKL"};
    static const char *const act[] = {"silu", "swish"};
    size_t which;
    double scaling;
    int r;

    if ((r = bs_config_word(v, "_class_name", class, 1, 0, &which, e)) < 0 ||
        (r = bs_config_word(v, "act_fn", act, 2, 0, &which, e)) < 0 ||
        (r = bs_config_unset(v, "shift_factor", e)) < 0 ||
        (r = bs_config_unset(v, "latents_mean", e)) < 0 ||
        (r = bs_config_unset(v, "latents_std", e)) < 0 ||
        (r = bs_config_size(v, "latent_channels", 4, 1, CHANNELS_MAX,
                            &c->latent, e)) < 0 ||
        (r = bs_config_size(v, "out_channels", 3, 1, CHANNELS_MAX, &c->out,
                            e)) < 0 ||
        (r = bs_config_size(v, "layers_per_block", 1, 1, LAYERS_MAX, &c->layers,
                            e)) < 0 ||
        (r = bs_config_size(v, "norm_num_groups", 32, 1, CHANNELS_MAX,
                            &c->groups, e)) < 0 ||
        (r = bs_config_real(v, "scaling_factor", 0.18215, 1e-6, 1e6, &scaling,
                            e)) < 0 ||
        (r = bs_config_bool(v, "mid_block_add_attention", true, &c->attention,
                            e)) < 0 ||
        (r = bs_config_bool(v, "use_post_quant_conv", true, &c->post_quant,
                            e)) < 0)
        return r;
    c->scaling = (float)scaling;
    return read_levels(c, v, e);
}

int
bs_vae_configure(struct bs_vae_config *c, struct bs_safetensors *files,
                 struct bs_err *e)
{
    *c = (struct bs_vae_config){0};
    return bs_config_network(files, read_config, c, e);
}

size_t
bs_vae_factor(const struct bs_vae_config *config)
{
    return (size_t)1 << (config->levels - 1);
}

/* ---- weights --------------------------------------------------------------
 */

struct loader {
    struct bs_loader base;
    struct bs_vae_weights *w;
    const struct bs_vae_config *config;
};

/* Checkpoints of old versions call the parts of attention by other names. */
static int
load_attention(struct loader *l)
{
    static const char *const now[] = {"to_q", "to_k", "to_v"};
    static const char *const then[] = {"query", "key", "value"};
    struct bs_loader *b = &l->base;
    size_t k = l->config->channels[l->config->levels - 1];
    bool old = !bs_loader_has(b, now[0], "weight") &&
               bs_loader_has(b, then[0], "weight");
    int r = bs_load_norm(b, &l->w->attention_norm, "group_norm", k);

    if (r == 0)
        r = bs_load_stacked(b, &l->w->qkv, old ? then : now, 3, k, k, true);
    return r < 0 ? r
                 : bs_load_linear(b, &l->w->attention_out,
                                  old ? "proj_attn" : "to_out.0", k, k, true);
}

static int
load_resnet(struct loader *l, struct bs_resnet *r, size_t i, size_t in,
            size_t out)
{
    size_t mark = bs_loader_enter(&l->base, "resnets.%zu.", i);
    int e = bs_resnet_load(&l->base, r, in, out, 0);

    bs_loader_leave(&l->base, mark);
    return e;
}

static int
load_mid(struct loader *l)
{
    size_t k = l->config->channels[l->config->levels - 1], mark;
    int r = load_resnet(l, &l->w->mid[0], 0, k, k);

    if (r == 0 && l->config->attention) {
        mark = bs_loader_enter(&l->base, "attentions.0.");
        r = load_attention(l);
        bs_loader_leave(&l->base, mark);
    }
    return r < 0 ? r : load_resnet(l, &l->w->mid[1], 1, k, k);
}

static int
load_up(struct loader *l, size_t level)
{
    const struct bs_vae_config *c = l->config;
    struct bs_vae_stage *s = &l->w->up[level];
    size_t out = c->channels[level], i;
    size_t in = c->channels[level + 1 < c->levels ? level + 1 : level];
    const struct bs_conv_shape shape = {out, out, 3, 1, 1};
    int r = 0;

    s->layers = c->layers + 1;
    s->resnet = bs_alloc_array(s->layers, sizeof *s->resnet);
    if (s->resnet == NULL)
        return bs_err_memory(l->base.e, "resnets",
                             s->layers * sizeof *s->resnet);
    for (i = 0; i < s->layers && r == 0; i++)
        r = load_resnet(l, &s->resnet[i], i, i == 0 ? in : out, out);
    if (r == 0 && level > 0)
        r = bs_load_convolution(&l->base, &s->sampler, "upsamplers.0.conv",
                                &shape, true);
    return r;
}

/* The latents' scale is in the weights of what takes them first. */
static int
load_first(struct loader *l, struct bs_convolution *c, const char *stem,
           const struct bs_conv_shape *shape)
{
    uint64_t want[4] = {shape->out, shape->in, shape->side, shape->side};
    struct bs_loader *b = &l->base;
    size_t n = shape->out * shape->in * shape->side * shape->side, i;
    float *w = bs_loader_values(b, stem, "weight", 4, want);
    int r;

    if (w == NULL)
        return -b->e->code;
    for (i = 0; i < n; i++)
        w[i] /= l->config->scaling;
    r = bs_dev_conv(b->dev, &c->weight, w, BS_DTYPE_F32, shape, b->math);
    bs_free(w);
    return r < 0 ? bs_loader_failed(b)
                 : bs_load_vector(b, &c->bias, stem, "bias", shape->out);
}

static int
load_ends(struct loader *l)
{
    const struct bs_vae_config *c = l->config;
    size_t low = c->channels[c->levels - 1], high = c->channels[0], mark;
    const struct bs_conv_shape quant = {c->latent, c->latent, 1, 1, 0};
    const struct bs_conv_shape in = {c->latent, low, 3, 1, 1};
    const struct bs_conv_shape out = {high, c->out, 3, 1, 1};
    int r = 0;

    if (c->post_quant)
        r = load_first(l, &l->w->post_quant, "post_quant_conv", &quant);
    mark = bs_loader_enter(&l->base, "decoder.");
    if (r == 0 && c->post_quant)
        r = bs_load_convolution(&l->base, &l->w->in, "conv_in", &in, true);
    else if (r == 0)
        r = load_first(l, &l->w->in, "conv_in", &in);
    if (r == 0)
        r = bs_load_norm(&l->base, &l->w->norm, "conv_norm_out", high);
    if (r == 0)
        r = bs_load_convolution(&l->base, &l->w->out, "conv_out", &out, true);
    bs_loader_leave(&l->base, mark);
    return r;
}

int
bs_vae_load(struct bs_vae_weights *w, const struct bs_vae_config *config,
            const struct bs_safetensors *files, struct bs_dev *dev,
            enum bs_math math, struct bs_err *e)
{
    struct loader l = {
        .base = {.files = files, .dev = dev, .math = math, .e = e},
        .w = w,
        .config = config,
    };
    size_t i, mark;
    int r = load_ends(&l);

    if (r == 0) {
        mark = bs_loader_enter(&l.base, "decoder.mid_block.");
        r = load_mid(&l);
        bs_loader_leave(&l.base, mark);
    }
    for (i = 0; i < config->levels && r == 0; i++) {
        mark = bs_loader_enter(&l.base, "decoder.up_blocks.%zu.", i);
        r = load_up(&l, config->levels - 1 - i);
        bs_loader_leave(&l.base, mark);
    }
    w->tensors = l.base.used;
    return r;
}

/* ---- release --------------------------------------------------------------
 */

void
bs_vae_unload(struct bs_vae_weights *w, struct bs_dev *dev)
{
    size_t i, j;

    for (i = 0; i < BS_VAE_LEVELS; i++) {
        struct bs_vae_stage *s = &w->up[i];

        for (j = 0; s->resnet != NULL && j < s->layers; j++)
            bs_resnet_drop(dev, &s->resnet[j]);
        bs_drop_convolution(dev, &s->sampler);
        bs_free(s->resnet);
    }
    bs_resnet_drop(dev, &w->mid[0]);
    bs_resnet_drop(dev, &w->mid[1]);
    bs_drop_norm(dev, &w->attention_norm);
    bs_drop_linear(dev, &w->qkv);
    bs_drop_linear(dev, &w->attention_out);
    bs_drop_convolution(dev, &w->post_quant);
    bs_drop_convolution(dev, &w->in);
    bs_drop_convolution(dev, &w->out);
    bs_drop_norm(dev, &w->norm);
    *w = (struct bs_vae_weights){0};
}
