/*
 * table.c - see table.h.  A row is gathered in one buffer (table_row.c), then
 * split in place; time is linear, memory one row.
 */
#include "formats/table_own.h"

#include <strings.h>

#include "formats/json.h"

enum { NUMBER_BYTES = 5 }; /* "4096" */

const char *const bs_table_format_names[] = {"auto", "lines", "tsv",
                                             "csv",  "jsonl", NULL};

/* ---- cells --------------------------------------------------------------- */

/* The name of column i: of the header, or its number. */
static const char *
column_name(struct bs_table *t, size_t i)
{
    const char *const *name = (const char *const *)(void *)t->names.data;

    if (t->titled)
        return name[i];
    return (const char *)t->numbers.data + i * NUMBER_BYTES;
}

static int
add_cell(struct bs_table *t, const char *name, const char *value,
         struct bs_err *e)
{
    struct bs_cell cell = {name, value};
    size_t columns = t->names.len / sizeof(char *);

    if (t->row.cells == BS_TABLE_CELLS_MAX)
        return bs_table_error(t, e, "more than 4096 cells");
    if (name == NULL && t->titled && t->row.cells >= columns)
        return bs_table_error(t, e, "more cells than the header has");
    if (name == NULL)
        cell.name = column_name(t, t->row.cells);
    t->row.cells++;
    return bs_buf_add(&t->cells, &cell, sizeof cell, e);
}

static int
split_tabs(struct bs_table *t, struct bs_err *e)
{
    char *cell = (char *)t->text.data, *tab;
    int r = 0;

    while (r == 0 && (tab = strchr(cell, '\t')) != NULL) {
        *tab = '\0';
        r = add_cell(t, NULL, cell, e);
        cell = tab + 1;
    }
    return r == 0 ? add_cell(t, NULL, cell, e) : r;
}

/* Undo the quotes of the cell behind *at; *at moves behind its closing quote.
 */
static char *
unquote(char **at)
{
    char *from = *at + 1, *to = *at, *cell = *at;

    while (*from != '"' || from[1] == '"') {
        from += *from == '"';
        *to++ = *from++;
    }
    *at = from + 1;
    *to = '\0';
    return cell;
}

static int
split_commas(struct bs_table *t, struct bs_err *e)
{
    char *at = (char *)t->text.data, *cell, end;
    int r;

    do {
        cell = at;
        if (*at == '"')
            cell = unquote(&at);
        else
            at += strcspn(at, ",");
        end = *at;
        if (end != '\0' && end != ',')
            return bs_table_error(t, e, "text behind a closing quote");
        if (at > cell)
            *at = '\0';
        r = add_cell(t, NULL, cell, e);
        at++;
    } while (r == 0 && end == ',');
    return r;
}

/* The text of a JSON value; NULL of one that is no scalar, whose text is then
 * the next in `values`. */
static int
json_text(struct bs_table *t, const struct bs_json *v, const char **text,
          struct bs_err *e)
{
    int r;

    *text = v->type == BS_JSON_BOOL ? (v->truth ? "true" : "false") : v->text;
    if (v->type != BS_JSON_ARRAY && v->type != BS_JSON_OBJECT)
        return 0;
    *text = NULL;
    r = bs_json_write(&t->values, v, e);
    return r == 0 ? bs_buf_add(&t->values, "", 1, e) : r;
}

/* Cells whose text is in `values` got NULL: its place was not yet final. */
static void
json_settle(struct bs_table *t)
{
    struct bs_cell *cell = (struct bs_cell *)(void *)t->cells.data;
    const char *text = (const char *)t->values.data;
    size_t i;

    for (i = 0; i < t->row.cells; i++) {
        if (cell[i].value != NULL)
            continue;
        cell[i].value = text;
        text += strlen(text) + 1;
    }
}

static int
split_json(struct bs_table *t, struct bs_err *e)
{
    const struct bs_json *root, *v;
    const char *text;
    int r;

    bs_json_free(t->json);
    t->json = NULL;
    t->values.len = 0;
    r = bs_json_parse(&t->json, (const char *)t->text.data, t->text.len,
                      BS_JSON_NONFINITE, e);
    if (r < 0)
        return bs_err_prefix(e, "line %llu", (unsigned long long)t->row.line);
    root = bs_json_root(t->json);
    if (root->type != BS_JSON_OBJECT)
        return bs_table_error(t, e, "not a JSON object");
    for (v = root->child; v != NULL && r == 0; v = v->next) {
        if (v->type == BS_JSON_NULL)
            continue;
        r = json_text(t, v, &text, e);
        if (r == 0)
            r = add_cell(t, v->key, text, e);
    }
    json_settle(t);
    return r;
}

static int
split_row(struct bs_table *t, struct bs_err *e)
{
    int r;

    t->cells.len = 0;
    t->row.cells = 0;
    if (t->format == BS_TABLE_JSONL)
        r = split_json(t, e);
    else if (t->format == BS_TABLE_CSV)
        r = split_commas(t, e);
    else if (t->format == BS_TABLE_TSV)
        r = split_tabs(t, e);
    else
        r = add_cell(t, NULL, (const char *)t->text.data, e);
    t->row.cell = (const struct bs_cell *)(void *)t->cells.data;
    return r < 0 ? r : 1;
}

/* ---- the first row ------------------------------------------------------- */

static bool
is_known(const char *const *known, const char *name)
{
    for (; known != NULL && *known != NULL; known++)
        if (strcasecmp(*known, name) == 0)
            return true;
    return false;
}

static bool
has_known(const struct bs_row *row, const char *const *known)
{
    size_t i;

    for (i = 0; i < row->cells; i++)
        if (is_known(known, row->cell[i].value))
            return true;
    return false;
}

/* Make the row that was just split the header. */
static int
take_header(struct bs_table *t, struct bs_err *e)
{
    struct bs_row row = t->row;
    const char *name;
    size_t i, k;
    int r = 0;

    for (i = 0; i < row.cells; i++)
        for (k = 0; k < i; k++)
            if (strcasecmp(row.cell[k].value, row.cell[i].value) == 0 &&
                row.cell[i].value[0] != '\0')
                return bs_table_error(t, e, "the header names a column twice");
    for (i = 0; i < row.cells && r == 0; i++) {
        name =
            row.cell[i].value[0] != '\0' ? row.cell[i].value : row.cell[i].name;
        r = bs_buf_add(&t->header, name, strlen(name) + 1, e);
    }
    for (i = 0, k = 0; i < row.cells && r == 0; i++) {
        name = (const char *)t->header.data + k;
        r = bs_buf_add(&t->names, &name, sizeof name, e);
        k += strlen(name) + 1;
    }
    t->titled = true;
    return r;
}

/* The format of a list by its first row; the row is in t->text. */
static enum bs_table_format
guess(struct bs_table *t, const char *const *known)
{
    const char *s = (const char *)t->text.data;
    char name[64];
    size_t n, quotes;

    if (s[strspn(s, " \t")] == '{')
        return BS_TABLE_JSONL;
    if (strchr(s, '\t') != NULL || is_known(known, s))
        return BS_TABLE_TSV;
    for (; *s != '\0'; s += n + (s[n] == ',')) {
        n = strcspn(s, ",");
        quotes = *s == '"' ? 2 : 0;
        if (n < quotes || n >= sizeof name)
            continue;
        memcpy(name, s + quotes / 2, n - quotes);
        name[n - quotes] = '\0';
        if (is_known(known, name))
            return BS_TABLE_CSV;
    }
    return BS_TABLE_LINES;
}

/* Pass over a byte order mark. */
static int
skip_mark(struct bs_table *t, struct bs_err *e)
{
    const uint8_t *head;
    size_t len;
    int r = bs_plain_peek(t->plain, 3, &head, &len, e);

    if (r < 0)
        return r;
    if (len >= 2 &&
        (memcmp(head, "\xff\xfe", 2) == 0 || memcmp(head, "\xfe\xff", 2) == 0))
        return bs_err_set(e, BS_EX_DATA, "line 1: UTF-16 text, UTF-8 wanted");
    if (len < 3 || memcmp(head, "\xef\xbb\xbf", 3) != 0)
        return 0;
    r = bs_plain_read(t->plain, &t->block, &t->left, e);
    t->block += 3;
    t->left -= 3;
    return r < 0 ? r : 0;
}

/* Names of columns where there is no header. */
static int
number_columns(struct bs_table *t, struct bs_err *e)
{
    unsigned i;
    int r = bs_buf_fill(&t->numbers, 0, BS_TABLE_CELLS_MAX * NUMBER_BYTES, e);

    for (i = 0; i < BS_TABLE_CELLS_MAX && r == 0; i++)
        snprintf((char *)t->numbers.data + i * NUMBER_BYTES, NUMBER_BYTES, "%u",
                 (i + 1) % 10000);
    return r;
}

/* Read the first row: what the format is, and whether it is a header. */
static int
begin(struct bs_table *t, enum bs_table_format format, const char *const *known,
      struct bs_err *e)
{
    int r = skip_mark(t, e);

    if (r == 0)
        r = number_columns(t, e);
    if (r < 0)
        return r;
    t->format = format == BS_TABLE_AUTO ? BS_TABLE_LINES : format;
    r = bs_table_row(t, e);
    if (r <= 0)
        return r;
    if (format == BS_TABLE_AUTO)
        t->format = guess(t, known);
    if (t->format == BS_TABLE_CSV && bs_table_quote_open(&t->text))
        return bs_table_error(t, e, "quote is not closed");
    r = split_row(t, e);
    if (r < 0)
        return r;
    t->pending = true;
    if ((t->format == BS_TABLE_TSV || t->format == BS_TABLE_CSV) &&
        has_known(&t->row, known)) {
        t->pending = false;
        return take_header(t, e);
    }
    return 0;
}

/* ---- calls --------------------------------------------------------------- */

int
bs_table_open(struct bs_table **out, struct bs_plain *plain,
              enum bs_table_format format, const char *const *known,
              struct bs_err *e)
{
    struct bs_table *t = bs_alloc_array(1, sizeof *t);
    int r;

    *out = NULL;
    if (t == NULL)
        return bs_err_memory(e, "table", sizeof *t);
    t->plain = plain;
    r = begin(t, format, known, e);
    if (r < 0) {
        bs_table_close(t);
        return r;
    }
    *out = t;
    return 0;
}

enum bs_table_format
bs_table_format(const struct bs_table *t)
{
    return t->format;
}

bool
bs_table_has(const struct bs_table *t, const char *name)
{
    const char *const *known = (const char *const *)(void *)t->names.data;
    size_t i, columns = t->names.len / sizeof *known;

    if (!t->titled)
        return t->format == BS_TABLE_JSONL ||
               name[strspn(name, "0123456789")] == '\0';
    for (i = 0; i < columns; i++)
        if (strcasecmp(known[i], name) == 0)
            return true;
    return false;
}

int
bs_table_next(struct bs_table *t, const struct bs_row **row, struct bs_err *e)
{
    int r = 1;

    *row = &t->row;
    if (!t->pending) {
        r = bs_table_row(t, e);
        if (r > 0)
            r = split_row(t, e);
    }
    t->pending = false;
    return r;
}

const struct bs_cell *
bs_row_find(const struct bs_row *row, const char *column,
            const char *const *name, size_t names)
{
    size_t i, k;

    for (k = 0; k < (column != NULL ? 1 : names); k++)
        for (i = 0; i < row->cells; i++)
            if (strcasecmp(row->cell[i].name,
                           column != NULL ? column : name[k]) == 0)
                return &row->cell[i];
    return NULL;
}

const char *
bs_row_get(const struct bs_row *row, const char *name)
{
    const struct bs_cell *cell = bs_row_find(row, name, NULL, 0);

    return cell != NULL ? cell->value : NULL;
}

void
bs_table_close(struct bs_table *t)
{
    if (t == NULL)
        return;
    bs_json_free(t->json);
    bs_buf_release(&t->text);
    bs_buf_release(&t->header);
    bs_buf_release(&t->names);
    bs_buf_release(&t->numbers);
    bs_buf_release(&t->cells);
    bs_buf_release(&t->values);
    bs_free(t);
}
