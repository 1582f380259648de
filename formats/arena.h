/*
 * arena.h - many small allocations that are freed at once.
 *
 * Ownership: everything lives until bs_arena_release.
 */
#ifndef BS_FORMATS_ARENA_H
#define BS_FORMATS_ARENA_H

#include "common/bs.h"

struct bs_arena_block;

/* Zero-initialised means empty. */
struct bs_arena {
    struct bs_arena_block *last;
};

/* `bytes` bytes at a multiple of 8, not cleared, or NULL. */
void *bs_arena_alloc(struct bs_arena *a, size_t bytes) BS_CHECKED;
/* Copy of len bytes with a NUL behind them, or NULL. */
char *bs_arena_text(struct bs_arena *a, const char *s, size_t len) BS_CHECKED;
void bs_arena_release(struct bs_arena *a);

#endif
