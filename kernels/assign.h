/*
 * assign.h - the assignment of rows to columns of the largest total weight.
 *
 * Exact: weights are whole numbers, and the prices that come out prove that
 * there is no better one.  Host memory, one thread, the same result
 * everywhere.
 */
#ifndef BS_KERNELS_ASSIGN_H
#define BS_KERNELS_ASSIGN_H

#include "common/bs.h"
#include "common/err.h"

#define BS_ASSIGN_NONE UINT32_MAX

/*
 * Edges of rows to columns: row i has those from ptr[i] up to ptr[i + 1], to
 * columns col[] (each once), of weight weight[], which is even.  rows <= cols
 * < 2^31.  cols times the largest magnitude of a weight is below 2^60.
 */
struct bs_assign_graph {
    size_t rows, cols;
    size_t *ptr; /* [rows + 1], from 0 */
    uint32_t *col;
    int64_t *weight;
};

/*
 * Match every row with a column of its own, to which it has an edge: match
 * [rows].  Prices of rows u and of columns v, such that for every edge
 *
 *     u[i] + v[j] >= weight, equal where i and j are matched,
 *
 * v[j] >= 0, and 0 where the column has no row.  So the sum of all prices is
 * the weight of the assignment, and any other, whose edges weigh at most the
 * prices that they meet, weighs no more.
 *
 * `match` and `v` come in too: BS_ASSIGN_NONE and 0 everywhere or, where rows
 * == cols, what an earlier call left, on a graph that had some of the edges:
 * little is then done again.  -BS_EX_DATA where not all rows can be matched.
 *
 * An auction at prices that grow ever less (Bertsekas 1988), then augmenting
 * paths of least slack (Jonker and Volgenant 1987) for what it leaves.  Where
 * rows < cols, the graph is joined to its mirror image.  Memory: 60 bytes a
 * column; rows < cols: twice that and 40 bytes an edge.
 */
int bs_assign(const struct bs_assign_graph *g, uint32_t *match, int64_t *u,
              int64_t *v, struct bs_err *e) BS_CHECKED;

#endif
