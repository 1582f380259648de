/*
 * source.c - see source.h.
 *
 * Two layers.  A format gives items as they come: heads and ends only where the
 * input has them (a tar that bs wrote).  Above it, bs_source_next puts a head
 * and an end around records that come without, and gives every document its
 * canonical form.  A stream needs neither and is passed through.
 */
#include "cmd/models/source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/models/arrayfile.h"
#include "cmd/models/caption_list.h"
#include "cmd/models/gather.h"
#include "common/stop.h"
#include "formats/segment.h"
#include "formats/sniff.h"
#include "formats/wds.h"

#define RECORD_MAX ((size_t)1 << 30)
#define PEEK ((size_t)16 << 10) /* of what is compressed */
#define STOP_SLICE 100 /* milliseconds between two looks at the signals */

enum format { STREAM, WEBDATASET, SAFETENSORS, NPY, FOLDER, LIST };

struct bs_source {
    enum format format;
    char *name; /* for messages */
    int fd;
    bool opened; /* fd is ours to close */
    unsigned flags;
    size_t max_record;
    struct bs_buf seen; /* bytes that were taken from fd to tell the format */
    struct bs_err err;

    struct bs_reader *reader; /* STREAM */

    /* the formats */
    struct bs_wds *wds;
    struct bs_gather *gather;
    struct bs_gather_options gather_options; /* which it borrows */
    const char *gather_path;
    struct bs_arrayfile *file; /* SAFETENSORS, NPY */
    struct bs_doc doc;         /* FOLDER: a copy of what was found */
    const struct bs_caption_columns *columns; /* NULL: no LIST */
    struct bs_caption_list *list;
    uint64_t ignored;
    bool exhausted;

    /* the segment around their records */
    struct bs_segment segment;
    bool inside, own_head; /* inside: a segment is open; own_head: made here */
    int held;              /* an item that waits until it may be lent */
    struct bs_doc *held_doc;
    bool holds;
    uint64_t segments;
};

/* ---- opening ---------------------------------------------------------------
 */

/* Look at a regular file without moving in it: *seen bytes of it. */
static int
look(struct bs_source *s, off_t at, size_t *seen, enum bs_sniff *what,
     struct bs_err *e)
{
    ssize_t n;
    int r = bs_buf_reserve(&s->seen, BS_SNIFF_BYTES, e);

    if (r < 0)
        return r;
    do
        n = pread(s->fd, s->seen.data, BS_SNIFF_BYTES, at);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return bs_err_errno(e, BS_EX_IO, "read failed");
    *seen = (size_t)n;
    *what = bs_sniff(s->seen.data, *seen, n < BS_SNIFF_BYTES);
    return 0;
}

/* Wait for something to read.  In slices: a signal that comes just before a
 * wait would not end it. */
static int
wait_input(const struct bs_source *s, struct bs_err *e)
{
    bool heed = (s->flags & BS_READER_STOP) != 0;
    struct pollfd p = {.fd = s->fd, .events = POLLIN};
    int n;

    do {
        if (heed && bs_stop_wanted())
            return bs_err_set(e, BS_EX_TEMPFAIL, "%s before any input",
                              bs_stop_reason());
        n = poll(&p, 1, heed ? STOP_SLICE : -1);
        if (n < 0 && errno != EINTR)
            return bs_err_errno(e, BS_EX_IO, "poll failed");
    } while (n <= 0);
    return 0;
}

/* Take as much of a pipe as it needs to tell, and remember it. */
static int
taste(struct bs_source *s, enum bs_sniff *what, struct bs_err *e)
{
    ssize_t n;
    int r = bs_buf_reserve(&s->seen, BS_SNIFF_BYTES, e);

    *what = BS_SNIFF_MORE;
    while (r == 0 && *what == BS_SNIFF_MORE) {
        r = wait_input(s, e);
        if (r < 0)
            return r;
        n = read(s->fd, s->seen.data + s->seen.len,
                 BS_SNIFF_BYTES - s->seen.len);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            return bs_err_errno(e, BS_EX_IO, "read failed");
        s->seen.len += (size_t)n;
        *what = bs_sniff(s->seen.data, s->seen.len, n == 0);
    }
    return r;
}

static int
open_list(struct bs_source *s, struct bs_plain *plain, struct bs_err *e)
{
    s->format = LIST;
    return bs_caption_list_open(&s->list, plain, s->columns, e);
}

/* Whether compression holds a list that is wanted: 1 or 0. */
static int
holds_list(const struct bs_source *s, struct bs_plain *plain, struct bs_err *e)
{
    const uint8_t *data;
    size_t len;

    if (s->columns == NULL)
        return 0;
    if (bs_plain_peek(plain, PEEK, &data, &len, e) < 0)
        return -e->code;
    return bs_archive_sniff(data, len) == BS_ARCHIVE_NONE &&
           bs_caption_list_sniff(data, len);
}

static int
open_archive(struct bs_source *s, struct bs_err *e)
{
    struct bs_archive *archive;
    struct bs_plain *plain;
    int r = bs_plain_open(&plain, s->fd, s->seen.data, s->seen.len, e);

    if (r < 0)
        return r;
    r = holds_list(s, plain, e);
    if (r > 0)
        return open_list(s, plain, e);
    if (r < 0)
        bs_plain_close(plain);
    else
        r = bs_archive_open(&archive, plain, e);
    if (r == 0)
        r = bs_wds_open(&s->wds, archive, s->max_record, e);
    s->format = WEBDATASET;
    return r;
}

static int
open_file(struct bs_source *s, bool npy, struct bs_err *e)
{
    struct bs_arrayfile_input input = {.fd = s->fd,
                                       .name = s->name,
                                       .seen = s->seen.data,
                                       .seen_len = s->seen.len,
                                       .max_record = s->max_record};

    s->format = npy ? NPY : SAFETENSORS;
    return npy ? bs_npyfile_open(&s->file, &input, e)
               : bs_safetensorsfile_open(&s->file, &input, e);
}

static int
open_folder(struct bs_source *s, const char *path, struct bs_err *e)
{
    s->gather_path = path;
    s->gather_options = (struct bs_gather_options){
        .no_decode = true,
        .allow_cut = (s->flags & BS_READER_PARTIAL) != 0,
    };
    s->format = FOLDER;
    return bs_gather_open(&s->gather, &s->gather_path, 1, &s->gather_options,
                          e);
}

/* Open what the first bytes say. */
static int
open_format(struct bs_source *s, struct bs_err *e)
{
    off_t at = lseek(s->fd, 0, SEEK_CUR);
    enum bs_sniff what = BS_SNIFF_UNKNOWN;
    size_t seen = 0;
    struct stat st;
    int r;

    if (fstat(s->fd, &st) < 0)
        return bs_err_errno(e, BS_EX_IO, "read failed");
    if (S_ISREG(st.st_mode) && at >= 0)
        r = look(s, at, &seen, &what, e);
    else
        r = taste(s, &what, e);
    if (r < 0)
        return r;
    seen = s->seen.len > 0 ? s->seen.len : seen;
    if (what == BS_SNIFF_UNKNOWN && s->columns != NULL &&
        bs_caption_list_sniff(s->seen.data, seen)) {
        struct bs_plain *plain;

        r = bs_plain_open(&plain, s->fd, s->seen.data, s->seen.len, e);
        return r < 0 ? r : open_list(s, plain, e);
    }
    if (what == BS_SNIFF_ARCHIVE)
        return open_archive(s, e);
    if (what == BS_SNIFF_NPY || what == BS_SNIFF_DOCUMENT)
        return open_file(s, what == BS_SNIFF_NPY, e);
    /* the reader of streams says what is wrong with anything else */
    s->format = STREAM;
    return bs_reader_open_after(&s->reader, s->fd, s->name, s->flags,
                                s->max_record, s->seen.data, s->seen.len, e);
}

int
bs_source_open(struct bs_source **out, const char *path, unsigned flags,
               size_t max_record, struct bs_err *e)
{
    return bs_source_open_captions(out, path, flags, max_record, NULL, e);
}

int
bs_source_open_captions(struct bs_source **out, const char *path,
                        unsigned flags, size_t max_record,
                        const struct bs_caption_columns *columns,
                        struct bs_err *e)
{
    struct bs_source *s = bs_alloc_array(1, sizeof *s);
    bool piped = path == NULL || strcmp(path, "-") == 0;
    struct stat st;
    int r = 0;

    *out = NULL;
    if (s == NULL)
        return bs_err_memory(e, "source", sizeof *s);
    s->fd = STDIN_FILENO;
    s->flags = flags;
    s->columns = columns;
    s->max_record = max_record > 0 ? max_record : RECORD_MAX;
    s->name = bs_strdup(piped ? "stdin" : path);
    if (s->name == NULL)
        r = bs_err_memory(e, "source", sizeof *s);
    if (r == 0 && !piped) {
        s->fd = open(path, O_RDONLY | O_CLOEXEC);
        s->opened = s->fd >= 0;
        if (s->fd < 0)
            r = bs_err_errno(e, BS_EX_NOINPUT, "cannot open '%s'", path);
    }
    if (r == 0) {
        if (!piped && fstat(s->fd, &st) == 0 && S_ISDIR(st.st_mode))
            r = open_folder(s, s->name, e);
        else
            r = open_format(s, e);
        if (r < 0)
            r = bs_err_prefix(e, "cannot read '%s'", s->name);
    }
    if (r < 0) {
        bs_source_close(s);
        return r;
    }
    *out = s;
    return 0;
}

void
bs_source_close(struct bs_source *s)
{
    if (s == NULL)
        return;
    bs_reader_close(s->reader);
    bs_wds_close(s->wds);
    bs_gather_close(s->gather);
    bs_arrayfile_close(s->file);
    bs_caption_list_close(s->list);
    bs_segment_release(&s->segment);
    bs_doc_release(&s->doc);
    bs_buf_release(&s->seen);
    if (s->opened)
        close(s->fd);
    bs_free(s->name);
    bs_free(s);
}

/* ---- formats: an enum bs_item, 0 at the end, < 0 ---------------------------
 */

static int
next_folder(struct bs_source *s, struct bs_doc **doc, struct bs_err *e)
{
    const struct bs_found *found;
    int r;

    while ((r = bs_gather_next(s->gather, &found, e)) > 0) {
        if (found->status != BS_GATHER_OK) {
            s->ignored++;
            continue;
        }
        bs_doc_release(&s->doc);
        r = bs_doc_copy(&s->doc, &found->doc, e);
        *doc = &s->doc;
        return r < 0 ? r : BS_ITEM_RECORD;
    }
    return r;
}

static int
next_webdataset(struct bs_source *s, struct bs_doc **doc, struct bs_err *e)
{
    int r = bs_wds_next(s->wds, doc, e);

    s->ignored = bs_wds_ignored(s->wds);
    if (r == BS_ITEM_EOF && s->inside && !bs_wds_ended(s->wds) &&
        (s->flags & BS_READER_PARTIAL) == 0)
        return bs_err_set(e, BS_EX_DATA,
                          "archive without its closing mark: it may be cut");
    return r;
}

static int
next_file(struct bs_source *s, struct bs_doc **doc, struct bs_err *e)
{
    int r = bs_arrayfile_next(s->file, doc, e);

    return r > 0 ? BS_ITEM_RECORD : r;
}

static int
next_list(struct bs_source *s, struct bs_doc **doc, struct bs_err *e)
{
    int r = bs_caption_list_next(s->list, doc, e);

    return r > 0 ? BS_ITEM_RECORD : r;
}

static int
next_item(struct bs_source *s, struct bs_doc **doc, struct bs_err *e)
{
    int r = BS_ITEM_EOF;

    *doc = NULL;
    if (s->exhausted)
        return BS_ITEM_EOF;
    if (s->format == WEBDATASET)
        r = next_webdataset(s, doc, e);
    else if (s->format == FOLDER)
        r = next_folder(s, doc, e);
    else if (s->format == LIST)
        r = next_list(s, doc, e);
    else
        r = next_file(s, doc, e);
    s->exhausted = r == BS_ITEM_EOF;
    return r;
}

/* ---- the segment around them -----------------------------------------------
 */

static const char *
kind_of(const struct bs_doc *rec)
{
    static const char *const images[] = {"jpg", "png", "webp", "rgb"};
    const struct bs_tensor *x = bs_doc_tensor(rec, "x");
    size_t i;

    for (i = 0; i < BS_LEN(images); i++)
        if (bs_doc_tensor(rec, images[i]) != NULL)
            return "image";
    if (bs_doc_tensor(rec, "idx") != NULL && bs_doc_tensor(rec, "val") != NULL)
        return "code";
    if (x != NULL && (x->dtype == BS_DTYPE_F16 || x->dtype == BS_DTYPE_BF16 ||
                      x->dtype == BS_DTYPE_F32 || x->dtype == BS_DTYPE_F64))
        return "feature";
    return "tensor";
}

static int
make_head(struct bs_source *s, const struct bs_doc *first,
          const struct bs_doc **doc, struct bs_err *e)
{
    struct bs_doc head = {0};
    const char *kind = s->format == LIST ? "caption" : kind_of(first);
    int r = bs_doc_set(&head, "bs.kind", kind, e);

    if (r == 0)
        r = bs_doc_set(&head, "bs.source", bs_source_format(s), e);
    if (r == 0)
        r = bs_segment_head(&s->segment, &head, doc, e);
    bs_doc_release(&head);
    s->own_head = true;
    return r < 0 ? r : BS_ITEM_HEAD;
}

static int
make_end(struct bs_source *s, const struct bs_doc **doc, struct bs_err *e)
{
    struct bs_doc end = {0};
    int r = 0;

    /* a tar without its closing mark was let through on request */
    if (s->format == WEBDATASET && s->exhausted && !bs_wds_ended(s->wds))
        r = bs_doc_set(&end, "bs.status", "partial", e);
    if (r == 0)
        r = bs_segment_end(&s->segment, &end, doc, e);
    bs_doc_release(&end);
    return r < 0 ? r : BS_ITEM_END;
}

static int
check_status(struct bs_source *s, const struct bs_doc *end, struct bs_err *e)
{
    const char *status = bs_doc_meta(end, "bs.status");

    if ((s->flags & BS_READER_PARTIAL) != 0 || status == NULL ||
        strcmp(status, "ok") == 0)
        return BS_ITEM_END;
    return bs_err_set(e, BS_EX_TEMPFAIL, "segment is partial");
}

/* Lend the item, after what has to come before it. */
static int
lend(struct bs_source *s, int item, struct bs_doc *from,
     const struct bs_doc **doc, struct bs_err *e)
{
    bool begins = item == BS_ITEM_RECORD && !s->inside;
    bool ends = s->inside && s->own_head &&
                (item == BS_ITEM_HEAD || item == BS_ITEM_EOF);
    int r = 0;

    if (begins || ends) {
        s->holds = true;
        s->held = item;
        s->held_doc = from;
        s->inside = begins;
        return begins ? make_head(s, from, doc, e) : make_end(s, doc, e);
    }
    if (item == BS_ITEM_HEAD) {
        r = bs_segment_head(&s->segment, from, doc, e);
        s->own_head = false;
        s->inside = true;
    } else if (item == BS_ITEM_RECORD) {
        r = bs_segment_record(&s->segment, from, doc, e);
    } else if (item == BS_ITEM_END) {
        r = bs_segment_end(&s->segment, from, doc, e);
        if (r == 0)
            r = check_status(s, *doc, e);
        s->inside = false;
    } else if (s->segments == 0) {
        r = bs_err_set(e, BS_EX_DATA, "no records");
    }
    return r < 0 ? r : item;
}

int
bs_source_next(struct bs_source *s, const struct bs_doc **doc)
{
    struct bs_doc *from = s->held_doc;
    int r = s->held;
    bool held = s->holds;

    if (s->format == STREAM)
        return bs_reader_next(s->reader, doc);
    if (s->err.code != 0)
        return -s->err.code;
    s->holds = false;
    if (!held)
        r = next_item(s, &from, &s->err);
    if (r >= 0)
        r = lend(s, r, from, doc, &s->err);
    s->segments += r == BS_ITEM_HEAD;
    return r;
}

/* ---- asking ---------------------------------------------------------------
 */

const char *
bs_source_name(const struct bs_source *s)
{
    return s->name;
}

const char *
bs_source_format(const struct bs_source *s)
{
    static const char *const names[] = {"stream", "webdataset", "safetensors",
                                        "npy",    "folder",     "list"};

    return names[s->format];
}

uint64_t
bs_source_ignored(const struct bs_source *s)
{
    return s->ignored;
}

uint64_t
bs_source_records(const struct bs_source *s)
{
    return s->format == STREAM ? bs_reader_records(s->reader)
                               : s->segment.records;
}

uint64_t
bs_source_hash(const struct bs_source *s)
{
    return s->format == STREAM ? bs_reader_hash(s->reader)
                               : bs_xxh64_value(&s->segment.hash);
}

const uint8_t *
bs_source_bytes(const struct bs_source *s, size_t *len)
{
    if (s->format == STREAM)
        return bs_reader_bytes(s->reader, len);
    *len = s->segment.bytes.len;
    return s->segment.bytes.data;
}

const struct bs_err *
bs_source_error(const struct bs_source *s)
{
    return s->format == STREAM ? bs_reader_error(s->reader) : &s->err;
}
