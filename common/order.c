/*
 * order.c - see order.h.  A ring of jobs under one lock: jobs are whole images,
 * so the lock is taken a few hundred times a second.
 */
#include "common/order.h"

#include <pthread.h>

#include "common/mem.h"

enum slot_state { WAITING, TAKEN, DONE };

struct slot {
    void *job;
    enum slot_state state;
};

struct bs_order {
    pthread_mutex_t lock;
    pthread_cond_t work, done, space;
    struct slot *ring;
    size_t room;
    size_t first;  /* the oldest job's place in the ring */
    size_t count;  /* jobs inside */
    size_t picked; /* of these, how many some worker has taken up */
    bool ending;
    bs_order_fn *fn;
    void *arg;
    unsigned threads;
    pthread_t *thread;
};

static void *
worker(void *p)
{
    struct bs_order *o = p;

    pthread_mutex_lock(&o->lock);
    for (;;) {
        struct slot *s;

        while (o->picked == o->count && !o->ending)
            pthread_cond_wait(&o->work, &o->lock);
        if (o->ending)
            break;
        s = &o->ring[(o->first + o->picked++) % o->room];
        s->state = TAKEN;
        pthread_mutex_unlock(&o->lock);
        o->fn(o->arg, s->job);
        pthread_mutex_lock(&o->lock);
        s->state = DONE;
        pthread_cond_broadcast(&o->done);
    }
    pthread_mutex_unlock(&o->lock);
    return NULL;
}

int
bs_order_open(struct bs_order **out, unsigned threads, size_t room,
              bs_order_fn *fn, void *arg, struct bs_err *e)
{
    struct bs_order *o = bs_alloc_array(1, sizeof *o);

    *out = NULL;
    if (o == NULL)
        return bs_err_memory(e, "job line", sizeof *o);
    o->room = room > 0 ? room : 1;
    o->fn = fn;
    o->arg = arg;
    o->ring = bs_alloc_array(o->room, sizeof *o->ring);
    o->thread = bs_alloc_array(threads, sizeof *o->thread);
    pthread_mutex_init(&o->lock, NULL);
    pthread_cond_init(&o->work, NULL);
    pthread_cond_init(&o->done, NULL);
    pthread_cond_init(&o->space, NULL);
    if (o->ring == NULL || o->thread == NULL) {
        bs_order_close(o, NULL);
        return bs_err_memory(e, "job line", o->room * sizeof *o->ring);
    }
    for (; o->threads < threads; o->threads++)
        if (pthread_create(&o->thread[o->threads], NULL, worker, o) != 0)
            break;
    if (o->threads == 0) {
        bs_order_close(o, NULL);
        return bs_err_set(e, BS_EX_OSERR, "cannot start a thread");
    }
    *out = o;
    return 0;
}

bool
bs_order_room(struct bs_order *o)
{
    bool room;

    pthread_mutex_lock(&o->lock);
    room = o->count < o->room;
    pthread_mutex_unlock(&o->lock);
    return room;
}

void
bs_order_put(struct bs_order *o, void *job)
{
    struct slot *s;

    pthread_mutex_lock(&o->lock);
    while (o->count == o->room)
        pthread_cond_wait(&o->space, &o->lock);
    s = &o->ring[(o->first + o->count++) % o->room];
    *s = (struct slot){.job = job, .state = WAITING};
    pthread_cond_signal(&o->work);
    pthread_mutex_unlock(&o->lock);
}

void *
bs_order_take(struct bs_order *o)
{
    void *job = NULL;

    pthread_mutex_lock(&o->lock);
    if (o->count > 0) {
        while (o->ring[o->first].state != DONE)
            pthread_cond_wait(&o->done, &o->lock);
        job = o->ring[o->first].job;
        o->first = (o->first + 1) % o->room;
        o->count--;
        o->picked--;
        pthread_cond_signal(&o->space);
    }
    pthread_mutex_unlock(&o->lock);
    return job;
}

void
bs_order_close(struct bs_order *o, void (*drop)(void *job))
{
    unsigned i;

    if (o == NULL)
        return;
    pthread_mutex_lock(&o->lock);
    o->ending = true;
    pthread_cond_broadcast(&o->work);
    pthread_mutex_unlock(&o->lock);
    for (i = 0; i < o->threads; i++)
        pthread_join(o->thread[i], NULL);
    for (; drop != NULL && o->count > 0; o->count--) {
        drop(o->ring[o->first].job);
        o->first = (o->first + 1) % o->room;
    }
    pthread_cond_destroy(&o->work);
    pthread_cond_destroy(&o->done);
    pthread_cond_destroy(&o->space);
    pthread_mutex_destroy(&o->lock);
    bs_free(o->ring);
    bs_free(o->thread);
    bs_free(o);
}
