/*
 * tap.h - TAP output for test programs written in C: plan at the end, exit
 * status 1 if anything failed.
 */
#ifndef BS_TESTS_TAP_H
#define BS_TESTS_TAP_H

#include <stdarg.h>
#include <stdio.h>

static int tap_count, tap_failed;

/* One test point; returns `good`. */
static inline int
ok(int good, const char *fmt, ...)
{
    va_list ap;

    tap_failed += !good;
    printf("%sok %d - ", good ? "" : "not ", ++tap_count);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
    return good;
}

static inline void
skip(const char *why)
{
    printf("ok %d # SKIP %s\n", ++tap_count, why);
}

static inline int
tap_done(void)
{
    printf("1..%d\n", tap_count);
    return tap_failed > 0;
}

#endif
