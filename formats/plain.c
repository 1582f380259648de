/*
 * plain.c - the plain bytes of a possibly compressed file, see archive.h: a
 * libarchive reader that takes compression off and knows no archive.
 */
#include "formats/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/stop.h"

enum { BLOCK = 1 << 16 };

struct bs_plain {
    struct archive *reader;
    int fd;
    int read_errno;     /* of a failed read, 0 for none */
    struct bs_buf in;   /* what read gave, or the head at first */
    bool head_pending;  /* `in` holds the head and nobody has seen it */
    bool bare;          /* no compression was found */
    bool ended;         /* everything was read */
    bool started;       /* the only entry of the raw format is open */
    off_t start;        /* of the file in fd; -1 where fd cannot seek */
    struct bs_buf held; /* peeked at, from `taken` on not yet taken */
    size_t taken;
    uint64_t zeros; /* zero bytes at the end of what was read so far */
};

static la_ssize_t
plain_input(struct archive *reader, void *arg, const void **block)
{
    struct bs_plain *p = arg;
    ptrdiff_t n;

    *block = p->in.data;
    if (p->head_pending) {
        p->head_pending = false;
        if (p->in.len > 0)
            return (la_ssize_t)p->in.len;
    }
    do
        n = read(p->fd, p->in.data, BLOCK);
    while (n < 0 && errno == EINTR && !bs_stop_wanted());
    if (n < 0) {
        p->read_errno = errno;
        archive_set_error(reader, errno, "read failed");
        return ARCHIVE_FATAL;
    }
    return n;
}

/* What the reader says is wrong. */
static int
plain_failed(const struct bs_plain *p, struct bs_err *e)
{
    const char *text = archive_error_string(p->reader);

    if (p->read_errno == EINTR)
        return bs_err_set(e, BS_EX_TEMPFAIL, "stopped");
    if (p->read_errno != 0) {
        errno = p->read_errno;
        return bs_err_errno(e, BS_EX_IO, "read failed");
    }
    if (archive_errno(p->reader) == ENOMEM)
        return bs_err_set(e, BS_EX_OSERR, "out of memory");
    return bs_err_set(e, BS_EX_DATA, "%s",
                      text != NULL ? text : "compression is damaged or cut");
}

/* The filters that are built into libarchive; none that runs a program. */
static void
plain_filters(struct archive *reader)
{
    archive_read_support_filter_gzip(reader);
    archive_read_support_filter_bzip2(reader);
    archive_read_support_filter_compress(reader);
    archive_read_support_filter_xz(reader);
    archive_read_support_filter_lzma(reader);
    archive_read_support_filter_lzip(reader);
    archive_read_support_filter_lz4(reader);
    archive_read_support_filter_zstd(reader);
}

int
bs_plain_open(struct bs_plain **out, int fd, const void *head, size_t len,
              struct bs_err *e)
{
    struct bs_plain *p = bs_alloc_array(1, sizeof *p);
    off_t at = lseek(fd, 0, SEEK_CUR);
    struct stat st;
    int r;

    *out = NULL;
    if (p == NULL)
        return bs_err_memory(e, "reader", sizeof *p);
    p->fd = fd;
    p->start = -1;
    if (at >= (off_t)len && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        p->start = at - (off_t)len;
    r = bs_buf_reserve(&p->in, len > BLOCK ? len : BLOCK, e);
    if (r == 0)
        r = bs_buf_add(&p->in, head, len, e);
    p->head_pending = true;
    p->reader = archive_read_new();
    if (r == 0 && p->reader == NULL)
        r = bs_err_memory(e, "reader", sizeof *p);
    if (r < 0) {
        bs_plain_close(p);
        return r;
    }
    plain_filters(p->reader);
    archive_read_support_format_raw(p->reader);
    archive_read_support_format_empty(p->reader);
    *out = p;
    return 0;
}

/* Find out how the file is compressed: 1, or 0 for an empty one. */
static int
plain_start(struct bs_plain *p, struct bs_err *e)
{
    struct archive_entry *entry;
    int r = archive_read_open(p->reader, p, NULL, plain_input, NULL);

    if (r >= ARCHIVE_WARN)
        r = archive_read_next_header(p->reader, &entry);
    p->started = true;
    if (r == ARCHIVE_EOF)
        return 0;
    if (r < ARCHIVE_WARN)
        return plain_failed(p, e);
    p->bare = archive_filter_code(p->reader, 0) == ARCHIVE_FILTER_NONE;
    return 1;
}

/* The next block from libarchive, counting the zeros at its end. */
static int
plain_block(struct bs_plain *p, const uint8_t **data, size_t *len,
            struct bs_err *e)
{
    const void *block;
    size_t n, zeros = 0;
    la_int64_t offset;
    int r = p->ended ? 0 : p->started ? 1 : plain_start(p, e);

    *data = NULL;
    *len = 0;
    p->ended = r == 0;
    while (r > 0 && *len == 0) {
        r = archive_read_data_block(p->reader, &block, &n, &offset);
        p->ended = r == ARCHIVE_EOF;
        if (p->ended)
            return 0;
        if (r < ARCHIVE_WARN)
            return plain_failed(p, e);
        *data = block;
        *len = n;
        r = 1;
    }
    while (zeros < *len && (*data)[*len - 1 - zeros] == 0)
        zeros++;
    p->zeros = zeros < *len ? zeros : p->zeros + zeros;
    return r;
}

int
bs_plain_peek(struct bs_plain *p, size_t want, const uint8_t **data,
              size_t *len, struct bs_err *e)
{
    const uint8_t *block;
    size_t n;
    int r = 1;

    if (want > BLOCK)
        want = BLOCK;
    while (r > 0 && p->held.len - p->taken < want) {
        r = plain_block(p, &block, &n, e);
        if (r > 0 && bs_buf_add(&p->held, block, n, e) < 0)
            r = -e->code;
    }
    *len = p->held.len - p->taken;
    *data = *len > 0 ? p->held.data + p->taken : (const uint8_t *)"";
    if (*len > want)
        *len = want;
    return r < 0 ? r : 0;
}

int
bs_plain_read(struct bs_plain *p, const uint8_t **data, size_t *len,
              struct bs_err *e)
{
    if (p->taken < p->held.len) {
        *data = p->held.data + p->taken;
        *len = p->held.len - p->taken;
        p->taken = p->held.len;
        return 1;
    }
    p->held.len = p->taken = 0;
    return plain_block(p, data, len, e);
}

bool
bs_plain_in_file(const struct bs_plain *p, int *fd, uint64_t *start)
{
    *fd = p->fd;
    *start = (uint64_t)p->start;
    return p->bare && p->start >= 0;
}

uint64_t
bs_plain_zeros(const struct bs_plain *p)
{
    return p->zeros;
}

void
bs_plain_close(struct bs_plain *p)
{
    if (p == NULL)
        return;
    archive_read_free(p->reader);
    bs_buf_release(&p->in);
    bs_buf_release(&p->held);
    bs_free(p);
}
