/*
 * stream_read.c - see stream.h.  One thread reads and decompresses whole frames
 * into a ring; the caller's thread takes the documents out of them and holds
 * them against the rules of bs-stream(5).
 *
 * Memory: the frames in the ring, and one compressed frame.
 */
#include "formats/stream.h"

#include "common/io.h"
#include "formats/digest.h"
#include "formats/doc_own.h"
#include "formats/frame.h"
#include "formats/frame_source.h"

#define FRAME_MAX ((size_t)1 << 30)
/* What bs_writer may put together into one frame without a large record. */
#define FRAME_LEAST ((size_t)4 << 20)

/* Where a segment stands between two documents. */
enum state { START, OPEN, CLOSED };

struct bs_reader {
    const char *name;
    unsigned flags;
    struct bs_frame_source *source;
    const struct bs_buf *frame; /* being taken apart, or NULL */
    size_t at;                  /* the next document in it */
    enum state state;
    uint64_t segments, records, hash;
    struct bs_xxh64 sum;
    struct bs_doc doc;
    struct bs_buf aligned; /* a copy of a document that is not */
    const uint8_t *bytes;  /* the document lent last */
    size_t len;
    struct bs_err err;
};

int
bs_reader_open_after(struct bs_reader **out, int fd, const char *name,
                     unsigned flags, size_t max_frame, const void *seen,
                     size_t len, struct bs_err *e)
{
    struct bs_reader *r = bs_alloc_array(1, sizeof *r);
    int status;

    *out = NULL;
    if (r == NULL)
        return bs_err_memory(e, "reader", sizeof *r);
    r->name = name;
    r->flags = flags;
    max_frame = max_frame == 0            ? FRAME_MAX
                : max_frame < FRAME_LEAST ? FRAME_LEAST
                                          : max_frame;
    status = bs_frame_source_open(&r->source, fd, max_frame, seen, len, e);
    if (status < 0) {
        bs_reader_close(r);
        return status;
    }
    *out = r;
    return 0;
}

int
bs_reader_open(struct bs_reader **out, int fd, const char *name, unsigned flags,
               size_t max_frame, struct bs_err *e)
{
    return bs_reader_open_after(out, fd, name, flags, max_frame, NULL, 0, e);
}

void
bs_reader_close(struct bs_reader *r)
{
    if (r == NULL)
        return;
    bs_frame_source_close(r->source);
    bs_doc_release(&r->doc);
    bs_buf_release(&r->aligned);
    bs_free(r);
}

/* ---- errors -------------------------------------------------------------- */

/* Say which segment, where there is more than one. */
static int
in_segment(struct bs_reader *r)
{
    uint64_t segment = r->segments + (r->state != OPEN);

    if (segment > 1)
        bs_err_prefix(&r->err, "segment %llu", (unsigned long long)segment);
    return -r->err.code;
}

/* Put the place of the document that was to come before the message. */
static int
placed(struct bs_reader *r)
{
    if (r->state == OPEN)
        bs_err_prefix(&r->err, "record %llu",
                      (unsigned long long)r->records + 1);
    else
        bs_err_prefix(&r->err, "head");
    return in_segment(r);
}

static int
bad(struct bs_reader *r, const char *what)
{
    bs_err_set(&r->err, BS_EX_DATA, "%s", what);
    return placed(r);
}

/* What is wrong with all that came so far: "WHAT after N records". */
static int
bad_after(struct bs_reader *r, enum bs_exit code, const char *what)
{
    bs_err_set(&r->err, code, "%s after %llu record%s", what,
               (unsigned long long)r->records, r->records == 1 ? "" : "s");
    return in_segment(r);
}

static int
truncated(struct bs_reader *r)
{
    return r->state == OPEN ? bad_after(r, BS_EX_DATA, "truncated")
                            : bad(r, "truncated");
}

static int
alien(struct bs_reader *r)
{
    const char *like = bs_frame_source_looks_like(r->source);

    if (r->state == CLOSED)
        return bs_err_set(&r->err, BS_EX_DATA,
                          "trailing garbage after the end");
    if (r->state == OPEN)
        return bad(r, "damaged: no frame where one must start");
    if (like == NULL)
        return bs_err_set(&r->err, BS_EX_DATA, "not a bs stream");
    return bs_err_set(&r->err, BS_EX_DATA, "not a bs stream (%s?)", like);
}

/* ---- frames -------------------------------------------------------------- */

/* No frame will come: is this where a stream may end? */
static int
at_end(struct bs_reader *r)
{
    switch (bs_frame_source_why(r->source, &r->err)) {
    case BS_SOURCE_EOF:
        if (r->state == CLOSED)
            return BS_ITEM_EOF;
        if (r->state == START)
            return bs_err_set(&r->err, BS_EX_DATA, "empty input: no head");
        return truncated(r);
    case BS_SOURCE_CUT:
        return truncated(r);
    case BS_SOURCE_ALIEN:
        return alien(r);
    case BS_SOURCE_FAILED:
        return r->err.code == BS_EX_DATA ? placed(r) : -r->err.code;
    }
    return bs_err_set(&r->err, BS_EX_SOFTWARE, "reader without an end");
}

/*
 * Make the next document's bytes the start of what is left of r->frame:
 * BS_ITEM_RECORD (whatever it is) if there are some, BS_ITEM_EOF at the end of
 * the input, BS_ITEM_STOP, or < 0.
 */
static int
next_bytes(struct bs_reader *r)
{
    while (r->frame == NULL || r->at == r->frame->len) {
        if (r->frame != NULL)
            bs_frame_source_drained(r->source);
        r->at = 0;
        r->frame = NULL;
        if ((r->flags & BS_READER_STOP) && !bs_frame_source_wait(r->source))
            return BS_ITEM_STOP;
        r->frame = bs_frame_source_drain(r->source);
        if (r->frame == NULL)
            return at_end(r);
    }
    return BS_ITEM_RECORD;
}

/* ---- documents ----------------------------------------------------------- */

/* Tensors want aligned memory, and documents follow each other closely. */
static int
align(struct bs_reader *r)
{
    int status;

    if (r->doc.tensors == 0 || (uintptr_t)r->bytes % BS_ALIGN == 0)
        return 0;
    r->aligned.len = 0;
    status = bs_buf_add(&r->aligned, r->bytes, r->len, &r->err);
    if (status < 0)
        return status;
    bs_doc_place(&r->doc,
                 r->aligned.data +
                     ((const uint8_t *)r->doc.tensor[0].data - r->bytes));
    r->bytes = r->aligned.data;
    return 0;
}

static int
parse(struct bs_reader *r)
{
    const struct bs_doc_limits *limits =
        r->state == OPEN ? &bs_doc_limits_record : &bs_doc_limits_head;

    bs_doc_release(&r->doc);
    r->bytes = r->frame->data + r->at;
    if (bs_doc_parse_prefix(&r->doc, r->bytes, r->frame->len - r->at, &r->len,
                            limits, &r->err) < 0)
        return placed(r);
    r->at += r->len;
    return align(r);
}

static int
take_head(struct bs_reader *r, const char *version)
{
    const char *kind = bs_doc_meta(&r->doc, "bs.kind");

    if (r->state == OPEN)
        return bad_after(r, BS_EX_DATA, "another head, not the end,");
    if (strcmp(version, BS_STREAM_VERSION) != 0) {
        bs_err_set(
            &r->err, BS_EX_DATA,
            "stream version '%.20s', this program reads " BS_STREAM_VERSION,
            version);
        return placed(r);
    }
    if (kind == NULL || *kind == '\0')
        return bad(r, "no bs.kind");
    r->state = OPEN;
    r->segments++;
    r->records = 0;
    bs_xxh64_init(&r->sum, 0);
    bs_xxh64_add(&r->sum, r->bytes, r->len);
    return BS_ITEM_HEAD;
}

static int
take_record(struct bs_reader *r, const char *key)
{
    if (r->state != OPEN)
        return bad(r, "a record before the head");
    if (!bs_key_valid(key)) {
        bs_err_set(&r->err, BS_EX_DATA, "invalid key '%.200s'", key);
        return placed(r);
    }
    r->records++;
    bs_xxh64_add(&r->sum, r->bytes, r->len);
    return BS_ITEM_RECORD;
}

/* Count and hash that the end claims, against what came. */
static int
check_end(struct bs_reader *r)
{
    const char *count = bs_doc_meta(&r->doc, "bs.records");
    const char *hash = bs_doc_meta(&r->doc, "bs.hash");
    char came[24], sum[BS_HEX64_SIZE];

    if (count == NULL || hash == NULL)
        return bad_after(r, BS_EX_DATA, "end without count or hash");
    r->hash = bs_xxh64_value(&r->sum);
    bs_hex64(r->hash, sum);
    snprintf(came, sizeof came, "%llu", (unsigned long long)r->records);
    if (strcmp(count, came) != 0)
        return bad_after(r, BS_EX_DATA, "end with another count");
    if (strcmp(hash, sum) != 0)
        return bad_after(r, BS_EX_DATA, "end with another content hash");
    return 0;
}

static int
take_end(struct bs_reader *r)
{
    const char *status = bs_doc_meta(&r->doc, "bs.status");
    bool partial = status != NULL && strcmp(status, "partial") == 0;

    if (r->state != OPEN)
        return bad(r, "an end before the head");
    if (check_end(r) < 0)
        return -r->err.code;
    if (!partial && (status == NULL || strcmp(status, "ok") != 0))
        return bad_after(r, BS_EX_DATA, "end without a valid bs.status");
    if (partial && !(r->flags & BS_READER_PARTIAL))
        return bad_after(r, BS_EX_TEMPFAIL, "partial: ended early");
    r->state = CLOSED;
    return BS_ITEM_END;
}

/* What is it? */
static int
take(struct bs_reader *r)
{
    const char *version = bs_doc_meta(&r->doc, "bs.stream");
    const char *end = bs_doc_meta(&r->doc, "bs.end");
    const char *key = bs_doc_meta(&r->doc, "key");

    if ((version != NULL) + (end != NULL) + (key != NULL) > 1)
        return bad(r, "more than one of bs.stream, bs.end and key");
    if (version != NULL)
        return take_head(r, version);
    if (end != NULL)
        return take_end(r);
    if (key != NULL)
        return take_record(r, key);
    return bad(r, "neither bs.stream nor bs.end nor key");
}

int
bs_reader_next(struct bs_reader *r, const struct bs_doc **doc)
{
    int status;

    *doc = NULL;
    if (r->err.code != 0)
        return -r->err.code;
    r->len = 0;
    status = next_bytes(r);
    if (status != BS_ITEM_RECORD)
        return status;
    status = parse(r);
    if (status == 0)
        status = take(r);
    if (status > 0)
        *doc = &r->doc;
    return status;
}

/* ---- what was read ------------------------------------------------------- */

uint64_t
bs_reader_records(const struct bs_reader *r)
{
    return r->records;
}

uint64_t
bs_reader_hash(const struct bs_reader *r)
{
    return r->hash;
}

const uint8_t *
bs_reader_bytes(const struct bs_reader *r, size_t *len)
{
    *len = r->len;
    return r->bytes;
}

const struct bs_err *
bs_reader_error(const struct bs_reader *r)
{
    return &r->err;
}

const char *
bs_reader_name(const struct bs_reader *r)
{
    return r->name;
}
