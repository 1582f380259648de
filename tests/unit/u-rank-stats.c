/*
 * u-rank-stats.c - the statistics of bs-rank against SciPy and statsmodels
 * (tests/golden/make-rank.py), and their edges.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd/models/rank_stats.h"
#include "cmd/models/stats.h"
#include "tests/unit/tap.h"

enum { NUMBERS_MAX = 200 };

static bool
near(double got, double want)
{
    if (isnan(want))
        return isnan(got);
    if (fabs(got - want) <= 1e-9 * fmax(fabs(want), 1e-3))
        return true;
    printf("# got %.17g, wanted %.17g\n", got, want);
    return false;
}

/* Numbers up to a '=' or the line's end; returns how many. */
static size_t
numbers(char **at, double *out)
{
    size_t n = 0;
    char *end;

    while (n < NUMBERS_MAX) {
        out[n] = strtod(*at, &end);
        if (end == *at)
            break;
        *at = end;
        n++;
    }
    *at += strspn(*at, " =");
    return n;
}

static bool
same_correlation(const double *given, size_t n, const double *want)
{
    struct bs_correlation p, s;
    struct bs_err e = {0};
    size_t used, half = (n - 1) / 2;

    return bs_correlate(given + 1, given + 1 + half, half, given[0], &used, &p,
                        &s, &e) == 0 &&
           near((double)used, want[0]) && near(p.r, want[1]) &&
           near(p.lo, want[2]) && near(p.hi, want[3]) && near(p.p, want[4]) &&
           near(s.r, want[5]) && near(s.lo, want[6]) && near(s.hi, want[7]) &&
           near(s.p, want[8]);
}

static bool
same_bh(double *given, size_t n, const double *want)
{
    struct bs_err e = {0};
    bool good = bs_q_values(given, given, NULL, n, BS_FDR_BH, &e) == 0;
    size_t i;

    for (i = 0; i < n; i++)
        good = near(given[i], want[i]) && good;
    return good;
}

static void
check_line(char *line)
{
    double x[NUMBERS_MAX], want[NUMBERS_MAX];
    size_t len = strcspn(line, " "), n;
    char *at = line + len;
    bool good = false;

    n = numbers(&at, x);
    (void)numbers(&at, want);
    line[len] = '\0';
    if (strcmp(line, "t") == 0)
        good = near(bs_t_upper(x[0], x[1]), want[0]);
    else if (strcmp(line, "normal") == 0)
        good = near(bs_normal_quantile(x[0]), want[0]);
    else if (strcmp(line, "tost") == 0)
        good = near(bs_tost(x[0], x[1], (uint64_t)x[2], x[3]), want[0]);
    else if (strcmp(line, "bh") == 0)
        good = same_bh(x, n, want);
    else if (strcmp(line, "correlation") == 0)
        good = same_correlation(x, n, want);
    ok(good, "%s of %zu numbers from %g", line, n, x[0]);
}

static void
golden(void)
{
    char path[4096], line[16384];
    FILE *f;

    snprintf(path, sizeof path, "%s/tests/golden/rank/stats.tsv",
             getenv("BS_SRC"));
    f = fopen(path, "r");
    if (!ok(f != NULL, "golden numbers are there"))
        return;
    while (fgets(line, sizeof line, f) != NULL)
        check_line(line);
    fclose(f);
}

static void
edges(void)
{
    static const double flat[] = {2, 2, 2, 2}, up[] = {1, 2, 3, 4};
    static const double none[] = {NAN, NAN, NAN, NAN};
    struct bs_correlation p, s;
    struct bs_err e = {0};
    size_t used;

    ok(bs_correlate(flat, up, 4, 0.95, &used, &p, &s, &e) == 0 && isnan(p.r) &&
           isnan(s.r) && isnan(p.lo),
       "no correlation with a constant");
    ok(bs_correlate(up, none, 4, 0.95, &used, &p, &s, &e) == 0 && used == 0 &&
           isnan(p.r) && isnan(p.p),
       "nor where nothing is known");
    ok(bs_correlate(up, up, 4, 0.95, &used, &p, &s, &e) == 0 && p.r == 1 &&
           p.lo == 1 && p.hi == 1 && p.p == 0 && s.r == 1,
       "a perfect one");
    ok(bs_tost(0, 0, 10, 0.1) == 0 && bs_tost(0.2, 0, 10, 0.1) == 1,
       "equivalence without variance");
    ok(isnan(bs_tost(NAN, 1, 10, 1)) && isnan(bs_tost(0, 1, 1, 1)),
       "equivalence of the unknown");
    ok(bs_t_upper(INFINITY, 5) == 0 && bs_t_upper(-INFINITY, 5) == 1 &&
           bs_t_upper(1e200, 5) == 0 && isnan(bs_t_upper(NAN, 5)),
       "tails without end");
    ok(bs_q_values(NULL, NULL, NULL, 0, BS_FDR_BH, &e) == 0, "no p-values");
}

int
main(void)
{
    golden();
    edges();
    return tap_done();
}
