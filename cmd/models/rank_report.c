/*
 * rank_report.c - see rank_report.h.
 */
#include "cmd/models/rank_report.h"

#include <inttypes.h>
#include <math.h>

#include "formats/json.h"
#include "formats/utf8.h"

enum {
    FLUSH_BYTES = 1 << 16,
    TABLE_TEXT = 48 /* characters of a text in a table */
};

/* A cell of a table: where its text is in the buffer. */
struct bs_report_cell {
    size_t at, len, width;
    bool number;
};

/* ---- cells -----------------------------------------------------------------
 */

struct bs_cell
bs_cell_count(uint64_t n)
{
    return (struct bs_cell){.kind = BS_CELL_COUNT, .count = n};
}

struct bs_cell
bs_cell_real(double x)
{
    return (struct bs_cell){.kind = BS_CELL_REAL, .real = x};
}

struct bs_cell
bs_cell_text(const char *s)
{
    return (struct bs_cell){.kind = BS_CELL_TEXT, .text = s};
}

static int
flush(struct bs_report *r, size_t least, struct bs_err *e)
{
    if (r->buf.len < least || r->buf.len == 0)
        return 0;
    if (bs_write(r->out->fd, r->buf.data, r->buf.len) < 0)
        return bs_err_errno(e, BS_EX_IO, "cannot write '%s'", r->out->name);
    r->buf.len = 0;
    return 0;
}

/* ---- values --------------------------------------------------------------
 */

static int
add_real(struct bs_buf *b, double v, int least, int most, struct bs_err *e)
{
    char text[40];
    int digits;

    if (isnan(v))
        return bs_buf_str(b, "nan", e);
    for (digits = least; digits <= most; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    return bs_buf_str(b, text, e);
}

static int
add_escaped(struct bs_buf *b, const char *s, struct bs_err *e)
{
    int r = 0;

    for (; *s != '\0' && r == 0; s++) {
        unsigned char c = (unsigned char)*s;

        r = c < 0x20 || c == 0x7f ? bs_buf_printf(b, e, "\\x%02x", c)
                                  : bs_buf_add(b, s, 1, e);
    }
    return r;
}

static int
add_value(struct bs_buf *b, const struct bs_cell *c, int least, int most,
          struct bs_err *e)
{
    switch (c->kind) {
    case BS_CELL_COUNT:
        return bs_buf_printf(b, e, "%" PRIu64, c->count);
    case BS_CELL_REAL:
        return add_real(b, c->real, least, most, e);
    case BS_CELL_TEXT:
        return add_escaped(b, c->text, e);
    default:
        return 0;
    }
}

/* ---- TSV and JSON lines --------------------------------------------------
 */

static int
tsv_row(struct bs_report *r, const struct bs_cell *cell, struct bs_err *e)
{
    size_t i;
    int res = 0;

    for (i = 0; i < r->columns && res == 0; i++) {
        res = i > 0 ? bs_buf_str(&r->buf, "\t", e) : 0;
        if (res == 0)
            res = add_value(&r->buf, &cell[i], 15, 17, e);
    }
    return res < 0 ? res : bs_buf_str(&r->buf, "\n", e);
}

static int
json_value(struct bs_buf *b, const struct bs_cell *c, struct bs_err *e)
{
    if (c->kind == BS_CELL_TEXT)
        return bs_json_quote(b, c->text, e);
    if (c->kind == BS_CELL_NONE ||
        (c->kind == BS_CELL_REAL && !isfinite(c->real)))
        return bs_buf_str(b, "null", e);
    return add_value(b, c, 15, 17, e);
}

static int
json_row(struct bs_report *r, const struct bs_cell *cell, struct bs_err *e)
{
    size_t i;
    int res = bs_buf_str(&r->buf, "{", e);

    for (i = 0; i < r->columns && res == 0; i++) {
        res = i > 0 ? bs_buf_str(&r->buf, ",", e) : 0;
        if (res == 0)
            res = bs_json_quote(&r->buf, r->name[i], e);
        if (res == 0)
            res = bs_buf_str(&r->buf, ":", e);
        if (res == 0)
            res = json_value(&r->buf, &cell[i], e);
    }
    return res < 0 ? res : bs_buf_str(&r->buf, "}\n", e);
}

/* ---- table ---------------------------------------------------------------
 */

/* Characters of the text, which is cut behind the first `most`. */
static size_t
cut(struct bs_buf *b, size_t at, size_t most)
{
    size_t width = 0, end = at;

    while (end < b->len && width < most) {
        size_t n = bs_utf8_length((const char *)b->data + end, b->len - end);

        end += n > 0 ? n : 1;
        width++;
    }
    b->len = end;
    return width;
}

static int
table_row(struct bs_report *r, const struct bs_cell *cell, struct bs_err *e)
{
    size_t i;
    int res = 0;

    for (i = 0; i < r->columns && res == 0; i++) {
        struct bs_report_cell c = {.at = r->buf.len};

        res = add_value(&r->buf, &cell[i], 4, 4, e);
        c.number =
            cell[i].kind == BS_CELL_COUNT || cell[i].kind == BS_CELL_REAL;
        c.width = cut(&r->buf, c.at, TABLE_TEXT);
        c.len = r->buf.len - c.at;
        if (res == 0)
            res = bs_buf_add(&r->cell, &c, sizeof c, e);
    }
    return res;
}

static int
pad(struct bs_buf *b, size_t n, struct bs_err *e)
{
    return bs_buf_fill(b, ' ', n, e);
}

/* Column i of a row, to its width: numbers to the right, texts to the left. */
static int
put_cell(struct bs_buf *b, const struct bs_report *r,
         const struct bs_report_cell *c, size_t i, size_t width, bool number,
         struct bs_err *e)
{
    int res = i > 0 ? pad(b, 2, e) : 0;

    if (res == 0 && number)
        res = pad(b, width - c->width, e);
    if (res == 0)
        res = bs_buf_add(b, r->buf.data + c->at, c->len, e);
    if (res == 0 && !number && i + 1 < r->columns)
        res = pad(b, width - c->width, e);
    return res;
}

/* A column's width; *number: a row has a number in it. */
static size_t
width_of(const struct bs_report *r, const struct bs_report_cell *cell, size_t i,
         bool *number)
{
    size_t width = 0, row;

    *number = false;
    for (row = 0; row < r->rows; row++) {
        const struct bs_report_cell *c = &cell[row * r->columns + i];

        width = c->width > width ? c->width : width;
        *number |= c->number;
    }
    return width;
}

static int
table_end(struct bs_report *r, struct bs_err *e)
{
    const struct bs_report_cell *cell = (const void *)r->cell.data;
    size_t *width = bs_alloc_array(r->columns, sizeof *width);
    bool *number = bs_alloc_array(r->columns, sizeof *number);
    struct bs_buf lines = {0};
    size_t row, i;
    int res = width != NULL && number != NULL
                  ? 0
                  : bs_err_memory(e, "table", r->columns);

    for (i = 0; i < r->columns && res == 0; i++)
        width[i] = width_of(r, cell, i, &number[i]);
    for (row = 0; row < r->rows && res == 0; row++) {
        for (i = 0; i < r->columns && res == 0; i++)
            res = put_cell(&lines, r, &cell[row * r->columns + i], i, width[i],
                           number[i], e);
        if (res == 0)
            res = bs_buf_str(&lines, "\n", e);
    }
    bs_buf_release(&r->buf);
    r->buf = lines;
    bs_free(width);
    bs_free(number);
    return res;
}

/* ---- the report ----------------------------------------------------------
 */

/* A row as the format says; the first is that of the names. */
static int
add_row(struct bs_report *r, const struct bs_cell *cell, struct bs_err *e)
{
    r->rows++;
    if (r->format == BS_REPORT_TABLE)
        return table_row(r, cell, e);
    return r->format == BS_REPORT_TSV ? tsv_row(r, cell, e)
                                      : json_row(r, cell, e);
}

int
bs_report_begin(struct bs_report *r, enum bs_report_format format,
                const struct bs_out *out, const char *const *name,
                size_t columns, struct bs_err *e)
{
    struct bs_cell *cell;
    size_t i;
    int res = 0;

    *r = (struct bs_report){
        .format = format, .out = out, .name = name, .columns = columns};
    if (format == BS_REPORT_JSONL)
        return 0;
    cell = bs_alloc_array(columns, sizeof *cell);
    if (cell == NULL)
        return bs_err_memory(e, "columns", columns);
    for (i = 0; i < columns; i++)
        cell[i] = bs_cell_text(name[i]);
    res = add_row(r, cell, e);
    bs_free(cell);
    return res;
}

int
bs_report_row(struct bs_report *r, const struct bs_cell *cell, struct bs_err *e)
{
    int res = add_row(r, cell, e);

    return res < 0 || r->format == BS_REPORT_TABLE ? res
                                                   : flush(r, FLUSH_BYTES, e);
}

int
bs_report_end(struct bs_report *r, struct bs_err *e)
{
    int res = r->format == BS_REPORT_TABLE ? table_end(r, e) : 0;

    return res < 0 ? res : flush(r, 0, e);
}

void
bs_report_release(struct bs_report *r)
{
    bs_buf_release(&r->buf);
    bs_buf_release(&r->cell);
}
