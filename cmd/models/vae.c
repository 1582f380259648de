/*
 * vae.c - a pass of the decoder of AutoencoderKL on a device.
 *
 * Two images are there at a time, x and y, which change places where a step
 * cannot work in place; beside them, the two of the resnets, which attention
 * uses too.
 */
#include "cmd/models/vae_own.h"

#include "common/mem.h"

#include <math.h>

#define EPS 1e-6f

struct bs_vae {
    struct bs_vae_config config;
    struct bs_vae_weights weights;
    struct bs_dev *dev;
    enum bs_math math;
    size_t height, width; /* of the latents */
    struct bs_mem image[2];
    struct bs_resnet_room room;
};

static int
dev_failed(struct bs_vae *m, struct bs_err *e)
{
    *e = *bs_dev_error(m->dev);
    return -e->code;
}

/* ---- plan -----------------------------------------------------------------
 */

/* Doublings on the way to a level. */
static size_t
scale_of(const struct bs_vae_config *c, size_t level)
{
    return (size_t)1 << (c->levels - 1 - level);
}

static void
grow(const struct bs_vae *m, size_t *most, size_t level, size_t channels)
{
    size_t scale = scale_of(&m->config, level), n;

    if (!bs_mul(m->height * scale, m->width * scale, &n) ||
        !bs_mul(n, channels * sizeof(float), &n))
        n = SIZE_MAX;
    if (*most < n)
        *most = n;
}

/* Walks through the steps of a pass: which of the two images has what. */
static int
plan(struct bs_vae *m, struct bs_err *e)
{
    const struct bs_vae_config *c = &m->config;
    size_t low = c->levels - 1, size[2] = {0}, first = 0, second = 0, i, j;
    int x = 0;

    grow(m, &size[0], low, c->channels[low]);
    grow(m, &size[1], low, c->channels[low]);
    grow(m, &size[1], low, c->latent);
    grow(m, &first, low, 3 * c->channels[low]); /* query, key, value */
    grow(m, &second, low, c->channels[low]);
    for (i = c->levels; i-- > 0;) {
        for (j = 0; j < m->weights.up[i].layers; j++) {
            const struct bs_resnet *r = &m->weights.up[i].resnet[j];

            if (r->shortcut.weight != NULL)
                grow(m, &size[x ^= 1], i, r->out);
            if (bs_resnet_needs_first(r, false))
                grow(m, &first, i, r->in);
            grow(m, &second, i, r->out);
        }
        if (i > 0)
            grow(m, &size[x ^= 1], i - 1, c->channels[i]);
    }
    grow(m, &size[x ^ 1], 0, c->channels[0]); /* the last norm */
    grow(m, &first, 0, c->out);
    if (bs_dev_alloc(m->dev, &m->image[0], size[0]) < 0 ||
        bs_dev_alloc(m->dev, &m->image[1], size[1]) < 0 ||
        bs_dev_alloc(m->dev, &m->room.first, first) < 0 ||
        bs_dev_alloc(m->dev, &m->room.second, second) < 0)
        return dev_failed(m, e);
    return 0;
}

int
bs_vae_open(struct bs_vae **out, const struct bs_vae_config *config,
            const struct bs_safetensors *files, struct bs_dev *dev,
            enum bs_math math, size_t height, size_t width, struct bs_err *e)
{
    struct bs_vae *m = bs_alloc_array(1, sizeof *m);
    int r;

    *out = NULL;
    if (m == NULL)
        return bs_err_memory(e, "model", sizeof *m);
    m->config = *config;
    m->dev = dev;
    m->math = math;
    m->height = height;
    m->width = width;
    m->room = (struct bs_resnet_room){
        .dev = dev, .groups = config->groups, .eps = EPS};
    r = bs_vae_load(&m->weights, config, files, dev, math, e);
    if (r == 0)
        r = plan(m, e);
    if (r < 0) {
        bs_vae_close(m);
        return r;
    }
    *out = m;
    return 0;
}

void
bs_vae_close(struct bs_vae *m)
{
    if (m == NULL)
        return;
    bs_dev_free(m->dev, &m->image[0]);
    bs_dev_free(m->dev, &m->image[1]);
    bs_dev_free(m->dev, &m->room.first);
    bs_dev_free(m->dev, &m->room.second);
    bs_vae_unload(&m->weights, m->dev);
    bs_free(m);
}

size_t
bs_vae_used(const struct bs_vae *m)
{
    return m->weights.tensors;
}

/* ---- decode: each step returns what the device returns --------------------
 */

/* The image in work: in m->image[0], the other free. */
struct pass {
    struct bs_vae *m;
    struct bs_images x, y;
    size_t height, width;
};

/* The result is in y: it becomes x. */
static void
swap(struct pass *p)
{
    struct bs_images x = p->x;

    p->x = p->y;
    p->y = x;
}

/* y = conv(x), doubled first with `up`. */
static int
convolve(struct pass *p, const struct bs_convolution *c, const struct bs_mem *x,
         size_t in, struct bs_mem *y, size_t out, bool up)
{
    struct bs_conv2d a = {
        .w = c->weight,
        .x = *x,
        .y = *y,
        .ldx = in,
        .ldy = out,
        .batch = 1,
        .height = p->height,
        .width = p->width,
        .bias = &c->bias,
    };

    if (up) {
        a.up_height = p->height *= 2;
        a.up_width = p->width *= 2;
    }
    return bs_dev_conv2d(p->m->dev, &a);
}

static int
resnet(struct pass *p, const struct bs_resnet *r)
{
    bool in_place = r->shortcut.weight == NULL;
    int e;

    p->x.ld = r->in;
    p->y.ld = r->out;
    e = bs_resnet_forward(r, &p->m->room, &p->x, in_place ? &p->x : &p->y, 1,
                          p->height, p->width, false, NULL);
    if (!in_place)
        swap(p);
    return e;
}

static int
norm(struct pass *p, const struct bs_norm *n, size_t channels, bool silu)
{
    const struct bs_group_norm a = {
        .x = p->x.mem,
        .y = p->y.mem,
        .ldx = channels,
        .ldy = channels,
        .batch = 1,
        .pixels = p->height * p->width,
        .channels = channels,
        .groups = p->m->config.groups,
        .gamma = n->gamma,
        .beta = n->beta,
        .eps = EPS,
        .silu = silu,
    };

    return bs_dev_group_norm(p->m->dev, &a);
}

/* x += out(attention(norm(x))), one head as wide as the image. */
static int
attention(struct pass *p)
{
    struct bs_vae *m = p->m;
    struct bs_mem *qkv = &m->room.first, *result = &m->room.second;
    size_t k = m->config.channels[m->config.levels - 1];
    size_t pixels = p->height * p->width;
    const struct bs_attention a = {
        .q = *qkv,
        .k = bs_mem_from(qkv, k * sizeof(float)),
        .v = bs_mem_from(qkv, 2 * k * sizeof(float)),
        .out = *result,
        .ldq = 3 * k,
        .ldk = 3 * k,
        .ldv = 3 * k,
        .ldo = k,
        .batch = 1,
        .queries = pixels,
        .keys = pixels,
        .heads = 1,
        .dim = k,
        .math = m->math,
    };
    int r = norm(p, &m->weights.attention_norm, k, false);

    if (r == 0)
        r = bs_dev_gemm(m->dev, m->weights.qkv.weight, &p->y.mem, k, qkv, 3 * k,
                        pixels, &m->weights.qkv.bias, BS_EPI_NONE, NULL);
    if (r == 0)
        r = bs_dev_attention(m->dev, &a);
    return r < 0 ? r
                 : bs_dev_gemm(m->dev, m->weights.attention_out.weight, result,
                               k, &p->x.mem, k, pixels,
                               &m->weights.attention_out.bias, BS_EPI_RESIDUAL,
                               NULL);
}

static int
begin(struct pass *p, const struct bs_mem *latents)
{
    const struct bs_vae_config *c = &p->m->config;
    const struct bs_vae_weights *w = &p->m->weights;
    size_t low = c->channels[c->levels - 1];
    const struct bs_mem *x = latents;
    int r = 0;

    if (c->post_quant) {
        r = convolve(p, &w->post_quant, latents, c->latent, &p->y.mem,
                     c->latent, false);
        x = &p->y.mem;
    }
    if (r == 0)
        r = convolve(p, &w->in, x, c->latent, &p->x.mem, low, false);
    if (r == 0)
        r = resnet(p, &w->mid[0]);
    if (r == 0 && c->attention)
        r = attention(p);
    return r < 0 ? r : resnet(p, &w->mid[1]);
}

static int
go_up(struct pass *p, size_t level)
{
    const struct bs_vae_stage *s = &p->m->weights.up[level];
    size_t k = p->m->config.channels[level], i;
    int r = 0;

    for (i = 0; i < s->layers && r == 0; i++)
        r = resnet(p, &s->resnet[i]);
    if (r < 0 || s->sampler.weight == NULL)
        return r;
    r = convolve(p, &s->sampler, &p->x.mem, k, &p->y.mem, k, true);
    swap(p);
    return r;
}

int
bs_vae_decode(struct bs_vae *m, const struct bs_mem *latents, float *out,
              struct bs_err *e)
{
    const struct bs_vae_config *c = &m->config;
    struct pass p = {m,
                     {m->image[0], c->channels[c->levels - 1]},
                     {m->image[1], c->channels[c->levels - 1]},
                     m->height,
                     m->width};
    size_t i;
    int r = begin(&p, latents);

    for (i = c->levels; i-- > 0 && r == 0;)
        r = go_up(&p, i);
    if (r == 0)
        r = norm(&p, &m->weights.norm, c->channels[0], true);
    if (r == 0)
        r = convolve(&p, &m->weights.out, &p.y.mem, c->channels[0],
                     &m->room.first, c->out, false);
    if (r == 0)
        r = bs_dev_get(m->dev, out, &m->room.first, 0,
                       p.height * p.width * c->out * sizeof *out);
    return r < 0 ? dev_failed(m, e) : 0;
}

void
bs_vae_bytes(uint8_t *out, const float *x, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        float unit = x[i] * 0.5f + 0.5f;

        unit = unit > 0 ? unit : 0; /* NaN too */
        unit = unit < 1 ? unit : 1;
        out[i] = (uint8_t)rintf(unit * 255);
    }
}
