/*
 * transformer2d.c - see transformer2d.h.
 */
#include "cmd/models/transformer2d.h"

#include "common/mem.h"

#define NORM_EPS 1e-6f  /* of the group norm */
#define LAYER_EPS 1e-5f /* of the layer norms */
#define INNER 4         /* width inside ff, in channels */

/* ---- weights --------------------------------------------------------------
 */

static int
load_layer(struct bs_loader *l, const struct bs_transformer2d *t,
           struct bs_transformer_layer *y)
{
    static const char *const pixels[] = {"attn1.to_q", "attn1.to_k",
                                         "attn1.to_v"};
    static const char *const text[] = {"attn2.to_k", "attn2.to_v"};
    size_t k = t->channels;
    int r;

    if ((r = bs_load_norm(l, &y->norm1, "norm1", k)) < 0 ||
        (r = bs_load_stacked(l, &y->qkv, pixels, 3, k, k, false)) < 0 ||
        (r = bs_load_linear(l, &y->out1, "attn1.to_out.0", k, k, true)) < 0 ||
        (r = bs_load_norm(l, &y->norm2, "norm2", k)) < 0 ||
        (r = bs_load_linear(l, &y->q, "attn2.to_q", k, k, false)) < 0 ||
        (r = bs_load_stacked(l, &y->kv, text, 2, k, t->context, false)) < 0 ||
        (r = bs_load_linear(l, &y->out2, "attn2.to_out.0", k, k, true)) < 0 ||
        (r = bs_load_norm(l, &y->norm3, "norm3", k)) < 0 ||
        (r = bs_load_linear(l, &y->ff_in, "ff.net.0.proj", 2 * INNER * k, k,
                            true)) < 0)
        return r;
    return bs_load_linear(l, &y->ff_out, "ff.net.2", k, INNER * k, true);
}

int
bs_transformer2d_load(struct bs_loader *l, struct bs_transformer2d *t)
{
    size_t k = t->channels, i, mark;
    int r;

    t->layer = bs_alloc_array(t->depth, sizeof *t->layer);
    if (t->layer == NULL)
        return bs_err_memory(l->e, "layers", t->depth * sizeof *t->layer);
    r = bs_load_norm(l, &t->norm, "norm", k);
    if (r == 0)
        r = bs_load_linear(l, &t->proj_in, "proj_in", k, k, true);
    for (i = 0; i < t->depth && r == 0; i++) {
        mark = bs_loader_enter(l, "transformer_blocks.%zu.", i);
        r = load_layer(l, t, &t->layer[i]);
        bs_loader_leave(l, mark);
    }
    return r < 0 ? r : bs_load_linear(l, &t->proj_out, "proj_out", k, k, true);
}

void
bs_transformer2d_drop(struct bs_dev *dev, struct bs_transformer2d *t)
{
    size_t i;

    for (i = 0; t->layer != NULL && i < t->depth; i++) {
        struct bs_transformer_layer *y = &t->layer[i];

        bs_drop_norm(dev, &y->norm1);
        bs_drop_norm(dev, &y->norm2);
        bs_drop_norm(dev, &y->norm3);
        bs_drop_linear(dev, &y->qkv);
        bs_drop_linear(dev, &y->out1);
        bs_drop_linear(dev, &y->q);
        bs_drop_linear(dev, &y->kv);
        bs_drop_linear(dev, &y->out2);
        bs_drop_linear(dev, &y->ff_in);
        bs_drop_linear(dev, &y->ff_out);
        bs_dev_free(dev, &y->text);
    }
    bs_drop_norm(dev, &t->norm);
    bs_drop_linear(dev, &t->proj_in);
    bs_drop_linear(dev, &t->proj_out);
    bs_free(t->layer);
    t->layer = NULL;
}

/* ---- forward: each step returns what the device returns -------------------
 */

/* A pass over the pixels of a batch. */
struct pass {
    const struct bs_transformer2d *t;
    const struct bs_transformer_room *room;
    size_t pixels, rows; /* of an image; of the batch */
    struct bs_mem stream, part, wide, gated;
};

static struct pass
pass_of(const struct bs_transformer2d *t,
        const struct bs_transformer_room *room, size_t pixels)
{
    return (struct pass){
        .t = t,
        .room = room,
        .pixels = pixels,
        .rows = room->batch * pixels,
        .stream = room->stream,
        .part = room->part,
        .wide = room->wide,
        .gated = room->gated,
    };
}

static int
linear(const struct bs_transformer_room *room, const struct bs_linear *w,
       const struct bs_mem *x, size_t ldx, struct bs_mem *y, size_t ldy,
       size_t rows, enum bs_epilogue epilogue)
{
    return bs_dev_gemm(room->dev, w->weight, x, ldx, y, ldy, rows,
                       w->bias.p != NULL ? &w->bias : NULL, epilogue, NULL);
}

/* part = norm(stream) */
static int
norm(struct pass *p, const struct bs_norm *n)
{
    return bs_dev_layer_norm(p->room->dev, &p->stream, &p->part, p->rows,
                             p->t->channels, &n->gamma, &n->beta, LAYER_EPS);
}

int
bs_transformer2d_text(struct bs_transformer2d *t,
                      const struct bs_transformer_room *room,
                      const struct bs_mem *text)
{
    size_t rows = room->batch * room->tokens, width = 2 * t->channels, i;
    size_t bytes = rows * width * sizeof(float);
    int r = 0;

    for (i = 0; i < t->depth && r == 0; i++) {
        struct bs_transformer_layer *y = &t->layer[i];

        if (y->text.bytes < bytes) {
            bs_dev_free(room->dev, &y->text);
            r = bs_dev_alloc(room->dev, &y->text, bytes);
        }
        if (r == 0)
            r = linear(room, &y->kv, text, t->context, &y->text, width, rows,
                       BS_EPI_NONE);
    }
    return r;
}

/* stream += out1(attention of the pixels to each other) */
static int
attend_pixels(struct pass *p, const struct bs_transformer_layer *y)
{
    size_t k = p->t->channels;
    const struct bs_attention a = {
        .q = p->wide,
        .k = bs_mem_from(&p->wide, k * sizeof(float)),
        .v = bs_mem_from(&p->wide, 2 * k * sizeof(float)),
        .out = p->part,
        .ldq = 3 * k,
        .ldk = 3 * k,
        .ldv = 3 * k,
        .ldo = k,
        .batch = p->room->batch,
        .queries = p->pixels,
        .keys = p->pixels,
        .heads = p->t->heads,
        .dim = k / p->t->heads,
        .math = p->room->math,
    };
    int r = norm(p, &y->norm1);

    if (r == 0)
        r = linear(p->room, &y->qkv, &p->part, k, &p->wide, 3 * k, p->rows,
                   BS_EPI_NONE);
    if (r == 0)
        r = bs_dev_attention(p->room->dev, &a);
    return r < 0 ? r
                 : linear(p->room, &y->out1, &p->part, k, &p->stream, k,
                          p->rows, BS_EPI_RESIDUAL);
}

/* stream += out2(attention of the pixels to the text) */
static int
attend_text(struct pass *p, const struct bs_transformer_layer *y)
{
    size_t k = p->t->channels;
    const struct bs_attention a = {
        .q = p->wide,
        .k = y->text,
        .v = bs_mem_from(&y->text, k * sizeof(float)),
        .out = p->part,
        .ldq = k,
        .ldk = 2 * k,
        .ldv = 2 * k,
        .ldo = k,
        .batch = p->room->batch,
        .queries = p->pixels,
        .keys = p->room->tokens,
        .heads = p->t->heads,
        .dim = k / p->t->heads,
        .math = p->room->math,
    };
    int r = norm(p, &y->norm2);

    if (r == 0)
        r = linear(p->room, &y->q, &p->part, k, &p->wide, k, p->rows,
                   BS_EPI_NONE);
    if (r == 0)
        r = bs_dev_attention(p->room->dev, &a);
    return r < 0 ? r
                 : linear(p->room, &y->out2, &p->part, k, &p->stream, k,
                          p->rows, BS_EPI_RESIDUAL);
}

/* stream += ff_out(gate(ff_in(norm3(stream)))) */
static int
feed_forward(struct pass *p, const struct bs_transformer_layer *y)
{
    size_t k = p->t->channels, inner = INNER * k;
    int r = norm(p, &y->norm3);

    if (r == 0)
        r = linear(p->room, &y->ff_in, &p->part, k, &p->wide, 2 * inner,
                   p->rows, BS_EPI_NONE);
    if (r == 0)
        r = bs_dev_geglu(p->room->dev, &p->wide, &p->gated, p->rows, inner);
    return r < 0 ? r
                 : linear(p->room, &y->ff_out, &p->gated, inner, &p->stream, k,
                          p->rows, BS_EPI_RESIDUAL);
}

/* stream = the layers' result */
static int
run_layers(struct pass *p, const struct bs_images *x)
{
    size_t k = p->t->channels, i;
    const struct bs_group_norm n = {
        .x = x->mem,
        .y = p->part,
        .ldx = x->ld,
        .ldy = k,
        .batch = p->room->batch,
        .pixels = p->pixels,
        .channels = k,
        .groups = p->room->groups,
        .gamma = p->t->norm.gamma,
        .beta = p->t->norm.beta,
        .eps = NORM_EPS,
    };
    int r = bs_dev_group_norm(p->room->dev, &n);

    if (r == 0)
        r = linear(p->room, &p->t->proj_in, &p->part, k, &p->stream, k, p->rows,
                   BS_EPI_NONE);
    for (i = 0; i < p->t->depth && r == 0; i++) {
        r = attend_pixels(p, &p->t->layer[i]);
        if (r == 0)
            r = attend_text(p, &p->t->layer[i]);
        if (r == 0)
            r = feed_forward(p, &p->t->layer[i]);
    }
    return r;
}

int
bs_transformer2d_update(const struct bs_transformer2d *t,
                        const struct bs_transformer_room *room,
                        const struct bs_images *x, size_t pixels)
{
    struct pass p = pass_of(t, room, pixels);
    int r = run_layers(&p, x);

    return r < 0 ? r
                 : linear(room, &t->proj_out, &p.stream, t->channels, &p.part,
                          t->channels, p.rows, BS_EPI_NONE);
}

int
bs_transformer2d_forward(const struct bs_transformer2d *t,
                         const struct bs_transformer_room *room,
                         const struct bs_images *x, size_t pixels)
{
    struct pass p = pass_of(t, room, pixels);
    struct bs_mem to = x->mem;
    int r = run_layers(&p, x);

    return r < 0 ? r
                 : linear(room, &t->proj_out, &p.stream, t->channels, &to,
                          x->ld, p.rows, BS_EPI_RESIDUAL);
}
