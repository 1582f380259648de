/*
 * u-krylov.c - the largest eigenvalues of operators whose own are known; equal
 * ones, few, none; restarts; threads; and principal angles.
 */
#include "kernels/krylov.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/rng.h"
#include "kernels/angles.h"
#include "tests/unit/tap.h"

enum { P = BS_PANEL };

static struct bs_pool *pool;

/* A = H diag(value) H with H = 1 - 2 h h^T: its vectors are H's rows. */
struct mirror {
    size_t n;
    const double *value, *h;
    size_t fail; /* the product that fails, 0 for none */
    size_t products;
};

static void
reflect(const struct mirror *m, double *y)
{
    double s[P] = {0};
    size_t i, j;

    for (i = 0; i < m->n; i++)
        for (j = 0; j < P; j++)
            s[j] += m->h[i] * y[i * P + j];
    for (i = 0; i < m->n; i++)
        for (j = 0; j < P; j++)
            y[i * P + j] -= 2 * m->h[i] * s[j];
}

static int
multiply(void *arg, const double *x, double *y, struct bs_err *e)
{
    struct mirror *m = arg;
    size_t i, j;

    if (++m->products == m->fail)
        return bs_err_set(e, BS_EX_TEMPFAIL, "ended early");
    memcpy(y, x, m->n * P * sizeof *y);
    reflect(m, y);
    for (i = 0; i < m->n; i++)
        for (j = 0; j < P; j++)
            y[i * P + j] *= m->value[i];
    reflect(m, y);
    return 0;
}

static double *
doubles(size_t n)
{
    double *x = bs_alloc_array(n, sizeof *x);

    if (x == NULL)
        exit(1);
    return x;
}

static double *
unit_vector(size_t n)
{
    double *h = doubles(n), sum = 0;
    struct bs_rng rng;
    size_t i;

    bs_rng_init(&rng, 1, n, 0);
    for (i = 0; i < n; i++) {
        h[i] = bs_rng_normal(&rng);
        sum += h[i] * h[i];
    }
    for (i = 0; i < n; i++)
        h[i] /= sqrt(sum);
    return h;
}

/* What was found against the values (descending) and, where they are apart, the
 * vectors; orthonormal, signs fixed, residuals as promised. */
static int
good_pairs(const struct bs_krylov *k, const struct mirror *m)
{
    double top = k->found > 0 ? k->value[0] : 1;
    size_t i, j, l;
    int good = 1;

    for (i = 0; i < k->found; i++) {
        const double *v = k->vector + i * k->n;
        double along = -2 * m->h[i], largest = 0;

        good &= fabs(k->value[i] - m->value[i]) <= 1e-12 * top;
        good &= k->residual[i] <= 2 * k->tolerance * k->value[i] ||
                k->residual[i] <= 1e-12 * top;
        for (j = 0; j < k->n; j++)
            if (fabs(v[j]) > fabs(largest))
                largest = v[j];
        good &= largest > 0;
        for (l = 0; l <= i; l++) {
            double dot = 0;

            for (j = 0; j < k->n; j++)
                dot += v[j] * k->vector[l * k->n + j];
            good &= fabs(dot - (i == l)) <= 1e-10;
        }
        for (along = 0, j = 0; j < k->n; j++)
            along += v[j] * ((j == i) - 2 * m->h[i] * m->h[j]);
        if (i + 1 < m->n && (i == 0 || m->value[i - 1] > m->value[i] * 1.001) &&
            m->value[i] > m->value[i + 1] * 1.001)
            good &= fabs(along) >= 1 - 1e-9;
    }
    return good;
}

static void
solve(const char *title, const double *value, size_t n, size_t wanted,
      size_t found, size_t fewest, size_t most)
{
    double *h = unit_vector(n);
    struct mirror m = {.n = n, .value = value, .h = h};
    struct bs_krylov k = {.n = n, .wanted = wanted, .tolerance = 1e-9};
    struct bs_err e = {0};
    int r = bs_krylov_solve(&k, multiply, &m, pool, &e);

    ok(r == 0 && k.found == found && k.converged == found && good_pairs(&k, &m),
       "%s: %zu of %zu found, %zu converged %s", title, k.found, found,
       k.converged, e.text);
    ok(k.products == m.products && m.products >= fewest && m.products <= most,
       "%s: %zu products, %zu to %zu", title, m.products, fewest, most);
    bs_krylov_release(&k);
    bs_free(h);
}

static void
spectra(void)
{
    double *value = doubles(3000);
    size_t i;

    for (i = 0; i < 3000; i++)
        value[i] = 1 / (double)(i + 1);
    solve("1/i", value, 3000, 30, 30, 5, 40);
    for (i = 0; i < 3000; i++)
        value[i] = 1e9 * pow((double)(i + 1), -0.3);
    solve("a slow fall, restarts", value, 3000, 20, 20, 20, 400);
    for (i = 0; i < 3000; i++)
        value[i] = i < 40 ? 5 - floor((double)i / 8) : 0.1;
    solve("eight equal ones", value, 3000, 40, 40, 5, 30);
    for (i = 0; i < 3000; i++)
        value[i] = 7;
    solve("all equal", value, 3000, 20, 20, 5, 30);
    for (i = 0; i < 3000; i++)
        value[i] = i < 13 ? 1e-7 * (double)(20 - i) : 0;
    solve("13 and then 0", value, 3000, 50, 13, 2, 12);
    memset(value, 0, 3000 * sizeof *value);
    solve("0", value, 3000, 5, 0, 1, 5);
    value[0] = 3;
    solve("one", value, 3000, 5, 1, 2, 8);
    solve("one row", value, 1, 5, 1, 2, 8);
    for (i = 0; i < 3000; i++)
        value[i] = 100 - (double)i;
    solve("more than there are", value, 50, 1000, 50, 8, 30);
    solve("fewer rows than a panel", value, 5, 3, 3, 2, 9);
    bs_free(value);
}

/* The same bits on one thread and on five; a product that fails. */
static void
threads(void)
{
    double *value = doubles(1500), *h = unit_vector(1500);
    struct mirror m = {.n = 1500, .value = value, .h = h};
    struct bs_krylov a = {.n = 1500, .wanted = 20, .tolerance = 1e-9}, b = a;
    struct bs_pool *many;
    struct bs_err e = {0};
    size_t i;
    int bad = bs_pool_open(&many, 5, &e);

    for (i = 0; i < 1500; i++)
        value[i] = pow(0.98, (double)i);
    bad |= bs_krylov_solve(&a, multiply, &m, pool, &e);
    bad |= bs_krylov_solve(&b, multiply, &m, many, &e);
    ok(bad == 0 && a.found == b.found && a.products == b.products &&
           memcmp(a.value, b.value, a.found * sizeof *a.value) == 0 &&
           memcmp(a.residual, b.residual, a.found * sizeof *a.value) == 0 &&
           memcmp(a.vector, b.vector, a.found * a.n * sizeof *a.vector) == 0,
       "five threads, the same bits %s", e.text);
    bs_krylov_release(&a);
    bs_krylov_release(&b);
    for (i = 1; i < 12; i += 5) {
        m.products = 0;
        m.fail = i;
        memset(&e, 0, sizeof e);
        ok(bs_krylov_solve(&a, multiply, &m, pool, &e) == -BS_EX_TEMPFAIL &&
               strcmp(e.text, "ended early") == 0,
           "product %zu fails: %s", i, e.text);
        bs_krylov_release(&a);
    }
    a.n = 0;
    ok(bs_krylov_solve(&a, multiply, &m, pool, &e) == 0 && a.found == 0,
       "no rows");
    bs_pool_close(many);
    bs_free(value);
    bs_free(h);
}

/* ---- angles --------------------------------------------------------------
 */

/* Rows e_i, and e_i turned by angle[i] towards e_(a+i). */
static void
turned(const double *angle, size_t a, size_t b)
{
    size_t n = a + b + 3, least = a < b ? a : b, i, j;
    double *u = doubles(a * n), *v = doubles(b * n), *got = doubles(least);
    double *cosine = doubles(a * b), worst = 0;
    struct bs_err e = {0};
    int r;

    for (i = 0; i < a; i++)
        u[i * n + i] = 1;
    for (i = 0; i < b; i++) {
        if (i < a)
            v[i * n + i] = cos(angle[i]);
        v[i * n + a + i] = i < a ? sin(angle[i]) : 1;
    }
    r = bs_principal_angles(u, a, v, b, n, got, cosine, &e);
    for (i = 0; i < least; i++)
        worst = fmax(worst, fabs(got[i] - angle[i]) / fmax(angle[i], 1e-4));
    for (i = 0; i < a; i++)
        for (j = 0; j < b; j++)
            worst = fmax(
                worst, fabs(cosine[i * b + j] - (i == j ? cos(angle[i]) : 0)));
    ok(r == 0 && worst < 1e-11, "%zu and %zu rows: to %.1e", a, b, worst);
    bs_free(u);
    bs_free(v);
    bs_free(got);
    bs_free(cosine);
}

int
main(void)
{
    static const double angle[] = {0,   1e-12, 3e-8, 1e-5,
                                   0.1, 0.78,  1.2,  1.5707963267948966};
    struct bs_err e = {0};

    if (bs_pool_open(&pool, 1, &e) < 0)
        return 1;
    spectra();
    threads();
    turned(angle, 8, 8);
    turned(angle, 5, 8);
    turned(angle, 8, 6);
    turned(angle, 1, 1);
    turned(angle, 0, 0);
    turned(angle, 3, 0);
    bs_pool_close(pool);
    return tap_done();
}
