/*
 * stop.c - see stop.h.
 */
#include "common/stop.h"

#include "common/clock.h"

#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

/* Atomic, because any thread may ask; lock-free, because a handler sets it. */
static atomic_int stop_signal;
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "a handler may set an int");
static double stop_at; /* seconds of the monotonic clock; 0: no limit */

static void
on_signal(int number)
{
    stop_signal = number;
}

void
bs_stop_install(uint64_t seconds)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGALRM};
    struct sigaction act = {.sa_handler = on_signal};
    size_t i;

    /* Once: the second signal finds the default, and ends us at once.  No
     * SA_RESTART: a read that waits for input must wake up to be told. */
    act.sa_flags = (int)SA_RESETHAND;
    sigemptyset(&act.sa_mask);
    for (i = 0; i < BS_LEN(numbers); i++) {
        struct sigaction old;

        /* what was ignored (nohup, a background job) stays ignored */
        if (sigaction(numbers[i], NULL, &old) == 0 &&
            (old.sa_handler != SIG_IGN || numbers[i] == SIGALRM))
            sigaction(numbers[i], &act, NULL);
    }
    if (seconds > 0) {
        stop_at = bs_clock() + (double)seconds;
        alarm(seconds < 1u << 30 ? (unsigned)seconds : 1u << 30);
    }
}

bool
bs_stop_wanted(void)
{
    return stop_signal != 0 || (stop_at > 0 && bs_clock() >= stop_at);
}

const char *
bs_stop_reason(void)
{
    switch (atomic_load(&stop_signal)) {
    case SIGTERM:
        return "SIGTERM";
    case SIGINT:
        return "SIGINT";
    default:
        return bs_stop_wanted() ? "time limit" : NULL;
    }
}
