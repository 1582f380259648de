/*
 * cuda_lock.c - take turns on a GPU: who asks to be alone holds the lock of a
 * file that is named for the GPU, until the device is closed or the process
 * ends.  Nothing is ever written to the file, and it is left there.
 */
#include "kernels/cuda.h"

#include "common/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define POLL_NANOSECONDS 100000000 /* between two tries */

/* A file that other users can lock, too: reading is enough for that.  Created
 * only if it is not there, as in a shared folder that is refused for others'
 * files. */
static int
open_shared(const char *path)
{
    int fd;

    do {
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0 || errno != ENOENT)
            return fd;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_CREAT | O_EXCL, 0444);
    } while (fd < 0 && errno == EEXIST);
    return fd;
}

static int
open_lock(struct bs_cuda *c, char *path, size_t room)
{
    const char *folder = getenv("TMPDIR");
    uint8_t uuid[16] = {0};
    size_t used, i;
    int r = BS_CU(c, cuDeviceGetUuid_v2, uuid, c->device);

    if (r < 0)
        return r;
    if (folder == NULL || *folder == '\0')
        folder = "/tmp";
    used = (size_t)snprintf(path, room, "%s/bs-gpu-", folder);
    for (i = 0; i < sizeof uuid && used < room; i++)
        used += (size_t)snprintf(path + used, room - used, "%02x", uuid[i]);
    if (used < room)
        used += (size_t)snprintf(path + used, room - used, ".lock");
    if (used >= room)
        return bs_err_set(&c->dev.err, BS_EX_OSERR, "TMPDIR is too long");
    c->lock = open_shared(path);
    if (c->lock < 0)
        return bs_err_set(&c->dev.err, BS_EX_OSERR, "cannot open '%s': %s",
                          path, strerror(errno));
    return 0;
}

int
bs_cuda_wait(struct bs_cuda *c, uint64_t seconds)
{
    const struct timespec pause = {0, POLL_NANOSECONDS};
    char path[4096];
    struct timespec now;
    int64_t end;
    int r = open_lock(c, path, sizeof path);

    clock_gettime(CLOCK_MONOTONIC, &now);
    end = (int64_t)now.tv_sec + (int64_t)seconds;
    while (r == 0 && flock(c->lock, LOCK_EX | LOCK_NB) < 0) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (errno != EWOULDBLOCK && errno != EINTR)
            r = bs_err_set(&c->dev.err, BS_EX_OSERR, "cannot lock '%s': %s",
                           path, strerror(errno));
        else if (now.tv_sec >= end || bs_stop_wanted())
            r = bs_err_set(&c->dev.err, BS_EX_UNAVAIL,
                           "device 'cuda:%d' is in use by another command that "
                           "waited for it",
                           c->device);
        else
            nanosleep(&pause, NULL);
    }
    return r;
}

void
bs_cuda_leave(struct bs_cuda *c)
{
    if (c->lock >= 0)
        close(c->lock);
}
