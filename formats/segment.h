/*
 * segment.h - records from anywhere in the form that a stream gives them.
 *
 * What was made by hand (from a tar, an npy file, ...) is written as its
 * canonical bytes and parsed back: so it meets the limits of bs-stream(5), its
 * data is aligned, and the segment gets the content id that it would have as a
 * stream.
 *
 * Ownership: what is lent is valid until the next call.
 */
#ifndef BS_FORMATS_SEGMENT_H
#define BS_FORMATS_SEGMENT_H

#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"
#include "formats/digest.h"
#include "formats/doc.h"

/* Zero-initialised means: nothing begun. */
struct bs_segment {
    struct bs_buf bytes; /* of the document lent last */
    struct bs_doc doc;   /* parsed from them */
    struct bs_xxh64 hash;
    uint64_t records;
};

/* Begin: the head is `from` with bs.stream set. */
int bs_segment_head(struct bs_segment *s, const struct bs_doc *from,
                    const struct bs_doc **doc, struct bs_err *e) BS_CHECKED;

/* A record, whose key must be valid. */
int bs_segment_record(struct bs_segment *s, const struct bs_doc *from,
                      const struct bs_doc **doc, struct bs_err *e) BS_CHECKED;

/*
 * End.  `from` (NULL for none) may carry bs.status, bs.stats and bs.parents;
 * where it says bs.records or bs.hash, they must be right (65).
 */
int bs_segment_end(struct bs_segment *s, const struct bs_doc *from,
                   const struct bs_doc **doc, struct bs_err *e) BS_CHECKED;

void bs_segment_release(struct bs_segment *s);

/* *to, which is empty, becomes a copy of `from` that borrows its tensors. */
int bs_doc_copy(struct bs_doc *to, const struct bs_doc *from,
                struct bs_err *e) BS_CHECKED;

#endif
