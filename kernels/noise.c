/*
 * noise.c - see noise.h.
 *
 * Every operation rounds to float by itself, but where fmaf is written: the
 * reference was compiled to fuse exactly these.  This file must not be
 * compiled with contraction.
 */
#include "kernels/noise.h"

#include <math.h>
#include <string.h>

#include "common/dtype.h"
#include "common/rng.h"

enum { WORDS = 624, SHIFT = 397, BLOCK = 16 };

/* ---- mt19937 (Matsumoto and Nishimura, 1998) ------------------------------
 */

void
bs_noise_seed(struct bs_noise *g, uint64_t seed)
{
    uint32_t i;

    g->state[0] = (uint32_t)seed;
    for (i = 1; i < WORDS; i++)
        g->state[i] =
            1812433253 * (g->state[i - 1] ^ g->state[i - 1] >> 30) + i;
    g->next = WORDS;
    g->has_kept = false;
}

static void
refill(struct bs_noise *g)
{
    uint32_t *s = g->state;
    unsigned i;

    for (i = 0; i < WORDS; i++) {
        uint32_t y = (s[i] & 0x80000000) | (s[(i + 1) % WORDS] & 0x7fffffff);

        s[i] = s[(i + SHIFT) % WORDS] ^ y >> 1 ^ (y & 1 ? 0x9908b0df : 0);
    }
    g->next = 0;
}

static uint32_t
draw(struct bs_noise *g)
{
    uint32_t y;

    if (g->next == WORDS)
        refill(g);
    y = g->state[g->next++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680;
    y ^= y << 15 & 0xefc60000;
    return y ^ y >> 18;
}

/* ---- the vector form's functions -----------------------------------------
 */

static uint32_t
bits_of(float x)
{
    uint32_t u;

    memcpy(&u, &x, sizeof u);
    return u;
}

static float
of_bits(uint32_t u)
{
    float x;

    memcpy(&x, &u, sizeof x);
    return x;
}

/* The natural logarithm of x in (0, 1]. */
static float
log_polynomial(float x)
{
    static const float c[] = {-1.1514610310e-1f, 1.1676998740e-1f,
                              -1.2420140846e-1f, 1.4249322787e-1f,
                              -1.6668057665e-1f, 2.0000714765e-1f,
                              -2.4999993993e-1f, 3.3333331174e-1f};
    float e, y = 7.0376836292e-2f, z;
    size_t i;

    x = fmaxf(x, 1.17549435e-38f);
    e = (float)((int)(bits_of(x) >> 23) - 127) + 1.0f;
    x = of_bits((bits_of(x) & ~(uint32_t)0x7f800000) | 0x3f000000);
    if (x < 0.707106781186547524f) {
        e -= 1.0f;
        x = (x - 1.0f) + x;
    } else {
        x -= 1.0f;
    }
    z = x * x;
    for (i = 0; i < BS_LEN(c); i++)
        y = fmaf(y, x, c[i]);
    y *= x;
    y = fmaf(y, z, e * -2.12194440e-4f);
    y = fmaf(-z, 0.5f, y);
    x += y;
    return fmaf(e, 0.693359375f, x);
}

/* Sine and cosine of x >= 0, in octants. */
static void
sine_cosine(float x, float *sine, float *cosine)
{
    uint32_t j = ((uint32_t)(int)(x * 1.27323954473516f) + 1) & ~(uint32_t)1;
    uint32_t sine_sign = (j & 4) << 29, cosine_sign = (~(j - 2) & 4) << 29;
    float y = (float)j, a = 2.443315711809948e-5f, b = -1.9515295891e-4f, z;

    x = fmaf(y, -0.78515625f, x);
    x = fmaf(y, -2.4187564849853515625e-4f, x);
    x = fmaf(y, -3.77489497744594108e-8f, x);
    z = x * x;
    a = fmaf(a, z, -1.388731625493765e-3f);
    a = fmaf(a, z, 4.166664568298827e-2f);
    a *= z;
    a = fmaf(a, z, -(z * 0.5f)) + 1.0f; /* cosine of the rest */
    b = fmaf(b, z, 8.3321608736e-3f);
    b = fmaf(b, z, -1.6666654611e-1f);
    b *= z;
    b = fmaf(b, x, x); /* its sine */
    *sine = of_bits(bits_of((j & 2) == 0 ? b : a) ^ sine_sign);
    *cosine = of_bits(bits_of((j & 2) == 0 ? a : b) ^ cosine_sign);
}

/* ---- torch's normal numbers ------------------------------------------------
 */

/* A block of uniform numbers to normal ones: pairs eight apart. */
static void
transform(float *block)
{
    size_t i;

    for (i = 0; i < BLOCK / 2; i++) {
        float radius = sqrtf(-2.0f * log_polynomial(1.0f - block[i]));
        float sine, cosine;

        sine_cosine(6.283185307179586f * block[i + BLOCK / 2], &sine, &cosine);
        /* mean 0 is added there, too: it makes -0 a 0 */
        block[i] = radius * cosine + 0.0f;
        block[i + BLOCK / 2] = radius * sine + 0.0f;
    }
}

static void
fill_uniform(struct bs_noise *g, float *out, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        out[i] = (float)(draw(g) & 0xffffff) * 0x1p-24f;
}

static double
uniform_double(struct bs_noise *g)
{
    uint64_t high = draw(g);
    uint64_t all = high << 32 | draw(g);

    return (double)(all & (((uint64_t)1 << 53) - 1)) * 0x1p-53;
}

/* One number at a time, as torch draws fewer than a block. */
static double
normal_double(struct bs_noise *g)
{
    double u, v, radius;

    if (g->has_kept) {
        g->has_kept = false;
        return g->kept;
    }
    u = uniform_double(g);
    v = uniform_double(g);
    radius = sqrt(-2.0 * log1p(-v));
    g->kept = radius * sin(2.0 * 3.14159265358979323846 * u);
    g->has_kept = true;
    return radius * cos(2.0 * 3.14159265358979323846 * u);
}

void
bs_noise_f32(struct bs_noise *g, float *out, size_t n)
{
    size_t i;

    if (n < BLOCK) {
        for (i = 0; i < n; i++)
            out[i] = (float)normal_double(g);
        return;
    }
    fill_uniform(g, out, n);
    for (i = 0; i + BLOCK <= n; i += BLOCK)
        transform(out + i);
    if (n % BLOCK != 0) { /* the last block is drawn anew, as a whole */
        fill_uniform(g, out + n - BLOCK, BLOCK);
        transform(out + n - BLOCK);
    }
}

static void
round_to_half(float *x, size_t n)
{
    uint16_t half[256];

    while (n > 0) {
        size_t part = n < BS_LEN(half) ? n : BS_LEN(half);

        bs_from_f32(half, BS_DTYPE_F16, x, part);
        bs_to_f32(x, BS_DTYPE_F16, half, part);
        x += part;
        n -= part;
    }
}

void
bs_noise_f16(struct bs_noise *g, float *out, size_t n)
{
    size_t tail = n < BLOCK ? 0 : n % BLOCK;

    bs_noise_f32(g, out, n - tail);
    if (tail > 0) { /* nothing was drawn for it before */
        fill_uniform(g, out + n - BLOCK, BLOCK);
        transform(out + n - BLOCK);
    }
    round_to_half(out, n);
}

/* ---- the GPU's -------------------------------------------------------------
 */

void
bs_noise_cuda(uint64_t seed, uint32_t draw, float *out, size_t n)
{
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const float turn = 2.3283064e-10f * 6.2831855f;
    size_t i;

    for (i = 0; i < n; i++) {
        uint32_t counter[4] = {draw, 0, (uint32_t)i,
                               (uint32_t)((uint64_t)i >> 32)};
        uint32_t x[4];
        float u, v;

        bs_philox(counter, key, x);
        u = (float)x[0] * 2.3283064e-10f + 1.1641532e-10f;
        v = (float)x[1] * turn + turn / 2.0f;
        out[i] = sqrtf(-2.0f * logf(u)) * sinf(v);
    }
}
