/*
 * sae_hits.c - lists of hits: see sae_cpu.h.
 */
#include "kernels/sae_cpu.h"

#include "common/mem.h"

/* ---- a growing list --------------------------------------------------------
 */

bool
bs_hits_grow(struct bs_hits *h)
{
    size_t room = h->room > 0 ? 2 * h->room : 1024, bytes;
    struct bs_hit *at;

    if (!bs_mul(room, sizeof *at, &bytes))
        return false;
    at = bs_alloc(bytes);
    if (at == NULL)
        return false;
    if (h->n > 0)
        memcpy(at, h->at, h->n * sizeof *at);
    bs_free(h->at);
    h->at = at;
    h->room = room;
    return true;
}

void
bs_hits_add(struct bs_hits *h, const struct bs_hit *hit)
{
    if (h->n == h->room && !bs_hits_grow(h)) {
        h->failed = true;
        return;
    }
    h->at[h->n++] = *hit;
}

void
bs_hits_release(struct bs_hits *h)
{
    bs_free(h->at);
    *h = (struct bs_hits){0};
}

/* Positive floats have the order of their bits. */
static uint32_t
bits_of(float value)
{
    uint32_t bits;

    if (!(value > 0))
        return 0;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Byte by byte from the top: which value of this byte the one wanted has,
 * among those that agree with it so far. */
float
bs_hits_cut(const struct bs_hits *h, size_t top)
{
    uint32_t found = 0, mask = 0;
    float value;
    int shift;

    if (h->n < top)
        return 0;
    for (shift = 24; shift >= 0; shift -= 8) {
        size_t count[256] = {0}, i;
        uint32_t byte = 255;

        for (i = 0; i < h->n; i++) {
            uint32_t bits = bits_of(h->at[i].low);

            count[bits >> shift & 255] += (bits & mask) == found;
        }
        for (; count[byte] < top; byte--)
            top -= count[byte];
        found |= byte << shift;
        mask |= (uint32_t)255 << shift;
    }
    memcpy(&value, &found, sizeof value);
    return value;
}

void
bs_hits_drop(struct bs_hits *h, float cut)
{
    size_t i, n = 0;

    for (i = 0; i < h->n; i++)
        if (h->at[i].high >= cut)
            h->at[n++] = h->at[i];
    h->n = n;
}

/* Whether a comes behind b. */
static bool
behind(const struct bs_hit *a, const struct bs_hit *b)
{
    return a->high < b->high || (a->high == b->high && a->idx > b->idx);
}

/* Restore the heap, hindmost first, below place i. */
static void
sift(struct bs_hit *at, size_t i, size_t n)
{
    struct bs_hit moved = at[i];
    size_t child;

    for (; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && behind(&at[child + 1], &at[child]))
            child++;
        if (!behind(&at[child], &moved))
            break;
        at[i] = at[child];
    }
    at[i] = moved;
}

void
bs_hits_sort(struct bs_hit *at, size_t n)
{
    size_t i;

    for (i = n / 2; i-- > 0;)
        sift(at, i, n);
    for (i = n; i-- > 1;) {
        struct bs_hit last = at[0];

        at[0] = at[i];
        at[i] = last;
        sift(at, 0, i);
    }
}

/* ---- a bounded list --------------------------------------------------------
 */

#define ROOM(top) (2 * (top) + 64)

size_t
bs_picks_bytes(size_t top)
{
    return BS_ROUND_UP(top * sizeof(float), BS_ALIGN) +
           BS_ROUND_UP(ROOM(top) * sizeof(struct bs_hit), BS_ALIGN);
}

void
bs_picks_init(struct bs_picks *p, size_t top, void *memory)
{
    *p = (struct bs_picks){
        .low = memory,
        .at = (void *)((char *)memory +
                       BS_ROUND_UP(top * sizeof(float), BS_ALIGN)),
    };
}

static void
low_add(struct bs_picks *p, size_t top, float low)
{
    size_t i, up, child;

    if (p->lows < top) {
        for (i = p->lows++; i > 0; i = up) {
            up = (i - 1) / 2;
            if (p->low[up] <= low)
                break;
            p->low[i] = p->low[up];
        }
        p->low[i] = low;
        return;
    }
    if (!(low > p->low[0]))
        return;
    for (i = 0; (child = 2 * i + 1) < top; i = child) {
        child += child + 1 < top && p->low[child + 1] < p->low[child];
        if (p->low[child] >= low)
            break;
        p->low[i] = p->low[child];
    }
    p->low[i] = low;
}

static void
raise_cut(struct bs_picks *p, size_t top, float low)
{
    low_add(p, top, low);
    if (p->lows == top && p->low[0] > p->cut)
        p->cut = p->low[0];
}

bool
bs_picks_room(struct bs_picks *p, size_t top)
{
    struct bs_hits all = {p->at, p->n, ROOM(top), false};

    if (all.n < all.room)
        return true;
    bs_hits_drop(&all, p->cut);
    p->n = all.n;
    return all.n <= all.room - all.room / 8;
}

void
bs_picks_add(struct bs_picks *p, size_t top, const struct bs_hit *hit)
{
    raise_cut(p, top, hit->low);
    p->at[p->n++] = *hit;
}

/* What is among the `top` largest of the lower bounds was never dropped. */
void
bs_picks_again(struct bs_picks *p, size_t top)
{
    size_t i;

    p->lows = 0;
    for (i = 0; i < p->n; i++)
        raise_cut(p, top, p->at[i].low);
}
