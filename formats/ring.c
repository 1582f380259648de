/*
 * ring.c - see ring.h.
 */
#include "formats/ring.h"

#include "common/stop.h"

#include <pthread.h>
#include <time.h>

enum { BUFFERS = 3, LOOK_MS = 100 };

struct bs_ring {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    size_t filled, drained; /* buffers, ever */
    bool finished, stopped;
    struct bs_buf buf[BUFFERS];
    int tag[BUFFERS];
};

int
bs_ring_open(struct bs_ring **out, struct bs_err *e)
{
    struct bs_ring *r = bs_alloc_array(1, sizeof *r);

    *out = r;
    if (r == NULL)
        return bs_err_memory(e, "ring", sizeof *r);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->moved, NULL);
    return 0;
}

struct bs_buf *
bs_ring_fill(struct bs_ring *r)
{
    struct bs_buf *b = NULL;

    pthread_mutex_lock(&r->lock);
    while (r->filled - r->drained == BUFFERS && !r->stopped)
        pthread_cond_wait(&r->moved, &r->lock);
    if (!r->stopped)
        b = &r->buf[r->filled % BUFFERS];
    pthread_mutex_unlock(&r->lock);
    if (b != NULL)
        b->len = 0;
    return b;
}

struct bs_buf *
bs_ring_drain(struct bs_ring *r, int *tag)
{
    struct bs_buf *b = NULL;

    pthread_mutex_lock(&r->lock);
    while (r->filled == r->drained && !r->finished)
        pthread_cond_wait(&r->moved, &r->lock);
    if (r->filled != r->drained) {
        b = &r->buf[r->drained % BUFFERS];
        *tag = r->tag[r->drained % BUFFERS];
    }
    pthread_mutex_unlock(&r->lock);
    return b;
}

/* A signal handler cannot wake a condition, so look from time to time. */
static void
wait_a_little(struct bs_ring *r)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += LOOK_MS * 1000000L;
    if (t.tv_nsec >= 1000000000L) {
        t.tv_nsec -= 1000000000L;
        t.tv_sec++;
    }
    pthread_cond_timedwait(&r->moved, &r->lock, &t);
}

bool
bs_ring_wait(struct bs_ring *r)
{
    bool ready;

    pthread_mutex_lock(&r->lock);
    while (r->filled == r->drained && !r->finished && !bs_stop_wanted())
        wait_a_little(r);
    ready = r->filled != r->drained || r->finished;
    pthread_mutex_unlock(&r->lock);
    return ready;
}

/* Change one of the ring's fields and tell the other thread. */
#define RING_CHANGE(r, statement)         \
    do {                                  \
        pthread_mutex_lock(&(r)->lock);   \
        statement;                        \
        pthread_cond_signal(&(r)->moved); \
        pthread_mutex_unlock(&(r)->lock); \
    } while (0)

void
bs_ring_filled(struct bs_ring *r, int tag)
{
    RING_CHANGE(r, r->tag[r->filled++ % BUFFERS] = tag);
}

void
bs_ring_drained(struct bs_ring *r)
{
    RING_CHANGE(r, r->drained++);
}

void
bs_ring_finish(struct bs_ring *r)
{
    RING_CHANGE(r, r->finished = true);
}

void
bs_ring_stop(struct bs_ring *r)
{
    RING_CHANGE(r, r->stopped = true);
}

void
bs_ring_close(struct bs_ring *r)
{
    size_t i;

    if (r == NULL)
        return;
    for (i = 0; i < BUFFERS; i++)
        bs_buf_release(&r->buf[i]);
    pthread_cond_destroy(&r->moved);
    pthread_mutex_destroy(&r->lock);
    bs_free(r);
}
