/*
 * u-assign.c - assignments against all permutations, and by the prices that
 * prove them.
 */
#include "kernels/assign.h"

#include "common/mem.h"
#include "common/rng.h"
#include "tests/unit/tap.h"

enum { MOST = 40 };

/* A graph with room, its edges in the order they are added. */
struct graph {
    struct bs_assign_graph g;
    size_t ptr[MOST * 8 + 1];
    uint32_t col[MOST * MOST * 8];
    int64_t weight[MOST * MOST * 8];
    uint32_t match[MOST * 8];
    int64_t u[MOST * 8], v[MOST * 8];
};

static void
start(struct graph *g, size_t rows, size_t cols)
{
    size_t i;

    g->g = (struct bs_assign_graph){rows, cols, g->ptr, g->col, g->weight};
    g->ptr[0] = 0;
    for (i = 0; i < rows; i++)
        g->match[i] = BS_ASSIGN_NONE;
    for (i = 0; i < cols; i++)
        g->v[i] = 0;
}

static void
end_row(struct graph *g, size_t row, size_t edges)
{
    g->ptr[row + 1] = edges;
}

/* Every row has an edge to column (i + 1) % cols, and others at this rate. */
static void
fill(struct graph *g, struct bs_rng *rng, double rate, int64_t range)
{
    size_t n = 0, i, j;

    for (i = 0; i < g->g.rows; i++) {
        for (j = 0; j < g->g.cols; j++) {
            int64_t w = (int64_t)bs_rng_below(rng, 2 * (uint64_t)range + 1);

            if (j != (i + 1) % g->g.cols && bs_rng_f64(rng) >= rate)
                continue;
            g->col[n] = (uint32_t)j;
            g->weight[n++] = 2 * (w - range);
        }
        end_row(g, i, n);
    }
}

static int64_t
weight_of(const struct graph *g, size_t row, uint32_t col)
{
    size_t at;

    for (at = g->ptr[row]; at < g->ptr[row + 1]; at++)
        if (g->col[at] == col)
            return g->weight[at];
    return INT64_MIN;
}

/* The weight of the assignment; INT64_MIN where it is none. */
static int64_t
total(const struct graph *g)
{
    bool taken[MOST * 8] = {false};
    int64_t sum = 0;
    size_t i;

    for (i = 0; i < g->g.rows; i++) {
        uint32_t col = g->match[i];
        int64_t w = col < g->g.cols ? weight_of(g, i, col) : INT64_MIN;

        if (w == INT64_MIN || taken[col])
            return INT64_MIN;
        taken[col] = true;
        sum += w;
    }
    return sum;
}

/* What the prices claim, they prove. */
static bool
proven(const struct graph *g)
{
    bool taken[MOST * 8] = {false};
    size_t i, at;

    for (i = 0; i < g->g.rows; i++) {
        taken[g->match[i]] = true;
        for (at = g->ptr[i]; at < g->ptr[i + 1]; at++) {
            int64_t slack = g->u[i] + g->v[g->col[at]] - g->weight[at];

            if (slack < 0 || (g->col[at] == g->match[i] && slack != 0))
                return false;
        }
    }
    for (i = 0; i < g->g.cols; i++)
        if (g->v[i] < 0 || (!taken[i] && g->v[i] != 0))
            return false;
    return true;
}

/* The best of all assignments of rows from `row` on. */
static int64_t
best(const struct graph *g, size_t row, uint32_t taken)
{
    int64_t most = INT64_MIN;
    size_t at;

    if (row == g->g.rows)
        return 0;
    for (at = g->ptr[row]; at < g->ptr[row + 1]; at++) {
        int64_t rest;

        if (taken >> g->col[at] & 1)
            continue;
        rest = best(g, row + 1, taken | (uint32_t)1 << g->col[at]);
        if (rest > INT64_MIN && g->weight[at] + rest > most)
            most = g->weight[at] + rest;
    }
    return most;
}

static void
by_all_permutations(void)
{
    static struct graph g;
    static const int64_t ranges[] = {1, 5, 1000, (int64_t)1 << 40};
    struct bs_err e = {0};
    struct bs_rng rng;
    size_t rows, cols, k, wrong = 0, unproven = 0, failed = 0, cases = 0;

    bs_rng_init(&rng, 3, 0, 0);
    for (rows = 1; rows <= 6; rows++)
        for (cols = rows; cols <= 8; cols++)
            for (k = 0; k < 80; k++) {
                start(&g, rows, cols);
                fill(&g, &rng, 0.15 * (double)(k % 8), ranges[k / 8 % 4]);
                cases++;
                if (bs_assign(&g.g, g.match, g.u, g.v, &e) < 0) {
                    failed++;
                    continue;
                }
                wrong += total(&g) != best(&g, 0, 0);
                unproven += total(&g) == INT64_MIN || !proven(&g);
            }
    ok(failed == 0, "%zu small graphs are solved", cases);
    ok(wrong == 0, "no permutation is better");
    ok(unproven == 0, "the prices prove it");
}

/* Larger ones, by their prices; then more edges, from where the first ended. */
static void
by_prices(size_t rows, size_t cols, double rate, int64_t range)
{
    static struct graph g, more;
    struct bs_err e = {0};
    struct bs_rng rng;
    size_t i, at, n = 0;
    int64_t first;

    bs_rng_init(&rng, 4, rows, cols);
    start(&more, rows, cols);
    fill(&more, &rng, rate, range);
    start(&g, rows, cols);
    for (i = 0; i < rows; i++) {
        for (at = more.ptr[i]; at < more.ptr[i + 1]; at++)
            if (more.col[at] == (i + 1) % cols || at % 3 > 0) {
                g.col[n] = more.col[at];
                g.weight[n++] = more.weight[at];
            }
        end_row(&g, i, n);
    }
    ok(bs_assign(&g.g, g.match, g.u, g.v, &e) == 0 && total(&g) > INT64_MIN &&
           proven(&g),
       "%zu by %zu, %zu edges of weight up to %lld: proven", rows, cols, n,
       (long long)range);
    first = total(&g);
    if (rows == cols) {
        memcpy(more.match, g.match, sizeof g.match);
        memcpy(more.v, g.v, sizeof g.v);
    }
    ok(bs_assign(&more.g, more.match, more.u, more.v, &e) == 0 &&
           total(&more) >= first && proven(&more),
       "with half as many edges more: proven");
}

/* All rows want the same: ties, and prices that rise for long. */
static void
rivals(size_t n)
{
    static struct graph g;
    struct bs_err e = {0};
    size_t i, j, edges = 0;

    start(&g, n, n);
    for (i = 0; i < n; i++) {
        for (j = 0; j < n; j++) {
            g.col[edges] = (uint32_t)j;
            g.weight[edges++] = 2 * (int64_t)((i + 1) * (j + 1));
        }
        end_row(&g, i, edges);
    }
    /* Products of two rising rows: the best is in order. */
    ok(bs_assign(&g.g, g.match, g.u, g.v, &e) == 0 && proven(&g),
       "%zu rows that want the same columns: proven", n);
    for (i = 0; i < n && g.match[i] == i; i++)
        ;
    ok(i == n, "the stronger has the better");
    start(&g, n, n);
    memset(g.weight, 0, sizeof g.weight);
    ok(bs_assign(&g.g, g.match, g.u, g.v, &e) == 0 && total(&g) == 0 &&
           proven(&g),
       "where all is worth nothing, too");
}

static void
refusals(void)
{
    static struct graph g;
    struct bs_err e = {0};

    start(&g, 0, 0);
    ok(bs_assign(&g.g, g.match, g.u, g.v, &e) == 0, "no rows");
    start(&g, 0, 3);
    ok(bs_assign(&g.g, g.match, g.u, g.v, &e) == 0 && g.v[2] == 0,
       "no rows and three columns");
    start(&g, 2, 2);
    g.col[0] = g.col[1] = 1;
    g.weight[0] = g.weight[1] = 6;
    end_row(&g, 0, 1);
    end_row(&g, 1, 2);
    ok(bs_assign(&g.g, g.match, g.u, g.v, &e) == -BS_EX_DATA,
       "two rows with one column cannot be matched (%s)", e.text);
    e = (struct bs_err){0};
    start(&g, 2, 3);
    ok(bs_assign(&g.g, g.match, g.u, g.v, &e) == -BS_EX_DATA,
       "nor two of three (%s)", e.text);
    e = (struct bs_err){0};
    start(&g, 2, 2);
    end_row(&g, 1, 1);
    end_row(&g, 0, 0);
    ok(bs_assign(&g.g, g.match, g.u, g.v, &e) == -BS_EX_DATA,
       "nor a row without an edge (%s)", e.text);
}

int
main(void)
{
    by_all_permutations();
    by_prices(40, 40, 0.2, 100);
    by_prices(300, 300, 0.02, 5);
    by_prices(300, 300, 0.1, (int64_t)1 << 36);
    by_prices(200, 310, 0.1, (int64_t)1 << 36);
    by_prices(1, 300, 1, 9);
    rivals(100);
    refusals();
    return tap_done();
}
