/*
 * train_log.c - see train_log.h.
 */
#include "cmd/models/train_log.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"
#include "common/mem.h"

static int
failed(const struct bs_train_log *l, struct bs_err *e)
{
    return bs_err_errno(e, BS_EX_IO, "cannot write '%s'", l->path);
}

/* Read on over the first `bytes` bytes, and cut the file behind them. */
static int
resume(struct bs_train_log *l, const struct bs_train_log_mark *from,
       struct bs_err *e)
{
    uint8_t piece[1 << 14];

    while (l->bytes < from->bytes) {
        uint64_t left = from->bytes - l->bytes;
        ptrdiff_t n = bs_read(
            l->fd, piece, left < sizeof piece ? (size_t)left : sizeof piece);

        if (n < 0)
            return bs_err_errno(e, BS_EX_IO, "cannot read '%s'", l->path);
        if (n == 0)
            break;
        bs_xxh64_add(&l->hash, piece, (size_t)n);
        l->bytes += (uint64_t)n;
    }
    if (l->bytes < from->bytes || bs_xxh64_value(&l->hash) != from->hash)
        return bs_err_set(e, BS_EX_DATA,
                          "'%s' does not begin with the %ju bytes of metrics "
                          "that the checkpoint was made behind",
                          l->path, (uintmax_t)from->bytes);
    return ftruncate(l->fd, (off_t)l->bytes) < 0 ? failed(l, e) : 0;
}

int
bs_train_log_open(struct bs_train_log *l, const char *path,
                  const struct bs_train_log_mark *from, struct bs_err *e)
{
    int flags = O_RDWR | O_CREAT | O_CLOEXEC | (from == NULL ? O_TRUNC : 0);
    struct stat st;
    int r = 0;

    *l = (struct bs_train_log){.fd = -1, .path = path};
    bs_xxh64_init(&l->hash, 0);
    if (path == NULL)
        return 0;
    if (strcmp(path, "-") == 0) {
        l->path = "stdout";
        l->fd = STDOUT_FILENO;
        return 0;
    }
    l->fd = open(path, flags, 0666);
    if (l->fd < 0) /* what cannot be read cannot be cut either */
        l->fd = open(path, (flags & ~O_ACCMODE) | O_WRONLY, 0666);
    if (l->fd < 0)
        return bs_err_errno(e, BS_EX_IO, "cannot open '%s'", path);
    if (from != NULL && fstat(l->fd, &st) == 0 && S_ISREG(st.st_mode))
        r = resume(l, from, e);
    if (r < 0) {
        close(l->fd);
        l->fd = -1;
    }
    return r;
}

/* ,"name":x */
static int
add_number(struct bs_buf *b, const char *name, double x, struct bs_err *e)
{
    return isfinite(x) ? bs_buf_printf(b, e, ",\"%s\":%.7g", name, x)
                       : bs_buf_printf(b, e, ",\"%s\":null", name);
}

static int
format_line(struct bs_buf *b, const struct bs_trainer_metrics *m,
            uint64_t epoch, uint64_t concepts, double tokens_s,
            struct bs_err *e)
{
    const struct {
        const char *name;
        double value;
    } number[] = {{"loss", m->loss}, {"rec", m->rec},       {"aux", m->aux},
                  {"r2", m->r2},     {"r2_all", m->r2_all}, {"l0", m->l0},
                  {"norm", m->norm}, {"rate", m->rate}};
    size_t i;
    int r = bs_buf_printf(b, e, "{\"step\":%ju,\"tokens\":%ju,\"epoch\":%ju",
                          (uintmax_t)m->step, (uintmax_t)m->tokens,
                          (uintmax_t)epoch);

    for (i = 0; i < BS_LEN(number) && r == 0; i++)
        r = add_number(b, number[i].name, number[i].value, e);
    if (r == 0)
        r = bs_buf_printf(b, e, ",\"dead\":%ju", (uintmax_t)m->dead);
    if (r == 0)
        r = add_number(b, "dead_share", (double)m->dead / (double)concepts, e);
    return r < 0 ? r : bs_buf_printf(b, e, ",\"tokens_s\":%.0f}\n", tokens_s);
}

int
bs_train_log_add(struct bs_train_log *l, const struct bs_trainer_metrics *m,
                 uint64_t epoch, uint64_t concepts, double tokens_s,
                 struct bs_err *e)
{
    struct bs_buf line = {0};
    int r;

    if (l->fd < 0)
        return 0;
    r = format_line(&line, m, epoch, concepts, tokens_s, e);
    if (r == 0 && bs_write(l->fd, line.data, line.len) < 0)
        r = failed(l, e);
    if (r == 0) {
        bs_xxh64_add(&l->hash, line.data, line.len);
        l->bytes += line.len;
    }
    bs_buf_release(&line);
    return r;
}

int
bs_train_log_sync(struct bs_train_log *l, struct bs_train_log_mark *mark,
                  struct bs_err *e)
{
    *mark = (struct bs_train_log_mark){l->bytes, bs_xxh64_value(&l->hash)};
    /* a pipe has nothing to wait for, and says so */
    if (l->fd < 0 || fsync(l->fd) == 0 || errno == EINVAL || errno == EROFS)
        return 0;
    return failed(l, e);
}

int
bs_train_log_close(struct bs_train_log *l, struct bs_err *e)
{
    int fd = l->fd;

    l->fd = -1;
    if (fd < 0 || fd == STDOUT_FILENO) /* bs_finish closes that, and looks */
        return 0;
    return close(fd) < 0 ? failed(l, e) : 0;
}
