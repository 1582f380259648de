/*
 * sample.h - n records at random out of a stream of unknown length.
 *
 * The sample is the n records with the least XXH64(seed, key), so it depends on
 * neither order nor position: what is drawn from the parts of a set and drawn
 * again is drawn from the set.
 *
 * Memory: 40 bytes a record of the sample.  Records lie in a temporary file,
 * n ln(N/n) of them besides those that are drawn.
 */
#ifndef BS_MODELS_SAMPLE_H
#define BS_MODELS_SAMPLE_H

#include "cmd/models/spool.h"
#include "common/bs.h"
#include "common/err.h"

struct bs_drawn {
    uint64_t hash, order;
    uint64_t at, len; /* in the spool */
    uint64_t segment; /* as offered */
};

struct bs_sample {
    struct bs_spool spool;
    struct bs_drawn *drawn; /* private until the sort: a heap */
    size_t count, room, most;
    uint64_t seed, offered;
};

int bs_sample_open(struct bs_sample *s, uint64_t most, uint64_t seed,
                   struct bs_err *e) BS_CHECKED;
int bs_sample_offer(struct bs_sample *s, const char *key, uint64_t segment,
                    const uint8_t *bytes, size_t len,
                    struct bs_err *e) BS_CHECKED;
/* After the last offer: put s->drawn[0..count) into the order of the input. */
void bs_sample_sort(struct bs_sample *s);
void bs_sample_close(struct bs_sample *s);

#endif
