/*
 * embed_run.h - sources of images into a stream of features.
 *
 * Each segment of the input becomes one of the output: its head names the
 * input's, its end carries the counters of bs_embed_stats and, where the
 * input's end was read, its content id.
 */
#ifndef BS_MODELS_EMBED_RUN_H
#define BS_MODELS_EMBED_RUN_H

#include "cmd/models/embed.h"
#include "cmd/models/source.h"
#include "common/bs.h"
#include "common/err.h"
#include "formats/stream.h"

struct bs_embed_run {
    struct bs_embed *embed; /* whose sink writes to `writer` */
    struct bs_writer *writer;
    uint64_t limit; /* records to take */
    bool provenance;
    /* Fill the head of a segment; whether a record is wanted. */
    void (*head)(void *arg, struct bs_doc *head, const struct bs_doc *parent);
    bool (*wanted)(void *arg, const char *key);
    void *arg;
    /* Kept by the run; zero at the start. */
    uint64_t taken, overflows;
    bool open;            /* within a segment */
    bool stopped;         /* ended early */
    struct bs_doc parent; /* head of the input's segment */
};

/*
 * Embed all segments of `in`.  Returns 1 to go on with the next source, 0 when
 * the limit is reached or bs_stop_wanted (what waits is then dropped), or < 0;
 * an error of the writer is also in bs_writer_error.  A segment whose records
 * are all skipped is -BS_EX_DATA.
 */
int bs_embed_source(struct bs_embed_run *run, struct bs_source *in,
                    struct bs_err *e) BS_CHECKED;
void bs_embed_run_release(struct bs_embed_run *run);

#endif
