/*
 * sae_encode.c - see sae_encode.h.
 */
#include "cmd/models/sae_encode.h"

#include <math.h>
#include <stdio.h>

#include "cmd/models/features.h"
#include "cmd/models/sae_encoder.h"
#include "common/dtype.h"
#include "common/mem.h"
#include "formats/json.h"

/* Tokens that are encoded at once: enough for the weights to be read seldom. */
enum { BATCH_TOKENS = 1024 };

/* A record that waits for its codes. */
struct waiting {
    struct bs_doc rec; /* its metadata */
    size_t tokens;
};

struct bs_sae_encode {
    struct bs_sae_encode_options options;
    const struct bs_sae *s;
    struct bs_sae_encoder *encoder;
    struct bs_writer *writer;

    struct waiting *wait; /* room for BATCH_TOKENS of them */
    size_t waiting;
    struct bs_buf x; /* their tokens, f32 */
    size_t tokens;

    struct bs_ragged codes;
    struct bs_buf ptr, idx, val; /* of the record that is written */
    struct bs_sae_encode_stats segment, total;
    char model[400], concepts[24];
};

/* ---- writing ---------------------------------------------------------------
 */

static bool
narrow_index(const struct bs_sae_encode *en)
{
    return en->s->concepts <= UINT16_MAX; /* all ones means no concept */
}

/* Equal values after rounding stand in the order of their indices: insertion,
 * since what is out of order is near its place. */
static void
restore_order(uint32_t *idx, float *val, size_t n)
{
    size_t i, j;

    for (i = 1; i < n; i++) {
        float v = val[i];
        uint32_t c = idx[i];

        for (j = i; j > 0 && val[j - 1] == v && idx[j - 1] > c; j--) {
            val[j] = val[j - 1];
            idx[j] = idx[j - 1];
        }
        val[j] = v;
        idx[j] = c;
    }
}

/* Round a token's codes to the type that is written, in place; returns how
 * many are left. */
static ptrdiff_t
round_codes(struct bs_sae_encode *en, uint32_t *idx, float *val, size_t n,
            struct bs_err *e)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (en->options.dtype == BS_DTYPE_F16)
            val[i] = bs_f32_from_f16(bs_f16_from_f32(val[i]));
    for (i = 0; i < n; i++)
        if (!(val[i] < INFINITY))
            return bs_err_set(e, BS_EX_DATA,
                              "the code of concept %ju is too large%s",
                              (uintmax_t)idx[i],
                              en->options.dtype == BS_DTYPE_F16
                                  ? " for F16; '--dtype=f32' keeps it"
                                  : "");
    while (n > 0 && val[n - 1] == 0) {
        n--;
        en->segment.vanished++;
    }
    restore_order(idx, val, n);
    return (ptrdiff_t)n;
}

static int
add_code(struct bs_sae_encode *en, uint32_t idx, float val, struct bs_err *e)
{
    uint16_t narrow = (uint16_t)idx, half = bs_f16_from_f32(val);
    int r = narrow_index(en) ? bs_buf_add(&en->idx, &narrow, sizeof narrow, e)
                             : bs_buf_add(&en->idx, &idx, sizeof idx, e);

    if (r < 0)
        return r;
    return en->options.dtype == BS_DTYPE_F16
               ? bs_buf_add(&en->val, &half, sizeof half, e)
               : bs_buf_add(&en->val, &val, sizeof val, e);
}

/* Append the codes of a token, and where they end. */
static int
add_token(struct bs_sae_encode *en, size_t token, struct bs_err *e)
{
    bool fixed = en->s->select == BS_SAE_TOPK;
    size_t from = en->codes.ptr[token], i, k = fixed ? en->s->k : 0;
    uint32_t *idx = en->codes.idx + from, end;
    float *val = en->codes.val + from;
    ptrdiff_t n = round_codes(en, idx, val, en->codes.ptr[token + 1] - from, e);
    int r = 0;

    if (n < 0)
        return (int)n;
    for (i = 0; i < (size_t)n && r == 0; i++)
        r = add_code(en, idx[i], val[i], e);
    for (; i < k && r == 0; i++)
        r = add_code(en, BS_CODE_NONE, 0, e);
    en->segment.codes += (uint64_t)n;
    if (r < 0 || fixed)
        return r;
    memcpy(&end, en->ptr.data + en->ptr.len - sizeof end, sizeof end);
    end += (uint32_t)n;
    return bs_buf_add(&en->ptr, &end, sizeof end, e);
}

static int
write_codes(struct bs_sae_encode *en, struct waiting *w, struct bs_err *e)
{
    bool fixed = en->s->select == BS_SAE_TOPK;
    size_t size = en->options.dtype == BS_DTYPE_F16 ? 2 : 4;
    uint64_t shape[2] = {w->tokens, en->s->k}, ends = w->tokens + 1;
    int r = 0;

    if (!fixed) {
        shape[0] = en->val.len / size;
        r = bs_doc_put(&w->rec, "ptr", BS_DTYPE_U32, 1, &ends, en->ptr.data, e);
    }
    if (r == 0)
        r = bs_doc_put(&w->rec, "idx",
                       narrow_index(en) ? BS_DTYPE_U16 : BS_DTYPE_U32,
                       fixed ? 2 : 1, shape, en->idx.data, e);
    if (r == 0)
        r = bs_doc_put(&w->rec, "val", en->options.dtype, fixed ? 2 : 1, shape,
                       en->val.data, e);
    if (r == 0 && bs_writer_record(en->writer, &w->rec) < 0) {
        *e = *bs_writer_error(en->writer);
        r = -e->code;
    }
    return r;
}

/* Write record w, whose first token is `token` of the batch. */
static int
emit(struct bs_sae_encode *en, struct waiting *w, size_t token,
     struct bs_err *e)
{
    uint32_t zero = 0;
    size_t i;
    int r;

    en->ptr.len = en->idx.len = en->val.len = 0;
    r = bs_buf_add(&en->ptr, &zero, sizeof zero, e);
    for (i = 0; i < w->tokens && r == 0; i++) {
        r = add_token(en, token + i, e);
        if (r < 0)
            return bs_err_prefix(e, "record '%s': token %zu",
                                 bs_doc_meta(&w->rec, "key"), i);
    }
    if (r == 0)
        r = write_codes(en, w, e);
    en->segment.records++;
    en->segment.tokens += w->tokens;
    return r;
}

/* Drop what waits. */
static void
drop(struct bs_sae_encode *en)
{
    size_t i;

    for (i = 0; i < en->waiting; i++)
        bs_doc_release(&en->wait[i].rec);
    en->waiting = en->tokens = en->x.len = 0;
}

/* ---- the stage -------------------------------------------------------------
 */

static int
flush(void *arg, struct bs_err *e)
{
    struct bs_sae_encode *en = arg;
    size_t i, token = 0;
    int r = bs_sae_encoder_run(en->encoder, (const float *)en->x.data,
                               en->tokens, &en->codes, e);

    for (i = 0; i < en->waiting && r == 0; i++) {
        r = emit(en, &en->wait[i], token, e);
        token += en->wait[i].tokens;
    }
    drop(en);
    return r;
}

static int
put(void *arg, const struct bs_doc *rec, struct bs_err *e)
{
    struct bs_sae_encode *en = arg;
    struct waiting *w = &en->wait[en->waiting];
    int r = bs_features_read(&en->x, &w->tokens, rec, en->s->width, e);

    if (r < 0)
        return r;
    w->rec = (struct bs_doc){0};
    en->tokens += w->tokens;
    en->waiting++;
    r = bs_relay_metadata(&w->rec, rec, e);
    if (r == 0 && (en->tokens >= BATCH_TOKENS || en->waiting == BATCH_TOKENS))
        r = flush(en, e);
    return r;
}

static int
begin(void *arg, const struct bs_doc *head, struct bs_err *e)
{
    struct bs_sae_encode *en = arg;

    (void)head;
    (void)e;
    en->segment = (struct bs_sae_encode_stats){0};
    return 0;
}

static int
fill_head(void *arg, struct bs_doc *ours, struct bs_err *e)
{
    struct bs_sae_encode *en = arg;
    int r = bs_doc_set(ours, "concepts", en->concepts, e);

    return r < 0 || !en->options.digest
               ? r
               : bs_doc_set(ours, "bs.model", en->model, e);
}

static int
stats(void *arg, struct bs_buf *json, bool stopped, struct bs_err *e)
{
    struct bs_sae_encode *en = arg;
    const struct bs_sae_encode_stats *s = &en->segment;

    if (stopped)
        drop(en);
    en->total.records += s->records;
    en->total.tokens += s->tokens;
    en->total.codes += s->codes;
    en->total.vanished += s->vanished;
    return bs_buf_printf(json, e,
                         "{\"codes\":%ju,\"records\":%ju,\"tokens\":%ju,"
                         "\"vanished\":%ju}",
                         (uintmax_t)s->codes, (uintmax_t)s->records,
                         (uintmax_t)s->tokens, (uintmax_t)s->vanished);
}

struct bs_stage
bs_sae_encode_stage(struct bs_sae_encode *en)
{
    return (struct bs_stage){"feature", begin, fill_head, put,
                             flush,     stats, en};
}

/* ---- opening ---------------------------------------------------------------
 */

int
bs_sae_encode_open(struct bs_sae_encode **out, const struct bs_sae *s,
                   const struct bs_sae_encode_options *options,
                   struct bs_dev *dev, struct bs_writer *w, struct bs_err *e)
{
    struct bs_sae_encode *en = bs_alloc_array(1, sizeof *en);
    struct bs_buf name = {0};
    int r;

    *out = NULL;
    if (en == NULL)
        return bs_err_memory(e, "encoder", sizeof *en);
    en->options = *options;
    en->s = s;
    en->writer = w;
    en->wait = bs_alloc_array(BATCH_TOKENS, sizeof *en->wait);
    r = en->wait == NULL ? bs_err_memory(e, "records", BATCH_TOKENS)
                         : bs_json_quote(&name, s->name, e);
    if (r == 0)
        r = bs_buf_add(&name, "", 1, e);
    if (r == 0) {
        snprintf(en->model, sizeof en->model, "{\"name\":%s,\"sha256\":\"%s\"}",
                 (const char *)name.data, s->sha256);
        snprintf(en->concepts, sizeof en->concepts, "%zu", s->concepts);
        r = bs_sae_encoder_open(&en->encoder, s, dev, e);
    }
    bs_buf_release(&name);
    if (r < 0)
        bs_sae_encode_close(en);
    else
        *out = en;
    return r;
}

void
bs_sae_encode_close(struct bs_sae_encode *en)
{
    if (en == NULL)
        return;
    drop(en);
    bs_sae_encoder_close(en->encoder);
    bs_ragged_release(&en->codes);
    bs_buf_release(&en->x);
    bs_buf_release(&en->ptr);
    bs_buf_release(&en->idx);
    bs_buf_release(&en->val);
    bs_free(en->wait);
    bs_free(en);
}

const struct bs_sae_encode_stats *
bs_sae_encode_total(const struct bs_sae_encode *en)
{
    return &en->total;
}
