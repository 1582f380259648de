/*
 * bs.h - the first include of every source file: attributes, small macros,
 * and the list of functions that nobody here may call.
 */
#ifndef BS_COMMON_BS_H
#define BS_COMMON_BS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define BS_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define BS_NORETURN __attribute__((noreturn))
#define BS_CHECKED __attribute__((warn_unused_result))
#define BS_UNUSED __attribute__((unused))
#define BS_LIKELY(x) __builtin_expect(!!(x), 1)
#else
#define BS_PRINTF(f, a)
#define BS_NORETURN
#define BS_CHECKED
#define BS_UNUSED
#define BS_LIKELY(x) (x)
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "bs reads and writes little-endian tensors in place"
#endif

#define BS_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define BS_ROUND_UP(n, to) (((n) + (to)-1) / (to) * (to))

/* Every buffer that holds tensor data starts at a multiple of this. */
#define BS_ALIGN 64

#include "common/banned.h"

#endif
