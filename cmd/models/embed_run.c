/*
 * embed_run.c - see embed_run.h.
 */
#include "cmd/models/embed_run.h"

static int
failed(const struct bs_embed *em, struct bs_err *e)
{
    *e = *bs_embed_error(em);
    return -e->code;
}

static int
begin(void *arg, const struct bs_doc *head, struct bs_err *e)
{
    struct bs_embed_run *run = arg;

    (void)head;
    (void)e;
    bs_embed_stats_reset(run->embed);
    return 0;
}

static int
fill_head(void *arg, struct bs_doc *ours, struct bs_err *e)
{
    struct bs_embed_run *run = arg;

    return run->provenance
               ? bs_doc_set(ours, "bs.model", bs_embed_model(run->embed), e)
               : 0;
}

static int
put(void *arg, const struct bs_doc *rec, struct bs_err *e)
{
    struct bs_embed_run *run = arg;

    return bs_embed_put(run->embed, rec) < 0 ? failed(run->embed, e) : 0;
}

static int
flush(void *arg, struct bs_err *e)
{
    struct bs_embed_run *run = arg;

    return bs_embed_flush(run->embed) < 0 ? failed(run->embed, e) : 0;
}

static int
stats(void *arg, struct bs_buf *json, bool stopped, struct bs_err *e)
{
    struct bs_embed_run *run = arg;
    const struct bs_embed_stats *counts = bs_embed_stats(run->embed);

    run->overflows += counts->overflows;
    if (counts->images == 0 && bs_embed_skips(counts) > 0 && !stopped)
        return bs_err_set(e, BS_EX_DATA,
                          "no image in any of %ju records could be read",
                          (uintmax_t)bs_embed_skips(counts));
    return bs_embed_stats_json(counts, json, e);
}

struct bs_stage
bs_embed_stage(struct bs_embed_run *run)
{
    return (struct bs_stage){"image", begin, fill_head, put, flush, stats, run};
}
