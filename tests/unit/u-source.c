/*
 * u-source.c - any input as records: what comes in which order, from files and
 * from pipes, with the same content ids as a stream of the same records has.
 */
#include "cmd/models/source.h"
#include "common/io.h"
#include "formats/digest.h"
#include "tests/unit/tap.h"

#include <sys/mman.h>
#include <unistd.h>

enum { ITEMS_MAX = 60 };

/* What a source gave: H R E for its items, and X for an error. */
struct seen {
    char items[ITEMS_MAX + 1];
    char format[16], kind[16], key[256]; /* of the first head and record */
    uint64_t hash;                       /* of the last segment */
    bool sound; /* aligned, and the hash is that of the bytes */
    struct bs_err err;
};

/* Feed the item to the hash, and look at it. */
static void
look(struct seen *s, const struct bs_source *src, int item,
     const struct bs_doc *doc, struct bs_xxh64 *hash)
{
    const char *kind = bs_doc_meta(doc, "bs.kind"), *key;
    size_t len, i;
    const uint8_t *bytes = bs_source_bytes(src, &len);

    if (item == BS_ITEM_HEAD)
        bs_xxh64_init(hash, 0);
    if (item != BS_ITEM_END)
        bs_xxh64_add(hash, bytes, len);
    else
        s->sound = s->sound && bs_source_hash(src) == bs_xxh64_value(hash);
    s->hash = bs_source_hash(src);
    for (i = 0; i < doc->tensors; i++)
        s->sound = s->sound && (uintptr_t)doc->tensor[i].data %
                                       bs_dtype_size(doc->tensor[i].dtype) ==
                                   0;
    if (item == BS_ITEM_HEAD && s->kind[0] == '\0' && kind != NULL)
        snprintf(s->kind, sizeof s->kind, "%s", kind);
    key = bs_doc_meta(doc, "key");
    if (item == BS_ITEM_RECORD && s->key[0] == '\0' && key != NULL)
        snprintf(s->key, sizeof s->key, "%s", key);
}

static struct seen
read_source(const char *path, unsigned flags)
{
    struct seen s = {.sound = true};
    const struct bs_doc *doc = NULL;
    struct bs_source *src;
    struct bs_xxh64 hash;
    int n = 0, item = 1;

    bs_xxh64_init(&hash, 0);
    if (bs_source_open(&src, path, flags, 1 << 20, &s.err) < 0) {
        s.items[0] = 'X';
        return s;
    }
    snprintf(s.format, sizeof s.format, "%s", bs_source_format(src));
    while (n < ITEMS_MAX && (item = bs_source_next(src, &doc)) != 0) {
        s.items[n++] = item < 0 ? 'X' : "-HRE"[item];
        if (item < 0)
            break;
        look(&s, src, item, doc, &hash);
    }
    if (item < 0) {
        s.err = *bs_source_error(src);
        s.sound = s.sound && bs_source_next(src, &doc) == item;
    } else {
        s.sound = s.sound && bs_source_next(src, &doc) == 0;
    }
    bs_source_close(src);
    return s;
}

/* Files of the tests, one after the other, as one: a regular file or (they are
 * small enough) a pipe; its path in `path`. */
static int
open_joined(const char *const *name, bool pipe_it, char *path, size_t room,
            int *other)
{
    const char *root = getenv("BS_SRC");
    struct bs_buf b = {0};
    struct bs_err e = {0};
    int fd[2] = {-1, -1}, r = 0;

    for (; *name != NULL && r == 0; name++) {
        snprintf(path, room, "%s/tests/%s", root != NULL ? root : ".", *name);
        r = bs_read_file(path, 1 << 20, &b, &e);
    }
    if (pipe_it && r == 0)
        r = pipe(fd);
    else if (r == 0)
        fd[0] = fd[1] = memfd_create("input", 0);
    if (r == 0 && b.len < 60000)
        r = bs_write(fd[1], b.data, b.len);
    if (pipe_it)
        close(fd[1]);
    bs_buf_release(&b);
    snprintf(path, room, "/dev/fd/%d", fd[0]);
    *other = fd[0];
    return r;
}

struct row {
    const char *file[3];
    const char *format, *kind, *items, *key;
};

/* "*": the name of the descriptor, which is the key where a file is one. */
static const struct row rows[] = {
    {{"golden/wds/webdataset.tar"},
     "webdataset",
     "image",
     "HRRRE",
     "000/000000"},
    {{"golden/wds/plain.tar.gz"}, "webdataset", "tensor", "HRRE", "a"},
    {{"golden/wds/plain.tar.zst"}, "webdataset", "tensor", "HRRE", "a"},
    {{"golden/wds/concatenated.tar"}, "webdataset", "tensor", "HRRRE", "a"},
    {{"golden/wds/safetensors.tar"}, "webdataset", "tensor", "HRE", "a"},
    {{"golden/npy/features.npy"},
     "npy",
     "feature",
     "HRRRRRRRRRRRRRRRRRRRRE",
     "000000"},
    {{"golden/npy/f2.npy"}, "npy", "feature", "HRE", "*"},
    {{"golden/npy/i4.npy"}, "npy", "tensor", "HRE", "*"},
    {{"golden/npy/rank1.npy"}, "npy", "tensor", "HRE", "*"},
    {{"golden/npy/empty.npy"}, "npy", "feature", "HRE", "*"},
    {{"golden/wds/bs.tar"}, "webdataset", "feature", "HRRE", "000000"},
    /* heads of its own, among records that have none */
    {{"golden/wds/bs.tar", "golden/wds/bs.tar"},
     "webdataset",
     "feature",
     "HRREHRRE",
     "000000"},
    {{"golden/wds/plain.tar", "golden/wds/bs.tar"},
     "webdataset",
     "tensor",
     "HRREHRRE",
     "a"},
    {{"golden/wds/bs.tar", "golden/wds/plain.tar"},
     "webdataset",
     "feature",
     "HRREHRRE",
     "000000"},
    {{"bad/tar-cut-between.tar"}, "webdataset", "tensor", "HRRX", "a"},
    {{"bad/tar-apart.tar"}, "webdataset", "tensor", "HRRX", "a"},
    {{"bad/tar-empty.tar"}, "webdataset", "", "X", ""},
    {{"bad/npy-longer.npy"}, "npy", "feature", "HRX", "*"},
    {{"bad/npy-object.npy"}, "", "", "X", ""},
};

static void
test_row(const struct row *row, bool pipe_it)
{
    char path[4096];
    struct seen s;
    int fd, good;

    if (open_joined(row->file, pipe_it, path, sizeof path, &fd) < 0) {
        ok(0, "%s is there", row->file[0]);
        return;
    }
    s = read_source(path, 0);
    good = strcmp(s.items, row->items) == 0 &&
           strcmp(s.format, row->format) == 0 &&
           strcmp(s.kind, row->kind) == 0 && s.sound &&
           strcmp(s.key,
                  row->key[0] == '*' ? strrchr(path, '/') + 1 : row->key) == 0;
    if (strchr(row->items, 'X') != NULL)
        good = good && s.err.code == BS_EX_DATA;
    ok(good, "%s from a %s: %s %s %s %s %s", row->file[0],
       pipe_it ? "pipe" : "file", s.format, s.kind, s.items, s.key, s.err.text);
    close(fd);
}

static void
test_partial(void)
{
    static const char *const cut[] = {"bad/tar-cut-between.tar", NULL};
    char path[4096];
    struct seen s;
    int fd;

    if (open_joined(cut, false, path, sizeof path, &fd) < 0) {
        ok(0, "%s is there", cut[0]);
        return;
    }
    s = read_source(path, BS_READER_PARTIAL);
    ok(strcmp(s.items, "HRRE") == 0 && s.sound,
       "a tar without its closing mark, on request: %s", s.items);
    close(fd);
}

int
main(void)
{
    struct seen s = read_source("no/such/file", 0);
    size_t i;

    ok(s.err.code == BS_EX_NOINPUT, "%s", s.err.text);
    s = read_source("/dev/null", 0);
    ok(s.err.code == BS_EX_DATA, "nothing: %s", s.err.text);
    for (i = 0; i < BS_LEN(rows); i++) {
        test_row(&rows[i], false);
        test_row(&rows[i], true);
    }
    test_partial();
    return tap_done();
}
