/*
 * tally.c - see tally.h.  Open addressing with linear probing, at most two
 * thirds full.
 */
#include "cmd/models/tally.h"

#include "common/mem.h"
#include "formats/digest.h"

struct bs_identity
bs_identity_of(const void *data, size_t len)
{
    return (struct bs_identity){bs_xxh64(data, len, 0), bs_xxh64(data, len, 1)};
}

struct bs_identity
bs_identity_of_sha256(const char *hex)
{
    struct bs_identity id = {0};
    size_t i;

    for (i = 0; i < 32; i++) {
        uint64_t *half = i < 16 ? &id.a : &id.b;
        unsigned c = (unsigned char)hex[i];

        *half = *half << 4 | (c >= 'a' ? c - 'a' + 10 : c - '0');
    }
    return id;
}

/* The slot of id, or the free one where it belongs; room must not be 0. */
static struct bs_tally_slot *
find(const struct bs_tally *t, struct bs_identity id)
{
    size_t i = id.a & (t->room - 1);

    while (t->slot[i].count > 0 &&
           (t->slot[i].id.a != id.a || t->slot[i].id.b != id.b))
        i = (i + 1) & (t->room - 1);
    return &t->slot[i];
}

uint64_t
bs_tally_count(const struct bs_tally *t, struct bs_identity id)
{
    return t->room > 0 ? find(t, id)->count : 0;
}

static int
grow(struct bs_tally *t, struct bs_err *e)
{
    struct bs_tally bigger = {.room = t->room > 0 ? 2 * t->room : 1024,
                              .used = t->used};
    size_t i;

    bigger.slot = bs_alloc_array(bigger.room, sizeof *bigger.slot);
    if (bigger.slot == NULL)
        return bs_err_memory(e, "table of keys",
                             bigger.room * sizeof *bigger.slot);
    for (i = 0; i < t->room; i++)
        if (t->slot[i].count > 0)
            *find(&bigger, t->slot[i].id) = t->slot[i];
    bs_tally_release(t);
    *t = bigger;
    return 0;
}

int
bs_tally_set(struct bs_tally *t, struct bs_identity id, uint64_t count,
             struct bs_err *e)
{
    struct bs_tally_slot *s;
    int r = t->used >= t->room / 3 * 2 ? grow(t, e) : 0;

    if (r < 0)
        return r;
    s = find(t, id);
    t->used += s->count == 0;
    *s = (struct bs_tally_slot){id, count};
    return 0;
}

void
bs_tally_release(struct bs_tally *t)
{
    bs_free(t->slot);
    *t = (struct bs_tally){0};
}
