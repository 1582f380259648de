/*
 * u-digest.c - XXH64 and SHA-256 against published values.
 */
#include "formats/digest.h"
#include "tests/unit/tap.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

static void
test_xxh64(void)
{
    uint8_t bytes[1000];
    struct bs_xxh64 h;
    bool good = true;
    size_t i, n;

    for (i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 31);
    ok(bs_xxh64("", 0, 0) == 0xef46db3751d8e999u, "XXH64 of nothing");
    ok(bs_xxh64("abc", 3, 0) == 0x44bc2cf5ad770999u, "XXH64 of abc");
    ok(bs_xxh64("abc", 3, 0) != bs_xxh64("abc", 3, 1), "the seed counts");
    for (n = 1; n < 100; n++) {
        bs_xxh64_init(&h, 5);
        for (i = 0; i < sizeof bytes; i += n)
            bs_xxh64_add(&h, bytes + i,
                         sizeof bytes - i < n ? sizeof bytes - i : n);
        good = good && bs_xxh64_value(&h) == bs_xxh64(bytes, sizeof bytes, 5);
    }
    ok(good, "pieces of any size give the same");
}

static void
test_hex(void)
{
    static const char *const wrong[] = {"",
                                        "0",
                                        "0123456789abcde",
                                        "0123456789abcdef0",
                                        "0123456789ABCDEF",
                                        "0123456789abcdeg",
                                        " 123456789abcdef"};
    char hex[BS_HEX64_SIZE];
    uint64_t v = 0;
    size_t i;

    bs_hex64(0x0123456789abcdefu, hex);
    ok(strcmp(hex, "0123456789abcdef") == 0, "hexadecimal");
    ok(bs_hex64_parse(hex, &v) && v == 0x0123456789abcdefu, "and back");
    for (i = 0; i < BS_LEN(wrong); i++)
        ok(!bs_hex64_parse(wrong[i], &v), "not 16 digits: '%s'", wrong[i]);
}

static void
test_sha256(void)
{
    static const char abc[] = "ba7816bf8f01cfea414140de5dae2223"
                              "b00361a396177a9cb410ff61f20015ad";
    static const char million[] = "cdc76e5c9914fb9281a1c7e284d73e67"
                                  "f1809a48a497200e046d39ccc7112cd0";
    char hex[BS_SHA256_HEX_SIZE];
    struct bs_err e = {0};
    int fd = memfd_create("a", MFD_CLOEXEC), i;
    bool good = fd >= 0;

    bs_sha256("abc", 3, hex);
    ok(strcmp(hex, abc) == 0, "SHA-256 of abc");
    bs_sha256(NULL, 0, hex);
    ok(strncmp(hex, "e3b0c44298fc1c14", 16) == 0, "SHA-256 of nothing");
    for (i = 0; i < 100000; i++)
        good = good && write(fd, "aaaaaaaaaa", 10) == 10;
    good = good && lseek(fd, 0, SEEK_SET) == 0;
    ok(good && bs_sha256_fd(fd, hex, &e) == 0 && strcmp(hex, million) == 0,
       "SHA-256 of a file of a million letters");
    close(fd);
    ok(bs_sha256_fd(fd, hex, &e) == -BS_EX_IO && e.code == BS_EX_IO,
       "a descriptor that cannot be read: %s", e.text);
}

int
main(void)
{
    test_xxh64();
    test_hex();
    test_sha256();
    return tap_done();
}
