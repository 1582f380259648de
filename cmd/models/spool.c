/*
 * spool.c - see spool.h.
 */
#include "cmd/models/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/io.h"

/* For file systems that have no unnamed files. */
static int
open_and_unlink(const char *folder)
{
    char path[4096];
    int fd;

    if (snprintf(path, sizeof path, "%s/bs.XXXXXX", folder) >=
        (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

int
bs_spool_open(struct bs_spool *s, struct bs_err *e)
{
    const char *folder = getenv("TMPDIR");

    if (folder == NULL || *folder == '\0')
        folder = "/tmp";
    s->end = 0;
    s->fd = open(folder, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (s->fd < 0)
        s->fd = open_and_unlink(folder);
    if (s->fd < 0)
        return bs_err_errno(e, BS_EX_IO, "cannot create a file in '%s'",
                            folder);
    return 0;
}

int
bs_spool_add(struct bs_spool *s, const void *data, size_t len, uint64_t *at,
             struct bs_err *e)
{
    *at = s->end;
    if (bs_write(s->fd, data, len) < 0)
        return bs_err_errno(e, BS_EX_IO, "cannot write a temporary file");
    s->end += len;
    return 0;
}

int
bs_spool_get(const struct bs_spool *s, uint64_t at, size_t len,
             struct bs_buf *b, struct bs_err *e)
{
    int r;

    b->len = 0;
    r = bs_buf_reserve(b, len, e);
    while (r == 0 && b->len < len) {
        ssize_t n =
            pread(s->fd, b->data + b->len, len - b->len, (off_t)(at + b->len));

        if (n == 0)
            errno = EIO; /* somebody cut it */
        if (n > 0)
            b->len += (size_t)n;
        else if (errno != EINTR)
            r = bs_err_errno(e, BS_EX_IO, "cannot read a temporary file");
    }
    return r;
}

void
bs_spool_close(struct bs_spool *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}
