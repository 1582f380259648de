/*
 * codes.c - see codes.h.
 */
#include "cmd/models/codes.h"

#include <math.h>
#include <stdio.h>

#include "common/dtype.h"
#include "common/mem.h"
#include "common/num.h"
#include "formats/json.h"

/* ---- heads ---------------------------------------------------------------
 */

/* The sha256 of a bs.model, where it names one. */
static int
read_model(struct bs_codes_head *h, const char *text, struct bs_err *e)
{
    struct bs_json_doc *json;
    const char *sha256;
    int r = bs_json_parse(&json, text, strlen(text), 0, e);

    if (r < 0)
        return bs_err_prefix(e, "bs.model");
    sha256 = bs_json_get_string(bs_json_root(json), "sha256");
    if (sha256 != NULL && strlen(sha256) < sizeof h->model)
        snprintf(h->model, sizeof h->model, "%s", sha256);
    bs_json_free(json);
    return 0;
}

int
bs_codes_head(struct bs_codes_head *h, const struct bs_doc *head,
              struct bs_err *e)
{
    const char *kind = bs_doc_meta(head, "bs.kind");
    const char *concepts = bs_doc_meta(head, "concepts");
    const char *model = bs_doc_meta(head, "bs.model");
    const char *why;
    uint64_t n;

    *h = (struct bs_codes_head){0};
    if (kind == NULL || strcmp(kind, "code") != 0)
        return bs_err_set(e, BS_EX_DATA,
                          "holds records of kind '%s', not 'code'",
                          kind != NULL ? kind : "unknown");
    if (concepts == NULL)
        return bs_err_set(e, BS_EX_DATA,
                          "its head does not say how many concepts there are");
    why = bs_num_u64(concepts, 1, BS_CODES_CONCEPTS_MAX, &n);
    if (why != NULL)
        return bs_err_set(e, BS_EX_DATA, "concepts '%.40s': %s", concepts, why);
    h->concepts = (uint32_t)n;
    return model != NULL ? read_model(h, model, e) : 0;
}

int
bs_codes_same(const struct bs_codes_head *a, const struct bs_codes_head *b,
              struct bs_err *e)
{
    if (a->concepts != b->concepts)
        return bs_err_set(e, BS_EX_DATA,
                          "codes of %ju concepts beside codes of %ju",
                          (uintmax_t)b->concepts, (uintmax_t)a->concepts);
    if (a->model[0] != '\0' && b->model[0] != '\0' &&
        strcmp(a->model, b->model) != 0)
        return bs_err_set(
            e, BS_EX_DATA,
            "codes of another dictionary (sha256 %.12s, not %.12s)", b->model,
            a->model);
    return 0;
}

/* ---- records -------------------------------------------------------------
 */

/* What of a record the reader looks at. */
struct tensors {
    const struct bs_tensor *ptr, *idx, *val;
    size_t tokens, places; /* of the fixed form */
};

static int
find_tensors(struct tensors *t, const struct bs_doc *rec, struct bs_err *e)
{
    unsigned rank;

    t->ptr = bs_doc_tensor(rec, "ptr");
    t->idx = bs_doc_tensor(rec, "idx");
    t->val = bs_doc_tensor(rec, "val");
    if (t->idx == NULL || t->val == NULL)
        return bs_err_set(e, BS_EX_DATA, "no codes: '%s' is missing",
                          t->idx == NULL ? "idx" : "val");
    if (t->idx->dtype != BS_DTYPE_U16 && t->idx->dtype != BS_DTYPE_U32)
        return bs_err_set(e, BS_EX_DATA, "idx is %s, not U16 or U32",
                          bs_dtype_name(t->idx->dtype));
    if (t->val->dtype != BS_DTYPE_F16 && t->val->dtype != BS_DTYPE_F32)
        return bs_err_set(e, BS_EX_DATA, "val is %s, not F16 or F32",
                          bs_dtype_name(t->val->dtype));
    rank = t->ptr != NULL ? 1 : 2;
    if (t->idx->rank != rank || t->val->rank != rank ||
        memcmp(t->idx->shape, t->val->shape, rank * sizeof *t->idx->shape) != 0)
        return bs_err_set(e, BS_EX_DATA,
                          "idx and val are not both [%s], of the same size",
                          rank == 1 ? "codes" : "tokens, places");
    if (t->ptr == NULL) {
        t->tokens = (size_t)t->idx->shape[0];
        t->places = (size_t)t->idx->shape[1];
        return 0;
    }
    if (t->ptr->dtype != BS_DTYPE_U32 || t->ptr->rank != 1 ||
        t->ptr->shape[0] == 0)
        return bs_err_set(e, BS_EX_DATA, "ptr is not U32 [tokens + 1]");
    t->tokens = (size_t)t->ptr->shape[0] - 1;
    return 0;
}

/* Room for what the record can hold: tokens and codes. */
static int
make_room(struct bs_codes *c, size_t tokens, size_t codes, struct bs_err *e)
{
    if (codes > UINT32_MAX)
        return bs_err_set(e, BS_EX_DATA, "%zu codes in one record", codes);
    if (tokens >= c->room_ptr) {
        bs_free(c->ptr);
        c->room_ptr = 0;
        c->ptr = bs_alloc_array(tokens + 1, sizeof *c->ptr);
        if (c->ptr == NULL)
            return bs_err_memory(e, "codes", tokens);
        c->room_ptr = tokens + 1;
    }
    if (codes > c->room || c->idx == NULL) {
        bs_free(c->idx);
        bs_free(c->val);
        c->room = 0;
        c->idx = bs_alloc_array(codes, sizeof *c->idx);
        c->val = bs_alloc_array(codes, sizeof *c->val);
        if (c->idx == NULL || c->val == NULL)
            return bs_err_memory(e, "codes", codes);
        c->room = codes;
    }
    return 0;
}

/* All of idx and val as they stand; an unused place of U16, too, has index
 * UINT32_MAX. */
static void
widen(struct bs_codes *c, const struct tensors *t, size_t codes)
{
    size_t i;

    if (t->idx->dtype == BS_DTYPE_U32) {
        memcpy(c->idx, t->idx->data, codes * sizeof *c->idx);
    } else {
        const uint16_t *idx = t->idx->data;

        for (i = 0; i < codes; i++)
            c->idx[i] = idx[i] == UINT16_MAX ? UINT32_MAX : idx[i];
    }
    bs_to_f32(c->val, t->val->dtype, t->val->data, codes);
}

/* Is place i one that is not used?  In the variable form there are none. */
static bool
unused(const struct bs_codes *c, const struct tensors *t, size_t i)
{
    return t->ptr == NULL && c->idx[i] == UINT32_MAX && c->val[i] == 0;
}

static bool
in_order(float v, uint32_t j, float next_v, uint32_t next_j)
{
    return v > next_v || (v == next_v && j < next_j);
}

static int
check_code(struct bs_codes *c, size_t token, size_t i, uint32_t concepts,
           struct bs_err *e)
{
    if (c->idx[i] >= concepts)
        return bs_err_set(e, BS_EX_DATA, "token %zu: index %ju of %ju concepts",
                          token, (uintmax_t)c->idx[i], (uintmax_t)concepts);
    if (!(c->val[i] > 0 && c->val[i] < INFINITY))
        return bs_err_set(e, BS_EX_DATA,
                          "token %zu: value %g is not positive and finite",
                          token, (double)c->val[i]);
    if (c->seen[c->idx[i]] == c->token)
        return bs_err_set(e, BS_EX_DATA, "token %zu: index %ju twice", token,
                          (uintmax_t)c->idx[i]);
    c->seen[c->idx[i]] = c->token;
    return 0;
}

/* Marks of the concepts that the token has; room for all of them. */
static int
next_token(struct bs_codes *c, uint32_t concepts, struct bs_err *e)
{
    if (concepts > c->room_seen) {
        bs_free(c->seen);
        c->room_seen = 0;
        c->seen = bs_alloc_array(concepts, sizeof *c->seen);
        if (c->seen == NULL)
            return bs_err_memory(e, "codes", concepts);
        c->room_seen = concepts;
        c->token = 0;
    }
    if (++c->token == 0) { /* once in 2^32 tokens the marks start over */
        memset(c->seen, 0, c->room_seen * sizeof *c->seen);
        c->token = 1;
    }
    return 0;
}

/* Check places from..to-1 of a token and move them to `at`, without those that
 * are not used; *at is then their end. */
static int
take_token(struct bs_codes *c, const struct tensors *t, size_t token,
           size_t from, size_t to, uint32_t concepts, size_t *at,
           struct bs_err *e)
{
    size_t i;
    int r = next_token(c, concepts, e);

    for (i = from; i < to && r == 0 && !unused(c, t, i); i++) {
        r = check_code(c, token, i, concepts, e);
        if (r == 0 && i > from &&
            !in_order(c->val[*at - 1], c->idx[*at - 1], c->val[i], c->idx[i]))
            r = bs_err_set(e, BS_EX_DATA,
                           "token %zu: codes are not in descending order",
                           token);
        c->idx[*at] = c->idx[i];
        c->val[*at] = c->val[i];
        ++*at;
    }
    for (; i < to && r == 0; i++)
        if (!unused(c, t, i))
            r = bs_err_set(e, BS_EX_DATA,
                           "token %zu: a code stands behind an unused place",
                           token);
    return r;
}

/* Codes from..to-1 are those of a token of the variable form. */
static int
range_of(const struct tensors *t, size_t token, size_t codes, size_t *from,
         size_t *to, struct bs_err *e)
{
    const uint32_t *ptr = t->ptr->data;

    *from = ptr[token];
    *to = ptr[token + 1];
    if ((token == 0 && *from != 0) || *from > *to || *to > codes)
        return bs_err_set(e, BS_EX_DATA, "token %zu: codes %zu to %zu of %zu",
                          token, *from, *to, codes);
    return 0;
}

/* "16x16": rows, columns. */
static int
read_grid(struct bs_codes *c, const char *grid, struct bs_err *e)
{
    uint64_t rows, columns;
    char text[48], *x;

    c->grid[0] = c->grid[1] = 0;
    if (grid == NULL)
        return 0;
    snprintf(text, sizeof text, "%s", grid);
    x = strchr(text, 'x');
    if (x != NULL)
        *x++ = '\0';
    if (strlen(grid) >= sizeof text || x == NULL ||
        bs_num_u64(text, 0, c->tokens, &rows) != NULL ||
        bs_num_u64(x, 0, c->tokens, &columns) != NULL ||
        c->prefix + rows * columns != c->tokens)
        return bs_err_set(e, BS_EX_DATA,
                          "grid '%.40s' and prefix %zu are not %zu tokens",
                          grid, c->prefix, c->tokens);
    c->grid[0] = (size_t)rows;
    c->grid[1] = (size_t)columns;
    return 0;
}

/* Metadata `grid` and `prefix`, as bs-embed writes them. */
static int
read_places(struct bs_codes *c, const struct bs_doc *rec, struct bs_err *e)
{
    const char *grid = bs_doc_meta(rec, "grid");
    const char *prefix = bs_doc_meta(rec, "prefix");
    const char *why;
    uint64_t n = 0;

    if (prefix != NULL) {
        why = bs_num_u64(prefix, 0, c->tokens, &n);
        if (why != NULL)
            return bs_err_set(e, BS_EX_DATA, "prefix '%.40s' of %zu tokens: %s",
                              prefix, c->tokens, why);
    }
    c->prefix = (size_t)n;
    return read_grid(c, grid, e);
}

int
bs_codes_read(struct bs_codes *c, const struct bs_doc *rec, uint32_t concepts,
              struct bs_err *e)
{
    struct tensors t = {0};
    size_t codes, at = 0, i;
    int r = find_tensors(&t, rec, e);

    if (r < 0)
        return r;
    codes = t.ptr != NULL ? (size_t)t.idx->shape[0] : t.tokens * t.places;
    r = make_room(c, t.tokens, codes, e);
    if (r < 0)
        return r;
    c->tokens = t.tokens;
    widen(c, &t, codes);
    for (i = 0; i < t.tokens && r == 0; i++) {
        size_t from = i * t.places, to = from + t.places;

        if (t.ptr != NULL)
            r = range_of(&t, i, codes, &from, &to, e);
        c->ptr[i] = (uint32_t)at;
        if (r == 0)
            r = take_token(c, &t, i, from, to, concepts, &at, e);
    }
    c->ptr[t.tokens] = (uint32_t)at;
    if (r == 0 && t.ptr != NULL && at != codes)
        r = bs_err_set(e, BS_EX_DATA, "ptr ends at %zu of %zu codes", at,
                       codes);
    return r < 0 ? r : read_places(c, rec, e);
}

void
bs_codes_release(struct bs_codes *c)
{
    bs_free(c->ptr);
    bs_free(c->idx);
    bs_free(c->val);
    bs_free(c->seen);
    *c = (struct bs_codes){0};
}

int64_t
bs_codes_units(float val)
{
    if (!(fabsf(val) < 65536.0f))
        return -1;
    return llrint((double)val * 0x1p24);
}
