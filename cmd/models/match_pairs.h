/*
 * match_pairs.h - pairs of atoms whose cosines are known: the candidates of a
 * matching, in order of row and column.
 */
#ifndef BS_MODELS_MATCH_PAIRS_H
#define BS_MODELS_MATCH_PAIRS_H

#include "cmd/models/atoms.h"
#include "common/mem.h"
#include "common/pool.h"
#include "kernels/assign.h"

/* Cosines as whole numbers, even ones as bs_assign wants them: they are rounded
 * by at most one unit. */
#define BS_COSINE_UNIT 0x1p-36

/* Zero-initialised but for rows and cols. */
struct bs_match_pairs {
    const struct bs_atoms *rows, *cols;
    size_t count;
    uint64_t *key;       /* [count]: row << 32 | column, ascending */
    int64_t *cosine;     /* [count], in BS_COSINE_UNIT */
    struct bs_buf fresh; /* keys that were added and have no cosine yet */
};

int bs_match_pairs_add(struct bs_match_pairs *p, uint32_t row, uint32_t col,
                       struct bs_err *e) BS_CHECKED;
/* Compute what was added and is new. */
int bs_match_pairs_settle(struct bs_match_pairs *p, struct bs_pool *pool,
                          struct bs_err *e) BS_CHECKED;
void bs_match_pairs_release(struct bs_match_pairs *p);

int64_t bs_match_cosine(const struct bs_atoms *rows, uint32_t row,
                        const struct bs_atoms *cols, uint32_t col);
/* Of a pair that is there. */
int64_t bs_match_pairs_get(const struct bs_match_pairs *p, uint32_t row,
                           uint32_t col);

/* The pairs as a graph; weights are the cosines, or their magnitudes. */
int bs_match_pairs_graph(const struct bs_match_pairs *p, bool magnitude,
                         struct bs_assign_graph *g,
                         struct bs_err *e) BS_CHECKED;
void bs_match_graph_release(struct bs_assign_graph *g);

#endif
