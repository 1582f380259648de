/*
 * frame_source.h - a thread that reads a descriptor and decompresses frames
 * ahead of its user.
 *
 * Ownership: the descriptor stays the caller's; what drain lends is valid until
 * drained.
 */
#ifndef BS_FORMATS_FRAME_SOURCE_H
#define BS_FORMATS_FRAME_SOURCE_H

#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"

struct bs_frame_source;

/* Why no more frames come. */
enum bs_source_end {
    BS_SOURCE_EOF,   /* the input ended behind a frame */
    BS_SOURCE_CUT,   /* ... inside one */
    BS_SOURCE_ALIEN, /* what follows is no frame */
    BS_SOURCE_FAILED /* reading or decompressing failed: see the error */
};

/* `seen`: len bytes that the caller has already read from fd. */
int bs_frame_source_open(struct bs_frame_source **out, int fd, size_t max_frame,
                         const void *seen, size_t len,
                         struct bs_err *e) BS_CHECKED;

/* True once drain would not wait; false if bs_stop_wanted() comes first. */
bool bs_frame_source_wait(struct bs_frame_source *s);
/* Content of the next frame, verified; NULL when none will come. */
const struct bs_buf *bs_frame_source_drain(struct bs_frame_source *s);
void bs_frame_source_drained(struct bs_frame_source *s);

/* After NULL. */
enum bs_source_end bs_frame_source_why(const struct bs_frame_source *s,
                                       struct bs_err *e);
/* After BS_SOURCE_ALIEN: what the bytes look like, or NULL. */
const char *bs_frame_source_looks_like(const struct bs_frame_source *s);

/* Ends the thread even where it waits for input that does not come. */
void bs_frame_source_close(struct bs_frame_source *s);

#endif
