/*
 * cooc_set.h - the rows of Z of one stream: sparse, by record, in memory or, of
 * what does not fit there, in a temporary file.
 *
 * An entry of a row is a concept and its value in units of 2^-24, below 2^40:
 * kernels/gram.h.  Rows without entries are counted, not kept.
 */
#ifndef BS_MODELS_COOC_SET_H
#define BS_MODELS_COOC_SET_H

#include "cmd/models/spool.h"
#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"
#include "formats/keyset.h"

/* A record's rows. */
struct bs_cooc_rows {
    uint32_t tokens; /* rows, those without entries counted in */
    uint32_t rows;   /* that have entries */
    size_t entries;
    const uint64_t *entry; /* [entries], row behind row */
    const uint32_t *len;   /* [rows], each at least 1 */
};

/* Where rows of several sets go: to memory as far as the budget goes, then to
 * the file.  Zero-initialised but for the budget means empty. */
struct bs_cooc_store {
    size_t budget, used;
    struct bs_spool spool; /* private */
    bool spooled;          /* something went to the file */
};

/* Zero-initialised means empty. */
struct bs_cooc_set {
    size_t records;
    size_t count;     /* records that count, once ordered */
    uint64_t rows;    /* of these: N */
    uint64_t entries; /* of these */
    size_t *order;    /* [count]: their numbers, by key */
    bool resident;    /* all of them are in memory, and stay where they are */

    struct bs_cooc_store *store; /* private from here */
    struct bs_keyset keys;
    struct bs_buf record; /* struct kept */
    struct bs_buf text;   /* keys */
    struct bs_buf chunk;  /* uint8_t *: what is in memory */
    size_t at, room;      /* in the last chunk */
};

/* Add a record; a key that the set has is -BS_EX_DATA. */
int bs_cooc_set_add(struct bs_cooc_set *s, struct bs_cooc_store *store,
                    const char *key, const struct bs_cooc_rows *rows,
                    struct bs_err *e) BS_CHECKED;

/* After the last: the records that count, by key.  paired: those whose key all
 * `n` sets have. */
int bs_cooc_sets_order(struct bs_cooc_set *sets, size_t n, bool paired,
                       struct bs_err *e) BS_CHECKED;

/* -BS_EX_DATA where nothing counts in a set, or more than 2^32 - 1 rows. */
int bs_cooc_sets_check(const struct bs_cooc_set *sets, size_t n,
                       struct bs_err *e) BS_CHECKED;

/* Record order[place]; its rows are lent until `scratch` is used again.  May be
 * called by several threads, each with a scratch of its own. */
int bs_cooc_set_get(const struct bs_cooc_set *s, size_t place,
                    struct bs_cooc_rows *rows, struct bs_buf *scratch,
                    struct bs_err *e) BS_CHECKED;
size_t bs_cooc_set_entries(const struct bs_cooc_set *s, size_t place);
const char *bs_cooc_set_key(const struct bs_cooc_set *s, size_t place);

void bs_cooc_set_release(struct bs_cooc_set *s);
void bs_cooc_store_close(struct bs_cooc_store *store);

#endif
