/*
 * u-pool.c - every chunk runs once, on a thread of the pool, and its writes
 * are seen by the caller; under jobs of any size and threads of any count.
 */
#include "common/pool.h"

#include "common/mem.h"
#include "tests/unit/tap.h"

#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#define MAX_CHUNKS 5000

struct tally {
    unsigned runs[MAX_CHUNKS]; /* plain: a chunk is one thread's */
    atomic_uint bad_thread;
    unsigned threads;
};

static void
count(void *arg, size_t chunk, unsigned thread)
{
    struct tally *t = arg;

    t->runs[chunk]++;
    if (thread >= t->threads)
        atomic_fetch_add(&t->bad_thread, 1);
}

static int
runs_all(struct bs_pool *p, struct tally *t, size_t chunks)
{
    size_t i;
    int good = 1;

    memset(t, 0, sizeof *t);
    t->threads = bs_pool_threads(p);
    bs_pool_run(p, chunks, count, t);
    for (i = 0; i < MAX_CHUNKS; i++)
        good &= t->runs[i] == (i < chunks);
    return good && atomic_load(&t->bad_thread) == 0;
}

static void
test_chunks(unsigned threads)
{
    static const size_t sizes[] = {0, 1, 2, 3, 4, 5, 31, 1000, MAX_CHUNKS};
    struct tally *t = bs_alloc(sizeof *t);
    struct bs_err e = {0};
    struct bs_pool *p;
    size_t i;

    if (!ok(t != NULL && bs_pool_open(&p, threads, &e) == 0,
            "open a pool of %u", threads))
        return;
    ok(threads == 0 ? bs_pool_threads(p) == bs_pool_processors()
                    : bs_pool_threads(p) == threads,
       "it has its threads");
    for (i = 0; i < BS_LEN(sizes); i++)
        ok(runs_all(p, t, sizes[i]), "%u threads, %zu chunks: each once",
           threads, sizes[i]);
    bs_pool_close(p);
    bs_free(t);
}

static void
pause_ns(long ns)
{
    struct timespec t = {0, ns};

    nanosleep(&t, NULL);
}

/* Jobs one after another, with pauses that let the workers fall asleep or
 * catch them in the middle of it. */
static void
test_many_jobs(unsigned threads, int jobs)
{
    struct tally *t = bs_alloc(sizeof *t);
    struct bs_err e = {0};
    struct bs_pool *p;
    int i, good = 1;

    if (!ok(t != NULL && bs_pool_open(&p, threads, &e) == 0, "open"))
        return;
    for (i = 0; i < jobs; i++) {
        good &= runs_all(p, t, (size_t)i % 17);
        if (i % 50 == 0)
            pause_ns(i % 100 == 0 ? 100000 : 20000);
    }
    ok(good, "%d small jobs on %u threads", jobs, threads);
    bs_pool_close(p);
    bs_free(t);
}

static void
sleepy(void *arg, size_t chunk, unsigned thread)
{
    unsigned *sum = arg;

    if (thread == 0 || chunk % 3 == 0)
        pause_ns(300000);
    sum[chunk] = (unsigned)chunk + 1;
}

/* The caller is done before the others: it must wait for them. */
static void
test_uneven(void)
{
    unsigned sum[24] = {0}, i;
    struct bs_err e = {0};
    struct bs_pool *p;
    int round, good = 1;

    if (!ok(bs_pool_open(&p, 4, &e) == 0, "open"))
        return;
    for (round = 0; round < 5; round++) {
        memset(sum, 0, sizeof sum);
        bs_pool_run(p, BS_LEN(sum), sleepy, sum);
        for (i = 0; i < BS_LEN(sum); i++)
            good &= sum[i] == i + 1;
    }
    ok(good, "chunks of uneven length are all waited for");
    bs_pool_close(p);
}

static void
test_affinity(void)
{
    cpu_set_t all, one;
    int i;

    if (sched_getaffinity(0, sizeof all, &all) != 0) {
        skip("the affinity mask is larger than a cpu_set_t");
        return;
    }
    ok(bs_pool_processors() == (unsigned)CPU_COUNT(&all),
       "processors are those of the affinity mask");
    for (i = 0; !CPU_ISSET(i, &all); i++)
        ;
    CPU_ZERO(&one);
    CPU_SET(i, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0) {
        skip("the affinity mask cannot be changed");
        return;
    }
    ok(bs_pool_processors() == 1, "a mask of one processor: one");
    test_chunks(0);
    test_many_jobs(3, 200);
    ok(sched_setaffinity(0, sizeof all, &all) == 0, "mask restored");
}

int
main(void)
{
    unsigned threads;

    for (threads = 0; threads <= 4; threads++)
        test_chunks(threads);
    test_chunks(64);
    test_many_jobs(2, 3000);
    test_many_jobs(4, 1000);
    test_uneven();
    test_affinity();
    bs_pool_close(NULL);
    ok(1, "closing no pool is fine");
    return tap_done();
}
