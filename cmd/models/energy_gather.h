/*
 * energy_gather.h - from energies by record to energies by concept, for a block
 * of concepts at a time: memory for a block, not for all.
 */
#ifndef BS_MODELS_ENERGY_GATHER_H
#define BS_MODELS_ENERGY_GATHER_H

#include "cmd/models/energy_set.h"
#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"

struct bs_energy_entry {
    uint32_t at; /* place of the record */
    uint32_t fires;
    int64_t energy;
};

/* The records of a set that count, each at a place: record[place], or
 * SIZE_MAX where the place is empty. */
struct bs_energy_places {
    const struct bs_energy_set *set;
    const size_t *record;
    size_t places;
};

/* Entries of concepts from..to-1, in order of places; zero-initialised means
 * empty; may be reused. */
struct bs_energy_block {
    uint32_t from, to;
    size_t *start; /* [to - from + 1]: entries of concept from + i */
    struct bs_energy_entry *entry;
    size_t room_start, room; /* private */
};

int bs_energy_gather(struct bs_energy_block *b,
                     const struct bs_energy_places *p, uint32_t from,
                     uint32_t to, struct bs_err *e) BS_CHECKED;
void bs_energy_block_release(struct bs_energy_block *b);

#endif
