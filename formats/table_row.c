/*
 * table_row.c - the text of a list's rows: lines, and in CSV as many of them as
 * its quotes ask for.
 */
#include "formats/table_own.h"

/* Where a CSV row stands between two of its lines. */
enum csv_state {
    CSV_START, /* of a cell */
    CSV_BARE,
    CSV_QUOTED,
    CSV_QUOTE /* seen inside a quoted cell: its end, or half of a doubled one */
};

int
bs_table_error(const struct bs_table *t, struct bs_err *e, const char *what)
{
    return bs_err_set(e, BS_EX_DATA, "line %llu: %s",
                      (unsigned long long)t->row.line, what);
}

/* Append the next line with its end to the row: 1, 0 at the end of input. */
static int
add_line(struct bs_table *t, struct bs_err *e)
{
    const uint8_t *end = NULL;
    size_t n, start = t->text.len;
    int r;

    while (end == NULL) {
        if (t->left == 0) {
            r = bs_plain_read(t->plain, &t->block, &t->left, e);
            if (r < 0)
                return r;
            if (r == 0)
                break;
        }
        end = memchr(t->block, '\n', t->left);
        n = end != NULL ? (size_t)(end - t->block) + 1 : t->left;
        if (t->text.len + n > BS_TABLE_ROW_MAX)
            return bs_table_error(t, e, "row is longer than 1 MiB");
        r = bs_buf_add(&t->text, t->block, n, e);
        if (r < 0)
            return r;
        t->block += n;
        t->left -= n;
    }
    if (t->text.len == start)
        return 0;
    t->lines++;
    return 1;
}

/* Follow a CSV row over the bytes of one more line. */
static enum csv_state
csv_follow(enum csv_state state, const uint8_t *s, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        bool quote = s[i] == '"';

        if (state == CSV_QUOTED)
            state = quote ? CSV_QUOTE : CSV_QUOTED;
        else if (quote && state == CSV_QUOTE)
            state = CSV_QUOTED;
        else if (quote && state == CSV_START)
            state = CSV_QUOTED;
        else
            state = s[i] == ',' ? CSV_START : CSV_BARE;
    }
    return state;
}

bool
bs_table_quote_open(const struct bs_buf *text)
{
    return csv_follow(CSV_START, text->data, text->len) == CSV_QUOTED;
}

/* Cut LF or CRLF from the end of the row and terminate it. */
static int
trim_row(struct bs_table *t, struct bs_err *e)
{
    struct bs_buf *b = &t->text;
    int r;

    if (b->len > 0 && b->data[b->len - 1] == '\n')
        b->len--;
    if (b->len > 0 && b->data[b->len - 1] == '\r')
        b->len--;
    if (b->len > 0 && memchr(b->data, '\0', b->len) != NULL)
        return bs_table_error(t, e, "NUL byte: not a text");
    r = bs_buf_add(b, "", 1, e);
    if (r == 0)
        b->len--;
    return r;
}

/* The next row that is not empty, as text: 1, 0 at the end of input. */
int
bs_table_row(struct bs_table *t, struct bs_err *e)
{
    enum csv_state state;
    size_t start;
    int r;

    do {
        state = CSV_START;
        t->text.len = 0;
        t->row.line = t->lines + 1;
        do {
            start = t->text.len;
            r = add_line(t, e);
            if (r == 0 && state == CSV_QUOTED)
                return bs_table_error(t, e, "quote is not closed");
            if (r <= 0)
                return r;
            if (t->format == BS_TABLE_CSV)
                state = csv_follow(state, t->text.data + start,
                                   t->text.len - start);
        } while (state == CSV_QUOTED);
        r = trim_row(t, e);
        if (r < 0)
            return r;
    } while (t->text.len == 0);
    return 1;
}
