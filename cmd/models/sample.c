/*
 * sample.c - see sample.h.  A heap with the greatest hash on top.
 */
#include "cmd/models/sample.h"

#include "formats/digest.h"

int
bs_sample_open(struct bs_sample *s, uint64_t most, uint64_t seed,
               struct bs_err *e)
{
    *s = (struct bs_sample){.seed = seed, .spool = {.fd = -1}};
    s->most = most < SIZE_MAX ? (size_t)most : SIZE_MAX;
    return bs_spool_open(&s->spool, e);
}

/* By hash; of equal ones the later is the greater. */
static bool
greater(const struct bs_drawn *a, const struct bs_drawn *b)
{
    return a->hash != b->hash ? a->hash > b->hash : a->order > b->order;
}

static void
swap(struct bs_drawn *a, struct bs_drawn *b)
{
    struct bs_drawn t = *a;

    *a = *b;
    *b = t;
}

static void
sift_up(struct bs_drawn *heap, size_t i)
{
    for (; i > 0 && greater(&heap[i], &heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&heap[i], &heap[(i - 1) / 2]);
}

static void
sift_down(struct bs_drawn *heap, size_t n)
{
    size_t i = 0, child;

    for (; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && greater(&heap[child + 1], &heap[child]))
            child++;
        if (!greater(&heap[child], &heap[i]))
            break;
        swap(&heap[child], &heap[i]);
    }
}

static int
grow(struct bs_sample *s, struct bs_err *e)
{
    size_t room = s->room > 0 ? s->room * 2 : 1024;
    struct bs_drawn *more;

    if (s->count < s->room)
        return 0;
    more = bs_alloc_array(room, sizeof *more);
    if (more == NULL)
        return bs_err_memory(e, "sample", room * sizeof *more);
    if (s->count > 0)
        memcpy(more, s->drawn, s->count * sizeof *more);
    bs_free(s->drawn);
    s->drawn = more;
    s->room = room;
    return 0;
}

int
bs_sample_offer(struct bs_sample *s, const char *key, uint64_t segment,
                const uint8_t *bytes, size_t len, struct bs_err *e)
{
    struct bs_drawn d = {.hash = bs_xxh64(key, strlen(key), s->seed),
                         .order = s->offered++,
                         .len = len,
                         .segment = segment};
    bool full = s->count == s->most;
    int r;

    if (s->most == 0 || (full && greater(&d, &s->drawn[0])))
        return 0;
    r = bs_spool_add(&s->spool, bytes, len, &d.at, e);
    if (r == 0 && !full)
        r = grow(s, e);
    if (r < 0)
        return r;
    if (full) {
        s->drawn[0] = d;
        sift_down(s->drawn, s->count);
    } else {
        s->drawn[s->count] = d;
        sift_up(s->drawn, s->count++);
    }
    return 0;
}

static int
by_order(const void *a, const void *b)
{
    const struct bs_drawn *x = a, *y = b;

    return x->order < y->order ? -1 : x->order > y->order;
}

void
bs_sample_sort(struct bs_sample *s)
{
    if (s->count > 0)
        qsort(s->drawn, s->count, sizeof *s->drawn, by_order);
}

void
bs_sample_close(struct bs_sample *s)
{
    bs_spool_close(&s->spool);
    bs_free(s->drawn);
    s->drawn = NULL;
}
