/*
 * archive.c - see archive.h.
 *
 * Two layers: one libarchive reader that takes compression off and knows no
 * archive, and a second one that reads tar or zip from the plain bytes of the
 * first.  So the plain bytes can be looked at on their way: what kind of file
 * it is, and whether a tar closed with zero blocks.  Only a zip in a regular
 * file bypasses the first layer, for its directory stands at the end.
 */
#include "formats/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/stop.h"

enum { BLOCK = 1 << 16, TAR_BLOCK = 512 };

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

struct bs_archive {
    struct archive *reader;
    enum bs_archive_kind kind;
    struct bs_plain *plain;
    struct bs_err inner; /* of the plain layer, on its way through libarchive */
    struct bs_buf name;  /* of the member */
    uint64_t members;
    off_t pos, size; /* of a zip in a regular file */
    locale_t utf8;   /* names that are not ASCII need one; 0: not to be had */
    bool ended;
};

/* ---- plain bytes --------------------------------------------------------- */

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

/* ---- archives ------------------------------------------------------------ */

/* The checksum of a tar header: its bytes, those of the sum itself as spaces.
 */
static bool
is_tar_header(const uint8_t *h)
{
    unsigned sum = 0, said = 0;
    size_t i = 148;

    while (i < 156 && h[i] == ' ')
        i++;
    for (; i < 156 && h[i] >= '0' && h[i] <= '7'; i++)
        said = said * 8 + (h[i] - '0');
    for (i = 0; i < TAR_BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : h[i];
    return h[0] != 0 && sum == said;
}

/* Two zero blocks are a tar without members. */
static bool
is_tar_end(const uint8_t *h)
{
    size_t i;

    for (i = 0; i < TAR_BLOCK; i++)
        if (h[i] != 0)
            return false;
    return true;
}

enum bs_archive_kind
bs_archive_sniff(const uint8_t *data, size_t len)
{
    if (len >= 4 &&
        (memcmp(data, "PK\3\4", 4) == 0 || memcmp(data, "PK\5\6", 4) == 0))
        return BS_ARCHIVE_ZIP;
    if (len >= TAR_BLOCK && (is_tar_header(data) || is_tar_end(data)))
        return BS_ARCHIVE_TAR;
    return BS_ARCHIVE_NONE;
}

static la_ssize_t
archive_input(struct archive *reader, void *arg, const void **block)
{
    struct bs_archive *a = arg;
    const uint8_t *data;
    size_t len;
    int r = bs_plain_read(a->plain, &data, &len, &a->inner);

    if (r < 0) {
        archive_set_error(reader, EIO, "%s", a->inner.text);
        return ARCHIVE_FATAL;
    }
    *block = data;
    return r == 0 ? 0 : (la_ssize_t)len;
}

/* A zip in a regular file: read and seek in the descriptor itself. */
static la_ssize_t
zip_input(struct archive *reader, void *arg, const void **block)
{
    struct bs_archive *a = arg;
    struct bs_plain *p = a->plain;
    ssize_t n;

    do
        n = pread(p->fd, p->in.data, BLOCK, p->start + a->pos);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        bs_err_errno(&a->inner, BS_EX_IO, "read failed");
        archive_set_error(reader, errno, "read failed");
        return ARCHIVE_FATAL;
    }
    a->pos += n;
    *block = p->in.data;
    return n;
}

static la_int64_t
zip_seek(struct archive *reader, void *arg, la_int64_t offset, int whence)
{
    struct bs_archive *a = arg;
    la_int64_t base = whence == SEEK_END   ? a->size
                      : whence == SEEK_CUR ? a->pos
                                           : 0;

    if (__builtin_add_overflow(base, offset, &base) || base < 0 ||
        base > a->size) {
        archive_set_error(reader, EINVAL, "directory points outside the file");
        return ARCHIVE_FATAL;
    }
    a->pos = base;
    return base;
}

static int
archive_failed(struct bs_archive *a, const char *where, struct bs_err *e)
{
    const char *text = archive_error_string(a->reader);
    int number = archive_errno(a->reader);

    if (a->kind == BS_ARCHIVE_ZIP && number == EILSEQ && a->members == 0)
        text = "no directory of members: the zip archive is cut";
    if (a->inner.code != 0)
        bs_err_set(e, (enum bs_exit)a->inner.code, "%s", a->inner.text);
    else if (number == ENOMEM)
        bs_err_set(e, BS_EX_OSERR, "out of memory");
    else
        bs_err_set(e, BS_EX_DATA, "%s",
                   text != NULL ? text : "archive is damaged or cut");
    if (a->members == 0)
        return -e->code;
    return bs_err_prefix(e, "%s %llu '%.100s'", where,
                         (unsigned long long)a->members,
                         (const char *)a->name.data);
}

/* Tell libarchive what to expect and where the bytes come from. */
static int
archive_start(struct bs_archive *a)
{
    struct stat st;

    if (a->kind == BS_ARCHIVE_TAR) {
        archive_read_support_format_tar(a->reader);
        archive_read_set_options(a->reader, "read_concatenated_archives");
        return archive_read_open(a->reader, a, NULL, archive_input, NULL);
    }
    if (!a->plain->bare || a->plain->start < 0 ||
        fstat(a->plain->fd, &st) != 0) {
        archive_read_support_format_zip_streamable(a->reader);
        return archive_read_open(a->reader, a, NULL, archive_input, NULL);
    }
    a->size = st.st_size - a->plain->start;
    archive_read_support_format_zip_seekable(a->reader);
    archive_read_set_read_callback(a->reader, zip_input);
    archive_read_set_seek_callback(a->reader, zip_seek);
    archive_read_set_callback_data(a->reader, a);
    return archive_read_open1(a->reader);
}

int
bs_archive_open(struct bs_archive **out, struct bs_plain *plain,
                struct bs_err *e)
{
    struct bs_archive *a = bs_alloc_array(1, sizeof *a);
    const uint8_t *head;
    size_t len;
    int r;

    *out = NULL;
    if (a == NULL) {
        bs_plain_close(plain);
        return bs_err_memory(e, "archive", sizeof *a);
    }
    a->plain = plain;
    a->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    r = bs_plain_peek(plain, TAR_BLOCK, &head, &len, e);
    if (r == 0) {
        a->kind = bs_archive_sniff(head, len);
        a->reader = archive_read_new();
        if (a->kind == BS_ARCHIVE_NONE)
            r = bs_err_set(e, BS_EX_DATA, "not a tar or zip archive");
        else if (a->reader == NULL)
            r = bs_err_memory(e, "archive", sizeof *a);
        else if (archive_start(a) < ARCHIVE_WARN)
            r = archive_failed(a, "", e);
    }
    if (r < 0) {
        bs_archive_close(a);
        return r;
    }
    *out = a;
    return 0;
}

/* Read what is left, so that checksums at the end of the compression count. */
static int
archive_drain(struct bs_archive *a, struct bs_err *e)
{
    const uint8_t *data;
    size_t len;
    int r = 1;

    while (r > 0)
        r = bs_plain_read(a->plain, &data, &len, e);
    a->ended = a->kind == BS_ARCHIVE_ZIP || a->plain->zeros >= TAR_BLOCK;
    return r;
}

/* The next regular file, or what libarchive says. */
static int
archive_step(struct bs_archive *a, struct archive_entry **entry)
{
    int r;

    do
        r = archive_read_next_header(a->reader, entry);
    while ((r == ARCHIVE_OK || r == ARCHIVE_WARN) &&
           (archive_entry_filetype(*entry) != AE_IFREG ||
            archive_entry_hardlink(*entry) != NULL));
    return r;
}

int
bs_archive_next(struct bs_archive *a, struct bs_member *m, struct bs_err *e)
{
    locale_t before = a->utf8 != (locale_t)0 ? uselocale(a->utf8) : (locale_t)0;
    struct archive_entry *entry;
    const char *name = NULL;
    int r = archive_step(a, &entry), kept = 0;

    if (r == ARCHIVE_OK || r == ARCHIVE_WARN) {
        name = archive_entry_pathname(entry);
        a->name.len = 0;
        kept = bs_buf_add(&a->name, name != NULL ? name : "",
                          name != NULL ? strlen(name) + 1 : 1, e);
    }
    if (before != (locale_t)0)
        uselocale(before);
    if (r == ARCHIVE_EOF)
        return archive_drain(a, e);
    if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
        return archive_failed(a, "after member", e);
    if (kept < 0)
        return kept;
    a->members++;
    m->name = (const char *)a->name.data;
    m->size = archive_entry_size_is_set(entry)
                  ? (uint64_t)archive_entry_size(entry)
                  : 0;
    return 1;
}

int
bs_archive_data(struct bs_archive *a, size_t limit, struct bs_buf *b,
                struct bs_err *e)
{
    size_t start = b->len, room;
    la_ssize_t n;
    int r;

    for (;;) {
        room = limit - (b->len - start);
        room =
            room < BLOCK ? room + 1 : BLOCK; /* one more shows a longer one */
        r = bs_buf_reserve(b, b->len + room, e);
        if (r < 0)
            return r;
        n = archive_read_data(a->reader, b->data + b->len, room);
        if (n < 0)
            return archive_failed(a, "member", e);
        if (n == 0)
            return 0;
        b->len += (size_t)n;
        if (b->len - start > limit) {
            b->len = start;
            return 1;
        }
    }
}

bool
bs_archive_ended(const struct bs_archive *a)
{
    return a->ended;
}

void
bs_archive_close(struct bs_archive *a)
{
    if (a == NULL)
        return;
    archive_read_free(a->reader);
    bs_plain_close(a->plain);
    bs_buf_release(&a->name);
    if (a->utf8 != (locale_t)0)
        freelocale(a->utf8);
    bs_free(a);
}
