/*
 * rng.c - see rng.h.
 */
#include "common/rng.h"

#include <math.h>

static void
philox(const struct bs_rng *r, uint64_t block, uint64_t out[2])
{
    uint32_t c[4] = {(uint32_t)block, (uint32_t)(block >> 32),
                     (uint32_t)r->stream, (uint32_t)(r->stream >> 32)};
    uint32_t k0 = (uint32_t)r->seed, k1 = (uint32_t)(r->seed >> 32);
    int i;

    for (i = 0; i < 10; i++) {
        uint64_t a = (uint64_t)0xD2511F53 * c[0];
        uint64_t b = (uint64_t)0xCD9E8D57 * c[2];

        c[0] = (uint32_t)(b >> 32) ^ c[1] ^ k0;
        c[1] = (uint32_t)b;
        c[2] = (uint32_t)(a >> 32) ^ c[3] ^ k1;
        c[3] = (uint32_t)a;
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
    out[0] = (uint64_t)c[1] << 32 | c[0];
    out[1] = (uint64_t)c[3] << 32 | c[2];
}

void
bs_rng_init(struct bs_rng *r, uint64_t seed, uint64_t stream, uint64_t at)
{
    r->seed = seed;
    r->stream = stream;
    r->at = at;
    philox(r, at / 2, r->held);
}

uint64_t
bs_rng_u64(struct bs_rng *r)
{
    if (r->at % 2 == 0)
        philox(r, r->at / 2, r->held);
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
