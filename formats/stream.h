/*
 * stream.h - the bs stream of bs-stream(5): read and write.
 *
 * A stream is zstd frames around safetensors documents: one or more segments of
 * a head, records and an end that proves count and content.  A reader thread
 * decompresses ahead; a writer thread compresses and writes behind.
 *
 * Ownership: what bs_reader_next lends is valid until the next call; names are
 * the caller's and must outlive the reader or writer.
 */
#ifndef BS_FORMATS_STREAM_H
#define BS_FORMATS_STREAM_H

#include "common/bs.h"
#include "common/err.h"
#include "formats/doc.h"

#define BS_STREAM_VERSION "1"

enum {
    BS_KEY_MAX = 200,
    BS_FRAME_BYTES = 1 << 20, /* a frame is closed when it reaches this */
    BS_FRAME_RECORDS = 32,    /* or holds this many records */
    BS_LEVEL_AUTO = -1000000  /* stored for images and features, else 1 */
};

/* ---- reading ------------------------------------------------------------- */

struct bs_reader;

enum bs_item {
    BS_ITEM_EOF = 0,    /* the proven end of the last segment */
    BS_ITEM_HEAD = 1,   /* a segment starts */
    BS_ITEM_RECORD = 2, /* a record */
    BS_ITEM_END = 3,    /* a segment ended: count and hash were right */
    BS_ITEM_STOP = 4    /* nothing: bs_stop_wanted() while waiting for input;
                           only with BS_READER_STOP */
};

enum bs_reader_flags {
    BS_READER_PARTIAL = 1 << 0, /* accept segments of status partial */
    BS_READER_STOP = 1 << 1     /* do not wait for input when asked to stop */
};

/*
 * Read descriptor fd, which stays the caller's; `name` is for messages.
 * max_frame bounds the memory of one frame (0: 1 GiB; at least 4 MiB), so that
 * any record of up to max_frame bytes is taken.
 */
int bs_reader_open(struct bs_reader **out, int fd, const char *name,
                   unsigned flags, size_t max_frame,
                   struct bs_err *e) BS_CHECKED;

/* The same where `len` bytes were already read from fd, to look at them: they
 * are copied and come first. */
int bs_reader_open_after(struct bs_reader **out, int fd, const char *name,
                         unsigned flags, size_t max_frame, const void *seen,
                         size_t len, struct bs_err *e) BS_CHECKED;

/*
 * The next document: an enum bs_item with *doc lent, or < 0.  Errors read
 * "record 12: checksum mismatch": the command puts "cannot read 'NAME': "
 * before it.  A segment whose end says partial is, without BS_READER_PARTIAL,
 * -BS_EX_TEMPFAIL.  After an error the same error comes again.  Tensor data is
 * aligned to BS_ALIGN where the first tensor starts, and to the element's size
 * everywhere.
 */
int bs_reader_next(struct bs_reader *r, const struct bs_doc **doc) BS_CHECKED;

/* Of the segment being read or, after its end, just read: */
uint64_t bs_reader_records(const struct bs_reader *r); /* so far */
uint64_t bs_reader_hash(const struct bs_reader *r);    /* after BS_ITEM_END */
/* The raw bytes of the document lent last, for copying it unchanged. */
const uint8_t *bs_reader_bytes(const struct bs_reader *r, size_t *len);
const struct bs_err *bs_reader_error(const struct bs_reader *r);
const char *bs_reader_name(const struct bs_reader *r);
void bs_reader_close(struct bs_reader *r);

/* ---- writing ------------------------------------------------------------- */

struct bs_writer;

/* Write to descriptor fd, which stays the caller's.  level: of zstd, 0 for
 * stored, or BS_LEVEL_AUTO; one that zstd does not have is -BS_EX_USAGE. */
int bs_writer_open(struct bs_writer **out, int fd, const char *name, int level,
                   struct bs_err *e) BS_CHECKED;

/*
 * Start a segment.  `head` carries bs.kind and what else the command wants to
 * say; bs.stream is set here.  Flushed at once, so that the next stage sees it
 * before the first record.
 */
int bs_writer_head(struct bs_writer *w, struct bs_doc *head) BS_CHECKED;

/* Append a record; `key` must be in its metadata.  Copied before it returns. */
int bs_writer_record(struct bs_writer *w, const struct bs_doc *rec) BS_CHECKED;
/* The same for a record's bytes as bs_reader_bytes lent them. */
int bs_writer_raw(struct bs_writer *w, const uint8_t *bytes,
                  size_t len) BS_CHECKED;

/*
 * End the segment.  `end` may carry bs.status ("ok" where absent, or
 * "partial"), bs.stats and bs.parents; NULL for none of them; the rest is set
 * here.  *hash, if not NULL, receives the segment's content id.
 */
int bs_writer_end(struct bs_writer *w, struct bs_doc *end,
                  uint64_t *hash) BS_CHECKED;

/* Errors of writing read "No space left on device": the command puts "cannot
 * write 'NAME': " before it. */
const struct bs_err *bs_writer_error(const struct bs_writer *w);
const char *bs_writer_name(const struct bs_writer *w);

/*
 * Wait until everything is written and free the writer: 0, or the error, which
 * is then also in *e.  A segment without an end stays without: the next stage
 * will refuse it.
 */
int bs_writer_close(struct bs_writer *w, struct bs_err *e) BS_CHECKED;

/* ---- provenance --------------------------------------------------------- */

/*
 * Add to `head` the entry of `parent` (the head of an input segment, with its
 * content id where it is known: 0 for none) in "bs.parents", nested at most 8
 * deep and 256 KiB long; what is deeper or longer is folded to content ids.
 * A head that is written before its input has ended names the parent without
 * an id; then the end of the segment carries "bs.parents" with the ids.
 */
int bs_stream_parent(struct bs_doc *head, const struct bs_doc *parent,
                     uint64_t hash, struct bs_err *e) BS_CHECKED;

#endif
