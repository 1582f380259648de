/*
 * sniff.c - see sniff.h.
 *
 * zstd is looked into, as a stream and a compressed tar begin alike.  Other
 * compressions can only be archives here; the archive reader says what is wrong
 * if they are not.
 */
#include "formats/sniff.h"

#include <zstd.h>

#include "formats/archive.h"
#include "formats/npy.h"

enum { TAR_BLOCK = 512, JSON_BEGIN = 8 };

/* A length below 4 GiB and '{': tar has a file name here, which cannot go on
 * behind a NUL. */
static bool
is_document(const uint8_t *data, size_t len)
{
    static const uint8_t zero[4] = {0};

    return len > JSON_BEGIN && data[JSON_BEGIN] == '{' &&
           memcmp(data + 4, zero, sizeof zero) == 0;
}

static enum bs_sniff
sniff_plain(const uint8_t *data, size_t len, bool all)
{
    if (is_document(data, len))
        return BS_SNIFF_DOCUMENT;
    if (len >= BS_NPY_MAGIC && bs_npy_sniff(data, len))
        return BS_SNIFF_NPY;
    if ((len >= TAR_BLOCK || all) &&
        bs_archive_sniff(data, len) != BS_ARCHIVE_NONE)
        return BS_SNIFF_ARCHIVE;
    return len < TAR_BLOCK && !all ? BS_SNIFF_MORE : BS_SNIFF_UNKNOWN;
}

/* What zstd holds; damage and an early end are the stream reader's to name. */
static enum bs_sniff
sniff_zstd(const uint8_t *data, size_t len, bool all)
{
    uint8_t plain[TAR_BLOCK];
    ZSTD_inBuffer in = {data, len, 0};
    ZSTD_outBuffer out = {plain, sizeof plain, 0};
    ZSTD_DStream *z = ZSTD_createDStream();
    enum bs_sniff found = BS_SNIFF_MORE;
    size_t r = 0;

    if (z == NULL)
        return BS_SNIFF_STREAM;
    while (in.pos < in.size && out.pos < out.size && !ZSTD_isError(r))
        r = ZSTD_decompressStream(z, &out, &in);
    ZSTD_freeDStream(z);
    if (ZSTD_isError(r))
        return BS_SNIFF_STREAM;
    found = sniff_plain(plain, out.pos, all);
    if (found == BS_SNIFF_DOCUMENT || (found == BS_SNIFF_UNKNOWN && all))
        return BS_SNIFF_STREAM;
    return found;
}

static bool
is_zstd(const uint8_t *data)
{
    /* a frame, or a skippable one */
    return memcmp(data, "\x28\xb5\x2f\xfd", 4) == 0 ||
           (data[0] >> 4 == 5 && memcmp(data + 1, "\x2a\x4d\x18", 3) == 0);
}

/* By libarchive's filters: gzip, compress, bzip2, xz, lzip, lz4, lzma. */
static bool
is_compressed(const uint8_t *data, size_t len)
{
    static const struct {
        const char *magic;
        size_t len;
    } known[] = {{"\x1f\x8b", 2},    {"\x1f\x9d", 2}, {"BZh", 3},
                 {"\xfd\x37zXZ", 5}, {"LZIP", 4},     {"\4\"M\x18", 4},
                 {"\x5d\0\0", 3}};
    size_t i;

    for (i = 0; i < BS_LEN(known); i++)
        if (len >= known[i].len &&
            memcmp(data, known[i].magic, known[i].len) == 0)
            return true;
    return false;
}

enum bs_sniff
bs_sniff(const uint8_t *data, size_t len, bool all)
{
    all = all || len >= BS_SNIFF_BYTES;
    if (len < 5)
        return all ? BS_SNIFF_UNKNOWN : BS_SNIFF_MORE;
    if (is_zstd(data))
        return sniff_zstd(data, len, all);
    if (is_document(data, len))
        return BS_SNIFF_DOCUMENT;
    if (is_compressed(data, len))
        return BS_SNIFF_ARCHIVE;
    return sniff_plain(data, len, all);
}
