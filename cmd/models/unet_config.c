/*
 * unet_config.c - what config.json says of a UNet2DConditionModel.
 *
 * Every number is bounded here, so that products of them fit.
 */
#include "cmd/models/unet.h"

#include "cmd/models/config.h"

enum {
    CHANNELS_MAX = 1 << 14,
    LAYERS_MAX = 1 << 6,
    SIDE_MAX = 1 << 14,
    CONTEXT_MAX = 1 << 16
};

/* Parts of the class that Stable Diffusion 1 and 2 leave as they are. */
static int
check_fixed(const struct bs_json *v, struct bs_err *e)
{
    static const char *const unset[] = {
        "class_embed_type",      "addition_embed_type",
        "encoder_hid_dim_type",  "num_attention_heads",
        "time_cond_proj_dim",    "timestep_post_act",
        "time_embedding_act_fn", "cross_attention_norm",
        "num_class_embeds",      "reverse_transformer_layers_per_block",
        "center_input_sample",   "dual_cross_attention",
        "only_cross_attention",  "mid_block_only_cross_attention",
        "resnet_skip_time_act",  "class_embeddings_concat",
    };
    static const struct {
        const char *key;
        double number;
    } numbers[] = {
        {"downsample_padding", 1},      {"mid_block_scale_factor", 1},
        {"conv_in_kernel", 3},          {"conv_out_kernel", 3},
        {"resnet_out_scale_factor", 1},
    };
    static const struct {
        const char *key;
        const char *word[2];
        size_t count;
    } words[] = {
        {"act_fn", {"silu", "swish"}, 2}, /* the same */
        {"resnet_time_scale_shift", {"default"}, 1},
        {"time_embedding_type", {"positional"}, 1},
        {"attention_type", {"default"}, 1},
    };
    size_t i, which;
    double number;
    int r = 0;

    for (i = 0; i < BS_LEN(unset) && r == 0; i++)
        r = bs_config_unset(v, unset[i], e);
    for (i = 0; i < BS_LEN(numbers) && r == 0; i++)
        r = bs_config_real(v, numbers[i].key, numbers[i].number,
                           numbers[i].number, numbers[i].number, &number, e);
    for (i = 0; i < BS_LEN(words) && r == 0; i++)
        r = bs_config_word(v, words[i].key, words[i].word, words[i].count, 0,
                           &which, e);
    return r;
}

/* Whether the i-th block of a list attends to the text: `with` or `without`. */
static int
block_type(const struct bs_json *list, size_t i, const char *with,
           const char *without, bool *attention, struct bs_err *e)
{
    const struct bs_json *v = list->child;

    for (; i > 0; i--)
        v = v->next;
    if (v->type == BS_JSON_STRING && strcmp(v->text, with) == 0)
        *attention = true;
    else if (v->type == BS_JSON_STRING && strcmp(v->text, without) == 0)
        *attention = false;
    else
        return bs_err_set(e, BS_EX_DATA,
                          "'%s': block '%.40s' is not known, only %s and %s",
                          list->key, v->type == BS_JSON_STRING ? v->text : "?",
                          with, without);
    return 0;
}

static const struct bs_json *
list_of(const struct bs_json *v, const char *key, size_t *count,
        struct bs_err *e)
{
    const struct bs_json *list = bs_json_get(v, key);

    if (list == NULL || list->type != BS_JSON_ARRAY || list->count == 0 ||
        list->count > BS_UNET_LEVELS || (*count > 0 && list->count != *count)) {
        (void)bs_err_set(e, BS_EX_DATA,
                         "'%s' is no list as long as the other lists, of 1 to "
                         "%d blocks",
                         key, BS_UNET_LEVELS);
        return NULL;
    }
    *count = list->count;
    return list;
}

static int
read_blocks(struct bs_unet_config *c, const struct bs_json *v, struct bs_err *e)
{

    static const char *const mid[] = {"UNetMidBlock2DCrossAttn"};
    const struct bs_json *down = list_of(v, "down_block_types", &c->levels, e);
    const struct bs_json *up =
        down != NULL ? list_of(v, "up_block_types", &c->levels, e) : NULL;
    size_t i, which;
    int r = 0;

    if (up == NULL)
        return -e->code;
    for (i = 0; i < c->levels && r == 0; i++) {
        r = block_type(down, i, "CrossAttnDownBlock2D", "DownBlock2D",
                       &c->level[i].down_attention, e);
        if (r == 0)
            r = block_type(up, c->levels - 1 - i, "CrossAttnUpBlock2D",
                           "UpBlock2D", &c->level[i].up_attention, e);
    }
    if (r == 0 && bs_json_get(v, "mid_block_type") != NULL &&
        !bs_config_has(v, "mid_block_type"))
        r = bs_err_set(e, BS_EX_DATA,
                       "'mid_block_type' is null, which is not supported");
    return r < 0 ? r
                 : bs_config_word(v, "mid_block_type", mid, 1, 0, &which, e);
}

static int
read_levels(struct bs_unet_config *c, const struct bs_json *v, struct bs_err *e)
{
    static const struct {
        const char *key;
        size_t otherwise, max;
    } lists[] = {
        {"block_out_channels", 0, CHANNELS_MAX},
        {"layers_per_block", 2, LAYERS_MAX},
        {"attention_head_dim", 8, CHANNELS_MAX}, /* the number of heads */
        {"transformer_layers_per_block", 1, LAYERS_MAX},
        {"cross_attention_dim", 1280, CONTEXT_MAX},
    };
    size_t value[BS_LEN(lists)][BS_UNET_LEVELS], i;
    int r;

    for (i = 0; i < BS_LEN(lists); i++) {
        r = bs_config_sizes(v, lists[i].key, lists[i].otherwise, 1,
                            lists[i].max, value[i], c->levels, e);
        if (r < 0)
            return r;
    }
    for (i = 0; i < c->levels; i++) {
        c->level[i].channels = value[0][i];
        c->level[i].layers = value[1][i];
        c->level[i].heads = value[2][i];
        c->level[i].depth = value[3][i];
        c->level[i].context = value[4][i];
    }
    return 0;
}

static int
read_numbers(struct bs_unet_config *c, const struct bs_json *v,
             struct bs_err *e)
{

    double eps;
    int r;

    if ((r = bs_config_size(v, "in_channels", 4, 1, CHANNELS_MAX, &c->in, e)) <
            0 ||
        (r = bs_config_size(v, "out_channels", 4, 1, CHANNELS_MAX, &c->out,
                            e)) < 0 ||
        (r = bs_config_side(v, "sample_size", 0, 1, SIDE_MAX, &c->sample_size,
                            e)) < 0 ||
        (r = bs_config_size(v, "norm_num_groups", 32, 1, CHANNELS_MAX,
                            &c->groups, e)) < 0 ||
        (r = bs_config_size(v, "time_embedding_dim", 4 * c->level[0].channels,
                            1, CONTEXT_MAX, &c->time, e)) < 0 ||
        (r = bs_config_real(v, "norm_eps", 1e-5, 1e-30, 1, &eps, e)) < 0 ||
        (r = bs_config_bool(v, "flip_sin_to_cos", true, &c->cosine_first, e)) <
            0)
        return r;
    c->eps = (float)eps;
    return bs_config_real(v, "freq_shift", 0, 0, 1, &c->freq_shift, e);
}

static int
check_numbers(const struct bs_unet_config *c, struct bs_err *e)
{
    size_t i, k;
    bool attends;

    if (c->level[0].channels % 2 != 0 || c->level[0].channels < 4)
        return bs_err_set(e, BS_EX_DATA,
                          "'block_out_channels' begins with %zu, not with an "
                          "even number from 4",
                          c->level[0].channels);
    for (i = 0; i < c->levels; i++) {
        k = c->level[i].channels;
        if (k % c->groups != 0)
            return bs_err_set(e, BS_EX_DATA,
                              "%zu channels do not divide into %zu groups", k,
                              c->groups);
        attends = c->level[i].down_attention || c->level[i].up_attention ||
                  i + 1 == c->levels;
        if (attends &&
            (k % c->level[i].heads != 0 || k / c->level[i].heads > 512))
            return bs_err_set(e, BS_EX_DATA,
                              "%zu channels do not divide into %zu heads of at "
                              "most 512",
                              k, c->level[i].heads);
        if (c->level[i].context != c->level[0].context)
            return bs_err_set(e, BS_EX_DATA,
                              "'cross_attention_dim' differs from block to "
                              "block, which is not known");
    }
    return 0;
}

static int
read_config(void *config, const struct bs_json *v, struct bs_err *e)
{
    static const char *const class[] = {"UNet2DConditionModel"};
    struct bs_unet_config *c = config;
    size_t which;
    int r = bs_config_word(v, "_class_name", class, 1, 0, &which, e);

    if (r == 0)
        r = check_fixed(v, e);
    if (r == 0)
        r = read_blocks(c, v, e);
    if (r == 0)
        r = read_levels(c, v, e);
    if (r == 0)
        r = read_numbers(c, v, e);
    return r < 0 ? r : check_numbers(c, e);
}

int
bs_unet_configure(struct bs_unet_config *c, struct bs_safetensors *files,
                  struct bs_err *e)
{
    *c = (struct bs_unet_config){0};
    return bs_config_network(files, read_config, c, e);
}
