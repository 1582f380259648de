/*
 * arena.c - see arena.h.  Blocks double up to 1 MiB, so that small documents
 * cost one allocation and large ones few.
 */
#include "formats/arena.h"

#include "common/mem.h"

enum { FIRST_BLOCK = 2048, LARGEST_BLOCK = 1 << 20, GRAIN = 8 };

struct bs_arena_block {
    struct bs_arena_block *before;
    size_t used, room;
    uint64_t bytes[];
};

static struct bs_arena_block *
block_new(struct bs_arena *a, size_t bytes)
{
    size_t room = a->last != NULL ? a->last->room * 2 : FIRST_BLOCK, all;
    struct bs_arena_block *b;

    if (room > LARGEST_BLOCK)
        room = LARGEST_BLOCK;
    if (room < bytes)
        room = bytes;
    if (!bs_add(room, sizeof *b, &all))
        return NULL;
    b = bs_alloc(all);
    if (b == NULL)
        return NULL;
    b->before = a->last;
    b->used = 0;
    b->room = room;
    a->last = b;
    return b;
}

void *
bs_arena_alloc(struct bs_arena *a, size_t bytes)
{
    struct bs_arena_block *b = a->last;
    void *p;

    if (bytes > SIZE_MAX - GRAIN)
        return NULL;
    bytes = BS_ROUND_UP(bytes, (size_t)GRAIN);
    if (b == NULL || b->room - b->used < bytes)
        b = block_new(a, bytes);
    if (b == NULL)
        return NULL;
    p = (char *)b->bytes + b->used;
    b->used += bytes;
    return p;
}

char *
bs_arena_text(struct bs_arena *a, const char *s, size_t len)
{
    char *copy = bs_arena_alloc(a, len + 1);

    if (copy != NULL) {
        memcpy(copy, s, len);
        copy[len] = '\0';
    }
    return copy;
}

void
bs_arena_release(struct bs_arena *a)
{
    while (a->last != NULL) {
        struct bs_arena_block *before = a->last->before;

        bs_free(a->last);
        a->last = before;
    }
}
