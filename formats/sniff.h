/*
 * sniff.h - what kind of input the first bytes begin.
 */
#ifndef BS_FORMATS_SNIFF_H
#define BS_FORMATS_SNIFF_H

#include "common/bs.h"

enum bs_sniff {
    BS_SNIFF_MORE,     /* cannot be told yet; never where `all` is set */
    BS_SNIFF_STREAM,   /* zstd around a document */
    BS_SNIFF_ARCHIVE,  /* tar or zip, plain or compressed */
    BS_SNIFF_DOCUMENT, /* a plain safetensors document */
    BS_SNIFF_NPY,
    BS_SNIFF_UNKNOWN
};

/* So many bytes always tell. */
enum { BS_SNIFF_BYTES = 256 << 10 };

/* By the first len bytes; all: the input ends behind them. */
enum bs_sniff bs_sniff(const uint8_t *data, size_t len, bool all);

#endif
