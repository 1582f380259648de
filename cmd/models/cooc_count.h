/*
 * cooc_count.h - rows of G = Z^T Z of some sets, exactly, for a range of
 * concepts at a time.
 *
 * Rows of Z that have a concept are copied to its bucket (of long ones in
 * memory the address is).  The bucket is then added up in a row of G that is
 * dense: counts in 64 bits, sums of products in 128 (below 2^80 for each of at
 * most 2^32 rows).  So sums are exact, and rounded once, when they become f64.
 * Time: a reading of all rows of Z a range, and the sum of the squared lengths
 * of the rows.
 */
#ifndef BS_MODELS_COOC_COUNT_H
#define BS_MODELS_COOC_COUNT_H

#include "cmd/models/cooc_set.h"
#include "common/bs.h"
#include "common/err.h"
#include "common/pool.h"

/* The diagonal of G, and the like, of one set: [concepts] each. */
struct bs_cooc_margin {
    uint64_t *fires; /* n_i */
    double *sum;     /* of z_i over the rows */
    double *square;  /* G_ii */
    uint64_t *words; /* that the concept's bucket takes */
    uint64_t *reach; /* entries of the rows that have it: no fewer than the
                        elements of its row of G */
};

/* Margins of all sets, one a thread. */
int bs_cooc_margins(struct bs_cooc_margin *margin,
                    const struct bs_cooc_set *sets, size_t n, uint32_t concepts,
                    struct bs_pool *pool, struct bs_err *e) BS_CHECKED;
void bs_cooc_margin_release(struct bs_cooc_margin *m);

/* An element of G that is not zero. */
struct bs_cooc_pair {
    uint32_t concept; /* j */
    uint32_t count;   /* n_ij */
    double sum;       /* G_ij */
};

/* The elements of a row of G that are not zero, ascending. */
struct bs_cooc_row {
    uint32_t concept; /* i */
    size_t n;
    struct bs_cooc_pair *pair; /* [concepts] */
};

/* The first pair of the row whose concept is at least `concept`, n for none. */
size_t bs_cooc_row_find(const struct bs_cooc_row *row, uint32_t concept);

/* What one thread counts with. */
struct bs_cooc_counter {
    const struct bs_cooc_set *sets;
    const struct bs_cooc_margin *margin;
    size_t n; /* sets */
    uint32_t concepts;
    size_t words; /* of a set's buckets, at most */

    uint32_t from;     /* private from here */
    uint64_t **bucket; /* [n][words] */
    size_t **end;      /* [n]: in its buckets, of concept from + i */
    size_t room_end;
    struct bs_cooc_sum *sum; /* [concepts] */
    uint64_t *mark;          /* a bit a concept */
    struct bs_buf scratch;
};

int bs_cooc_counter_open(struct bs_cooc_counter *c,
                         const struct bs_cooc_set *sets,
                         const struct bs_cooc_margin *margin, size_t n,
                         uint32_t concepts, size_t words,
                         struct bs_err *e) BS_CHECKED;
/* Bytes that it takes. */
size_t bs_cooc_counter_bytes(size_t n, uint32_t concepts, size_t words);
void bs_cooc_counter_close(struct bs_cooc_counter *c);

/* Where the range that starts at `from` ends: its buckets fit, its rows have
 * at most `elements` from the diagonal on; but it has one concept at least. */
uint32_t bs_cooc_range(const struct bs_cooc_margin *margin, size_t n,
                       uint32_t concepts, uint32_t from, size_t words,
                       size_t elements);

/* Fill the buckets of a range; then its rows, each of every set once. */
int bs_cooc_gather(struct bs_cooc_counter *c, uint32_t from, uint32_t to,
                   struct bs_err *e) BS_CHECKED;
int bs_cooc_count(struct bs_cooc_counter *c, size_t set, uint32_t concept,
                  struct bs_cooc_row *row, struct bs_err *e) BS_CHECKED;

#endif
