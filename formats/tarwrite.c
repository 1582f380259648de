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
    bool mute;       /* write no more */
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

/*
 * libarchive never hears of a failed write: it would leak what it holds for the
 * output.  What follows one goes nowhere, and every call here looks.
 */
static la_ssize_t
output(struct archive *writer, void *arg, const void *data, size_t len)
{
    struct bs_tar *t = arg;

    (void)writer;
    if (!t->mute && bs_write(t->fd, data, len) < 0) {
        t->write_errno = errno;
        t->mute = true;
    }
    return (la_ssize_t)len;
}

/* What a call to libarchive and the writes that it led to came to. */
static int
outcome(const struct bs_tar *t, bool good, struct bs_err *e)
{
    const char *text = archive_error_string(t->writer);

    if (t->write_errno != 0) {
        errno = t->write_errno;
        return bs_err_errno(e, BS_EX_IO, "write failed");
    }
    if (good)
        return 0;
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
    struct archive *w;
    int r;

    *out = NULL;
    if (t == NULL)
        return bs_err_memory(e, "archive", sizeof *t);
    t->fd = fd;
    t->writer = w = archive_write_new();
    t->entry = archive_entry_new();
    if (w == NULL || t->entry == NULL)
        r = bs_err_memory(e, "archive", sizeof *t);
    else
        r = outcome(
            t,
            archive_write_set_format_pax_restricted(w) == ARCHIVE_OK &&
                set_filter(w, filter) == ARCHIVE_OK &&
                /* zeros behind compressed data are garbage to zstd */
                archive_write_set_bytes_in_last_block(w, 1) == ARCHIVE_OK &&
                archive_write_open(w, t, NULL, output, NULL) == ARCHIVE_OK,
            e);
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
    bool good;

    archive_entry_clear(t->entry);
    archive_entry_set_pathname(t->entry, name);
    archive_entry_set_filetype(t->entry, AE_IFREG);
    archive_entry_set_perm(t->entry, 0444);
    archive_entry_set_mtime(t->entry, 0, 0);
    archive_entry_set_size(t->entry, (la_int64_t)len);
    good = archive_write_header(t->writer, t->entry) == ARCHIVE_OK;
    while (good && len > 0) {
        la_ssize_t n = archive_write_data(t->writer, data, len);

        good = n > 0;
        data = (const char *)data + (good ? n : 0);
        len -= good ? (size_t)n : 0;
    }
    return outcome(t, good, e);
}

int
bs_tar_close(struct bs_tar *t, struct bs_err *e)
{
    bool good = archive_write_close(t->writer) == ARCHIVE_OK;
    int r = outcome(t, good, e);

    bs_tar_abandon(t);
    return r;
}

void
bs_tar_abandon(struct bs_tar *t)
{
    if (t == NULL)
        return;
    t->mute = true; /* the free ends the archive */
    archive_write_free(t->writer);
    archive_entry_free(t->entry);
    bs_free(t);
}
