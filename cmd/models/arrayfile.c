/*
 * arrayfile.c - see arrayfile.h.  Memory: one record.
 */
#include "cmd/models/arrayfile.h"

#include <inttypes.h>

#include "common/io.h"
#include "common/mem.h"
#include "formats/npy.h"
#include "formats/wds.h"

struct bs_arrayfile {
    struct bs_arrayfile_input in;
    bool is_npy;
    struct bs_npy npy;
    uint64_t row, rows; /* records given, and all of them */
    struct bs_buf contents;
    struct bs_doc doc;
};

/* ---- bytes ----------------------------------------------------------------
 */

/* Up to n bytes: those that were seen, then those that follow. */
static int
take(struct bs_arrayfile *a, uint8_t *to, size_t n, size_t *got,
     struct bs_err *e)
{
    size_t have = a->in.seen_len < n ? a->in.seen_len : n;
    ptrdiff_t more;

    *got = 0;
    if (have > 0)
        memcpy(to, a->in.seen, have);
    a->in.seen += have;
    a->in.seen_len -= have;
    more = bs_read(a->in.fd, to + have, n - have);
    if (more < 0)
        return bs_err_errno(e, BS_EX_IO, "read failed");
    *got = have + (size_t)more;
    return 0;
}

/* Append n bytes, which must be there, in steps: the length is only a claim. */
static int
take_exactly(struct bs_arrayfile *a, size_t n, struct bs_err *e)
{
    enum { STEP = 4 << 20 };
    struct bs_buf *to = &a->contents;

    while (n > 0) {
        size_t step = n < STEP ? n : STEP, got;
        int r = bs_buf_reserve(to, to->len + step, e);

        if (r == 0)
            r = take(a, to->data + to->len, step, &got, e);
        if (r == 0 && got < step)
            r = bs_err_set(e, BS_EX_DATA, "input is cut");
        if (r < 0)
            return r;
        to->len += step;
        n -= step;
    }
    return 0;
}

static int
take_all(struct bs_arrayfile *a, struct bs_err *e)
{
    enum { STEP = 1 << 20 };
    struct bs_buf *to = &a->contents;
    size_t got = STEP;
    int r = 0;

    while (r == 0 && got == STEP) {
        r = bs_buf_reserve(to, to->len + STEP, e);
        if (r == 0)
            r = take(a, to->data + to->len, STEP, &got, e);
        if (r == 0)
            to->len += got;
        if (r == 0 && to->len > a->in.max_record)
            r = bs_err_set(e, BS_EX_DATA, "larger than %zu bytes",
                           a->in.max_record);
    }
    return r;
}

/* ---- opening ---------------------------------------------------------------
 */

static int
start(struct bs_arrayfile **out, const struct bs_arrayfile_input *input,
      struct bs_err *e)
{
    *out = bs_alloc_array(1, sizeof **out);
    if (*out == NULL)
        return bs_err_memory(e, "file", sizeof **out);
    (*out)->in = *input;
    return 0;
}

static int
read_npy_header(struct bs_arrayfile *a, struct bs_err *e)
{
    struct bs_buf *text = &a->contents;
    size_t need;
    int known, r;

    do {
        known = bs_npy_measure(text->data, text->len, &need, e);
        if (known < 0)
            return known;
        r = take_exactly(a, need - text->len, e);
        if (r < 0)
            return r;
    } while (known == 0);
    return bs_npy_header(&a->npy, text->data, text->len, e);
}

/* How many records of what size the array makes. */
static int
plan_npy(struct bs_arrayfile *a, struct bs_err *e)
{
    if (a->npy.rank < 1 || a->npy.rank > 3)
        return bs_err_set(e, BS_EX_DATA,
                          "npy array has %u dimensions instead of 1 to 3",
                          a->npy.rank);
    a->rows = a->npy.rank == 3 ? a->npy.shape[0] : 1;
    if (a->npy.rank == 3 && a->npy.bytes == 0)
        return bs_err_set(e, BS_EX_DATA, "npy array is empty");
    if (a->npy.bytes / a->rows > a->in.max_record)
        return bs_err_set(e, BS_EX_DATA, "record of more than %zu bytes",
                          a->in.max_record);
    return 0;
}

int
bs_npyfile_open(struct bs_arrayfile **out,
                const struct bs_arrayfile_input *input, struct bs_err *e)
{
    int r = start(out, input, e);

    if (r == 0) {
        (*out)->is_npy = true;
        r = read_npy_header(*out, e);
    }
    if (r == 0)
        r = plan_npy(*out, e);
    if (r < 0) {
        bs_arrayfile_close(*out);
        *out = NULL;
    }
    return r;
}

int
bs_safetensorsfile_open(struct bs_arrayfile **out,
                        const struct bs_arrayfile_input *input,
                        struct bs_err *e)
{
    int r = start(out, input, e);

    if (r == 0)
        (*out)->rows = 1;
    return r;
}

void
bs_arrayfile_close(struct bs_arrayfile *a)
{
    if (a == NULL)
        return;
    bs_doc_release(&a->doc);
    bs_buf_release(&a->contents);
    bs_free(a);
}

/* ---- records ---------------------------------------------------------------
 */

/* The key that a file gives its only record. */
static int
set_key(struct bs_arrayfile *a, struct bs_err *e)
{
    const char *slash = strrchr(a->in.name, '/');
    const char *base = slash != NULL ? slash + 1 : a->in.name;
    size_t len = strcspn(base, ".");
    char key[BS_WDS_KEY_SIZE];

    (void)bs_wds_key(base, len > 0 ? len : strlen(base), key);
    return bs_doc_set(&a->doc, "key", key, e);
}

static int
next_npy(struct bs_arrayfile *a, struct bs_err *e)
{
    const uint64_t *shape = a->npy.shape, flat[2] = {1, shape[0]};
    unsigned rank = a->npy.rank;
    int r;

    a->contents.len = 0;
    r = take_exactly(a, a->npy.bytes / a->rows, e);
    if (r == 0 && rank == 3)
        r = bs_doc_setf(&a->doc, "key", e, "%06" PRIu64, a->row);
    else if (r == 0)
        r = set_key(a, e);
    shape = rank == 1 ? flat : rank == 2 ? shape : shape + 1;
    if (r == 0)
        r = bs_doc_put(&a->doc, "x", a->npy.dtype, 2, shape, a->contents.data,
                       e);
    return r;
}

static int
next_safetensors(struct bs_arrayfile *a, struct bs_err *e)
{
    struct bs_doc_limits limits = bs_doc_limits_file;
    size_t used = 0;
    const char *key;
    int r;

    limits.tensors = BS_DOC_TENSORS_MAX;
    r = take_all(a, e);
    if (r == 0)
        r = bs_doc_parse_prefix(&a->doc, a->contents.data, a->contents.len,
                                &used, &limits, e);
    if (r < 0)
        return r;
    if (bs_doc_meta(&a->doc, "bs.stream") != NULL)
        return bs_err_set(e, BS_EX_DATA, "a stream without zstd around it");
    if (used < a->contents.len)
        return bs_err_set(e, BS_EX_DATA, "%zu bytes behind the last tensor",
                          a->contents.len - used);
    key = bs_doc_meta(&a->doc, "key");
    return key != NULL && bs_key_valid(key) ? 0 : set_key(a, e);
}

static int
expect_end(struct bs_arrayfile *a, struct bs_err *e)
{
    uint8_t byte;
    size_t got;
    int r = take(a, &byte, 1, &got, e);

    if (r == 0 && got > 0)
        r = bs_err_set(e, BS_EX_DATA, "bytes behind the array");
    return r;
}

int
bs_arrayfile_next(struct bs_arrayfile *a, struct bs_doc **doc, struct bs_err *e)
{
    int r;

    if (a->row == a->rows)
        return a->is_npy ? expect_end(a, e) : 0;
    bs_doc_release(&a->doc);
    *doc = &a->doc;
    r = a->is_npy ? next_npy(a, e) : next_safetensors(a, e);
    a->row++;
    return r < 0 ? r : 1;
}
