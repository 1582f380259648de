/*
 * krylov.c - see krylov.h.
 *
 * The basis is panels Q_0, Q_1, ...  A step multiplies the last one, takes out
 * of the product what the basis has, and makes the rest orthonormal: the next
 * panel, times a triangle R.  What was taken out fills the columns of T = Q^T A
 * Q.  Ritz values are the eigenvalues of T, and the residual of one is |R y|
 * with y the last part of T's vector.  When there is no room left, the best
 * Ritz vectors become the basis, T their values, and the last panel is kept.
 *
 * In exact arithmetic a product of Lanczos has nothing of the basis but of its
 * last two panels, so these are taken out first and all of them then, which
 * makes up for rounding; again where much was taken out.
 */
#include "kernels/krylov.h"

#include <float.h>
#include <math.h>

#include "common/mem.h"
#include "common/rng.h"
#include "kernels/cpu.h"
#include "kernels/eigen.h"

enum {
    P = BS_PANEL,
    PIECES = 64,       /* of n, for the threads */
    MOST_STEPS = 4000, /* then what did not converge does not */
    PASSES = 4         /* of reorthogonalisation, at most */
};

/* What is left of a vector is rounding where it is this part of it. */
#define ROUNDING 1e-14

struct solver {
    struct bs_krylov *k;
    const struct bs_isa *isa;
    struct bs_pool *pool;
    bs_krylov_fn *fn;
    void *arg;

    size_t n, piece;   /* rows, and of a piece of them */
    size_t room;       /* panels in the basis, the last for the next */
    size_t panels;     /* whose products are in T */
    double *basis;     /* [room][n][P] */
    double *product;   /* [n][P] */
    double *t;         /* [room P][room P], as far as `panels` goes */
    double r[P][P];    /* of the last step: next panel times r was left */
    size_t rank;       /* columns of the next panel that are not zero */
    double scale;      /* the longest product so far */
    double nothing;    /* a column no longer than this is rounding */
    struct bs_rng rng; /* of start vectors */

    size_t m;           /* panels P, when T was decomposed last */
    double *ritz, *y;   /* [m] values, [m][m] vectors of T as rows */
    double *work;       /* T as it is decomposed */
    double *part;       /* [PIECES][room][P][P] of sums over rows */
    double *sums;       /* [room][P][P] */
    double *turn;       /* [threads][piece][room P]: rows of a rotation */
    size_t first, last; /* panels that a pass takes out: first..last-1 */
    size_t turned;      /* Ritz vectors that a rotation makes: to `out`, */
    double *out;        /* [turned][n], or, NULL, in place of the basis */
};

/* How many panels of basis: enough that spectra which fall like a power seldom
 * need a restart, and a third more than wanted at least. */
static size_t
room_of(size_t n, size_t wanted)
{
    size_t least = wanted < 100 ? 7 * wanted : 3 * wanted + 400;
    size_t all = n / P + 2;
    size_t room = ((least > 128 ? least : 128) + P - 1) / P + 1;

    return room < all ? room : all;
}

static size_t
piece_of(size_t n)
{
    return BS_ROUND_UP((n + PIECES - 1) / PIECES, (size_t)16);
}

size_t
bs_krylov_bytes(size_t n, size_t wanted)
{
    size_t m, basis, squares, bytes;

    if (wanted > SIZE_MAX / 16 || n > SIZE_MAX / 16)
        return SIZE_MAX;
    m = room_of(n, wanted) * P;
    if (!bs_mul(m + P, n, &basis) || !bs_mul(3 * m + PIECES * P, m, &squares) ||
        !bs_add(basis, squares, &basis) ||
        !bs_mul(basis, sizeof(double), &bytes))
        return SIZE_MAX;
    return bytes;
}

static double *
panel_of(const struct solver *s, size_t i)
{
    return s->basis + i * s->n * P;
}

static double *
t_at(const struct solver *s, size_t row, size_t column)
{
    return s->t + row * s->room * P + column;
}

/* Rows of piece i: from, and how many. */
static size_t
piece_rows(const struct solver *s, size_t i, size_t *from)
{
    *from = i * s->piece;
    if (*from >= s->n)
        return 0;
    return s->n - *from < s->piece ? s->n - *from : s->piece;
}

static size_t
pieces(const struct solver *s)
{
    return (s->n + s->piece - 1) / s->piece;
}

/* ---- taking out ----------------------------------------------------------
 */

static void
dot_piece(void *arg, size_t i, unsigned thread)
{
    struct solver *s = arg;
    double *c = s->part + i * s->room * P * P;
    size_t from, rows = piece_rows(s, i, &from), p;

    (void)thread;
    memset(c + s->first * P * P, 0, (s->last - s->first) * P * P * sizeof *c);
    for (p = s->first; p < s->last; p++)
        s->isa->panel_dot(panel_of(s, p) + from * P, s->product + from * P,
                          rows, c + p * P * P);
}

static void
sub_piece(void *arg, size_t i, unsigned thread)
{
    struct solver *s = arg;
    size_t from, rows = piece_rows(s, i, &from), p;

    (void)thread;
    for (p = s->first; p < s->last; p++)
        s->isa->panel_sub(panel_of(s, p) + from * P, s->sums + p * P * P, rows,
                          s->product + from * P);
}

/* sums = Q^T product for panels first..last-1; product -= Q sums. */
static void
take_out(struct solver *s, size_t first, size_t last)
{
    size_t i, j, from = first * P * P, to = last * P * P;

    s->first = first;
    s->last = last;
    bs_pool_run(s->pool, pieces(s), dot_piece, s);
    memset(s->sums + from, 0, (to - from) * sizeof *s->sums);
    for (i = 0; i < pieces(s); i++)
        for (j = from; j < to; j++)
            s->sums[j] += s->part[i * s->room * P * P + j];
    bs_pool_run(s->pool, pieces(s), sub_piece, s);
}

/* Add the sums to the columns of T that panel `at` has. */
static void
keep_sums(struct solver *s, size_t at)
{
    size_t p, i, j;

    for (p = s->first; p < s->last; p++)
        for (i = 0; i < P; i++)
            for (j = 0; j < P; j++)
                *t_at(s, p * P + i, at * P + j) += s->sums[(p * P + i) * P + j];
}

static void
lengths(const struct solver *s, double length[P])
{
    size_t i, j;

    memset(length, 0, P * sizeof *length);
    for (i = 0; i < s->n; i++)
        for (j = 0; j < P; j++)
            length[j] += s->product[i * P + j] * s->product[i * P + j];
    for (j = 0; j < P; j++)
        length[j] = sqrt(length[j]);
}

/* Take all panels out of the product until little changes; with `at` the sums
 * go to T. */
static void
orthogonalise(struct solver *s, size_t last, bool keep, size_t at)
{
    double before[P], after[P];
    bool again = true;
    size_t pass, j;

    lengths(s, before);
    for (pass = 0; again && pass < PASSES; pass++) {
        take_out(s, 0, last);
        if (keep)
            keep_sums(s, at);
        lengths(s, after);
        again = false;
        for (j = 0; j < P; j++)
            again |= after[j] < before[j] / 2 && after[j] > s->nothing;
        memcpy(before, after, sizeof before);
    }
}

/* ---- the next panel ------------------------------------------------------
 */

/* column j of the product -= c times column i. */
static void
subtract_column(struct solver *s, size_t j, size_t i, double c)
{
    size_t row;

    for (row = 0; row < s->n; row++)
        s->product[row * P + j] -= c * s->product[row * P + i];
}

static double
dot_columns(const struct solver *s, size_t i, size_t j)
{
    double sum = 0;
    size_t row;

    for (row = 0; row < s->n; row++)
        sum += s->product[row * P + i] * s->product[row * P + j];
    return sum;
}

static void
scale_column(struct solver *s, size_t j, double c)
{
    size_t row;

    for (row = 0; row < s->n; row++)
        s->product[row * P + j] *= c;
}

/*
 * Make the product's columns orthonormal by Gram and Schmidt, twice, and keep
 * in r what they were.  A column of which nothing is left becomes zero, and r's
 * row with it.  *smallest: of a column's length, how little was left of it.
 */
static void
make_orthonormal(struct solver *s, double *smallest)
{
    size_t i, j, pass;

    memset(s->r, 0, sizeof s->r);
    s->rank = 0;
    *smallest = 1;
    for (j = 0; j < P; j++) {
        double length = sqrt(dot_columns(s, j, j)), left;

        for (pass = 0; pass < 2; pass++)
            for (i = 0; i < j; i++) {
                double c = s->r[i][i] > 0 ? dot_columns(s, i, j) : 0;

                if (c != 0)
                    subtract_column(s, j, i, c);
                s->r[i][j] += c;
            }
        left = sqrt(dot_columns(s, j, j));
        if (!(left > s->nothing)) {
            scale_column(s, j, 0);
            continue;
        }
        if (left < *smallest * length)
            *smallest = left / length;
        s->r[j][j] = left;
        scale_column(s, j, 1 / left);
        s->rank++;
    }
}

/*
 * The product of A and random numbers, with columns of length 1: a start within
 * the range of A.  The numbers lie in the panel behind the last, which is free.
 */
static int
random_product(struct solver *s, struct bs_err *e)
{
    double *x = panel_of(s, s->panels), length[P];
    size_t i;
    int r;

    for (i = 0; i < s->n * P; i++)
        x[i] = bs_rng_normal(&s->rng);
    r = s->fn(s->arg, x, s->product, e);
    s->k->products++;
    lengths(s, length);
    for (i = 0; i < P; i++)
        scale_column(s, i, length[i] > 0 ? 1 / length[i] : 0);
    s->nothing = ROUNDING;
    return r;
}

/* Fill the columns of the product that are zero with random ones of A's range,
 * orthogonal to the basis and to the others. */
static int
fill_up(struct solver *s, size_t last, double *smallest, struct bs_err *e)
{
    double *held = bs_alloc(s->n * P * sizeof *held);
    size_t i, j;
    int r;

    if (held == NULL)
        return bs_err_memory(e, "vectors", s->n * P * sizeof *held);
    memcpy(held, s->product, s->n * P * sizeof *held);
    r = random_product(s, e);
    for (j = 0; j < P && r == 0; j++)
        for (i = 0; i < s->n && s->r[j][j] > 0; i++)
            s->product[i * P + j] = held[i * P + j];
    bs_free(held);
    if (r == 0) {
        orthogonalise(s, last, false, 0);
        make_orthonormal(s, smallest);
    }
    return r;
}

/*
 * From the product, orthogonal to the basis, to the next panel.  Where columns
 * vanish, the basis has all of A's range that it can reach: random ones take
 * their place, not coupled to the basis, until these vanish, too.
 */
static int
next_panel(struct solver *s, size_t last, struct bs_err *e)
{
    double kept[P][P], smallest;
    int r = 0;

    make_orthonormal(s, &smallest);
    memcpy(kept, s->r, sizeof kept);
    s->nothing = ROUNDING;
    if (s->rank < P)
        r = fill_up(s, last, &smallest, e);
    if (r == 0 && smallest < 0.01) { /* what little is left may not be pure */
        orthogonalise(s, last, false, 0);
        make_orthonormal(s, &smallest);
    }
    memcpy(s->r, kept, sizeof kept);
    memcpy(panel_of(s, last), s->product, s->n * P * sizeof *s->product);
    return r;
}

/* Multiply the last panel; `fresh`: the basis was just restarted, and its
 * first panels are coupled to this one, too. */
static int
step(struct solver *s, bool fresh, struct bs_err *e)
{
    size_t at = s->panels, i, j;
    double length[P];
    int r = s->fn(s->arg, panel_of(s, at), s->product, e);

    if (r < 0)
        return r;
    s->k->products++;
    lengths(s, length);
    for (j = 0; j < P; j++)
        if (length[j] > s->scale)
            s->scale = length[j];
    s->nothing = ROUNDING * s->scale;
    for (i = 0; i < (at + 1) * P; i++)
        memset(t_at(s, i, at * P), 0, P * sizeof(double));
    if (!fresh && at > 0) {
        take_out(s, at - 1, at + 1);
        keep_sums(s, at);
    }
    orthogonalise(s, at + 1, true, at);
    s->panels++;
    return next_panel(s, s->panels, e);
}

/* ---- Ritz values ---------------------------------------------------------
 */

static int
decompose(struct solver *s, struct bs_err *e)
{
    size_t i, j;

    s->m = s->panels * P;
    for (i = 0; i < s->m; i++)
        for (j = 0; j <= i; j++)
            s->work[i * s->m + j] = /* rounding makes them differ */
                i / P == j / P ? (*t_at(s, i, j) + *t_at(s, j, i)) / 2
                               : *t_at(s, j, i);
    return bs_eigen_sym(s->work, s->m, s->ritz, s->y, e);
}

/* |A v - value v| of Ritz pair i. */
static double
ritz_residual(const struct solver *s, size_t i)
{
    const double *y = s->y + i * s->m + s->m - P;
    double sum = 0;
    size_t a, b;

    for (a = 0; a < P; a++) {
        double v = 0;

        for (b = 0; b < P; b++)
            v += s->r[a][b] * y[b];
        sum += v * v;
    }
    return sqrt(sum);
}

static double
smallest_value(const struct solver *s)
{
    return (double)s->n * DBL_EPSILON * s->ritz[0];
}

/* The largest residual of the wanted pairs, as a multiple of what it may be.
 */
static double
excess(const struct solver *s)
{
    double worst = 0;
    size_t i;

    if (s->m < s->k->wanted)
        return INFINITY;
    for (i = 0; i < s->k->wanted; i++) {
        double may = s->k->tolerance * s->ritz[i];

        if (may < smallest_value(s))
            may = smallest_value(s);
        if (!(ritz_residual(s, i) <= worst * may))
            worst = ritz_residual(s, i) / may;
    }
    return worst;
}

/* ---- rotation of the basis -----------------------------------------------
 */

/* Rows of piece i of Q times T's vectors. */
static void
turn_piece(void *arg, size_t i, unsigned thread)
{
    struct solver *s = arg;
    double *turn = s->turn + thread * s->piece * s->room * P;
    size_t from, rows = piece_rows(s, i, &from), a, b, p, q, row;
    size_t to = (s->turned + P - 1) / P;

    memset(turn, 0, to * rows * P * sizeof *turn);
    for (q = 0; q < to; q++)
        for (p = 0; p < s->m / P; p++) {
            double c[P][P];

            for (a = 0; a < P; a++)
                for (b = 0; b < P; b++)
                    c[a][b] = q * P + b < s->turned
                                  ? -s->y[(q * P + b) * s->m + p * P + a]
                                  : 0;
            s->isa->panel_sub(panel_of(s, p) + from * P, c[0], rows,
                              turn + q * rows * P);
        }
    for (q = 0; q < to && s->out == NULL; q++)
        memcpy(panel_of(s, q) + from * P, turn + q * rows * P,
               rows * P * sizeof *turn);
    for (b = 0; b < s->turned && s->out != NULL; b++)
        for (row = 0; row < rows; row++)
            s->out[b * s->n + from + row] =
                turn[(b / P * rows + row) * P + b % P];
}

/* The first `count` Ritz vectors, to where struct solver says. */
static void
turn(struct solver *s, size_t count, double *out)
{
    s->turned = count;
    s->out = out;
    bs_pool_run(s->pool, pieces(s), turn_piece, s);
}

/* Keep the Ritz vectors that are wanted, and a third of the others. */
static void
restart(struct solver *s)
{
    size_t wanted = s->k->wanted / P + 1, keep, i, j;

    keep = wanted + (s->panels > wanted ? s->panels - wanted : 0) / 3;
    if (keep > s->panels - 2)
        keep = s->panels - 2;
    turn(s, keep * P, NULL);
    memcpy(panel_of(s, keep), panel_of(s, s->panels),
           s->n * P * sizeof *s->basis);
    for (i = 0; i < keep * P; i++)
        for (j = 0; j < keep * P; j++)
            *t_at(s, i, j) = i == j ? s->ritz[i] : 0;
    s->panels = keep;
}

/* ---- results -------------------------------------------------------------
 */

/* Residuals as they are: multiply the vectors once more. */
static int
measure(struct solver *s, struct bs_err *e)
{
    struct bs_krylov *k = s->k;
    double *x = s->basis; /* no longer needed */
    size_t from, i, j;
    int r = 0;

    for (from = 0; from < k->found && r == 0; from += P) {
        size_t count = k->found - from < P ? k->found - from : P;
        double sum[P] = {0};

        memset(x, 0, k->n * P * sizeof *x);
        for (j = 0; j < count; j++)
            for (i = 0; i < k->n; i++)
                x[i * P + j] = k->vector[(from + j) * k->n + i];
        r = s->fn(s->arg, x, s->product, e);
        k->products++;
        for (i = 0; i < k->n; i++)
            for (j = 0; j < count; j++) {
                double d =
                    s->product[i * P + j] - k->value[from + j] * x[i * P + j];

                sum[j] += d * d;
            }
        for (j = 0; j < count; j++)
            k->residual[from + j] = sqrt(sum[j]);
    }
    return r;
}

static int
collect(struct solver *s, struct bs_err *e)
{
    struct bs_krylov *k = s->k;
    size_t i;
    int r;

    while (k->found < k->wanted && k->found < s->m &&
           s->ritz[k->found] > smallest_value(s))
        k->found++;
    k->value = bs_alloc_array(k->found, sizeof *k->value);
    k->residual = bs_alloc_array(k->found, sizeof *k->residual);
    k->vector = bs_alloc_array(k->found * k->n, sizeof *k->vector);
    if (k->value == NULL || k->residual == NULL || k->vector == NULL)
        return bs_err_memory(e, "eigenvectors",
                             k->found * k->n * sizeof *k->vector);
    memcpy(k->value, s->ritz, k->found * sizeof *k->value);
    turn(s, k->found, k->vector);
    for (i = 0; i < k->found; i++)
        bs_eigen_sign(k->vector + i * k->n, k->n);
    r = measure(s, e);
    while (
        r == 0 && k->converged < k->found &&
        k->residual[k->converged] <=
            fmax(2 * k->tolerance * k->value[k->converged], smallest_value(s)))
        k->converged++;
    return r;
}

/* ---- the method ----------------------------------------------------------
 */

static int
open_solver(struct solver *s, struct bs_err *e)
{
    size_t bytes = bs_krylov_bytes(s->n, s->k->wanted), m;

    s->isa = bs_cpu_isa(e);
    if (s->isa == NULL)
        return -e->code;
    if (bytes == SIZE_MAX)
        return bs_err_memory(e, "eigenvectors", bytes);
    s->piece = piece_of(s->n);
    s->room = room_of(s->n, s->k->wanted);
    m = s->room * P;
    s->basis = bs_alloc(s->room * s->n * P * sizeof *s->basis);
    s->product = bs_alloc(s->n * P * sizeof *s->product);
    s->t = bs_alloc_array(m * m, sizeof *s->t);
    s->work = bs_alloc_array(m * m, sizeof *s->work);
    s->y = bs_alloc_array(m * m, sizeof *s->y);
    s->ritz = bs_alloc_array(m, sizeof *s->ritz);
    s->part = bs_alloc_array(PIECES * m * P, sizeof *s->part);
    s->sums = bs_alloc_array(m * P, sizeof *s->sums);
    s->turn = bs_alloc_array(bs_pool_threads(s->pool) * s->piece * m,
                             sizeof *s->turn);
    if (s->basis == NULL || s->product == NULL || s->t == NULL ||
        s->work == NULL || s->y == NULL || s->ritz == NULL || s->part == NULL ||
        s->sums == NULL || s->turn == NULL)
        return bs_err_memory(e, "eigenvectors", bytes);
    bs_rng_init(&s->rng, 0, bs_rng_name("krylov"), 0);
    return 0;
}

static void
close_solver(struct solver *s)
{
    bs_free(s->basis);
    bs_free(s->product);
    bs_free(s->t);
    bs_free(s->work);
    bs_free(s->y);
    bs_free(s->ritz);
    bs_free(s->part);
    bs_free(s->sums);
    bs_free(s->turn);
}

/*
 * The next number of panels at which T is decomposed: where the residuals,
 * which fall by a factor a step, will have fallen enough by what the last two
 * times showed; not much more than before at a time.
 */
static size_t
next_look(size_t panels, double was, size_t when, double is)
{
    size_t most = panels + (panels + 7) / 8;

    if (isfinite(was) && is < was && panels > when) {
        double rate = log(was / is) / (double)(panels - when);
        double more = log(is) / rate;

        if (more < (double)(most - panels))
            most = panels + (more > 1 ? (size_t)ceil(more) : 1);
    }
    return most > panels ? most : panels + 1;
}

static int
run(struct solver *s, struct bs_err *e)
{
    size_t look = (s->k->wanted + P - 1) / P, when = 0;
    double was = INFINITY;
    bool fresh = false;
    int r = random_product(s, e);

    if (r == 0)
        r = next_panel(s, 0, e);
    while (r == 0 && s->rank > 0) {
        double is;

        r = step(s, fresh, e);
        fresh = false;
        if (r < 0)
            break;
        if (s->rank > 0 && s->panels < look && s->panels + 1 < s->room)
            continue;
        r = decompose(s, e);
        is = r == 0 ? excess(s) : 0;
        if (is <= 1 || s->rank == 0 || s->k->products >= MOST_STEPS)
            break;
        look = next_look(s->panels, was, when, is);
        was = is;
        when = s->panels;
        if (s->panels + 1 < s->room)
            continue;
        restart(s);
        fresh = true;
        was = INFINITY;
        look = s->panels + 4;
    }
    return r;
}

int
bs_krylov_solve(struct bs_krylov *k, bs_krylov_fn *fn, void *arg,
                struct bs_pool *pool, struct bs_err *e)
{
    struct solver s = {.k = k, .pool = pool, .fn = fn, .arg = arg, .n = k->n};
    int r;

    k->found = k->converged = k->products = 0;
    k->value = k->residual = k->vector = NULL;
    if (k->n == 0)
        return 0;
    r = open_solver(&s, e);
    if (r == 0)
        r = run(&s, e);
    if (r == 0 && s.m > 0)
        r = collect(&s, e);
    close_solver(&s);
    return r;
}

void
bs_krylov_release(struct bs_krylov *k)
{
    bs_free(k->value);
    bs_free(k->residual);
    bs_free(k->vector);
    k->value = k->residual = k->vector = NULL;
}
