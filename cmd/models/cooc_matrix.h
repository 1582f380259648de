/*
 * cooc_matrix.h - the records of G itself, row by row as they are counted.
 *
 * A record is closed when it has 2^22 elements: where records end depends on
 * the rows alone.
 */
#ifndef BS_MODELS_COOC_MATRIX_H
#define BS_MODELS_COOC_MATRIX_H

#include "cmd/models/cooc_count.h"
#include "cmd/models/cooc_input.h"
#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"
#include "formats/stream.h"

/* The record of one stream that is being filled. */
struct bs_cooc_matrix_part {
    uint32_t first, next; /* concepts: of the record, of the next row */
    struct bs_buf ptr, idx, count, sum;
};

struct bs_cooc_matrix {
    struct bs_writer *writer;
    const struct bs_cooc_input *in;
    uint64_t min_count;
    struct bs_cooc_matrix_part *part; /* [streams] */
};

int bs_cooc_matrix_open(struct bs_cooc_matrix *m, struct bs_writer *w,
                        const struct bs_cooc_input *in, uint64_t min_count,
                        struct bs_err *e) BS_CHECKED;
/* A bs_cooc_row_fn: arg is the matrix. */
int bs_cooc_matrix_row(void *arg, size_t set, uint32_t concept,
                       const struct bs_cooc_pair *pair, size_t n,
                       struct bs_err *e);
/* Write what is left. */
int bs_cooc_matrix_end(struct bs_cooc_matrix *m, struct bs_err *e) BS_CHECKED;
void bs_cooc_matrix_release(struct bs_cooc_matrix *m);

#endif
