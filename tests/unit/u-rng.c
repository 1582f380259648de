/*
 * u-rng.c - random numbers: Philox4x32-10's published vector, positions,
 * ranges and moments.
 */
#include "common/rng.h"

#include <math.h>

#include "tests/unit/tap.h"

static void
vectors(void)
{
    struct bs_rng r;

    /* counter 0, key 0 of Random123's known answers */
    bs_rng_init(&r, 0, 0, 0);
    ok(bs_rng_u64(&r) == 0xe169c58d6627e8d5 &&
           bs_rng_u64(&r) == 0x9b00dbd8bc57ac4c,
       "the published vector");
    bs_rng_init(&r, 0x299f31d0a4093822, 0x0370734413198a2e,
                2 * (uint64_t)0x0123456789abcdef);
    ok(bs_rng_u64(&r) == 0x3233837c2ac786bc &&
           bs_rng_u64(&r) == 0x14d219925e6724e1,
       "a vector with seed, stream and position");
}

static void
positions(void)
{
    struct bs_rng a, b;
    int i, same = 1;

    bs_rng_init(&a, 7, bs_rng_name("shuffle"), 0);
    for (i = 0; i < 100; i++) {
        bs_rng_init(&b, 7, a.stream, a.at);
        same &= bs_rng_u64(&a) == bs_rng_u64(&b);
    }
    ok(same, "a generator goes on from its position");
}

static void
ranges(void)
{
    struct bs_rng r;
    size_t count[7] = {0}, i;
    int inside = 1;

    bs_rng_init(&r, 1, 2, 0);
    for (i = 0; i < 70000; i++) {
        double u = bs_rng_f64(&r);

        count[bs_rng_below(&r, 7)]++;
        inside &= u >= 0 && u < 1;
    }
    ok(inside, "f64 is in [0, 1)");
    for (i = 0; i < 7; i++)
        if (count[i] < 9600 || count[i] > 10400)
            inside = 0;
    ok(inside, "below(7) is even");
    ok(bs_rng_below(&r, 1) == 0, "below(1) is 0");
}

static void
moments(void)
{
    enum { N = 200000 };
    double m1 = 0, m2 = 0, m4 = 0;
    struct bs_rng r;
    int i;

    bs_rng_init(&r, 3, 4, 0);
    for (i = 0; i < N; i++) {
        double x = bs_rng_normal(&r);

        m1 += x / N;
        m2 += x * x / N;
        m4 += x * x * x * x / N;
    }
    ok(fabs(m1) < 0.01 && fabs(m2 - 1) < 0.02 && fabs(m4 - 3) < 0.1,
       "normal: %.4f, %.4f, %.4f", m1, m2, m4);
}

int
main(void)
{
    vectors();
    positions();
    ranges();
    moments();
    return tap_done();
}
