/*
 * tarwrite.c - see tarwrite.h.  Through libarchive.
 */
#include "formats/tarwrite.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>

#include "common/io.h"
#include "common/mem.h"

struct bs_tar {
    struct archive *writer;
    struct archive_entry *entry;
    int fd;
    int write_errno; /* of a failed write, 0 for none */
};

static const struct {
    const char *suffix;
    enum bs_tar_filter filter;
} suffixes[] = {
    {".tar", BS_TAR_PLAIN},     {".tar.gz", BS_TAR_GZIP}, {".tgz", BS_TAR_GZIP},
    {".tar.bz2", BS_TAR_BZIP2}, {".tar.xz", BS_TAR_XZ},   {".txz", BS_TAR_XZ},
    {".tar.zst", BS_TAR_ZSTD},  {".tzst", BS_TAR_ZSTD},
};

const char *
bs_tar_library(void)
{
    return archive_version_details();
}

bool
bs_tar_named(const char *path, enum bs_tar_filter *filter)
{
    size_t len = strlen(path), i;

    for (i = 0; i < BS_LEN(suffixes); i++) {
        size_t n = strlen(suffixes[i].suffix);

        if (len > n && strcmp(path + len - n, suffixes[i].suffix) == 0) {
            *filter = suffixes[i].filter;
            return true;
        }
    }
    return false;
}

static la_ssize_t
output(struct archive *writer, void *arg, const void *data, size_t len)
{
    struct bs_tar *t = arg;

    if (bs_write(t->fd, data, len) == 0)
        return (la_ssize_t)len;
    t->write_errno = errno;
    archive_set_error(writer, errno, "write failed");
    return -1;
}

static int
failed(const struct bs_tar *t, struct bs_err *e)
{
    const char *text = archive_error_string(t->writer);

    if (t->write_errno != 0) {
        errno = t->write_errno;
        return bs_err_errno(e, BS_EX_IO, "write failed");
    }
    return bs_err_set(
        e, archive_errno(t->writer) == ENOMEM ? BS_EX_OSERR : BS_EX_SOFTWARE,
        "cannot make the archive: %s", text != NULL ? text : "unknown error");
}

static int
set_filter(struct archive *writer, enum bs_tar_filter filter)
{
    switch (filter) {
    case BS_TAR_GZIP:
        /* or gzip writes the time of day into its header */
        if (archive_write_add_filter_gzip(writer) != ARCHIVE_OK)
            return -1;
        return archive_write_set_filter_option(writer, "gzip", "timestamp",
                                               NULL);
    case BS_TAR_BZIP2:
        return archive_write_add_filter_bzip2(writer);
    case BS_TAR_XZ:
        return archive_write_add_filter_xz(writer);
    case BS_TAR_ZSTD:
        return archive_write_add_filter_zstd(writer);
    default:
        return archive_write_add_filter_none(writer);
    }
}

int
bs_tar_open(struct bs_tar **out, int fd, enum bs_tar_filter filter,
            struct bs_err *e)
{
    struct bs_tar *t = bs_alloc_array(1, sizeof *t);
    int r = 0;

    *out = NULL;
    if (t == NULL)
        return bs_err_memory(e, "archive", sizeof *t);
    t->fd = fd;
    t->writer = archive_write_new();
    t->entry = archive_entry_new();
    if (t->writer == NULL || t->entry == NULL)
        r = bs_err_memory(e, "archive", sizeof *t);
    else if (archive_write_set_format_pax_restricted(t->writer) != ARCHIVE_OK ||
             set_filter(t->writer, filter) != ARCHIVE_OK ||
             /* zeros behind compressed data are garbage to zstd */
             archive_write_set_bytes_in_last_block(t->writer, 1) !=
                 ARCHIVE_OK ||
             archive_write_open(t->writer, t, NULL, output, NULL) != ARCHIVE_OK)
        r = failed(t, e);
    if (r < 0) {
        bs_tar_abandon(t);
        return r;
    }
    *out = t;
    return 0;
}

int
bs_tar_member(struct bs_tar *t, const char *name, const void *data, size_t len,
              struct bs_err *e)
{
    archive_entry_clear(t->entry);
    archive_entry_set_pathname(t->entry, name);
    archive_entry_set_filetype(t->entry, AE_IFREG);
    archive_entry_set_perm(t->entry, 0444);
    archive_entry_set_mtime(t->entry, 0, 0);
    archive_entry_set_size(t->entry, (la_int64_t)len);
    if (archive_write_header(t->writer, t->entry) != ARCHIVE_OK)
        return failed(t, e);
    while (len > 0) {
        la_ssize_t n = archive_write_data(t->writer, data, len);

        if (n <= 0)
            return failed(t, e);
        data = (const char *)data + n;
        len -= (size_t)n;
    }
    return 0;
}

int
bs_tar_close(struct bs_tar *t, struct bs_err *e)
{
    int r = archive_write_close(t->writer) != ARCHIVE_OK ? failed(t, e) : 0;

    bs_tar_abandon(t);
    return r;
}

void
bs_tar_abandon(struct bs_tar *t)
{
    if (t == NULL)
        return;
    if (t->writer != NULL) {
        archive_write_fail(t->writer); /* or the free would end the archive */
        archive_write_free(t->writer);
    }
    archive_entry_free(t->entry);
    bs_free(t);
}
