/*
 * dinov2.c - a forward pass of DINOv2 on a device.
 *
 * Memory is planned once for the largest batch: beside the weights, per token
 * of the batch, two rows of the model's width and one as wide as the widest
 * product (three times the width, or the MLP's; a gated MLP has a second).
 */
#include "cmd/models/dinov2.h"

struct bs_dinov2 {
    struct bs_dinov2_config config;
    struct bs_dinov2_weights weights;
    struct bs_dev *dev;
    enum bs_math math;
    size_t size;    /* pixels a side */
    size_t patches; /* of an image */
    size_t batch;   /* images at most */
    struct bs_mem rgb, lead, positions;
    struct bs_mem x;     /* the residual stream: [tokens, hidden] */
    struct bs_mem y;     /* what a product gives or takes: [tokens, hidden] */
    struct bs_mem wide;  /* patch matrix; query, key, value; inside of an MLP */
    struct bs_mem gated; /* [tokens, inner], with swiglu */
};

static int
dev_failed(struct bs_dinov2 *m, struct bs_err *e)
{
    *e = *bs_dev_error(m->dev);
    return -e->code;
}

/* ---- plan ---------------------------------------------------------------- */

static size_t
larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Bring the lead rows and the positions, resized to the grid, to the device. */
static int
place_tokens(struct bs_dinov2 *m, struct bs_err *e)
{
    const struct bs_dinov2_config *c = &m->config;
    size_t grid = m->size / c->patch, k = c->hidden;
    size_t lead = (1 + c->registers) * k * sizeof(float);
    size_t bytes = m->patches * k * sizeof(float);
    float *resized = NULL;
    const float *positions = m->weights.positions;
    int r = 0;

    if (grid != c->grid) {
        resized = bs_alloc(bytes);
        if (resized == NULL)
            return bs_err_memory(e, "positions", bytes);
        r = bs_positions_resize(resized, grid, grid, positions, c->grid, k,
                                c->antialias, e);
        positions = resized;
    }
    if (r == 0 && (bs_dev_alloc(m->dev, &m->lead, lead) < 0 ||
                   bs_dev_put(m->dev, &m->lead, 0, m->weights.lead, lead) < 0 ||
                   bs_dev_alloc(m->dev, &m->positions, bytes) < 0 ||
                   bs_dev_put(m->dev, &m->positions, 0, positions, bytes) < 0))
        r = dev_failed(m, e);
    bs_free(resized);
    return r;
}

/* rows * width floats. */
static int
alloc_rows(struct bs_dinov2 *m, struct bs_mem *mem, size_t rows, size_t width,
           struct bs_err *e)
{
    size_t bytes;

    if (!bs_mul(rows, width, &bytes) || !bs_mul(bytes, sizeof(float), &bytes))
        return bs_err_set(e, BS_EX_OSERR, "a batch of %zu images is too large",
                          m->batch);
    return bs_dev_alloc(m->dev, mem, bytes) < 0 ? dev_failed(m, e) : 0;
}

static int
plan(struct bs_dinov2 *m, struct bs_err *e)
{
    const struct bs_dinov2_config *c = &m->config;
    size_t rows, inner = c->swiglu ? 2 * c->inner : c->inner;
    size_t wide = larger(larger(3 * c->hidden, inner), 3 * c->patch * c->patch);
    int r;

    if (!bs_mul(m->batch, bs_dinov2_tokens(m), &rows))
        return bs_err_set(e, BS_EX_OSERR, "a batch of %zu images is too large",
                          m->batch);
    if (bs_dev_alloc(m->dev, &m->rgb, m->batch * m->size * m->size * 3) < 0)
        return dev_failed(m, e);
    r = alloc_rows(m, &m->x, rows, c->hidden, e);
    if (r == 0)
        r = alloc_rows(m, &m->y, rows, c->hidden, e);
    if (r == 0)
        r = alloc_rows(m, &m->wide, rows, wide, e);
    if (r == 0 && c->swiglu)
        r = alloc_rows(m, &m->gated, rows, c->inner, e);
    return r < 0 ? r : place_tokens(m, e);
}

int
bs_dinov2_open(struct bs_dinov2 **out, const struct bs_dinov2_config *config,
               const struct bs_safetensors *files, struct bs_dev *dev,
               enum bs_math math, size_t size, size_t batch, struct bs_err *e)
{
    struct bs_dinov2 *m = bs_alloc_array(1, sizeof *m);
    size_t grid = size / config->patch;
    int r;

    *out = NULL;
    if (m == NULL)
        return bs_err_memory(e, "model", sizeof *m);
    m->config = *config;
    m->dev = dev;
    m->math = math;
    m->size = size;
    m->patches = grid * grid;
    m->batch = batch;
    r = bs_dinov2_load(&m->weights, config, files, dev, math, e);
    if (r == 0)
        r = plan(m, e);
    if (r < 0) {
        bs_dinov2_close(m);
        return r;
    }
    *out = m;
    return 0;
}

void
bs_dinov2_close(struct bs_dinov2 *m)
{
    if (m == NULL)
        return;
    bs_dinov2_unload(&m->weights, &m->config, m->dev);
    bs_dev_free(m->dev, &m->rgb);
    bs_dev_free(m->dev, &m->lead);
    bs_dev_free(m->dev, &m->positions);
    bs_dev_free(m->dev, &m->x);
    bs_dev_free(m->dev, &m->y);
    bs_dev_free(m->dev, &m->wide);
    bs_dev_free(m->dev, &m->gated);
    bs_free(m);
}

size_t
bs_dinov2_tokens(const struct bs_dinov2 *m)
{
    return 1 + m->config.registers + m->patches;
}

size_t
bs_dinov2_used(const struct bs_dinov2 *m)
{
    return m->weights.tensors;
}

/* ---- forward: each step returns what the device returns -------------------
 */

static int
linear(struct bs_dinov2 *m, const struct bs_linear *w, const struct bs_mem *x,
       size_t ldx, struct bs_mem *y, size_t ldy, size_t rows,
       enum bs_epilogue epilogue, const struct bs_mem *scale)
{
    return bs_dev_gemm(m->dev, w->weight, x, ldx, y, ldy, rows,
                       w->bias.p != NULL ? &w->bias : NULL, epilogue, scale);
}

static int
norm(struct bs_dinov2 *m, const struct bs_norm *n, size_t rows)
{
    return bs_dev_layer_norm(m->dev, &m->x, &m->y, rows, m->config.hidden,
                             &n->gamma, &n->beta, m->config.eps);
}

/* rgb -> x: patches become tokens behind the class token and the registers. */
static int
embed(struct bs_dinov2 *m, size_t count)
{
    const struct bs_dinov2_config *c = &m->config;
    size_t values = 3 * c->patch * c->patch;
    int r = bs_dev_patchify(m->dev, &m->rgb, &m->wide, count, m->size, m->size,
                            c->patch, c->mean, c->std);

    if (r == 0)
        r = linear(m, &m->weights.embed, &m->wide, values, &m->y, c->hidden,
                   count * m->patches, BS_EPI_NONE, NULL);
    if (r == 0)
        r = bs_dev_assemble(m->dev, &m->y, &m->lead, &m->positions, &m->x,
                            count, m->patches, 1 + c->registers, c->hidden);
    return r;
}

/* x += scale1 * proj(attention(norm1(x))) */
static int
attention(struct bs_dinov2 *m, const struct bs_dinov2_layer *l, size_t count)
{
    const struct bs_dinov2_config *c = &m->config;
    size_t tokens = bs_dinov2_tokens(m), rows = count * tokens, k = c->hidden;
    const struct bs_attention a = {
        .q = m->wide,
        .k = bs_mem_from(&m->wide, k * sizeof(float)),
        .v = bs_mem_from(&m->wide, 2 * k * sizeof(float)),
        .out = m->y,
        .ldq = 3 * k,
        .ldk = 3 * k,
        .ldv = 3 * k,
        .ldo = k,
        .batch = count,
        .queries = tokens,
        .keys = tokens,
        .heads = c->heads,
        .dim = k / c->heads,
        .math = m->math,
    };
    int r = norm(m, &l->norm1, rows);

    if (r == 0)
        r = linear(m, &l->qkv, &m->y, k, &m->wide, 3 * k, rows, BS_EPI_NONE,
                   NULL);
    if (r == 0)
        r = bs_dev_attention(m->dev, &a);
    if (r == 0)
        r = linear(m, &l->proj, &m->y, k, &m->x, k, rows, BS_EPI_RESIDUAL,
                   &l->scale1);
    return r;
}

/* x += scale2 * out(gelu(in(norm2(x)))), or out(gate(in(norm2(x)))) */
static int
mlp(struct bs_dinov2 *m, const struct bs_dinov2_layer *l, size_t rows)
{
    const struct bs_dinov2_config *c = &m->config;
    size_t k = c->hidden, n = c->inner;
    int r = norm(m, &l->norm2, rows);

    if (r < 0)
        return r;
    if (!c->swiglu) {
        r = linear(m, &l->in, &m->y, k, &m->wide, n, rows, BS_EPI_GELU, NULL);
        return r < 0 ? r
                     : linear(m, &l->out, &m->wide, n, &m->x, k, rows,
                              BS_EPI_RESIDUAL, &l->scale2);
    }
    r = linear(m, &l->in, &m->y, k, &m->wide, 2 * n, rows, BS_EPI_NONE, NULL);
    if (r == 0)
        r = bs_dev_swiglu(m->dev, &m->wide, &m->gated, rows, n);
    return r < 0 ? r
                 : linear(m, &l->out, &m->gated, n, &m->x, k, rows,
                          BS_EPI_RESIDUAL, &l->scale2);
}

int
bs_dinov2_forward(struct bs_dinov2 *m, const uint8_t *const *rgb, size_t count,
                  float *out, struct bs_err *e)
{
    size_t image = m->size * m->size * 3, i;
    size_t rows = count * bs_dinov2_tokens(m);
    int r = 0;

    for (i = 0; i < count && r == 0; i++)
        r = bs_dev_put(m->dev, &m->rgb, i * image, rgb[i], image);
    if (r == 0)
        r = embed(m, count);
    for (i = 0; i < m->config.layers && r == 0; i++) {
        r = attention(m, &m->weights.layer[i], count);
        if (r == 0)
            r = mlp(m, &m->weights.layer[i], rows);
    }
    if (r == 0)
        r = norm(m, &m->weights.norm, rows);
    if (r == 0)
        r = bs_dev_get(m->dev, out, &m->y, 0,
                       rows * m->config.hidden * sizeof *out);
    return r < 0 ? dev_failed(m, e) : 0;
}
