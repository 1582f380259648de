/*
 * embed_run.c - see embed_run.h.
 */
#include "cmd/models/embed_run.h"

#include "common/stop.h"

static int
copy_error(struct bs_err *e, const struct bs_err *from)
{
    *e = *from;
    return -e->code;
}

static int
start_segment(struct bs_embed_run *run, const struct bs_source *in,
              const struct bs_doc *head, struct bs_err *e)
{
    const char *kind = bs_doc_meta(head, "bs.kind");
    struct bs_doc ours = {0};
    size_t i;
    int r = 0;

    if (kind != NULL && strcmp(kind, "image") != 0)
        return bs_err_set(e, BS_EX_DATA,
                          "'%s' holds records of kind '%s', not 'image'",
                          bs_source_name(in), kind);
    bs_embed_stats_reset(run->embed);
    bs_doc_release(&run->parent);
    for (i = 0; i < head->metas && r == 0; i++)
        r = bs_doc_set(&run->parent, head->meta[i].name, head->meta[i].value,
                       e);
    run->head(run->arg, &ours, head);
    if (r == 0 && run->provenance)
        r = bs_doc_set(&ours, "bs.model", bs_embed_model(run->embed), e);
    if (r == 0 && bs_writer_head(run->writer, &ours) < 0)
        r = copy_error(e, bs_writer_error(run->writer));
    run->open = r == 0;
    bs_doc_release(&ours);
    return r;
}

/* The counters of the segment, as the end's bs.stats. */
static int
set_stats(struct bs_doc *end, const struct bs_embed_stats *stats,
          struct bs_err *e)
{
    struct bs_buf json = {0};
    int r = bs_embed_stats_json(stats, &json, e);

    if (r == 0)
        r = bs_buf_add(&json, "", 1, e);
    if (r == 0)
        r = bs_doc_set(end, "bs.stats", (const char *)json.data, e);
    bs_buf_release(&json);
    return r;
}

/* parent: content id of the input's segment, 0 where its end was not read. */
static int
end_segment(struct bs_embed_run *run, const char *status, uint64_t parent,
            struct bs_err *e)
{
    const struct bs_embed_stats *stats = bs_embed_stats(run->embed);
    struct bs_doc end = {0};
    int r;

    run->open = false;
    run->overflows += stats->overflows;
    if (stats->images == 0 && bs_embed_skips(stats) > 0 && !run->stopped)
        return bs_err_set(e, BS_EX_DATA,
                          "no image in any of %ju records could be read",
                          (uintmax_t)bs_embed_skips(stats));
    r = set_stats(&end, stats, e);
    if (r == 0)
        r = bs_doc_set(&end, "bs.status", status, e);
    if (r == 0 && run->provenance && parent != 0)
        r = bs_stream_parent(&end, &run->parent, parent, e);
    if (r == 0 && bs_writer_end(run->writer, &end, NULL) < 0)
        r = copy_error(e, bs_writer_error(run->writer));
    bs_doc_release(&end);
    return r;
}

/* Finish what was put, and the segment. */
static int
flush(struct bs_embed_run *run, const char *status, uint64_t parent,
      struct bs_err *e)
{
    if (bs_embed_flush(run->embed) < 0)
        return copy_error(e, bs_embed_error(run->embed));
    return end_segment(run, status, parent, e);
}

/* Asked to end early: what waits is dropped, and the end says so. */
static int
stop(struct bs_embed_run *run, struct bs_err *e)
{
    run->stopped = true;
    return run->open ? end_segment(run, "partial", 0, e) : 0;
}

/* 1 to go on, 0 when the run is over. */
static int
take_record(struct bs_embed_run *run, const struct bs_doc *rec,
            struct bs_err *e)
{
    if (bs_stop_wanted())
        return stop(run, e);
    if (!run->wanted(run->arg, bs_doc_meta(rec, "key")))
        return 1;
    if (run->taken < run->limit) {
        run->taken++;
        if (bs_embed_put(run->embed, rec) < 0)
            return copy_error(e, bs_embed_error(run->embed));
    }
    return run->taken < run->limit ? 1 : flush(run, "ok", 0, e);
}

static int
take_item(struct bs_embed_run *run, struct bs_source *in, int item,
          const struct bs_doc *doc, struct bs_err *e)
{
    int r;

    switch (item) {
    case BS_ITEM_HEAD:
        r = start_segment(run, in, doc, e);
        break;
    case BS_ITEM_RECORD:
        return take_record(run, doc, e);
    case BS_ITEM_END:
        r = flush(run, bs_doc_meta(doc, "bs.status"), bs_source_hash(in), e);
        break;
    default:
        return stop(run, e);
    }
    return r < 0 ? r : 1;
}

int
bs_embed_source(struct bs_embed_run *run, struct bs_source *in,
                struct bs_err *e)
{
    const struct bs_doc *doc;
    int item, r = 1;

    while (r > 0 && (item = bs_source_next(in, &doc)) != BS_ITEM_EOF) {
        if (item < 0) {
            (void)copy_error(e, bs_source_error(in));
            return bs_err_prefix(e, "cannot read '%s'", bs_source_name(in));
        }
        r = take_item(run, in, item, doc, e);
    }
    return r;
}

void
bs_embed_run_release(struct bs_embed_run *run)
{
    bs_doc_release(&run->parent);
}
