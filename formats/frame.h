/*
 * frame.h - zstd frames as bs-stream(5) wants them: whole, with content size
 * and checksum, no dictionary, a window of at most 8 MiB.
 *
 * A frame is walked block by block first, which tells how long it is and how
 * much it can hold; only then memory is taken for its content.
 */
#ifndef BS_FORMATS_FRAME_H
#define BS_FORMATS_FRAME_H

#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"

/* ---- reading ------------------------------------------------------------- */

/* Where the walk over a frame stands.  Zero-initialised: before it. */
struct bs_frame {
    size_t at;      /* bytes walked; of a whole frame: its length */
    size_t need;    /* bytes that the next step wants to see */
    size_t content; /* decompressed length */
    size_t skip;    /* of a skippable frame: bytes that follow, to be skipped */
    bool skippable;
    bool last;      /* the last block was seen */
    uint64_t holds; /* what the blocks can hold at most */
};

enum bs_frame_found {
    BS_FRAME_SHORT = 0, /* more bytes are needed: call again with need */
    BS_FRAME_WHOLE = 1,
    BS_FRAME_ALIEN = 2 /* this is no zstd frame */
};

/* Walk on over the frame at the start of data, of which len bytes are there:
 * an enum bs_frame_found, or < 0.  Content beyond max_content is refused. */
int bs_frame_walk(struct bs_frame *f, const uint8_t *data, size_t len,
                  size_t max_content, struct bs_err *e) BS_CHECKED;

struct bs_unpacker;
int bs_unpacker_open(struct bs_unpacker **out, struct bs_err *e) BS_CHECKED;
/* Decompress the walked frame into `content`, which it replaces. */
int bs_frame_unpack(struct bs_unpacker *u, const struct bs_frame *f,
                    const uint8_t *data, struct bs_buf *content,
                    struct bs_err *e) BS_CHECKED;
void bs_unpacker_close(struct bs_unpacker *u);

/* ---- writing ------------------------------------------------------------- */

enum { BS_LEVEL_STORED = 0 };

struct bs_packer;
int bs_packer_open(struct bs_packer **out, struct bs_err *e) BS_CHECKED;
/*
 * Write len bytes as one frame.  BS_LEVEL_STORED copies them into raw blocks;
 * other levels are zstd's.
 */
int bs_frame_write(struct bs_packer *p, int fd, int level, const uint8_t *data,
                   size_t len, struct bs_err *e) BS_CHECKED;
void bs_packer_close(struct bs_packer *p);

/* The levels that bs_frame_write takes. */
bool bs_frame_level_valid(int level);

#endif
