/*
 * pool.h - data-parallel loops over a fixed set of threads.
 *
 * Chunks are taken from an atomic counter, so a core that the host takes away
 * does not hold the others up; waiting threads spin shortly, then sleep on a
 * futex.  Which thread runs a chunk is not defined: fn must give the same
 * result on any of them.
 */
#ifndef BS_COMMON_POOL_H
#define BS_COMMON_POOL_H

#include "common/bs.h"
#include "common/err.h"

struct bs_pool;

/* fn(arg, chunk, thread): chunk is 0..chunks-1, thread 0..threads-1. */
typedef void bs_pool_fn(void *arg, size_t chunk, unsigned thread);

/* Processors that this process may run on (its affinity mask). */
unsigned bs_pool_processors(void);

/*
 * A pool of `threads` threads, the caller counted in; 0 means one a processor.
 * 0, or -BS_EX_OSERR with *out NULL.
 */
int bs_pool_open(struct bs_pool **out, unsigned threads,
                 struct bs_err *e) BS_CHECKED;
unsigned bs_pool_threads(const struct bs_pool *p);

/* Run fn for every chunk and return when all are done.  Not reentrant: fn must
 * not call it, and one thread at a time may. */
void bs_pool_run(struct bs_pool *p, size_t chunks, bs_pool_fn *fn, void *arg);

/* Ends the threads; NULL is fine. */
void bs_pool_close(struct bs_pool *p);

#endif
