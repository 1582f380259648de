/*
 * dinov2_config.c - what config.json says of a DINOv2 model.
 *
 * transformers writes every number down; timm names an architecture, and the
 * shapes of the tensors say the rest.  Every number is bounded here, so that
 * products of them fit.
 */
#include "cmd/models/dinov2.h"

#include <math.h>

#include "cmd/models/config.h"

enum {
    HIDDEN_MAX = 1 << 16,
    LAYERS_MAX = 1 << 10,
    INNER_MAX = 1 << 20,
    PATCH_MAX = 1 << 8,
    IMAGE_MAX = 1 << 16,
    TIMM_HEAD = 64 /* width of a head, in every architecture of timm */
};

#define SUPPORTED                                           \
    "dinov2 and dinov2_with_registers of transformers and " \
    "vit_*_dinov2 of timm are supported"

/* ---- pixels ---------------------------------------------------------------
 */

/* Three numbers, kept as they are where the member is absent. */
static int
get_channels(const struct bs_json *v, const char *key, float out[3],
             struct bs_err *e)
{
    const struct bs_json *list = bs_json_get(v, key), *c;
    size_t i = 0;

    if (list == NULL)
        return 0;
    if (list->type != BS_JSON_ARRAY || list->count != 3)
        return bs_err_set(e, BS_EX_DATA, "'%s' is no list of 3 numbers", key);
    for (c = list->child; c != NULL; c = c->next) {
        if (c->type != BS_JSON_NUMBER || !(fabs(c->number) < 1e6))
            return bs_err_set(e, BS_EX_DATA, "'%s' is no list of 3 numbers",
                              key);
        out[i++] = (float)c->number;
    }
    return 0;
}

/* Mean and standard deviation of the pixels; nothing is divided by 0. */
static int
get_pixels(struct bs_dinov2_config *c, const struct bs_json *v,
           const char *mean, const char *std, struct bs_err *e)
{
    int r = get_channels(v, mean, c->mean, e);
    size_t i;

    if (r == 0)
        r = get_channels(v, std, c->std, e);
    for (i = 0; i < 3 && r == 0; i++)
        if (!(c->std[i] > 0))
            r = bs_err_set(e, BS_EX_DATA, "'%s' is not positive", std);
    return r;
}

/* ---- transformers -------------------------------------------------------- */

/* Width inside the MLP, as the classes compute it. */
static int
hf_inner(struct bs_dinov2_config *c, const struct bs_json *v, struct bs_err *e)
{
    double ratio;
    int r = bs_config_real(v, "mlp_ratio", 4, 1e-3, 64, &ratio, e);

    if (r < 0)
        return r;
    c->inner = (size_t)((double)c->hidden * ratio);
    if (c->swiglu)
        c->inner = BS_ROUND_UP(c->inner * 2 / 3, (size_t)8);
    if (c->inner == 0 || c->inner > INNER_MAX)
        return bs_err_set(e, BS_EX_DATA, "'mlp_ratio' gives a width of %zu",
                          c->inner);
    return 0;
}

static int
hf_activation(const struct bs_dinov2_config *c, const struct bs_json *v,
              struct bs_err *e)
{
    const char *act = bs_json_get_string(v, "hidden_act");

    if (c->swiglu || act == NULL || strcmp(act, "gelu") == 0)
        return 0;
    return bs_err_set(e, BS_EX_DATA, "'hidden_act' is '%.40s', not 'gelu'",
                      act);
}

/* Members with the defaults of Dinov2Config or Dinov2WithRegistersConfig. */
static int
hf_config(struct bs_dinov2_config *c, const struct bs_json *v, bool registers,
          struct bs_err *e)
{
    size_t image = 0, channels = 0;
    double eps;
    int r;

    c->antialias = registers;
    c->class_position = true;
    if ((r = bs_config_size(v, "hidden_size", 768, 1, HIDDEN_MAX, &c->hidden,
                            e)) < 0 ||
        (r = bs_config_size(v, "num_hidden_layers", 12, 1, LAYERS_MAX,
                            &c->layers, e)) < 0 ||
        (r = bs_config_size(v, "num_attention_heads", 12, 1, HIDDEN_MAX,
                            &c->heads, e)) < 0 ||
        (r = bs_config_side(v, "patch_size", registers ? 16 : 14, 1, PATCH_MAX,
                            &c->patch, e)) < 0 ||
        (r = bs_config_side(v, "image_size", 224, 1, IMAGE_MAX, &image, e)) <
            0 ||
        (r = bs_config_size(v, "num_channels", 3, 1, 3, &channels, e)) < 0 ||
        (r = bs_config_real(v, "layer_norm_eps", 1e-6, 1e-30, 1, &eps, e)) <
            0 ||
        (r = bs_config_bool(v, "qkv_bias", true, &c->qkv_bias, e)) < 0 ||
        (r = bs_config_bool(v, "use_swiglu_ffn", false, &c->swiglu, e)) < 0 ||
        (r = hf_inner(c, v, e)) < 0 || (r = hf_activation(c, v, e)) < 0)
        return r;
    if (registers && (r = bs_config_size(v, "num_register_tokens", 4, 1,
                                         HIDDEN_MAX, &c->registers, e)) < 0)
        return r;
    if (channels != 3)
        return bs_err_set(e, BS_EX_DATA, "'num_channels' is not 3");
    c->eps = (float)eps;
    c->grid = image / c->patch;
    return 0;
}

/* ---- timm ---------------------------------------------------------------- */

/* A tensor of the given rank, all of whose dimensions are in 1..max. */
static const struct bs_tensor *
timm_tensor(const struct bs_safetensors *files, const char *name, unsigned rank,
            struct bs_err *e)
{
    const struct bs_tensor *t = bs_safetensors_find(files, name);
    unsigned i;

    if (t == NULL || t->rank != rank) {
        (void)bs_err_set(e, BS_EX_DATA, "tensor '%s' is %s", name,
                         t == NULL ? "missing" : "of another rank");
        return NULL;
    }
    for (i = 0; i < rank; i++)
        if (t->shape[i] == 0 || t->shape[i] > INNER_MAX) {
            (void)bs_err_set(e, BS_EX_DATA, "tensor '%s' has an odd shape",
                             name);
            return NULL;
        }
    return t;
}

static size_t
timm_layers(const struct bs_safetensors *files)
{
    char name[64];
    size_t n = 0;

    do
        snprintf(name, sizeof name, "blocks.%zu.norm1.weight", n);
    while (bs_safetensors_find(files, name) != NULL && n++ < LAYERS_MAX);
    return n;
}

static bool
square(size_t n, size_t *root)
{
    *root = (size_t)(sqrt((double)n) + 0.5);
    return *root * *root == n && n > 0;
}

/* The grid of positions, with a place for the class token or without. */
static int
timm_positions(struct bs_dinov2_config *c, size_t rows, struct bs_err *e)
{
    c->class_position = square(rows - 1, &c->grid);
    if (!c->class_position && !square(rows, &c->grid))
        return bs_err_set(e, BS_EX_DATA,
                          "tensor 'pos_embed' is no square grid of positions");
    return 0;
}

static int
timm_config(struct bs_dinov2_config *c, const struct bs_json *v,
            const struct bs_safetensors *files, struct bs_err *e)
{
    const struct bs_tensor *pos = timm_tensor(files, "pos_embed", 3, e);
    const struct bs_tensor *patch =
        timm_tensor(files, "patch_embed.proj.weight", 4, e);
    const struct bs_tensor *in =
        timm_tensor(files, "blocks.0.mlp.fc1.weight", 2, e);
    const struct bs_tensor *out =
        timm_tensor(files, "blocks.0.mlp.fc2.weight", 2, e);
    const struct bs_tensor *reg = bs_safetensors_find(files, "reg_token");
    int r;

    if (pos == NULL || patch == NULL || in == NULL || out == NULL)
        return -e->code;
    if (patch->shape[2] > PATCH_MAX || pos->shape[2] > HIDDEN_MAX)
        return bs_err_set(e, BS_EX_DATA,
                          "tensor 'patch_embed.proj.weight' has an odd shape");
    if (reg != NULL && (reg = timm_tensor(files, "reg_token", 3, e)) == NULL)
        return -e->code;
    c->timm = true;
    c->antialias = true;
    c->hidden = (size_t)pos->shape[2];
    c->layers = timm_layers(files);
    c->patch = (size_t)patch->shape[2];
    c->inner = (size_t)out->shape[1];
    c->swiglu = in->shape[0] == 2 * out->shape[1];
    c->registers = reg != NULL ? (size_t)reg->shape[1] : 0;
    c->qkv_bias = bs_safetensors_find(files, "blocks.0.attn.qkv.bias") != NULL;
    c->eps = 1e-6f;
    r = bs_config_size(bs_json_get(v, "model_args"), "num_heads",
                       c->hidden < TIMM_HEAD ? 1 : c->hidden / TIMM_HEAD, 1,
                       HIDDEN_MAX, &c->heads, e);
    if (r == 0)
        r = get_pixels(c, bs_json_get(v, "pretrained_cfg"), "mean", "std", e);
    return r < 0 ? r : timm_positions(c, (size_t)pos->shape[1], e);
}

/* ---- both ---------------------------------------------------------------- */

/* What the model's authors call this shape; another shape by its numbers. */
static void
name_shape(struct bs_dinov2_config *c)
{
    static const struct {
        size_t hidden, layers;
        char letter;
    } known[] = {
        {384, 12, 's'}, {768, 12, 'b'}, {1024, 24, 'l'}, {1536, 40, 'g'}};
    const char *reg = c->registers > 0 ? "_reg" : "";
    size_t i;

    for (i = 0; i < BS_LEN(known); i++)
        if (c->hidden == known[i].hidden && c->layers == known[i].layers) {
            snprintf(c->name, sizeof c->name, "dinov2_vit%c%zu%s",
                     known[i].letter, c->patch, reg);
            return;
        }
    snprintf(c->name, sizeof c->name, "dinov2_%zux%zu_patch%zu%s", c->hidden,
             c->layers, c->patch, reg);
}

static int
check(const struct bs_dinov2_config *c, struct bs_err *e)
{
    if (c->hidden % c->heads != 0)
        return bs_err_set(e, BS_EX_DATA,
                          "a width of %zu does not divide into %zu heads",
                          c->hidden, c->heads);
    if (c->grid == 0)
        return bs_err_set(e, BS_EX_DATA, "the image is smaller than a patch");
    if (c->layers == 0)
        return bs_err_set(e, BS_EX_DATA, "no layers");
    return 0;
}

/* By the kind of model that the file names. */
static int
read_config(struct bs_dinov2_config *c, const struct bs_json *v,
            const struct bs_safetensors *files, struct bs_err *e)
{
    const char *type = bs_json_get_string(v, "model_type");
    const char *arch = bs_json_get_string(v, "architecture");

    if (type != NULL && strcmp(type, "dinov2") == 0)
        return hf_config(c, v, false, e);
    if (type != NULL && strcmp(type, "dinov2_with_registers") == 0)
        return hf_config(c, v, true, e);
    if (type == NULL && arch != NULL && strncmp(arch, "vit_", 4) == 0 &&
        strstr(arch, "dinov2") != NULL)
        return timm_config(c, v, files, e);
    if (type != NULL)
        return bs_err_set(e, BS_EX_DATA, "model_type '%.60s': only " SUPPORTED,
                          type);
    if (arch != NULL)
        return bs_err_set(e, BS_EX_DATA,
                          "architecture '%.60s': only " SUPPORTED, arch);
    return bs_err_set(e, BS_EX_DATA, "no 'model_type': only " SUPPORTED);
}

int
bs_dinov2_configure(struct bs_dinov2_config *c, struct bs_safetensors *files,
                    struct bs_err *e)
{
    /* of ImageNet, as both libraries have them */
    static const struct bs_dinov2_config initial = {
        .mean = {0.485f, 0.456f, 0.406f},
        .std = {0.229f, 0.224f, 0.225f},
    };
    const char *path = bs_safetensors_path(files);
    const char *name = "config.json";
    struct bs_json_doc *json = NULL, *pixels = NULL;
    int r = bs_config_read(&json, files, name, e);

    *c = initial;
    if (r == 0)
        return bs_err_set(e, BS_EX_NOINPUT,
                          "no '%s' beside the weights of '%s'", name, path);
    if (r > 0)
        r = read_config(c, bs_json_root(json), files, e);
    if (r == 0)
        r = check(c, e);
    if (r == 0 && !c->timm) {
        name = "preprocessor_config.json";
        r = bs_config_read(&pixels, files, name, e);
        if (r > 0)
            r = get_pixels(c, bs_json_root(pixels), "image_mean", "image_std",
                           e);
    }
    bs_json_free(json);
    bs_json_free(pixels);
    if (r < 0)
        return bs_err_prefix(e, "'%s' of '%s'", name, path);
    name_shape(c);
    return 0;
}
