/*
 * ranges.h - what the checks before an operation share.  Private to kernels/.
 */
#ifndef BS_KERNELS_RANGES_H
#define BS_KERNELS_RANGES_H

#include "kernels/dev.h"

/* The bytes of `rows` rows of `cols` words of 4 bytes, `ld` words apart;
 * SIZE_MAX on overflow, which no memory holds. */
size_t bs_range_rows(size_t rows, size_t cols, size_t ld);

/* a * b * c, or SIZE_MAX. */
size_t bs_range_product(size_t a, size_t b, size_t c);

/* -BS_EX_SOFTWARE, named in the device, where m has fewer than `bytes`. */
int bs_range_check(struct bs_dev *d, const char *op, const char *what,
                   const struct bs_mem *m, size_t bytes) BS_CHECKED;

#endif
