/*
 * rng.c - see rng.h.
 */
#include "common/rng.h"

#include <math.h>

void
bs_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t k0 = key[0], k1 = key[1];
    int i;

    for (i = 0; i < 4; i++)
        out[i] = counter[i];
    for (i = 0; i < 10; i++) {
        uint64_t a = (uint64_t)0xD2511F53 * out[0];
        uint64_t b = (uint64_t)0xCD9E8D57 * out[2];

        out[0] = (uint32_t)(b >> 32) ^ out[1] ^ k0;
        out[1] = (uint32_t)b;
        out[2] = (uint32_t)(a >> 32) ^ out[3] ^ k1;
        out[3] = (uint32_t)a;
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
}

/* The two numbers at positions 2 * block and 2 * block + 1. */
static void
hold(struct bs_rng *r, uint64_t block)
{
    uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32),
                           (uint32_t)r->stream, (uint32_t)(r->stream >> 32)};
    uint32_t key[2] = {(uint32_t)r->seed, (uint32_t)(r->seed >> 32)};
    uint32_t out[4];

    bs_philox(counter, key, out);
    r->held[0] = (uint64_t)out[1] << 32 | out[0];
    r->held[1] = (uint64_t)out[3] << 32 | out[2];
}

void
bs_rng_init(struct bs_rng *r, uint64_t seed, uint64_t stream, uint64_t at)
{
    r->seed = seed;
    r->stream = stream;
    r->at = at;
    hold(r, at / 2);
}

uint64_t
bs_rng_u64(struct bs_rng *r)
{
    if (r->at % 2 == 0)
        hold(r, r->at / 2);
    return r->held[r->at++ % 2];
}

uint64_t
bs_rng_below(struct bs_rng *r, uint64_t n)
{
    uint64_t odd = -n % n; /* 2^64 mod n: draws below it would be a bias */
    uint64_t u;

    do {
        u = bs_rng_u64(r);
    } while (u < odd);
    return u % n;
}

double
bs_rng_f64(struct bs_rng *r)
{
    return (double)(bs_rng_u64(r) >> 11) * 0x1p-53;
}

double
bs_rng_normal(struct bs_rng *r)
{
    double u = 1.0 - bs_rng_f64(r); /* (0, 1] */
    double v = bs_rng_f64(r);

    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

uint64_t
bs_rng_name(const char *name)
{
    uint64_t h = 0xcbf29ce484222325;

    for (; *name != '\0'; name++)
        h = (h ^ (uint8_t)*name) * 0x100000001b3;
    return h;
}
