/*
 * u-dtype.c - element types: names, and the conversions against arithmetic in
 * double, for every half and bfloat16 and for what lies between two of them.
 */
#include "common/dtype.h"

#include "tests/unit/tap.h"

#include <math.h>

static uint32_t
bits_of(float f)
{
    uint32_t u;

    memcpy(&u, &f, sizeof u);
    return u;
}

static float
float_of(uint32_t u)
{
    float f;

    memcpy(&f, &u, sizeof f);
    return f;
}

/* A value of 1 sign, `e` exponent and `m` mantissa bits, by definition. */
static double
value_of(uint32_t h, int e, int m)
{
    int bias = (1 << (e - 1)) - 1;
    int exponent = (int)(h >> m) & ((1 << e) - 1);
    double fraction = (double)(h & ((1u << m) - 1)) / (1 << m);
    double sign = h >> (e + m) ? -1 : 1;

    if (exponent == (1 << e) - 1)
        return fraction != 0 ? (double)NAN : sign * (double)INFINITY;
    if (exponent == 0)
        return sign * ldexp(fraction, 1 - bias);
    return sign * ldexp(1 + fraction, exponent - bias);
}

static int
same(float f, double want)
{
    if (isnan(want))
        return isnan(f);
    return (double)f == want && !signbit(f) == !signbit(want);
}

/* Every value widens as defined and comes back with the same bits; a signalling
 * NaN comes back quiet. */
static void
test_all(const char *name, int e, int m, float (*widen)(uint16_t),
         uint16_t (*narrow)(float))
{
    uint32_t h, wrong_wide = 0, wrong_back = 0;
    uint16_t quiet = (uint16_t)(1u << (m - 1));

    for (h = 0; h < 0x10000; h++) {
        double want = value_of(h, e, m);
        float f = widen((uint16_t)h);
        uint16_t back = narrow(f);

        wrong_wide += !same(f, want);
        wrong_wide += isnan(want) && !signbit(f) != !(h >> 15);
        wrong_back += back != (isnan(want) ? (h | quiet) : h);
    }
    ok(wrong_wide == 0, "%s: all 65536 widen", name);
    ok(wrong_back == 0, "%s: all 65536 come back", name);
}

/* Between two neighbours h and h + 1: the middle goes to the even one, what is
 * an f32 step off the middle to the nearer one.  The last h is the largest
 * finite value; its upper neighbour is infinity. */
static void
test_rounding(const char *name, uint32_t last, float (*widen)(uint16_t),
              uint16_t (*narrow)(float), double beyond)
{
    uint32_t h, wrong = 0;

    for (h = 0; h <= last; h++) {
        double low = widen((uint16_t)h);
        double high = h < last ? (double)widen((uint16_t)(h + 1)) : beyond;
        float middle = (float)((low + high) / 2);
        uint32_t tie = h % 2 == 0 ? h : h + 1;
        float below = nextafterf(middle, 0);
        float above = nextafterf(middle, INFINITY);

        wrong += narrow(middle) != tie;
        wrong += narrow(-middle) != (tie | 0x8000);
        wrong += narrow(below) != h || narrow(above) != h + 1;
    }
    ok(wrong == 0, "%s: ties to even, else to nearest, over all pairs", name);
}

static void
test_specials(const char *name, uint16_t infinity, uint16_t (*narrow)(float))
{
    ok(narrow(INFINITY) == infinity && narrow(-INFINITY) == (infinity | 0x8000),
       "%s: infinities", name);
    ok(narrow(3.4028235e38f) == infinity &&
           narrow(-3.4028235e38f) == (infinity | 0x8000),
       "%s: overflow", name);
    ok(narrow(0.0f) == 0 && narrow(-0.0f) == 0x8000, "%s: zeros", name);
    ok((narrow(float_of(0x7f800001)) & 0x7fff) > infinity,
       "%s: a NaN whose low bits are cut off stays a NaN", name);
    ok(narrow(float_of(0xffffffff)) >> 15 == 1 &&
           (narrow(float_of(0xffffffff)) & 0x7fff) > infinity,
       "%s: a NaN of all ones stays a negative NaN", name);
}

static void
test_arrays(enum bs_dtype type, float (*widen)(uint16_t),
            uint16_t (*narrow)(float))
{
    static uint16_t half[0x10000 + 2];
    static float full[0x10000 + 2];
    const char *name = bs_dtype_name(type);
    uint32_t i, n, wrong = 0;

    for (i = 0; i < 0x10000; i++)
        half[i] = (uint16_t)i;
    for (n = 0; n < 40; n++) {
        full[n] = 1234.5f;
        bs_to_f32(full, type, half + 17 * n, n);
        for (i = 0; i < n; i++)
            wrong += bits_of(full[i]) != bits_of(widen((uint16_t)(17 * n + i)));
        wrong += full[n] != 1234.5f;
    }
    bs_to_f32(full, type, half, 0x10000);
    for (i = 0; i < 0x10000; i++)
        wrong += bits_of(full[i]) != bits_of(widen((uint16_t)i));
    ok(wrong == 0, "%s: arrays widen like single values", name);
    wrong = 0;
    half[0x10000] = 0x1234;
    bs_from_f32(half, type, full, 0x10000);
    for (i = 0; i < 0x10000; i++)
        wrong += half[i] != narrow(full[i]);
    ok(wrong == 0 && half[0x10000] == 0x1234,
       "%s: arrays narrow like single values", name);
}

static void
test_f32(void)
{
    static const uint32_t in[] = {0x7f800001, 0x80000000, 0x00000001,
                                  0x3f800000};
    uint32_t out[BS_LEN(in) + 1] = {0};

    bs_to_f32((float *)(void *)out, BS_DTYPE_F32, in, BS_LEN(in));
    ok(memcmp(out, in, sizeof in) == 0 && out[BS_LEN(in)] == 0,
       "F32: copied bit by bit");
}

static void
test_names(void)
{
    int i, good = 1;

    for (i = 0; i < BS_DTYPE_COUNT; i++)
        good &= bs_dtype_find(bs_dtype_name((enum bs_dtype)i)) == i;
    ok(good, "each type is found by its name");
    ok(bs_dtype_find("f32") == -1 && bs_dtype_find("") == -1 &&
           bs_dtype_find("F320") == -1,
       "no type by another name");
    ok(bs_dtype_size(BS_DTYPE_BOOL) == 1 && bs_dtype_size(BS_DTYPE_BF16) == 2 &&
           bs_dtype_size(BS_DTYPE_F32) == 4 && bs_dtype_size(BS_DTYPE_I64) == 8,
       "sizes");
}

int
main(void)
{
    test_names();
    test_all("F16", 5, 10, bs_f32_from_f16, bs_f16_from_f32);
    test_all("BF16", 8, 7, bs_f32_from_bf16, bs_bf16_from_f32);
    test_rounding("F16", 0x7bff, bs_f32_from_f16, bs_f16_from_f32, 65536);
    test_rounding("BF16", 0x7f7f, bs_f32_from_bf16, bs_bf16_from_f32,
                  ldexp(1, 128));
    test_specials("F16", 0x7c00, bs_f16_from_f32);
    test_specials("BF16", 0x7f80, bs_bf16_from_f32);
    test_arrays(BS_DTYPE_F16, bs_f32_from_f16, bs_f16_from_f32);
    test_arrays(BS_DTYPE_BF16, bs_f32_from_bf16, bs_bf16_from_f32);
    test_f32();
    return tap_done();
}
