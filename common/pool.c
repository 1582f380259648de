/*
 * pool.c - see pool.h.
 *
 * A job is open while its chunks are handed out.  A worker enters an open job,
 * takes chunks until none is left, and leaves; the caller does the same, then
 * closes the job and waits for those inside.  A worker that wakes up late
 * finds the job closed and is not waited for.  `state` counts the workers
 * inside and holds the two flags, so that entering and closing exclude each
 * other in one atomic step, and the job's fields change only while it is
 * closed and empty.
 */
#include "common/pool.h"

#include "common/clock.h"
#include "common/mem.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CLOSED 0x80000000u  /* no one may enter */
#define WAITING 0x40000000u /* the caller sleeps until the last one leaves */

#define INSIDE 0x3fffffffu /* how many are in */

#define SPIN_SECONDS 20e-6
#define MAX_THREADS 1024

struct worker {
    struct bs_pool *pool;
    pthread_t thread;
    unsigned number;
};

struct bs_pool {
    _Alignas(64) atomic_size_t next; /* the first chunk not handed out */
    _Alignas(64) atomic_uint state;
    _Alignas(64) atomic_uint job; /* counts jobs; idle workers watch it */
    atomic_uint sleepers;
    atomic_bool stop;
    size_t chunks;
    bs_pool_fn *fn;
    void *arg;
    unsigned threads, started;
    bool spin;
    struct worker *worker;
};

static void
futex_wait(atomic_uint *word, unsigned expected)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void
futex_wake(atomic_uint *word, int count)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

static void
relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

/* Wait shortly for *word to change from `value`; returns what was seen last. */
static unsigned
spin_while(const struct bs_pool *p, atomic_uint *word, unsigned value)
{
    unsigned seen = atomic_load(word);
    double end;
    int i;

    if (!p->spin || seen != value)
        return seen;
    end = bs_clock() + SPIN_SECONDS;
    do {
        for (i = 0; i < 64; i++) {
            seen = atomic_load_explicit(word, memory_order_acquire);
            if (seen != value)
                return seen;
            relax();
        }
    } while (bs_clock() < end);
    return seen;
}

unsigned
bs_pool_processors(void)
{
    size_t count;
    int n = 0;

    /* The kernel refuses a set smaller than its own. */
    for (count = 1024; count <= 1 << 20 && n == 0; count *= 4) {
        size_t size = CPU_ALLOC_SIZE(count);
        cpu_set_t *set = CPU_ALLOC(count);

        if (set == NULL)
            break;
        if (sched_getaffinity(0, size, set) == 0)
            n = CPU_COUNT_S(size, set);
        CPU_FREE(set);
    }
    return n > 0 ? (unsigned)n : 1;
}

static void
take_chunks(struct bs_pool *p, unsigned thread)
{
    size_t chunk;

    for (;;) {
        chunk = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
        if (chunk >= p->chunks)
            return;
        p->fn(p->arg, chunk, thread);
    }
}

static bool
enter(struct bs_pool *p)
{
    unsigned state = atomic_load(&p->state);

    while ((state & CLOSED) == 0)
        if (atomic_compare_exchange_weak(&p->state, &state, state + 1))
            return true;
    return false;
}

static void
leave(struct bs_pool *p)
{
    if (atomic_fetch_sub(&p->state, 1) == (CLOSED | WAITING) + 1)
        futex_wake(&p->state, 1);
}

/* Sleep until a job other than `seen` is there. */
static unsigned
next_job(struct bs_pool *p, unsigned seen)
{
    unsigned job = spin_while(p, &p->job, seen);

    while (job == seen) {
        atomic_fetch_add(&p->sleepers, 1);
        futex_wait(&p->job, seen);
        atomic_fetch_sub(&p->sleepers, 1);
        job = atomic_load(&p->job);
    }
    return job;
}

static void *
work(void *arg)
{
    struct worker *w = arg;
    struct bs_pool *p = w->pool;
    unsigned seen = 0;

    for (;;) {
        seen = next_job(p, seen);
        if (atomic_load(&p->stop))
            return NULL;
        if (enter(p)) {
            take_chunks(p, w->number);
            leave(p);
        }
    }
}

/* Tell `count` workers that something is new. */
static void
announce(struct bs_pool *p, int count)
{
    atomic_fetch_add(&p->job, 1);
    if (atomic_load(&p->sleepers) > 0)
        futex_wake(&p->job, count);
}

/* Nobody enters any more; wait for those inside. */
static void
finish_job(struct bs_pool *p)
{
    unsigned state = atomic_fetch_or(&p->state, CLOSED) | CLOSED;

    while ((state & INSIDE) != 0) {
        state = spin_while(p, &p->state, state);
        if ((state & INSIDE) != 0)
            state = atomic_fetch_or(&p->state, WAITING) | WAITING;
        if ((state & INSIDE) != 0) {
            futex_wait(&p->state, state);
            state = atomic_load(&p->state);
        }
    }
    atomic_store(&p->state, CLOSED);
}

void
bs_pool_run(struct bs_pool *p, size_t chunks, bs_pool_fn *fn, void *arg)
{
    size_t chunk;

    if (chunks <= 1 || p->threads == 1) {
        for (chunk = 0; chunk < chunks; chunk++)
            fn(arg, chunk, 0);
        return;
    }
    p->chunks = chunks;
    p->fn = fn;
    p->arg = arg;
    atomic_store(&p->next, 0);
    atomic_store(&p->state, 0);
    announce(p, chunks - 1 < p->threads ? (int)chunks - 1 : INT_MAX);
    take_chunks(p, 0);
    finish_job(p);
}

unsigned
bs_pool_threads(const struct bs_pool *p)
{
    return p->threads;
}

void
bs_pool_close(struct bs_pool *p)
{
    unsigned i;

    if (p == NULL)
        return;
    atomic_store(&p->stop, true);
    announce(p, INT_MAX);
    for (i = 0; i < p->started; i++)
        pthread_join(p->worker[i].thread, NULL);
    bs_free(p->worker);
    bs_free(p);
}

/* Start the workers, with every signal blocked: handlers run in the threads
 * of the program. */
static int
start(struct bs_pool *p)
{
    sigset_t all, old;
    int r = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (p->started < p->threads - 1 && r == 0) {
        struct worker *w = &p->worker[p->started];

        w->pool = p;
        w->number = p->started + 1;
        r = pthread_create(&w->thread, NULL, work, w);
        if (r == 0)
            p->started++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return r;
}

int
bs_pool_open(struct bs_pool **out, unsigned threads, struct bs_err *e)
{
    unsigned processors = bs_pool_processors();
    struct bs_pool *p = bs_alloc_array(1, sizeof *p);
    int r;

    *out = NULL;
    if (p == NULL)
        return bs_err_memory(e, "thread pool", sizeof *p);
    p->threads = threads > 0 ? threads : processors;
    if (p->threads > MAX_THREADS)
        p->threads = MAX_THREADS;
    p->spin = p->threads <= processors;
    atomic_store(&p->state, CLOSED);
    p->worker = bs_alloc_array(p->threads, sizeof *p->worker);
    if (p->worker == NULL) {
        bs_pool_close(p);
        return bs_err_memory(e, "thread pool", sizeof *p->worker);
    }
    r = start(p);
    if (r != 0) {
        bs_pool_close(p);
        errno = r;
        return bs_err_errno(e, BS_EX_OSERR, "cannot start a thread");
    }
    *out = p;
    return 0;
}
