/*
 * cat.c - see cat.h.  Memory: one record, and what sample.h, join.h and a merge
 * (its keys) need.
 */
#include "cmd/models/cat.h"

#include "cmd/models/cat_params.h"
#include "cmd/models/join.h"
#include "cmd/models/lineage.h"
#include "cmd/models/sample.h"
#include "cmd/models/source.h"
#include "common/stop.h"
#include "formats/segment.h"

/* A segment of the input whose drawn records are written later. */
struct past {
    struct bs_kept head;
    uint64_t hash;
    bool partial;
};

struct cat {
    const struct bs_cat_options *o;
    struct bs_cat_counts *counts;
    struct bs_sink *sink;
    struct bs_pick pick;
    struct bs_join join;
    struct bs_sample sample;
    bool sampling, done; /* done: nothing more is wanted */
    struct past *past;   /* with sampling */
    size_t pasts, past_room;
    struct bs_lineage lineage;
    struct bs_keyset merged;
    struct bs_buf wide, params;
};

/* ---- one record -----------------------------------------------------------
 */

/* Copies of BF16 tensors as F32 replace them in `made`. */
static int
widen(struct cat *c, struct bs_doc *made, struct bs_err *e)
{
    size_t bytes = 0, i;
    int r;

    for (i = 0; i < made->tensors; i++)
        if (made->tensor[i].dtype == BS_DTYPE_BF16)
            bytes += made->tensor[i].bytes * 2;
    c->wide.len = 0;
    r = bs_buf_reserve(&c->wide, bytes > 0 ? bytes : 1, e);
    for (i = 0; i < made->tensors && r == 0; i++) {
        struct bs_tensor t = made->tensor[i];
        float *wide = (float *)(void *)(c->wide.data + c->wide.len);

        if (t.dtype != BS_DTYPE_BF16)
            continue;
        bs_to_f32(wide, t.dtype, t.data, t.bytes / sizeof(uint16_t));
        c->wide.len += t.bytes * 2;
        r = bs_doc_put(made, t.name, BS_DTYPE_F32, t.rank, t.shape, wide, e);
    }
    return r;
}

static bool
has_bf16(const struct bs_doc *doc)
{
    size_t i;

    for (i = 0; i < doc->tensors; i++)
        if (doc->tensor[i].dtype == BS_DTYPE_BF16)
            return true;
    return false;
}

/* 1 if the merge takes the record, 0 if it has its key already. */
static int
merge_takes(struct cat *c, const char *key, struct bs_err *e)
{
    int r = bs_keyset_add(&c->merged, key, 0, e);

    if (r == 0 && !c->o->keep_first)
        return bs_err_set(e, BS_EX_DATA, "key '%s' comes twice in the merge",
                          key);
    c->counts->duplicates += r == 0;
    return r;
}

/* A record that was selected goes through the rest. */
static int
put_record(struct cat *c, const struct bs_sunk *rec, struct bs_err *e)
{
    struct bs_doc made = {0};
    struct bs_sunk out = *rec;
    int r = 1;

    if (c->o->merge)
        r = merge_takes(c, bs_doc_meta(rec->doc, "key"), e);
    if (r > 0 && c->o->join != NULL)
        r = bs_join_make(&c->join, rec->doc, &made, e);
    else if (r > 0 && c->o->widen && has_bf16(rec->doc))
        r = bs_doc_copy(&made, rec->doc, e) < 0 ? -e->code : 1;
    if (r > 0 && made.metas > 0) {
        out = (struct bs_sunk){.doc = &made};
        if (c->o->widen)
            r = widen(c, &made, e) < 0 ? -e->code : 1;
    }
    if (r > 0) {
        r = c->sink->class->record(c->sink, &out, e);
        c->counts->written += r == 0;
    }
    bs_doc_release(&made);
    return r < 0 ? r : 0;
}

/* A record as it was read. */
static int
take_record(struct cat *c, const struct bs_source *s, const struct bs_doc *doc,
            struct bs_err *e)
{
    enum bs_picked picked = bs_pick_take(&c->pick, doc);
    struct bs_sunk rec = {.doc = doc};
    int r;

    c->counts->read++;
    c->done = picked == BS_PICKED_DONE;
    if (picked != BS_PICKED)
        return 0;
    rec.bytes = bs_source_bytes(s, &rec.len);
    if (!c->sampling && c->counts->written >= c->o->limit) {
        c->done = true;
        return 0;
    }
    if (c->sampling)
        return bs_sample_offer(&c->sample, bs_doc_meta(doc, "key"), c->pasts,
                               rec.bytes, rec.len, e);
    r = put_record(c, &rec, e);
    c->done = c->done || c->counts->written >= c->o->limit;
    return r;
}

/* ---- segments of the input ------------------------------------------------
 */

/* Remember the segment for when the sample is known. */
static int
keep_past(struct cat *c, const struct bs_kept *head, uint64_t hash,
          bool partial, struct bs_err *e)
{
    struct past *p;
    int r;

    if (c->pasts == c->past_room) {
        size_t room = c->past_room * 2 + 8;

        p = bs_alloc_array(room, sizeof *p);
        if (p == NULL)
            return bs_err_memory(e, "segments", room * sizeof *p);
        if (c->pasts > 0)
            memcpy(p, c->past, c->pasts * sizeof *p);
        bs_free(c->past);
        c->past = p;
        c->past_room = room;
    }
    p = &c->past[c->pasts];
    r = bs_keep(&p->head, head->bytes.data, head->bytes.len, e);
    p->hash = hash;
    p->partial = partial;
    c->pasts += r == 0;
    return r;
}

static int
end_segment(struct cat *c, const struct bs_kept *head, const struct bs_doc *end,
            uint64_t hash, struct bs_err *e)
{
    const char *status = end != NULL ? bs_doc_meta(end, "bs.status") : NULL;
    bool partial =
        c->counts->stopped || (status != NULL && strcmp(status, "ok") != 0);

    if (c->sampling)
        return keep_past(c, head, hash, partial, e);
    return bs_lineage_end(&c->lineage, head, end, hash, c->counts->stopped, e);
}

/* One item; `head` is that of its segment, *open that there is one. */
static int
take_item(struct cat *c, struct bs_source *s, int item,
          const struct bs_doc *doc, struct bs_kept *head, bool *open,
          struct bs_err *e)
{
    const uint8_t *bytes;
    size_t len;
    int r;

    if (item == BS_ITEM_RECORD)
        return take_record(c, s, doc, e);
    *open = item == BS_ITEM_HEAD;
    if (item == BS_ITEM_END)
        return end_segment(c, head, doc, bs_source_hash(s), e);
    bytes = bs_source_bytes(s, &len);
    r = bs_keep(head, bytes, len, e);
    if (r == 0 && !c->sampling)
        r = bs_lineage_begin(&c->lineage, head, 0, e);
    return r;
}

/* All of one input, or as much as is wanted. */
static int
take_source(struct cat *c, struct bs_source *s, struct bs_err *e)
{
    struct bs_kept head = {{0}, {0}};
    const struct bs_doc *doc = NULL;
    bool open = false;
    int item = 1, r = 0;

    while (r == 0 && !c->done) {
        item = bs_source_next(s, &doc);
        if (item == BS_ITEM_EOF)
            break;
        if (item < 0) {
            *e = *bs_source_error(s);
            r = bs_err_prefix(e, "cannot read '%s'", bs_source_name(s));
            break;
        }
        if (item != BS_ITEM_STOP)
            r = take_item(c, s, item, doc, &head, &open, e);
        if (r == -BS_EX_DATA)
            bs_err_prefix(e, "cannot use '%s'", bs_source_name(s));
        if (c->o->progress != NULL)
            bs_progress_step(c->o->progress, c->counts->read);
        /* between two segments nothing could say that more were to come */
        c->counts->stopped = item == BS_ITEM_STOP || (open && bs_stop_wanted());
        c->done = c->done || c->counts->stopped;
    }
    if (r == 0 && open)
        r = end_segment(c, &head, NULL, 0, e);
    c->counts->ignored += bs_source_ignored(s);
    bs_kept_release(&head);
    return r;
}

static int
take_input(struct cat *c, struct bs_err *e)
{
    size_t n = c->o->paths > 0 ? c->o->paths : 1, i;
    int r = 0;

    for (i = 0; i < n && r == 0 && !c->done; i++) {
        const char *path = c->o->paths > 0 ? c->o->path[i] : NULL;
        struct bs_source *s;

        r = bs_source_open(&s, path, c->o->flags | BS_READER_STOP,
                           c->o->max_record, e);
        if (r < 0)
            break;
        r = take_source(c, s, e);
        bs_source_close(s);
    }
    return r;
}

/* ---- the sample ------------------------------------------------------------
 */

static int
put_drawn(struct cat *c, const struct bs_drawn *d, struct bs_buf *bytes,
          struct bs_err *e)
{
    struct bs_doc doc = {0};
    struct bs_sunk rec = {.doc = &doc};
    int r = bs_spool_get(&c->sample.spool, d->at, (size_t)d->len, bytes, e);

    if (r == 0)
        r = bs_doc_parse(&doc, bytes->data, bytes->len, &bs_doc_limits_record,
                         e);
    rec.bytes = bytes->data;
    rec.len = bytes->len;
    if (r == 0)
        r = put_record(c, &rec, e);
    bs_doc_release(&doc);
    return r;
}

/* Write the segments with the records that were drawn from them. */
static int
put_sample(struct cat *c, struct bs_err *e)
{
    struct bs_buf bytes = {0};
    size_t i, next = 0;
    int r = 0;

    bs_sample_sort(&c->sample);
    for (i = 0; i < c->pasts && r == 0; i++) {
        const struct past *p = &c->past[i];

        r = bs_lineage_begin(&c->lineage, &p->head, p->hash, e);
        while (r == 0 && next < c->sample.count &&
               c->sample.drawn[next].segment == i &&
               c->counts->written < c->o->limit)
            r = put_drawn(c, &c->sample.drawn[next++], &bytes, e);
        while (next < c->sample.count && c->sample.drawn[next].segment == i)
            next++; /* over the limit */
        if (r == 0)
            r = bs_lineage_end(&c->lineage, &p->head, NULL, p->hash, p->partial,
                               e);
    }
    bs_buf_release(&bytes);
    return r;
}

/* ---- the run --------------------------------------------------------------
 */

static int
start(struct cat *c, struct bs_err *e)
{
    const struct bs_cat_options *o = c->o;
    struct bs_lineage_options *l = &c->lineage.options;
    int r = bs_pick_init(&c->pick, &o->pick, e);

    if (r == 0 && o->join != NULL)
        r = bs_join_load(&c->join, o->join, o->flags, o->max_record, o->prefix,
                         e);
    if (r == 0 && c->sampling)
        r = bs_sample_open(&c->sample, o->sample, o->seed, e);
    if (r == 0)
        r = bs_cat_params(o, &c->params, e);
    c->lineage.sink = c->sink;
    l->changed = bs_cat_changes(o) && !o->keep_heads;
    l->merge = o->merge && !o->keep_heads;
    l->provenance = o->provenance;
    l->tool = o->tool;
    l->params = (const char *)c->params.data;
    l->others = bs_doc_meta(&c->join.parents, "bs.parents");
    return r;
}

static int
run(struct cat *c, struct bs_err *e)
{
    int r = start(c, e);

    if (r == 0)
        r = take_input(c, e);
    if (r == 0 && c->counts->stopped && c->o->whole)
        r = bs_err_set(e, BS_EX_TEMPFAIL, "stopped by %s: no output",
                       bs_stop_reason());
    if (r == 0 && c->sampling)
        r = put_sample(c, e);
    if (r == 0)
        r = bs_lineage_finish(&c->lineage, e);
    c->counts->unpaired = c->join.unpaired;
    c->counts->unused = bs_join_unused(&c->join);
    c->counts->missing = bs_pick_missing(&c->pick);
    return r;
}

int
bs_cat_run(const struct bs_cat_options *options, struct bs_sink *sink,
           struct bs_cat_counts *counts, struct bs_err *e)
{
    struct cat c = {.o = options,
                    .counts = counts,
                    .sink = sink,
                    .sampling = options->sample != UINT64_MAX,
                    .join.spool.fd = -1,
                    .sample.spool.fd = -1};
    size_t i;
    int r;

    *counts = (struct bs_cat_counts){0};
    r = run(&c, e);
    if (r < 0 && !options->keep_heads)
        bs_lineage_spoil(&c.lineage);
    bs_pick_release(&c.pick);
    bs_join_release(&c.join);
    bs_sample_close(&c.sample);
    for (i = 0; i < c.pasts; i++)
        bs_kept_release(&c.past[i].head);
    bs_free(c.past);
    bs_lineage_release(&c.lineage);
    bs_keyset_release(&c.merged);
    bs_buf_release(&c.wide);
    bs_buf_release(&c.params);
    return r;
}
