/*
 * u-stats.c - quantiles, bounds, q-values; sign flips against all signs and
 * against plain sums.
 */
#include "cmd/models/sign_flip.h"
#include "cmd/models/stats.h"
#include "common/mem.h"
#include "common/rng.h"
#include "formats/safetensors.h"
#include "tests/unit/tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int
near(double got, double want, double tolerance)
{
    return fabs(got - want) <= tolerance * fmax(1, fabs(want));
}

static void
normal(void)
{
    ok(near(bs_normal_quantile(0.975), 1.959963984540054, 1e-14), "z of 0.975");
    ok(near(bs_normal_quantile(0.5), 0, 1e-14), "z of 0.5");
    ok(near(bs_normal_quantile(1e-12), -7.034483825301131, 1e-13),
       "z of 1e-12");
    ok(near(bs_normal_upper(1.959963984540054), 0.025, 1e-14), "and back");
    ok(bs_sigmoid(-800) == 0 && bs_sigmoid(800) == 1 && bs_sigmoid(0) == 0.5,
       "sigmoid at the ends");
}

/* The figures of the fact sheet: n = 400 and 10,000. */
static void
bounds(void)
{
    ok(near(2 * exp(-8 * 400 * pow(bs_mcdiarmid(400, 1, 1, 0.95), 2)), 0.05,
            1e-12),
       "McDiarmid: the bound at its half width is the error");
    ok(near(bs_mcdiarmid(10000, 5, 1, 0.95), 0.03395245, 1e-7),
       "McDiarmid: n = 10,000, range 5");
    ok(near(bs_bernstein(10000, 0.01, 5, 1, 0.95),
            (sqrt(2 * 0.01 * log(60) / 1e4) + 30 * log(60) / 1e4) / 4, 1e-14),
       "empirical Bernstein");
    ok(near(bs_hoeffding_mean(100, 2, 0.95), 2 * sqrt(log(40) / 200), 1e-14),
       "Hoeffding");
}

/* Against statsmodels. */
static void
q_values(void)
{
    const char *src = getenv("BS_SRC");
    struct bs_safetensors *s;
    struct bs_err e = {0};
    char path[1000];
    const struct bs_tensor *p, *bh, *by;
    double q[40], none[3] = {0.5, 0.01, 0.02};
    bool tested[3] = {true, false, true};
    size_t i;
    int good[2] = {1, 1};

    snprintf(path, sizeof path, "%s/tests/golden/energy/want.safetensors",
             src != NULL ? src : ".");
    if (!ok(bs_safetensors_open(&s, path, &e) == 0, "golden file %s", e.text))
        return;
    p = bs_safetensors_find(s, "p");
    bh = bs_safetensors_find(s, "bh");
    by = bs_safetensors_find(s, "by");
    for (i = 0; i < 2; i++) {
        const double *want = i == 0 ? bh->data : by->data;
        size_t k;

        if (bs_q_values(q, p->data, NULL, 40, i == 0 ? BS_FDR_BH : BS_FDR_BY,
                        &e) < 0)
            good[i] = 0;
        for (k = 0; k < 40; k++)
            good[i] &= near(q[k], want[k], 1e-12);
    }
    ok(good[0], "Benjamini and Hochberg, with ties");
    ok(good[1], "Benjamini and Yekutieli");
    ok(bs_q_values(q, none, tested, 3, BS_FDR_BH, &e) == 0 && q[1] == 1 &&
           near(q[2], 0.04, 1e-15) && near(q[0], 0.5, 1e-15),
       "what is not tested counts for nothing");
    bs_safetensors_close(s);
}

static void
quantiles(void)
{
    const double v[] = {1, 2, 4, 8};

    ok(bs_quantile_sorted(v, 4, 0) == 1 && bs_quantile_sorted(v, 4, 1) == 8 &&
           bs_quantile_sorted(v, 4, 0.5) == 3 &&
           near(bs_quantile_sorted(v, 4, 0.9), 6.8, 1e-15),
       "quantiles, linear between values");
}

/* ---- sign flips -----------------------------------------------------------
 */

enum { PAIRS = 300, FLIPS = 200 };

static struct bs_flips
flips_of(uint64_t seed)
{
    struct bs_flips f = {0};
    struct bs_err e = {0};
    char key[20];
    size_t i;

    if (bs_flips_make(&f, PAIRS, FLIPS, &e) < 0)
        exit(1);
    for (i = 0; i < PAIRS; i++) {
        snprintf(key, sizeof key, "pair/%zu", i);
        bs_flips_set(&f, i, seed, key);
    }
    return f;
}

static void
flip_sums(void)
{
    struct bs_flips f = flips_of(3);
    uint32_t at[PAIRS];
    int64_t diff[PAIRS], sums[FLIPS + 64];
    struct bs_rng r;
    size_t n, i, p, ones = 0;
    int good = 1;

    bs_rng_init(&r, 1, 1, 0);
    for (n = 0; n <= 33; n++) {
        struct bs_differences d = {at, diff, n};

        for (i = 0; i < n; i++) {
            at[i] = (uint32_t)(i * 9);
            diff[i] = (int64_t)(bs_rng_u64(&r) >> 10) * (i % 2 ? 1 : -1);
        }
        bs_flips_sums(&f, &d, sums);
        for (p = 0; p < FLIPS; p++) {
            int64_t sum = 0;

            for (i = 0; i < n; i++) {
                uint64_t word = f.bits[at[i] * f.words + p / 64];

                sum += word >> p % 64 & 1 ? -diff[i] : diff[i];
            }
            good &= sums[p] == sum;
        }
    }
    ok(good, "sums of 0 to 33 differences under %d flips, exactly", FLIPS);
    for (i = 0; i < PAIRS * f.words; i++)
        ones += (size_t)__builtin_popcountll(f.bits[i]);
    ok(near((double)ones, 32.0 * PAIRS * (double)f.words,
            4 / sqrt(64.0 * PAIRS * (double)f.words)),
       "half of the signs are minus: %zu of %zu", ones, 64 * PAIRS * f.words);
    bs_flips_release(&f);
}

/* All 2^n signs, plainly. */
static double
all_signs(const int64_t *diff, size_t n, int64_t observed)
{
    uint64_t signs, count = 0;
    size_t i;

    for (signs = 0; signs < (uint64_t)1 << n; signs++) {
        int64_t sum = 0;

        for (i = 0; i < n; i++)
            sum += signs >> i & 1 ? -diff[i] : diff[i];
        count += llabs(sum) >= llabs(observed);
    }
    return (double)count / (double)((uint64_t)1 << n);
}

static void
flip_p(void)
{
    struct bs_flips f = flips_of(4);
    int64_t diff[20], sums[FLIPS + 64], observed = 0;
    uint32_t at[20];
    double norm = 0, p, exact;
    struct bs_differences d = {at, diff, 0};
    size_t i;
    int good = 1;

    for (i = 0; i < 20; i++) {
        at[i] = (uint32_t)i;
        diff[i] = (int64_t)(i * i % 7) - 2;
        d.n = i + 1;
        observed += diff[i];
        norm = sqrt(norm * norm + (double)(diff[i] * diff[i]));
        bs_flips_sums(&f, &d, sums);
        p = bs_flips_p(&f, &d, sums, observed, norm);
        exact = all_signs(diff, i + 1, observed);
        good &= d.n <= BS_FLIPS_EXACT
                    ? p == exact
                    : fabs(p - exact) < 4 * sqrt(exact / FLIPS) + 2.0 / FLIPS;
    }
    ok(good, "p: exact up to %d, then as good as the flips", BS_FLIPS_EXACT);
    for (i = 0; i < 20; i++)
        diff[i] = 5;
    d.n = 20;
    norm = 5 * sqrt(20);
    bs_flips_sums(&f, &d, sums);
    p = bs_flips_p(&f, &d, sums, 100, norm);
    ok(p >= 0x1p-19 && p <= 6.4 * bs_normal_upper(100 / norm) * 1.001,
       "far out: the bound, above the exact %g: %g", 0x1p-19, p);
    d.n = 0;
    ok(bs_flips_p(&f, &d, sums, 0, 0) == 1, "no difference: 1");
    bs_flips_release(&f);
}

int
main(void)
{
    normal();
    bounds();
    q_values();
    quantiles();
    flip_sums();
    flip_p();
    return tap_done();
}
