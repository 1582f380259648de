/*
 * rank_report.h - rows of named columns as TSV, JSON lines or a table that a
 * person reads.
 *
 * TSV: a line of names, then a line a row; a control character in a text comes
 * out as \xNN; a number is the shortest that reads back as the same value; what
 * is not known is nan, what does not apply is empty.  JSONL: an object a row;
 * both of those are null, as is an infinity.  Table: columns aligned, four
 * digits, long texts cut; in memory until the end.
 */
#ifndef BS_MODELS_RANK_REPORT_H
#define BS_MODELS_RANK_REPORT_H

#include "common/bs.h"
#include "common/err.h"
#include "common/io.h"
#include "common/mem.h"

enum bs_report_format { BS_REPORT_TSV, BS_REPORT_JSONL, BS_REPORT_TABLE };

enum bs_cell_kind {
    BS_CELL_NONE,
    BS_CELL_COUNT,
    BS_CELL_REAL,
    BS_CELL_TEXT /* UTF-8 */
};

struct bs_cell {
    enum bs_cell_kind kind;
    uint64_t count;
    double real;
    const char *text;
};

struct bs_cell bs_cell_count(uint64_t n);
struct bs_cell bs_cell_real(double x);
struct bs_cell bs_cell_text(const char *s);

struct bs_report {
    enum bs_report_format format; /* private, as is the rest */
    const struct bs_out *out;
    const char *const *name;
    size_t columns, rows;
    struct bs_buf buf;  /* what is to be written */
    struct bs_buf cell; /* of a table: struct bs_report_cell */
};

/* Rows of `columns` cells under these names, which stay the caller's. */
int bs_report_begin(struct bs_report *r, enum bs_report_format format,
                    const struct bs_out *out, const char *const *name,
                    size_t columns, struct bs_err *e) BS_CHECKED;
int bs_report_row(struct bs_report *r, const struct bs_cell *cell,
                  struct bs_err *e) BS_CHECKED;
/* Write what is left. */
int bs_report_end(struct bs_report *r, struct bs_err *e) BS_CHECKED;
void bs_report_release(struct bs_report *r);

/* ---- choosing columns ---------------------------------------------------- */

struct bs_column {
    const char *name;
    bool usual; /* shown where nothing was asked for */
    bool each;  /* there is one of every model: name@label */
};

/* model < 0: the row's own. */
struct bs_pick_column {
    int column, model;
};

struct bs_columns {
    struct bs_pick_column *pick;
    const char **name;
    size_t count;
    char *text; /* private: what the names point into */
};

/*
 * Choose among `known` (ended by a name that is NULL) those of the list `asked`
 * ("a,b@label"), or, where it is NULL, the usual ones and then, if each_of is
 * not NULL, that column of every model.  An unknown name is -BS_EX_USAGE with
 * the list of the known ones.
 */
int bs_columns_choose(struct bs_columns *c, const struct bs_column *known,
                      const char *asked, const char *each_of,
                      const char *const *label, size_t labels,
                      struct bs_err *e) BS_CHECKED;
void bs_columns_release(struct bs_columns *c);

#endif
