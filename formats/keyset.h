/*
 * keyset.h - a set of keys, each with a number.
 *
 * Time O(1) a key; memory: the keys' bytes and 24 bytes for each.
 */
#ifndef BS_FORMATS_KEYSET_H
#define BS_FORMATS_KEYSET_H

#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"

/* Zero-initialised means empty. */
struct bs_keyset {
    struct bs_keyset_slot *slot; /* private */
    size_t room, count;
    struct bs_buf text;
};

/* 1, or 0 where the key was there already (and keeps its number). */
int bs_keyset_add(struct bs_keyset *k, const char *key, uint64_t number,
                  struct bs_err *e) BS_CHECKED;
/* True with the key's number, which may be NULL. */
bool bs_keyset_find(const struct bs_keyset *k, const char *key,
                    uint64_t *number);
void bs_keyset_release(struct bs_keyset *k);

#endif
