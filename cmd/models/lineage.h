/*
 * lineage.h - the heads and ends around records that are passed on: a copy's
 * stay as they are, those of a new set of records name what they came from.
 *
 * A new head keeps what describes the records (bs.kind, bs.model, ...), says
 * bs.tool and bs.params anew, and has the old head among its bs.parents.  In a
 * merge there is one head for all segments, which must describe the same.
 */
#ifndef BS_MODELS_LINEAGE_H
#define BS_MODELS_LINEAGE_H

#include "cmd/models/sink.h"
#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"
#include "formats/doc.h"

/* A head that outlives its lender. */
struct bs_kept {
    struct bs_buf bytes;
    struct bs_doc doc;
};
int bs_keep(struct bs_kept *k, const uint8_t *bytes, size_t len,
            struct bs_err *e) BS_CHECKED;
void bs_kept_release(struct bs_kept *k);

struct bs_lineage_options {
    bool changed;       /* the records are a new set, or new */
    bool merge;         /* all segments become one */
    bool provenance;    /* false: of bs.tool and the like nothing */
    const char *tool;   /* of new heads */
    const char *params; /* canonical JSON */
    /* bs.parents of every segment besides the one it came from, or NULL */
    const char *others;
};

struct bs_lineage {
    struct bs_lineage_options options; /* private, as is all of it */
    struct bs_sink *sink;
    struct bs_kept head;   /* of the segment; of the first in a merge */
    struct bs_doc parents; /* of a merge, with their ids */
    bool begun;            /* something was given to the sink */
    bool inside;           /* and it waits for an end */
    bool partial;
};

/* A segment of the input begins; hash 0: it has not been read yet. */
int bs_lineage_begin(struct bs_lineage *l, const struct bs_kept *head,
                     uint64_t hash, struct bs_err *e) BS_CHECKED;
/* It ends: `end` as it was read, or NULL where it was not read to its end;
 * partial: for a reason of our own. */
int bs_lineage_end(struct bs_lineage *l, const struct bs_kept *head,
                   const struct bs_doc *end, uint64_t hash, bool partial,
                   struct bs_err *e) BS_CHECKED;
/* There is no more input: a merge ends here. */
int bs_lineage_finish(struct bs_lineage *l, struct bs_err *e) BS_CHECKED;
/* After a failure: what was written must not look whole, or the next stage
 * would take the segments that had ended for all there is. */
void bs_lineage_spoil(struct bs_lineage *l);
void bs_lineage_release(struct bs_lineage *l);

#endif
