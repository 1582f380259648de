/*
 * table.h - lists for people and programs: TSV, CSV, JSON lines, plain lines.
 *
 * A row is a list of named cells.  UTF-8 with an optional byte order mark;
 * lines end in LF or CRLF; empty lines are passed over; a row is at most 1 MiB
 * and 4096 cells.
 *
 *   lines  the line is the only cell; nothing is special in it
 *   TSV    cells between tabs; no quoting, as LAION writes it
 *   CSV    RFC 4180: cells between commas, quoted cells may hold commas, line
 *          ends and doubled quotes
 *   JSONL  an object a line; strings are decoded, numbers kept as spelled, null
 *          is no cell, other values are JSON text
 *
 * Cells of JSON lines are valid UTF-8.  Cells of the others are bytes as they
 * stand in the file (names of files may be any bytes), but never NUL.  Errors
 * are -BS_EX_DATA with "line N: what".
 */
#ifndef BS_FORMATS_TABLE_H
#define BS_FORMATS_TABLE_H

#include "common/bs.h"
#include "common/err.h"
#include "formats/archive.h"

enum {
    BS_TABLE_ROW_MAX = 1 << 20, /* bytes of a row */
    BS_TABLE_CELLS_MAX = 4096
};

enum bs_table_format {
    BS_TABLE_AUTO, /* by the first line */
    BS_TABLE_LINES,
    BS_TABLE_TSV,
    BS_TABLE_CSV,
    BS_TABLE_JSONL
};

/* "auto", "lines", ..., NULL. */
extern const char *const bs_table_format_names[];

struct bs_cell {
    const char *name; /* from the header or the object; else "1", "2", ... */
    const char *value;
};

struct bs_row {
    uint64_t line; /* where it starts, from 1 */
    size_t cells;
    const struct bs_cell *cell;
};

struct bs_table;

/*
 * Read `plain`, which stays the caller's.  The first row of TSV and CSV (with
 * AUTO also of a single column) is a header if one of its cells is one of the
 * NULL-ended list `known`, ASCII case ignored; it may not name a column twice.
 */
int bs_table_open(struct bs_table **out, struct bs_plain *plain,
                  enum bs_table_format format, const char *const *known,
                  struct bs_err *e) BS_CHECKED;

/* What it is: never BS_TABLE_AUTO. */
enum bs_table_format bs_table_format(const struct bs_table *t);

/* Whether rows may have a column of this name: by the header; without one, any
 * name in JSON lines and numbers elsewhere. */
bool bs_table_has(const struct bs_table *t, const char *name);

/* 1 with the next row lent until the next call, 0 at the end, < 0. */
int bs_table_next(struct bs_table *t, const struct bs_row **row,
                  struct bs_err *e) BS_CHECKED;

/* The cell of the column, or, where that is NULL, of the first of the names
 * that the row has; ASCII case ignored.  NULL: there is none. */
const struct bs_cell *bs_row_find(const struct bs_row *row, const char *column,
                                  const char *const *name, size_t names);
/* Value by name, ASCII case ignored, or NULL. */
const char *bs_row_get(const struct bs_row *row, const char *name);

void bs_table_close(struct bs_table *t);

#endif
