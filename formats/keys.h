/*
 * keys.h - a set of keys, each with a number.
 *
 * Time O(1) a key; memory: the keys' bytes and 24 bytes for each.
 */
#ifndef BS_FORMATS_KEYS_H
#define BS_FORMATS_KEYS_H

#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"

/* Zero-initialised means empty. */
struct bs_keys {
    struct bs_key_slot *slot; /* private */
    size_t room, count;
    struct bs_buf text;
};

/* 1, or 0 where the key was there already (and keeps its number). */
int bs_keys_add(struct bs_keys *k, const char *key, uint64_t number,
                struct bs_err *e) BS_CHECKED;
/* True with the key's number, which may be NULL. */
bool bs_keys_find(const struct bs_keys *k, const char *key, uint64_t *number);
void bs_keys_release(struct bs_keys *k);

#endif
