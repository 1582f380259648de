/*
 * shuffle.h - a buffer of tokens that gives them back in another order, or in
 * the same.
 *
 * Each take draws one of the tokens inside, all alike, so a token leaves about
 * `capacity` takes after it came, and a buffer that holds all tokens gives a
 * uniform permutation.  What comes out depends on the seed, the pass and the
 * sequence of puts and takes.
 *
 * Memory: 2 bytes a value where all tokens put were F16, or all BF16, else 4;
 * taken as the buffer fills.  4 bytes a token besides.
 */
#ifndef BS_MODELS_SHUFFLE_H
#define BS_MODELS_SHUFFLE_H

#include "common/bs.h"
#include "common/dtype.h"
#include "common/err.h"

struct bs_shuffle_options {
    size_t width;
    size_t capacity; /* tokens, 1 to 2^31 */
    bool ordered;    /* give the oldest token: no draws */
    uint64_t seed;
    const char *name; /* of the random stream; borrowed during open */
};

struct bs_shuffle;

int bs_shuffle_open(struct bs_shuffle **out, const struct bs_shuffle_options *o,
                    struct bs_err *e) BS_CHECKED;
void bs_shuffle_close(struct bs_shuffle *s);

/* Empty the buffer; its draws are from now on those of this pass. */
void bs_shuffle_begin(struct bs_shuffle *s, uint64_t pass);
size_t bs_shuffle_count(const struct bs_shuffle *s);
size_t bs_shuffle_room(const struct bs_shuffle *s);

/* Copy n tokens in, [n, width] of F16, BF16 or F32; n <= room. */
int bs_shuffle_put(struct bs_shuffle *s, enum bs_dtype dtype, const void *x,
                   size_t n, struct bs_err *e) BS_CHECKED;
/* Move one token out, as f32 [width]; x NULL: drop it.  Count must be > 0. */
void bs_shuffle_take(struct bs_shuffle *s, float *x);
/* The token at place i < count, which stays. */
void bs_shuffle_peek(const struct bs_shuffle *s, size_t i, float *x);

#endif
