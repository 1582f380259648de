/*
 * spool.h - documents put aside in a file without a name, so that memory does
 * not grow with them.  It lies in TMPDIR (default /tmp) and goes with the
 * process.
 */
#ifndef BS_MODELS_SPOOL_H
#define BS_MODELS_SPOOL_H

#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"

struct bs_spool {
    int fd;
    uint64_t end; /* bytes in the file */
};

int bs_spool_open(struct bs_spool *s, struct bs_err *e) BS_CHECKED;
/* Put bytes aside; *at says where. */
int bs_spool_add(struct bs_spool *s, const void *data, size_t len, uint64_t *at,
                 struct bs_err *e) BS_CHECKED;
/* The len bytes at `at` replace the contents of b. */
int bs_spool_get(const struct bs_spool *s, uint64_t at, size_t len,
                 struct bs_buf *b, struct bs_err *e) BS_CHECKED;
void bs_spool_close(struct bs_spool *s);

#endif
