/*
 * sae_eval.c - see sae_eval.h.
 */
#include "cmd/models/sae_eval.h"

#include <math.h>

#include "cmd/models/features.h"
#include "cmd/models/sae_encoder.h"
#include "common/mem.h"

/* Tokens at once: enough for the weights to be read seldom. */
enum { BATCH = 1024 };

struct bs_sae_eval {
    const struct bs_sae *s;
    struct bs_metric_choice choice;
    struct bs_dev *dev;
    struct bs_pool *pool;
    bool decoding, pairing, reaching; /* what is wanted besides codes */

    struct bs_sae_encoder *encoder;
    struct bs_mem dict, bias, decoded;
    struct bs_buf x, record; /* tokens that wait, and whose they are */
    struct bs_buf keys;      /* of their records, one behind the other */
    uint64_t first;          /* number of the first of these */
    struct bs_ragged codes;
    float *y; /* [BATCH, width] */

    struct bs_eval_sums sums;
    struct bs_eval_pairs pairs;
    struct bs_eval_ood ood;
};

static int
failed(const struct bs_sae_eval *ev, struct bs_err *e)
{
    *e = *bs_dev_error(ev->dev);
    return -e->code;
}

/* ---- a batch --------------------------------------------------------------
 */

static int
decode(struct bs_sae_eval *ev, size_t m, struct bs_err *e)
{
    const struct bs_sae *s = ev->s;
    struct bs_code_rows rows = {m, 0, ev->codes.ptr, ev->codes.idx,
                                ev->codes.val};

    if (bs_dev_decode(ev->dev, &rows, &ev->dict, s->concepts, s->width,
                      s->dec_b != NULL ? &ev->bias : NULL, &ev->decoded) < 0 ||
        bs_dev_get(ev->dev, ev->y, &ev->decoded, 0,
                   m * s->width * sizeof *ev->y) < 0)
        return failed(ev, e);
    return 0;
}

/* Whoever asked for pairs by name is not content without them. */
static int
check_pairs(const struct bs_sae_eval *ev, struct bs_err *e)
{
    if (!ev->pairs.full || !ev->choice.named)
        return 0;
    return bs_err_set(e, BS_EX_OSERR,
                      "the pairs of concepts that fire together take more than "
                      "'--memory'");
}

/* The key of a record whose tokens wait. */
static const char *
key_of(const struct bs_sae_eval *ev, uint64_t record)
{
    const char *key = (const char *)ev->keys.data;

    for (; record > ev->first; record--)
        key += strlen(key) + 1;
    return key;
}

/* A code that overflowed would leave nothing of any sum. */
static int
check_codes(const struct bs_sae_eval *ev, const uint64_t *record,
            struct bs_err *e)
{
    const struct bs_ragged *c = &ev->codes;
    size_t i, k;

    for (i = 0; i < c->rows; i++)
        for (k = c->ptr[i]; k < c->ptr[i + 1]; k++)
            if (!(c->val[k] < INFINITY))
                return bs_err_set(e, BS_EX_DATA,
                                  "record '%s': the code of concept %ju is too "
                                  "large",
                                  key_of(ev, record[i]), (uintmax_t)c->idx[k]);
    return 0;
}

static int
add_batch(struct bs_sae_eval *ev, const float *x, const uint64_t *record,
          size_t m, struct bs_err *e)
{
    int r = bs_sae_encoder_run(ev->encoder, x, m, &ev->codes, e);

    if (r == 0)
        r = check_codes(ev, record, e);
    if (r == 0 && ev->decoding)
        r = decode(ev, m, e);
    if (r == 0)
        r = bs_eval_sums_add(&ev->sums, x, ev->decoding ? ev->y : NULL,
                             &ev->codes, record, m, ev->pool, e);
    if (r == 0 && ev->pairing)
        r = bs_eval_pairs_add(&ev->pairs, &ev->codes, e);
    if (r == 0)
        r = check_pairs(ev, e);
    if (r == 0 && ev->reaching)
        r = bs_eval_ood_add(&ev->ood, x, m, e);
    return r;
}

static int
flush(struct bs_sae_eval *ev, struct bs_err *e)
{
    const float *x = (const float *)(const void *)ev->x.data;
    const uint64_t *record = (const uint64_t *)(const void *)ev->record.data;
    size_t n = ev->record.len / sizeof *record, i;
    int r = 0;

    for (i = 0; i < n && r == 0; i += BATCH)
        r = add_batch(ev, x + i * ev->s->width, record + i,
                      n - i < BATCH ? n - i : BATCH, e);
    ev->x.len = ev->record.len = ev->keys.len = 0;
    ev->first = ev->sums.records;
    return r;
}

int
bs_sae_eval_put(struct bs_sae_eval *ev, const struct bs_doc *rec,
                struct bs_err *e)
{
    const char *key = bs_doc_meta(rec, "key");
    uint64_t number = ev->sums.records;
    size_t tokens, i;
    int r = bs_features_read(&ev->x, &tokens, rec, ev->s->width, e);

    for (i = 0; r == 0 && i < tokens; i++)
        r = bs_buf_add(&ev->record, &number, sizeof number, e);
    if (r == 0)
        r = bs_buf_add(&ev->keys, key, strlen(key) + 1, e);
    if (r < 0)
        return r;
    ev->sums.records++;
    return ev->record.len / sizeof number >= BATCH ? flush(ev, e) : 0;
}

/* ---- the end --------------------------------------------------------------
 */

static int
finish_pairs(struct bs_sae_eval *ev, struct bs_cell *cell, struct bs_err *e)
{
    const bool *wanted = ev->choice.metric;
    int r = bs_eval_pairs_finish(&ev->pairs, e);

    if (r == 0)
        r = check_pairs(ev, e);
    if (r == 0)
        r = bs_eval_pairs_metrics(&ev->pairs, &ev->sums,
                                  wanted[BS_M_MAX_CORRELATION], cell, e);
    if (r == 0 && (wanted[BS_M_FROBENIUS] || wanted[BS_M_SPECTRAL] ||
                   wanted[BS_M_FROBENIUS_TOKEN] || wanted[BS_M_SPECTRAL_TOKEN]))
        r = bs_eval_interference(&ev->pairs, ev->s->dec_w, ev->s->width,
                                 ev->sums.tokens, cell, e);
    return r;
}

/* What took part in encoding and decoding is needed no more. */
static void
drop_model(struct bs_sae_eval *ev)
{
    bs_sae_encoder_close(ev->encoder);
    ev->encoder = NULL;
    bs_dev_free(ev->dev, &ev->dict);
    bs_dev_free(ev->dev, &ev->bias);
    bs_dev_free(ev->dev, &ev->decoded);
    bs_eval_ood_drop(&ev->ood);
}

int
bs_sae_eval_finish(struct bs_sae_eval *ev, bool stopped,
                   struct bs_cell cell[BS_METRICS], struct bs_err *e)
{
    int r = flush(ev, e);

    if (r < 0)
        return r;
    drop_model(ev);
    bs_eval_sums_metrics(&ev->sums, ev->decoding, cell);
    if (ev->reaching)
        bs_eval_ood_metrics(&ev->ood, cell);
    return ev->pairing && !stopped ? finish_pairs(ev, cell, e) : 0;
}

bool
bs_sae_eval_full(const struct bs_sae_eval *ev)
{
    return ev->pairs.full;
}

const struct bs_eval_sums *
bs_sae_eval_sums(const struct bs_sae_eval *ev)
{
    return &ev->sums;
}

const double *
bs_sae_eval_ood(const struct bs_sae_eval *ev)
{
    return ev->reaching ? ev->ood.cosine : NULL;
}

/* ---- opening --------------------------------------------------------------
 */

/* An array of the model on the device. */
static int
load(struct bs_sae_eval *ev, struct bs_mem *m, const float *from, size_t n,
     struct bs_err *e)
{
    if (bs_dev_alloc(ev->dev, m, n * sizeof *from) < 0 ||
        bs_dev_put(ev->dev, m, 0, from, n * sizeof *from) < 0)
        return failed(ev, e);
    return 0;
}

static int
open_decoder(struct bs_sae_eval *ev, struct bs_err *e)
{
    const struct bs_sae *s = ev->s;
    size_t bytes = BATCH * s->width * sizeof *ev->y;
    int r = load(ev, &ev->dict, s->dec_w, s->concepts * s->width, e);

    if (r == 0 && s->dec_b != NULL)
        r = load(ev, &ev->bias, s->dec_b, s->width, e);
    if (r == 0 && bs_dev_alloc(ev->dev, &ev->decoded, bytes) < 0)
        r = failed(ev, e);
    ev->y = bs_alloc(bytes);
    return r == 0 && ev->y == NULL ? bs_err_memory(e, "tokens", bytes) : r;
}

/* Reconstruction is more than a count of records and tokens. */
static bool
wants_decoding(const struct bs_metric_choice *choice)
{
    struct bs_metric_choice c = *choice;

    c.metric[BS_M_RECORDS] = c.metric[BS_M_TOKENS] = false;
    return bs_metric_wanted(&c, BS_GROUP_RECONSTRUCTION);
}

int
bs_sae_eval_open(struct bs_sae_eval **out, const struct bs_sae *s,
                 const struct bs_atoms *atoms,
                 const struct bs_metric_choice *choice, uint64_t memory,
                 struct bs_dev *dev, struct bs_pool *pool, struct bs_err *e)
{
    struct bs_sae_eval *ev = *out = bs_alloc_array(1, sizeof *ev);
    int r;

    if (ev == NULL)
        return bs_err_memory(e, "evaluation", sizeof *ev);
    ev->s = s;
    ev->choice = *choice;
    ev->dev = dev;
    ev->pool = pool;
    ev->decoding = wants_decoding(choice);
    ev->pairing = bs_metric_wanted(choice, BS_GROUP_COACTIVATION);
    ev->reaching = bs_metric_wanted(choice, BS_GROUP_OOD);
    r = bs_sae_encoder_open(&ev->encoder, s, dev, e);
    if (r == 0 && ev->decoding)
        r = open_decoder(ev, e);
    if (r == 0)
        r = bs_eval_sums_open(&ev->sums, s->concepts, s->width, e);
    if (r == 0 && ev->pairing)
        r = bs_eval_pairs_open(&ev->pairs, s->concepts, memory, pool, e);
    if (r == 0 && ev->reaching)
        r = bs_eval_ood_open(&ev->ood, atoms, dev, e);
    if (r < 0) {
        bs_sae_eval_close(ev);
        *out = NULL;
    }
    return r;
}

void
bs_sae_eval_close(struct bs_sae_eval *ev)
{
    if (ev == NULL)
        return;
    drop_model(ev);
    bs_buf_release(&ev->x);
    bs_buf_release(&ev->record);
    bs_buf_release(&ev->keys);
    bs_ragged_release(&ev->codes);
    bs_free(ev->y);
    bs_eval_sums_release(&ev->sums);
    bs_eval_pairs_release(&ev->pairs);
    bs_eval_ood_release(&ev->ood);
    bs_free(ev);
}
