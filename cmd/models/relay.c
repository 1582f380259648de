/*
 * relay.c - see relay.h.
 */
#include "cmd/models/relay.h"

#include "common/stop.h"

static int
copy_error(struct bs_err *e, const struct bs_err *from)
{
    *e = *from;
    return -e->code;
}

int
bs_relay_metadata(struct bs_doc *to, const struct bs_doc *from,
                  struct bs_err *e)
{
    size_t i;
    int r = 0;

    for (i = 0; i < from->metas && r == 0; i++)
        if (strncmp(from->meta[i].name, "bs.", 3) != 0)
            r = bs_doc_set(to, from->meta[i].name, from->meta[i].value, e);
    return r;
}

static int
keep_parent(struct bs_relay *relay, const struct bs_doc *head, struct bs_err *e)
{
    size_t i;
    int r = 0;

    bs_doc_release(&relay->parent);
    for (i = 0; i < head->metas && r == 0; i++)
        r = bs_doc_set(&relay->parent, head->meta[i].name, head->meta[i].value,
                       e);
    return r;
}

static int
start_segment(struct bs_relay *relay, const struct bs_source *in,
              const struct bs_doc *head, struct bs_err *e)
{
    const struct bs_stage *stage = relay->stage;
    const char *kind = bs_doc_meta(head, "bs.kind");
    struct bs_doc ours = {0};
    int r;

    if (kind != NULL && stage->kind != NULL && strcmp(kind, stage->kind) != 0)
        return bs_err_set(e, BS_EX_DATA,
                          "'%s' holds records of kind '%s', not '%s'",
                          bs_source_name(in), kind, stage->kind);
    r = keep_parent(relay, head, e);
    if (r == 0)
        r = stage->begin(stage->arg, head, e);
    if (r < 0)
        return bs_err_prefix(e, "'%s'", bs_source_name(in));
    relay->head(relay->command, &ours, head);
    r = stage->head(stage->arg, &ours, e);
    if (r == 0 && bs_writer_head(relay->writer, &ours) < 0)
        r = copy_error(e, bs_writer_error(relay->writer));
    relay->open = r == 0;
    bs_doc_release(&ours);
    return r;
}

static int
set_stats(struct bs_relay *relay, struct bs_doc *end, struct bs_err *e)
{
    struct bs_buf json = {0};
    int r = relay->stage->stats(relay->stage->arg, &json, relay->stopped, e);

    if (r == 0)
        r = bs_buf_add(&json, "", 1, e);
    if (r == 0)
        r = bs_doc_set(end, "bs.stats", (const char *)json.data, e);
    bs_buf_release(&json);
    return r;
}

/* parent: content id of the input's segment, 0 where its end was not read. */
static int
end_segment(struct bs_relay *relay, const char *status, uint64_t parent,
            struct bs_err *e)
{
    struct bs_doc end = {0};
    int r;

    relay->open = false;
    relay->status = status;
    r = set_stats(relay, &end, e);
    if (r == 0)
        r = bs_doc_set(&end, "bs.status", status, e);
    if (r == 0 && relay->provenance && parent != 0)
        r = bs_stream_parent(&end, &relay->parent, parent, e);
    if (r == 0 && bs_writer_end(relay->writer, &end, NULL) < 0)
        r = copy_error(e, bs_writer_error(relay->writer));
    bs_doc_release(&end);
    return r;
}

/* Asked to end early: what waits is dropped, and the end says so. */
static int
stop(struct bs_relay *relay, struct bs_err *e)
{
    relay->stopped = true;
    return relay->open ? end_segment(relay, "partial", 0, e) : 0;
}

/* Finish what was put, and the segment: 1, or 0 where it was dropped instead.
 */
static int
flush(struct bs_relay *relay, const char *status, uint64_t parent,
      struct bs_err *e)
{
    int r = relay->stage->flush(relay->stage->arg, e);

    if (r > 0)
        return stop(relay, e);
    if (r == 0)
        r = end_segment(relay, status, parent, e);
    return r < 0 ? r : 1;
}

/* 1 to go on, 0 when the run is over. */
static int
take_record(struct bs_relay *relay, const struct bs_doc *rec, struct bs_err *e)
{
    const struct bs_stage *stage = relay->stage;

    if (bs_stop_wanted())
        return stop(relay, e);
    if (!relay->wanted(relay->command, bs_doc_meta(rec, "key")))
        return 1;
    if (relay->taken < relay->limit) {
        int r = stage->put(stage->arg, rec, e);

        if (r < 0)
            return r;
        relay->taken++;
    }
    if (relay->taken < relay->limit)
        return 1;
    return flush(relay, "ok", 0, e) < 0 ? -e->code : 0;
}

static int
take_item(struct bs_relay *relay, struct bs_source *in, int item,
          const struct bs_doc *doc, struct bs_err *e)
{
    switch (item) {
    case BS_ITEM_HEAD:
        return start_segment(relay, in, doc, e) < 0 ? -e->code : 1;
    case BS_ITEM_RECORD:
        return take_record(relay, doc, e);
    case BS_ITEM_END:
        return flush(relay, bs_doc_meta(doc, "bs.status"), bs_source_hash(in),
                     e);
    default:
        return stop(relay, e);
    }
}

int
bs_relay_source(struct bs_relay *relay, struct bs_source *in, struct bs_err *e)
{
    const struct bs_doc *doc;
    int item, r = 1;

    while (r > 0 && (item = bs_source_next(in, &doc)) != BS_ITEM_EOF) {
        if (item < 0) {
            (void)copy_error(e, bs_source_error(in));
            return bs_err_prefix(e, "cannot read '%s'", bs_source_name(in));
        }
        r = take_item(relay, in, item, doc, e);
    }
    return r;
}

void
bs_relay_release(struct bs_relay *relay)
{
    bs_doc_release(&relay->parent);
}
