/*
 * caption_list.c - see caption_list.h.
 */
#include "cmd/models/caption_list.h"

#include <string.h>

#include "cmd/models/captions.h"

static const char *const caption_names[] = {"caption", "text", "prompt"};
static const char *const key_names[] = {"key", "id"};

struct bs_caption_list {
    struct bs_plain *plain;
    struct bs_table *table;
    struct bs_caption_columns columns;
    bool named; /* columns have names */
    uint64_t rows;
    struct bs_tally taken; /* keys */
    struct bs_arena arena; /* of the row */
    struct bs_doc doc;
};

bool
bs_caption_list_sniff(const uint8_t *data, size_t len)
{
    static const uint8_t zstd[] = {0x28, 0xb5, 0x2f, 0xfd};
    size_t i;

    /* a stream that was cut in its first bytes */
    if (len < sizeof zstd && memcmp(data, zstd, len) == 0)
        return false;

    for (i = 0; i < len; i++)
        if ((data[i] < ' ' && (data[i] < '\t' || data[i] > '\r')) ||
            data[i] == 0x7f)
            return false;
    return len > 0;
}

/* ---- columns --------------------------------------------------------------
 */

static bool
has_any(const struct bs_table *t, const char *const *name, size_t names)
{
    size_t i;

    for (i = 0; i < names; i++)
        if (bs_table_has(t, name[i]))
            return true;
    return false;
}

static int
check_columns(struct bs_caption_list *l, struct bs_err *e)
{
    const struct bs_caption_columns *c = &l->columns;

    if (c->caption != NULL && !bs_table_has(l->table, c->caption))
        return bs_err_set(e, BS_EX_DATA, "no column '%s'", c->caption);
    if (c->key != NULL && !bs_table_has(l->table, c->key))
        return bs_err_set(e, BS_EX_DATA, "no column '%s'", c->key);
    if (l->named && c->caption == NULL &&
        !has_any(l->table, caption_names, BS_LEN(caption_names)))
        return bs_err_set(e, BS_EX_DATA, "no column caption, text or prompt");
    return 0;
}

int
bs_caption_list_open(struct bs_caption_list **out, struct bs_plain *plain,
                     const struct bs_caption_columns *columns, struct bs_err *e)
{
    const char *known[BS_LEN(caption_names) + BS_LEN(key_names) + 3] = {0};
    struct bs_caption_list *l = bs_alloc_array(1, sizeof *l);
    size_t n = BS_LEN(caption_names), i;
    int r;

    *out = NULL;
    if (l == NULL) {
        bs_plain_close(plain);
        return bs_err_memory(e, "list", sizeof *l);
    }
    l->plain = plain;
    l->columns = *columns;
    memcpy(known, caption_names, sizeof caption_names);
    for (i = 0; i < BS_LEN(key_names); i++)
        known[n++] = key_names[i];
    if (columns->caption != NULL)
        known[n++] = columns->caption;
    if (columns->key != NULL)
        known[n++] = columns->key;
    r = bs_table_open(&l->table, plain, columns->format, known, e);
    if (r == 0) {
        l->named = bs_table_format(l->table) == BS_TABLE_JSONL ||
                   !bs_table_has(l->table, "1");
        r = check_columns(l, e);
    }
    if (r < 0) {
        bs_caption_list_close(l);
        return r;
    }
    *out = l;
    return 0;
}

void
bs_caption_list_close(struct bs_caption_list *l)
{
    if (l == NULL)
        return;
    bs_table_close(l->table);
    bs_plain_close(l->plain);
    bs_tally_release(&l->taken);
    bs_arena_release(&l->arena);
    bs_doc_release(&l->doc);
    bs_free(l);
}

/* ---- rows -----------------------------------------------------------------
 */

static void
choose_cells(const struct bs_caption_list *l, const struct bs_row *row,
             const struct bs_cell **caption, const struct bs_cell **key)
{
    const struct bs_caption_columns *c = &l->columns;

    *caption =
        bs_row_find(row, c->caption, caption_names, BS_LEN(caption_names));
    *key = bs_row_find(row, c->key, key_names, BS_LEN(key_names));
    if (l->named)
        return;
    if (*key == NULL && c->caption == NULL && row->cells > 1)
        *key = &row->cell[0];
    if (*caption == NULL && row->cells > 0)
        *caption = &row->cell[*key == &row->cell[0] && row->cells > 1];
}

static int
set_key(struct bs_caption_list *l, const struct bs_cell *cell, struct bs_err *e)
{
    char number[24];
    const char *name = number, *key;
    int r;

    if (cell != NULL && cell->value[0] != '\0')
        name = cell->value;
    else
        snprintf(number, sizeof number, "%06ju", (uintmax_t)l->rows);
    r = bs_key_make(&key, &l->arena, "", name, strlen(name), &l->taken, e);
    return r < 0 ? r : bs_doc_set(&l->doc, "key", key, e);
}

static int
set_text(struct bs_caption_list *l, const char *name, const char *value,
         struct bs_err *e)
{
    const char *text = bs_text_repair(&l->arena, value, strlen(value));

    if (text == NULL)
        return bs_err_memory(e, "metadata", strlen(value));
    return bs_doc_set(&l->doc, name, text, e);
}

static int
fill(struct bs_caption_list *l, const struct bs_row *row, struct bs_err *e)
{
    const struct bs_cell *caption, *key;
    size_t i;
    int r;

    choose_cells(l, row, &caption, &key);
    if (caption != NULL && strlen(caption->value) > BS_CAPTION_ROW_MAX)
        return bs_err_set(e, BS_EX_DATA, "caption longer than %d KiB",
                          BS_CAPTION_ROW_MAX >> 10);
    r = set_key(l, key, e);
    if (r == 0 && caption != NULL)
        r = set_text(l, "caption", caption->value, e);
    for (i = 0; l->named && i < row->cells && r == 0; i++) {
        const struct bs_cell *c = &row->cell[i];

        if (c != caption && c != key && c->value[0] != '\0' &&
            bs_captions_may_name(c->name))
            r = set_text(l, c->name, c->value, e);
    }
    l->rows++;
    return r;
}

int
bs_caption_list_next(struct bs_caption_list *l, struct bs_doc **doc,
                     struct bs_err *e)
{
    const struct bs_row *row;
    int r = bs_table_next(l->table, &row, e);

    if (r <= 0)
        return r;
    bs_doc_release(&l->doc);
    bs_arena_release(&l->arena);
    *doc = &l->doc;
    r = fill(l, row, e);
    return r < 0 ? bs_err_prefix(e, "line %ju", (uintmax_t)row->line) : 1;
}
