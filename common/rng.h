/*
 * rng.h - random numbers that depend on a seed and a name, nothing else.
 *
 * Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * 2011): counter-based, so a generator is its seed, its stream and a position,
 * can be saved as three numbers, and two streams of one seed never meet.
 */
#ifndef BS_COMMON_RNG_H
#define BS_COMMON_RNG_H

#include "common/bs.h"

/* May be copied, and saved: all of it is `seed`, `stream` and `at`. */
struct bs_rng {
    uint64_t seed, stream;
    uint64_t at; /* u64s drawn so far */
    uint64_t held[2];
};

/* The function itself: `out` from a counter and a key, each little end first.
 */
void bs_philox(const uint32_t counter[4], const uint32_t key[2],
               uint32_t out[4]);

/* A generator at position `at` (0 for a new one). */
void bs_rng_init(struct bs_rng *r, uint64_t seed, uint64_t stream, uint64_t at);

/* Each of these draws one u64, but bs_rng_below, which rarely draws more, and
 * bs_rng_normal, which draws two. */
uint64_t bs_rng_u64(struct bs_rng *r);
/* Uniform in 0..n-1, without bias; n > 0. */
uint64_t bs_rng_below(struct bs_rng *r, uint64_t n);
/* Uniform in [0, 1): a multiple of 2^-53. */
double bs_rng_f64(struct bs_rng *r);
/* Mean 0, variance 1 (Box-Muller, the cosine half). */
double bs_rng_normal(struct bs_rng *r);

/* A stream's number for a name: 64-bit FNV-1a. */
uint64_t bs_rng_name(const char *name);

#endif
