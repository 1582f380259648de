/*
 * scheduler_plan.c - betas, timesteps and sigmas of a schedule.
 *
 * torch and NumPy compute these in f32 and f64 by turns, and the coefficients
 * of a step are differences of near numbers: so the precision of every line
 * here is theirs.
 */
#include "cmd/models/scheduler_own.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

/* ---- what the libraries compute ------------------------------------------ */

/* torch.linspace in f32, from the nearer end, as the x86-64 builds fuse it. */
static void
torch_linspace(float *out, float from, float to, size_t n)
{
    float step = (to - from) / (float)(n - 1);
    size_t i;

    for (i = 0; i < n; i++)
        out[i] = n == 1      ? from
                 : i < n / 2 ? fmaf(step, (float)i, from)
                             : fmaf(-step, (float)(n - 1 - i), to);
}

/* np.linspace in f64. */
static double
numpy_linspace(double from, double to, size_t n, size_t i)
{
    double step = n > 1 ? (to - from) / (double)(n - 1) : to - from;

    return n > 1 && i + 1 == n ? to : (double)i * step + from;
}

/* np.arange(from, 0, -step): how many, and one of them. */
static size_t
numpy_arange_count(double from, double step)
{
    return (size_t)ceil((0 - from) / -step);
}

static double
numpy_arange(double from, double step, size_t i)
{
    return from + (double)i * ((from + -step) - from);
}

/* np.interp(x, arange(n), table). */
static double
numpy_interp(double x, const float *table, size_t n)
{
    size_t j = x > 0 ? (size_t)x : 0;

    if (!(x > 0))
        return table[0];
    if (j + 1 >= n)
        return table[n - 1];
    return ((double)table[j + 1] - (double)table[j]) * (x - (double)j) +
           (double)table[j];
}

/* ---- betas ----------------------------------------------------------------
 */

/* Products of 1 - beta, in f64, each rounded. */
static void
cumulate(float *alpha, const float *beta, size_t n)
{
    double product = 1;
    size_t i;

    for (i = 0; i < n; i++) {
        product *= (double)(1.0f - beta[i]);
        alpha[i] = (float)product;
    }
}

static double
cosine(double t)
{
    double c = cos((t + 0.008) / 1.008 * pi / 2);

    return c * c;
}

static void
fill_betas(float *beta, const struct bs_scheduler_config *c)
{
    size_t n = c->train, i;

    if (c->trained != NULL) {
        memcpy(beta, c->trained, n * sizeof *beta);
    } else if (c->beta == BS_BETA_LINEAR) {
        torch_linspace(beta, (float)c->first, (float)c->last, n);
    } else if (c->beta == BS_BETA_SCALED) {
        torch_linspace(beta, (float)sqrt(c->first), (float)sqrt(c->last), n);
        for (i = 0; i < n; i++)
            beta[i] *= beta[i];
    } else {
        for (i = 0; i < n; i++)
            beta[i] = (float)fmin(1 - cosine((double)(i + 1) / (double)n) /
                                          cosine((double)i / (double)n),
                                  0.999);
    }
}

/* Lin et al. 2024, algorithm 1: nothing of the image is left at the end. */
static void
rescale(float *beta, const float *alpha, size_t n)
{
    float first = sqrtf(alpha[0]), last = sqrtf(alpha[n - 1]), before = 1;
    size_t i;

    for (i = 0; i < n; i++) {
        float root = (sqrtf(alpha[i]) - last) * (first / (first - last));
        float square = root * root;

        beta[i] = 1.0f - (i > 0 ? square / before : square);
        before = square;
    }
}

static int
plan_alphas(struct bs_scheduler *s, struct bs_err *e)
{
    const struct bs_scheduler_config *c = &s->c;
    float *beta = bs_alloc_array(c->train, sizeof *beta);

    s->alpha = bs_alloc_array(c->train, sizeof *s->alpha);
    if (beta == NULL || s->alpha == NULL) {
        bs_free(beta);
        return bs_err_memory(e, "schedule", c->train * sizeof *beta);
    }
    fill_betas(beta, c);
    cumulate(s->alpha, beta, c->train);
    if (c->zero_snr) {
        rescale(beta, s->alpha, c->train);
        cumulate(s->alpha, beta, c->train);
        if (c->class != BS_DDIM)
            s->alpha[c->train - 1] = 0x1p-24f; /* or sigma is infinite */
    }
    s->alpha_last = c->alpha_one ? 1 : s->alpha[0];
    bs_free(beta);
    return 0;
}

/* ---- timesteps ------------------------------------------------------------
 */

/* Where DPM-Solver begins: behind the timesteps of least lambda. */
static size_t
clipped_train(const struct bs_scheduler *s)
{
    size_t n = s->c.train;

    while (n > 0) {
        float a = s->alpha[n - 1];
        float lambda = logf(sqrtf(a)) - logf(sqrtf(1 - a));

        if (!(lambda < (float)s->c.lambda_min))
            break;
        n--;
    }
    return n;
}

/*
 * The timestep of place i, counted from the noisy end; `count` is how many the
 * spacing gives.  DPM-Solver and UniPC place one more than they use, the
 * last.
 */
static double
spaced(const struct bs_scheduler_config *c, size_t last, size_t i,
       size_t *count)
{
    bool more = c->class == BS_DPM_SOLVER || c->class == BS_UNIPC;
    size_t places = c->steps + more;
    double t;

    *count = c->steps;
    switch (c->spacing) {
    case BS_SPACING_LINSPACE:
        t = numpy_linspace(0, (double)last - 1, places, places - 1 - i);
        return c->class == BS_EULER ? (float)t : rint(t);
    case BS_SPACING_LEADING:
        return (double)((places - 1 - i) * (last / places) + c->offset);
    default:
        t = (double)c->train / (double)c->steps;
        *count = numpy_arange_count((double)last, t);
        return rint(numpy_arange((double)last, t, i)) - 1;
    }
}

static int
alloc_times(struct bs_scheduler *s, size_t count, struct bs_err *e)
{
    size_t room = (count > s->c.steps ? count : s->c.steps) + 1;

    s->count = count;
    s->time = bs_alloc_array(room, sizeof *s->time);
    s->sigma = bs_alloc_array(room + 1, sizeof *s->sigma);
    if (s->time == NULL || s->sigma == NULL)
        return bs_err_memory(e, "timesteps", count * sizeof *s->time);
    return 0;
}

/* Every timestep once, but for the second, of which PLMS asks twice. */
static void
times_plms(struct bs_scheduler *s, const double *t, size_t n)
{
    size_t i, k = 0;

    for (i = 0; i < n; i++) {
        s->time[k++] = (float)t[i];
        if (i == 1)
            s->time[k++] = (float)t[1];
    }
}

/* The first four timesteps by Runge-Kutta, whose middle lies between two. */
static void
times_prk(struct bs_scheduler *s, const double *t, size_t n)
{
    double half = (double)(s->c.train / s->c.steps / 2), pair[8];
    size_t i, k = 0;

    for (i = 0; i < 4; i++) {
        pair[2 * i] = t[3 - i];
        pair[2 * i + 1] = t[3 - i] + half;
    }
    /* pair[0..6], each twice, the outermost once, from the end */
    for (i = 12; i >= 1; i--)
        s->time[k++] = (float)pair[i / 2];
    for (i = 3; i < n; i++)
        s->time[k++] = (float)t[i];
}

static int
plan_times(struct bs_scheduler *s, struct bs_err *e)
{
    const struct bs_scheduler_config *c = &s->c;
    size_t last = c->class == BS_DPM_SOLVER ? clipped_train(s) : c->train;
    size_t n, i;
    double *t;
    int r;

    if (last == 0)
        return bs_err_set(e, BS_EX_DATA,
                          "'lambda_min_clipped' leaves no timestep");
    (void)spaced(c, last, 0, &n);
    s->prk = c->class == BS_PNDM && c->prk ? 12 : 0;
    t = bs_alloc_array(n, sizeof *t);
    if (t == NULL)
        return bs_err_memory(e, "timesteps", n * sizeof *t);
    for (i = 0; i < n; i++)
        t[i] = spaced(c, last, i, &n);
    r = alloc_times(s, s->prk > 0 ? n + 9 : n + (c->class == BS_PNDM && n > 1),
                    e);
    if (r == 0 && s->prk > 0)
        times_prk(s, t, n);
    else if (r == 0 && c->class == BS_PNDM)
        times_plms(s, t, n);
    else if (r == 0)
        for (i = 0; i < n; i++)
            s->time[i] = (float)t[i];
    bs_free(t);
    return r;
}

/* ---- sigmas ---------------------------------------------------------------
 */

static float
sigma_of(float alpha)
{
    return sqrtf((1 - alpha) / alpha);
}

/* The timestep whose logarithm of sigma is `log`, between two of the table. */
static double
time_of(double sigma, const float *logs, size_t n)
{
    double log_sigma = log(fmax(sigma, 1e-10)), w;
    size_t low = n;

    while (low > 1 && !(log_sigma - (double)logs[low - 1] >= 0))
        low--;
    low = low - 1 < n - 2 ? low - 1 : n - 2;
    w = ((double)logs[low] - log_sigma) / (double)(logs[low] - logs[low + 1]);
    w = w < 0 ? 0 : w > 1 ? 1 : w;
    return (1 - w) * (double)low + w * (double)(low + 1);
}

/* A sigma of the chosen spacing between two, place i of n. */
static double
spaced_sigma(enum bs_scheduler_sigmas how, double from, double to, size_t i,
             size_t n)
{
    static const double rho = 7; /* Karras et al. */
    double a, b;

    if (how == BS_SIGMAS_EXPONENTIAL)
        return exp(numpy_linspace(log(from), log(to), n, i));
    a = pow(from, 1 / rho);
    b = pow(to, 1 / rho);
    return pow(a + numpy_linspace(0, 1, n, i) * (b - a), rho);
}

/* Timesteps of sigmas, which the classes round or cut, but Euler does not. */
static float
timed(const struct bs_scheduler_config *c, double t)
{
    bool rounds = c->class == BS_UNIPC ? c->sigmas == BS_SIGMAS_KARRAS
                                       : c->sigmas != BS_SIGMAS_EXPONENTIAL &&
                                             c->beta != BS_BETA_COSINE;

    return (float)(c->class == BS_EULER ? t : rounds ? rint(t) : trunc(t));
}

/* Replace sigmas and timesteps by those of Karras and the like. */
static void
respace(struct bs_scheduler *s, const float *table, const float *logs)
{
    const struct bs_scheduler_config *c = &s->c;
    size_t n = c->steps, i, end = s->count - !c->log_linear;
    double low = c->class == BS_EULER ? s->sigma[end] : table[0];
    double high = c->class == BS_EULER ? s->sigma[0] : table[c->train - 1];

    if (c->sigma_min > 0)
        low = c->sigma_min;
    if (c->sigma_max > 0)
        high = c->sigma_max;
    s->count = n; /* the trailing spacing may have had another */
    for (i = 0; i < n; i++) {
        double sigma =
            c->sigmas == BS_SIGMAS_LU
                ? exp((double)logs[c->train - 1] +
                      numpy_linspace(0, 1, n, i) *
                          ((double)logs[0] - (double)logs[c->train - 1]))
                : spaced_sigma(c->sigmas, high, low, i, n);

        s->sigma[i] = (float)sigma;
        s->time[i] = timed(c, time_of(sigma, logs, c->train));
    }
}

/* Euler's sigmas, evenly spaced in their logarithm: one more than steps, which
 * counts where the timesteps are taken from the sigmas. */
static int
log_linear(struct bs_scheduler *s, const float *logs, struct bs_err *e)
{
    size_t n = s->c.steps + 1, i;
    float *even = bs_alloc_array(n, sizeof *even);

    if (even == NULL)
        return bs_err_memory(e, "sigmas", n * sizeof *even);
    torch_linspace(even, logs[s->c.train - 1], logs[0], n);
    for (i = 0; i < n && i <= s->count; i++)
        s->sigma[i] = expf(even[i]);
    bs_free(even);
    if (s->c.continuous && s->c.predicts == BS_PREDICTS_V &&
        s->c.sigmas == BS_SIGMAS_OWN) {
        s->count = n;
        s->sigma[n] = s->c.final_zero ? 0 : sigma_of(s->alpha[0]);
    }
    return 0;
}

static int
plan_sigmas(struct bs_scheduler *s, struct bs_err *e)
{
    const struct bs_scheduler_config *c = &s->c;
    size_t n = c->train, i;
    float *table = bs_alloc_array(n, 2 * sizeof *table), *logs;
    int r = 0;

    if (table == NULL)
        return bs_err_memory(e, "sigmas", n * 2 * sizeof *table);
    logs = table + n;
    for (i = 0; i < n; i++) {
        table[i] = sigma_of(s->alpha[i]);
        logs[i] = logf(table[i]);
    }
    for (i = 0; i < s->count; i++)
        s->sigma[i] = (float)numpy_interp(s->time[i], table, n);
    s->sigma[s->count] = c->final_zero ? 0 : table[0];
    if (c->class == BS_EULER && c->log_linear)
        r = log_linear(s, logs, e);
    if (r == 0 && c->sigmas != BS_SIGMAS_OWN) {
        respace(s, table, logs);
        s->sigma[s->count] = c->final_zero          ? 0
                             : c->class == BS_UNIPC ? s->sigma[s->count - 1]
                                                    : table[0];
    }
    bs_free(table);
    if (c->class == BS_EULER && c->continuous && c->predicts == BS_PREDICTS_V)
        for (i = 0; i < s->count; i++)
            s->time[i] = 0.25f * logf(s->sigma[i]);
    return r;
}

/* ---- all ------------------------------------------------------------------
 */

/* Timesteps that the schedule has no alpha for, or begins with twice. */
static int
check_times(const struct bs_scheduler *s, struct bs_err *e)
{
    const struct bs_scheduler_config *c = &s->c;
    bool classic = c->class == BS_PNDM || c->class == BS_DDIM;
    size_t i;

    for (i = 0; classic && i < s->count; i++)
        if (!(s->time[i] < (float)c->train))
            return bs_err_set(e, BS_EX_USAGE,
                              "%zu steps ask for timestep %g of %zu", c->steps,
                              (double)s->time[i], c->train);
    if (!classic && s->count > 1 && s->time[0] == s->time[1])
        return bs_err_set(e, BS_EX_USAGE,
                          "%zu steps are more than this schedule tells apart",
                          c->steps);
    return 0;
}

int
bs_scheduler_plan(struct bs_scheduler *s, struct bs_err *e)
{
    int r = plan_alphas(s, e);

    if (r == 0)
        r = plan_times(s, e);
    if (r == 0 && s->c.class != BS_PNDM && s->c.class != BS_DDIM)
        r = plan_sigmas(s, e);
    return r < 0 ? r : check_times(s, e);
}
