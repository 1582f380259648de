/*
 * u-npy.c - npy headers against files that numpy wrote: read right, and written
 * again byte for byte.
 */
#include "common/io.h"
#include "formats/npy.h"
#include "tests/unit/tap.h"

struct golden {
    const char *name;
    enum bs_dtype dtype;
    unsigned rank;
    uint64_t shape[5];
};

static const struct golden goldens[] = {
    {"b1", BS_DTYPE_BOOL, 2, {2, 3}},
    {"u1", BS_DTYPE_U8, 2, {2, 3}},
    {"i1", BS_DTYPE_I8, 2, {2, 3}},
    {"u2", BS_DTYPE_U16, 2, {2, 3}},
    {"i2", BS_DTYPE_I16, 2, {2, 3}},
    {"u4", BS_DTYPE_U32, 2, {2, 3}},
    {"i4", BS_DTYPE_I32, 2, {2, 3}},
    {"u8", BS_DTYPE_U64, 2, {2, 3}},
    {"i8", BS_DTYPE_I64, 2, {2, 3}},
    {"f2", BS_DTYPE_F16, 2, {2, 3}},
    {"f4", BS_DTYPE_F32, 2, {2, 3}},
    {"f8", BS_DTYPE_F64, 2, {2, 3}},
    {"rank0", BS_DTYPE_I16, 0, {0}},
    {"rank1", BS_DTYPE_I16, 1, {2}},
    {"rank2", BS_DTYPE_I16, 2, {2, 2}},
    {"rank3", BS_DTYPE_I16, 3, {2, 2, 2}},
    {"rank4", BS_DTYPE_I16, 4, {2, 2, 2, 2}},
    {"rank5", BS_DTYPE_I16, 5, {2, 2, 2, 2, 2}},
    {"empty", BS_DTYPE_F32, 2, {0, 3}},
    {"version2", BS_DTYPE_F32, 1, {3}},
    {"version3", BS_DTYPE_F32, 1, {3}},
    {"python2", BS_DTYPE_F32, 1, {2}},
};

/* Read a file of tests/FOLDER; false where that fails. */
static bool
load(const char *folder, const char *name, struct bs_buf *b)
{
    const char *root = getenv("BS_SRC");
    struct bs_err e = {0};
    char path[4096];

    snprintf(path, sizeof path, "%s/tests/%s/%s.npy", root != NULL ? root : ".",
             folder, name);
    b->len = 0;
    return bs_read_file(path, 1 << 20, b, &e) == 0;
}

static void
test_golden(const struct golden *g)
{
    struct bs_buf file = {0}, made = {0};
    struct bs_err e = {0};
    struct bs_npy npy = {0};
    bool same = false;

    if (load("golden/npy", g->name, &file) &&
        bs_npy_parse(&npy, file.data, file.len, &e) == 0 &&
        npy.dtype == g->dtype && npy.rank == g->rank &&
        memcmp(npy.shape, g->shape, g->rank * sizeof *g->shape) == 0)
        same =
            bs_npy_write_header(&made, npy.dtype, npy.rank, npy.shape, &e) == 0;
    /* numpy writes version 1 unless it is told otherwise */
    if (same && file.data[6] == 1 && strcmp(g->name, "python2") != 0)
        same = made.len == npy.header &&
               memcmp(made.data, file.data, made.len) == 0;
    ok(same, "%s: read, and written as numpy does%s%s", g->name,
       e.code ? ": " : "", e.text);
    bs_buf_release(&file);
    bs_buf_release(&made);
}

static void
test_cuts(void)
{
    struct bs_buf file = {0};
    size_t len, refused = 0;

    if (!load("golden/npy", "f4", &file)) {
        ok(0, "golden file is there");
        return;
    }
    for (len = 0; len < file.len; len++) {
        uint8_t *copy = bs_alloc(len); /* its end is watched by sanitizers */
        struct bs_err e = {0};
        struct bs_npy npy;

        if (copy == NULL)
            break;
        memcpy(copy, file.data, len);
        refused += bs_npy_parse(&npy, copy, len, &e) == -BS_EX_DATA;
        bs_free(copy);
    }
    ok(refused == file.len, "cut at each of %zu bytes: refused", file.len);
    bs_buf_release(&file);
}

static void
test_bad(const char *name)
{
    struct bs_buf file = {0};
    struct bs_err e = {0};
    struct bs_npy npy;
    bool there = load("bad", name, &file);

    ok(there && bs_npy_parse(&npy, file.data, file.len, &e) == -BS_EX_DATA,
       "%s: %s", name, e.text);
    bs_buf_release(&file);
}

int
main(void)
{
    static const char *const bad[] = {
        "npy-big-endian",  "npy-complex",    "npy-cut",
        "npy-cut-header",  "npy-fortran",    "npy-huge",
        "npy-key-missing", "npy-key-twice",  "npy-key-unknown",
        "npy-longer",      "npy-negative",   "npy-no-comma",
        "npy-object",      "npy-structured", "npy-unicode",
        "npy-version",     "npy-wide"};
    struct bs_buf b = {0};
    struct bs_err e = {0};
    size_t i;

    for (i = 0; i < BS_LEN(goldens); i++)
        test_golden(&goldens[i]);
    test_cuts();
    for (i = 0; i < BS_LEN(bad); i++)
        test_bad(bad[i]);
    ok(!bs_npy_has(BS_DTYPE_BF16) &&
           bs_npy_write_header(&b, BS_DTYPE_BF16, 0, NULL, &e) == -BS_EX_DATA,
       "BF16 has no npy");
    bs_buf_release(&b);
    return tap_done();
}
