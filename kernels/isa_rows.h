/*
 * isa_rows.h - template: what is done to rows of values, with vectors of the
 * instruction set.  The last, partial vector of a row goes through the same
 * code as the others, padded, so a value does not depend on its place.
 */
#ifndef BS_KERNELS_ISA_ROWS_H
#define BS_KERNELS_ISA_ROWS_H

#include "kernels/dev.h"
#include "kernels/isa.h"
#include "kernels/isa_tile.h"

#include <math.h>

/* Lane by lane a > b ? a : b, so b where either is NaN. */
#ifndef MAX_OF
#define MAX_OF(a, b) select_of((a) > (b), a, b)
#endif

INLINE V
select_of(I mask, V a, V b)
{
    return (V)((mask & (I)a) | (~mask & (I)b));
}

/* The first n values at p, the lanes past them `fill`. */
INLINE V
load_some(const float *p, size_t n, float fill)
{
    V v = (V){0} + fill;

    if (n >= VW)
        return LOAD(p);
    memcpy(&v, p, n * sizeof *p);
    return v;
}

INLINE void
store_some(float *p, V v, size_t n)
{
    if (n >= VW)
        STORE(p, v);
    else
        memcpy(p, &v, n * sizeof *p);
}

INLINE float
sum_of(V v)
{
    float lane[VW], sum = 0;
    size_t i;

    STORE(lane, v);
    for (i = 0; i < VW; i++)
        sum += lane[i];
    return sum;
}

/*
 * 2^n (1 + ...) for the rounded n in the low bits of t = ROUND + 127 + n and
 * the rest f in [-1/2, 1/2]: minimax polynomial, relative error 2e-9.
 * n >= -127; 2^-127 counts as 0.
 */
#define ROUND (12582912.0f + 127)

INLINE V
exp2_of(V t, V f)
{
    V p = f * 1.54614446986e-4f + 1.34004281776e-3f;

    p = p * f + 9.61805667852e-3f;
    p = p * f + 5.55032722667e-2f;
    p = p * f + 2.40226509223e-1f;
    p = p * f + 6.93147206703e-1f;
    p = p * f + 1.0f;
    return p * (V)((I)t << 23);
}

/* e^x for |x| clamped to 87; NaN stays.  ln 2 in two parts: n times the first
 * is exact. */
INLINE V
exp_of(V x)
{
    V t, n, f;

    x = MAX_OF((V){0} - 87.0f, x);
    x = -MAX_OF((V){0} - 87.0f, -x);
    t = x * 1.44269504f + ROUND;
    n = t - ROUND;
    f = x - n * 0.693359375f;
    f = f + n * 2.12194440e-4f;
    return exp2_of(t, f * 1.44269504f);
}

/*
 * a Phi(a).  Phi(a) - 1/2 is odd: a P(a^2) / Q(a^2), fitted for least absolute
 * error on |a| <= 5.5 (2.3e-8, 2.5e-7 max(1, |a|) with f32 rounding); beyond,
 * it is 1/2 to f32.
 */
INLINE V
gelu_of(V a)
{
    const V limit = (V){0} + 5.5f;
    V c = -MAX_OF(-limit, -MAX_OF(-limit, a));
    V s = c * c;
    V p = s * 2.223986999e-8f + 6.477436327e-6f;
    V q = s * 1.191993447e-6f + 7.745630172e-5f;
    V h;

    p = p * s + 1.798587111e-4f;
    p = p * s + 4.744209240e-3f;
    p = p * s + 3.488060155e-2f;
    p = p * s + 3.989421450e-1f;
    q = q * s + 1.946298369e-3f;
    q = q * s + 2.924468707e-2f;
    q = q * s + 2.540974488e-1f;
    q = q * s + 1.0f;
    h = c * p / q;
    h = select_of(a >= limit, (V){0} + 0.5f, h);
    h = select_of(a <= -limit, (V){0} - 0.5f, h);
    return a * (h + 0.5f);
}

/* a / (1 + e^(-rate a)) */
INLINE V
swish_of(V a, float rate)
{
    return a / (1.0f + exp_of(a * -rate));
}

INLINE void
epilogue_rows(int kind, const float *bias, const float *scale, const float *c,
              const float *from, size_t ldr, float *y, size_t ldy, size_t rows,
              size_t cols)
{
    size_t i, j;

    for (j = 0; j < cols; j += VW) {
        size_t n = cols - j;
        V b = {0}, s = (V){0} + 1.0f;

        if (bias != NULL)
            b = load_some(bias + j, n, 0);
        if (scale != NULL)
            s = load_some(scale + j, n, 0);
        for (i = 0; i < rows; i++) {
            float *to = y + i * ldy + j;
            V a = LOAD(c + i * NR + j) + b;

            if (kind == BS_EPI_GELU)
                a = gelu_of(a);
            if (kind == BS_EPI_QUICK_GELU)
                a = swish_of(a, 1.702f);
            if (kind == BS_EPI_SILU)
                a = swish_of(a, 1);
            if (kind == BS_EPI_RESIDUAL)
                a = load_some(from + i * ldr + j, n, 0) + s * a;
            store_some(to, a, n);
        }
    }
}

static void
epilogue(const struct bs_isa_epilogue *epi, size_t col, const float *c,
         const float *residual, size_t ldr, float *y, size_t ldy, size_t rows,
         size_t cols)
{
    const float *bias = epi->bias != NULL ? epi->bias + col : NULL;
    const float *scale = epi->scale != NULL ? epi->scale + col : NULL;

    if (epi->kind == BS_EPI_GELU)
        epilogue_rows(BS_EPI_GELU, bias, scale, c, residual, ldr, y, ldy, rows,
                      cols);
    else if (epi->kind == BS_EPI_RESIDUAL)
        epilogue_rows(BS_EPI_RESIDUAL, bias, scale, c, residual, ldr, y, ldy,
                      rows, cols);
    else if (epi->kind == BS_EPI_QUICK_GELU)
        epilogue_rows(BS_EPI_QUICK_GELU, bias, scale, c, residual, ldr, y, ldy,
                      rows, cols);
    else if (epi->kind == BS_EPI_SILU)
        epilogue_rows(BS_EPI_SILU, bias, scale, c, residual, ldr, y, ldy, rows,
                      cols);
    else
        epilogue_rows(BS_EPI_NONE, bias, scale, c, residual, ldr, y, ldy, rows,
                      cols);
}

static void
scale(float *y, size_t ldy, const float *x, size_t ldx, size_t rows,
      size_t cols, float factor)
{
    size_t i, j;

    for (i = 0; i < rows; i++, y += ldy, x += ldx)
        for (j = 0; j < cols; j += VW)
            store_some(y + j, load_some(x + j, cols - j, 0) * factor, cols - j);
}

static void
widen(float *out, const uint16_t *in, size_t n)
{
    size_t i;

    for (i = 0; i < n; i += VW) {
        U u = __builtin_convertvector(*(const H *)(in + i), U) << 16;

        STORE(out + i, (V)u);
    }
}

/* To nearest, ties to even; a NaN stays one. */
INLINE H
narrow_of(V v)
{
    U u = (U)v;
    U rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;
    U quiet = u >> 16 | 0x40;
    U nan = (U)(v != v);

    return __builtin_convertvector((nan & quiet) | (~nan & rounded), H);
}

static void
narrow(uint16_t *out, const float *in, size_t n)
{
    size_t i;

    for (i = 0; i < n; i += VW) {
        size_t some = n - i < VW ? n - i : VW;
        H h = narrow_of(load_some(in + i, n - i, 0));

        memcpy(out + i, &h, some * sizeof *out);
    }
}

static void
pack(float *out, const float *w, size_t ldw, size_t n, size_t k)
{
    size_t i, j, p;

    for (p = 0; p < n; p += NR, out += NR * k) {
        size_t cols = n - p < NR ? n - p : NR;

        if (cols < NR)
            memset(out, 0, NR * k * sizeof *out);
        for (i = 0; i < k; i++)
            for (j = 0; j < cols; j++)
                out[i * NR + j] = w[(p + j) * ldw + i];
    }
}

/* 2^(x - max), from 2^-127 down 0. */
INLINE V
weight_of(V x, V max)
{
    V d = MAX_OF((V){0} - 127.0f, x - max);
    V t = d + ROUND;

    return exp2_of(t, d - (t - ROUND));
}

/* Rows of a strip, each with a sum of its own: short chains of additions. */
#define STRIP 4

/* NaN does not count in the maximum; it comes through by the weights. */
INLINE void
softmax_column(float *s, size_t rows, float *max, float *sum, float *shrink)
{
    V before = LOAD(max), top[STRIP], total[STRIP] = {{0}};
    size_t i, j;

#pragma GCC unroll 4
    for (j = 0; j < STRIP; j++)
        top[j] = before;
    for (i = 0; i + STRIP <= rows; i += STRIP)
#pragma GCC unroll 4
        for (j = 0; j < STRIP; j++)
            top[j] = MAX_OF(LOAD(s + (i + j) * NR), top[j]);
    for (; i < rows; i++)
        top[0] = MAX_OF(LOAD(s + i * NR), top[0]);
    top[0] = MAX_OF(MAX_OF(top[0], top[1]), MAX_OF(top[2], top[3]));
    for (i = 0; i + STRIP <= rows; i += STRIP)
#pragma GCC unroll 4
        for (j = 0; j < STRIP; j++) {
            V p = weight_of(LOAD(s + (i + j) * NR), top[0]);

            STORE(s + (i + j) * NR, p);
            total[j] += p;
        }
    for (; i < rows; i++) {
        V p = weight_of(LOAD(s + i * NR), top[0]);

        STORE(s + i * NR, p);
        total[0] += p;
    }
    before = weight_of(before, top[0]);
    STORE(shrink, before);
    STORE(max, top[0]);
    STORE(sum,
          LOAD(sum) * before + ((total[0] + total[1]) + (total[2] + total[3])));
}

static void
softmax(float *s, size_t rows, float *max, float *sum, float *shrink)
{
    size_t j;

    for (j = 0; j < NR; j += VW)
        softmax_column(s + j, rows, max + j, sum + j, shrink + j);
}

static void
scale_columns(float *c, size_t rows, const float *factor)
{
    size_t i, j;

    for (i = 0; i < rows; i++)
        for (j = 0; j < NR; j += VW)
            STORE(c + i * NR + j, LOAD(c + i * NR + j) * LOAD(factor + j));
}

static void
narrow_pairs(uint16_t *out, const float *in, size_t rows)
{
    size_t i, j;

    for (i = 0; i < rows; i += 2, out += 2 * NR)
        for (j = 0; j < NR; j += VW) {
            V second = {0};
            U low, high;

            if (i + 1 < rows)
                second = LOAD(in + (i + 1) * NR + j);
            low = __builtin_convertvector(narrow_of(LOAD(in + i * NR + j)), U);
            high = __builtin_convertvector(narrow_of(second), U);
            *(U *)(out + 2 * j) = high << 16 | low;
        }
}

/* Sums of x - center and of its square over a row. */
INLINE void
moments(const float *x, size_t k, float center, float *sum, float *square)
{
    V s[4] = {{0}}, q[4] = {{0}};
    size_t i, j;

    for (i = 0; i + 4 * VW <= k; i += 4 * VW)
#pragma GCC unroll 4
        for (j = 0; j < 4; j++) {
            V d = LOAD(x + i + j * VW) - center;

            s[j] += d;
            q[j] += d * d;
        }
    for (; i < k; i += VW) {
        V d = load_some(x + i, k - i, center) - center;

        s[0] += d;
        q[0] += d * d;
    }
    *sum = sum_of((s[0] + s[1]) + (s[2] + s[3]));
    *square = sum_of((q[0] + q[1]) + (q[2] + q[3]));
}

/* The second pass also measures what the rounded mean is off, so that a large
 * mean does not cost accuracy. */
static void
layer_norm(float *y, const float *x, size_t k, const float *gamma,
           const float *beta, float eps)
{
    float mean, off, var, unused, inv;
    size_t i;

    moments(x, k, 0, &mean, &unused);
    mean /= (float)k;
    moments(x, k, mean, &off, &var);
    off /= (float)k;
    var = var / (float)k - off * off;
    inv = 1 / sqrtf((var < 0 ? 0 : var) + eps);
    for (i = 0; i < k; i += VW) {
        size_t n = k - i;
        V d = (load_some(x + i, n, 0) - mean) - off;
        V g = load_some(gamma + i, n, 0), b = load_some(beta + i, n, 0);

        store_some(y + i, d * inv * g + b, n);
    }
}

static void
swiglu(float *y, const float *gate, const float *up, size_t k)
{
    size_t i;

    for (i = 0; i < k; i += VW) {
        size_t n = k - i;
        V g = load_some(gate + i, n, 0), u = load_some(up + i, n, 0);

        store_some(y + i, swish_of(g, 1) * u, n);
    }
}

#define SUM_PIXELS 32 /* in f32 */

static void
channel_sums(double *sums, const float *x, size_t ldx, size_t pixels, size_t k,
             const float *origin)
{
    size_t c, p, i;

    memset(sums, 0, 2 * k * sizeof *sums);
    for (p = 0; p < pixels; p += SUM_PIXELS, x += SUM_PIXELS * ldx) {
        size_t rows = pixels - p < SUM_PIXELS ? pixels - p : SUM_PIXELS;

        for (c = 0; c < k; c += VW) {
            size_t n = k - c < VW ? k - c : VW;
            V o = load_some(origin + c, k - c, 0), s = {0}, q = {0};
            float sum[VW], square[VW];

            for (i = 0; i < rows; i++) {
                V d = load_some(x + i * ldx + c, k - c, 0) - o;

                s += d;
                q += d * d;
            }
            STORE(sum, s);
            STORE(square, q);
            for (i = 0; i < n; i++) {
                sums[c + i] += (double)sum[i];
                sums[k + c + i] += (double)square[i];
            }
        }
    }
}

INLINE void
affine_row(float *y, const float *x, size_t k, const float *factor,
           const float *offset, bool silu)
{
    size_t i;

    for (i = 0; i < k; i += VW) {
        size_t n = k - i;
        V a = load_some(x + i, n, 0) * load_some(factor + i, n, 0) +
              load_some(offset + i, n, 0);

        store_some(y + i, silu ? swish_of(a, 1) : a, n);
    }
}

static void
affine(float *y, const float *x, size_t k, const float *factor,
       const float *offset, bool silu)
{
    if (silu)
        affine_row(y, x, k, factor, offset, true);
    else
        affine_row(y, x, k, factor, offset, false);
}

static void
geglu(float *y, const float *x, const float *gate, size_t k)
{
    size_t i;

    for (i = 0; i < k; i += VW) {
        size_t n = k - i;
        V a = load_some(x + i, n, 0), g = load_some(gate + i, n, 0);

        store_some(y + i, a * gelu_of(g), n);
    }
}

#endif
