/*
 * assign_square.c - as many rows as columns; see assign.h.
 *
 * The auction: a free row bids for the column that is worth most to it at
 * present prices, and raises its price until it is worth a step less than the
 * row's second choice; whoever had the column is free.  Steps go from an eighth
 * of the largest weight down by eighths, and each begins with no one matched
 * but the prices of the last, so that few bids are needed at any.  It leaves
 * prices that are a step away from proving anything.
 *
 * Then rows take what is worth most to them, and bid without a step: the price
 * rises to where the second choice is worth as much, so matched edges are
 * tight, and none is above its prices.  Rows that are left find a column on the
 * path of least slack (Dijkstra), and the prices along the searched tree are
 * moved so that the path becomes tight.
 */
#include "common/mem.h"
#include "kernels/assign_own.h"

enum {
    SHARE = 16,   /* one row in so many is free: worth an auction */
    STEPS = 3,    /* bits by which a step is smaller than the last */
    LEAST = 23,   /* bits of the largest weight that are above the last */
    AUCTION = 64, /* bids a row, on average, that an auction may take */
    BIDS = 4      /* and the bids without a step */
};

/* Places of columns in a search that are no index of the heap. */
#define UNSEEN UINT32_MAX
#define DONE (UINT32_MAX - 1)

struct solver {
    const struct bs_assign_graph *g;
    uint32_t *match; /* [rows] */
    int64_t *u, *v;
    uint32_t *row_of; /* [cols] */
    uint32_t *queue;  /* [rows]: those that are free */
    size_t free;

    /* A search: of the columns it met, the slack on the way and the row before;
     * a heap of those that are not done, and where in it each is. */
    int64_t *slack;
    uint32_t *from, *heap, *place, *met, *done;
    size_t heaped, mets, dones;
    uint32_t end; /* the nearest free column, at `least` */
    int64_t least;
};

/* A row's first and second choice at present prices. */
struct choice {
    uint32_t first, second;
    int64_t worth, next;
};

static struct choice
choose(const struct solver *s, uint32_t row)
{
    const struct bs_assign_graph *g = s->g;
    struct choice c = {BS_ASSIGN_NONE, BS_ASSIGN_NONE, INT64_MIN, INT64_MIN};
    size_t at;

    for (at = g->ptr[row]; at < g->ptr[row + 1]; at++) {
        int64_t worth = g->weight[at] - s->v[g->col[at]];

        if (worth > c.worth) {
            c.second = c.first;
            c.next = c.worth;
            c.first = g->col[at];
            c.worth = worth;
        } else if (worth > c.next) {
            c.second = g->col[at];
            c.next = worth;
        }
    }
    return c;
}

/* The column goes to the row; returns the row that had it, or
 * BS_ASSIGN_NONE. */
static uint32_t
hand_over(struct solver *s, uint32_t col, uint32_t row)
{
    uint32_t had = s->row_of[col];

    s->row_of[col] = row;
    s->match[row] = col;
    if (had != BS_ASSIGN_NONE)
        s->match[had] = BS_ASSIGN_NONE;
    return had;
}

/* ---- the auction ----------------------------------------------------------
 */

/* Nobody has anything. */
static void
clear(struct solver *s)
{
    uint32_t i;

    for (i = 0; i < s->g->rows; i++) {
        s->row_of[i] = s->match[i] = BS_ASSIGN_NONE;
        s->queue[i] = i;
    }
}

/* All rows bid, in turn; false where that takes too long, as for rows that can
 * not all be matched. */
static bool
auction(struct solver *s, int64_t step, int64_t largest)
{
    size_t n = s->g->rows, first = 0, waiting = n, bids = AUCTION * n;

    clear(s);
    while (waiting > 0 && bids-- > 0) {
        uint32_t row = s->queue[first], loser;
        struct choice c = choose(s, row);

        first = first + 1 < n ? first + 1 : 0;
        waiting--;
        if (c.first == BS_ASSIGN_NONE)
            return false;
        if (c.second == BS_ASSIGN_NONE)
            c.next = c.worth - 2 * largest;
        s->v[c.first] += c.worth - c.next + step;
        loser = hand_over(s, c.first, row);
        if (loser != BS_ASSIGN_NONE)
            s->queue[(first + waiting++) % n] = loser;
    }
    return waiting == 0;
}

static void
auction_prices(struct solver *s)
{
    const struct bs_assign_graph *g = s->g;
    int64_t largest = 0, step;
    size_t i;

    for (i = 0; i < g->ptr[g->rows]; i++) {
        int64_t size = g->weight[i] < 0 ? -g->weight[i] : g->weight[i];

        largest = size > largest ? size : largest;
    }
    /* Even, so that prices stay so. */
    for (step = largest >> STEPS; step >= 2 && step > largest >> LEAST;
         step >>= STEPS)
        if (!auction(s, step & ~(int64_t)1, largest))
            break;
}

/* ---- bids without a step --------------------------------------------------
 */

/* Rows keep the column that is worth most to them; the others are free. */
static void
resume(struct solver *s)
{
    const struct bs_assign_graph *g = s->g;
    uint32_t row;
    size_t at;

    for (row = 0; row < g->cols; row++)
        s->row_of[row] = BS_ASSIGN_NONE;
    s->free = 0;
    for (row = 0; row < g->rows; row++) {
        int64_t worth = INT64_MIN, kept = INT64_MIN;

        for (at = g->ptr[row]; at < g->ptr[row + 1]; at++) {
            int64_t here = g->weight[at] - s->v[g->col[at]];

            worth = here > worth ? here : worth;
            if (g->col[at] == s->match[row])
                kept = here;
        }
        s->u[row] = worth;
        if (s->match[row] != BS_ASSIGN_NONE && kept == worth) {
            s->row_of[s->match[row]] = row;
        } else {
            s->match[row] = BS_ASSIGN_NONE;
            s->queue[s->free++] = row;
        }
    }
}

/* The row takes a column; returns the one that had it, or BS_ASSIGN_NONE. */
static uint32_t
bid(struct solver *s, uint32_t row, const struct choice *c)
{
    uint32_t col = c->first;

    if (c->worth > c->next)
        s->v[col] += c->worth - c->next;
    else if (s->row_of[col] != BS_ASSIGN_NONE)
        col = c->second;
    s->u[row] = c->next;
    return hand_over(s, col, row);
}

/* Each free row bids; who loses its column bids at once while prices rise,
 * else it is left. */
static void
bid_all(struct solver *s)
{
    size_t at = 0, left = 0, bids = BIDS * s->g->rows, n = s->free;

    while (at < n) {
        uint32_t row = s->queue[at++], loser;
        struct choice c = choose(s, row);

        if (c.second == BS_ASSIGN_NONE) {
            s->queue[left++] = row;
            continue;
        }
        loser = bid(s, row, &c);
        if (loser == BS_ASSIGN_NONE)
            continue;
        if (c.worth > c.next && bids > 0) {
            bids--;
            s->queue[--at] = loser;
        } else {
            s->queue[left++] = loser;
        }
    }
    s->free = left;
}

/* ---- the heap of a search -------------------------------------------------
 */

static bool
before(const struct solver *s, uint32_t a, uint32_t b)
{
    return s->slack[a] != s->slack[b] ? s->slack[a] < s->slack[b] : a < b;
}

static void
put(struct solver *s, size_t at, uint32_t col)
{
    s->heap[at] = col;
    s->place[col] = (uint32_t)at;
}

static void
rise(struct solver *s, size_t at)
{
    uint32_t col = s->heap[at];

    while (at > 0 && before(s, col, s->heap[(at - 1) / 2])) {
        put(s, at, s->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(s, at, col);
}

static uint32_t
pop(struct solver *s)
{
    uint32_t top = s->heap[0], col = s->heap[--s->heaped];
    size_t at = 0, child;

    while ((child = 2 * at + 1) < s->heaped) {
        if (child + 1 < s->heaped &&
            before(s, s->heap[child + 1], s->heap[child]))
            child++;
        if (!before(s, s->heap[child], col))
            break;
        put(s, at, s->heap[child]);
        at = child;
    }
    if (s->heaped > 0)
        put(s, at, col);
    s->place[top] = DONE;
    return top;
}

/* ---- augmenting paths -----------------------------------------------------
 */

/* A column is reached from `row` with this slack. */
static void
reach(struct solver *s, uint32_t col, uint32_t row, int64_t slack)
{
    if (s->row_of[col] == BS_ASSIGN_NONE) {
        if (slack < s->least || (slack == s->least && col < s->end)) {
            s->least = slack;
            s->end = col;
            s->from[col] = row;
        }
        return;
    }
    if (slack >= s->least || s->place[col] == DONE)
        return;
    if (s->place[col] == UNSEEN) {
        s->met[s->mets++] = col;
        put(s, s->heaped++, col);
    } else if (slack >= s->slack[col]) {
        return;
    }
    s->slack[col] = slack;
    s->from[col] = row;
    rise(s, s->place[col]);
}

/* Go on from a row that is reached with this slack. */
static void
expand(struct solver *s, uint32_t row, int64_t slack)
{
    const struct bs_assign_graph *g = s->g;
    size_t at;

    for (at = g->ptr[row]; at < g->ptr[row + 1]; at++)
        reach(s, g->col[at], row,
              slack + s->u[row] + s->v[g->col[at]] - g->weight[at]);
}

/* The prices of the columns nearer than the free one rise by the difference,
 * those of their rows, and of the first row, fall. */
static void
move_prices(struct solver *s, uint32_t row)
{
    size_t i;

    s->u[row] -= s->least;
    for (i = 0; i < s->dones; i++) {
        uint32_t col = s->done[i];
        int64_t by = s->least - s->slack[col];

        s->v[col] += by;
        s->u[s->row_of[col]] -= by;
    }
}

/* Match the row, changing others' columns; false where that cannot be. */
static bool
augment(struct solver *s, uint32_t row)
{
    uint32_t col, at, next;
    size_t i;

    s->u[row] = choose(s, row).worth;
    s->heaped = s->mets = s->dones = 0;
    s->end = BS_ASSIGN_NONE;
    s->least = INT64_MAX;
    expand(s, row, 0);
    while (s->heaped > 0 && s->slack[s->heap[0]] < s->least) {
        col = pop(s);
        s->done[s->dones++] = col;
        expand(s, s->row_of[col], s->slack[col]);
    }
    for (i = 0; i < s->mets; i++)
        s->place[s->met[i]] = UNSEEN;
    if (s->end == BS_ASSIGN_NONE)
        return false;
    move_prices(s, row);
    for (col = s->end; col != BS_ASSIGN_NONE; col = next) {
        at = s->from[col];
        next = at == row ? BS_ASSIGN_NONE : s->match[at];
        s->row_of[col] = at;
        s->match[at] = col;
    }
    return true;
}

/* ---- all of it ------------------------------------------------------------
 */

static void
solver_release(struct solver *s)
{
    bs_free(s->row_of);
    bs_free(s->queue);
    bs_free(s->slack);
    bs_free(s->from);
    bs_free(s->heap);
    bs_free(s->place);
    bs_free(s->met);
    bs_free(s->done);
}

static int
solver_open(struct solver *s, struct bs_err *e)
{
    size_t n = s->g->cols, i;

    s->row_of = bs_alloc_array(n, sizeof *s->row_of);
    s->queue = bs_alloc_array(n, sizeof *s->queue);
    s->slack = bs_alloc_array(n, sizeof *s->slack);
    s->from = bs_alloc_array(n, sizeof *s->from);
    s->heap = bs_alloc_array(n, sizeof *s->heap);
    s->place = bs_alloc_array(n, sizeof *s->place);
    s->met = bs_alloc_array(n, sizeof *s->met);
    s->done = bs_alloc_array(n, sizeof *s->done);
    if (s->row_of == NULL || s->queue == NULL || s->slack == NULL ||
        s->from == NULL || s->heap == NULL || s->place == NULL ||
        s->met == NULL || s->done == NULL)
        return bs_err_memory(e, "assignment", n);
    for (i = 0; i < n; i++)
        s->place[i] = UNSEEN;
    return 0;
}

int
bs_assign_square(const struct bs_assign_graph *g, uint32_t *match, int64_t *u,
                 int64_t *v, struct bs_err *e)
{
    struct solver s = {.g = g, .match = match, .u = u, .v = v};
    size_t i;
    int r = solver_open(&s, e);

    for (i = 0; i < g->rows && r == 0; i++)
        if (g->ptr[i] == g->ptr[i + 1])
            r = bs_err_set(e, BS_EX_DATA, "row %zu has no edge", i);
    if (r == 0) {
        resume(&s);
        if (s.free > g->rows / SHARE) {
            auction_prices(&s);
            resume(&s);
        }
        bid_all(&s);
    }
    for (i = 0; i < s.free && r == 0; i++)
        if (!augment(&s, s.queue[i]))
            r = bs_err_set(e, BS_EX_DATA,
                           "not all rows can be matched: row %ju is left",
                           (uintmax_t)s.queue[i]);
    solver_release(&s);
    return r;
}
