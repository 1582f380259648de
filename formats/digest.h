/*
 * digest.h - XXH64 and SHA-256.
 */
#ifndef BS_FORMATS_DIGEST_H
#define BS_FORMATS_DIGEST_H

#include "common/bs.h"
#include "common/err.h"

enum {
    BS_HEX64_SIZE = 17, /* 16 digits and a NUL */
    BS_SHA256_HEX_SIZE = 65
};

/* XXH64 of len bytes. */
uint64_t bs_xxh64(const void *data, size_t len, uint64_t seed);

/* XXH64 of bytes that come in pieces: init, add..., value at any time. */
struct bs_xxh64 {
    uint64_t state[11]; /* private */
};
void bs_xxh64_init(struct bs_xxh64 *h, uint64_t seed);
void bs_xxh64_add(struct bs_xxh64 *h, const void *data, size_t len);
uint64_t bs_xxh64_value(const struct bs_xxh64 *h);

/* 16 lower-case hexadecimal digits, and back (false if it is not that). */
void bs_hex64(uint64_t value, char out[BS_HEX64_SIZE]);
bool bs_hex64_parse(const char *s, uint64_t *value);

/* SHA-256 as 64 lower-case hexadecimal digits: of memory, of a mapped file
 * without keeping it in memory, and of what a descriptor still has to give. */
void bs_sha256(const void *data, size_t len, char out[BS_SHA256_HEX_SIZE]);
void bs_sha256_map(const void *map, size_t len, char out[BS_SHA256_HEX_SIZE]);
int bs_sha256_fd(int fd, char out[BS_SHA256_HEX_SIZE],
                 struct bs_err *e) BS_CHECKED;

#endif
