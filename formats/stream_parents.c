/*
 * stream_parents.c - see stream.h: what a stream was made from.
 *
 * "bs.parents" is a JSON list.  An entry is an object of the parent's content
 * id (hash) and the fields of its head without their "bs.", its own parents
 * among them; or, where that would be too deep or too long, a string: the
 * content id, or the XXH64 of the entry where it has none.
 */
#include "formats/stream.h"

#include "formats/digest.h"
#include "formats/json.h"

enum { NESTED_MAX = 8, LENGTH_MAX = 256 << 10 };

/* ---- folding ------------------------------------------------------------- */

/* The content id that stands for an entry. */
static int
write_id(struct bs_buf *b, const struct bs_json *entry, struct bs_err *e)
{
    const char *hash = bs_json_get_string(entry, "hash");
    struct bs_buf text = {0};
    char hex[BS_HEX64_SIZE];
    uint64_t id;
    int r = 0;

    if (hash == NULL || !bs_hex64_parse(hash, &id)) {
        r = bs_json_write(&text, entry, e);
        id = bs_xxh64(text.data, text.len, 0);
        bs_buf_release(&text);
    }
    bs_hex64(id, hex);
    return r < 0 ? r : bs_json_quote(b, hex, e);
}

static int write_list(struct bs_buf *b, const struct bs_json *list, int levels,
                      struct bs_err *e);

static int
write_entry(struct bs_buf *b, const struct bs_json *entry, int levels,
            struct bs_err *e)
{
    const struct bs_json **field;
    int r = bs_buf_str(b, "{", e);
    size_t i;

    field = bs_json_sorted(entry);
    if (field == NULL)
        return bs_err_memory(e, "parents", entry->count * sizeof *field);
    for (i = 0; r == 0 && i < entry->count; i++) {
        bool nested = field[i]->type == BS_JSON_ARRAY &&
                      strcmp(field[i]->key, "parents") == 0;

        if (i > 0)
            r = bs_buf_str(b, ",", e);
        if (r == 0)
            r = bs_json_quote(b, field[i]->key, e);
        if (r == 0)
            r = bs_buf_str(b, ":", e);
        if (r == 0)
            r = nested ? write_list(b, field[i], levels - 1, e)
                       : bs_json_write(b, field[i], e);
    }
    bs_free(field);
    return r < 0 ? r : bs_buf_str(b, "}", e);
}

/* Entries deeper than `levels` become ids. */
static int
write_list(struct bs_buf *b, const struct bs_json *list, int levels,
           struct bs_err *e)
{
    int r = bs_buf_str(b, "[", e);
    const struct bs_json *c;

    for (c = list->child; r == 0 && c != NULL; c = c->next) {
        if (c != list->child)
            r = bs_buf_str(b, ",", e);
        if (r < 0)
            break;
        if (c->type != BS_JSON_OBJECT)
            r = bs_json_write(b, c, e);
        else
            r = levels > 0 ? write_entry(b, c, levels, e) : write_id(b, c, e);
    }
    return r < 0 ? r : bs_buf_str(b, "]", e);
}

/* The list as deep as it may be and the length allows. */
static int
fold(struct bs_buf *b, const struct bs_json *list, struct bs_err *e)
{
    int levels, r = 0;

    for (levels = NESTED_MAX; r == 0 && levels >= 0; levels--) {
        b->len = 0;
        r = write_list(b, list, levels, e);
        if (r == 0 && b->len <= LENGTH_MAX)
            return 0;
    }
    b->len = 0;
    if (r == 0)
        r = bs_buf_str(b, "[", e);
    if (r == 0)
        r = write_id(b, list, e);
    return r < 0 ? r : bs_buf_str(b, "]", e);
}

/* ---- one parent ---------------------------------------------------------- */

/* Values that are JSON themselves are nested, not quoted. */
static int
add_value(struct bs_buf *b, const char *text, struct bs_err *e)
{
    struct bs_json_doc *json;
    struct bs_err ignored = {0};
    int r;

    if ((*text != '{' && *text != '[') ||
        bs_json_parse(&json, text, strlen(text), 0, &ignored) < 0)
        return bs_json_quote(b, text, e);
    r = bs_json_write(b, bs_json_root(json), e);
    bs_json_free(json);
    return r;
}

static int
add_field(struct bs_buf *b, const char *name, const char *value,
          struct bs_err *e)
{
    int r;

    if (value == NULL)
        return 0;
    r = b->data[b->len - 1] != '{' ? bs_buf_str(b, ",", e) : 0;
    if (r == 0)
        r = bs_json_quote(b, name, e);
    if (r == 0)
        r = bs_buf_str(b, ":", e);
    return r < 0 ? r : add_value(b, value, e);
}

static int
add_parent(struct bs_buf *b, const struct bs_doc *parent, uint64_t hash,
           struct bs_err *e)
{
    static const char *const fields[] = {"bs.kind",   "bs.model",  "bs.params",
                                         "bs.seed",   "bs.source", "bs.tool",
                                         "bs.parents"};
    char hex[BS_HEX64_SIZE];
    int r = bs_buf_str(b, "{", e);
    size_t i;

    bs_hex64(hash, hex);
    if (r == 0)
        r = add_field(b, "hash", hash != 0 ? hex : NULL, e);
    for (i = 0; r == 0 && i < BS_LEN(fields); i++)
        r = add_field(b, fields[i] + 3, bs_doc_meta(parent, fields[i]), e);
    return r < 0 ? r : bs_buf_str(b, "}", e);
}

/* The list that the head has, with one more entry. */
static int
extend(struct bs_buf *b, const struct bs_doc *head, const struct bs_doc *parent,
       uint64_t hash, struct bs_err *e)
{
    const char *before = bs_doc_meta(head, "bs.parents");
    size_t len = before != NULL ? strlen(before) : 0;
    int r;

    if (len < 2 || before[len - 1] != ']' || strcmp(before, "[]") == 0)
        r = bs_buf_str(b, "[", e);
    else
        r = bs_buf_add(b, before, len - 1, e);
    if (r == 0 && b->len > 1)
        r = bs_buf_str(b, ",", e);
    if (r == 0)
        r = add_parent(b, parent, hash, e);
    return r < 0 ? r : bs_buf_str(b, "]", e);
}

int
bs_stream_parent(struct bs_doc *head, const struct bs_doc *parent,
                 uint64_t hash, struct bs_err *e)
{
    struct bs_buf text = {0}, folded = {0};
    struct bs_json_doc *json = NULL;
    int r = extend(&text, head, parent, hash, e);

    if (r == 0)
        r = bs_json_parse(&json, (const char *)text.data, text.len, 0, e);
    if (r == 0)
        r = fold(&folded, bs_json_root(json), e);
    if (r == 0)
        r = bs_buf_add(&folded, "", 1, e);
    if (r == 0)
        r = bs_doc_set(head, "bs.parents", (const char *)folded.data, e);
    bs_json_free(json);
    bs_buf_release(&text);
    bs_buf_release(&folded);
    return r < 0 ? bs_err_prefix(e, "bs.parents") : 0;
}
