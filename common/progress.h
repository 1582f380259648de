/*
 * progress.h - a line on stderr that says how far the work is.
 *
 * Silent unless stderr is a terminal or --progress asked for it; first after a
 * second, then at most six a second (on a terminal, redrawn in place) or one in
 * ten seconds (in a log).  SIGUSR1 prints a line at any time.
 */
#ifndef BS_COMMON_PROGRESS_H
#define BS_COMMON_PROGRESS_H

#include "common/bs.h"

struct bs_progress {
    const char *unit; /* "images" */
    uint64_t total;   /* 0: not known */
    uint64_t done;
    uint64_t before; /* of these, done before the start */
    char note[100];  /* shown behind the rest */
    bool shown, terminal, on;
    double start, last;
};

/* mode: 1 always, 0 never, -1 only on a terminal. */
void bs_progress_start(struct bs_progress *p, const char *unit, uint64_t total,
                       int mode);
/* What an earlier run did counts, but not for the rate. */
void bs_progress_before(struct bs_progress *p, uint64_t done);
/* What to say besides, until it is said anew: "loss 0.41". */
void bs_progress_note(struct bs_progress *p, const char *fmt, ...)
    BS_PRINTF(2, 3);
void bs_progress_step(struct bs_progress *p, uint64_t done);
/* Clears the line; with -v prints what was done and how fast. */
void bs_progress_end(struct bs_progress *p);

#endif
