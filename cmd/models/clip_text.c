/*
 * clip_text.c - see clip_text.h.
 */
#include "cmd/models/clip_text.h"

#include "cmd/models/config.h"
#include "common/mem.h"

enum { VOCABULARY_MAX = 1 << 24, POSITIONS_MAX = 1 << 16 };

struct bs_clip_text {
    struct bs_clip_text_config config;
    struct bs_clip_room room;
    struct bs_clip_layer *layer;
    struct bs_norm norm;
    const struct bs_tensor *token; /* [vocabulary, hidden], of the files */
    float *position;               /* [positions, hidden] */
    float *row;                    /* [hidden], of any type of a token */
    float *input;                  /* [batch, positions, hidden] */
    size_t batch;
    size_t tensors;
};

/* ---- configuration --------------------------------------------------------
 */

static int
read_config(void *config, const struct bs_json *v, struct bs_err *e)
{
    struct bs_clip_text_config *c = config;
    static const struct bs_clip_shape shape = {
        .hidden = 512,
        .layers = 12,
        .heads = 8,
        .inner = 2048,
        .activation = BS_EPI_QUICK_GELU,
        .eps = 1e-5f,
    };
    static const char *const types[] = {"clip_text_model"};
    size_t type;
    int r;

    if (v->type != BS_JSON_OBJECT)
        return bs_err_set(e, BS_EX_DATA, "not an object");
    c->shape = shape;
    if ((r = bs_config_word(v, "model_type", types, 1, 0, &type, e)) < 0 ||
        (r = bs_clip_configure(&c->shape, v, e)) < 0 ||
        (r = bs_config_size(v, "vocab_size", 49408, 1, VOCABULARY_MAX,
                            &c->vocabulary, e)) < 0 ||
        (r = bs_config_size(v, "max_position_embeddings", 77, 1, POSITIONS_MAX,
                            &c->positions, e)) < 0)
        return r;
    return bs_config_unset(v, "use_attention_mask", e);
}

int
bs_clip_text_configure(struct bs_clip_text_config *config,
                       struct bs_safetensors *files, struct bs_err *e)
{
    *config = (struct bs_clip_text_config){0};
    return bs_config_network(files, read_config, config, e);
}

/* ---- open -----------------------------------------------------------------
 */

static int
load(struct bs_clip_text *m, struct bs_loader *l)
{
    const struct bs_clip_text_config *c = &m->config;
    size_t k = c->shape.hidden;
    uint64_t tokens[2] = {c->vocabulary, k}, places[2] = {c->positions, k};

    /* transformers wrote the prefix until 5 */
    if (bs_loader_has(l, "text_model.embeddings.token_embedding", "weight"))
        (void)bs_loader_enter(l, "text_model.");
    m->token =
        bs_loader_tensor(l, "embeddings.token_embedding", "weight", 2, tokens);
    if (m->token == NULL)
        return -l->e->code;
    bs_safetensors_forget(m->token); /* rows come as captions want them */
    m->position = bs_loader_values(l, "embeddings.position_embedding", "weight",
                                   2, places);
    if (m->position == NULL)
        return -l->e->code;
    m->layer = bs_clip_layers_load(l, &c->shape);
    if (m->layer == NULL)
        return -l->e->code;
    return bs_load_norm(l, &m->norm, "final_layer_norm", k);
}

static int
plan(struct bs_clip_text *m, struct bs_dev *dev, enum bs_math math,
     struct bs_err *e)
{
    const struct bs_clip_text_config *c = &m->config;
    size_t rows;

    if (!bs_mul(m->batch, c->positions, &rows))
        rows = SIZE_MAX;
    m->input = bs_alloc_array(rows, c->shape.hidden * sizeof *m->input);
    m->row = bs_alloc_array(c->shape.hidden, sizeof *m->row);
    if (m->input == NULL || m->row == NULL)
        return bs_err_memory(e, "tokens", rows);
    return bs_clip_room_open(&m->room, dev, math, &c->shape, rows, e);
}

int
bs_clip_text_open(struct bs_clip_text **out,
                  const struct bs_clip_text_config *config,
                  const struct bs_safetensors *files, struct bs_dev *dev,
                  enum bs_math math, size_t batch, struct bs_err *e)
{
    struct bs_clip_text *m = bs_alloc_array(1, sizeof *m);
    struct bs_loader l = {.files = files, .dev = dev, .math = math, .e = e};
    int r;

    *out = NULL;
    if (m == NULL)
        return bs_err_memory(e, "model", sizeof *m);
    m->config = *config;
    m->batch = batch;
    m->room.dev = dev;
    r = plan(m, dev, math, e);
    if (r == 0)
        r = load(m, &l);
    m->tensors = l.used;
    if (r < 0) {
        bs_clip_text_close(m);
        return r;
    }
    *out = m;
    return 0;
}

void
bs_clip_text_close(struct bs_clip_text *m)
{
    if (m == NULL)
        return;
    bs_clip_layers_drop(m->room.dev, m->layer, &m->config.shape);
    bs_drop_norm(m->room.dev, &m->norm);
    bs_clip_room_close(&m->room);
    bs_free(m->position);
    bs_free(m->row);
    bs_free(m->input);
    bs_free(m);
}

size_t
bs_clip_text_used(const struct bs_clip_text *m)
{
    return m->tensors;
}

/* ---- forward --------------------------------------------------------------
 */

/* Row `id` of the table, whose place in the file aligns it to nothing. */
static void
token_row(struct bs_clip_text *m, size_t id, float *out)
{
    size_t k = m->config.shape.hidden, size = bs_dtype_size(m->token->dtype);

    memcpy(m->row, (const uint8_t *)m->token->data + id * k * size, k * size);
    bs_to_f32(out, m->token->dtype, m->row, k);
}

/* Tokens with their positions, to m->input. */
static int
embed(struct bs_clip_text *m, const int32_t *ids, size_t batch, size_t tokens,
      struct bs_err *e)
{
    size_t k = m->config.shape.hidden, i, j;

    for (i = 0; i < batch * tokens; i++) {
        float *row = m->input + i * k;
        const float *place = m->position + i % tokens * k;

        if (ids[i] < 0 || (size_t)ids[i] >= m->config.vocabulary)
            return bs_err_set(e, BS_EX_DATA,
                              "token %d is not in the text encoder's "
                              "vocabulary of %zu",
                              (int)ids[i], m->config.vocabulary);
        token_row(m, (size_t)ids[i], row);
        for (j = 0; j < k; j++)
            row[j] += place[j];
    }
    return 0;
}

int
bs_clip_text_forward(struct bs_clip_text *m, const int32_t *ids, size_t batch,
                     size_t tokens, struct bs_mem *out, struct bs_err *e)
{
    const struct bs_clip_text_config *c = &m->config;
    size_t k = c->shape.hidden, rows = batch * tokens;
    int r;

    if (batch > m->batch || tokens > c->positions)
        return bs_err_set(e, BS_EX_SOFTWARE,
                          "text encoder: %zu texts of %zu tokens", batch,
                          tokens);
    r = embed(m, ids, batch, tokens, e);
    if (r < 0)
        return r;
    r = bs_dev_put(m->room.dev, &m->room.x, 0, m->input,
                   rows * k * sizeof *m->input);
    if (r == 0)
        r = bs_clip_layers_forward(m->layer, &c->shape, &m->room, batch, tokens,
                                   true);
    if (r == 0)
        r = bs_dev_layer_norm(m->room.dev, &m->room.x, out, rows, k,
                              &m->norm.gamma, &m->norm.beta, c->shape.eps);
    if (r < 0)
        *e = *bs_dev_error(m->room.dev);
    return r;
}
