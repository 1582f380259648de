/*
 * gram.h - G = Z^T Z of a sparse matrix Z without forming it: rows of Z times
 * panels of vectors.
 *
 * Values of Z are whole numbers below 2^40 and columns below 2^24, so an entry
 * is one word: column << 40 | value.  Entries of a row are in ascending order
 * of their columns, which no two share.
 *
 * A panel is f64 [n][BS_PANEL], row-major, at a multiple of BS_ALIGN: a row is
 * a cache line.
 */
#ifndef BS_KERNELS_GRAM_H
#define BS_KERNELS_GRAM_H

#include "common/bs.h"
#include "common/err.h"

enum { BS_PANEL = 8, BS_GRAM_VALUE_BITS = 40 };
#define BS_GRAM_VALUE_MAX (((uint64_t)1 << BS_GRAM_VALUE_BITS) - 1)

static inline uint64_t
bs_gram_entry(uint32_t column, uint64_t value)
{
    return (uint64_t)column << BS_GRAM_VALUE_BITS | value;
}

static inline uint32_t
bs_gram_column(uint64_t entry)
{
    return (uint32_t)(entry >> BS_GRAM_VALUE_BITS);
}

static inline uint64_t
bs_gram_value(uint64_t entry)
{
    return entry & BS_GRAM_VALUE_MAX;
}

/*
 * y += Z^T (Z x) for `rows` rows of Z, row i of len[i] entries, which lie one
 * behind the other; x and y are panels [columns of Z].  f64, each value summed
 * in the order of the rows; may fuse multiply and add.
 */
typedef void bs_gram_fn(const uint64_t *entry, const uint32_t *len, size_t rows,
                        const double *x, double *y);

/* The function for this processor; NULL where BS_CPU asks for another. */
bs_gram_fn *bs_gram_here(struct bs_err *e) BS_CHECKED;

#endif
