/*
 * npy.h - NumPy's array files: versions 1 to 3 read, version 1 written as
 * numpy.save writes it.
 *
 * Only what a tensor can hold: little-endian booleans, integers and floats in
 * C order.  No objects, so nothing that would have to be unpickled.
 */
#ifndef BS_FORMATS_NPY_H
#define BS_FORMATS_NPY_H

#include "common/bs.h"
#include "common/dtype.h"
#include "common/err.h"
#include "common/mem.h"

enum {
    BS_NPY_RANK_MAX = 8,
    BS_NPY_MAGIC = 6,           /* bytes of the signature "\x93NUMPY" */
    BS_NPY_HEADER_MAX = 1 << 16 /* bytes before the data that are accepted */
};

struct bs_npy {
    enum bs_dtype dtype;
    unsigned rank;
    uint64_t shape[BS_NPY_RANK_MAX];
    size_t header; /* bytes before the data */
    size_t bytes;  /* of the data */
};

/* True if the first len bytes can start an npy file. */
bool bs_npy_sniff(const uint8_t *data, size_t len);

/*
 * Length of the header of which len bytes are there: *need is the whole
 * length (returns 1), or how many bytes must be there to tell more (returns
 * 0); < 0 where this is no npy file.
 */
int bs_npy_measure(const uint8_t *data, size_t len, size_t *need,
                   struct bs_err *e) BS_CHECKED;

/* Parse the header, which lies whole in the len bytes. */
int bs_npy_header(struct bs_npy *out, const uint8_t *data, size_t len,
                  struct bs_err *e) BS_CHECKED;

/* Parse a whole file of exactly len bytes; the array is at data + header. */
int bs_npy_parse(struct bs_npy *out, const uint8_t *data, size_t len,
                 struct bs_err *e) BS_CHECKED;

/* False for BF16, which the format does not know. */
bool bs_npy_has(enum bs_dtype dtype);

/* Append the header of such an array; its data follows as it is. */
int bs_npy_write_header(struct bs_buf *out, enum bs_dtype dtype, unsigned rank,
                        const uint64_t *shape, struct bs_err *e) BS_CHECKED;

#endif
