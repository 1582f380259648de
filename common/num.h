/*
 * num.h - strict numbers from text.  Each function returns NULL and sets *out,
 * or returns why the text is not such a number ("not a number", "too small",
 * "too large") and leaves *out alone.
 */
#ifndef BS_COMMON_NUM_H
#define BS_COMMON_NUM_H

#include "common/bs.h"

/* Decimal digits only: no sign, space, suffix. */
const char *bs_num_u64(const char *s, uint64_t min, uint64_t max,
                       uint64_t *out);
/* An optional '-' before the digits. */
const char *bs_num_i64(const char *s, int64_t min, int64_t max, int64_t *out);
/* Bytes: digits and an optional K, M, G or T (KiB and so on mean the same,
 * powers of 1024). */
const char *bs_num_size(const char *s, uint64_t min, uint64_t max,
                        uint64_t *out);
/* A finite decimal number. */
const char *bs_num_f64(const char *s, double min, double max, double *out);
/* Seconds: digits with an optional s, m, h or d. */
const char *bs_num_seconds(const char *s, uint64_t max, uint64_t *out);

#endif
