/*
 * lineage.c - see lineage.h.
 */
#include "cmd/models/lineage.h"

#include "formats/segment.h"
#include "formats/stream.h"

int
bs_keep(struct bs_kept *k, const uint8_t *bytes, size_t len, struct bs_err *e)
{
    int r;

    bs_doc_release(&k->doc);
    k->bytes.len = 0;
    r = bs_buf_add(&k->bytes, bytes, len, e);
    if (r == 0)
        r = bs_doc_parse(&k->doc, k->bytes.data, len, &bs_doc_limits_head, e);
    return r;
}

void
bs_kept_release(struct bs_kept *k)
{
    bs_doc_release(&k->doc);
    bs_buf_release(&k->bytes);
}

/* ---- heads --------------------------------------------------------------- */

/* Says how the records came about, not what they are. */
static bool
is_provenance(const char *name)
{
    static const char *const names[] = {"bs.tool",    "bs.params", "bs.seed",
                                        "bs.parents", "bs.source", "bs.stream"};
    size_t i;

    for (i = 0; i < BS_LEN(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* The head of what is made from `parent` (NULL: not to be named). */
static int
derive(const struct bs_lineage *l, const struct bs_doc *from,
       const struct bs_doc *parent, uint64_t hash, struct bs_doc *head,
       struct bs_err *e)
{
    int r = bs_doc_copy(head, from, e);
    size_t i;

    for (i = 0; i < from->metas && r == 0; i++)
        if (is_provenance(from->meta[i].name))
            r = bs_doc_set(head, from->meta[i].name, NULL, e);
    if (r < 0 || !l->options.provenance)
        return r;
    r = bs_doc_set(head, "bs.tool", l->options.tool, e);
    if (r == 0)
        r = bs_doc_set(head, "bs.params", l->options.params, e);
    if (r == 0)
        r = bs_doc_set(head, "bs.parents", l->options.others, e);
    if (r == 0 && parent != NULL)
        r = bs_stream_parent(head, parent, hash, e);
    return r;
}

/* What a describes must be what b describes. */
static int
check_same(const struct bs_doc *a, const struct bs_doc *b, struct bs_err *e)
{
    size_t i;

    for (i = 0; i < a->metas; i++) {
        const char *name = a->meta[i].name, *other = bs_doc_meta(b, name);

        if (!is_provenance(name) &&
            (other == NULL || strcmp(other, a->meta[i].value) != 0))
            return bs_err_set(e, BS_EX_DATA,
                              "cannot merge: '%.60s' of the heads differs",
                              name);
    }
    return 0;
}

int
bs_lineage_begin(struct bs_lineage *l, const struct bs_kept *head,
                 uint64_t hash, struct bs_err *e)
{
    bool merge = l->options.merge;
    struct bs_doc made = {0};
    int r = 0;

    if (merge && l->inside) {
        r = check_same(&l->head.doc, &head->doc, e);
        return r < 0 ? r : check_same(&head->doc, &l->head.doc, e);
    }
    l->begun = l->inside = true;
    if (!l->options.changed && !merge)
        return l->sink->class->head(l->sink, &head->doc, e);
    if (merge)
        r = bs_keep(&l->head, head->bytes.data, head->bytes.len, e);
    if (r == 0)
        r = derive(l, &head->doc, merge ? NULL : &head->doc, hash, &made, e);
    if (r == 0)
        r = l->sink->class->head(l->sink, &made, e);
    bs_doc_release(&made);
    return r;
}

/* ---- ends ---------------------------------------------------------------- */

/* The end of a segment that is passed on as it is. */
static int
copy_end(struct bs_lineage *l, const struct bs_doc *end, bool partial,
         struct bs_err *e)
{
    struct bs_doc made = {0};
    int r = end != NULL ? bs_doc_copy(&made, end, e) : 0;

    if (r == 0 && partial)
        r = bs_doc_set(&made, "bs.status", "partial", e);
    if (r == 0)
        r = l->sink->class->end(l->sink, &made, e);
    bs_doc_release(&made);
    return r;
}

static bool
is_partial(const struct bs_doc *end)
{
    const char *status = end != NULL ? bs_doc_meta(end, "bs.status") : NULL;

    return status != NULL && strcmp(status, "ok") != 0;
}

/* End a new segment; `parents` carries bs.parents or nothing. */
static int
put_end(struct bs_lineage *l, struct bs_doc *parents, bool partial,
        struct bs_err *e)
{
    int r = bs_doc_set(parents, "bs.status", partial ? "partial" : "ok", e);

    return r < 0 ? r : l->sink->class->end(l->sink, parents, e);
}

int
bs_lineage_end(struct bs_lineage *l, const struct bs_kept *head,
               const struct bs_doc *end, uint64_t hash, bool partial,
               struct bs_err *e)
{
    struct bs_doc made = {0};
    bool named = l->options.provenance;
    int r = 0;

    l->inside = l->options.merge;
    if (!l->options.changed && !l->options.merge)
        return copy_end(l, end, partial, e);
    partial = partial || is_partial(end);
    if (l->options.merge) {
        l->partial = l->partial || partial;
        return named ? bs_stream_parent(&l->parents, &head->doc, hash, e) : 0;
    }
    if (named && hash != 0)
        r = bs_doc_set(&made, "bs.parents", l->options.others, e);
    if (r == 0 && named && hash != 0)
        r = bs_stream_parent(&made, &head->doc, hash, e);
    if (r == 0)
        r = put_end(l, &made, partial, e);
    bs_doc_release(&made);
    return r;
}

int
bs_lineage_finish(struct bs_lineage *l, struct bs_err *e)
{
    if (!l->inside)
        return 0;
    l->inside = false;
    return put_end(l, &l->parents, l->partial, e);
}

void
bs_lineage_spoil(struct bs_lineage *l)
{
    struct bs_doc head = {0};
    struct bs_err e = {0};

    /* a head without an end, unless there is one already */
    if (l->begun && !l->inside &&
        bs_doc_set(&head, "bs.kind", "failed", &e) == 0 &&
        l->sink->class->head(l->sink, &head, &e) < 0)
        l->begun = false; /* the sink has failed, too */
    bs_doc_release(&head);
}

void
bs_lineage_release(struct bs_lineage *l)
{
    bs_kept_release(&l->head);
    bs_doc_release(&l->parents);
}
