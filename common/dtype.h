/*
 * dtype.h - element types of tensors, and conversions between the three float
 * types that features use.  Names are those of safetensors.
 */
#ifndef BS_COMMON_DTYPE_H
#define BS_COMMON_DTYPE_H

#include "common/bs.h"

enum bs_dtype {
    BS_DTYPE_BOOL,
    BS_DTYPE_U8,
    BS_DTYPE_I8,
    BS_DTYPE_U16,
    BS_DTYPE_I16,
    BS_DTYPE_U32,
    BS_DTYPE_I32,
    BS_DTYPE_U64,
    BS_DTYPE_I64,
    BS_DTYPE_F16,
    BS_DTYPE_BF16,
    BS_DTYPE_F32,
    BS_DTYPE_F64,
    BS_DTYPE_COUNT
};

/* Bytes of one element. */
size_t bs_dtype_size(enum bs_dtype type);
/* "F32" and the like; static memory. */
const char *bs_dtype_name(enum bs_dtype type);
/* The type called `name`, or -1. */
int bs_dtype_find(const char *name);

/*
 * One value.  To half and bfloat16: round to nearest, ties to even; overflow
 * gives infinity; a NaN stays a NaN with its sign and becomes quiet.
 */
float bs_f32_from_f16(uint16_t h);
uint16_t bs_f16_from_f32(float f);
float bs_f32_from_bf16(uint16_t h);
uint16_t bs_bf16_from_f32(float f);

/*
 * n values of F32, F16 or BF16 (any other type is a programming error) to or
 * from f32.  Buffers need the alignment of their own elements and must not
 * overlap.  Any split of the work gives the same bits.
 */
void bs_to_f32(float *out, enum bs_dtype type, const void *in, size_t n);
void bs_from_f32(void *out, enum bs_dtype type, const float *in, size_t n);

/* No NaN and no infinity among n values. */
bool bs_finite(const float *x, size_t n);

#endif
