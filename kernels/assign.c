/*
 * assign.c - see assign.h.
 *
 * Where there are fewer rows than columns, columns that stay without a row must
 * be at price 0, which an auction does not bring about.  So the graph is joined
 * to its mirror image: left are the rows and a copy of each column, right the
 * columns and a copy of each row; the copies have the edges of what they are
 * copies of, and a column has an edge of weight 0 with its copy.  A matching of
 * all and its mirror image weigh the same, so both are best, and so are the
 * prices of both and their means.  Those of a column and its copy are together
 * at least 0, and 0 where they are matched with each other.
 */
#include "kernels/assign.h"

#include "common/mem.h"
#include "kernels/assign_own.h"

/* The joined graph, of rows + cols on either side. */
struct joined {
    size_t *ptr;
    uint32_t *col;
    int64_t *weight;
    uint32_t *match;
    int64_t *u, *v;
};

static void
joined_release(struct joined *d)
{
    bs_free(d->ptr);
    bs_free(d->col);
    bs_free(d->weight);
    bs_free(d->match);
    bs_free(d->u);
    bs_free(d->v);
}

static int
joined_open(struct joined *d, const struct bs_assign_graph *g, struct bs_err *e)
{
    size_t n = g->rows + g->cols, edges = 2 * g->ptr[g->rows] + g->cols, i;

    *d = (struct joined){0};
    d->ptr = bs_alloc_array(n + 2, sizeof *d->ptr);
    d->col = bs_alloc_array(edges, sizeof *d->col);
    d->weight = bs_alloc_array(edges, sizeof *d->weight);
    d->match = bs_alloc_array(n, sizeof *d->match);
    d->u = bs_alloc_array(n, sizeof *d->u);
    d->v = bs_alloc_array(n, sizeof *d->v);
    if (d->ptr == NULL || d->col == NULL || d->weight == NULL ||
        d->match == NULL || d->u == NULL || d->v == NULL)
        return bs_err_memory(e, "assignment", edges * sizeof *d->weight);
    for (i = 0; i < n; i++)
        d->match[i] = BS_ASSIGN_NONE;
    return 0;
}

static void
add_edge(struct joined *d, size_t left, size_t right, int64_t weight)
{
    size_t at = d->ptr[left + 1]++;

    d->col[at] = (uint32_t)right;
    d->weight[at] = weight;
}

/* While edges are added, ptr[i + 1] is where the next one of i goes. */
static void
join(struct joined *d, const struct bs_assign_graph *g)
{
    size_t rows = g->rows, cols = g->cols, i, at;

    for (i = 0; i < rows; i++)
        d->ptr[i + 2] = g->ptr[i + 1] - g->ptr[i];
    for (i = 0; i < cols; i++)
        d->ptr[rows + i + 2] = 1;
    for (at = 0; at < g->ptr[rows]; at++)
        d->ptr[rows + g->col[at] + 2]++;
    for (i = 2; i < rows + cols + 2; i++)
        d->ptr[i] += d->ptr[i - 1];
    for (i = 0; i < rows; i++)
        for (at = g->ptr[i]; at < g->ptr[i + 1]; at++) {
            add_edge(d, i, g->col[at], g->weight[at]);
            add_edge(d, rows + g->col[at], cols + i, g->weight[at]);
        }
    for (i = 0; i < cols; i++)
        add_edge(d, rows + i, i, 0);
}

static int
assign_fewer(const struct bs_assign_graph *g, uint32_t *match, int64_t *u,
             int64_t *v, struct bs_err *e)
{
    size_t rows = g->rows, cols = g->cols, i;
    struct bs_assign_graph both = {.rows = rows + cols, .cols = rows + cols};
    struct joined d;
    int r = joined_open(&d, g, e);

    if (r == 0) {
        join(&d, g);
        both.ptr = d.ptr;
        both.col = d.col;
        both.weight = d.weight;
        r = bs_assign_square(&both, d.match, d.u, d.v, e);
    }
    for (i = 0; i < rows && r == 0; i++) {
        match[i] = d.match[i];
        u[i] = (d.u[i] + d.v[cols + i]) / 2;
    }
    for (i = 0; i < cols && r == 0; i++)
        v[i] = (d.v[i] + d.u[rows + i]) / 2;
    joined_release(&d);
    return r;
}

int
bs_assign(const struct bs_assign_graph *g, uint32_t *match, int64_t *u,
          int64_t *v, struct bs_err *e)
{
    int64_t least = INT64_MAX;
    size_t i;
    int r;

    if (g->rows < g->cols)
        return assign_fewer(g, match, u, v, e);
    r = bs_assign_square(g, match, u, v, e);
    for (i = 0; i < g->cols; i++)
        least = v[i] < least ? v[i] : least;
    for (i = 0; i < g->cols && r == 0; i++) {
        v[i] -= least;
        u[i] += least;
    }
    return r;
}
