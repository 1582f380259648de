/*
 * energy_gather.c - see energy_gather.h.
 */
#include "cmd/models/energy_gather.h"

#include <string.h>

/* The first of the record's energies whose concept is at least `concept`. */
static size_t
lower_bound(const struct bs_energies *en, uint32_t concept)
{
    size_t from = 0, to = en->n;

    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (en->concept[middle] < concept)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static int
make_room(struct bs_energy_block *b, size_t concepts, size_t entries,
          struct bs_err *e)
{
    if (concepts + 1 > b->room_start) {
        bs_free(b->start);
        b->room_start = 0;
        b->start = bs_alloc_array(concepts + 1, sizeof *b->start);
        if (b->start == NULL)
            return bs_err_memory(e, "energies", concepts);
        b->room_start = concepts + 1;
    }
    if (entries > b->room) {
        bs_free(b->entry);
        b->room = 0;
        b->entry = bs_alloc_array(entries, sizeof *b->entry);
        if (b->entry == NULL)
            return bs_err_memory(e, "energies", entries);
        b->room = entries;
    }
    return 0;
}

/* How many entries the block will have. */
static size_t
count_entries(const struct bs_energy_places *p, uint32_t from, uint32_t to)
{
    size_t i, n = 0;

    for (i = 0; i < p->places; i++) {
        struct bs_energies en;

        if (p->record[i] == SIZE_MAX)
            continue;
        en = bs_energy_set_get(p->set, p->record[i]);
        n += lower_bound(&en, to) - lower_bound(&en, from);
    }
    return n;
}

/* Call once to count (entry NULL), once to place: start[i] moves to the end of
 * concept from + i. */
static void
visit(struct bs_energy_block *b, const struct bs_energy_places *p, bool place)
{
    size_t i, j;

    for (i = 0; i < p->places; i++) {
        struct bs_energies en;

        if (p->record[i] == SIZE_MAX)
            continue;
        en = bs_energy_set_get(p->set, p->record[i]);
        for (j = lower_bound(&en, b->from); j < en.n && en.concept[j] < b -> to;
             j++) {
            size_t *at = &b->start[en.concept[j] - b->from];

            if (place)
                b->entry[*at] = (struct bs_energy_entry){
                    (uint32_t)i, en.fires[j], en.energy[j]};
            ++*at;
        }
    }
}

int
bs_energy_gather(struct bs_energy_block *b, const struct bs_energy_places *p,
                 uint32_t from, uint32_t to, struct bs_err *e)
{
    size_t n = to - from, i, sum = 0;
    int r = make_room(b, n, count_entries(p, from, to), e);

    if (r < 0)
        return r;
    b->from = from;
    b->to = to;
    memset(b->start, 0, (n + 1) * sizeof *b->start);
    visit(b, p, false);
    for (i = 0; i <= n; i++) { /* counts become starts */
        size_t count = b->start[i];

        b->start[i] = sum;
        sum += count;
    }
    visit(b, p, true);
    memmove(b->start + 1, b->start, n * sizeof *b->start);
    b->start[0] = 0;
    return 0;
}

void
bs_energy_block_release(struct bs_energy_block *b)
{
    bs_free(b->start);
    bs_free(b->entry);
    *b = (struct bs_energy_block){0};
}
