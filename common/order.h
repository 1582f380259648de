/*
 * order.h - a bounded line of jobs worked on by several threads, whose results
 * come out in the order in which the jobs went in.
 *
 * One thread puts and takes (or one of each).  Memory: at most `room` jobs.
 */
#ifndef BS_COMMON_ORDER_H
#define BS_COMMON_ORDER_H

#include "common/bs.h"
#include "common/err.h"

struct bs_order;

/* Work on one job, on any thread. */
typedef void bs_order_fn(void *arg, void *job);

int bs_order_open(struct bs_order **out, unsigned threads, size_t room,
                  bs_order_fn *fn, void *arg, struct bs_err *e) BS_CHECKED;
/* True if a put would not have to wait for a take. */
bool bs_order_room(struct bs_order *o);
/* Hand a job over; waits while `room` jobs are inside. */
void bs_order_put(struct bs_order *o, void *job);
/* The oldest job, when its work is done; NULL where none is inside. */
void *bs_order_take(struct bs_order *o);
/* Waits for the workers; jobs still inside are passed to drop (if given). */
void bs_order_close(struct bs_order *o, void (*drop)(void *job));

#endif
