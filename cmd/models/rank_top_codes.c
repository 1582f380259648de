/*
 * rank_top_codes.c - see rank_top.h: lists out of codes.
 *
 * The first reading scores every record.  The second looks at the records that
 * the lists ask for: an ask is a concept of an image, with the place where the
 * answer goes; asks are sorted by image.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/models/rank_top.h"
#include "cmd/models/sight.h"
#include "formats/stream.h"

/* ---- one record ----------------------------------------------------------
 */

/* The tokens that count: the patches, or all where there are none. */
static size_t
first_token(const struct bs_codes *c)
{
    return c->prefix < c->tokens ? c->prefix : 0;
}

/* Sum the codes of the record over the tokens that count; of every concept
 * that the lists are of. */
static void
sum_up(struct bs_tops *t)
{
    const struct bs_codes *c = &t->codes;
    size_t i;

    for (i = c->tokens > 0 ? c->ptr[first_token(c)] : 0;
         c->tokens > 0 && i < c->ptr[c->tokens]; i++)
        if (t->list_of[c->idx[i]] < t->lists)
            t->sum[c->idx[i]] += (double)c->val[i];
}

static void
clear(struct bs_tops *t)
{
    const struct bs_codes *c = &t->codes;
    size_t i;

    for (i = 0; c->tokens > 0 && i < c->ptr[c->tokens]; i++)
        t->sum[c->idx[i]] = 0;
}

static double
mean_of(const struct bs_tops *t, uint32_t concept)
{
    const struct bs_codes *c = &t->codes;

    return t->sum[concept] / (double)(c->tokens - first_token(c));
}

static int
read_head(struct bs_tops *t, const struct bs_doc *head, struct bs_err *e)
{
    struct bs_codes_head h;
    int r = bs_codes_head(&h, head, e);

    if (r == 0 && t->head.concepts > 0)
        r = bs_codes_same(&t->head, &h, e);
    if (r == 0 && h.concepts != t->concepts)
        r = bs_err_set(e, BS_EX_DATA, "codes of %ju concepts, not %ju",
                       (uintmax_t)h.concepts, (uintmax_t)t->concepts);
    if (r == 0 && (t->head.concepts == 0 || t->head.model[0] == '\0'))
        t->head = h;
    return r;
}

/* ---- the first reading ---------------------------------------------------
 */

struct scanning {
    struct bs_tops *tops;
    enum bs_side side;
};

/* Offer the record to the list of every concept that it has; a sum that was
 * offered is set to 0, so each is offered once. */
static int
offer_all(struct scanning *s, const struct bs_doc *rec, struct bs_err *e)
{
    struct bs_tops *t = s->tops;
    const struct bs_codes *c = &t->codes;
    size_t i, n = c->tokens > 0 ? c->ptr[c->tokens] : 0;
    int r = 0;

    for (i = 0; i < n && r == 0; i++) {
        uint32_t k = c->idx[i];

        if (!(t->sum[k] > 0))
            continue;
        r = bs_tops_offer(t, s->side, t->list_of[k], bs_doc_meta(rec, "key"),
                          bs_doc_meta(rec, "caption"), mean_of(t, k), NAN, e);
        t->sum[k] = 0;
    }
    return r;
}

/* Remember the head of a segment, for the parents of what is made of it. */
static int
keep_head(struct bs_tops *t, enum bs_side side, const struct bs_doc *head,
          struct bs_err *e)
{
    size_t i;
    int r = read_head(t, head, e);

    bs_sight_find(&t->sight[side], head);
    bs_doc_release(&t->segment);
    for (i = 0; i < head->metas && r == 0; i++)
        r = bs_doc_set(&t->segment, head->meta[i].name, head->meta[i].value, e);
    return r;
}

/* The segment ended: its head and content id become a parent. */
static int
keep_parent(struct bs_tops *t, const struct bs_doc *end, struct bs_err *e)
{
    const char *hash = bs_doc_meta(end, "bs.hash");

    return bs_stream_parent(&t->parents, &t->segment,
                            hash != NULL ? strtoull(hash, NULL, 16) : 0, e);
}

static int
scan_item(void *arg, int item, const struct bs_doc *doc, struct bs_err *e)
{
    struct scanning *s = arg;
    struct bs_tops *t = s->tops;
    int r;

    if (item == BS_ITEM_HEAD)
        return keep_head(t, s->side, doc, e);
    if (item == BS_ITEM_END)
        return keep_parent(t, doc, e);
    r = bs_codes_read(&t->codes, doc, t->concepts, e);
    if (r < 0)
        return r;
    sum_up(t);
    r = offer_all(s, doc, e);
    clear(t);
    return r;
}

int
bs_tops_scan(struct bs_tops *t, enum bs_side side, const char *path,
             const struct bs_rank_input *in, struct bs_err *e)
{
    struct scanning s = {t, side};

    return bs_rank_scan(path, in, scan_item, &s, e);
}

/* ---- the second reading --------------------------------------------------
 */

struct ask {
    uint32_t image, concept;
    struct bs_top *top;
    bool own; /* the top is of this side: its heat; else of the counterpart */
};

struct pairing {
    struct bs_tops *tops;
    struct ask *ask; /* sorted by image */
    size_t asks;
    bool *seen; /* [images] */
    bool heat;
};

static int
by_image(const void *a, const void *b)
{
    const struct ask *x = a, *y = b;

    return x->image < y->image ? -1 : x->image > y->image;
}

/* Asks of all places of one side's lists. */
static void
ask_all(struct pairing *p, enum bs_side side, bool own)
{
    struct bs_tops *t = p->tops;
    size_t list, i;

    for (list = 0; list < t->lists; list++)
        for (i = 0; i < t->count[side][list]; i++) {
            struct bs_top *top = &t->top[side][list * t->places + i];

            p->ask[p->asks++] =
                (struct ask){top->image, t->concept[list], top, own};
        }
}

static size_t
places_taken(const struct bs_tops *t)
{
    size_t n = 0, list;

    for (list = 0; list < t->lists; list++)
        n += (size_t)t->count[BS_SIDE_REAL][list] + t->count[BS_SIDE_GEN][list];
    return n;
}

/* The first ask of the image, or the end. */
static size_t
first_ask(const struct pairing *p, uint32_t image)
{
    size_t low = 0, high = p->asks;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (p->ask[mid].image < image)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Keep the concept's codes, patch by patch; nothing where the record has no
 * grid. */
static int
keep_heat(struct bs_tops *t, uint32_t concept, int32_t *number,
          struct bs_err *e)
{
    const struct bs_codes *c = &t->codes;
    size_t patches = c->grid[0] * c->grid[1], token, i;
    size_t count = t->heat.len / sizeof(struct bs_heat);
    struct bs_heat heat = {t->values.len / sizeof(float), (uint32_t)c->grid[0],
                           (uint32_t)c->grid[1]};

    if (patches == 0 || count >= INT32_MAX)
        return 0;
    for (token = c->prefix; token < c->tokens; token++) {
        float value = 0;

        for (i = c->ptr[token]; i < c->ptr[token + 1]; i++)
            if (c->idx[i] == concept)
                value = c->val[i];
        if (bs_buf_add(&t->values, &value, sizeof value, e) < 0)
            return -e->code;
    }
    *number = (int32_t)count;
    return bs_buf_add(&t->heat, &heat, sizeof heat, e);
}

static int
answer(struct pairing *p, const struct ask *a, struct bs_err *e)
{
    struct bs_tops *t = p->tops;

    if (!a->own)
        a->top->other = t->codes.tokens > 0 ? mean_of(t, a->concept) : 0;
    return p->heat ? keep_heat(t, a->concept, &a->top->heat[!a->own], e) : 0;
}

static int
pair_record(struct pairing *p, const struct bs_doc *rec, struct bs_err *e)
{
    struct bs_tops *t = p->tops;
    uint64_t image;
    size_t i;
    int r;

    if (!bs_keyset_find(&t->keys, bs_doc_meta(rec, "key"), &image))
        return 0;
    i = first_ask(p, (uint32_t)image);
    if (i == p->asks || p->ask[i].image != image)
        return 0;
    if (p->seen[image])
        return bs_err_set(e, BS_EX_DATA, "the key comes twice");
    p->seen[image] = true;
    r = bs_codes_read(&t->codes, rec, t->concepts, e);
    if (r < 0)
        return r;
    sum_up(t);
    for (; i < p->asks && p->ask[i].image == image && r == 0; i++)
        r = answer(p, &p->ask[i], e);
    clear(t);
    return r;
}

static int
pair_item(void *arg, int item, const struct bs_doc *doc, struct bs_err *e)
{
    struct pairing *p = arg;

    if (item == BS_ITEM_HEAD)
        return read_head(p->tops, doc, e);
    return item == BS_ITEM_RECORD ? pair_record(p, doc, e) : 0;
}

int
bs_tops_pair(struct bs_tops *t, enum bs_side side, const char *path,
             const struct bs_rank_input *in, bool heat, struct bs_err *e)
{
    struct pairing p = {.tops = t, .heat = heat};
    enum bs_side other = side == BS_SIDE_REAL ? BS_SIDE_GEN : BS_SIDE_REAL;
    int r;

    p.ask = bs_alloc_array(places_taken(t), sizeof *p.ask);
    p.seen = bs_alloc_array(t->keys.count, sizeof *p.seen);
    if (p.ask == NULL || p.seen == NULL) {
        r = bs_err_memory(e, "counterparts", places_taken(t));
    } else {
        ask_all(&p, other, false);
        if (heat)
            ask_all(&p, side, true);
        qsort(p.ask, p.asks, sizeof *p.ask, by_image);
        r = bs_rank_scan(path, in, pair_item, &p, e);
    }
    bs_free(p.ask);
    bs_free(p.seen);
    return r;
}
