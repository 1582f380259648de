/*
 * ring.h - a few buffers that pass from one thread to another and back.
 *
 * One thread fills, one drains.  A buffer keeps its memory from turn to turn,
 * so that in the steady state nothing is allocated.
 */
#ifndef BS_FORMATS_RING_H
#define BS_FORMATS_RING_H

#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"

struct bs_ring;

int bs_ring_open(struct bs_ring **out, struct bs_err *e) BS_CHECKED;

/* The filling thread: an empty buffer, waited for; NULL once the draining
 * thread has given up.  bs_ring_filled passes it on, with a number for the
 * other side. */
struct bs_buf *bs_ring_fill(struct bs_ring *r);
void bs_ring_filled(struct bs_ring *r, int tag);
/* No more will come. */
void bs_ring_finish(struct bs_ring *r);

/* The draining thread: the oldest full buffer, waited for; NULL when there is
 * none and none will come.  bs_ring_drained gives it back. */
struct bs_buf *bs_ring_drain(struct bs_ring *r, int *tag);
/* True once a buffer is full or none will come; false if bs_stop_wanted()
 * turns true first. */
bool bs_ring_wait(struct bs_ring *r);
void bs_ring_drained(struct bs_ring *r);
/* Wants no more: wakes the filling thread. */
void bs_ring_stop(struct bs_ring *r);

/* When both threads are done with it. */
void bs_ring_close(struct bs_ring *r);

#endif
