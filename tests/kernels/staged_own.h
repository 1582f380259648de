/*
 * staged_own.h - what the operations of the staged device share; see staged.h.
 */
#ifndef BS_TESTS_STAGED_OWN_H
#define BS_TESTS_STAGED_OWN_H

#include "kernels/dev_ops.h"
#include "kernels/sae_train_table.h"
#include "tests/kernels/staged.h"

/* staged_train.c */
extern const struct bs_train_ops staged_train_ops;

/* The CUDA device behind it. */
struct bs_dev *staged_cuda(struct bs_dev *d);

/* Arrays of a call: the host's, and what stands for them on the device. */
struct staged_arrays {
    struct bs_dev *cuda;
    struct {
        void *host;
        size_t bytes;
        struct bs_mem mem;
        bool written;
    } at[8];
    size_t n;
    int r;
};

/* Where an array is on the device; the same again for one that is the same, as
 * that of an operation in place.  NULL for NULL. */
void *staged_lend(struct staged_arrays *s, const void *host, size_t bytes,
                  bool written);
/* The same, not written to. */
const void *staged_read(struct staged_arrays *s, const void *host,
                        size_t bytes);
/* Take all back; the result of the call, or the first error of a copy. */
int staged_finish(struct staged_arrays *s, struct bs_dev *d, int r);
/* The result of a call without arrays. */
int staged_failed(struct bs_dev *d, int r);

/* Bytes of rows that are ld floats apart. */
size_t staged_rows(size_t rows, size_t cols, size_t ld);

#endif
