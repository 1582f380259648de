/*
 * frame_write.c - see frame.h.  A stored frame costs a copy and a checksum:
 * features and encoded images do not compress.
 */
#include "formats/frame.h"

#include "common/io.h"
#include "formats/digest.h"

#include <errno.h>
#include <zstd.h>
#include <zstd_errors.h>

enum {
    WINDOW_LOG = 23,
    WINDOW_MAX = 1 << WINDOW_LOG,
    LEVEL_WIDE = 19,      /* levels above it ask for larger windows */
    STAGE = 256 << 10,    /* what one write() gets */
    RAW_BLOCK = 127 << 10 /* two of them and their headers fill a stage */
};

struct bs_packer {
    ZSTD_CCtx *zstd;
    struct bs_buf out;
};

bool
bs_frame_level_valid(int level)
{
    return level >= ZSTD_minCLevel() && level <= ZSTD_maxCLevel();
}

int
bs_packer_open(struct bs_packer **out, struct bs_err *e)
{
    struct bs_packer *p = bs_alloc_array(1, sizeof *p);

    *out = p;
    if (p != NULL)
        p->zstd = ZSTD_createCCtx();
    if (p == NULL || p->zstd == NULL) {
        bs_packer_close(p);
        *out = NULL;
        return bs_err_memory(e, "compression", sizeof *p);
    }
    return 0;
}

void
bs_packer_close(struct bs_packer *p)
{
    if (p == NULL)
        return;
    ZSTD_freeCCtx(p->zstd);
    bs_buf_release(&p->out);
    bs_free(p);
}

/* Write out what is staged. */
static int
drain(struct bs_packer *p, int fd, struct bs_err *e)
{
    if (bs_write(fd, p->out.data, p->out.len) < 0)
        return bs_err_set(e, BS_EX_IO, "%s", strerror(errno));
    p->out.len = 0;
    return 0;
}

/* ---- stored -------------------------------------------------------------- */

static void
put_little(struct bs_packer *p, uint64_t v, size_t bytes)
{
    for (; bytes > 0; bytes--, v >>= 8)
        p->out.data[p->out.len++] = (uint8_t)v;
}

static void
put_header(struct bs_packer *p, size_t len)
{
    put_little(p, ZSTD_MAGICNUMBER, 4);
    if (len <= WINDOW_MAX) {
        put_little(p, 0xe4, 1); /* 8-byte size, single segment, checksum */
    } else {
        put_little(p, 0xc4, 1);
        put_little(p, 0x38, 1); /* window of 128 KiB */
    }
    put_little(p, len, 8);
}

static int
store(struct bs_packer *p, int fd, const uint8_t *data, size_t len,
      struct bs_err *e)
{
    struct bs_xxh64 sum;
    size_t at = 0, n;
    int r = bs_buf_reserve(&p->out, STAGE, e);

    if (r < 0)
        return r;
    p->out.len = 0;
    bs_xxh64_init(&sum, 0);
    put_header(p, len);
    do {
        n = len - at < RAW_BLOCK ? len - at : RAW_BLOCK;
        put_little(p, (uint64_t)n << 3 | (at + n == len), 3);
        if (n > 0) {
            bs_xxh64_add(&sum, data + at, n);
            memcpy(p->out.data + p->out.len, data + at, n);
        }
        p->out.len += n;
        at += n;
        if (STAGE - p->out.len < RAW_BLOCK + 16 && drain(p, fd, e) < 0)
            return -e->code;
    } while (at < len);
    put_little(p, (uint32_t)bs_xxh64_value(&sum), 4);
    return drain(p, fd, e);
}

/* ---- compressed ---------------------------------------------------------- */

static int
set(struct bs_packer *p, ZSTD_cParameter parameter, int value, struct bs_err *e)
{
    size_t r = ZSTD_CCtx_setParameter(p->zstd, parameter, value);

    return ZSTD_isError(r)
               ? bs_err_set(e, BS_EX_SOFTWARE, "zstd: %s", ZSTD_getErrorName(r))
               : 0;
}

static int
compress(struct bs_packer *p, int fd, int level, const uint8_t *data,
         size_t len, struct bs_err *e)
{
    size_t got;

    if (set(p, ZSTD_c_compressionLevel, level, e) < 0 ||
        set(p, ZSTD_c_windowLog, level > LEVEL_WIDE ? WINDOW_LOG : 0, e) < 0 ||
        set(p, ZSTD_c_checksumFlag, 1, e) < 0 ||
        set(p, ZSTD_c_contentSizeFlag, 1, e) < 0 ||
        bs_buf_reserve(&p->out, ZSTD_compressBound(len), e) < 0)
        return -e->code;
    got = ZSTD_compress2(p->zstd, p->out.data, p->out.room, data, len);
    if (ZSTD_isError(got))
        return bs_err_set(e,
                          ZSTD_getErrorCode(got) == ZSTD_error_memory_allocation
                              ? BS_EX_OSERR
                              : BS_EX_SOFTWARE,
                          "zstd: %s", ZSTD_getErrorName(got));
    p->out.len = got;
    return drain(p, fd, e);
}

int
bs_frame_write(struct bs_packer *p, int fd, int level, const uint8_t *data,
               size_t len, struct bs_err *e)
{
    return level == BS_LEVEL_STORED ? store(p, fd, data, len, e)
                                    : compress(p, fd, level, data, len, e);
}
