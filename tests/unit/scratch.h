/*
 * scratch.h - a folder for the files of a test.
 */
#ifndef BS_TESTS_SCRATCH_H
#define BS_TESTS_SCRATCH_H

#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"
#include "tests/unit/tap.h"

static char work[] = "/tmp/bs-test-XXXXXX";

static inline void
scratch_open(void)
{
    if (mkdtemp(work) == NULL) {
        perror(work);
        exit(1);
    }
}

static inline int
scratch_remove(const char *path, const struct stat *st, int type,
               struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

/* With all that is in it. */
static inline void
scratch_close(void)
{
    ok(nftw(work, scratch_remove, 16, FTW_DEPTH | FTW_PHYS) == 0, "clean up");
}

/* The path of a file of it. */
static inline char *
at(char out[300], const char *name)
{
    snprintf(out, 300, "%s/%s", work, name);
    return out;
}

static inline void
write_bytes(const char *name, const void *bytes, size_t len)
{
    char path[300];
    int fd = open(at(path, name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (fd < 0 || bs_write(fd, bytes, len) < 0 || close(fd) < 0)
        perror(path);
}

static inline void
write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

#endif
