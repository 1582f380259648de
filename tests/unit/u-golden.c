/*
 * u-golden.c - streams of format version 1, kept for ever: today's reader takes
 * them, and today's writer makes the same content.  "u-golden FOLDER" writes
 * them.
 */
#include "tests/unit/streams.h"
#include "tests/unit/tap.h"

#include <errno.h>
#include <fcntl.h>

/* ---- what they hold ------------------------------------------------------ */

static void
put(struct bs_doc *rec, const char *name, enum bs_dtype type, unsigned rank,
    const uint64_t *shape, const void *data)
{
    struct bs_err e = {0};

    need(bs_doc_put(rec, name, type, rank, shape, data, &e) == 0);
}

static void
start(struct bs_writer *w, const char *kind)
{
    struct bs_doc head = {0};

    set(&head, "bs.kind", kind);
    set(&head, "bs.tool", "bs-golden 1");
    set(&head, "bs.params", "{}");
    need(bs_writer_head(w, &head) == 0);
    bs_doc_release(&head);
}

static void
finish(struct bs_writer *w, const char *status)
{
    struct bs_doc end = {0};

    set(&end, "bs.status", status);
    set(&end, "bs.stats", "{\"bad\":0}");
    need(bs_writer_end(w, &end, NULL) == 0);
    bs_doc_release(&end);
}

static void
record(struct bs_writer *w, const char *key, struct bs_doc *rec)
{
    set(rec, "key", key);
    need(bs_writer_record(w, rec) == 0);
    bs_doc_release(rec);
}

static void
image(struct bs_writer *w)
{
    static const uint8_t bytes[12] = {0xff, 0xd8, 0xff, 1, 2, 3, 4, 5};
    static const uint64_t file = 9, rgb[3] = {2, 2, 3};
    struct bs_doc rec = {0};

    start(w, "image");
    put(&rec, "jpg", BS_DTYPE_U8, 1, &file, bytes);
    set(&rec, "caption", "a cat\non a \"mat\" \\ \342\230\203");
    record(w, "00000/000000001", &rec);
    put(&rec, "rgb", BS_DTYPE_U8, 3, rgb, bytes);
    record(w, "00000/000000002", &rec);
    finish(w, "ok");
}

static void
feature(struct bs_writer *w)
{
    static const enum bs_dtype types[] = {BS_DTYPE_F16, BS_DTYPE_BF16,
                                          BS_DTYPE_F32};
    static const uint64_t shape[2] = {5, 3};
    static const uint32_t bits[15] = {0x3c003f80, 0x7f800000, 0x80000001, 7};
    size_t i;

    start(w, "feature");
    for (i = 0; i < BS_LEN(types); i++) {
        struct bs_doc rec = {0};

        put(&rec, "x", types[i], 2, shape, bits);
        set(&rec, "grid", "2x2");
        set(&rec, "prefix", "1");
        record(w, bs_dtype_name(types[i]), &rec);
    }
    finish(w, "ok");
}

/* Fixed k with a place not used, variable k, and no tokens at all. */
static void
code(struct bs_writer *w)
{
    static const uint64_t fixed[2] = {2, 2}, ptrs = 3, places = 3, none = 0;
    static const uint16_t idx[4] = {7, 2, 9, 0xffff};
    static const uint16_t val[4] = {0x4000, 0x3c00, 0x3c00, 0};
    static const uint32_t ptr[3] = {0, 1, 3}, wide[3] = {70000, 1, 2};
    static const float real[3] = {2, 1, 1};
    struct bs_doc rec = {0};

    start(w, "code");
    put(&rec, "idx", BS_DTYPE_U16, 2, fixed, idx);
    put(&rec, "val", BS_DTYPE_F16, 2, fixed, val);
    record(w, "fixed", &rec);
    put(&rec, "ptr", BS_DTYPE_U32, 1, &ptrs, ptr);
    put(&rec, "idx", BS_DTYPE_U32, 1, &places, wide);
    put(&rec, "val", BS_DTYPE_F32, 1, &places, real);
    record(w, "variable", &rec);
    put(&rec, "val", BS_DTYPE_F32, 1, &none, NULL);
    record(w, "none", &rec);
    finish(w, "ok");
}

static void
segments(struct bs_writer *w)
{
    image(w);
    start(w, "empty");
    finish(w, "ok");
    code(w);
}

static void
partial(struct bs_writer *w)
{
    struct bs_doc rec = {0};

    start(w, "other");
    record(w, "only", &rec);
    finish(w, "partial");
}

static const struct {
    const char *name;
    void (*make)(struct bs_writer *w);
    int level;
    unsigned flags;
} golden[] = {
    {"image", image, BS_LEVEL_AUTO, 0},
    {"feature", feature, BS_LEVEL_AUTO, 0},
    {"code", code, BS_LEVEL_AUTO, 0},
    {"segments", segments, 0, 0},
    {"partial", partial, 0, BS_READER_PARTIAL},
};

/* ---- making and checking ------------------------------------------------- */

static int
make(size_t i, int fd)
{
    struct bs_writer *w;
    struct bs_err e = {0};

    need(bs_writer_open(&w, fd, golden[i].name, golden[i].level, &e) == 0);
    golden[i].make(w);
    return bs_writer_close(w, &e);
}

static int
open_in(const char *folder, size_t i, int flags)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%s.bs", folder, golden[i].name);
    return open(path, flags | O_CLOEXEC, 0644);
}

static int
write_all(const char *folder)
{
    size_t i;
    int fd;

    for (i = 0; i < BS_LEN(golden); i++) {
        fd = open_in(folder, i, O_WRONLY | O_CREAT | O_TRUNC);
        need(fd >= 0 && make(i, fd) == 0 && close(fd) == 0);
    }
    return 0;
}

/* Stored frames do not depend on libzstd's version: there every byte counts. */
static void
check(const char *folder, size_t i)
{
    int old = open_in(folder, i, O_RDONLY), new;
    struct bs_buf was = {0}, is = {0};
    struct summary a, b;
    bool same;

    new = memfd_create("golden", MFD_CLOEXEC);
    need(old >= 0 && new >= 0 && make(i, new) == 0);
    slurp(old, &was);
    slurp(new, &is);
    same = was.len == is.len && memcmp(was.data, is.data, is.len) == 0;
    a = read_bytes(was.data, was.len, golden[i].flags, 0);
    b = read_bytes(is.data, is.len, golden[i].flags, 0);
    ok(a.code == 0 && a.ends > 0, "%s: is read", golden[i].name);
    ok(a.content == b.content && a.records == b.records &&
           (same || strcmp(golden[i].name, "code") == 0),
       "%s: the writer still makes it", golden[i].name);
    bs_buf_release(&was);
    bs_buf_release(&is);
    close(old);
    close(new);
}

int
main(int argc, char *argv[])
{
    const char *src = getenv("BS_SRC");
    char folder[4000];
    size_t i;

    if (argc == 2)
        return write_all(argv[1]);
    snprintf(folder, sizeof folder, "%s/tests/golden/stream",
             src != NULL ? src : ".");
    for (i = 0; i < BS_LEN(golden); i++)
        check(folder, i);
    return tap_done();
}
