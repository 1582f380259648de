/*
 * relay.h - records in, records out: what filters have in common.
 *
 * Each segment of the input becomes one of the output: its head names the
 * input's, its end carries the counters of the stage and, where the input's end
 * was read, its content id.  What happens to a record is the stage's.
 */
#ifndef BS_MODELS_RELAY_H
#define BS_MODELS_RELAY_H

#include "cmd/models/source.h"
#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"
#include "formats/doc.h"
#include "formats/stream.h"

/* What a filter does; each function 0 or < 0 with the reason in *e.  A stage
 * that dropped what was put, as it was asked to end early, says so when it is
 * to flush: 1. */
struct bs_stage {
    const char *kind; /* of the records that it reads; NULL: any */
    /* A segment begins.  `head`: the input's. */
    int (*begin)(void *arg, const struct bs_doc *head, struct bs_err *e);
    /* Add to the head of the output's segment what it says of the records. */
    int (*head)(void *arg, struct bs_doc *ours, struct bs_err *e);
    int (*put)(void *arg, const struct bs_doc *rec, struct bs_err *e);
    /* Write what was put and is not written yet. */
    int (*flush)(void *arg, struct bs_err *e);
    /* The segment ends: append its counters, a JSON object.  `stopped`: what
     * was put last was dropped. */
    int (*stats)(void *arg, struct bs_buf *json, bool stopped,
                 struct bs_err *e);
    void *arg;
};

struct bs_relay {
    const struct bs_stage *stage;
    struct bs_writer *writer;
    uint64_t limit; /* records to take */
    bool provenance;
    const struct bs_caption_columns *columns; /* of lists; NULL: takes none */
    /* The command's: fill a head (bs_std_head); whether a record is wanted. */
    void (*head)(void *command, struct bs_doc *ours,
                 const struct bs_doc *parent);
    bool (*wanted)(void *command, const char *key);
    void *command;
    /* Kept by the run; zero at the start. */
    uint64_t taken;
    bool open;            /* within a segment */
    bool stopped;         /* ended early */
    const char *status;   /* of the segment that ends; NULL: ok */
    struct bs_doc parent; /* head of the input's segment */
};

/*
 * Pass all segments of `in` on.  Returns 1 to go on with the next source, 0
 * when the limit is reached or bs_stop_wanted (what waits is then dropped), or
 * < 0; an error of the writer is also in bs_writer_error.
 */
int bs_relay_source(struct bs_relay *r, struct bs_source *in,
                    struct bs_err *e) BS_CHECKED;
void bs_relay_release(struct bs_relay *r);

/* Copy the metadata of a record that describes it, not its tensors: all but
 * bs.*. */
int bs_relay_metadata(struct bs_doc *to, const struct bs_doc *from,
                      struct bs_err *e) BS_CHECKED;

#endif
