/*
 * u-archive.c - plain bytes and members of archives made here, whole and cut at
 * every byte.
 */
#include "formats/archive.h"
#include "tests/unit/tap.h"

#include <fcntl.h>
#include <unistd.h>

enum { BLOCK = 512 };

/* Append a ustar member to the archive. */
static void
add_member(struct bs_buf *tar, const char *name, char type, const char *text,
           size_t len)
{
    char header[BLOCK] = {0};
    struct bs_err e = {0};
    unsigned sum = 0;
    size_t i;
    int r;

    snprintf(header, 100, "%s", name);
    snprintf(header + 100, 8, "%07o", 0644u);
    snprintf(header + 124, 12, "%011zo", len);
    snprintf(header + 136, 12, "%011o", 0u);
    memset(header + 148, ' ', 8);
    header[156] = type;
    memcpy(header + 257, "ustar\00000", 8);
    for (i = 0; i < BLOCK; i++)
        sum += (unsigned char)header[i];
    snprintf(header + 148, 8, "%06o", sum);
    r = bs_buf_add(tar, header, BLOCK, &e);
    if (r == 0)
        r = bs_buf_add(tar, text, len, &e);
    if (r == 0)
        r = bs_buf_fill(tar, 0, (BLOCK - len % BLOCK) % BLOCK, &e);
    if (r < 0)
        printf("Bail out! %s\n", e.text);
}

/* Open bytes that are in memory; r of bs_archive_open. */
static int
open_bytes(struct bs_archive **a, const void *bytes, size_t len, int fd,
           struct bs_err *e)
{
    struct bs_plain *plain;
    int r = bs_plain_open(&plain, fd, bytes, len, e);

    return r == 0 ? bs_archive_open(a, plain, e) : r;
}

/* Read all; members read, or < 0.  *ended: what the archive says of itself. */
static int
read_all(const struct bs_buf *tar, size_t len, int fd, bool *ended)
{
    struct bs_archive *a = NULL;
    struct bs_buf data = {0};
    struct bs_member m;
    struct bs_err e = {0};
    int r = open_bytes(&a, tar->data, len, fd, &e), members = 0;

    if (r == 0)
        while ((r = bs_archive_next(a, &m, &e)) > 0) {
            data.len = 0;
            r = bs_archive_data(a, 1 << 20, &data, &e);
            if (r < 0)
                break;
            members++;
        }
    *ended = r == 0 && bs_archive_ended(a);
    if (r < 0 && (r != -BS_EX_DATA || e.text[0] == '\0'))
        members = -1000;
    bs_archive_close(a);
    bs_buf_release(&data);
    return r < 0 ? -1 - members : members;
}

static void
test_members(const struct bs_buf *tar, int fd)
{
    struct bs_archive *a = NULL;
    struct bs_buf data = {0};
    struct bs_member m;
    struct bs_err e = {0};

    ok(open_bytes(&a, tar->data, tar->len, fd, &e) == 0, "open");
    ok(bs_archive_next(a, &m, &e) == 1 && strcmp(m.name, "one.jpg") == 0 &&
           m.size == 3,
       "first member");
    ok(bs_buf_str(&data, "x", &e) == 0 &&
           bs_archive_data(a, 3, &data, &e) == 0 && data.len == 4 &&
           memcmp(data.data, "xabc", 4) == 0,
       "as long as the limit: appended");
    ok(bs_archive_next(a, &m, &e) == 1 && strcmp(m.name, "../two") == 0,
       "a folder and a link are passed over");
    ok(bs_archive_data(a, 599, &data, &e) == 1 && data.len == 4,
       "longer than the limit: left alone");
    ok(bs_archive_next(a, &m, &e) == 1 && m.size == 0, "empty member");
    ok(bs_archive_next(a, &m, &e) == 0 && bs_archive_ended(a), "proven end");
    bs_archive_close(a);
    bs_buf_release(&data);
}

static void
test_cuts(const struct bs_buf *tar, size_t used, int fd)
{
    size_t at, bad = 0;
    bool ended;
    int n;

    for (at = 0; at < tar->len; at++) {
        n = read_all(tar, at, fd, &ended);
        if (n < -4 || (ended && at < used + BLOCK))
            bad++;
    }
    ok(bad == 0, "cut at each of %zu bytes: %zu wrong", tar->len, bad);
    n = read_all(tar, used, fd, &ended);
    ok(n == 3 && !ended, "cut behind the last member: seen");
    n = read_all(tar, used + BLOCK, fd, &ended);
    ok(n == 3 && ended, "one closing block is enough");
}

static void
test_flips(struct bs_buf *tar, int fd)
{
    size_t at, bad = 0;
    bool ended;

    for (at = 0; at < tar->len; at += 3) {
        tar->data[at] ^= 0x41;
        bad += read_all(tar, tar->len, fd, &ended) < -4;
        tar->data[at] ^= 0x41;
    }
    ok(bad == 0, "flipped bytes: %zu unexplained", bad);
}

static void
test_plain(int fd)
{
    static const char text[] = "0123456789";
    struct bs_plain *p = NULL;
    const uint8_t *data = NULL;
    struct bs_err e = {0};
    size_t len = 0;

    ok(bs_plain_open(&p, fd, text, 10, &e) == 0, "plain: open");
    ok(bs_plain_peek(p, 4, &data, &len, &e) == 0 && len == 4 &&
           memcmp(data, "0123", 4) == 0,
       "plain: peek");
    ok(bs_plain_peek(p, 100, &data, &len, &e) == 0 && len == 10,
       "plain: peek at all there is");
    ok(bs_plain_read(p, &data, &len, &e) == 1 && len == 10 &&
           memcmp(data, text, 10) == 0,
       "plain: read");
    ok(bs_plain_read(p, &data, &len, &e) == 0 &&
           bs_plain_read(p, &data, &len, &e) == 0,
       "plain: the end, twice");
    bs_plain_close(p);
    ok(bs_plain_open(&p, fd, NULL, 0, &e) == 0 &&
           bs_plain_peek(p, 4, &data, &len, &e) == 0 && len == 0 &&
           bs_plain_read(p, &data, &len, &e) == 0,
       "plain: empty");
    bs_plain_close(p);
}

int
main(void)
{
    int fd = open("/dev/null", O_RDONLY);
    struct bs_buf tar = {0};
    struct bs_err e = {0};
    char text[600];
    bool ended;
    size_t used;

    memset(text, 'y', sizeof text);
    add_member(&tar, "one.jpg", '0', "abc", 3);
    add_member(&tar, "folder/", '5', "", 0);
    add_member(&tar, "link", '2', "", 0);
    add_member(&tar, "../two", '0', text, sizeof text);
    add_member(&tar, "three", '0', "", 0);
    used = tar.len;
    ok(bs_buf_fill(&tar, 0, 2 * BLOCK, &e) == 0, "made %zu bytes", tar.len);

    test_members(&tar, fd);
    test_cuts(&tar, used, fd);
    test_flips(&tar, fd);
    test_plain(fd);
    ok(bs_archive_sniff(tar.data, tar.len) == BS_ARCHIVE_TAR &&
           bs_archive_sniff(tar.data, 511) == BS_ARCHIVE_NONE &&
           bs_archive_sniff((const uint8_t *)"PK\3\4", 4) == BS_ARCHIVE_ZIP &&
           bs_archive_sniff((const uint8_t *)text, 600) == BS_ARCHIVE_NONE,
       "sniffed");
    used = tar.len;
    ok(bs_buf_reserve(&tar, 2 * used, &e) == 0 &&
           bs_buf_add(&tar, tar.data, used, &e) == 0 &&
           read_all(&tar, tar.len, fd, &ended) == 6 && ended,
       "two in a row are one");
    bs_buf_release(&tar);
    close(fd);
    return tap_done();
}
