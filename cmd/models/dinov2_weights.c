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
    struct bs_dinov2_weights *w;
    const struct bs_dinov2_config *config;
    const struct bs_safetensors *files;
    struct bs_dev *dev;
    enum bs_math math;
    struct bs_err *e;
    const struct names *names;
    const char *prefix; /* of every name */
    char layer[64];     /* behind it, within a layer */
};

/* ---- one tensor ---------------------------------------------------------- */

static int
odd_shape(struct loader *l, const struct bs_tensor *t, unsigned rank,
          const uint64_t *want)
{
    char text[2][96];
    const uint64_t *shape[2] = {t->shape, want};
    unsigned ranks[2] = {t->rank, rank}, i, k;

    for (k = 0; k < 2; k++) {
        size_t n = (size_t)snprintf(text[k], sizeof text[k], "[");

        for (i = 0; i < ranks[k] && n < sizeof text[k]; i++)
            n += (size_t)snprintf(text[k] + n, sizeof text[k] - n, "%s%ju",
                                  i > 0 ? "," : "", (uintmax_t)shape[k][i]);
    }
    return bs_err_set(l->e, BS_EX_DATA,
                      "'%s': tensor '%s' has the shape %s], not %s]",
                      bs_safetensors_path(l->files), t->name, text[0], text[1]);
}

/* The tensor "<stem>.<leaf>", or "<stem>" where leaf is NULL, of exactly this
 * shape, or NULL with the error. */
static const struct bs_tensor *
tensor(struct loader *l, const char *stem, const char *leaf, unsigned rank,
       const uint64_t *shape)
{
    char name[256];
    const struct bs_tensor *t;
    const char *path = bs_safetensors_path(l->files);

    snprintf(name, sizeof name, "%s%s%s%s%s", l->prefix, l->layer, stem,
             leaf != NULL ? "." : "", leaf != NULL ? leaf : "");
    t = bs_safetensors_find(l->files, name);
    if (t == NULL) {
        (void)bs_err_set(l->e, BS_EX_DATA, "'%s': no tensor '%s'", path, name);
        return NULL;
    }
    if (t->rank != rank || memcmp(t->shape, shape, rank * sizeof *shape) != 0) {
        (void)odd_shape(l, t, rank, shape);
        return NULL;
    }
    if (t->dtype != BS_DTYPE_F32 && t->dtype != BS_DTYPE_F16 &&
        t->dtype != BS_DTYPE_BF16) {
        (void)bs_err_set(l->e, BS_EX_DATA,
                         "'%s': tensor '%s' is %s, not F32, F16 or BF16", path,
                         name, bs_dtype_name(t->dtype));
        return NULL;
    }
    l->w->tensors++;
    return t;
}

/* `n` values of `t` as f32; the file aligns them to nothing. */
static int
to_f32(struct loader *l, const struct bs_tensor *t, float *out, size_t n)
{
    void *aligned = bs_alloc(t->bytes);

    if (aligned == NULL)
        return bs_err_memory(l->e, t->name, t->bytes);
    memcpy(aligned, t->data, t->bytes);
    bs_to_f32(out, t->dtype, aligned, n);
    bs_free(aligned);
    return 0;
}

/* A tensor as new f32 memory, or NULL. */
static float *
values(struct loader *l, const char *stem, const char *leaf, unsigned rank,
       const uint64_t *shape)
{
    const struct bs_tensor *t = tensor(l, stem, leaf, rank, shape);
    size_t n;
    float *out;

    if (t == NULL)
        return NULL;
    n = t->bytes / bs_dtype_size(t->dtype);
    out = bs_alloc_array(n, sizeof *out);
    if (out == NULL)
        (void)bs_err_memory(l->e, t->name, n * sizeof *out);
    else if (to_f32(l, t, out, n) < 0) {
        bs_free(out);
        out = NULL;
    }
    return out;
}

static int
dev_failed(struct loader *l)
{
    *l->e = *bs_dev_error(l->dev);
    return -l->e->code;
}

static int
put(struct loader *l, struct bs_mem *m, const float *host, size_t n)
{
    if (bs_dev_alloc(l->dev, m, n * sizeof *host) < 0 ||
        bs_dev_put(l->dev, m, 0, host, n * sizeof *host) < 0)
        return dev_failed(l);
    return 0;
}

/* ---- parts --------------------------------------------------------------- */

/* A vector of n values. */
static int
vector(struct loader *l, struct bs_mem *m, const char *stem, const char *leaf,
       size_t n)
{
    uint64_t shape[1] = {n};
    float *host = values(l, stem, leaf, 1, shape);
    int r = host == NULL ? -l->e->code : put(l, m, host, n);

    bs_free(host);
    return r;
}

static int
norm(struct loader *l, struct bs_norm *n, const char *stem)
{
    int r = vector(l, &n->gamma, stem, "weight", l->config->hidden);

    return r < 0 ? r : vector(l, &n->beta, stem, "bias", l->config->hidden);
}

static int
pack(struct loader *l, struct bs_weight **out, const void *w,
     enum bs_dtype type, size_t n, size_t k)
{
    return bs_dev_weight(l->dev, out, w, type, n, k, l->math) < 0
               ? dev_failed(l)
               : 0;
}

/* y = x w^T + b, of k columns and n rows. */
static int
linear(struct loader *l, struct bs_linear *m, const char *stem, size_t n,
       size_t k, bool bias)
{
    uint64_t shape[2] = {n, k};
    const struct bs_tensor *t = tensor(l, stem, "weight", 2, shape);
    int r =
        t == NULL ? -l->e->code : pack(l, &m->weight, t->data, t->dtype, n, k);

    if (r == 0 && bias)
        r = vector(l, &m->bias, stem, "bias", n);
    return r;
}

/* Query, key and value, each [k, k], one below the other. */
static int
stack_weights(struct loader *l, struct bs_linear *m)
{
    size_t k = l->config->hidden, i;
    uint64_t shape[2] = {k, k};
    uint8_t *all = NULL;
    enum bs_dtype type = BS_DTYPE_F32;
    int r = 0;

    for (i = 0; i < 3 && r == 0; i++) {
        const struct bs_tensor *t =
            tensor(l, l->names->qkv[i], "weight", 2, shape);

        if (t == NULL) {
            r = -l->e->code;
            break;
        }
        if (i == 0) {
            type = t->dtype;
            all = bs_alloc(3 * t->bytes);
        }
        if (all == NULL)
            r = bs_err_memory(l->e, t->name, 3 * t->bytes);
        else if (t->dtype != type)
            r = bs_err_set(l->e, BS_EX_DATA,
                           "'%s': tensor '%s' is %s, its query %s",
                           bs_safetensors_path(l->files), t->name,
                           bs_dtype_name(t->dtype), bs_dtype_name(type));
        else
            memcpy(all + i * t->bytes, t->data, t->bytes);
    }
    if (r == 0)
        r = pack(l, &m->weight, all, type, 3 * k, k);
    bs_free(all);
    return r;
}

static int
stack_biases(struct loader *l, struct bs_linear *m)
{
    size_t k = l->config->hidden, i;
    uint64_t shape[1] = {k};
    float *all = bs_alloc_array(3 * k, sizeof *all);
    int r = 0;

    if (all == NULL)
        return bs_err_memory(l->e, "bias", 3 * k * sizeof *all);
    for (i = 0; i < 3 && r == 0; i++) {
        const struct bs_tensor *t =
            tensor(l, l->names->qkv[i], "bias", 1, shape);

        r = t == NULL ? -l->e->code : to_f32(l, t, all + i * k, k);
    }
    if (r == 0)
        r = put(l, &m->bias, all, 3 * k);
    bs_free(all);
    return r;
}

static int
attention_input(struct loader *l, struct bs_linear *m)
{
    const struct bs_dinov2_config *c = l->config;
    int r;

    if (l->names->qkv[1] == NULL)
        return linear(l, m, l->names->qkv[0], 3 * c->hidden, c->hidden,
                      c->qkv_bias);
    r = stack_weights(l, m);
    return r < 0 || !c->qkv_bias ? r : stack_biases(l, m);
}

static int
load_layer(struct loader *l, size_t i)
{
    const struct bs_dinov2_config *c = l->config;
    const struct names *names = l->names;
    struct bs_dinov2_layer *y = &l->w->layer[i];
    const char *in = c->swiglu ? names->gated_in : names->in;
    const char *out = c->swiglu ? names->gated_out : names->out;
    size_t k = c->hidden, width = c->swiglu ? 2 * c->inner : c->inner;
    int r;

    snprintf(l->layer, sizeof l->layer, "%s%zu.", names->layer, i);
    if ((r = norm(l, &y->norm1, names->norm1)) < 0 ||
        (r = attention_input(l, &y->qkv)) < 0 ||
        (r = linear(l, &y->proj, names->proj, k, k, true)) < 0 ||
        (r = vector(l, &y->scale1, names->scale1, NULL, k)) < 0 ||
        (r = norm(l, &y->norm2, names->norm2)) < 0 ||
        (r = linear(l, &y->in, in, width, k, true)) < 0 ||
        (r = linear(l, &y->out, out, k, c->inner, true)) < 0 ||
        (r = vector(l, &y->scale2, names->scale2, NULL, k)) < 0)
        return r;
    l->layer[0] = '\0';
    return 0;
}

/* The convolution that turns patches into tokens is a matrix product. */
static int
load_embed(struct loader *l)
{
    const struct bs_dinov2_config *c = l->config;
    uint64_t shape[4] = {c->hidden, 3, c->patch, c->patch};
    const struct bs_tensor *t = tensor(l, l->names->embed, "weight", 4, shape);
    int r;

    if (t == NULL)
        return -l->e->code;
    r = pack(l, &l->w->embed.weight, t->data, t->dtype, c->hidden,
             3 * c->patch * c->patch);
    return r < 0 ? r
                 : vector(l, &l->w->embed.bias, l->names->embed, "bias",
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
    float *cls = values(l, l->names->class_token, NULL, 3, one), *reg = NULL;
    int r = cls == NULL ? -l->e->code : 0;

    if (r == 0 && c->registers > 0) {
        reg = values(l, l->names->registers, NULL, 3, some);
        r = reg == NULL ? -l->e->code : 0;
    }
    if (r == 0) {
        l->w->positions = values(l, l->names->positions, NULL, 3, all);
        r = l->w->positions == NULL ? -l->e->code : 0;
    }
    if (r == 0) {
        l->w->lead = bs_alloc_array((1 + c->registers) * k, sizeof(float));
        if (l->w->lead == NULL)
            r = bs_err_memory(l->e, "tokens", (1 + c->registers) * k);
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
find_prefix(struct loader *l)
{
    char name[128];
    size_t i;

    l->prefix = prefixes[0];
    for (i = 0; i < BS_LEN(prefixes); i++) {
        snprintf(name, sizeof name, "%s%s", prefixes[i], l->names->class_token);
        if (bs_safetensors_find(l->files, name) != NULL) {
            l->prefix = prefixes[i];
            return;
        }
    }
}

int
bs_dinov2_load(struct bs_dinov2_weights *w,
               const struct bs_dinov2_config *config,
               const struct bs_safetensors *files, struct bs_dev *dev,
               enum bs_math math, struct bs_err *e)
{
    struct loader l = {
        .w = w,
        .config = config,
        .files = files,
        .dev = dev,
        .math = math,
        .e = e,
        .names = config->timm ? &timm : &transformers,
    };
    size_t i;
    int r;

    find_prefix(&l);
    w->layer = bs_alloc_array(config->layers, sizeof *w->layer);
    if (w->layer == NULL)
        return bs_err_memory(e, "layers", config->layers * sizeof *w->layer);
    r = load_tokens(&l);
    if (r == 0)
        r = load_embed(&l);
    for (i = 0; i < config->layers && r == 0; i++)
        r = load_layer(&l, i);
    return r < 0 ? r : norm(&l, &w->norm, l.names->norm);
}

/* ---- release ------------------------------------------------------------- */

static void
drop_linear(struct bs_dev *dev, struct bs_linear *m)
{
    bs_dev_weight_free(dev, m->weight);
    bs_dev_free(dev, &m->bias);
}

static void
drop_norm(struct bs_dev *dev, struct bs_norm *n)
{
    bs_dev_free(dev, &n->gamma);
    bs_dev_free(dev, &n->beta);
}

void
bs_dinov2_unload(struct bs_dinov2_weights *w,
                 const struct bs_dinov2_config *config, struct bs_dev *dev)
{
    size_t i;

    for (i = 0; w->layer != NULL && i < config->layers; i++) {
        struct bs_dinov2_layer *y = &w->layer[i];

        drop_norm(dev, &y->norm1);
        drop_linear(dev, &y->qkv);
        drop_linear(dev, &y->proj);
        bs_dev_free(dev, &y->scale1);
        drop_norm(dev, &y->norm2);
        drop_linear(dev, &y->in);
        drop_linear(dev, &y->out);
        bs_dev_free(dev, &y->scale2);
    }
    drop_linear(dev, &w->embed);
    drop_norm(dev, &w->norm);
    bs_free(w->layer);
    bs_free(w->lead);
    bs_free(w->positions);
    *w = (struct bs_dinov2_weights){0};
}
