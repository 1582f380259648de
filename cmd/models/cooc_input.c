/*
 * cooc_input.c - see cooc_input.h.
 */
#include "cmd/models/cooc_input.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/models/visit.h"
#include "kernels/gram.h"

const char *const bs_cooc_grain_names[] = {"token", "image", NULL};
const char *const bs_cooc_pool_names[] = {"sum", "max", NULL};
const char *const bs_cooc_measure_names[] = {"cosine", "count", "lift",
                                             "jaccard", NULL};
const char *const bs_cooc_curve_names[] = {"energy", "count", "cosine", NULL};

/* ---- heads ---------------------------------------------------------------
 */

static int
agree(struct bs_cooc_input *in, const struct bs_codes_head *head,
      const struct bs_doc *doc, struct bs_err *e)
{
    int r = bs_origin_agree(&in->origin, head, doc, e);

    if (r <= 0 || in->grain == BS_COOC_TOKEN)
        return r < 0 ? r : 0;
    return bs_pooler_open(&in->pooler, in->max ? BS_POOL_MAX : BS_POOL_SUM,
                          in->scope, head->concepts, e);
}

static int
partial_head(struct bs_cooc_input *in, const struct bs_doc *head,
             struct bs_err *e)
{
    const char *kind = bs_doc_meta(head, "bs.kind");
    const char *partial = bs_doc_meta(head, "partial");
    struct bs_codes_head codes;
    int grain = 0, scope = 0, pool = 0, r;

    if (kind == NULL || strcmp(kind, BS_COOC_KIND) != 0 || partial == NULL ||
        strcmp(partial, "1") != 0)
        return bs_err_set(e, BS_EX_DATA, "holds no part ('--partial')");
    r = bs_origin_read(&codes, head, e);
    if (r == 0)
        r = bs_head_choice(head, "granularity", bs_cooc_grain_names, &grain, e);
    if (r == 0)
        r = bs_head_choice(head, "scope", bs_scope_names, &scope, e);
    if (r == 0)
        r = bs_head_choice(head, "pool", bs_cooc_pool_names, &pool, e);
    if (r < 0)
        return r;
    if (in->streams == 0) {
        in->grain = (enum bs_cooc_grain)grain;
        in->scope = (enum bs_scope)scope;
        in->max = pool != 0;
    }
    if (in->grain != (enum bs_cooc_grain)grain ||
        in->scope != (enum bs_scope)scope || in->max != (pool != 0))
        return bs_err_set(
            e, BS_EX_DATA, "is of %ss, %s, by %s, not of %ss, %s, by %s",
            bs_cooc_grain_names[grain], bs_scope_names[scope],
            bs_cooc_pool_names[pool], bs_cooc_grain_names[in->grain],
            bs_scope_names[in->scope], bs_cooc_pool_names[in->max]);
    r = bs_head_labels(head, "streams", in->label, &in->streams, e);
    return r < 0 ? r : agree(in, &codes, head, e);
}

int
bs_cooc_input_head(const struct bs_cooc_input *in, struct bs_doc *head,
                   struct bs_err *e)
{
    int r = bs_head_set_labels(head, "streams", in->label, in->streams, e);

    if (r == 0)
        r = bs_doc_set(head, "granularity", bs_cooc_grain_names[in->grain], e);
    if (r == 0)
        r = bs_doc_set(head, "scope", bs_scope_names[in->scope], e);
    if (r == 0)
        r = bs_doc_set(head, "pool", bs_cooc_pool_names[in->max], e);
    return r < 0 ? r : bs_origin_describe(&in->origin, head, e);
}

/* ---- records of codes ----------------------------------------------------
 */

/* Few at a time, as a rule: by insertion. */
static void
sort_entries(uint64_t *entry, size_t n)
{
    size_t i, j;

    for (i = 1; i < n; i++) {
        uint64_t x = entry[i];

        for (j = i; j > 0 && entry[j - 1] > x; j--)
            entry[j] = entry[j - 1];
        entry[j] = x;
    }
}

static int
compare_entries(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* One token's codes as a row: ascending. */
static int
token_row(struct bs_cooc_input *in, size_t token, uint64_t *entry,
          struct bs_err *e)
{
    const struct bs_codes *c = &in->codes;
    size_t from = c->ptr[token], n = c->ptr[token + 1] - from, i;
    int64_t units;

    for (i = 0; i < n; i++) {
        if (bs_scope_units(&units, c->val[from + i], token, e) < 0)
            return -e->code;
        entry[i] = bs_gram_entry(c->idx[from + i], (uint64_t)units);
    }
    if (n <= 32)
        sort_entries(entry, n);
    else
        qsort(entry, n, sizeof *entry, compare_entries);
    return 0;
}

static int
token_rows(struct bs_cooc_input *in, const struct bs_doc *rec,
           struct bs_cooc_rows *rows, struct bs_err *e)
{
    const struct bs_codes *c = &in->codes;
    size_t from = 0, to = 0, t;
    uint64_t *entry;
    uint32_t *len;
    int r = bs_codes_read(&in->codes, rec, in->origin.head.concepts, e);

    if (r == 0)
        r = bs_scope_tokens(in->scope, c, &from, &to, e);
    if (r == 0)
        r = bs_buf_reserve(&in->entry,
                           (c->ptr[to] - c->ptr[from]) * sizeof *entry, e);
    if (r == 0)
        r = bs_buf_reserve(&in->len, (to - from) * sizeof *len, e);
    if (r < 0)
        return r;
    entry = (uint64_t *)(void *)in->entry.data;
    len = (uint32_t *)(void *)in->len.data;
    *rows = (struct bs_cooc_rows){
        .tokens = (uint32_t)(to - from), .entry = entry, .len = len};
    for (t = from; t < to && r == 0; t++) {
        uint32_t n = c->ptr[t + 1] - c->ptr[t];

        if (n == 0)
            continue;
        r = token_row(in, t, entry + rows->entries, e);
        rows->entries += n;
        len[rows->rows++] = n;
    }
    return r;
}

/* The image as one row. */
static int
image_row(struct bs_cooc_input *in, const struct bs_doc *rec,
          struct bs_cooc_rows *rows, struct bs_err *e)
{
    struct bs_energies en;
    uint64_t *entry;
    uint32_t *len;
    size_t i;
    int r = bs_pooler_pool(&in->pooler, rec, &en, e);

    if (r == 0)
        r = bs_buf_reserve(&in->entry, en.n * sizeof *entry, e);
    if (r == 0)
        r = bs_buf_reserve(&in->len, sizeof *len, e);
    if (r < 0)
        return r;
    entry = (uint64_t *)(void *)in->entry.data;
    len = (uint32_t *)(void *)in->len.data;
    len[0] = (uint32_t)en.n;
    for (i = 0; i < en.n; i++) {
        if ((uint64_t)en.energy[i] > BS_GRAM_VALUE_MAX)
            return bs_err_set(e, BS_EX_DATA,
                              "concept %ju: its energy %g is too large: 65536 "
                              "and more cannot be multiplied",
                              (uintmax_t)en.concept[i],
                              (double)en.energy[i] * BS_CODES_UNIT);
        entry[i] = bs_gram_entry(en.concept[i], (uint64_t)en.energy[i]);
    }
    *rows = (struct bs_cooc_rows){.tokens = 1,
                                  .rows = en.n > 0,
                                  .entries = en.n,
                                  .entry = entry,
                                  .len = len};
    return 0;
}

static int
code_record(struct bs_cooc_input *in, size_t number, const struct bs_doc *rec,
            struct bs_err *e)
{
    struct bs_cooc_rows rows;
    int r = in->grain == BS_COOC_TOKEN ? token_rows(in, rec, &rows, e)
                                       : image_row(in, rec, &rows, e);

    return r < 0 ? r
                 : bs_cooc_set_add(&in->set[number], &in->store,
                                   bs_doc_meta(rec, "key"), &rows, e);
}

/* ---- records of parts ----------------------------------------------------
 */

/* Are the rows such as token_rows and image_row make them? */
static int
check_rows(const struct bs_cooc_rows *rows, uint32_t concepts, struct bs_err *e)
{
    size_t at = 0, row, i;

    for (row = 0; row < rows->rows; row++) {
        if (rows->len[row] == 0 || rows->len[row] > rows->entries - at)
            return bs_err_set(e, BS_EX_DATA, "row %zu: %ju entries", row,
                              (uintmax_t)rows->len[row]);
        for (i = 0; i < rows->len[row]; i++, at++) {
            uint32_t k = bs_gram_column(rows->entry[at]);

            if (k >= concepts ||
                (i > 0 && k <= bs_gram_column(rows->entry[at - 1])))
                return bs_err_set(
                    e, BS_EX_DATA,
                    "row %zu: concept %ju of %ju is out of order or range", row,
                    (uintmax_t)k, (uintmax_t)concepts);
        }
    }
    if (at != rows->entries || rows->rows > rows->tokens)
        return bs_err_set(
            e, BS_EX_DATA, "%ju rows of %ju tokens with %zu of %zu entries",
            (uintmax_t)rows->rows, (uintmax_t)rows->tokens, at, rows->entries);
    return 0;
}

static int
rows_record(struct bs_cooc_input *in, const struct bs_doc *rec,
            struct bs_err *e)
{
    const struct bs_tensor *entry = NULL, *len = NULL;
    struct bs_cooc_rows rows = {0};
    uint64_t number = 0, tokens = 0;
    int r = bs_head_number(rec, "set", 0, in->streams - 1, &number, e);

    if (r == 0)
        r = bs_head_number(rec, "tokens", 1, (uint64_t)1 << 20, &tokens, e);
    if (r == 0)
        r = bs_record_tensor(rec, "entry", BS_DTYPE_U64, &entry, e);
    if (r == 0)
        r = bs_record_tensor(rec, "len", BS_DTYPE_U32, &len, e);
    if (r < 0)
        return r;
    if (len->shape[0] > tokens)
        return bs_err_set(e, BS_EX_DATA, "%ju rows of %ju tokens",
                          (uintmax_t)len->shape[0], (uintmax_t)tokens);
    rows.tokens = (uint32_t)tokens;
    rows.rows = (uint32_t)len->shape[0];
    rows.entries = (size_t)entry->shape[0];
    rows.entry = entry->data;
    rows.len = len->data;
    r = check_rows(&rows, in->origin.head.concepts, e);
    return r < 0 ? r
                 : bs_cooc_set_add(&in->set[number], &in->store,
                                   bs_doc_meta(rec, "key"), &rows, e);
}

/* ---- streams -------------------------------------------------------------
 */

/* What is being read, and into which set. */
struct reading {
    struct bs_cooc_input *in;
    size_t number;
};

static int
codes_head(void *arg, const struct bs_doc *head, struct bs_err *e)
{
    const struct reading *reading = arg;
    struct bs_codes_head codes;
    int r = bs_codes_head(&codes, head, e);

    return r < 0 ? r : agree(reading->in, &codes, head, e);
}

static int
codes_record(void *arg, const struct bs_doc *rec, struct bs_err *e)
{
    const struct reading *reading = arg;
    struct bs_cooc_input *in = reading->in;

    if (!in->wanted(in->command, bs_doc_meta(rec, "key")))
        return 0;
    return code_record(in, reading->number, rec, e);
}

int
bs_cooc_read_codes(struct bs_cooc_input *in, size_t number, struct bs_source *s,
                   struct bs_err *e)
{
    struct reading reading = {in, number};
    struct bs_visit v = {codes_head, codes_record, &reading, &in->parents};

    return bs_visit(s, &v, e);
}

static int
part_head(void *arg, const struct bs_doc *head, struct bs_err *e)
{
    return partial_head(arg, head, e);
}

static int
part_record(void *arg, const struct bs_doc *rec, struct bs_err *e)
{
    struct bs_cooc_input *in = arg;

    if (!in->wanted(in->command, bs_doc_meta(rec, "key")))
        return 0;
    return rows_record(in, rec, e);
}

int
bs_cooc_read_partial(struct bs_cooc_input *in, struct bs_source *s,
                     struct bs_err *e)
{
    struct bs_visit v = {part_head, part_record, in, &in->parents};

    return bs_visit(s, &v, e);
}

static int
write_rows(struct bs_writer *w, const struct bs_cooc_set *set, size_t number,
           size_t place, struct bs_buf *scratch, struct bs_err *e)
{
    struct bs_cooc_rows rows;
    struct bs_doc rec = {0};
    uint64_t n;
    int r = bs_cooc_set_get(set, place, &rows, scratch, e);

    if (r == 0)
        r = bs_doc_set(&rec, "key", bs_cooc_set_key(set, place), e);
    if (r == 0)
        r = bs_doc_set(&rec, "table", "rows", e);
    if (r == 0)
        r = bs_doc_setf(&rec, "set", e, "%zu", number);
    if (r == 0)
        r = bs_doc_setf(&rec, "tokens", e, "%ju", (uintmax_t)rows.tokens);
    n = rows.entries;
    if (r == 0)
        r = bs_doc_put(&rec, "entry", BS_DTYPE_U64, 1, &n, rows.entry, e);
    n = rows.rows;
    if (r == 0)
        r = bs_doc_put(&rec, "len", BS_DTYPE_U32, 1, &n, rows.len, e);
    if (r == 0) {
        r = bs_writer_record(w, &rec);
        if (r < 0)
            *e = *bs_writer_error(w);
    }
    bs_doc_release(&rec);
    return r;
}

int
bs_cooc_write_partial(struct bs_writer *w, const struct bs_cooc_input *in,
                      struct bs_err *e)
{
    struct bs_buf scratch = {0};
    size_t s, i;
    int r = 0;

    for (s = 0; s < in->streams; s++)
        for (i = 0; i < in->set[s].count && r == 0; i++)
            r = write_rows(w, &in->set[s], s, i, &scratch, e);
    bs_buf_release(&scratch);
    return r;
}

void
bs_cooc_input_release(struct bs_cooc_input *in)
{
    size_t s;

    for (s = 0; s < BS_LEN(in->set); s++)
        bs_cooc_set_release(&in->set[s]);
    bs_cooc_store_close(&in->store);
    bs_pooler_close(&in->pooler);
    bs_codes_release(&in->codes);
    bs_buf_release(&in->entry);
    bs_buf_release(&in->len);
    bs_doc_release(&in->parents);
    bs_origin_release(&in->origin);
}
