/*
 * table_own.h - private to table.c and table_row.c: a list being read.
 */
#ifndef BS_FORMATS_TABLE_OWN_H
#define BS_FORMATS_TABLE_OWN_H

#include "formats/table.h"

struct bs_json_doc;

struct bs_table {
    struct bs_plain *plain;
    enum bs_table_format format;
    const uint8_t *block; /* lent by plain, not yet used */
    size_t left;
    uint64_t lines;        /* read so far */
    struct bs_buf text;    /* of the row */
    struct bs_buf header;  /* names of the columns, each NUL-terminated */
    struct bs_buf names;   /* const char *[columns], into header */
    struct bs_buf numbers; /* "1", "2", ..., NUMBER_BYTES apart */
    struct bs_buf cells;   /* struct bs_cell [] */
    struct bs_buf values;  /* JSON texts of cells that are no scalars */
    struct bs_json_doc *json;
    struct bs_row row;
    bool titled;  /* there is a header: rows have no more cells than it */
    bool pending; /* the row was read to look for a header, and was none */
};

/* "line N: what", of the row in hand; -BS_EX_DATA. */
int bs_table_error(const struct bs_table *t, struct bs_err *e,
                   const char *what);

/* Whether a CSV text ends inside a quoted cell. */
bool bs_table_quote_open(const struct bs_buf *text);

/* Gather the next row that is not empty in t->text, NUL-terminated, without its
 * line end: 1, 0 at the end of input. */
int bs_table_row(struct bs_table *t, struct bs_err *e) BS_CHECKED;

#endif
