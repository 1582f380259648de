/*
 * sign_flip.c - see sign_flip.h.
 */
#include "cmd/models/sign_flip.h"

#include <math.h>
#include <string.h>

#include "cmd/models/stats.h"
#include "common/mem.h"
#include "common/rng.h"

enum { GROUP = 8 }; /* differences to a table */

int
bs_flips_make(struct bs_flips *f, size_t pairs, size_t count, struct bs_err *e)
{
    size_t n;

    f->pairs = pairs;
    f->count = count;
    f->words = (count + 63) / 64;
    if (!bs_mul(pairs, f->words, &n) ||
        (f->bits = bs_alloc_array(n, sizeof *f->bits)) == NULL)
        return bs_err_memory(e, "signs", pairs);
    return 0;
}

/* The first u64 of a pair's numbers is its half. */
void
bs_flips_set(struct bs_flips *f, size_t pair, uint64_t seed, const char *key)
{
    struct bs_rng r;
    size_t i;

    bs_rng_init(&r, seed, bs_rng_name(key), 1);
    for (i = 0; i < f->words; i++)
        f->bits[pair * f->words + i] = bs_rng_u64(&r);
}

bool
bs_flips_half(uint64_t seed, const char *key)
{
    struct bs_rng r;

    bs_rng_init(&r, seed, bs_rng_name(key), 0);
    return (bs_rng_u64(&r) & 1) != 0;
}

void
bs_flips_release(struct bs_flips *f)
{
    bs_free(f->bits);
    *f = (struct bs_flips){0};
}

/* ---- sums -----------------------------------------------------------------
 */

/* table[bits] = the sum of d[i] of the bits that are set. */
static void
subset_sums(int64_t table[1 << GROUP], const int64_t *d, size_t n)
{
    size_t i, j;

    table[0] = 0;
    for (i = 0; i < GROUP; i++)
        for (j = 0; j < (size_t)1 << i; j++)
            table[((size_t)1 << i) + j] = table[j] + (i < n ? d[i] : 0);
}

/* Bit i of byte j becomes bit j of byte i. */
static uint64_t
transpose(uint64_t x)
{
    uint64_t t = (x ^ (x >> 7)) & 0x00aa00aa00aa00aaU;

    x ^= t ^ (t << 7);
    t = (x ^ (x >> 14)) & 0x0000cccc0000ccccU;
    x ^= t ^ (t << 14);
    t = (x ^ (x >> 28)) & 0x00000000f0f0f0f0U;
    return x ^ t ^ (t << 28);
}

/* Add to 64 sums what the group has under 64 flips; row[i]: its flips. */
static void
add_group(int64_t *sums, const int64_t *table, const uint64_t row[GROUP])
{
    size_t i, j;

    for (i = 0; i < 8; i++) {
        uint64_t x = 0;

        for (j = 0; j < GROUP; j++)
            x |= (row[j] >> (8 * i) & 0xff) << (8 * j);
        x = transpose(x);
        for (j = 0; j < 8; j++)
            sums[8 * i + j] += table[x >> (8 * j) & 0xff];
    }
}

void
bs_flips_sums(const struct bs_flips *f, const struct bs_differences *d,
              int64_t *sums)
{
    int64_t table[1 << GROUP], total = 0;
    size_t i, j, w;

    memset(sums, 0, f->words * 64 * sizeof *sums);
    for (i = 0; i < d->n; i += GROUP) {
        size_t n = d->n - i < GROUP ? d->n - i : GROUP;

        subset_sums(table, d->diff + i, n);
        total += table[(1 << GROUP) - 1];
        for (w = 0; w < f->words; w++) {
            uint64_t row[GROUP] = {0};

            for (j = 0; j < n; j++)
                row[j] = f->bits[d->at[i + j] * f->words + w];
            add_group(sums + 64 * w, table, row);
        }
    }
    for (i = 0; i < f->words * 64; i++) /* set bits are minus signs */
        sums[i] = total - 2 * sums[i];
}

/* ---- p-values -------------------------------------------------------------
 */

static uint64_t
magnitude(int64_t v)
{
    return v < 0 ? -(uint64_t)v : (uint64_t)v;
}

/* Share of all signs with a sum at least as far from 0; in Gray's order one
 * sign changes at a time. */
static double
exact_p(const struct bs_differences *d, int64_t observed)
{
    uint64_t flip, all = (uint64_t)1 << d->n, count = 0;
    int64_t sum = 0, sign[BS_FLIPS_EXACT];
    size_t i;

    for (i = 0; i < d->n; i++) {
        sign[i] = d->diff[i];
        sum += sign[i];
    }
    for (flip = 1;; flip++) {
        count += magnitude(sum) >= magnitude(observed);
        if (flip == all)
            return (double)count / (double)all;
        i = (size_t)__builtin_ctzll(flip);
        sum -= 2 * sign[i];
        sign[i] = -sign[i];
    }
}

double
bs_flips_p(const struct bs_flips *f, const struct bs_differences *d,
           const int64_t *sums, int64_t observed, double norm)
{
    size_t i, far = 0;
    double p, bound;

    if (d->n <= BS_FLIPS_EXACT)
        return exact_p(d, observed);
    for (i = 0; i < f->count; i++)
        far += magnitude(sums[i]) >= magnitude(observed);
    p = (double)(1 + far) / (double)(1 + f->count);
    if (far > 0)
        return p;
    bound = 2 * 3.1787 * bs_normal_upper((double)magnitude(observed) / norm);
    return fmin(p, bound);
}
