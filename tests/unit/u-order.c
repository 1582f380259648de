/*
 * u-order.c - jobs come out in the order they went in, whatever the threads.
 */
#include "common/order.h"

#include <sched.h>

#include "tests/unit/tap.h"

enum { JOBS = 2000 };

struct job {
    unsigned number;
    unsigned result;
    bool dropped;
};

static void
work(void *arg, void *p)
{
    struct job *job = p;
    unsigned i, spin = job->number * 2654435761u >> 24;

    for (i = 0; i < spin; i++)
        sched_yield();
    job->result = job->number * 3 + *(unsigned *)arg;
}

static void
drop(void *p)
{
    ((struct job *)p)->dropped = true;
}

static void
run(unsigned threads, size_t room)
{
    static struct job jobs[JOBS];
    unsigned arg = 5, put = 0, taken = 0, wrong = 0;
    struct bs_err e = {0};
    struct bs_order *o;

    if (bs_order_open(&o, threads, room, work, &arg, &e) < 0) {
        ok(0, "open: %s", e.text);
        return;
    }
    ok(bs_order_take(o) == NULL, "nothing to take from an empty line");
    while (taken < JOBS) {
        struct job *job;

        while (put < JOBS && bs_order_room(o)) {
            jobs[put].number = put;
            bs_order_put(o, &jobs[put++]);
        }
        job = bs_order_take(o);
        wrong += job != &jobs[taken] || job->result != taken * 3 + 5;
        taken++;
    }
    ok(wrong == 0, "%u threads, room for %zu: results in order", threads, room);
    bs_order_close(o, drop);
}

int
main(void)
{
    static struct job left[3];
    unsigned arg = 0, i, dropped = 0;
    struct bs_err e = {0};
    struct bs_order *o;

    run(1, 1);
    run(1, 8);
    run(3, 2);
    run(4, 16);
    if (bs_order_open(&o, 2, 8, work, &arg, &e) < 0)
        return 1;
    for (i = 0; i < BS_LEN(left); i++)
        bs_order_put(o, &left[i]);
    bs_order_close(o, drop);
    for (i = 0; i < BS_LEN(left); i++)
        dropped += left[i].dropped;
    ok(dropped == BS_LEN(left), "a closed line drops what is inside");
    bs_order_close(NULL, NULL);
    return tap_done();
}
