/*
 * doc.c - see doc.h: what reads documents.  doc_build.c makes them.
 *
 * Nothing is believed before it is checked: lengths against the limits and
 * against what is there, offsets against each other.  Time O(n log n) in the
 * number of tensors.
 */
#include "formats/doc.h"

#include "formats/doc_own.h"

#define NUMBER_MAX ((uint64_t)1 << 48) /* of a dimension or an offset */

enum { LENGTH_BYTES = 8, JSON_LEAST = 2, VALUES_PER_TENSOR = 6 };

const struct bs_doc_limits bs_doc_limits_record = {
    .json_bytes = 1 << 20,
    .bytes = 1 << 30,
    .tensors = BS_DOC_TENSORS_MAX,
    .name_bytes = BS_DOC_NAME_MAX,
    .metas = 1 << 16,
    .align = BS_ALIGN,
};
const struct bs_doc_limits bs_doc_limits_head = {
    .json_bytes = 16 << 20,
    .bytes = 1 << 30,
    .tensors = BS_DOC_TENSORS_MAX,
    .name_bytes = BS_DOC_NAME_MAX,
    .metas = 1 << 16,
    .align = BS_ALIGN,
};
const struct bs_doc_limits bs_doc_limits_file = {
    .json_bytes = 100000000,
    .bytes = SIZE_MAX,
    .tensors = 1 << 20,
    .name_bytes = SIZE_MAX,
    .metas = 1 << 20,
    .align = 1,
};

/* A tensor while it is parsed: where the text says that its data lies. */
struct span {
    struct bs_tensor tensor;
    uint64_t from, to;
    size_t order; /* in the text, so that sorting is stable */
};

static int
wrong(struct bs_err *e, const char *tensor, const char *what)
{
    return bs_err_set(e, BS_EX_DATA, "tensor '%.128s': %s", tensor, what);
}

/* ---- one tensor ---------------------------------------------------------- */

static int
parse_shape(struct bs_tensor *t, const struct bs_json *shape, struct bs_err *e)
{
    const struct bs_json *c;
    size_t bytes = bs_dtype_size(t->dtype);
    bool empty = false;

    if (shape == NULL || shape->type != BS_JSON_ARRAY)
        return wrong(e, t->name, "no shape");
    if (shape->count > BS_DOC_RANK_MAX)
        return wrong(e, t->name, "more than 8 dimensions");
    for (c = shape->child; c != NULL; c = c->next) {
        uint64_t *n = &t->shape[t->rank++];

        if (!bs_json_u64(c, NUMBER_MAX, n))
            return wrong(e, t->name, "dimension is not a plain integer");
        empty = empty || *n == 0;
        if (*n > 0 && !bs_mul(bytes, *n, &bytes))
            return wrong(e, t->name, "too large");
    }
    t->bytes = empty ? 0 : bytes;
    return 0;
}

static int
parse_offsets(struct span *s, const struct bs_json *offsets, struct bs_err *e)
{
    const char *name = s->tensor.name;

    if (offsets == NULL || offsets->type != BS_JSON_ARRAY ||
        offsets->count != 2)
        return wrong(e, name, "no data_offsets");
    if (!bs_json_u64(offsets->child, NUMBER_MAX, &s->from) ||
        !bs_json_u64(offsets->child->next, NUMBER_MAX, &s->to))
        return wrong(e, name, "data_offset is not a plain integer");
    if (s->to < s->from || s->to - s->from != s->tensor.bytes)
        return wrong(e, name, "data_offsets do not fit type and shape");
    return 0;
}

static int
parse_tensor(struct span *s, const struct bs_json *v,
             const struct bs_doc_limits *limits, struct bs_err *e)
{
    const char *type = bs_json_get_string(v, "dtype");
    int dtype, r;

    s->tensor.name = v->key;
    if (strlen(v->key) > limits->name_bytes)
        return wrong(e, v->key, "name too long");
    if (v->type != BS_JSON_OBJECT)
        return wrong(e, v->key, "not an object");
    if (v->count != 3)
        return wrong(e, v->key, "wants exactly dtype, shape and data_offsets");
    if (type == NULL)
        return wrong(e, v->key, "no dtype");
    dtype = bs_dtype_find(type);
    if (dtype < 0)
        return bs_err_set(e, BS_EX_DATA,
                          "tensor '%.128s': type '%.20s' is not known", v->key,
                          type);
    s->tensor.dtype = (enum bs_dtype)dtype;
    r = parse_shape(&s->tensor, bs_json_get(v, "shape"), e);
    return r < 0 ? r : parse_offsets(s, bs_json_get(v, "data_offsets"), e);
}

/* ---- all of them --------------------------------------------------------- */

static int
by_place(const void *a, const void *b)
{
    const struct span *x = a, *y = b;

    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    if (x->to != y->to)
        return x->to < y->to ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* Sorted spans must cover 0..*end without hole or overlap. */
static int
check_places(const struct span *span, size_t n, size_t start,
             const struct bs_doc_limits *limits, uint64_t *end,
             struct bs_err *e)
{
    size_t i;

    *end = 0;
    for (i = 0; i < n; i++) {
        const struct bs_tensor *t = &span[i].tensor;

        if (span[i].from != *end)
            return wrong(e, t->name,
                         span[i].from < *end ? "overlaps another tensor"
                                             : "data before it is unused");
        if (limits->align > 1 && t->bytes > 0 &&
            (start + span[i].from) % bs_dtype_size(t->dtype) != 0)
            return wrong(e, t->name, "data is not aligned");
        *end = span[i].to;
    }
    return 0;
}

static int
parse_meta(struct bs_doc *doc, const struct bs_json *v,
           const struct bs_doc_limits *limits, struct bs_err *e)
{
    const struct bs_json *c;

    if (v->type != BS_JSON_OBJECT)
        return bs_err_set(e, BS_EX_DATA, "__metadata__ is not an object");
    if (v->count > limits->metas)
        return bs_err_set(e, BS_EX_DATA, "more than %zu metadata entries",
                          limits->metas);
    doc->meta = bs_alloc_array(v->count, sizeof *doc->meta);
    if (doc->meta == NULL)
        return bs_err_memory(e, "metadata", v->count * sizeof *doc->meta);
    doc->own->meta_room = v->count;
    for (c = v->child; c != NULL; c = c->next) {
        if (c->type != BS_JSON_STRING)
            return bs_err_set(e, BS_EX_DATA, "metadata '%.128s' is no string",
                              c->key);
        doc->meta[doc->metas++] = (struct bs_pair){c->key, c->text};
    }
    return 0;
}

/* Fill `span` from the members of root. */
static int
parse_members(struct bs_doc *doc, struct span *span, size_t *n,
              const struct bs_json *root, const struct bs_doc_limits *limits,
              struct bs_err *e)
{
    const struct bs_json *c;
    int r = 0;

    for (c = root->child; r == 0 && c != NULL; c = c->next)
        if (strcmp(c->key, "__metadata__") == 0) {
            r = parse_meta(doc, c, limits, e);
        } else if (*n == limits->tensors) {
            r = bs_err_set(e, BS_EX_DATA, "more than %zu tensors",
                           limits->tensors);
        } else {
            span[*n].order = *n;
            r = parse_tensor(&span[*n], c, limits, e);
            ++*n;
        }
    return r;
}

/* The checked spans become the document's tensors. */
static int
keep_tensors(struct bs_doc *doc, const struct span *span, size_t n,
             struct bs_err *e)
{
    size_t i;

    doc->tensor = bs_alloc_array(n, sizeof *doc->tensor);
    if (doc->tensor == NULL)
        return bs_err_memory(e, "tensors", n * sizeof *doc->tensor);
    doc->own->tensor_room = n;
    doc->tensors = n;
    for (i = 0; i < n; i++)
        doc->tensor[i] = span[i].tensor;
    return 0;
}

void
bs_doc_place(struct bs_doc *doc, const uint8_t *data)
{
    size_t i;

    for (i = 0; i < doc->tensors; i++) {
        doc->tensor[i].data = data;
        data += doc->tensor[i].bytes;
    }
}

/* Parse the JSON, which must be there whole; start is where the data begins,
 * *bytes receives the document's length. */
static int
parse_head(struct bs_doc *doc, const uint8_t *doc_data, size_t start,
           const struct bs_doc_limits *limits, size_t *bytes, struct bs_err *e)
{
    const char *text = (const char *)doc_data + LENGTH_BYTES;
    size_t values, n = 0;
    const struct bs_json *root;
    struct span *span;
    uint64_t end = 0;
    int r;

    doc->own = bs_alloc_array(1, sizeof *doc->own);
    if (doc->own == NULL)
        return bs_err_memory(e, "document", sizeof *doc->own);
    values = 2 + limits->metas +
             limits->tensors * (VALUES_PER_TENSOR + BS_DOC_RANK_MAX);
    r = bs_json_parse_max(&doc->own->json, text, start - LENGTH_BYTES, 0,
                          values, e);
    if (r < 0)
        return bs_err_prefix(e, "header");
    root = bs_json_root(doc->own->json);
    span = bs_alloc_array(root->count, sizeof *span);
    if (span == NULL)
        return bs_err_memory(e, "tensors", root->count * sizeof *span);
    r = parse_members(doc, span, &n, root, limits, e);
    qsort(span, n, sizeof *span, by_place);
    if (r == 0)
        r = check_places(span, n, start, limits, &end, e);
    if (r == 0 && end > limits->bytes - start)
        r = bs_err_set(e, BS_EX_DATA, "document of more than %zu bytes",
                       limits->bytes);
    if (r == 0)
        r = keep_tensors(doc, span, n, e);
    bs_free(span);
    *bytes = start + (size_t)end;
    return r;
}

/*
 * Where the tensor data starts: 1 if *start is known and the JSON is there, 0
 * if *start bytes are needed first.
 */
static int
find_start(const uint8_t *data, size_t len, const struct bs_doc_limits *limits,
           size_t *start, struct bs_err *e)
{
    uint64_t json;

    *start = LENGTH_BYTES;
    if (len < LENGTH_BYTES)
        return 0;
    memcpy(&json, data, sizeof json);
    if (json < JSON_LEAST)
        return bs_err_set(e, BS_EX_DATA, "no header");
    if (json > limits->json_bytes || json > limits->bytes - LENGTH_BYTES)
        return bs_err_set(e, BS_EX_DATA,
                          "header of %llu bytes is over the limit of %zu",
                          (unsigned long long)json, limits->json_bytes);
    if (len > LENGTH_BYTES && data[LENGTH_BYTES] != '{')
        return bs_err_set(e, BS_EX_DATA, "header is no JSON object");
    *start += (size_t)json;
    if (*start % limits->align != 0)
        return bs_err_set(e, BS_EX_DATA,
                          "tensor data does not start at a multiple of %zu",
                          limits->align);
    return len >= *start;
}

/* ---- public -------------------------------------------------------------- */

int
bs_doc_measure(const uint8_t *data, size_t len,
               const struct bs_doc_limits *limits, size_t *need,
               struct bs_err *e)
{
    struct bs_doc doc = {0};
    int r = find_start(data, len, limits, need, e);

    if (r <= 0)
        return r;
    r = parse_head(&doc, data, *need, limits, need, e);
    bs_doc_release(&doc);
    return r < 0 ? r : 1;
}

int
bs_doc_parse_prefix(struct bs_doc *doc, const uint8_t *data, size_t len,
                    size_t *used, const struct bs_doc_limits *limits,
                    struct bs_err *e)
{
    size_t start;
    int r = find_start(data, len, limits, &start, e);

    if (r == 0)
        r = bs_err_set(e, BS_EX_DATA, "document is cut in its header");
    if (r < 0)
        return r;
    r = parse_head(doc, data, start, limits, used, e);
    if (r == 0 && *used > len)
        r = bs_err_set(e, BS_EX_DATA, "document is cut: %zu of %zu bytes", len,
                       *used);
    if (r < 0)
        bs_doc_release(doc);
    else
        bs_doc_place(doc, data + start);
    return r;
}

int
bs_doc_parse(struct bs_doc *doc, const uint8_t *data, size_t len,
             const struct bs_doc_limits *limits, struct bs_err *e)
{
    size_t used;
    int r = bs_doc_parse_prefix(doc, data, len, &used, limits, e);

    if (r == 0 && used < len) {
        bs_doc_release(doc);
        r = bs_err_set(e, BS_EX_DATA, "%zu bytes after the last tensor",
                       len - used);
    }
    return r;
}

const char *
bs_doc_meta(const struct bs_doc *doc, const char *name)
{
    size_t i;

    for (i = 0; i < doc->metas; i++)
        if (strcmp(doc->meta[i].name, name) == 0)
            return doc->meta[i].value;
    return NULL;
}

const struct bs_tensor *
bs_doc_tensor(const struct bs_doc *doc, const char *name)
{
    size_t i;

    for (i = 0; i < doc->tensors; i++)
        if (strcmp(doc->tensor[i].name, name) == 0)
            return &doc->tensor[i];
    return NULL;
}

bool
bs_key_valid(const char *key)
{
    const char *s;

    for (s = key; *s != '\0'; s++) {
        bool word = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
                    (*s >= '0' && *s <= '9') || *s == '_' || *s == '-';

        /* a slash only between two components */
        if (!word && (*s != '/' || s == key || s[-1] == '/'))
            return false;
        if (s - key >= BS_DOC_KEY_MAX)
            return false;
    }
    return s > key && s[-1] != '/';
}

void
bs_doc_release(struct bs_doc *doc)
{
    if (doc->own != NULL) {
        bs_json_free(doc->own->json);
        bs_arena_release(&doc->own->arena);
        bs_free(doc->own);
    }
    bs_free(doc->tensor);
    bs_free(doc->meta);
    *doc = (struct bs_doc){0};
}
