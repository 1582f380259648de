/*
 * dinov2_weights.c - the tensors of a DINOv2 model, checked and packed.
 *
 * Two libraries, two sets of names: a table says how each calls a part.  Where
 * query, key and value are apart they are packed as one matrix.  Host memory
 * beyond the mapping: one layer's largest matrix.
 */
#include "cmd/models/dinov2.h"

/* How a library calls the parts; those of a layer follow its prefix. */
struct names {
    const char *class_token, *registers, *positions, *embed, *norm;
    const char *layer; /* followed by its number and a dot */
    const char *norm1, *norm2, *scale1, *scale2;
    const char *qkv[3]; /* [1] NULL: one matrix already */
    const char *proj, *in, *out, *gated_in, *gated_out;
};

static const struct names transformers = {
    .class_token = "embeddings.cls_token",
    .registers = "embeddings.register_tokens",
    .positions = "embeddings.position_embeddings",
    .embed = "embeddings.patch_embeddings.projection",
    .norm = "layernorm",
    .layer = "encoder.layer.",
    .norm1 = "norm1",
    .norm2 = "norm2",
    .scale1 = "layer_scale1.lambda1",
    .scale2 = "layer_scale2.lambda1",
    .qkv = {"attention.attention.query", "attention.attention.key",
            "attention.attention.value"},
    .proj = "attention.output.dense",
    .in = "mlp.fc1",
    .out = "mlp.fc2",
    .gated_in = "mlp.weights_in",
    .gated_out = "mlp.weights_out",
};

static const struct names timm = {
    .class_token = "cls_token",
    .registers = "reg_token",
    .positions = "pos_embed",
    .embed = "patch_embed.proj",
    .norm = "norm",
    .layer = "blocks.",
    .norm1 = "norm1",
    .norm2 = "norm2",
    .scale1 = "ls1.gamma",
    .scale2 = "ls2.gamma",
    .qkv = {"attn.qkv", NULL, NULL},
    .proj = "attn.proj",
    .in = "mlp.fc1",
    .out = "mlp.fc2",
    .gated_in = "mlp.fc1",
    .gated_out = "mlp.fc2",
};

/* Prefixes under which classes keep the bare model. */
static const char *const prefixes[] = {"", "dinov2.", "dinov2_with_registers."};

struct loader {
    struct bs_loader base;
    struct bs_dinov2_weights *w;
    const struct bs_dinov2_config *config;
    const struct names *names;
};

/* ---- parts --------------------------------------------------------------- */

static int
attention_input(struct loader *l, struct bs_linear *m)
{
    const struct bs_dinov2_config *c = l->config;

    if (l->names->qkv[1] == NULL)
        return bs_load_linear(&l->base, m, l->names->qkv[0], 3 * c->hidden,
                              c->hidden, c->qkv_bias);
    return bs_load_stacked(&l->base, m, l->names->qkv, 3, c->hidden, c->hidden,
                           c->qkv_bias);
}

static int
load_layer(struct loader *l, size_t i)
{
    const struct bs_dinov2_config *c = l->config;
    const struct names *names = l->names;
    struct bs_loader *b = &l->base;
    struct bs_dinov2_layer *y = &l->w->layer[i];
    const char *in = c->swiglu ? names->gated_in : names->in;
    const char *out = c->swiglu ? names->gated_out : names->out;
    size_t k = c->hidden, width = c->swiglu ? 2 * c->inner : c->inner;
    size_t mark = bs_loader_enter(b, "%s%zu.", names->layer, i);
    int r;

    if ((r = bs_load_norm(b, &y->norm1, names->norm1, k)) < 0 ||
        (r = attention_input(l, &y->qkv)) < 0 ||
        (r = bs_load_linear(b, &y->proj, names->proj, k, k, true)) < 0 ||
        (r = bs_load_vector(b, &y->scale1, names->scale1, NULL, k)) < 0 ||
        (r = bs_load_norm(b, &y->norm2, names->norm2, k)) < 0 ||
        (r = bs_load_linear(b, &y->in, in, width, k, true)) < 0 ||
        (r = bs_load_linear(b, &y->out, out, k, c->inner, true)) < 0 ||
        (r = bs_load_vector(b, &y->scale2, names->scale2, NULL, k)) < 0)
        return r;
    bs_loader_leave(b, mark);
    return 0;
}

/* The convolution that turns patches into tokens is a matrix product. */
static int
load_embed(struct loader *l)
{
    const struct bs_dinov2_config *c = l->config;
    struct bs_loader *b = &l->base;
    uint64_t shape[4] = {c->hidden, 3, c->patch, c->patch};
    const struct bs_tensor *t =
        bs_loader_tensor(b, l->names->embed, "weight", 4, shape);

    if (t == NULL)
        return -b->e->code;
    if (bs_dev_weight(b->dev, &l->w->embed.weight, t->data, t->dtype, c->hidden,
                      3 * c->patch * c->patch, b->math) < 0)
        return bs_loader_failed(b);
    return bs_load_vector(b, &l->w->embed.bias, l->names->embed, "bias",
                          c->hidden);
}

/* What stands before the patches, and the positions of the patches. */
static int
load_tokens(struct loader *l)
{
    const struct bs_dinov2_config *c = l->config;
    size_t k = c->hidden, places = c->grid * c->grid, i;
    uint64_t one[3] = {1, 1, k}, some[3] = {1, c->registers, k};
    uint64_t all[3] = {1, places + c->class_position, k};
    float *cls =
              bs_loader_values(&l->base, l->names->class_token, NULL, 3, one),
          *reg = NULL;
    int r = cls == NULL ? -l->base.e->code : 0;

    if (r == 0 && c->registers > 0) {
        reg = bs_loader_values(&l->base, l->names->registers, NULL, 3, some);
        r = reg == NULL ? -l->base.e->code : 0;
    }
    if (r == 0) {
        l->w->positions =
            bs_loader_values(&l->base, l->names->positions, NULL, 3, all);
        r = l->w->positions == NULL ? -l->base.e->code : 0;
    }
    if (r == 0) {
        l->w->lead = bs_alloc_array((1 + c->registers) * k, sizeof(float));
        if (l->w->lead == NULL)
            r = bs_err_memory(l->base.e, "tokens", (1 + c->registers) * k);
    }
    if (r == 0) {
        memcpy(l->w->lead, cls, k * sizeof *cls);
        if (reg != NULL)
            memcpy(l->w->lead + k, reg, c->registers * k * sizeof *reg);
        if (c->class_position) {
            for (i = 0; i < k; i++)
                l->w->lead[i] += l->w->positions[i];
            memmove(l->w->positions, l->w->positions + k,
                    places * k * sizeof(float));
        }
    }
    bs_free(cls);
    bs_free(reg);
    return r;
}

/* The prefix under which the class token is found. */
static void
enter_model(struct loader *l)
{
    size_t i, mark;

    for (i = 0; i < BS_LEN(prefixes); i++) {
        mark = bs_loader_enter(&l->base, "%s", prefixes[i]);
        if (bs_loader_has(&l->base, l->names->class_token, NULL))
            return;
        bs_loader_leave(&l->base, mark);
    }
}

int
bs_dinov2_load(struct bs_dinov2_weights *w,
               const struct bs_dinov2_config *config,
               const struct bs_safetensors *files, struct bs_dev *dev,
               enum bs_math math, struct bs_err *e)
{
    struct loader l = {
        .base = {.files = files, .dev = dev, .math = math, .e = e},
        .w = w,
        .config = config,
        .names = config->timm ? &timm : &transformers,
    };
    size_t i;
    int r;

    enter_model(&l);
    w->layer = bs_alloc_array(config->layers, sizeof *w->layer);
    if (w->layer == NULL)
        return bs_err_memory(e, "layers", config->layers * sizeof *w->layer);
    r = load_tokens(&l);
    if (r == 0)
        r = load_embed(&l);
    for (i = 0; i < config->layers && r == 0; i++)
        r = load_layer(&l, i);
    if (r == 0)
        r = bs_load_norm(&l.base, &w->norm, l.names->norm, config->hidden);
    w->tensors = l.base.used;
    return r;
}

/* ---- release ------------------------------------------------------------- */

void
bs_dinov2_unload(struct bs_dinov2_weights *w,
                 const struct bs_dinov2_config *config, struct bs_dev *dev)
{
    size_t i;

    for (i = 0; w->layer != NULL && i < config->layers; i++) {
        struct bs_dinov2_layer *y = &w->layer[i];

        bs_drop_norm(dev, &y->norm1);
        bs_drop_linear(dev, &y->qkv);
        bs_drop_linear(dev, &y->proj);
        bs_dev_free(dev, &y->scale1);
        bs_drop_norm(dev, &y->norm2);
        bs_drop_linear(dev, &y->in);
        bs_drop_linear(dev, &y->out);
        bs_dev_free(dev, &y->scale2);
    }
    bs_drop_linear(dev, &w->embed);
    bs_drop_norm(dev, &w->norm);
    bs_free(w->layer);
    bs_free(w->lead);
    bs_free(w->positions);
    *w = (struct bs_dinov2_weights){0};
}
