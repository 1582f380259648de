/*
 * doc_build.c - see doc.h: what makes and changes documents, and writes them.
 */
#include "formats/doc.h"

#include "common/io.h"
#include "formats/doc_own.h"

#include <stdarg.h>

static int
own(struct bs_doc *doc, struct bs_err *e)
{
    if (doc->own == NULL)
        doc->own = bs_alloc_array(1, sizeof *doc->own);
    if (doc->own == NULL)
        return bs_err_memory(e, "document", sizeof *doc->own);
    return 0;
}

/* Room for one more element of an array that bs_alloc_array made. */
static int
grow(void **array, size_t count, size_t *room, size_t size, struct bs_err *e)
{
    size_t want = *room > 4 ? *room + *room / 2 : 8;
    void *more;

    if (count < *room)
        return 0;
    more = bs_alloc_array(want, size);
    if (more == NULL)
        return bs_err_memory(e, "document", want * size);
    if (count > 0)
        memcpy(more, *array, count * size);
    bs_free(*array);
    *array = more;
    *room = want;
    return 0;
}

static int
keep(struct bs_doc *doc, const char *s, const char **copy, struct bs_err *e)
{
    size_t len = strlen(s), i, n;

    for (i = 0; i < len; i += n) {
        n = bs_utf8_length(s + i, len - i);
        if (n == 0)
            return bs_err_set(e, BS_EX_DATA, "invalid UTF-8");
    }
    *copy = bs_arena_text(&doc->own->arena, s, len);
    return *copy != NULL ? 0 : bs_err_memory(e, "document", len);
}

/* ---- metadata ------------------------------------------------------------ */

static int
by_name(const void *a, const void *b)
{
    const struct bs_pair *x = a, *y = b;

    return strcmp(x->name, y->name);
}

/* Index of the first entry whose name is not before `name`. */
static size_t
meta_place(const struct bs_doc *doc, const char *name)
{
    size_t low = 0, high = doc->metas;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (strcmp(doc->meta[mid].name, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static int
meta_insert(struct bs_doc *doc, size_t at, const char *name, const char *value,
            struct bs_err *e)
{
    void *array = doc->meta;
    struct bs_pair pair;
    int r;

    r = grow(&array, doc->metas, &doc->own->meta_room, sizeof pair, e);
    doc->meta = array;
    if (r == 0)
        r = keep(doc, name, &pair.name, e);
    if (r == 0)
        r = keep(doc, value, &pair.value, e);
    if (r < 0)
        return r;
    memmove(doc->meta + at + 1, doc->meta + at,
            (doc->metas - at) * sizeof pair);
    doc->meta[at] = pair;
    doc->metas++;
    return 0;
}

int
bs_doc_set(struct bs_doc *doc, const char *name, const char *value,
           struct bs_err *e)
{
    int r = own(doc, e);
    size_t at;
    bool there;

    if (r < 0)
        return r;
    if (!doc->own->sorted && doc->metas > 1)
        qsort(doc->meta, doc->metas, sizeof *doc->meta, by_name);
    doc->own->sorted = true;
    at = meta_place(doc, name);
    there = at < doc->metas && strcmp(doc->meta[at].name, name) == 0;
    if (value == NULL && there) {
        doc->metas--;
        memmove(doc->meta + at, doc->meta + at + 1,
                (doc->metas - at) * sizeof *doc->meta);
    } else if (value != NULL && there) {
        r = keep(doc, value, &doc->meta[at].value, e);
    } else if (value != NULL) {
        r = meta_insert(doc, at, name, value, e);
    }
    return r < 0 ? bs_err_prefix(e, "metadata '%.128s'", name) : 0;
}

int
bs_doc_setf(struct bs_doc *doc, const char *name, struct bs_err *e,
            const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    int len, r;

    va_start(ap, fmt);
    len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (len < 0)
        return bs_err_set(e, BS_EX_SOFTWARE, "cannot format '%s'", fmt);
    text = bs_alloc((size_t)len + 1);
    if (text == NULL)
        return bs_err_memory(e, "metadata", (size_t)len + 1);
    va_start(ap, fmt);
    vsnprintf(text, (size_t)len + 1, fmt, ap);
    va_end(ap);
    r = bs_doc_set(doc, name, text, e);
    bs_free(text);
    return r;
}

/* ---- tensors ------------------------------------------------------------- */

static int
tensor_bytes(enum bs_dtype dtype, unsigned rank, const uint64_t *shape,
             size_t *bytes)
{
    bool empty = false;
    unsigned i;

    *bytes = bs_dtype_size(dtype);
    if (rank > BS_DOC_RANK_MAX)
        return -1;
    for (i = 0; i < rank; i++) {
        empty = empty || shape[i] == 0;
        if (shape[i] > 0 && !bs_mul(*bytes, shape[i], bytes))
            return -1;
    }
    *bytes = empty ? 0 : *bytes;
    return 0;
}

int
bs_doc_put(struct bs_doc *doc, const char *name, enum bs_dtype dtype,
           unsigned rank, const uint64_t *shape, const void *data,
           struct bs_err *e)
{
    struct bs_tensor t = {.dtype = dtype, .rank = rank, .data = data};
    int r = own(doc, e);
    void *array;
    size_t i;

    if (r < 0)
        return r;
    if (strcmp(name, "__metadata__") == 0 ||
        tensor_bytes(dtype, rank, shape, &t.bytes) < 0)
        return bs_err_set(e, BS_EX_SOFTWARE, "tensor '%.128s' cannot be", name);
    if (rank > 0)
        memcpy(t.shape, shape, rank * sizeof *shape);
    for (i = 0; i < doc->tensors; i++)
        if (strcmp(doc->tensor[i].name, name) == 0) {
            t.name = doc->tensor[i].name;
            doc->tensor[i] = t;
            return 0;
        }
    array = doc->tensor;
    r = grow(&array, doc->tensors, &doc->own->tensor_room, sizeof t, e);
    doc->tensor = array;
    if (r == 0)
        r = keep(doc, name, &t.name, e);
    if (r == 0)
        doc->tensor[doc->tensors++] = t;
    return r;
}

/* ---- writing ------------------------------------------------------------- */

static int
by_size(const void *a, const void *b)
{
    const struct bs_tensor *x = *(const struct bs_tensor *const *)a;
    const struct bs_tensor *y = *(const struct bs_tensor *const *)b;
    size_t m = bs_dtype_size(x->dtype), n = bs_dtype_size(y->dtype);

    if (m != n)
        return m > n ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int
write_meta(const struct bs_doc *doc, struct bs_buf *out, struct bs_err *e)
{
    struct bs_pair *pair = bs_alloc_array(doc->metas, sizeof *pair);
    int r;
    size_t i;

    if (pair == NULL)
        return bs_err_memory(e, "metadata", doc->metas * sizeof *pair);
    if (doc->metas > 0)
        memcpy(pair, doc->meta, doc->metas * sizeof *pair);
    if (!doc->own->sorted)
        qsort(pair, doc->metas, sizeof *pair, by_name);
    r = bs_buf_str(out, "\"__metadata__\":{", e);
    for (i = 0; r == 0 && i < doc->metas; i++) {
        r = i > 0 ? bs_buf_add(out, ",", 1, e) : 0;
        if (r == 0)
            r = bs_json_quote(out, pair[i].name, e);
        if (r == 0)
            r = bs_buf_add(out, ":", 1, e);
        if (r == 0)
            r = bs_json_quote(out, pair[i].value, e);
    }
    bs_free(pair);
    return r < 0 ? r : bs_buf_add(out, "}", 1, e);
}

static int
write_tensor(const struct bs_tensor *t, size_t *at, struct bs_buf *out,
             struct bs_err *e)
{
    int r = bs_json_quote(out, t->name, e);
    size_t end;
    unsigned i;

    if (!bs_add(*at, t->bytes, &end))
        return bs_err_set(e, BS_EX_SOFTWARE, "tensors too large");
    if (r == 0)
        r = bs_buf_printf(out, e, ":{\"dtype\":\"%s\",\"shape\":[",
                          bs_dtype_name(t->dtype));
    for (i = 0; r == 0 && i < t->rank; i++)
        r = bs_buf_printf(out, e, "%s%llu", i > 0 ? "," : "",
                          (unsigned long long)t->shape[i]);
    if (r == 0)
        r = bs_buf_printf(out, e, "],\"data_offsets\":[%zu,%zu]}", *at, end);
    *at = end;
    return r;
}

/* The JSON, padded so that what follows it is aligned. */
static int
write_header(const struct bs_doc *doc, const struct bs_tensor **list,
             struct bs_buf *out, struct bs_err *e)
{
    uint64_t json = 0;
    size_t from = out->len, at = 0, len, i;
    int r = bs_buf_add(out, &json, sizeof json, e);

    if (r == 0)
        r = bs_buf_add(out, "{", 1, e);
    if (r == 0 && doc->metas > 0)
        r = write_meta(doc, out, e);
    for (i = 0; r == 0 && i < doc->tensors; i++) {
        if (i > 0 || doc->metas > 0)
            r = bs_buf_add(out, ",", 1, e);
        if (r == 0)
            r = write_tensor(list[i], &at, out, e);
    }
    if (r == 0)
        r = bs_buf_add(out, "}", 1, e);
    if (r < 0)
        return r;
    len = out->len - from;
    r = bs_buf_fill(out, ' ', BS_ROUND_UP(len, (size_t)BS_ALIGN) - len, e);
    if (r < 0)
        return r;
    json = out->len - from - sizeof json;
    memcpy(out->data + from, &json, sizeof json);
    return bs_add(out->len, at, &len)
               ? bs_buf_reserve(out, len, e)
               : bs_err_set(e, BS_EX_SOFTWARE, "tensors too large");
}

/* The tensors in the order of their data: an array for bs_free. */
static const struct bs_tensor **
in_order(const struct bs_doc *doc, struct bs_err *e)
{
    const struct bs_tensor **list = bs_alloc_array(doc->tensors, sizeof *list);
    size_t i;

    if (list == NULL) {
        (void)bs_err_memory(e, "tensors", doc->tensors * sizeof *list);
        return NULL;
    }
    for (i = 0; i < doc->tensors; i++)
        list[i] = &doc->tensor[i];
    qsort(list, doc->tensors, sizeof *list, by_size);
    return list;
}

int
bs_doc_write(const struct bs_doc *doc, struct bs_buf *out, struct bs_err *e)
{
    const struct bs_tensor **list = in_order(doc, e);
    size_t from = out->len, i;
    int r;

    if (list == NULL)
        return -e->code;
    r = write_header(doc, list, out, e);
    for (i = 0; r == 0 && i < doc->tensors; i++)
        r = bs_buf_add(out, list[i]->data, list[i]->bytes, e);
    bs_free(list);
    if (r < 0)
        out->len = from;
    return r;
}

static int
save_bytes(int fd, const void *data, size_t bytes, struct bs_err *e)
{
    return bs_write(fd, data, bytes) < 0
               ? bs_err_errno(e, BS_EX_IO, "write failed")
               : 0;
}

int
bs_doc_save(const struct bs_doc *doc, int fd, struct bs_err *e)
{
    const struct bs_tensor **list = in_order(doc, e);
    struct bs_buf header = {0};
    size_t i;
    int r;

    if (list == NULL)
        return -e->code;
    r = write_header(doc, list, &header, e);
    if (r == 0)
        r = save_bytes(fd, header.data, header.len, e);
    for (i = 0; r == 0 && i < doc->tensors; i++)
        r = save_bytes(fd, list[i]->data, list[i]->bytes, e);
    bs_free(list);
    bs_buf_release(&header);
    return r;
}
