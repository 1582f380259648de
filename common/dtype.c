/*
 * dtype.c - see dtype.h.  The conversions are branch-free bit arithmetic that
 * compilers vectorise; they are exact, so they need no per-processor variant.
 */
#include "common/dtype.h"

#include <assert.h>

static const struct {
    const char *name;
    size_t size;
} types[BS_DTYPE_COUNT] = {
    [BS_DTYPE_BOOL] = {"BOOL", 1}, [BS_DTYPE_U8] = {"U8", 1},
    [BS_DTYPE_I8] = {"I8", 1},     [BS_DTYPE_U16] = {"U16", 2},
    [BS_DTYPE_I16] = {"I16", 2},   [BS_DTYPE_U32] = {"U32", 4},
    [BS_DTYPE_I32] = {"I32", 4},   [BS_DTYPE_U64] = {"U64", 8},
    [BS_DTYPE_I64] = {"I64", 8},   [BS_DTYPE_F16] = {"F16", 2},
    [BS_DTYPE_BF16] = {"BF16", 2}, [BS_DTYPE_F32] = {"F32", 4},
    [BS_DTYPE_F64] = {"F64", 8},
};

size_t
bs_dtype_size(enum bs_dtype type)
{
    return types[type].size;
}

const char *
bs_dtype_name(enum bs_dtype type)
{
    return types[type].name;
}

int
bs_dtype_find(const char *name)
{
    int i;

    for (i = 0; i < BS_DTYPE_COUNT; i++)
        if (strcmp(types[i].name, name) == 0)
            return i;
    return -1;
}

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

float
bs_f32_from_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t rest = (uint32_t)(h & 0x7fff) << 13;
    uint32_t wide = rest & 0x0f800000;
    /* Exponents are biased by 15 here and by 127 there. */
    uint32_t normal = rest + ((127u - 15u) << 23);
    uint32_t special = rest + ((255u - 31u) << 23);
    /* A subnormal is a fixed-point fraction: let the subtraction normalise. */
    uint32_t tiny =
        bits_of(float_of(rest + (113u << 23)) - float_of(113u << 23));
    uint32_t u = wide == 0 ? tiny : wide == 0x0f800000 ? special : normal;

    if (wide == 0x0f800000 && (rest & 0x007fffff) != 0)
        u |= 0x00400000;
    return float_of(u | sign);
}

uint16_t
bs_f16_from_f32(float f)
{
    uint32_t u = bits_of(f);
    uint32_t sign = u >> 16 & 0x8000;
    uint32_t mag = u & 0x7fffffff;
    /* 0x477ff000 is the least that rounds past the largest half, 65504. */
    uint32_t normal = (mag - (112u << 23) + 0xfff + (mag >> 13 & 1)) >> 13;
    /* Below 2^-14: adding 0.5 leaves the subnormal's bits, rounded by the
     * processor to nearest even. */
    uint32_t tiny =
        bits_of(float_of(mag < 0x38800000 ? mag : 0) + 0.5f) - bits_of(0.5f);
    uint32_t h = mag < 0x38800000 ? tiny : normal;

    h = mag >= 0x477ff000 ? 0x7c00 : h;
    h = mag > 0x7f800000 ? 0x7e00 | (mag >> 13 & 0x3ff) : h;
    return (uint16_t)(sign | h);
}

float
bs_f32_from_bf16(uint16_t h)
{
    return float_of((uint32_t)h << 16);
}

uint16_t
bs_bf16_from_f32(float f)
{
    uint32_t u = bits_of(f);
    uint32_t rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;
    uint32_t quiet = u >> 16 | 0x40;

    return (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
}

void
bs_to_f32(float *out, enum bs_dtype type, const void *in, size_t n)
{
    const uint16_t *h = in;
    size_t i;

    assert(type == BS_DTYPE_F32 || type == BS_DTYPE_F16 ||
           type == BS_DTYPE_BF16);
    if (type == BS_DTYPE_F32)
        memcpy(out, in, n * sizeof *out);
    else if (type == BS_DTYPE_F16)
        for (i = 0; i < n; i++)
            out[i] = bs_f32_from_f16(h[i]);
    else
        for (i = 0; i < n; i++)
            out[i] = bs_f32_from_bf16(h[i]);
}

void
bs_from_f32(void *out, enum bs_dtype type, const float *in, size_t n)
{
    uint16_t *h = out;
    size_t i;

    assert(type == BS_DTYPE_F32 || type == BS_DTYPE_F16 ||
           type == BS_DTYPE_BF16);
    if (type == BS_DTYPE_F32)
        memcpy(out, in, n * sizeof *in);
    else if (type == BS_DTYPE_F16)
        for (i = 0; i < n; i++)
            h[i] = bs_f16_from_f32(in[i]);
    else
        for (i = 0; i < n; i++)
            h[i] = bs_bf16_from_f32(in[i]);
}

bool
bs_finite(const float *x, size_t n)
{
    uint32_t bits, most = 0;
    size_t i;

    for (i = 0; i < n; i++) {
        memcpy(&bits, x + i, sizeof bits);
        bits &= 0x7fffffff;
        most = bits > most ? bits : most;
    }
    return most < 0x7f800000;
}
