/*
 * eval_interference.c - negative interference, the norm of relu(-(Z^T Z) .* (D
 * D^T)) (archetypal SAE, equation 14): of concepts that fire together although
 * their atoms point away from each other.  See eval_pairs.h.
 *
 * The paper does not say which norm: both are given.  The matrix is symmetric,
 * not negative and sparse, so its spectral norm is its largest eigenvalue,
 * whose vector is not negative either; Lanczos from a vector of ones finds it.
 */
#include <math.h>

#include "cmd/models/eval_pairs.h"
#include "common/mem.h"
#include "common/stop.h"
#include "kernels/dot.h"
#include "kernels/eigen.h"

enum {
    CHUNK = 4,  /* concepts that a thread works on at once */
    STEPS = 60, /* of Lanczos, before it starts again from the best vector */
    RESTARTS = 100
};

#define TOLERANCE 1e-11 /* of the residual, to the eigenvalue */

/* ---- the matrix -----------------------------------------------------------
 */

struct interference {
    struct bs_eval_pairs *p;
    const float *atoms;
    size_t width;
};

/* Rows of Z^T Z become rows of the matrix, without its zeros. */
static void
interfere_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct interference *w = arg;
    size_t concepts = w->p->concepts, k = chunk * CHUNK, i;
    size_t end = concepts - k < CHUNK ? concepts : k + CHUNK;

    (void)thread;
    for (; k < end; k++) {
        struct bs_pair_row *row = &w->p->row[k];
        size_t n = 0;

        for (i = 0; i < row->n; i++) {
            uint32_t col = row->col[i];
            double v =
                -row->sum[i] * bs_dot(w->atoms + k * w->width,
                                      w->atoms + col * w->width, w->width);

            if (col == k || v <= 0)
                continue;
            row->col[n] = col;
            row->sum[n++] = v;
        }
        row->n = n;
    }
}

/* y = A x. */
static void
multiply(const struct bs_eval_pairs *p, const double *x, double *y)
{
    size_t k, i;

    for (k = 0; k < p->concepts; k++)
        y[k] = 0;
    for (k = 0; k < p->concepts; k++) {
        const struct bs_pair_row *row = &p->row[k];
        double sum = 0;

        for (i = 0; i < row->n; i++) {
            sum += row->sum[i] * x[row->col[i]];
            y[row->col[i]] += row->sum[i] * x[k];
        }
        y[k] += sum;
    }
}

static double
frobenius(const struct bs_eval_pairs *p)
{
    double sum = 0;
    size_t k, i;

    for (k = 0; k < p->concepts; k++)
        for (i = 0; i < p->row[k].n; i++)
            sum += 2 * p->row[k].sum[i] * p->row[k].sum[i];
    return sqrt(sum);
}

/* ---- its largest eigenvalue -----------------------------------------------
 */

struct lanczos {
    const struct bs_eval_pairs *p;
    size_t n, steps;
    double *v;           /* [STEPS + 1][n] */
    double *a;           /* [STEPS][STEPS]: A as the vectors see it */
    double *value, *top; /* its eigenvalues and vectors */
};

static double
dot(const double *x, const double *y, size_t n)
{
    double sum = 0;
    size_t i;

    for (i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

/* Take the first `from` vectors out of the one behind them, twice, and make it
 * one of length 1; returns the length that was left. */
static double
orthogonalise(struct lanczos *l, size_t from)
{
    double *v = l->v + from * l->n, length;
    size_t again, i, j;

    for (again = 0; again < 2; again++)
        for (i = 0; i < from; i++) {
            const double *u = l->v + i * l->n;
            double along = dot(u, v, l->n);

            for (j = 0; j < l->n; j++)
                v[j] -= along * u[j];
        }
    length = sqrt(dot(v, v, l->n));
    for (j = 0; j < l->n && length > 0; j++)
        v[j] /= length;
    return length;
}

/* Steps from v[0]; the largest eigenvalue so far to *value; returns its
 * residual. */
static double
run(struct lanczos *l, double *value, struct bs_err *e)
{
    double length = 0, scale;
    size_t i, j;

    for (l->steps = 0; l->steps < STEPS;) {
        double *next = l->v + (l->steps + 1) * l->n;

        multiply(l->p, l->v + l->steps * l->n, next);
        scale = sqrt(dot(next, next, l->n));
        for (i = 0; i <= l->steps; i++)
            l->a[l->steps * STEPS + i] = dot(next, l->v + i * l->n, l->n);
        length = orthogonalise(l, ++l->steps);
        if (!(length > 1e-14 * scale))
            break;
    }
    for (i = 0; i < l->steps; i++)
        for (j = 0; j <= i; j++)
            l->a[i * l->steps + j] = l->a[i * STEPS + j];
    if (bs_eigen_sym(l->a, l->steps, l->value, l->top, e) < 0)
        return -1;
    *value = l->value[0];
    return length * fabs(l->top[l->steps - 1]);
}

/* v[0] becomes the best vector. */
static void
restart(struct lanczos *l)
{
    double *best = l->v + l->steps * l->n;
    size_t i, j;

    for (j = 0; j < l->n; j++)
        best[j] = 0;
    for (i = 0; i < l->steps; i++)
        for (j = 0; j < l->n; j++)
            best[j] += l->top[i] * l->v[i * l->n + j];
    memcpy(l->v, best, l->n * sizeof *best);
    (void)orthogonalise(l, 0);
}

static int
spectral(const struct bs_eval_pairs *p, double *value, struct bs_err *e)
{
    struct lanczos l = {.p = p, .n = p->concepts};
    double residual = INFINITY;
    size_t i;
    int r = 0;

    l.v = bs_alloc_array(l.n, (STEPS + 1) * sizeof *l.v);
    l.a = bs_alloc_array(STEPS, STEPS * sizeof *l.a);
    l.top = bs_alloc_array(STEPS, STEPS * sizeof *l.top);
    l.value = bs_alloc_array(STEPS, sizeof *l.value);
    if (l.v == NULL || l.a == NULL || l.top == NULL || l.value == NULL)
        r = bs_err_memory(e, "eigenvalue", l.n * STEPS * sizeof *l.v);
    for (i = 0; i < l.n && r == 0; i++)
        l.v[i] = 1;
    if (r == 0)
        (void)orthogonalise(&l, 0);
    *value = 0;
    for (i = 0; i < RESTARTS && r == 0; i++) {
        residual = run(&l, value, e);
        r = residual < 0 ? -e->code : 0;
        if (r == 0 && residual <= TOLERANCE * *value)
            break;
        if (r == 0 && bs_stop_wanted())
            r = bs_err_set(e, BS_EX_TEMPFAIL, "ended early: %s",
                           bs_stop_reason());
        if (r == 0)
            restart(&l);
    }
    if (residual > TOLERANCE * *value)
        *value = NAN;
    bs_free(l.v);
    bs_free(l.a);
    bs_free(l.top);
    bs_free(l.value);
    return r;
}

int
bs_eval_interference(struct bs_eval_pairs *p, const float *atoms, size_t width,
                     uint64_t tokens, struct bs_cell cell[BS_METRICS],
                     struct bs_err *e)
{
    struct interference w = {p, atoms, width};
    double all, largest = 0;

    if (p->full)
        return 0;
    bs_pool_run(p->pool, (p->concepts + CHUNK - 1) / CHUNK, interfere_chunk,
                &w);
    all = frobenius(p);
    if (all > 0 && spectral(p, &largest, e) < 0)
        return -e->code;
    bs_metric_real(cell, BS_M_FROBENIUS, all);
    bs_metric_real(cell, BS_M_SPECTRAL, largest);
    bs_metric_real(cell, BS_M_FROBENIUS_TOKEN, all / (double)tokens);
    bs_metric_real(cell, BS_M_SPECTRAL_TOKEN, largest / (double)tokens);
    return 0;
}
