/*
 * clock.c - see clock.h.
 */
#include "common/clock.h"

#include "common/bs.h"

#include <time.h>

double
bs_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}
