/*
 * scheduler_multistep.c - DPM-Solver (Lu et al. 2022) and UniPC (Zhao et al.
 * 2023): several past predictions extrapolate the next step.
 */
#include "cmd/models/scheduler_own.h"

#include <math.h>

/* How much image and noise a sample holds at a sigma, and the logarithm of
 * their ratio. */
struct level {
    float alpha, sigma, lambda;
};

static struct level
level_at(const struct bs_scheduler *s, size_t i)
{
    struct level l;
    float sigma = s->sigma[i];

    l.alpha = 1 / sqrtf(sigma * sigma + 1);
    l.sigma = sigma * l.alpha;
    l.lambda = logf(l.alpha) - logf(l.sigma);
    return l;
}

/* Keep what the prediction says of the image, or of the noise. */
static void
convert(struct bs_scheduler *s, const float *p, const float *sample, bool image)
{
    struct level l = level_at(s, s->at);
    enum bs_scheduler_predicts what = s->c.predicts;
    float *out;
    size_t i;

    bs_scheduler_keep(s, p);
    out = s->past[3];
    for (i = 0; i < s->n; i++)
        if (image)
            out[i] = what == BS_PREDICTS_NOISE
                         ? (sample[i] - l.sigma * p[i]) / l.alpha
                     : what == BS_PREDICTS_SAMPLE
                         ? p[i]
                         : l.alpha * sample[i] - l.sigma * p[i];
        else
            out[i] = what == BS_PREDICTS_NOISE ? p[i]
                     : what == BS_PREDICTS_SAMPLE
                         ? (sample[i] - l.alpha * p[i]) / l.sigma
                         : l.alpha * p[i] + l.sigma * sample[i];
}

/* ---- DPM-Solver -----------------------------------------------------------
 */

/* sample = x * sample + d[0] D0 + d[1] D1 + d[2] D2 + noise * noise */
struct update {
    float x, d[3], noise;
};

/* Factors of the derivatives, which order 1 has one of. */
static struct update
dpm_update(const struct bs_scheduler *s, size_t order)
{
    struct level t = level_at(s, s->at + 1), from = level_at(s, s->at);
    float h = t.lambda - from.lambda, g, m;
    bool mid = order == 2 && !s->c.heun;

    switch (s->c.algorithm) {
    case BS_DPMPP:
        g = expf(-h) - 1.0f;
        return (struct update){
            .x = t.sigma / from.sigma,
            .d = {-(t.alpha * g),
                  mid ? -(0.5f * (t.alpha * g)) : t.alpha * (g / h + 1.0f),
                  -(t.alpha * ((g + h) / (h * h) - 0.5f))},
        };
    case BS_DPM:
        g = expf(h) - 1.0f;
        return (struct update){
            .x = t.alpha / from.alpha,
            .d = {-(t.sigma * g),
                  mid ? -(0.5f * (t.sigma * g)) : -(t.sigma * (g / h - 1.0f)),
                  -(t.sigma * ((g - h) / (h * h) - 0.5f))},
        };
    case BS_SDE_DPMPP:
        m = 2.0f * h;
        g = 1.0f - expf(-m);
        return (struct update){
            .x = t.sigma / from.sigma * expf(-h),
            .d = {t.alpha * g,
                  mid ? 0.5f * (t.alpha * g) : t.alpha * (g / -m + 1.0f),
                  t.alpha * ((g - m) / (m * m) - 0.5f)},
            .noise = t.sigma * sqrtf(g),
        };
    default: /* BS_SDE_DPM */
        g = expf(h) - 1.0f;
        return (struct update){
            .x = t.alpha / from.alpha,
            .d = {-(2.0f * (t.sigma * g)),
                  mid ? -(t.sigma * g) : -(2.0f * (t.sigma * (g / h - 1.0f)))},
            .noise = t.sigma * sqrtf(expf(2.0f * h) - 1.0f),
        };
    }
}

/* The order of this step: few predictions at first, lower ones at the end. */
static size_t
dpm_order(const struct bs_scheduler *s)
{
    const struct bs_scheduler_config *c = &s->c;
    bool few = c->lower_final && s->count < 15;
    bool last = s->at + 1 == s->count;

    if (c->order == 1 || s->kept < 2 ||
        (last && (c->euler_final || few || c->final_zero)))
        return 1;
    return c->order == 2 || s->kept < 3 || (s->at + 2 == s->count && few) ? 2
                                                                          : 3;
}

void
bs_scheduler_dpm(struct bs_scheduler *s, const float *prediction,
                 const float *noise, float *sample)
{
    bool image = s->c.algorithm == BS_DPMPP || s->c.algorithm == BS_SDE_DPMPP;
    float ratio[2] = {0}, inverse[2] = {0}, share = 0, spread = 0;
    const float *m0, *m1, *m2;
    struct update u;
    size_t order, i, k;

    convert(s, prediction, sample, image);
    order = dpm_order(s);
    u = dpm_update(s, order);
    for (k = 0; k + 1 < order; k++) {
        float h = level_at(s, s->at + 1).lambda - level_at(s, s->at).lambda;

        ratio[k] = (level_at(s, s->at - k).lambda -
                    level_at(s, s->at - k - 1).lambda) /
                   h;
        inverse[k] = 1.0f / ratio[k];
    }
    if (order == 3) {
        share = ratio[0] / (ratio[0] + ratio[1]);
        spread = 1.0f / (ratio[0] + ratio[1]);
    }
    m0 = s->past[3], m1 = s->past[2], m2 = s->past[1];
    for (i = 0; i < s->n; i++) {
        float x = u.x * sample[i] + u.d[0] * m0[i];

        if (order == 2) {
            x += u.d[1] * (inverse[0] * (m0[i] - m1[i]));
        } else if (order == 3) {
            float near = inverse[0] * (m0[i] - m1[i]);
            float far = inverse[1] * (m1[i] - m2[i]);

            x += u.d[1] * (near + share * (near - far));
            x += u.d[2] * (spread * (near - far));
        }
        sample[i] =
            noise != NULL && bs_scheduler_noisy(s) ? x + u.noise * noise[i] : x;
    }
}

/* ---- UniPC ----------------------------------------------------------------
 */

/* One update from the level of `from` to that of `to`. */
struct unipc {
    float x, first, rest; /* factors of the sample, of m0, of the differences */
    float distance[BS_ORDER_MAX]; /* of past levels, and 1 */
    float rho[BS_ORDER_MAX];      /* factors among the differences */
};

/* Solve R rho = b with R[i][j] = distance[j]^i, n rows, by elimination. */
static void
solve(float rho[BS_ORDER_MAX], const float distance[BS_ORDER_MAX],
      const float *b, size_t n)
{
    float m[BS_ORDER_MAX][BS_ORDER_MAX + 1];
    size_t i, j, k;

    for (j = 0; j < n; j++)
        for (i = 0, m[0][j] = 1; i + 1 < n; i++)
            m[i + 1][j] = i == 0 ? distance[j] : m[i][j] * distance[j];
    for (i = 0; i < n; i++)
        m[i][n] = b[i];
    for (k = 0; k < n; k++) {
        size_t best = k;

        for (i = k + 1; i < n; i++)
            if (fabsf(m[i][k]) > fabsf(m[best][k]))
                best = i;
        for (j = 0; j <= n && best != k; j++) {
            float t = m[k][j];

            m[k][j] = m[best][j];
            m[best][j] = t;
        }
        for (i = k + 1; i < n; i++) {
            float f = m[i][k] / m[k][k];

            for (j = k; j <= n; j++)
                m[i][j] -= f * m[k][j];
        }
    }
    for (i = n; i-- > 0;) {
        rho[i] = m[i][n];
        for (j = i + 1; j < n; j++)
            rho[i] -= m[i][j] * rho[j];
        rho[i] /= m[i][i];
    }
}

/* The update of `order`, `back` evaluations ago; the corrector knows the
 * prediction at its end as well. */
static struct unipc
unipc_update(const struct bs_scheduler *s, size_t order, bool corrector)
{
    size_t to = corrector ? s->at : s->at + 1, i;
    struct level t = level_at(s, to), from = level_at(s, to - 1);
    float h = t.lambda - from.lambda, hh = s->c.predict_x0 ? -h : h;
    float phi_1 = expm1f(hh), phi = phi_1 / hh - 1, b[BS_ORDER_MAX];
    float scale = s->c.bh1 ? hh : phi_1;
    float outer = s->c.predict_x0 ? t.alpha : t.sigma, factorial = 1;
    struct unipc u = {
        .x = s->c.predict_x0 ? t.sigma / from.sigma : t.alpha / from.alpha,
        .first = outer * phi_1,
        .rest = outer * scale,
    };

    for (i = 0; i + 1 < order; i++)
        u.distance[i] = (level_at(s, to - 2 - i).lambda - from.lambda) / h;
    u.distance[order - 1] = 1;
    for (i = 0; i < order; i++) {
        b[i] = phi * factorial / scale;
        factorial *= (float)(i + 2);
        phi = phi / hh - (float)(1 / (double)factorial);
    }
    if (order == (corrector ? 1 : 2))
        u.rho[0] = 0.5f; /* the paper's simpler form */
    else
        solve(u.rho, u.distance, b, corrector ? order : order - 1);
    return u;
}

/* out = the sample at the end of the update; `end` is the prediction there, or
 * NULL, `past` the predictions before it, the last one first. */
static void
unipc_apply(const struct bs_scheduler *s, const struct unipc *u, size_t order,
            const float *const past[BS_ORDER_MAX], const float *end,
            const float *sample, float *out)
{
    size_t i, k;

    for (i = 0; i < s->n; i++) {
        float m0 = past[0][i], sum = 0;
        float x = u->x * sample[i] - u->first * m0;

        for (k = 0; k + 1 < order; k++)
            sum += u->rho[k] * ((past[k + 1][i] - m0) / u->distance[k]);
        if (end != NULL)
            sum += u->rho[order - 1] * (end[i] - m0);
        out[i] = x - u->rest * sum;
    }
}

void
bs_scheduler_unipc(struct bs_scheduler *s, const float *prediction,
                   float *sample)
{
    const struct bs_scheduler_config *c = &s->c;
    size_t left = s->count - s->at, order = c->order;
    bool off =
        s->at > 0 && s->at <= 32 && (c->corrector_off >> (s->at - 1) & 1) != 0;
    struct unipc u;

    convert(s, prediction, sample, c->predict_x0);
    if (s->at > 0 && !off) {
        u = unipc_update(s, s->order, true);
        unipc_apply(s, &u, s->order,
                    (const float *const[]){s->past[2], s->past[1], s->past[0]},
                    s->past[3], s->held, sample);
    }
    if (c->lower_final && order > left)
        order = left;
    if (order > s->kept)
        order = s->kept;
    memcpy(s->held, sample, s->n * sizeof *sample);
    u = unipc_update(s, order, false);
    unipc_apply(s, &u, order,
                (const float *const[]){s->past[3], s->past[2], s->past[1]},
                NULL, s->held, sample);
    s->order = order;
}
