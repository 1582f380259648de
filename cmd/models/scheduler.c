/*
 * scheduler.c - schedules: open, begin, and the steps of PNDM, DDIM and Euler.
 *
 * A step is a few scalars and one pass over the sample; each operation is
 * rounded to f32 in the order in which diffusers has it.
 */
#include "cmd/models/scheduler_own.h"

#include <math.h>

int
bs_scheduler_open(struct bs_scheduler **out, const struct bs_json *config,
                  const struct bs_scheduler_options *options, struct bs_err *e)
{
    struct bs_scheduler *s = bs_alloc_array(1, sizeof *s);
    int r;

    *out = NULL;
    if (s == NULL)
        return bs_err_memory(e, "scheduler", sizeof *s);
    r = bs_scheduler_configure(&s->c, config, options, e);
    if (r == 0)
        r = bs_scheduler_plan(s, e);
    if (r < 0) {
        bs_scheduler_close(s);
        return r;
    }
    *out = s;
    return 0;
}

void
bs_scheduler_close(struct bs_scheduler *s)
{
    if (s == NULL)
        return;
    bs_free(s->c.trained);
    bs_free(s->alpha);
    bs_free(s->time);
    bs_free(s->sigma);
    bs_free(s->room);
    bs_free(s);
}

size_t
bs_scheduler_count(const struct bs_scheduler *s)
{
    return s->count;
}

float
bs_scheduler_time(const struct bs_scheduler *s, size_t i)
{
    return s->time[i];
}

float
bs_scheduler_start(const struct bs_scheduler *s)
{
    float largest = 0;
    size_t i;

    if (s->c.class != BS_EULER)
        return 1;
    for (i = 0; i <= s->count; i++)
        largest = s->sigma[i] > largest ? s->sigma[i] : largest;
    return s->c.spacing == BS_SPACING_LEADING ? sqrtf(largest * largest + 1)
                                              : largest;
}

bool
bs_scheduler_noisy(const struct bs_scheduler *s)
{
    if (s->c.class == BS_DPM_SOLVER)
        return s->c.algorithm == BS_SDE_DPM || s->c.algorithm == BS_SDE_DPMPP;
    return s->c.eta > 0;
}

int
bs_scheduler_begin(struct bs_scheduler *s, size_t n, struct bs_err *e)
{
    size_t parts = BS_LEN(s->past) + 2, i;

    if (n != s->n) {
        bs_free(s->room);
        s->n = 0;
        s->room = n > SIZE_MAX / parts / sizeof(float)
                      ? NULL
                      : bs_alloc_array(parts * n, sizeof(float));
        if (s->room == NULL)
            return bs_err_memory(e, "scheduler", n);
        s->n = n;
        for (i = 0; i < BS_LEN(s->past); i++)
            s->past[i] = s->room + i * n;
        s->held = s->room + i * n;
        s->sum = s->room + (i + 1) * n;
    }
    s->at = s->kept = s->order = 0;
    return 0;
}

void
bs_scheduler_input(const struct bs_scheduler *s, const float *sample,
                   float *input)
{
    float root;
    size_t i;

    if (s->c.class != BS_EULER) {
        memcpy(input, sample, s->n * sizeof *input);
        return;
    }
    root = sqrtf(s->sigma[s->at] * s->sigma[s->at] + 1);
    for (i = 0; i < s->n; i++)
        input[i] = sample[i] / root;
}

void
bs_scheduler_keep(struct bs_scheduler *s, const float *prediction)
{
    size_t last = BS_LEN(s->past) - 1, i;
    float *oldest = s->past[0];

    for (i = 0; i < last; i++)
        s->past[i] = s->past[i + 1];
    s->past[last] = oldest;
    memcpy(oldest, prediction, s->n * sizeof *oldest);
    s->kept++;
}

/* The product of alphas up to a timestep; before the first, the last one. */
static float
alpha_at(const struct bs_scheduler *s, ptrdiff_t t, bool before)
{
    if (t >= 0)
        return s->alpha[t];
    return before ? s->alpha_last : s->alpha[t + (ptrdiff_t)s->c.train];
}

/* ---- PNDM -----------------------------------------------------------------
 */

/* Liu et al., formula 9: from t to `next` by the noise in `p`. */
static void
pndm_transfer(const struct bs_scheduler *s, const float *from, ptrdiff_t t,
              ptrdiff_t next, const float *p, float *sample)
{
    float a = alpha_at(s, t, false), b = alpha_at(s, next, true);
    float keep = sqrtf(b / a), root_a = sqrtf(a), root_1a = sqrtf(1 - a);
    float under = a * sqrtf(1 - b) + sqrtf(a * (1 - a) * b);
    bool v = s->c.predicts == BS_PREDICTS_V;
    size_t i;

    for (i = 0; i < s->n; i++) {
        float noise = v ? root_a * p[i] + root_1a * from[i] : p[i];

        sample[i] = keep * from[i] - (b - a) * noise / under;
    }
}

/* One of the four evaluations of a Runge-Kutta step. */
static void
pndm_prk(struct bs_scheduler *s, const float *p, float *sample)
{
    static const float sixth = (float)(1 / 6.0), third = (float)(1 / 3.0);
    ptrdiff_t half = (ptrdiff_t)(s->c.train / s->c.steps / 2);
    ptrdiff_t next = (ptrdiff_t)s->time[s->at] - (s->at % 2 == 0 ? half : 0);
    ptrdiff_t t = (ptrdiff_t)s->time[s->at / 4 * 4];
    size_t part = s->at % 4, i;

    if (part == 0) {
        bs_scheduler_keep(s, p);
        memcpy(s->held, sample, s->n * sizeof *sample);
        for (i = 0; i < s->n; i++)
            s->sum[i] = sixth * p[i];
    } else {
        float share = part == 3 ? sixth : third;

        for (i = 0; i < s->n; i++)
            s->sum[i] += share * p[i];
    }
    pndm_transfer(s, s->held, t, next, part == 3 ? s->sum : p, sample);
}

/* The multistep mean of the predictions kept, which are `kept` of 4. */
static void
pndm_mean(struct bs_scheduler *s)
{
    const float *a = s->past[3], *b = s->past[2], *c = s->past[1],
                *d = s->past[0];
    static const float part = (float)(1 / 24.0);
    size_t i;

    for (i = 0; i < s->n; i++)
        s->sum[i] = s->kept == 1   ? a[i]
                    : s->kept == 2 ? (3.0f * a[i] - b[i]) / 2.0f
                    : s->kept == 3
                        ? (23.0f * a[i] - 16.0f * b[i] + 5.0f * c[i]) / 12.0f
                        : part * (55.0f * a[i] - 59.0f * b[i] + 37.0f * c[i] -
                                  9.0f * d[i]);
}

static void
pndm_plms(struct bs_scheduler *s, const float *p, float *sample)
{
    ptrdiff_t step = (ptrdiff_t)(s->c.train / s->c.steps);
    ptrdiff_t t = (ptrdiff_t)s->time[s->at];
    size_t i;

    if (s->at == 1) { /* the first step again, by the mean of both ends */
        for (i = 0; i < s->n; i++)
            s->sum[i] = (p[i] + s->past[3][i]) / 2.0f;
        pndm_transfer(s, s->held, t + step, t, s->sum, sample);
        return;
    }
    bs_scheduler_keep(s, p);
    if (s->at == 0)
        memcpy(s->held, sample, s->n * sizeof *sample);
    pndm_mean(s);
    pndm_transfer(s, sample, t, t - step, s->sum, sample);
}

/* ---- DDIM -----------------------------------------------------------------
 */

static void
ddim(struct bs_scheduler *s, const float *p, const float *noise, float *sample)
{
    ptrdiff_t t = (ptrdiff_t)s->time[s->at];
    float a = alpha_at(s, t, false);
    float b = alpha_at(s, t - (ptrdiff_t)(s->c.train / s->c.steps), true);
    float root_a = sqrtf(a), root_1a = sqrtf(1 - a), root_b = sqrtf(b);
    float variance = (1 - b) / (1 - a) * (1 - a / b);
    float deviation = (float)s->c.eta * sqrtf(variance);
    float toward = sqrtf(1 - b - deviation * deviation);
    float range = (float)s->c.clip_range;
    size_t i;

    for (i = 0; i < s->n; i++) {
        float x = sample[i], e = p[i], image;

        if (s->c.predicts == BS_PREDICTS_NOISE) {
            image = (x - root_1a * p[i]) / root_a;
        } else if (s->c.predicts == BS_PREDICTS_SAMPLE) {
            image = p[i];
            e = (x - root_a * image) / root_1a;
        } else {
            image = root_a * x - root_1a * p[i];
            e = root_a * p[i] + root_1a * x;
        }
        if (s->c.clip)
            image = image < -range ? -range : image > range ? range : image;
        sample[i] = root_b * image + toward * e;
        if (noise != NULL)
            sample[i] += deviation * noise[i];
    }
}

/* ---- Euler ----------------------------------------------------------------
 */

static void
euler(struct bs_scheduler *s, const float *p, float *sample)
{
    float sigma = s->sigma[s->at], more = sigma * sigma + 1;
    float skip = -sigma / sqrtf(more), step = s->sigma[s->at + 1] - sigma;
    size_t i;

    for (i = 0; i < s->n; i++) {
        float x = sample[i];
        float image = s->c.predicts == BS_PREDICTS_NOISE ? x - sigma * p[i]
                      : s->c.predicts == BS_PREDICTS_SAMPLE
                          ? p[i]
                          : p[i] * skip + x / more;

        sample[i] = x + (x - image) / sigma * step;
    }
}

/* ---- all ------------------------------------------------------------------
 */

void
bs_scheduler_step(struct bs_scheduler *s, const float *prediction,
                  const float *noise, float *sample)
{
    switch (s->c.class) {
    case BS_PNDM:
        if (s->at < s->prk)
            pndm_prk(s, prediction, sample);
        else
            pndm_plms(s, prediction, sample);
        break;
    case BS_DDIM:
        ddim(s, prediction, s->c.eta > 0 ? noise : NULL, sample);
        break;
    case BS_EULER:
        euler(s, prediction, sample);
        break;
    case BS_DPM_SOLVER:
        bs_scheduler_dpm(s, prediction, noise, sample);
        break;
    case BS_UNIPC:
        bs_scheduler_unipc(s, prediction, sample);
        break;
    }
    s->at++;
}
