/*
 * sae_decode.c - see sae_decode.h.
 */
#include "cmd/models/sae_decode.h"

#include <stdio.h>

#include "cmd/models/codes.h"
#include "common/dtype.h"
#include "common/mem.h"

struct bs_sae_decode {
    const struct bs_sae *s;
    enum bs_dtype dtype;
    struct bs_dev *dev;
    struct bs_writer *writer;
    struct bs_mem dict, bias, y;
    size_t room; /* tokens of y */
    struct bs_codes codes;
    float *x;     /* [room, width] */
    void *values; /* the same, of the type that is written */
    uint64_t records, tokens;
};

static int
failed(const struct bs_sae_decode *de, struct bs_err *e)
{
    *e = *bs_dev_error(de->dev);
    return -e->code;
}

static int
begin(void *arg, const struct bs_doc *head, struct bs_err *e)
{
    struct bs_sae_decode *de = arg;
    struct bs_codes_head ours = {.concepts = (uint32_t)de->s->concepts};
    struct bs_codes_head theirs;
    int r = bs_codes_head(&theirs, head, e);

    snprintf(ours.model, sizeof ours.model, "%s", de->s->sha256);
    de->records = de->tokens = 0;
    return r < 0 ? r : bs_codes_same(&ours, &theirs, e);
}

static int
fill_head(void *arg, struct bs_doc *ours, struct bs_err *e)
{
    (void)arg;
    (void)ours;
    (void)e;
    return 0;
}

static int
make_room(struct bs_sae_decode *de, size_t tokens, struct bs_err *e)
{
    size_t values = tokens * de->s->width;

    if (tokens <= de->room && de->x != NULL)
        return 0;
    bs_dev_free(de->dev, &de->y);
    bs_free(de->x);
    bs_free(de->values);
    de->room = 0;
    de->x = bs_alloc_array(values, sizeof(float));
    de->values = bs_alloc_array(values, sizeof(float));
    if (de->x == NULL || de->values == NULL)
        return bs_err_memory(e, "features", values * sizeof(float));
    if (bs_dev_alloc(de->dev, &de->y, values * sizeof(float)) < 0)
        return failed(de, e);
    de->room = tokens;
    return 0;
}

static int
decode(struct bs_sae_decode *de, struct bs_err *e)
{
    const struct bs_codes *c = &de->codes;
    struct bs_code_rows rows = {c->tokens, 0, c->ptr, c->idx, c->val};
    size_t values = c->tokens * de->s->width;
    int r = make_room(de, c->tokens, e);

    if (r < 0)
        return r;
    if (bs_dev_decode(de->dev, &rows, &de->dict, de->s->concepts, de->s->width,
                      de->s->dec_b != NULL ? &de->bias : NULL, &de->y) < 0 ||
        bs_dev_get(de->dev, de->x, &de->y, 0, values * sizeof(float)) < 0)
        return failed(de, e);
    bs_from_f32(de->values, de->dtype, de->x, values);
    return 0;
}

static int
put(void *arg, const struct bs_doc *rec, struct bs_err *e)
{
    struct bs_sae_decode *de = arg;
    struct bs_doc ours = {0};
    uint64_t shape[2];
    int r = bs_codes_read(&de->codes, rec, (uint32_t)de->s->concepts, e);

    if (r == 0)
        r = decode(de, e);
    if (r < 0)
        return bs_err_prefix(e, "record '%s'", bs_doc_meta(rec, "key"));
    shape[0] = de->codes.tokens;
    shape[1] = de->s->width;
    r = bs_relay_metadata(&ours, rec, e);
    if (r == 0)
        r = bs_doc_put(&ours, "x", de->dtype, 2, shape, de->values, e);
    if (r == 0 && bs_writer_record(de->writer, &ours) < 0) {
        *e = *bs_writer_error(de->writer);
        r = -e->code;
    }
    bs_doc_release(&ours);
    de->records++;
    de->tokens += de->codes.tokens;
    return r;
}

static int
flush(void *arg, struct bs_err *e)
{
    (void)arg;
    (void)e;
    return 0;
}

static int
stats(void *arg, struct bs_buf *json, bool stopped, struct bs_err *e)
{
    struct bs_sae_decode *de = arg;

    (void)stopped;
    return bs_buf_printf(json, e, "{\"records\":%ju,\"tokens\":%ju}",
                         (uintmax_t)de->records, (uintmax_t)de->tokens);
}

struct bs_stage
bs_sae_decode_stage(struct bs_sae_decode *de)
{
    return (struct bs_stage){"code", begin, fill_head, put, flush, stats, de};
}

/* An array of the model on the device. */
static int
load(struct bs_sae_decode *de, struct bs_mem *m, const float *from, size_t n,
     struct bs_err *e)
{
    if (bs_dev_alloc(de->dev, m, n * sizeof *from) < 0 ||
        bs_dev_put(de->dev, m, 0, from, n * sizeof *from) < 0)
        return failed(de, e);
    return 0;
}

int
bs_sae_decode_open(struct bs_sae_decode **out, const struct bs_sae *s,
                   enum bs_dtype dtype, struct bs_dev *dev, struct bs_writer *w,
                   struct bs_err *e)
{
    struct bs_sae_decode *de = bs_alloc_array(1, sizeof *de);
    int r;

    *out = NULL;
    if (de == NULL)
        return bs_err_memory(e, "decoder", sizeof *de);
    de->s = s;
    de->dtype = dtype;
    de->dev = dev;
    de->writer = w;
    r = load(de, &de->dict, s->dec_w, s->concepts * s->width, e);
    if (r == 0 && s->dec_b != NULL)
        r = load(de, &de->bias, s->dec_b, s->width, e);
    if (r < 0)
        bs_sae_decode_close(de);
    else
        *out = de;
    return r;
}

void
bs_sae_decode_close(struct bs_sae_decode *de)
{
    if (de == NULL)
        return;
    bs_dev_free(de->dev, &de->dict);
    bs_dev_free(de->dev, &de->bias);
    bs_dev_free(de->dev, &de->y);
    bs_codes_release(&de->codes);
    bs_free(de->x);
    bs_free(de->values);
    bs_free(de);
}
