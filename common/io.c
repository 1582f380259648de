/*
 * io.c - see io.h.
 */
#include "common/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/num.h"

enum { PIECE = 1 << 18, PIPE_BYTES = 1 << 20 };

ptrdiff_t
bs_read(int fd, void *buf, size_t n)
{
    size_t have = 0;

    while (have < n) {
        ssize_t got = read(fd, (char *)buf + have, n - have);

        if (got == 0)
            break;
        if (got > 0)
            have += (size_t)got;
        else if (errno != EINTR)
            return -1;
    }
    return (ptrdiff_t)have;
}

int
bs_write(int fd, const void *buf, size_t n)
{
    const char *p = buf;

    while (n > 0) {
        ssize_t put = write(fd, p, n < PIECE ? n : PIECE);

        if (put >= 0) {
            p += put;
            n -= (size_t)put;
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

void
bs_pipe_widen(int fd)
{
    /* fails on anything but a pipe, and where the system allows less */
    if (fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES) < 0)
        return;
}

int
bs_read_file(const char *path, size_t limit, struct bs_buf *b, struct bs_err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;
    struct stat st;

    if (fd < 0)
        return bs_err_errno(e, BS_EX_NOINPUT, "cannot open '%s'", path);
    if (fstat(fd, &st) < 0)
        r = bs_err_errno(e, BS_EX_IO, "cannot read '%s'", path);
    else if (!S_ISREG(st.st_mode))
        r = bs_err_set(e, BS_EX_NOINPUT, "'%s' is not a file", path);
    else if ((uint64_t)st.st_size > limit)
        r = bs_err_set(e, BS_EX_DATA, "'%s' is larger than %zu bytes", path,
                       limit);
    else
        r = bs_buf_reserve(b, b->len + (size_t)st.st_size, e);
    if (r == 0) {
        ptrdiff_t got = bs_read(fd, b->data + b->len, (size_t)st.st_size);

        if (got < 0)
            r = bs_err_errno(e, BS_EX_IO, "cannot read '%s'", path);
        else
            b->len += (size_t)got;
    }
    close(fd);
    return r;
}

/* ---- output ----------------------------------------------------------------
 */

static char *
temporary_name(const char *path)
{
    size_t room = strlen(path) + 40;
    char *temp = bs_alloc(room);

    if (temp != NULL)
        snprintf(temp, room, "%s.tmp.%ld", path, (long)getpid());
    return temp;
}

int
bs_out_open(struct bs_out *o, const char *path, struct bs_err *e)
{
    struct stat st;

    *o = (struct bs_out){.fd = STDOUT_FILENO, .name = "stdout"};
    if (path == NULL || strcmp(path, "-") == 0)
        return 0;
    o->fd = -1;
    o->name = path;
    /* A device or a pipe is written in place: renaming would replace it. */
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        o->fd = open(path, O_WRONLY | O_CLOEXEC);
        if (o->fd < 0)
            return bs_err_errno(e, BS_EX_IO, "cannot open '%s'", path);
        return 0;
    }
    o->path = bs_strdup(path);
    o->temp = temporary_name(path);
    if (o->path == NULL || o->temp == NULL) {
        bs_out_abandon(o);
        return bs_err_memory(e, "file name", strlen(path));
    }
    o->fd = open(o->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (o->fd < 0) {
        int r = bs_err_errno(e, BS_EX_IO, "cannot create '%s'", path);

        bs_free(o->temp); /* not ours to remove */
        o->temp = NULL;
        bs_out_abandon(o);
        return r;
    }
    return 0;
}

/* The folder of `path`, to be freed. */
static char *
folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = bs_strdup(slash != NULL ? path : ".");

    if (folder != NULL && slash != NULL)
        folder[slash > path ? slash - path : 1] = '\0';
    return folder;
}

/* "NAME.tmp.PID" of a process that is no more. */
static bool
is_left_over(const char *entry, const char *name)
{
    size_t len = strlen(name);
    uint64_t pid;

    return strncmp(entry, name, len) == 0 &&
           strncmp(entry + len, ".tmp.", 5) == 0 &&
           bs_num_u64(entry + len + 5, 1, INT32_MAX, &pid) == NULL &&
           kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

void
bs_out_sweep(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = folder_of(path);
    DIR *dir = folder != NULL ? opendir(folder) : NULL;
    struct dirent *entry;

    bs_free(folder);
    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL)
        if (is_left_over(entry->d_name, slash != NULL ? slash + 1 : path))
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
}

/* fsync the folder of `path`, so that the rename outlives a crash. */
static void
sync_folder(const char *path)
{
    char *folder = folder_of(path);
    int fd;

    if (folder == NULL)
        return;
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bs_free(folder);
    if (fd < 0)
        return;
    fsync(fd); /* not every file system has it */
    close(fd);
}

int
bs_out_commit(struct bs_out *o, struct bs_err *e)
{
    int r = 0, fd = o->fd;

    if (fd == STDOUT_FILENO) /* bs_finish closes it, and looks */
        return 0;
    o->fd = -1;
    if (o->path != NULL && fsync(fd) < 0)
        r = bs_err_errno(e, BS_EX_IO, "cannot write '%s'", o->name);
    if (close(fd) < 0 && r == 0)
        r = bs_err_errno(e, BS_EX_IO, "cannot write '%s'", o->name);
    if (r == 0 && o->path != NULL && rename(o->temp, o->path) < 0)
        r = bs_err_errno(e, BS_EX_IO, "cannot create '%s'", o->name);
    if (r == 0 && o->path != NULL) {
        sync_folder(o->path);
        bs_free(o->temp);
        o->temp = NULL;
    }
    bs_out_abandon(o);
    return r;
}

void
bs_out_abandon(struct bs_out *o)
{
    if (o->fd > STDERR_FILENO)
        close(o->fd);
    o->fd = -1;
    if (o->temp != NULL)
        unlink(o->temp);
    bs_free(o->temp);
    bs_free(o->path);
    o->temp = o->path = NULL;
}
