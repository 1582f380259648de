/*
 * sae_round_cpu.c - vectors in whole numbers of 16 and of 8 bits, with the
 * lengths that bound what their products are off by.
 */
#include "kernels/sae_cpu.h"

#include <math.h>

/* Squares in double: neither overflow nor underflow, and a rounding error that
 * UP outweighs. */
#define UP (1 + 1e-7)

#define LANES 8 /* partial sums */

static inline void
add_length(float x, float *most, double *sum)
{
    float v = fabsf(x);

    *most = v > *most ? v : *most;
    *sum += (double)v * (double)v;
}

static double
length(const float *x, size_t k, float *most)
{
    double sum[LANES] = {0};
    float size[LANES] = {0};
    size_t i, l;

    for (i = 0; i + LANES <= k; i += LANES)
        for (l = 0; l < LANES; l++)
            add_length(x[i + l], &size[l], &sum[l]);
    for (; i < k; i++)
        add_length(x[i], &size[0], &sum[0]);
    for (l = 1; l < LANES; l++) {
        size[0] = size[l] > size[0] ? size[l] : size[0];
        sum[0] += sum[l];
    }
    *most = size[0];
    return sqrt(sum[0]) * UP;
}

/* Below this, and above its inverse, a vector is all rest. */
#define SHORTEST 0x1p-80

static bool
all_rest(const struct bs_whole *v)
{
    return v->norm < SHORTEST || v->norm > 1 / SHORTEST;
}

/* ---- 16 bits ---------------------------------------------------------------
 */

/* Two vectors of at most this length have no product past 2^31. */
#define LONGEST 46340.0

#define MOST_COLUMNS ((size_t)1 << 28)

static inline int16_t
round_one(float x, float scale, float factor, double *held, double *rest)
{
    float v = x * factor;
    int whole = (int)(v + copysignf(0.5f, v));
    double left = (double)x - (double)scale * whole;

    *held += (double)whole * whole;
    *rest += left * left;
    return (int16_t)whole;
}

/* x in units of `scale`, and what that leaves of it. */
static void
round_to(struct bs_whole *out, int16_t *q, const float *x, size_t k,
         float scale)
{
    float factor = 1 / scale;
    double held[LANES] = {0}, rest[LANES] = {0};
    size_t i, l;

    for (i = 0; i + LANES <= k; i += LANES)
        for (l = 0; l < LANES; l++)
            q[i + l] = round_one(x[i + l], scale, factor, &held[l], &rest[l]);
    for (; i < k; i++)
        q[i] = round_one(x[i], scale, factor, &held[0], &rest[0]);
    for (l = 1; l < LANES; l++) {
        held[0] += held[l];
        rest[0] += rest[l];
    }
    out->scale = (double)scale;
    out->held = (double)scale * sqrt(held[0]) * UP;
    out->rest = sqrt(rest[0]) * UP;
}

void
bs_cpu_round(struct bs_whole *out, int16_t *q, const float *x, size_t k)
{
    float most;

    *out = (struct bs_whole){.norm = length(x, k, &most)};
    out->rest = out->norm;
    if (q == NULL)
        return;
    memset(q, 0, k * sizeof *q);
    /* Rounding each number adds half the root of k to the length. */
    if (!all_rest(out) && k <= MOST_COLUMNS)
        round_to(out, q, x, k,
                 (float)fmax((double)most / INT16_MAX,
                             out->norm / (LONGEST - sqrt((double)k))));
}

/* ---- 8 bits ----------------------------------------------------------------
 */

/*
 * A few columns that stand out would take all bits.  So both vectors of a
 * product are turned first, which changes no product: signs that look random,
 * then Hadamard's matrix, in blocks of a power of two, left out on four
 * neighbours for the sake of speed.  Each of at most 30 stages rounds once, and
 * the last factor twice: TURNED of the length outweighs that.
 */
#define TURNED (33 * 0x1p-24)

static void
turn_block(float *x, size_t n)
{
    float factor = (float)sqrt(4 / (double)n);
    size_t half, i, l;

    for (half = 4; half < n; half *= 2)
        for (i = 0; i < n; i += 2 * half)
            for (l = i; l < i + half; l++) {
                float a = x[l], b = x[l + half];

                x[l] = a + b;
                x[l + half] = a - b;
            }
    for (i = 0; i < n; i++)
        x[i] *= factor;
}

void
bs_cpu_turn_signs(float *sign, size_t depth)
{
    size_t i;

    for (i = 0; i < depth; i++) {
        uint32_t hash = (uint32_t)i * 0x9e3779b1U;

        hash = (hash ^ hash >> 15) * 0x85ebca77U;
        sign[i] = hash >> 31 != 0 ? -1 : 1;
    }
}

static void
turn(float *out, const float *x, const float *sign, size_t k, size_t depth)
{
    size_t i, n;

    for (i = 0; i < k; i++)
        out[i] = x[i] * sign[i];
    for (; i < depth; i++)
        out[i] = 0;
    for (i = 0; i < depth; i += n) {
        for (n = 16; 2 * n <= depth - i; n *= 2)
            ;
        turn_block(out + i, n);
    }
}

/* The largest sum of an atom's eight numbers that meet in 16 bits, see isa.h,
 * of the positive ones or of the negative ones. */
static float
most_of_eight(const float *x, size_t depth)
{
    float most = 0;
    size_t i, l;

    for (i = 0; i < depth; i += 16) {
        float up[4] = {0}, down[4] = {0};

        for (l = 0; l < 16; l++) {
            up[l % 4] += fmaxf(x[i + l], 0);
            down[l % 4] -= fminf(x[i + l], 0);
        }
        for (l = 0; l < 4; l += 2) {
            most = fmaxf(most, up[l] + up[l + 1]);
            most = fmaxf(most, down[l] + down[l + 1]);
        }
    }
    return most;
}

void
bs_cpu_round_small(struct bs_whole *out, int16_t *q, float *turned,
                   const float *x, const float *sign, size_t k, bool atom)
{
    size_t depth = BS_ROUND_UP(k, BS_SMALL_COLUMNS);
    float most, scale;

    *out = (struct bs_whole){.norm = length(x, k, &most)};
    out->rest = out->norm;
    memset(q, 0, depth * sizeof *q);
    if (all_rest(out))
        return;
    turn(turned, x, sign, k, depth);
    length(turned, depth, &most);
    scale = most / (atom ? INT8_MAX : BS_SMALL_MOST);
    /* 127 times eight numbers is within 16 bits where they sum to 258; half a
     * unit of each may be added. */
    if (atom)
        scale = fmaxf(scale, most_of_eight(turned, depth) / 253.9f);
    round_to(out, q, turned, depth, scale);
    out->rest += TURNED * out->norm;
}
