/*
 * keyset.c - see keyset.h.  Open addressing with linear probing, at most half
 * full.
 */
#include "formats/keyset.h"

#include "formats/digest.h"

enum { ROOM_LEAST = 64 };

struct bs_keyset_slot {
    uint64_t hash, number;
    size_t at; /* of the key in `text`, plus 1; 0: free */
};

/* The key's slot, or the free one where it would go. */
static struct bs_keyset_slot *
probe(const struct bs_keyset *k, const char *key, uint64_t hash)
{
    size_t i = hash & (k->room - 1);

    while (k->slot[i].at != 0 &&
           (k->slot[i].hash != hash ||
            strcmp((const char *)k->text.data + k->slot[i].at - 1, key) != 0))
        i = (i + 1) & (k->room - 1);
    return &k->slot[i];
}

static int
grow(struct bs_keyset *k, struct bs_err *e)
{
    size_t room = k->room > 0 ? k->room * 2 : ROOM_LEAST, i, j;
    struct bs_keyset_slot *slot = bs_alloc_array(room, sizeof *slot);

    if (slot == NULL)
        return bs_err_memory(e, "keys", room * sizeof *slot);
    for (i = 0; i < k->room; i++) {
        if (k->slot[i].at == 0)
            continue;
        for (j = k->slot[i].hash & (room - 1); slot[j].at != 0;)
            j = (j + 1) & (room - 1);
        slot[j] = k->slot[i];
    }
    bs_free(k->slot);
    k->slot = slot;
    k->room = room;
    return 0;
}

int
bs_keyset_add(struct bs_keyset *k, const char *key, uint64_t number,
              struct bs_err *e)
{
    uint64_t hash = bs_xxh64(key, strlen(key), 0);
    struct bs_keyset_slot *s;
    size_t at;
    int r;

    if (k->count * 2 >= k->room) {
        r = grow(k, e);
        if (r < 0)
            return r;
    }
    s = probe(k, key, hash);
    if (s->at != 0)
        return 0;
    at = k->text.len + 1;
    r = bs_buf_add(&k->text, key, strlen(key) + 1, e);
    if (r < 0)
        return r;
    *s = (struct bs_keyset_slot){hash, number, at};
    k->count++;
    return 1;
}

bool
bs_keyset_find(const struct bs_keyset *k, const char *key, uint64_t *number)
{
    const struct bs_keyset_slot *s;

    if (k->count == 0)
        return false;
    s = probe(k, key, bs_xxh64(key, strlen(key), 0));
    if (s->at != 0 && number != NULL)
        *number = s->number;
    return s->at != 0;
}

void
bs_keyset_release(struct bs_keyset *k)
{
    bs_free(k->slot);
    bs_buf_release(&k->text);
    *k = (struct bs_keyset){0};
}
