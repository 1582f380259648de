/*
 * frame_source.c - see frame_source.h.  Memory for compressed bytes grows only
 * as they arrive.
 */
#include "formats/frame_source.h"

#include "common/io.h"
#include "formats/frame.h"
#include "formats/ring.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    INPUT_ROOM = 4 << 20, /* several frames; and what it grows by */
    READ_LEAST = 256 << 10,
    LOOK = 512 /* bytes to tell formats apart */
};

struct bs_frame_source {
    int fd, wake; /* wake: an eventfd that ends a wait for input */
    size_t max_frame;
    struct bs_ring *ring;
    bool running;
    pthread_t thread;
    /* of the thread, and of the user once the ring is finished: */
    struct bs_buf in;
    size_t start; /* of the bytes not used yet */
    struct bs_unpacker *unpacker;
    enum bs_source_end why;
    struct bs_err err;
};

/* ---- input --------------------------------------------------------------- */

/* Room for the next read: move what is left to the front, then grow. */
static int
make_room(struct bs_frame_source *s)
{
    struct bs_buf *in = &s->in;

    if (in->room - in->len >= READ_LEAST)
        return 0;
    if (s->start > 0) {
        in->len -= s->start;
        memmove(in->data, in->data + s->start, in->len);
        s->start = 0;
    }
    if (in->room - in->len >= READ_LEAST)
        return 0;
    return bs_buf_reserve(in, in->room + INPUT_ROOM, &s->err);
}

/* Wait until there is something to read: 1, or 0 when told to give up. */
static int
wait_input(struct bs_frame_source *s)
{
    struct pollfd p[2] = {{.fd = s->fd, .events = POLLIN},
                          {.fd = s->wake, .events = POLLIN}};

    while (poll(p, 2, -1) < 0)
        if (errno != EINTR)
            return bs_err_set(&s->err, BS_EX_IO, "%s", strerror(errno));
    return p[1].revents == 0;
}

/* One read: bytes that came, 0 at the end of the input, or < 0. */
static ptrdiff_t
read_more(struct bs_frame_source *s)
{
    struct bs_buf *in = &s->in;
    ssize_t got;
    int r = make_room(s);

    if (r < 0)
        return r;
    do {
        r = wait_input(s);
        if (r < 0)
            return r;
        if (r == 0)
            return bs_err_set(&s->err, BS_EX_IO, "closed while reading");
        got = read(s->fd, in->data + in->len, in->room - in->len);
    } while (got < 0 && (errno == EINTR || errno == EAGAIN));
    if (got < 0)
        return bs_err_set(&s->err, BS_EX_IO, "%s", strerror(errno));
    in->len += (size_t)got;
    return got;
}

/* ---- frames -------------------------------------------------------------- */

/* Pass over n bytes.  1, or 0 with s->why set. */
static int
skip(struct bs_frame_source *s, size_t n)
{
    for (;;) {
        size_t have = s->in.len - s->start;
        ptrdiff_t got;

        s->start += n < have ? n : have;
        if (n <= have)
            return 1;
        n -= have;
        got = read_more(s);
        s->why = got == 0 ? BS_SOURCE_CUT : BS_SOURCE_FAILED;
        if (got <= 0)
            return 0;
    }
}

/* Walk until the next frame is there whole.  1, or 0 with s->why set. */
static int
find(struct bs_frame_source *s, struct bs_frame *f)
{
    for (;;) {
        size_t have = s->in.len - s->start;
        ptrdiff_t got;
        int r = bs_frame_walk(f, s->in.data + s->start, have, s->max_frame,
                              &s->err);

        if (r == BS_FRAME_WHOLE)
            return 1;
        if (r != BS_FRAME_SHORT) {
            s->why = r < 0 ? BS_SOURCE_FAILED : BS_SOURCE_ALIEN;
            return 0;
        }
        got = read_more(s);
        if (got <= 0) {
            s->why = got < 0     ? BS_SOURCE_FAILED
                     : have == 0 ? BS_SOURCE_EOF
                                 : BS_SOURCE_CUT;
            return 0;
        }
    }
}

/* The next frame with content into the ring.  1, or 0 when there is an end. */
static int
pass_on(struct bs_frame_source *s)
{
    struct bs_frame f = {0};
    struct bs_buf *content;

    if (!find(s, &f))
        return 0;
    if (f.skippable)
        return skip(s, f.at + f.skip);
    content = bs_ring_fill(s->ring);
    if (content == NULL)
        return 0;
    if (bs_frame_unpack(s->unpacker, &f, s->in.data + s->start, content,
                        &s->err) < 0) {
        s->why = BS_SOURCE_FAILED;
        return 0;
    }
    s->start += f.at;
    bs_ring_filled(s->ring, 0);
    return 1;
}

/* Enough of what is no frame to say what it looks like. */
static void
look_ahead(struct bs_frame_source *s)
{
    while (s->in.len - s->start < LOOK)
        if (read_more(s) <= 0)
            return;
}

static void *
run(void *arg)
{
    struct bs_frame_source *s = arg;

    while (pass_on(s))
        continue;
    if (s->why == BS_SOURCE_ALIEN)
        look_ahead(s);
    bs_ring_finish(s->ring);
    return NULL;
}

/* ---- public -------------------------------------------------------------- */

/* Signals are the business of the thread that runs the command. */
static int
start_thread(struct bs_frame_source *s, struct bs_err *e)
{
    sigset_t all, before;
    int r;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&s->thread, NULL, run, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0)
        return bs_err_set(e, BS_EX_OSERR, "cannot start a thread: %s",
                          strerror(r));
    s->running = true;
    return 0;
}

int
bs_frame_source_open(struct bs_frame_source **out, int fd, size_t max_frame,
                     const void *seen, size_t len, struct bs_err *e)
{
    struct bs_frame_source *s = bs_alloc_array(1, sizeof *s);
    int r = 0;

    *out = NULL;
    if (s == NULL)
        return bs_err_memory(e, "reader", sizeof *s);
    s->fd = fd;
    s->max_frame = max_frame;
    s->wake = eventfd(0, EFD_CLOEXEC);
    if (s->wake < 0)
        r = bs_err_errno(e, BS_EX_OSERR, "cannot make an event descriptor");
    if (r == 0)
        r = bs_buf_reserve(&s->in, INPUT_ROOM, e);
    if (r == 0)
        r = bs_buf_add(&s->in, seen, len, e);
    if (r == 0)
        r = bs_ring_open(&s->ring, e);
    if (r == 0)
        r = bs_unpacker_open(&s->unpacker, e);
    bs_pipe_widen(fd);
    if (r == 0)
        r = start_thread(s, e);
    if (r < 0)
        bs_frame_source_close(s);
    else
        *out = s;
    return r;
}

bool
bs_frame_source_wait(struct bs_frame_source *s)
{
    return bs_ring_wait(s->ring);
}

const struct bs_buf *
bs_frame_source_drain(struct bs_frame_source *s)
{
    int unused;

    return bs_ring_drain(s->ring, &unused);
}

void
bs_frame_source_drained(struct bs_frame_source *s)
{
    bs_ring_drained(s->ring);
}

enum bs_source_end
bs_frame_source_why(const struct bs_frame_source *s, struct bs_err *e)
{
    if (s->why == BS_SOURCE_FAILED)
        *e = s->err;
    return s->why;
}

const char *
bs_frame_source_looks_like(const struct bs_frame_source *s)
{
    static const struct {
        const char *what;
        size_t at;
        const char *bytes;
        size_t len;
    } known[] = {
        {"uncompressed safetensors", 8, "{\"", 2},
        {"tar", 257, "ustar", 5},
        {"npy", 0, "\x93NUMPY", 6},
        {"zip", 0, "PK\3\4", 4},
        {"gzip", 0, "\x1f\x8b", 2},
        {"xz", 0,
         "\xfd"
         "7zXZ",
         5},
        {"JPEG image", 0, "\xff\xd8\xff", 3},
        {"PNG image", 0, "\x89PNG", 4},
        {"JSON", 0, "{", 1},
    };
    const uint8_t *p = s->in.data + s->start;
    size_t have = s->in.len - s->start, i;

    for (i = 0; i < BS_LEN(known); i++)
        if (have >= known[i].at + known[i].len &&
            memcmp(p + known[i].at, known[i].bytes, known[i].len) == 0)
            return known[i].what;
    for (i = 0; i < have && (p[i] >= 0x20 || (p[i] >= 9 && p[i] <= 13)); i++)
        continue;
    return i == have ? "text" : NULL;
}

void
bs_frame_source_close(struct bs_frame_source *s)
{
    uint64_t one = 1;

    if (s == NULL)
        return;
    if (s->running) {
        bs_ring_stop(s->ring);
        /* cannot fail: the counter is far from full */
        if (write(s->wake, &one, sizeof one) == (ssize_t)sizeof one)
            pthread_join(s->thread, NULL);
    }
    if (s->wake >= 0)
        close(s->wake);
    bs_ring_close(s->ring);
    bs_unpacker_close(s->unpacker);
    bs_buf_release(&s->in);
    bs_free(s);
}
