/*
 * energy_concept.c - see energy_concept.h.
 */
#include "cmd/models/energy_concept.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/models/stats.h"

#define TOTAL_MAX ((uint64_t)1 << 62)

/* ---- merging --------------------------------------------------------------
 */

static bool
take(struct bs_energy_pairs *p, int side, const struct bs_energy_entry *entry)
{
    *(side == 0 ? &p->real[p->n] : &p->gen[p->n]) = entry->energy;
    p->tokens[side] += entry->fires;
    p->images[side]++;
    p->total[side] += (uint64_t)entry->energy;
    return p->total[0] < TOTAL_MAX && p->total[1] < TOTAL_MAX &&
           p->total[0] + p->total[1] < TOTAL_MAX;
}

bool
bs_energy_merge(struct bs_energy_pairs *p, const struct bs_energy_entry *real,
                size_t reals, const struct bs_energy_entry *gen, size_t gens,
                const size_t *partner)
{
    size_t i = 0, j = 0;

    p->n = 0;
    memset(p->tokens, 0, sizeof p->tokens);
    memset(p->images, 0, sizeof p->images);
    memset(p->total, 0, sizeof p->total);
    while (i < reals || j < gens) {
        bool left = j == gens || (i < reals && real[i].at <= gen[j].at);
        bool right = i == reals || (j < gens && gen[j].at <= real[i].at);
        uint32_t at = left ? real[i].at : gen[j].at;

        if (partner[at] != SIZE_MAX) {
            p->at[p->n] = at;
            p->real[p->n] = p->gen[p->n] = 0;
            if ((left && !take(p, 0, &real[i])) ||
                (right && !take(p, 1, &gen[j])))
                return false;
            p->n++;
        }
        i += left;
        j += right;
    }
    return true;
}

/* ---- means and their errors -----------------------------------------------
 */

/* Both means and what their spread says, in values; n counts the pairs where
 * nothing fires, too. */
struct moments {
    double n, unit;
    double real, gen, raw, rel;
    double range;             /* largest energy seen */
    double var_real, var_gen; /* over n */
    double var_raw;           /* of the differences, over n */
    double raw_se, rel_se;
};

/* The mean of squared deviations where `fired` of n values deviate as summed
 * in squares, and the others are 0. */
static double
variance(double squares, double fired, double mean, double n)
{
    return (squares + (n - fired) * mean * mean) / n;
}

/* 2 (A y - B x) / (A + B)^2: how much a pair moves the relative difference. */
static double
relative_influence(const struct moments *m, double x, double y)
{
    double sum = m->real + m->gen;

    return 2 * (m->real * y - m->gen * x) / (sum * sum);
}

static void
spread(struct moments *m, const struct bs_energy_pairs *p)
{
    double real = 0, gen = 0, raw = 0, rel = 0, fired = (double)p->n;
    size_t i;

    for (i = 0; i < p->n; i++) {
        double x = (double)p->real[i] * m->unit,
               y = (double)p->gen[i] * m->unit;
        double dx = x - m->real, dy = y - m->gen;
        double draw = (double)(p->gen[i] - p->real[i]) * m->unit - m->raw;
        double drel = relative_influence(m, x, y);

        real += dx * dx;
        gen += dy * dy;
        raw += draw * draw;
        rel += drel * drel;
        m->range = fmax(m->range, fmax(x, y));
    }
    m->var_real = variance(real, fired, m->real, m->n);
    m->var_gen = variance(gen, fired, m->gen, m->n);
    m->var_raw = variance(raw, fired, m->raw, m->n);
    m->raw_se = sqrt(m->var_raw / (m->n - 1));
    m->rel_se = p->n > 0 ? sqrt(rel / (m->n - 1) / m->n) : NAN;
    if (m->n < 2)
        m->raw_se = m->rel_se = NAN;
}

static struct moments
moments_of(const struct bs_energy_pairs *p, size_t pairs, double unit)
{
    struct moments m = {.n = (double)pairs, .unit = unit};
    int64_t raw = (int64_t)p->total[1] - (int64_t)p->total[0];

    m.real = (double)p->total[0] * unit / m.n;
    m.gen = (double)p->total[1] * unit / m.n;
    m.raw = (double)raw * unit / m.n;
    m.rel = p->total[0] + p->total[1] > 0
                ? (double)raw / (double)(p->total[0] + p->total[1])
                : NAN;
    spread(&m, p);
    return m;
}

/* ---- intervals ------------------------------------------------------------
 */

static double
form_of(const struct bs_energy_config *c, const struct moments *m)
{
    return c->form == BS_FORM_RAW ? m->raw : m->rel;
}

static double
form_se(const struct bs_energy_config *c, const struct moments *m)
{
    return c->form == BS_FORM_RAW ? m->raw_se : m->rel_se;
}

/* The relative difference lies in -1..1. */
static double
squash(const struct bs_energy_config *c, double form)
{
    if (c->form == BS_FORM_RELATIVE)
        form = fmin(fmax(form, -1), 1);
    return bs_sigmoid(form / c->temperature);
}

double
bs_energy_delta(const struct bs_energy_config *c, double real, double gen)
{
    double form = gen - real;

    if (c->form == BS_FORM_RELATIVE)
        form = real + gen > 0 ? form / (real + gen) : NAN;
    return isnan(form) ? NAN : squash(c, form);
}

/* Half width of delta in the relative form: the means of both sides within
 * theirs, each at half the error; the ratio is monotone in both. */
static double
relative_half(const struct bs_energy_config *c, const struct moments *m,
              double half_real, double half_gen)
{
    double lo =
        bs_energy_delta(c, m->real + half_real, fmax(m->gen - half_gen, 0));
    double hi =
        bs_energy_delta(c, fmax(m->real - half_real, 0), m->gen + half_gen);
    double delta = bs_energy_delta(c, m->real, m->gen);

    return isnan(delta) ? NAN : fmax(delta - lo, hi - delta);
}

static double
mcdiarmid(const struct bs_energy_config *c, const struct moments *m)
{
    double half;

    if (c->form == BS_FORM_RAW)
        return bs_mcdiarmid(m->n, m->range, c->temperature, c->level);
    half = bs_hoeffding_mean(m->n, m->range, (1 + c->level) / 2);
    return relative_half(c, m, half, half);
}

static double
bernstein(const struct bs_energy_config *c, const struct moments *m)
{
    double level = (1 + c->level) / 2;

    if (c->form == BS_FORM_RAW)
        return bs_bernstein(m->n, m->var_raw, m->range, c->temperature,
                            c->level);
    return relative_half(c, m,
                         bs_bernstein_mean(m->n, m->var_real, m->range, level),
                         bs_bernstein_mean(m->n, m->var_gen, m->range, level));
}

/* Percentiles of delta over resamples of the pairs with weights of mean 1. */
static void
bootstrap(double *lo, double *hi, const struct bs_energy_common *common,
          const double *weights, struct bs_energy_scratch *s)
{
    const struct bs_energy_config *c = common->config;
    const struct bs_energy_pairs *p = &s->pairs;
    size_t n = c->bootstrap, i, b, kept = 0;
    double unit = bs_energy_unit(c->pooling);
    double *real = s->resampled, *gen = real + n, *delta = gen + n;

    memset(real, 0, 2 * n * sizeof *real);
    for (i = 0; i < p->n; i++) {
        const uint8_t *w = common->weight + p->at[i] * n;
        double x = (double)p->real[i] * unit, y = (double)p->gen[i] * unit;

        for (b = 0; b < n; b++) {
            real[b] += w[b] * x;
            gen[b] += w[b] * y;
        }
    }
    for (b = 0; b < n; b++) {
        double d =
            bs_energy_delta(c, real[b] / weights[b], gen[b] / weights[b]);

        if (!isnan(d)) /* a resample without the concept says nothing */
            delta[kept++] = d;
    }
    *lo = *hi = NAN;
    if (kept == 0)
        return;
    qsort(delta, kept, sizeof *delta, bs_compare_doubles);
    *lo = bs_quantile_sorted(delta, kept, (1 - c->level) / 2);
    *hi = bs_quantile_sorted(delta, kept, (1 + c->level) / 2);
}

static void
interval(struct bs_energy_table *t, size_t k, const struct bs_energy_config *c,
         const struct moments *m)
{
    double z = bs_normal_quantile((1 + c->level) / 2);
    double delta = t->column[BS_E_DELTA][k], half, lo, hi;

    switch (c->interval) {
    case BS_INTERVAL_BOOTSTRAP:
        lo = t->column[BS_E_BOOT_LO][k];
        hi = t->column[BS_E_BOOT_HI][k];
        break;
    case BS_INTERVAL_BERNSTEIN:
    case BS_INTERVAL_MCDIARMID:
        half =
            t->column[c->interval == BS_INTERVAL_BERNSTEIN ? BS_E_BERNSTEIN
                                                           : BS_E_MCDIARMID][k];
        lo = delta - half < 0 ? 0 : delta - half;
        hi = delta + half > 1 ? 1 : delta + half;
        break;
    default:
        half = z * form_se(c, m);
        lo = isnan(half) ? NAN : squash(c, form_of(c, m) - half);
        hi = isnan(half) ? NAN : squash(c, form_of(c, m) + half);
    }
    t->column[BS_E_LO][k] = lo;
    t->column[BS_E_HI][k] = hi;
}

/* ---- tests ----------------------------------------------------------------
 */

/* Sum and norm of the differences, those that are 0 left out. */
static struct bs_differences
differences(struct bs_energy_scratch *s, const struct bs_energy_pairs *p,
            int64_t *total, double *norm)
{
    struct bs_differences d = {s->at, s->diff, 0};
    double squares = 0;
    size_t i;

    *total = 0;
    for (i = 0; i < p->n; i++) {
        int64_t diff = p->gen[i] - p->real[i];

        if (diff == 0)
            continue;
        s->at[d.n] = p->at[i];
        s->diff[d.n++] = diff;
        *total += diff;
        squares += (double)diff * (double)diff;
    }
    *norm = sqrt(squares);
    return d;
}

static double
test(double *p_value, double *most, const struct bs_energy_common *c,
     const struct bs_energy_pairs *p, struct bs_energy_scratch *s)
{
    int64_t total;
    double norm;
    struct bs_differences d = differences(s, p, &total, &norm);
    size_t i;

    *p_value = 1;
    if (d.n == 0)
        return 0;
    bs_flips_sums(c->flips, &d, s->sums);
    *p_value = bs_flips_p(c->flips, &d, s->sums, total, norm);
    for (i = 0; most != NULL && i < c->flips->count; i++)
        most[i] = fmax(most[i], fabs((double)s->sums[i]) / norm);
    return fabs((double)total) / norm;
}

/* ---- a row ----------------------------------------------------------------
 */

double
bs_energy_concept(struct bs_energy_table *t, size_t k, double *most,
                  const struct bs_energy_common *common, const double *weights,
                  struct bs_energy_scratch *s)
{
    const struct bs_energy_config *c = common->config;
    const struct bs_energy_pairs *p = &s->pairs;
    struct moments m = moments_of(p, t->pairs, bs_energy_unit(c->pooling));

    t->column[BS_E_REAL][k] = m.real;
    t->column[BS_E_GEN][k] = m.gen;
    t->column[BS_E_RAW][k] = m.raw;
    t->column[BS_E_REL][k] = m.rel;
    t->column[BS_E_RAW_SE][k] = m.raw_se;
    t->column[BS_E_REL_SE][k] = m.rel_se;
    t->column[BS_E_DELTA][k] = bs_energy_delta(c, m.real, m.gen);
    t->column[BS_E_MCDIARMID][k] = mcdiarmid(c, &m);
    t->column[BS_E_BERNSTEIN][k] = bernstein(c, &m);
    t->column[BS_E_BOOT_LO][k] = t->column[BS_E_BOOT_HI][k] = NAN;
    if (c->bootstrap > 0)
        bootstrap(&t->column[BS_E_BOOT_LO][k], &t->column[BS_E_BOOT_HI][k],
                  common, weights, s);
    interval(t, k, c, &m);
    t->count[BS_E_REAL_TOKENS][k] = p->tokens[0];
    t->count[BS_E_GEN_TOKENS][k] = p->tokens[1];
    t->count[BS_E_REAL_IMAGES][k] = p->images[0];
    t->count[BS_E_GEN_IMAGES][k] = p->images[1];
    t->column[BS_E_P][k] = 1;
    if (p->n < c->min_images || p->n == 0)
        return -1;
    return test(&t->column[BS_E_P][k], most, common, p, s);
}

/* ---- contrasts ------------------------------------------------------------
 */

/* How much a pair moves delta. */
static double
influence(const struct bs_energy_config *c, const struct moments *m, double x,
          double y)
{
    double delta = squash(c, form_of(c, m));
    double slope = delta * (1 - delta) / c->temperature;

    return slope * (c->form == BS_FORM_RAW ? y - x - m->raw
                                           : relative_influence(m, x, y));
}

/* Of delta_a - delta_b: from how much each pair moves the difference. */
static double
contrast_se(const struct bs_energy_config *c, const struct moments *ma,
            const struct moments *mb, const struct bs_energy_pairs *a,
            const struct bs_energy_pairs *b)
{
    double squares = 0, none = influence(c, ma, 0, 0) - influence(c, mb, 0, 0);
    double fired = 0;
    size_t i = 0, j = 0;

    for (; i < a->n || j < b->n; fired++) {
        bool left = j == b->n || (i < a->n && a->at[i] <= b->at[j]);
        bool right = i == a->n || (j < b->n && b->at[j] <= a->at[i]);
        double x = ma->unit * (double)(left ? a->real[i] : b->real[j]);
        double ya = left ? ma->unit * (double)a->gen[i] : 0;
        double yb = right ? mb->unit * (double)b->gen[j] : 0;
        double h = influence(c, ma, x, ya) - influence(c, mb, x, yb);

        squares += h * h;
        i += left;
        j += right;
    }
    squares += (ma->n - fired) * none * none;
    return ma->n < 2 ? NAN : sqrt(squares / (ma->n - 1) / ma->n);
}

void
bs_energy_contrast(struct bs_contrast_table *t, size_t k,
                   const struct bs_energy_common *common,
                   struct bs_energy_scratch *s)
{
    const struct bs_energy_config *c = common->config;
    double unit = bs_energy_unit(c->pooling);
    struct moments a = moments_of(&s->pairs, t->pairs, unit);
    struct moments b = moments_of(&s->others, t->pairs, unit);
    double z = bs_normal_quantile((1 + c->level) / 2);
    double difference =
        bs_energy_delta(c, a.real, a.gen) - bs_energy_delta(c, b.real, b.gen);
    double se = contrast_se(c, &a, &b, &s->pairs, &s->others);

    t->column[BS_C_DIFFERENCE][k] = difference;
    t->column[BS_C_SE][k] = se;
    t->column[BS_C_LO][k] = difference - z * se;
    t->column[BS_C_HI][k] = difference + z * se;
    test(&t->column[BS_C_P][k], NULL, common, &s->between, s);
}
