/*
 * archive.c - the members of tar and zip archives, see archive.h.
 *
 * They are read from the plain bytes that plain.c gives, which can so be looked
 * at on their way: what kind of archive it is, and whether a tar closed with
 * zero blocks.  Only a zip in a regular file is read from the file itself, for
 * its directory stands at the end.
 */
#include "formats/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 1 << 16, TAR_BLOCK = 512 };

struct bs_archive {
    struct archive *reader;
    enum bs_archive_kind kind;
    struct bs_plain *plain;
    struct bs_err inner; /* of the plain layer, on its way through libarchive */
    struct bs_buf name;  /* of the member */
    uint64_t members;
    /* a zip in a regular file */
    int fd;
    off_t start, pos, size;
    struct bs_buf in;
    locale_t utf8; /* names that are not ASCII need one; 0: not to be had */
    bool ended;
};

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
    ssize_t n;

    do
        n = pread(a->fd, a->in.data, BLOCK, a->start + a->pos);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        bs_err_errno(&a->inner, BS_EX_IO, "read failed");
        archive_set_error(reader, errno, "read failed");
        return ARCHIVE_FATAL;
    }
    a->pos += n;
    *block = a->in.data;
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
    uint64_t start;

    if (a->kind == BS_ARCHIVE_TAR) {
        archive_read_support_format_tar(a->reader);
        archive_read_set_options(a->reader, "read_concatenated_archives");
        return archive_read_open(a->reader, a, NULL, archive_input, NULL);
    }
    if (!bs_plain_in_file(a->plain, &a->fd, &start) || fstat(a->fd, &st) != 0) {
        archive_read_support_format_zip_streamable(a->reader);
        return archive_read_open(a->reader, a, NULL, archive_input, NULL);
    }
    if (bs_buf_reserve(&a->in, BLOCK, &a->inner) < 0)
        return ARCHIVE_FATAL;
    a->start = (off_t)start;
    a->size = st.st_size - a->start;
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
    a->ended =
        a->kind == BS_ARCHIVE_ZIP || bs_plain_zeros(a->plain) >= TAR_BLOCK;
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
    bs_buf_release(&a->in);
    if (a->utf8 != (locale_t)0)
        freelocale(a->utf8);
    bs_free(a);
}
