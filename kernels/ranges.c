/*
 * ranges.c - see ranges.h.
 */
#include "kernels/ranges.h"

#include "common/mem.h"
#include "kernels/dev_ops.h"

size_t
bs_range_rows(size_t rows, size_t cols, size_t ld)
{
    size_t n;

    if (rows == 0 || cols == 0)
        return 0;
    return bs_mul(rows - 1, ld, &n) && bs_add(n, cols, &n) &&
                   bs_mul(n, sizeof(float), &n)
               ? n
               : SIZE_MAX;
}

size_t
bs_range_product(size_t a, size_t b, size_t c)
{
    size_t n;

    if (a == 0 || b == 0 || c == 0)
        return 0;
    return bs_mul(a, b, &n) && bs_mul(n, c, &n) ? n : SIZE_MAX;
}

int
bs_range_check(struct bs_dev *d, const char *op, const char *what,
               const struct bs_mem *m, size_t bytes)
{
    if (bytes <= m->bytes)
        return 0;
    return bs_err_set(&d->err, BS_EX_SOFTWARE,
                      "%s: %s needs %zu bytes and has %zu", op, what, bytes,
                      m->bytes);
}
