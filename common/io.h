/*
 * io.h - whole reads and writes, and output files that appear at once.
 */
#ifndef BS_COMMON_IO_H
#define BS_COMMON_IO_H

#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"

/* Read until n bytes or end of file, over EINTR and short counts.  Returns the
 * bytes read, or -1 with errno. */
ptrdiff_t bs_read(int fd, void *buf, size_t n) BS_CHECKED;
/* Write all n bytes in pieces of at most 256 KiB; 0, or -1 with errno. */
int bs_write(int fd, const void *buf, size_t n) BS_CHECKED;
/* Widen a pipe to 1 MiB; anything else, and failure, is ignored. */
void bs_pipe_widen(int fd);

/* A regular file's whole contents, at most `limit` bytes, appended to b. */
int bs_read_file(const char *path, size_t limit, struct bs_buf *b,
                 struct bs_err *e) BS_CHECKED;

/*
 * Where results go: descriptor 1, or a file that appears under its name only
 * when it is complete.  The temporary lies beside it.
 */
struct bs_out {
    int fd;
    const char *name; /* for messages: the path, or "stdout" */
    char *path;       /* private; NULL for stdout */
    char *temp;
};

/* path NULL or "-" means stdout. */
int bs_out_open(struct bs_out *o, const char *path,
                struct bs_err *e) BS_CHECKED;
/* fsync, rename, fsync of the folder; for stdout nothing: bs_finish closes
 * it. */
int bs_out_commit(struct bs_out *o, struct bs_err *e) BS_CHECKED;
/* Remove temporaries of `path` whose process was killed. */
void bs_out_sweep(const char *path);
/* Remove the temporary; for error paths.  Does nothing after a commit. */
void bs_out_abandon(struct bs_out *o);

#endif
