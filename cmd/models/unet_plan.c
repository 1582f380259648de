/*
 * unet_plan.c - the life of a UNet: its memory, and the names of its blocks.
 *
 * What the way down leaves for the way up is never copied: each such image
 * shares a matrix with the one that it will be put together with, a pixel of
 * which is [what comes from below | what was left].  The way down writes and
 * reads the columns on the right, the way up writes those on the left and reads
 * all.
 */
#include "cmd/models/unet_own.h"

#include "common/mem.h"

int
bs_unet_failed(struct bs_unet *m, struct bs_err *e)
{
    *e = *bs_dev_error(m->dev);
    return -e->code;
}

/* ---- plan -----------------------------------------------------------------
 */

/* More than any memory has, and some multiples of it are numbers. */
#define TOO_LARGE (SIZE_MAX / 32)

/* Bytes of a batch of images, at most TOO_LARGE. */
static size_t
image_bytes(const struct bs_unet *m, size_t level, size_t channels)
{
    size_t n;

    return bs_mul(m->height[level], m->width[level], &n) &&
                   bs_mul(n, m->batch, &n) && bs_mul(n, channels, &n) &&
                   bs_mul(n, sizeof(float), &n) && n < TOO_LARGE
               ? n
               : TOO_LARGE;
}

static void
leave(struct bs_unet *m, size_t level, size_t channels)
{
    struct bs_unet_joint *j = &m->joint[m->joints++];

    j->level = level;
    j->left = channels;
}

/* What the way down leaves, in its order, and what joins it on the way up. */
static void
plan_joints(struct bs_unet *m)
{
    const struct bs_unet_config *c = &m->config;
    size_t i, j, n, below = c->level[c->levels - 1].channels;

    leave(m, 0, c->level[0].channels);
    for (i = 0; i < c->levels; i++) {
        for (j = 0; j < c->level[i].layers; j++)
            leave(m, i, c->level[i].channels);
        if (i + 1 < c->levels)
            leave(m, i + 1, c->level[i].channels);
    }
    n = m->joints;
    for (i = c->levels; i-- > 0;)
        for (j = 0; j <= c->level[i].layers; j++) {
            m->joint[--n].below = below;
            below = c->level[i].channels;
        }
}

static void
grow(size_t *most, size_t bytes)
{
    bytes = BS_ROUND_UP(bytes, (size_t)BS_ALIGN);
    if (*most < bytes)
        *most = bytes;
}

struct sizes {
    size_t first, second; /* of the resnets */
    size_t pixels;        /* of the transformers, one channel's worth each */
    size_t tail;
};

static void
size_stage(const struct bs_unet *m, const struct bs_unet_stage *s, size_t level,
           bool keep, struct sizes *z)
{
    size_t i;

    for (i = 0; i < s->layers; i++) {
        const struct bs_resnet *r = &s->resnet[i];

        if (bs_resnet_needs_first(r, keep))
            grow(&z->first, image_bytes(m, level, r->in));
        grow(&z->second, image_bytes(m, level, r->out));
    }
    if (s->attentions > 0)
        grow(&z->pixels, image_bytes(m, level, s->attention[0].channels));
}

/* Resnets and transformers take turns with one scratch memory. */
static int
plan_scratch(struct bs_unet *m, struct bs_err *e)
{
    const struct bs_unet_config *c = &m->config;
    struct sizes z = {0};
    struct bs_transformer_room *t = &m->transformers;
    size_t i, bytes;

    for (i = 0; i < c->levels; i++) {
        size_stage(m, &m->weights.down[i], i, true, &z);
        size_stage(m, &m->weights.up[i], i, false, &z);
        grow(&z.tail, image_bytes(m, i, c->level[i].channels));
    }
    size_stage(m, &m->weights.mid, c->levels - 1, true, &z);
    grow(&z.first, image_bytes(m, 0, c->level[0].channels)); /* the last norm */
    bytes = 14 * z.pixels;
    if (bytes < z.first + z.second)
        bytes = z.first + z.second;
    if (bs_dev_alloc(m->dev, &m->scratch, bytes) < 0 ||
        bs_dev_alloc(m->dev, &m->tail, z.tail) < 0)
        return bs_unet_failed(m, e);
    m->resnets.first = m->scratch;
    m->resnets.second = bs_mem_from(&m->scratch, z.first);
    t->stream = m->scratch;
    t->part = bs_mem_from(&m->scratch, z.pixels);
    t->gated = bs_mem_from(&m->scratch, 2 * z.pixels);
    t->wide = bs_mem_from(&m->scratch, 6 * z.pixels);
    return 0;
}

static void
name_stage(struct bs_unet *m, const struct bs_unet_stage *s, const char *stage,
           size_t number, size_t level)
{
    size_t i;

    for (i = 0; i < s->attentions; i++) {
        struct bs_unet_block *b = &m->watch[s->block + i].block;

        if (stage == NULL)
            snprintf(b->name, sizeof b->name, "mid_block.attentions.%zu", i);
        else
            snprintf(b->name, sizeof b->name, "%s.%zu.attentions.%zu", stage,
                     number, i);
        b->height = m->height[level];
        b->width = m->width[level];
        b->channels = s->attention[i].channels;
    }
}

static int
plan_blocks(struct bs_unet *m, struct bs_err *e)
{
    size_t levels = m->config.levels, i;

    m->watch = bs_alloc_array(m->weights.blocks, sizeof *m->watch);
    if (m->watch == NULL)
        return bs_err_memory(e, "blocks", m->weights.blocks * sizeof *m->watch);
    for (i = 0; i < levels; i++) {
        name_stage(m, &m->weights.down[i], "down_blocks", i, i);
        name_stage(m, &m->weights.up[i], "up_blocks", levels - 1 - i, i);
    }
    name_stage(m, &m->weights.mid, NULL, 0, levels - 1);
    return 0;
}

static int
plan(struct bs_unet *m, struct bs_err *e)
{
    size_t i;

    for (i = 1; i < m->config.levels; i++) {
        m->height[i] = (m->height[i - 1] + 1) / 2;
        m->width[i] = (m->width[i - 1] + 1) / 2;
    }
    plan_joints(m);
    for (i = 0; i < m->joints; i++) {
        struct bs_unet_joint *j = &m->joint[i];
        size_t bytes = image_bytes(m, j->level, j->below + j->left);

        if (bytes == TOO_LARGE)
            return bs_err_memory(e, "latents", bytes);
        if (bs_dev_alloc(m->dev, &j->mem, bytes) < 0)
            return bs_unet_failed(m, e);
    }
    return plan_scratch(m, e);
}

int
bs_unet_open(struct bs_unet **out, const struct bs_unet_config *config,
             const struct bs_safetensors *files, struct bs_dev *dev,
             enum bs_math math, size_t height, size_t width, size_t batch,
             struct bs_err *e)
{
    struct bs_unet *m = bs_alloc_array(1, sizeof *m);
    int r;

    *out = NULL;
    if (m == NULL)
        return bs_err_memory(e, "model", sizeof *m);
    m->config = *config;
    m->dev = dev;
    m->batch = batch;
    m->height[0] = height;
    m->width[0] = width;
    m->resnets = (struct bs_resnet_room){
        .dev = dev, .groups = config->groups, .eps = config->eps};
    m->transformers = (struct bs_transformer_room){
        .dev = dev, .math = math, .groups = config->groups};
    r = bs_unet_load(&m->weights, config, files, dev, math, e);
    if (r == 0)
        r = plan(m, e);
    if (r == 0)
        r = plan_blocks(m, e);
    if (r < 0) {
        bs_unet_close(m);
        return r;
    }
    *out = m;
    return 0;
}

void
bs_unet_close(struct bs_unet *m)
{
    size_t i;

    if (m == NULL)
        return;
    for (i = 0; i < m->joints; i++)
        bs_dev_free(m->dev, &m->joint[i].mem);
    bs_dev_free(m->dev, &m->tail);
    bs_dev_free(m->dev, &m->scratch);
    bs_dev_free(m->dev, &m->times);
    bs_unet_unload(&m->weights, m->dev);
    bs_free(m->watch);
    bs_free(m);
}

size_t
bs_unet_used(const struct bs_unet *m)
{
    return m->weights.tensors;
}

/* ---- taps -----------------------------------------------------------------
 */

const struct bs_unet_block *
bs_unet_block(const struct bs_unet *m, size_t i)
{
    return i < m->weights.blocks ? &m->watch[i].block : NULL;
}

int
bs_unet_watch(struct bs_unet *m, const char *block, bs_unet_tap *fn, void *user,
              struct bs_err *e)
{
    char names[400];
    size_t i, n = 0;

    for (i = 0; i < m->weights.blocks; i++)
        if (strcmp(m->watch[i].block.name, block) == 0) {
            m->watch[i].fn = fn;
            m->watch[i].user = user;
            return 0;
        }
    for (i = 0; i < m->weights.blocks && n < sizeof names; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%s",
                              i > 0 ? ", " : "", m->watch[i].block.name);
    return bs_err_set(e, BS_EX_USAGE, "no block '%.60s'; there are %s", block,
                      m->weights.blocks > 0 ? names : "none");
}
