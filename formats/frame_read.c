/*
 * frame_read.c - see frame.h.  The walk knows RFC 8878's frame and block
 * headers only; the blocks themselves are libzstd's.
 */
#include "formats/frame.h"

#include <zstd.h>
#include <zstd_errors.h>

#define SKIPPABLE_MAGIC 0x184d2a50u /* and the 15 numbers after it */

enum {
    MAGIC_BYTES = 4,
    BLOCK_HEADER = 3,
    CHECKSUM_BYTES = 4,
    BLOCK_MAX = 128 << 10,
    WINDOW_MAX = 8 << 20,
    OVERHEAD = 64 << 10
};

struct bs_unpacker {
    ZSTD_DCtx *zstd;
};

static uint64_t
little(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    while (n > 0)
        v = v << 8 | p[--n];
    return v;
}

static int
bad(struct bs_err *e, const char *what)
{
    return bs_err_set(e, BS_EX_DATA, "%s", what);
}

/* ---- headers ------------------------------------------------------------- */

/* Could these bytes, perhaps too few, start a frame? */
static bool
is_frame(const uint8_t *p, size_t n, bool *skippable)
{
    static const uint8_t frame[] = {0x28, 0xb5, 0x2f, 0xfd};
    static const uint8_t skip[] = {0x2a, 0x4d, 0x18};

    n = n < MAGIC_BYTES ? n : MAGIC_BYTES;
    *skippable = n > 0 && (p[0] & 0xf0) == (SKIPPABLE_MAGIC & 0xf0);
    if (*skippable)
        return memcmp(p + 1, skip, n - 1) == 0;
    return n == 0 || memcmp(p, frame, n) == 0;
}

/* Bytes of the content size field, by the frame header's descriptor. */
static size_t
size_field(uint8_t descriptor)
{
    static const size_t bytes[] = {0, 2, 4, 8};
    bool single = (descriptor & 0x20) != 0;

    return descriptor >> 6 == 0 && single ? 1 : bytes[descriptor >> 6];
}

static int
check_descriptor(uint8_t descriptor, struct bs_err *e)
{
    if ((descriptor & 0x18) != 0)
        return bad(e, "frame with reserved bits set");
    if ((descriptor & 0x04) == 0)
        return bad(e, "frame without a checksum");
    if ((descriptor & 0x03) != 0)
        return bad(e, "frame with a dictionary");
    if (size_field(descriptor) == 0)
        return bad(e, "frame without its content size");
    return 0;
}

static uint64_t
window_size(uint8_t descriptor)
{
    uint64_t base = (uint64_t)1 << (10 + (descriptor >> 3));

    return base + base / 8 * (descriptor & 7);
}

/* The header, all of which is there. */
static int
read_header(struct bs_frame *f, const uint8_t *data, size_t max_content,
            struct bs_err *e)
{
    uint8_t descriptor = data[MAGIC_BYTES];
    const uint8_t *p = data + MAGIC_BYTES + 1;
    bool single = (descriptor & 0x20) != 0;
    size_t bytes = size_field(descriptor);
    uint64_t window = single ? 0 : window_size(*p++), content;

    content = little(p, bytes) + (bytes == 2 ? 256 : 0);
    if (content > max_content)
        return bs_err_set(e, BS_EX_DATA,
                          "frame of %llu bytes is over the limit of %zu",
                          (unsigned long long)content, max_content);
    if ((single ? content : window) > WINDOW_MAX)
        return bad(e, "frame with a window of more than 8 MiB");
    f->content = (size_t)content;
    f->at = (size_t)(p - data) + bytes;
    f->need = f->at + BLOCK_HEADER;
    return 0;
}

/* From nothing to the first block, or to the skippable frame's content. */
static int
walk_header(struct bs_frame *f, const uint8_t *data, size_t len,
            size_t max_content, struct bs_err *e)
{
    int r;

    if (!is_frame(data, len, &f->skippable))
        return BS_FRAME_ALIEN;
    f->need = f->skippable ? MAGIC_BYTES + 4 : MAGIC_BYTES + 1;
    if (len < f->need)
        return BS_FRAME_SHORT;
    if (f->skippable) {
        f->skip = (size_t)little(data + MAGIC_BYTES, 4);
        f->at = f->need;
        return BS_FRAME_WHOLE;
    }
    r = check_descriptor(data[MAGIC_BYTES], e);
    if (r < 0)
        return r;
    f->need +=
        ((data[MAGIC_BYTES] & 0x20) == 0) + size_field(data[MAGIC_BYTES]);
    if (len < f->need)
        return BS_FRAME_SHORT;
    return read_header(f, data, max_content, e);
}

/* ---- blocks -------------------------------------------------------------- */

/* One block, whose header is there. */
static int
walk_block(struct bs_frame *f, const uint8_t *data, struct bs_err *e)
{
    uint32_t header = (uint32_t)little(data + f->at, BLOCK_HEADER);
    uint32_t type = header >> 1 & 3, size = header >> 3;

    if (type == 3 || size > BLOCK_MAX)
        return bad(e, "damaged block");
    f->last = (header & 1) != 0;
    f->holds += type == 2 ? (uint64_t)BLOCK_MAX : size;
    f->at += BLOCK_HEADER + (type == 1 ? 1 : size);
    f->need = f->at + (f->last ? CHECKSUM_BYTES : BLOCK_HEADER);
    if (f->at > f->content + f->content / 16 + OVERHEAD)
        return bad(e, "frame is longer than its content");
    return 0;
}

int
bs_frame_walk(struct bs_frame *f, const uint8_t *data, size_t len,
              size_t max_content, struct bs_err *e)
{
    int r;

    if (f->at == 0) {
        r = walk_header(f, data, len, max_content, e);
        if (r != 0 || f->at == 0)
            return r;
    }
    while (len >= f->need && !f->last) {
        r = walk_block(f, data, e);
        if (r < 0)
            return r;
    }
    if (len < f->need)
        return BS_FRAME_SHORT;
    if (f->holds < f->content)
        return bad(e, "frame is shorter than it says");
    f->at = f->need;
    return BS_FRAME_WHOLE;
}

/* ---- content ------------------------------------------------------------- */

int
bs_unpacker_open(struct bs_unpacker **out, struct bs_err *e)
{
    struct bs_unpacker *u = bs_alloc_array(1, sizeof *u);

    *out = u;
    if (u != NULL)
        u->zstd = ZSTD_createDCtx();
    if (u == NULL || u->zstd == NULL) {
        bs_unpacker_close(u);
        *out = NULL;
        return bs_err_memory(e, "decompression", sizeof *u);
    }
    return 0;
}

int
bs_frame_unpack(struct bs_unpacker *u, const struct bs_frame *f,
                const uint8_t *data, struct bs_buf *content, struct bs_err *e)
{
    size_t got;
    int r;

    content->len = 0;
    r = bs_buf_reserve(content, f->content > 0 ? f->content : 1, e);
    if (r < 0)
        return r;
    got = ZSTD_decompressDCtx(u->zstd, content->data, f->content, data, f->at);
    if (ZSTD_isError(got))
        return ZSTD_getErrorCode(got) == ZSTD_error_checksum_wrong
                   ? bad(e, "checksum mismatch")
                   : bs_err_set(e, BS_EX_DATA, "damaged frame: %s",
                                ZSTD_getErrorName(got));
    if (got != f->content)
        return bad(e, "frame is shorter than it says");
    content->len = got;
    return 0;
}

void
bs_unpacker_close(struct bs_unpacker *u)
{
    if (u == NULL)
        return;
    ZSTD_freeDCtx(u->zstd);
    bs_free(u);
}
