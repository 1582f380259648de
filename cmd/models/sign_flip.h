/*
 * sign_flip.h - the sign-flip test of paired differences: where a generator
 * changes nothing, each pair's difference could as well have had the other
 * sign.
 *
 * Everything is whole numbers, so that equal sums are equal: a result depends
 * on neither order nor threads.  The flips of a pair come from the seed and its
 * key alone, so they do not depend on what other pairs there are.
 */
#ifndef BS_MODELS_SIGN_FLIP_H
#define BS_MODELS_SIGN_FLIP_H

#include "common/bs.h"
#include "common/err.h"

/* A bit a pair and flip; zero-initialised means none. */
struct bs_flips {
    size_t pairs, count; /* count: flips */
    size_t words;        /* u64 a pair */
    uint64_t *bits;      /* [pairs, words] */
};

int bs_flips_make(struct bs_flips *f, size_t pairs, size_t count,
                  struct bs_err *e) BS_CHECKED;
/* The flips of a pair; half: a coin of the same pair for other use. */
void bs_flips_set(struct bs_flips *f, size_t pair, uint64_t seed,
                  const char *key);
bool bs_flips_half(uint64_t seed, const char *key);
void bs_flips_release(struct bs_flips *f);

/* Differences that are not 0: of pair at[i] diff[i]; sum of absolutes below
 * 2^62. */
struct bs_differences {
    const uint32_t *at;
    const int64_t *diff;
    size_t n;
};

/* sums[f] = the sum of the differences with the signs of flip f; sums has room
 * for words * 64.  By tables of the sums of 8 differences (the method of the
 * four Russians): about 3 operations for 8 differences and a flip. */
void bs_flips_sums(const struct bs_flips *f, const struct bs_differences *d,
                   int64_t *sums);

enum { BS_FLIPS_EXACT = 14 };

/*
 * The two-sided p-value of the sum `observed`, given its flipped sums: exact
 * over all 2^n signs for up to BS_FLIPS_EXACT differences; else (1 + b) / (1 +
 * count) where b of the sums are at least as far from 0; and where b is 0, if
 * smaller, the bound 2 c P(Z > |observed| / norm), c = 3.1787: no sum of signed
 * values has larger tails (Bentkus and Dzindzalieta 2015), so this too errs on
 * the safe side.  norm: root of the sum of squares.
 */
double bs_flips_p(const struct bs_flips *f, const struct bs_differences *d,
                  const int64_t *sums, int64_t observed, double norm);

#endif
