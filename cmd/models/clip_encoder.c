/*
 * clip_encoder.c - see clip_encoder.h.
 */
#include "cmd/models/clip_encoder.h"

#include "cmd/models/config.h"
#include "common/mem.h"

enum { HIDDEN_MAX = 1 << 14, LAYERS_MAX = 1 << 8, INNER_MAX = 1 << 16 };

/* ---- configuration --------------------------------------------------------
 */

int
bs_clip_configure(struct bs_clip_shape *s, const struct bs_json *v,
                  struct bs_err *e)
{
    static const char *const words[] = {"quick_gelu", "gelu"};
    static const enum bs_epilogue activations[] = {BS_EPI_QUICK_GELU,
                                                   BS_EPI_GELU};
    size_t act = 0;
    double eps;
    int r;

    if ((r = bs_config_size(v, "hidden_size", s->hidden, 1, HIDDEN_MAX,
                            &s->hidden, e)) < 0 ||
        (r = bs_config_size(v, "num_hidden_layers", s->layers, 1, LAYERS_MAX,
                            &s->layers, e)) < 0 ||
        (r = bs_config_size(v, "num_attention_heads", s->heads, 1, HIDDEN_MAX,
                            &s->heads, e)) < 0 ||
        (r = bs_config_size(v, "intermediate_size", s->inner, 1, INNER_MAX,
                            &s->inner, e)) < 0 ||
        (r = bs_config_word(v, "hidden_act", words, BS_LEN(words), 0, &act,
                            e)) < 0 ||
        (r = bs_config_real(v, "layer_norm_eps", (double)s->eps, 1e-30, 1, &eps,
                            e)) < 0)
        return r;
    if (s->hidden % s->heads != 0 || s->hidden / s->heads > 512)
        return bs_err_set(e, BS_EX_DATA,
                          "'num_attention_heads': %zu heads of a width of %zu",
                          s->heads, s->hidden);
    s->activation = activations[act];
    s->eps = (float)eps;
    return 0;
}

/* ---- weights --------------------------------------------------------------
 */

static int
load_layer(struct bs_loader *l, const struct bs_clip_shape *s,
           struct bs_clip_layer *y, size_t i)
{
    static const char *const qkv[] = {"self_attn.q_proj", "self_attn.k_proj",
                                      "self_attn.v_proj"};
    size_t k = s->hidden, n = s->inner;
    size_t mark = bs_loader_enter(l, "encoder.layers.%zu.", i);
    int r;

    if ((r = bs_load_norm(l, &y->norm1, "layer_norm1", k)) < 0 ||
        (r = bs_load_stacked(l, &y->qkv, qkv, 3, k, k, true)) < 0 ||
        (r = bs_load_linear(l, &y->out, "self_attn.out_proj", k, k, true)) <
            0 ||
        (r = bs_load_norm(l, &y->norm2, "layer_norm2", k)) < 0 ||
        (r = bs_load_linear(l, &y->fc1, "mlp.fc1", n, k, true)) < 0 ||
        (r = bs_load_linear(l, &y->fc2, "mlp.fc2", k, n, true)) < 0)
        return r;
    bs_loader_leave(l, mark);
    return 0;
}

struct bs_clip_layer *
bs_clip_layers_load(struct bs_loader *l, const struct bs_clip_shape *s)
{
    struct bs_clip_layer *layer = bs_alloc_array(s->layers, sizeof *layer);
    size_t i;
    int r = 0;

    if (layer == NULL)
        (void)bs_err_memory(l->e, "layers", s->layers * sizeof *layer);
    for (i = 0; layer != NULL && i < s->layers && r == 0; i++)
        r = load_layer(l, s, &layer[i], i);
    if (r < 0) {
        bs_clip_layers_drop(l->dev, layer, s);
        layer = NULL;
    }
    return layer;
}

void
bs_clip_layers_drop(struct bs_dev *dev, struct bs_clip_layer *layer,
                    const struct bs_clip_shape *s)
{
    size_t i;

    for (i = 0; layer != NULL && i < s->layers; i++) {
        bs_drop_norm(dev, &layer[i].norm1);
        bs_drop_norm(dev, &layer[i].norm2);
        bs_drop_linear(dev, &layer[i].qkv);
        bs_drop_linear(dev, &layer[i].out);
        bs_drop_linear(dev, &layer[i].fc1);
        bs_drop_linear(dev, &layer[i].fc2);
    }
    bs_free(layer);
}

/* ---- room -----------------------------------------------------------------
 */

int
bs_clip_room_open(struct bs_clip_room *room, struct bs_dev *dev,
                  enum bs_math math, const struct bs_clip_shape *s, size_t rows,
                  struct bs_err *e)
{
    size_t wide = 3 * s->hidden > s->inner ? 3 * s->hidden : s->inner;
    size_t row = s->hidden * sizeof(float), bytes, more;

    *room = (struct bs_clip_room){.dev = dev, .math = math};
    if (!bs_mul(rows, row, &bytes) || !bs_mul(rows, wide, &more) ||
        !bs_mul(more, sizeof(float), &more))
        return bs_err_memory(e, "tokens", SIZE_MAX);
    if (bs_dev_alloc(dev, &room->x, bytes) < 0 ||
        bs_dev_alloc(dev, &room->y, bytes) < 0 ||
        bs_dev_alloc(dev, &room->wide, more) < 0) {
        *e = *bs_dev_error(dev);
        return -e->code;
    }
    return 0;
}

void
bs_clip_room_close(struct bs_clip_room *room)
{
    if (room->dev == NULL)
        return;
    bs_dev_free(room->dev, &room->x);
    bs_dev_free(room->dev, &room->y);
    bs_dev_free(room->dev, &room->wide);
}

/* ---- forward --------------------------------------------------------------
 */

static int
linear(const struct bs_clip_room *room, const struct bs_linear *w,
       const struct bs_mem *x, size_t k, const struct bs_mem *y, size_t n,
       size_t rows, enum bs_epilogue epilogue)
{
    struct bs_mem to = *y;

    return bs_dev_gemm(room->dev, w->weight, x, k, &to, n, rows, &w->bias,
                       epilogue, NULL);
}

static int
norm(const struct bs_clip_room *room, const struct bs_norm *n, size_t rows,
     const struct bs_clip_shape *s)
{
    struct bs_mem to = room->y;

    return bs_dev_layer_norm(room->dev, &room->x, &to, rows, s->hidden,
                             &n->gamma, &n->beta, s->eps);
}

static int
attention(const struct bs_clip_layer *l, const struct bs_clip_shape *s,
          const struct bs_clip_room *room, size_t batch, size_t tokens,
          bool causal)
{
    size_t k = s->hidden, rows = batch * tokens;
    const struct bs_attention a = {
        .q = room->wide,
        .k = bs_mem_from(&room->wide, k * sizeof(float)),
        .v = bs_mem_from(&room->wide, 2 * k * sizeof(float)),
        .out = room->y,
        .ldq = 3 * k,
        .ldk = 3 * k,
        .ldv = 3 * k,
        .ldo = k,
        .batch = batch,
        .queries = tokens,
        .keys = tokens,
        .heads = s->heads,
        .dim = k / s->heads,
        .causal = causal,
        .math = room->math,
    };
    int r = norm(room, &l->norm1, rows, s);

    if (r == 0)
        r = linear(room, &l->qkv, &room->y, k, &room->wide, 3 * k, rows,
                   BS_EPI_NONE);
    if (r == 0)
        r = bs_dev_attention(room->dev, &a);
    return r < 0 ? r
                 : linear(room, &l->out, &room->y, k, &room->x, k, rows,
                          BS_EPI_RESIDUAL);
}

static int
mlp(const struct bs_clip_layer *l, const struct bs_clip_shape *s,
    const struct bs_clip_room *room, size_t rows)
{
    size_t k = s->hidden, n = s->inner;
    int r = norm(room, &l->norm2, rows, s);

    if (r == 0)
        r = linear(room, &l->fc1, &room->y, k, &room->wide, n, rows,
                   s->activation);
    return r < 0 ? r
                 : linear(room, &l->fc2, &room->wide, n, &room->x, k, rows,
                          BS_EPI_RESIDUAL);
}

int
bs_clip_layers_forward(const struct bs_clip_layer *layer,
                       const struct bs_clip_shape *s,
                       const struct bs_clip_room *room, size_t batch,
                       size_t tokens, bool causal)
{
    size_t i;
    int r = 0;

    for (i = 0; i < s->layers && r == 0; i++) {
        r = attention(&layer[i], s, room, batch, tokens, causal);
        if (r == 0)
            r = mlp(&layer[i], s, room, batch * tokens);
    }
    return r;
}
