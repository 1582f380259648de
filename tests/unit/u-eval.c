/*
 * u-eval.c - what bs-sae eval sums up, against plain sums of all values; and
 * that neither batches nor threads change a bit.
 */
#include <math.h>
#include <stdlib.h>

#include "cmd/models/eval_dictionary.h"
#include "cmd/models/eval_pairs.h"
#include "cmd/models/eval_sums.h"
#include "common/mem.h"
#include "common/rng.h"
#include "kernels/dot.h"
#include "kernels/eigen.h"
#include "tests/unit/tap.h"

static struct bs_dev *dev;
static struct bs_pool *one, *three;

static bool
close_to(double got, double want, double tolerance)
{
    return fabs(got - want) <= tolerance * fmax(1, fabs(want));
}

static float *
normals(size_t n, uint64_t seed)
{
    float *x = bs_alloc_array(n, sizeof *x);
    struct bs_rng rng;
    size_t i;

    bs_rng_init(&rng, seed, 5, 0);
    for (i = 0; i < n; i++)
        x[i] = (float)bs_rng_normal(&rng);
    return x;
}

/* ---- x^T x ----------------------------------------------------------------
 */

static void
columns(size_t n, size_t k)
{
    float *x = normals(n * k, 1);
    double *g = bs_alloc_array(k * k, sizeof *g);
    double *again = bs_alloc_array(k * k, sizeof *again), worst = 0;
    struct bs_err e = {0};
    bool good = bs_dot_columns(g, x, n, k, one, &e) == 0 &&
                bs_dot_columns(again, x, n, k, three, &e) == 0;
    size_t a, b, i;

    for (a = 0; a < k; a++)
        for (b = 0; b < k; b++) {
            double sum = 0;

            for (i = 0; i < n; i++)
                sum += (double)x[i * k + a] * (double)x[i * k + b];
            worst = fmax(worst, fabs(sum - g[a * k + b]));
        }
    ok(good && worst <= 1e-13 * (double)(n + 1), "x^T x of %zu by %zu: %.1e", n,
       k, worst);
    ok(memcmp(g, again, k * k * sizeof *g) == 0, "with any threads");
    bs_free(x);
    bs_free(g);
    bs_free(again);
}

/* ---- codes ----------------------------------------------------------------
 */

/* Random rows of codes; some have none. */
static struct bs_ragged
random_codes(size_t rows, size_t concepts, uint64_t seed)
{
    struct bs_ragged c = {.rows = rows};
    struct bs_rng rng;
    size_t i, k;

    bs_rng_init(&rng, seed, 6, 0);
    c.ptr = bs_alloc_array(rows + 1, sizeof *c.ptr);
    c.idx = bs_alloc_array(rows * concepts, sizeof *c.idx);
    c.val = bs_alloc_array(rows * concepts, sizeof *c.val);
    for (i = 0; i < rows; i++) {
        c.ptr[i + 1] = c.ptr[i];
        for (k = 0; k < concepts; k++)
            /* The last two never fire, the first two always do together. */
            if (k + 2 < concepts && i % 7 != 3 &&
                (k < 2 || bs_rng_f64(&rng) < 0.15)) {
                c.idx[c.ptr[i + 1]] = (uint32_t)k;
                c.val[c.ptr[i + 1]++] = (float)(bs_rng_f64(&rng) + 0.01);
            }
    }
    return c;
}

/* Rows from..to-1, borrowed. */
static struct bs_ragged
part_of(const struct bs_ragged *c, size_t from, size_t to, uint32_t *ptr)
{
    struct bs_ragged part = {.rows = to - from, .ptr = ptr};
    size_t i;

    for (i = from; i <= to; i++)
        ptr[i - from] = c->ptr[i] - c->ptr[from];
    part.idx = c->idx + c->ptr[from];
    part.val = c->val + c->ptr[from];
    return part;
}

/* ---- pairs ----------------------------------------------------------------
 */

enum { CONCEPTS = 37, ROWS = 200, WIDTH = 5 };

/* z^T z, and the matrix of interference. */
static void
dense(const struct bs_ragged *c, const float *atoms, double *g, double *a)
{
    size_t i, p, q;

    for (i = 0; i < CONCEPTS * CONCEPTS; i++)
        g[i] = 0;
    for (i = 0; i < c->rows; i++)
        for (p = c->ptr[i]; p < c->ptr[i + 1]; p++)
            for (q = c->ptr[i]; q < c->ptr[i + 1]; q++)
                g[c->idx[p] * CONCEPTS + c->idx[q]] +=
                    (double)c->val[p] * (double)c->val[q];
    for (p = 0; p < CONCEPTS; p++)
        for (q = 0; q < CONCEPTS; q++)
            a[p * CONCEPTS + q] = fmax(
                0, -g[p * CONCEPTS + q] *
                       bs_dot(atoms + p * WIDTH, atoms + q * WIDTH, WIDTH));
}

/* Codes in pieces of `step` rows, with room for `room` that wait. */
static int
fill_pairs(struct bs_eval_pairs *p, const struct bs_ragged *c, size_t step,
           size_t room, uint64_t memory, struct bs_pool *pool, struct bs_err *e)
{
    uint32_t ptr[ROWS + 1];
    size_t i;
    int r = bs_eval_pairs_open(p, CONCEPTS, memory, pool, e);

    p->room = room;
    for (i = 0; i < c->rows && r == 0; i += step) {
        size_t to = i + step < c->rows ? i + step : c->rows;
        struct bs_ragged part = part_of(c, i, to, ptr);

        r = bs_eval_pairs_add(p, &part, e);
    }
    return r < 0 ? r : bs_eval_pairs_finish(p, e);
}

static bool
same_rows(const struct bs_eval_pairs *a, const struct bs_eval_pairs *b)
{
    size_t k;

    for (k = 0; k < CONCEPTS; k++)
        if (a->row[k].n != b->row[k].n ||
            (a->row[k].n > 0 &&
             (memcmp(a->row[k].col, b->row[k].col,
                     a->row[k].n * sizeof *a->row[k].col) != 0 ||
              memcmp(a->row[k].sum, b->row[k].sum,
                     a->row[k].n * sizeof *a->row[k].sum) != 0)))
            return false;
    return true;
}

static void
check_rows(const struct bs_eval_pairs *p, const double *g)
{
    size_t k, i, at, wrong = 0;

    for (k = 0; k < CONCEPTS; k++)
        for (i = k, at = 0; i < CONCEPTS; i++) {
            const struct bs_pair_row *row = &p->row[k];
            double want = g[k * CONCEPTS + i], got = 0;

            if (at < row->n && row->col[at] == i)
                got = row->sum[at++];
            wrong += !(fabs(got - want) <= 1e-12 * (want + 1)) ||
                     (got > 0) != (want > 0);
        }
    ok(wrong == 0, "pairs: the upper triangle of z^T z");
}

/* The covariance of two concepts by its definition. */
static double
largest_correlation(const double *g, const double *mean, size_t n)
{
    double most = 0;
    size_t p, q;

    for (p = 0; p < CONCEPTS; p++)
        for (q = 0; q < CONCEPTS; q++) {
            double cov[3];
            size_t pairs[3][2] = {{p, q}, {p, p}, {q, q}}, i;

            for (i = 0; i < 3; i++) {
                size_t a = pairs[i][0], b = pairs[i][1];

                cov[i] = (g[a * CONCEPTS + b] - (double)n * mean[a] * mean[b]) /
                         ((double)n - 1);
            }
            if (p != q)
                most =
                    fmax(most, fabs(cov[0]) / (sqrt(cov[1] * cov[2]) + 1e-6));
        }
    return most;
}

static void
pairs(void)
{
    struct bs_ragged c = random_codes(ROWS, CONCEPTS, 3);
    float *atoms = normals(CONCEPTS * WIDTH, 4);
    double g[CONCEPTS * CONCEPTS], a[CONCEPTS * CONCEPTS], value[CONCEPTS];
    double mean[CONCEPTS] = {0}, norm = 0;
    uint64_t record[ROWS] = {0}, apart = 0, nonzero = 0;
    struct bs_eval_sums sums;
    struct bs_eval_pairs p, other;
    struct bs_cell cell[BS_METRICS] = {{.kind = BS_CELL_NONE}};
    struct bs_err e = {0};
    size_t i, j;

    dense(&c, atoms, g, a);
    ok(fill_pairs(&p, &c, ROWS, 1 << 20, 1 << 20, three, &e) == 0 && !p.full,
       "pairs of one batch%s", e.text);
    check_rows(&p, g);
    ok(fill_pairs(&other, &c, 3, CONCEPTS, 1 << 20, one, &e) == 0 &&
           same_rows(&p, &other),
       "added in many pieces, by one thread: the same bits");
    bs_eval_pairs_release(&other);
    ok(fill_pairs(&other, &c, 3, CONCEPTS, 1000, three, &e) == 0 && other.full,
       "more than the memory: given up");
    ok(bs_eval_pairs_metrics(&other, NULL, true, cell, &e) == 0 &&
           bs_eval_interference(&other, atoms, WIDTH, ROWS, cell, &e) == 0 &&
           cell[BS_M_PAIRS].kind == BS_CELL_NONE &&
           cell[BS_M_SPECTRAL].kind == BS_CELL_NONE,
       "without metrics");
    bs_eval_pairs_release(&other);

    for (i = 0; i < CONCEPTS; i++)
        for (j = 0; j < CONCEPTS; j++) {
            nonzero += g[i * CONCEPTS + j] > 0;
            apart += j > i && g[i * CONCEPTS + j] > 0;
            norm += a[i * CONCEPTS + j] * a[i * CONCEPTS + j];
        }
    for (i = 0; i < c.ptr[ROWS]; i++)
        mean[c.idx[i]] += (double)c.val[i] / ROWS;
    ok(bs_eval_sums_open(&sums, CONCEPTS, WIDTH, &e) == 0 &&
           bs_eval_sums_add(&sums, NULL, NULL, &c, record, ROWS, three, &e) ==
               0 &&
           bs_eval_pairs_metrics(&p, &sums, true, cell, &e) == 0,
       "metrics of pairs");
    ok(cell[BS_M_PAIRS].count == apart &&
           close_to(cell[BS_M_CONNECTIVITY].real,
                    1 - (double)nonzero / (CONCEPTS * CONCEPTS), 1e-15),
       "%ju pairs, connectivity %.4f", (uintmax_t)apart,
       cell[BS_M_CONNECTIVITY].real);
    ok(close_to(cell[BS_M_MAX_CORRELATION].real,
                largest_correlation(g, mean, ROWS), 1e-10),
       "largest correlation %.6f", cell[BS_M_MAX_CORRELATION].real);
    ok(bs_eval_interference(&p, atoms, WIDTH, ROWS, cell, &e) == 0 &&
           bs_eigen_sym(a, CONCEPTS, value, NULL, &e) == 0,
       "interference of pairs");
    ok(close_to(cell[BS_M_FROBENIUS].real, sqrt(norm), 1e-12) &&
           close_to(cell[BS_M_SPECTRAL].real, value[0], 1e-9) &&
           close_to(cell[BS_M_SPECTRAL_TOKEN].real, value[0] / ROWS, 1e-9),
       "its norm %.6f, its largest eigenvalue %.6f", cell[BS_M_FROBENIUS].real,
       cell[BS_M_SPECTRAL].real);
    bs_eval_pairs_release(&p);
    bs_eval_sums_release(&sums);
    bs_ragged_release(&c);
    bs_free(atoms);
}

/* Concepts that never interfere: nothing to find an eigenvalue of. */
static void
no_pairs(void)
{
    float atoms[CONCEPTS * WIDTH];
    struct bs_ragged c = random_codes(ROWS, CONCEPTS, 3);
    struct bs_cell cell[BS_METRICS] = {{.kind = BS_CELL_NONE}};
    struct bs_eval_pairs p;
    struct bs_err e = {0};
    size_t i;

    for (i = 0; i < CONCEPTS * WIDTH; i++)
        atoms[i] = 1;
    ok(fill_pairs(&p, &c, ROWS, 1 << 20, 1 << 20, one, &e) == 0 &&
           bs_eval_interference(&p, atoms, WIDTH, ROWS, cell, &e) == 0 &&
           cell[BS_M_FROBENIUS].real == 0 && cell[BS_M_SPECTRAL].real == 0,
       "atoms that point the same way do not interfere");
    bs_eval_pairs_release(&p);
    bs_ragged_release(&c);
}

/* ---- sums -----------------------------------------------------------------
 */

/* Columns far from 0, whose scatter is that of small numbers. */
static void
sums(void)
{
    struct bs_ragged c = random_codes(ROWS, CONCEPTS, 7);
    float *x = normals(ROWS * WIDTH, 8), *y = normals(ROWS * WIDTH, 9);
    struct bs_cell cell[BS_METRICS] = {{.kind = BS_CELL_NONE}};
    struct bs_cell again[BS_METRICS] = {{.kind = BS_CELL_NONE}};
    uint64_t record[ROWS];
    uint32_t ptr[ROWS + 1];
    struct bs_eval_sums s, t;
    struct bs_err e = {0};
    double around = 0, error = 0;
    size_t i, k;
    int r;

    for (i = 0; i < ROWS * WIDTH; i++) {
        x[i] += 30000.0f * (float)(i % WIDTH);
        y[i] = x[i] + 0.25f * y[i];
        record[i / WIDTH] = i / WIDTH / 9;
    }
    for (k = 0; k < WIDTH; k++) {
        double mean = 0;

        for (i = 0; i < ROWS; i++)
            mean += (double)x[i * WIDTH + k] / ROWS;
        for (i = 0; i < ROWS; i++) {
            double d = (double)x[i * WIDTH + k] - mean;

            around += d * d;
            d = (double)x[i * WIDTH + k] - (double)y[i * WIDTH + k];
            error += d * d;
        }
    }
    r = bs_eval_sums_open(&s, CONCEPTS, WIDTH, &e);
    if (r == 0)
        r = bs_eval_sums_add(&s, x, y, &c, record, ROWS, three, &e);
    ok(r == 0, "sums of one batch");
    bs_eval_sums_metrics(&s, true, cell);
    ok(close_to(cell[BS_M_R2].real, 1 - error / around, 1e-11),
       "r2 %.6f of columns far from 0", cell[BS_M_R2].real);
    r = bs_eval_sums_open(&t, CONCEPTS, WIDTH, &e);
    for (i = 0; i < ROWS && r == 0; i += 7) {
        size_t to = i + 7 < ROWS ? i + 7 : ROWS;
        struct bs_ragged part = part_of(&c, i, to, ptr);

        r = bs_eval_sums_add(&t, x + i * WIDTH, y + i * WIDTH, &part,
                             record + i, to - i, one, &e);
    }
    bs_eval_sums_metrics(&t, true, again);
    for (i = 0; i < BS_METRICS; i++)
        if (memcmp(&cell[i].real, &again[i].real, sizeof cell[i].real) != 0 ||
            cell[i].count != again[i].count)
            break;
    ok(r == 0 && i == BS_METRICS, "in small batches, by one thread: the same");
    ok(s.concept[0].records == (ROWS + 8) / 9 && s.concept[0].fires == 171,
       "a concept fires in %ju records, %ju tokens",
       (uintmax_t)s.concept[0].records, (uintmax_t)s.concept[0].fires);
    bs_eval_sums_release(&s);
    bs_eval_sums_release(&t);
    bs_ragged_release(&c);
    bs_free(x);
    bs_free(y);
}

/* ---- dictionaries ---------------------------------------------------------
 */

/* Singular values from the whole matrix, all cosines. */
static void
dictionary(size_t count, size_t width, bool odd)
{
    float *w = normals(count * width, 11);
    double *a = bs_alloc_array(count, width * sizeof *a), squares = 0;
    double *s = bs_alloc_array(count + width, sizeof *s), sum = 0, h = 0;
    size_t n = count < width ? count : width, i, j;
    struct bs_cell cell[BS_METRICS] = {{.kind = BS_CELL_NONE}};
    struct bs_metric_choice choice;
    struct bs_eval_nearest nearest;
    struct bs_atoms atoms;
    struct bs_err e = {0};
    double most = 0;
    bool near = true;
    int r;

    for (i = 0; odd && i < width; i++) { /* one of length 0, one twice */
        w[i] = 0;
        w[2 * width + i] = w[3 * width + i] = 3e4f * w[width + i];
    }
    for (i = 0; i < count * width; i++)
        a[i] = (double)w[i];
    r = bs_metric_choose(&choice, "dictionary", &e);
    if (r == 0)
        r = bs_atoms_open(&atoms, w, count, width, &e);
    if (r == 0)
        r = bs_eval_dictionary(&atoms, &choice, dev, three, NULL, cell,
                               &nearest, &e);
    ok(r == 0 && bs_svd(a, count, width, s, &e) == 0,
       "a dictionary of %zu atoms, %zu wide%s", count, width, e.text);
    for (i = 0; i < n; i++)
        if (s[i] > 1e-7 * s[0]) {
            squares += s[i] * s[i];
            sum += s[i];
        }
    for (i = 0; i < n; i++)
        if (s[i] > 1e-7 * s[0])
            h -= s[i] / sum * log(s[i] / sum);
    ok(close_to(cell[BS_M_STABLE_RANK].real, squares / s[0] / s[0], 1e-11) &&
           close_to(cell[BS_M_EFFECTIVE_RANK].real, exp(h), 1e-9),
       "stable rank %.6f, effective rank %.6f", cell[BS_M_STABLE_RANK].real,
       cell[BS_M_EFFECTIVE_RANK].real);
    for (i = 0; i < count; i++) {
        double best = -2;

        for (j = 0; j < count; j++)
            if (j != i) {
                double c = bs_atoms_cosine(&atoms, i, &atoms, j);

                most = fmax(most, fabs(c));
                best = fmax(best, c);
            }
        if (atoms.norm[i] == 0 || count == 1)
            near &= nearest.atom[i] == BS_NEAREST_NONE;
        else
            near &= nearest.atom[i] != i &&
                    close_to(nearest.cosine[i], best, 1e-12);
    }
    ok(count == 1 ? isnan(cell[BS_M_COHERENCE].real)
                  : close_to(cell[BS_M_COHERENCE].real, most, 1e-12),
       "coherence %.6f", cell[BS_M_COHERENCE].real);
    ok(near, "and the nearest of each");
    ok(cell[BS_M_ZERO_ATOMS].count == odd, "%ju of length 0",
       (uintmax_t)cell[BS_M_ZERO_ATOMS].count);
    bs_eval_nearest_release(&nearest);
    bs_atoms_release(&atoms);
    bs_free(w);
    bs_free(a);
    bs_free(s);
}

/* Tokens that are all on one side: atoms on the other have negative cosines. */
static void
ood(void)
{
    enum { ATOMS = 50, TOKENS = 90, WIDE = 17 };
    float *w = normals(ATOMS * WIDE, 13), *x = normals(TOKENS * WIDE, 14);
    struct bs_cell cell[BS_METRICS];
    struct bs_atoms atoms, tokens;
    struct bs_eval_ood o, p;
    struct bs_err e = {0};
    double worst = 0, sum = 0;
    size_t i, j, negative = 0;
    int r;

    for (i = 0; i < TOKENS * WIDE; i++)
        x[i] += 3;
    for (i = 0; i < WIDE; i++)
        w[i] = 0;
    if (bs_atoms_open(&atoms, w, ATOMS, WIDE, &e) < 0 ||
        bs_atoms_open(&tokens, x, TOKENS, WIDE, &e) < 0 ||
        bs_eval_ood_open(&o, &atoms, dev, &e) < 0 ||
        bs_eval_ood_open(&p, &atoms, dev, &e) < 0)
        return;
    r = bs_eval_ood_add(&o, x, TOKENS, &e);
    for (i = 0; i < TOKENS && r == 0; i += 4)
        r = bs_eval_ood_add(&p, x + i * WIDE, i + 4 < TOKENS ? 4 : TOKENS - i,
                            &e);
    for (i = 0; i < ATOMS; i++) {
        double best = -1;

        for (j = 0; j < TOKENS; j++)
            best = fmax(best, bs_atoms_cosine(&atoms, i, &tokens, j));
        negative += best < 0;
        worst = fmax(worst, fabs(best - o.cosine[i]));
        sum += best;
    }
    bs_eval_ood_metrics(&o, cell);
    ok(r == 0 && worst <= 1e-6 && negative > 0 &&
           close_to(cell[BS_M_OOD].real, 1 - sum / ATOMS, 1e-7),
       "out of distribution %.6f, %zu atoms away from all tokens",
       cell[BS_M_OOD].real, negative);
    ok(memcmp(o.cosine, p.cosine, ATOMS * sizeof *o.cosine) == 0,
       "in small batches: the same");
    bs_eval_ood_release(&o);
    bs_eval_ood_release(&p);
    bs_atoms_release(&atoms);
    bs_atoms_release(&tokens);
    bs_free(w);
    bs_free(x);
}

/* ---- choosing -------------------------------------------------------------
 */

static void
choosing(void)
{
    struct bs_metric_choice c;
    struct bs_err e = {0};

    ok(bs_metric_choose(&c, NULL, &e) == 0 && c.metric[BS_M_R2] &&
           c.metric[BS_M_MAX_COSINE] && !c.named,
       "all metrics");
    ok(bs_metric_choose(&c, "l0,dictionary", &e) == 0 && c.metric[BS_M_L0] &&
           c.metric[BS_M_COHERENCE] && !c.metric[BS_M_R2] &&
           bs_metric_needs_features(&c),
       "by name and by group");
    ok(bs_metric_choose(&c, "coherence", &e) == 0 &&
           !bs_metric_needs_features(&c),
       "without features");
    ok(bs_metric_choose(&c, "l0,", &e) == -BS_EX_USAGE,
       "an empty name is none (%s)", e.text);
}

int
main(void)
{
    struct bs_err e = {0};

    if (bs_dev_open(&dev, "cpu", 2, &e) < 0 || bs_pool_open(&one, 1, &e) < 0 ||
        bs_pool_open(&three, 3, &e) < 0)
        return 1;
    columns(1, 1);
    columns(300, 7);
    columns(1000, 33);
    pairs();
    no_pairs();
    sums();
    dictionary(1, 4, false);
    dictionary(90, 12, false);
    dictionary(90, 12, true);
    dictionary(9, 20, true);
    ood();
    choosing();
    bs_pool_close(one);
    bs_pool_close(three);
    bs_dev_close(dev);
    return tap_done();
}
