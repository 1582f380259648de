/*
 * u-wds.c - keys from names, and records through the members of a tar and back.
 */
#include "common/io.h"
#include "formats/json.h"
#include "formats/segment.h"
#include "formats/stream.h"
#include "formats/tarwrite.h"
#include "formats/wds.h"
#include "tests/unit/tap.h"

#include <sys/mman.h>
#include <unistd.h>

/* ---- keys ---------------------------------------------------------------- */

static void
test_key(const char *name, const char *want, bool same)
{
    char key[BS_WDS_KEY_SIZE];
    bool got = bs_wds_key(name, strlen(name), key);

    ok(got == same && strcmp(key, want) == 0 && bs_key_valid(key),
       "key of '%s': %s", name, key);
}

static void
test_keys(void)
{
    char name[601], one[BS_WDS_KEY_SIZE], two[BS_WDS_KEY_SIZE];
    size_t len;
    bool good = true;

    test_key("a", "a", true);
    test_key("a/b-c_D9", "a/b-c_D9", true);
    test_key("/a", "a", false);
    test_key("a//b/", "a/b", false);
    test_key("../../etc", "__/__/etc", false);
    test_key("caf\xc3\xa9", "caf__", false);
    test_key("", "_", false);
    test_key("///", "_", false);
    test_key("a\tb", "a_b", false);
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    for (len = 1; len < sizeof name; len++) {
        bool same = bs_wds_key(name, len, one);

        good = good && bs_key_valid(one) && same == (len <= 200);
    }
    ok(good, "keys of every length are valid");
    (void)bs_wds_key(name, 300, one);
    (void)bs_wds_key(name, 301, two);
    ok(strlen(one) == 200 && strcmp(one, two) != 0,
       "long names stay apart: %.20s...", two);
    for (len = 190; len < 300; len++) {
        name[len] = '/';
        (void)bs_wds_key(name, 400, one);
        good = good && bs_key_valid(one);
        name[len] = 'x';
    }
    ok(good, "a slash where a long key is cut leaves it valid");
}

/* ---- round trip ---------------------------------------------------------- */

static int
put_member(void *arg, const char *name, const void *data, size_t len,
           struct bs_err *e)
{
    return bs_tar_member(arg, name, data, len, e);
}

/* A record with what is hard: every type, odd names, odd texts. */
static int
make(struct bs_doc *doc, size_t i, struct bs_err *e)
{
    static const uint64_t values[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    uint64_t shape[3] = {1, 0, 2}, one[1] = {8};
    int type, r;

    r = bs_doc_setf(doc, "key", e, "folder/%06zu", i);
    if (r == 0)
        r = bs_doc_set(doc, "caption", i % 2 ? "tab\there\n" : "", e);
    if (r == 0)
        r = bs_doc_set(doc, "quote\"\\", "\x01 caf\xc3\xa9 {\"a\":1}", e);
    for (type = 0; r == 0 && type < BS_DTYPE_COUNT; type++) {
        shape[1] = 8 / bs_dtype_size((enum bs_dtype)type);
        r = bs_doc_put(doc, bs_dtype_name((enum bs_dtype)type),
                       (enum bs_dtype)type, i % 3 ? 2 : 0, shape, values, e);
    }
    if (r == 0)
        r = bs_doc_put(doc, "jpg", BS_DTYPE_U8, 1, one, values, e);
    if (r == 0)
        r = bs_doc_put(doc, "left.png", BS_DTYPE_U8, 1, one, values, e);
    if (r == 0)
        r = bs_doc_put(doc, "webp", BS_DTYPE_I8, 1, one, values, e);
    if (r == 0)
        r = bs_doc_put(doc, "odd/name \xc3\xa9", BS_DTYPE_U8, 1, one, values,
                       e);
    return r;
}

/* Write n records into a tar on fd; *hash receives their content id. */
static int
write_tar(int fd, size_t n, enum bs_tar_filter filter, uint64_t *hash,
          struct bs_err *e)
{
    struct bs_segment s = {.records = 0};
    const struct bs_doc *lent;
    struct bs_doc head = {0};
    struct bs_tar *tar;
    size_t i;
    int r = bs_tar_open(&tar, fd, filter, e);

    if (r == 0)
        r = bs_doc_set(&head, "bs.kind", "test", e);
    if (r == 0)
        r = bs_segment_head(&s, &head, &lent, e);
    if (r == 0)
        r = bs_tar_member(tar, "__bs__/head", s.bytes.data, s.bytes.len, e);
    for (i = 0; i < n && r == 0; i++) {
        struct bs_doc doc = {0};

        r = make(&doc, i, e);
        if (r == 0)
            r = bs_segment_record(&s, &doc, &lent, e);
        if (r == 0)
            r = bs_wds_write(&doc, put_member, tar, e);
        bs_doc_release(&doc);
    }
    *hash = bs_xxh64_value(&s.hash);
    if (r == 0)
        r = bs_segment_end(&s, NULL, &lent, e);
    if (r == 0)
        r = bs_tar_member(tar, "__bs__/end", s.bytes.data, s.bytes.len, e);
    if (r == 0)
        r = bs_tar_close(tar, e);
    bs_segment_release(&s);
    bs_doc_release(&head);
    return r;
}

/* Read it back: the number of records, or < 0. */
static int
read_tar(int fd, uint64_t *hash, struct bs_err *e)
{
    struct bs_segment s = {.records = 0};
    struct bs_archive *archive;
    const struct bs_doc *lent;
    struct bs_plain *plain;
    struct bs_wds *w = NULL;
    struct bs_doc *doc;
    int records = 0, r;

    *hash = 0;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return -1;
    r = bs_plain_open(&plain, fd, NULL, 0, e);
    if (r == 0)
        r = bs_archive_open(&archive, plain, e);
    if (r == 0)
        r = bs_wds_open(&w, archive, 1 << 20, e);
    while (r >= 0 && (r = bs_wds_next(w, &doc, e)) > 0) {
        if (r == BS_ITEM_HEAD)
            r = bs_segment_head(&s, doc, &lent, e);
        else if (r == BS_ITEM_RECORD)
            r = bs_segment_record(&s, doc, &lent, e);
        else
            r = bs_segment_end(&s, doc, &lent, e);
        records = (int)s.records;
        *hash = bs_xxh64_value(&s.hash);
    }
    bs_wds_close(w);
    bs_segment_release(&s);
    return r < 0 ? r : records;
}

static void
test_round_trip(enum bs_tar_filter filter, const char *name)
{
    uint64_t written = 0, read = 1;
    struct bs_err e = {0};
    int fd = memfd_create("tar", MFD_CLOEXEC), n = -1;

    if (write_tar(fd, 7, filter, &written, &e) == 0)
        n = read_tar(fd, &read, &e);
    ok(n == 7 && written == read, "%s: the same content comes back %s", name,
       e.text);
    close(fd);
}

/* A tar that bs wrote proves its end, wherever it is cut. */
static void
test_cuts(void)
{
    uint64_t hash;
    struct bs_err e = {0};
    int fd = memfd_create("tar", MFD_CLOEXEC), accepted = 0;
    off_t len, end;

    if (write_tar(fd, 2, BS_TAR_PLAIN, &hash, &e) < 0) {
        ok(0, "%s", e.text);
        return;
    }
    end = lseek(fd, 0, SEEK_END);
    /* 1024 zero bytes close the archive; the end is proven before them */
    for (len = end - 1025; len > 0; len -= 211) {
        struct bs_err cut = {0};

        if (ftruncate(fd, len) < 0)
            break;
        accepted += read_tar(fd, &hash, &cut) >= 0;
    }
    ok(accepted == 0, "cut in many places: refused");
    close(fd);
}

int
main(void)
{
    test_keys();
    test_round_trip(BS_TAR_PLAIN, "plain");
    test_round_trip(BS_TAR_GZIP, "gzip");
    test_round_trip(BS_TAR_BZIP2, "bzip2");
    test_round_trip(BS_TAR_XZ, "xz");
    test_round_trip(BS_TAR_ZSTD, "zstd");
    test_cuts();
    return tap_done();
}
