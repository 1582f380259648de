/*
 * tarwrite.h - tar archives, the same bytes for the same members.
 *
 * ustar, with pax headers only for names that do not fit; owner 0, mode 0444,
 * time 0.
 */
#ifndef BS_FORMATS_TARWRITE_H
#define BS_FORMATS_TARWRITE_H

#include "common/bs.h"
#include "common/err.h"

enum bs_tar_filter {
    BS_TAR_PLAIN,
    BS_TAR_GZIP,
    BS_TAR_BZIP2,
    BS_TAR_XZ,
    BS_TAR_ZSTD
};

/* Version of libarchive and what it was built with, for --version. */
const char *bs_tar_library(void);

/* True if a file of this name is a tar archive; *filter says compressed how. */
bool bs_tar_named(const char *path, enum bs_tar_filter *filter);

struct bs_tar;

/* Write to descriptor fd, which stays the caller's. */
int bs_tar_open(struct bs_tar **out, int fd, enum bs_tar_filter filter,
                struct bs_err *e) BS_CHECKED;
int bs_tar_member(struct bs_tar *t, const char *name, const void *data,
                  size_t len, struct bs_err *e) BS_CHECKED;
/* Write what ends the archive, and free it. */
int bs_tar_close(struct bs_tar *t, struct bs_err *e) BS_CHECKED;
/* Free it without an end; NULL is fine. */
void bs_tar_abandon(struct bs_tar *t);

#endif
