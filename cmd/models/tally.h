/*
 * tally.h - how often something was seen: a hash table from 128-bit identities
 * to counts.  Identities are hashes already; about 40 bytes each.
 */
#ifndef BS_MODELS_TALLY_H
#define BS_MODELS_TALLY_H

#include "common/bs.h"
#include "common/err.h"

struct bs_identity {
    uint64_t a, b;
};

struct bs_tally_slot {
    struct bs_identity id;
    uint64_t count; /* 0: free */
};

/* Zero-initialised means empty. */
struct bs_tally {
    struct bs_tally_slot *slot;
    size_t room, used;
};

/* Of bytes; of a SHA-256 in hex. */
struct bs_identity bs_identity_of(const void *data, size_t len);
struct bs_identity bs_identity_of_sha256(const char *hex);

/* The count of id, 0 where it was never added. */
uint64_t bs_tally_count(const struct bs_tally *t, struct bs_identity id);
/* Set the count of id to `count`, at least 1. */
int bs_tally_set(struct bs_tally *t, struct bs_identity id, uint64_t count,
                 struct bs_err *e) BS_CHECKED;
void bs_tally_release(struct bs_tally *t);

#endif
