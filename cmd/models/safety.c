/*
 * safety.c - see safety.h.
 */
#include "cmd/models/safety.h"

#include <math.h>

#include "cmd/models/config.h"
#include "common/mem.h"
#include "kernels/resize.h"

enum {
    PATCH_MAX = 1 << 8,
    IMAGE_MAX = 1 << 12,
    PROJECTION_MAX = 1 << 14,
    CONCEPTS_MAX = 1 << 12
};

struct concepts {
    size_t count;
    float *vector;    /* [count, projection], of length 1 */
    float *threshold; /* [count] */
};

struct bs_safety {
    struct bs_clip_shape shape;
    size_t patch, grid, projection;
    size_t resize, crop; /* pixels: shorter side, then what is cut out */
    float mean[3], std[3];
    struct bs_clip_room room;
    struct bs_mem rgb, lead, positions, pooled, out;
    struct bs_linear embed, project;
    struct bs_norm before, after;
    struct bs_clip_layer *layer;
    struct concepts special, other;
    uint8_t *pixels; /* [crop, crop, 3] */
    float *vector;   /* [projection] */
    size_t tensors;
};

/* ---- configuration --------------------------------------------------------
 */

/* The vision model's part of a CLIPConfig: the older member goes first. */
static const struct bs_json *
vision_config(const struct bs_json *v)
{
    static const struct bs_json none = {.type = BS_JSON_NULL};
    const struct bs_json *c = bs_json_get(v, "vision_config_dict");

    if (c == NULL || c->type != BS_JSON_OBJECT)
        c = bs_json_get(v, "vision_config");
    return c != NULL && c->type == BS_JSON_OBJECT ? c : &none;
}

static int
read_config(void *safety, const struct bs_json *v, struct bs_err *e)
{
    struct bs_safety *m = safety;
    static const struct bs_clip_shape shape = {
        .hidden = 768,
        .layers = 12,
        .heads = 12,
        .inner = 3072,
        .activation = BS_EPI_QUICK_GELU,
        .eps = 1e-5f,
    };
    const struct bs_json *vision = vision_config(v);
    size_t image = 0, channels = 0;
    int r;

    m->shape = shape;
    if ((r = bs_config_size(v, "projection_dim", 512, 1, PROJECTION_MAX,
                            &m->projection, e)) < 0 ||
        (r = bs_clip_configure(&m->shape, vision, e)) < 0 ||
        (r = bs_config_side(vision, "patch_size", 32, 1, PATCH_MAX, &m->patch,
                            e)) < 0 ||
        (r = bs_config_side(vision, "image_size", 224, 1, IMAGE_MAX, &image,
                            e)) < 0 ||
        (r = bs_config_size(vision, "num_channels", 3, 3, 3, &channels, e)) < 0)
        return r;
    m->grid = image / m->patch;
    m->resize = m->crop = image;
    if (m->grid == 0)
        return bs_err_set(e, BS_EX_DATA, "'patch_size' is over the image's %zu",
                          image);
    return 0;
}

/* A size that is a number, or an object with one of the names. */
static int
read_side(const struct bs_json *v, const char *key, const char *inner,
          size_t otherwise, size_t *out, struct bs_err *e)
{
    const struct bs_json *c = bs_json_get(v, key);

    if (c != NULL && c->type == BS_JSON_OBJECT)
        return bs_config_size(c, inner, otherwise, 1, IMAGE_MAX, out, e);
    return bs_config_size(v, key, otherwise, 1, IMAGE_MAX, out, e);
}

static int
read_channels(const struct bs_json *v, const char *key, float out[3],
              struct bs_err *e)
{
    const struct bs_json *list = bs_json_get(v, key), *c;
    size_t i = 0;

    if (list == NULL)
        return 0;
    if (list->type == BS_JSON_ARRAY && list->count == 3)
        for (c = list->child;
             c != NULL && c->type == BS_JSON_NUMBER && fabs(c->number) < 1e6;
             c = c->next)
            out[i++] = (float)c->number;
    return i == 3
               ? 0
               : bs_err_set(e, BS_EX_DATA, "'%s' is no list of 3 numbers", key);
}

static int
read_pixels(struct bs_safety *m, const struct bs_json *v, struct bs_err *e)
{
    size_t crop = 0;
    int r;

    if (v == NULL)
        return 0;
    if ((r = read_side(v, "size", "shortest_edge", m->crop, &m->resize, e)) <
            0 ||
        (r = read_side(v, "crop_size", "height", m->crop, &crop, e)) < 0 ||
        (r = read_channels(v, "image_mean", m->mean, e)) < 0 ||
        (r = read_channels(v, "image_std", m->std, e)) < 0)
        return r;
    if (crop != m->crop || m->resize < crop || !(m->std[0] > 0) ||
        !(m->std[1] > 0) || !(m->std[2] > 0))
        return bs_err_set(e, BS_EX_DATA,
                          "sizes of %zu and %zu for a model of %zu pixels, or "
                          "an 'image_std' of 0",
                          m->resize, crop, m->crop);
    return 0;
}

static int
configure(struct bs_safety *m, struct bs_safetensors *files,
          const struct bs_json *pixels, struct bs_err *e)
{
    static const float mean[3] = {0.48145466f, 0.4578275f, 0.40821073f};
    static const float std[3] = {0.26862954f, 0.26130258f, 0.27577711f};
    int r;

    memcpy(m->mean, mean, sizeof mean);
    memcpy(m->std, std, sizeof std);
    r = bs_config_network(files, read_config, m, e);
    if (r < 0)
        return r;
    r = read_pixels(m, pixels, e);
    return r < 0 ? bs_err_prefix(e, "'preprocessor_config.json'") : 0;
}

/* ---- weights --------------------------------------------------------------
 */

/* The class token and the positions of it and of the patches. */
static int
load_tokens(struct bs_safety *m, struct bs_loader *l)
{
    size_t k = m->shape.hidden, patches = m->grid * m->grid, i;
    uint64_t one[1] = {k}, all[2] = {1 + patches, k};
    float *token =
        bs_loader_values(l, "embeddings.class_embedding", NULL, 1, one);
    float *place = NULL;
    int r = token == NULL ? -l->e->code : 0;

    if (r == 0) {
        place = bs_loader_values(l, "embeddings.position_embedding", "weight",
                                 2, all);
        r = place == NULL ? -l->e->code : 0;
    }
    for (i = 0; i < k && r == 0; i++)
        token[i] += place[i];
    if (r == 0)
        r = bs_loader_put(l, &m->lead, token, k);
    if (r == 0)
        r = bs_loader_put(l, &m->positions, place + k, patches * k);
    bs_free(token);
    bs_free(place);
    return r;
}

/* The convolution that turns patches into tokens is a matrix product. */
static int
load_embed(struct bs_safety *m, struct bs_loader *l)
{
    uint64_t shape[4] = {m->shape.hidden, 3, m->patch, m->patch};
    const struct bs_tensor *t =
        bs_loader_tensor(l, "embeddings.patch_embedding", "weight", 4, shape);

    if (t == NULL)
        return -l->e->code;
    return bs_dev_weight(l->dev, &m->embed.weight, t->data, t->dtype,
                         m->shape.hidden, 3 * m->patch * m->patch, l->math) < 0
               ? bs_loader_failed(l)
               : 0;
}

static int
load_vision(struct bs_safety *m, struct bs_loader *l)
{
    size_t k = m->shape.hidden, mark = bs_loader_enter(l, "vision_model.");
    int r;

    /* transformers wrote the inner model's name until 5 */
    if (bs_loader_has(l, "vision_model.embeddings.class_embedding", NULL))
        (void)bs_loader_enter(l, "vision_model.");
    if ((r = load_tokens(m, l)) < 0 || (r = load_embed(m, l)) < 0 ||
        (r = bs_load_norm(l, &m->before, "pre_layrnorm", k)) < 0 ||
        (r = bs_load_norm(l, &m->after, "post_layernorm", k)) < 0)
        return r;
    m->layer = bs_clip_layers_load(l, &m->shape);
    if (m->layer == NULL)
        return -l->e->code;
    bs_loader_leave(l, mark);
    return 0;
}

static void
to_length_1(float *v, size_t n)
{
    double sum = 0;
    size_t i;

    for (i = 0; i < n; i++)
        sum += (double)v[i] * (double)v[i];
    sum = sqrt(sum);
    for (i = 0; i < n; i++)
        v[i] = (float)((double)v[i] / (sum > 1e-12 ? sum : 1e-12));
}

static int
load_concepts(struct bs_safety *m, struct bs_loader *l, struct concepts *c,
              const char *name, const char *weights)
{
    uint64_t shape[2] = {0, m->projection}, n[1];
    const struct bs_tensor *t = bs_safetensors_find(l->files, name);
    size_t i;

    if (t != NULL && t->rank == 2 && t->shape[0] <= CONCEPTS_MAX)
        shape[0] = t->shape[0];
    n[0] = shape[0];
    c->vector = bs_loader_values(l, name, NULL, 2, shape);
    if (c->vector == NULL)
        return -l->e->code;
    c->threshold = bs_loader_values(l, weights, NULL, 1, n);
    if (c->threshold == NULL)
        return -l->e->code;
    c->count = (size_t)n[0];
    for (i = 0; i < c->count; i++)
        to_length_1(c->vector + i * m->projection, m->projection);
    return 0;
}

static int
load(struct bs_safety *m, struct bs_loader *l)
{
    int r;

    if ((r = load_vision(m, l)) < 0 ||
        (r = bs_load_linear(l, &m->project, "visual_projection", m->projection,
                            m->shape.hidden, false)) < 0 ||
        (r = load_concepts(m, l, &m->special, "special_care_embeds",
                           "special_care_embeds_weights")) < 0)
        return r;
    return load_concepts(m, l, &m->other, "concept_embeds",
                         "concept_embeds_weights");
}

/* ---- open -----------------------------------------------------------------
 */

static int
plan(struct bs_safety *m, struct bs_dev *dev, enum bs_math math,
     struct bs_err *e)
{
    size_t patches = m->grid * m->grid, bytes = m->crop * m->crop * 3;
    /* the room's wide part is the matrix of patches as well */
    struct bs_clip_shape wide = m->shape;
    int r;

    if (wide.inner < 3 * m->patch * m->patch)
        wide.inner = 3 * m->patch * m->patch;
    m->pixels = bs_alloc(bytes);
    m->vector = bs_alloc_array(m->projection, sizeof *m->vector);
    if (m->pixels == NULL || m->vector == NULL)
        return bs_err_memory(e, "safety checker", bytes);
    r = bs_clip_room_open(&m->room, dev, math, &wide, 1 + patches, e);
    if (r < 0)
        return r;
    if (bs_dev_alloc(dev, &m->rgb, bytes) < 0 ||
        bs_dev_alloc(dev, &m->pooled, m->shape.hidden * sizeof(float)) < 0 ||
        bs_dev_alloc(dev, &m->out, m->projection * sizeof(float)) < 0) {
        *e = *bs_dev_error(dev);
        return -e->code;
    }
    return 0;
}

int
bs_safety_open(struct bs_safety **out, struct bs_safetensors *files,
               const struct bs_json *pixels, struct bs_dev *dev,
               enum bs_math math, struct bs_err *e)
{
    struct bs_safety *m = bs_alloc_array(1, sizeof *m);
    struct bs_loader l = {.files = files, .dev = dev, .math = math, .e = e};
    int r;

    *out = NULL;
    if (m == NULL)
        return bs_err_memory(e, "safety checker", sizeof *m);
    m->room.dev = dev;
    r = configure(m, files, pixels, e);
    if (r == 0)
        r = plan(m, dev, math, e);
    if (r == 0)
        r = load(m, &l);
    m->tensors = l.used;
    if (r < 0) {
        bs_safety_close(m);
        return r;
    }
    *out = m;
    return 0;
}

static void
drop_concepts(struct concepts *c)
{
    bs_free(c->vector);
    bs_free(c->threshold);
}

void
bs_safety_close(struct bs_safety *m)
{
    struct bs_dev *dev;

    if (m == NULL)
        return;
    dev = m->room.dev;
    bs_clip_layers_drop(dev, m->layer, &m->shape);
    bs_drop_linear(dev, &m->embed);
    bs_drop_linear(dev, &m->project);
    bs_drop_norm(dev, &m->before);
    bs_drop_norm(dev, &m->after);
    bs_dev_free(dev, &m->rgb);
    bs_dev_free(dev, &m->lead);
    bs_dev_free(dev, &m->positions);
    bs_dev_free(dev, &m->pooled);
    bs_dev_free(dev, &m->out);
    bs_clip_room_close(&m->room);
    drop_concepts(&m->special);
    drop_concepts(&m->other);
    bs_free(m->pixels);
    bs_free(m->vector);
    bs_free(m);
}

size_t
bs_safety_used(const struct bs_safety *m)
{
    return m->tensors;
}

size_t
bs_safety_concepts(const struct bs_safety *m)
{
    return m->special.count + m->other.count;
}

/* ---- check ----------------------------------------------------------------
 */

/* The middle of the image, as CLIPImageProcessor cuts it: halves go down. */
static int
see(struct bs_safety *m, const uint8_t *rgb, size_t height, size_t width,
    struct bs_err *e)
{
    struct bs_crop crop = {.width = m->crop, .height = m->crop};
    size_t w, h;

    bs_resize_fit(width, height, m->resize, &w, &h);
    crop.x = (w - m->crop) / 2;
    crop.y = (h - m->crop) / 2;
    return bs_resize(rgb, width, height, m->pixels, w, h, BS_FILTER_BICUBIC,
                     &crop, e);
}

/* m->pixels to m->vector: 0 or the device's error. */
static int
embed(struct bs_safety *m)
{
    struct bs_clip_room *room = &m->room;
    struct bs_dev *dev = room->dev;
    size_t k = m->shape.hidden, patches = m->grid * m->grid;
    size_t side = m->grid * m->patch, values = 3 * m->patch * m->patch, i;
    int r = 0;

    for (i = 0; i < side && r == 0; i++) /* what no patch covers is left out */
        r = bs_dev_put(dev, &m->rgb, i * side * 3, m->pixels + i * m->crop * 3,
                       side * 3);
    if (r == 0)
        r = bs_dev_patchify(dev, &m->rgb, &room->wide, 1, side, side, m->patch,
                            m->mean, m->std);
    if (r == 0)
        r = bs_dev_gemm(dev, m->embed.weight, &room->wide, values, &room->y, k,
                        patches, NULL, BS_EPI_NONE, NULL);
    if (r == 0)
        r = bs_dev_assemble(dev, &room->y, &m->lead, &m->positions, &room->x, 1,
                            patches, 1, k);
    if (r == 0)
        r = bs_dev_layer_norm(dev, &room->x, &room->x, 1 + patches, k,
                              &m->before.gamma, &m->before.beta, m->shape.eps);
    if (r == 0)
        r = bs_clip_layers_forward(m->layer, &m->shape, room, 1, 1 + patches,
                                   false);
    if (r == 0)
        r = bs_dev_layer_norm(dev, &room->x, &m->pooled, 1, k, &m->after.gamma,
                              &m->after.beta, m->shape.eps);
    if (r == 0)
        r = bs_dev_gemm(dev, m->project.weight, &m->pooled, k, &m->out,
                        m->projection, 1, NULL, BS_EPI_NONE, NULL);
    return r < 0 ? r
                 : bs_dev_get(dev, m->vector, &m->out, 0,
                              m->projection * sizeof *m->vector);
}

/* Whether the image is near one of them. */
static bool
near(const struct bs_safety *m, const struct concepts *c, double adjustment,
     double *cosines)
{
    bool any = false;
    size_t i, j;

    for (i = 0; i < c->count; i++) {
        double cosine = 0, over;

        for (j = 0; j < m->projection; j++)
            cosine +=
                (double)m->vector[j] * (double)c->vector[i * m->projection + j];
        over = cosine - (double)c->threshold[i] + adjustment;
        any |= over > 0.0005;
        if (cosines != NULL)
            cosines[i] = cosine;
    }
    return any;
}

int
bs_safety_check(struct bs_safety *m, const uint8_t *rgb, size_t height,
                size_t width, bool *flagged, double *cosines, struct bs_err *e)
{
    bool special;
    int r = see(m, rgb, height, width, e);

    if (r < 0)
        return r;
    r = embed(m);
    if (r < 0) {
        *e = *bs_dev_error(m->room.dev);
        return r;
    }
    to_length_1(m->vector, m->projection);
    special = near(m, &m->special, 0, cosines);
    *flagged = near(m, &m->other, special ? 0.01 : 0,
                    cosines != NULL ? cosines + m->special.count : NULL);
    return 0;
}
