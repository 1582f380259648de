/*
 * digest.c - see digest.h.  XXH64 by libxxhash, SHA-256 by nettle.
 */
#define XXH_STATIC_LINKING_ONLY /* for the size of its state */
#include "formats/digest.h"

#include "common/io.h"
#include "common/mem.h"

#include <nettle/sha2.h>
#include <xxhash.h>

enum { PIECE = 1 << 18, MAP_PIECE = 1 << 24 };

static const char digits[] = "0123456789abcdef";

_Static_assert(sizeof(XXH64_state_t) <= sizeof(struct bs_xxh64),
               "struct bs_xxh64 holds the library's state");

uint64_t
bs_xxh64(const void *data, size_t len, uint64_t seed)
{
    return XXH64(data, len, seed);
}

void
bs_xxh64_init(struct bs_xxh64 *h, uint64_t seed)
{
    XXH64_reset((XXH64_state_t *)h, seed);
}

void
bs_xxh64_add(struct bs_xxh64 *h, const void *data, size_t len)
{
    if (len > 0)
        XXH64_update((XXH64_state_t *)h, data, len);
}

uint64_t
bs_xxh64_value(const struct bs_xxh64 *h)
{
    return XXH64_digest((const XXH64_state_t *)h);
}

void
bs_hex64(uint64_t value, char out[BS_HEX64_SIZE])
{
    int i;

    for (i = 15; i >= 0; i--, value >>= 4)
        out[i] = digits[value & 15];
    out[16] = '\0';
}

bool
bs_hex64_parse(const char *s, uint64_t *value)
{
    uint64_t v = 0;
    size_t i;

    for (i = 0; i < BS_HEX64_SIZE - 1; i++) {
        const char *digit = s[i] != '\0' ? strchr(digits, s[i]) : NULL;

        if (digit == NULL)
            return false;
        v = v << 4 | (uint64_t)(digit - digits);
    }
    if (s[i] != '\0')
        return false;
    *value = v;
    return true;
}

static void
sha256_hex(struct sha256_ctx *ctx, char out[BS_SHA256_HEX_SIZE])
{
    uint8_t sum[SHA256_DIGEST_SIZE];
    size_t i;

    sha256_digest(ctx, sizeof sum, sum);
    for (i = 0; i < sizeof sum; i++) {
        out[2 * i] = digits[sum[i] >> 4];
        out[2 * i + 1] = digits[sum[i] & 15];
    }
    out[2 * sizeof sum] = '\0';
}

void
bs_sha256(const void *data, size_t len, char out[BS_SHA256_HEX_SIZE])
{
    struct sha256_ctx ctx;

    sha256_init(&ctx);
    if (len > 0)
        sha256_update(&ctx, len, data);
    sha256_hex(&ctx, out);
}

void
bs_sha256_map(const void *map, size_t len, char out[BS_SHA256_HEX_SIZE])
{
    struct sha256_ctx ctx;
    size_t at, n;

    sha256_init(&ctx);
    for (at = 0; at < len; at += n) {
        const uint8_t *piece = (const uint8_t *)map + at;

        n = len - at < MAP_PIECE ? len - at : MAP_PIECE;
        sha256_update(&ctx, n, piece);
        bs_map_forget(piece, n);
    }
    sha256_hex(&ctx, out);
}

int
bs_sha256_fd(int fd, char out[BS_SHA256_HEX_SIZE], struct bs_err *e)
{
    struct sha256_ctx ctx;
    uint8_t *piece = bs_alloc(PIECE);
    ptrdiff_t got;
    int r = 0;

    if (piece == NULL)
        return bs_err_memory(e, "digest", PIECE);
    sha256_init(&ctx);
    while ((got = bs_read(fd, piece, PIECE)) > 0)
        sha256_update(&ctx, (size_t)got, piece);
    if (got < 0)
        r = bs_err_errno(e, BS_EX_IO, "cannot read");
    else
        sha256_hex(&ctx, out);
    bs_free(piece);
    return r;
}
