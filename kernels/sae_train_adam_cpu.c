/*
 * sae_train_adam_cpu.c - AdamW, step by step and as late as wanted.
 */
#include "kernels/cpu.h"
#include "kernels/sae_train_own.h"

#include <math.h>

#define CHUNK_FLOATS ((size_t)16384)
#define LANES 16
#define RUN 1024 /* columns that are summed in f32 */

/* ---- projections -----------------------------------------------------------
 */

/* The sum of p, or of p^2, as sae_train_ops.h defines it. */
static inline double
sum_of(const float *p, size_t n, const bool square)
{
    double total = 0;

    while (n > 0) {
        size_t run = n < RUN ? n : RUN, i, l, half;
        float sum[LANES] = {0};

        for (i = 0; i + LANES <= run; i += LANES)
            for (l = 0; l < LANES; l++)
                sum[l] += square ? p[i + l] * p[i + l] : p[i + l];
        for (l = 0; i + l < run; l++)
            sum[l] += square ? p[i + l] * p[i + l] : p[i + l];
        for (half = LANES / 2; half > 0; half /= 2)
            for (l = 0; l < half; l++)
                sum[l] += sum[l + half];
        total += (double)sum[0];
        p += run;
        n -= run;
    }
    return total;
}

static void
divide(float *p, size_t n, float by)
{
    size_t i;

    for (i = 0; i < n; i++)
        p[i] /= by;
}

static void
project(enum bs_project kind, float radius, float *p, size_t n)
{
    float length, factor;
    size_t i;

    switch (kind) {
    case BS_PROJECT_NONE:
        break;
    case BS_PROJECT_UNIT:
        length = (float)sqrt(sum_of(p, n, true));
        divide(p, n, length + 1e-8f);
        break;
    case BS_PROJECT_BALL:
        length = (float)sqrt(sum_of(p, n, true));
        factor = radius / length;
        if (length > 0 && factor < 1)
            for (i = 0; i < n; i++)
                p[i] *= factor;
        break;
    case BS_PROJECT_SIMPLEX:
        for (i = 0; i < n; i++)
            p[i] = p[i] > 0 ? p[i] : 0;
        divide(p, n, (float)sum_of(p, n, false) + 1e-8f);
        break;
    }
}

struct project_job {
    enum bs_project kind;
    float radius;
    float *p;
    size_t rows, cols;
};

static void
project_chunk(void *arg, size_t row, unsigned thread)
{
    const struct project_job *job = arg;

    (void)thread;
    project(job->kind, job->radius, job->p + row * job->cols, job->cols);
}

int
bs_cpu_project(struct bs_dev *d, enum bs_project kind, float radius, float *p,
               size_t rows, size_t cols)
{
    struct project_job job = {kind, radius, p, rows, cols};

    bs_pool_run(((struct bs_cpu *)d)->pool, rows, project_chunk, &job);
    return 0;
}

/* ---- a step ----------------------------------------------------------------
 */

/* Part of a row; g NULL: zeros. */
struct piece {
    float *p, *m, *v;
    const float *g;
    size_t n;
};

/* The numbers of a step, where no store can change them. */
struct numbers {
    float toward1, keep2, toward2, eps;
    float keep, rate, root;
};

static inline void
step_piece(struct numbers s, float *restrict p, float *restrict m,
           float *restrict v, const float *restrict gradient, size_t n,
           float scale, const bool grad, const bool near)
{
    size_t i;

    for (i = 0; i < n; i++) {
        float g = grad ? scale * gradient[i] : 0;
        float moment = near ? m[i] + s.toward1 * (g - m[i])
                            : g - (g - m[i]) * (1 - s.toward1);
        float square = v[i] * s.keep2 + s.toward2 * g * g;

        m[i] = moment;
        v[i] = square;
        p[i] =
            p[i] * s.keep + -s.rate * moment / (sqrtf(square) / s.root + s.eps);
    }
}

static void
step(const struct bs_adam *a, uint32_t t, const struct piece *at, float scale)
{
    const struct bs_adam_step *now = a->steps + t;
    const struct numbers s = {a->toward1, a->keep2,  a->toward2, a->eps,
                              now->keep,  now->rate, now->root};
    bool near = a->toward1 < 0.5f;

    if (at->g != NULL && near)
        step_piece(s, at->p, at->m, at->v, at->g, at->n, scale, true, true);
    else if (at->g != NULL)
        step_piece(s, at->p, at->m, at->v, at->g, at->n, scale, true, false);
    else if (near)
        step_piece(s, at->p, at->m, at->v, NULL, at->n, 0, false, true);
    else
        step_piece(s, at->p, at->m, at->v, NULL, at->n, 0, false, false);
    project(a->project, a->radius, at->p, at->n);
}

/* ---- rows at rest ----------------------------------------------------------
 */

static bool
all_zero(const float *x, size_t n)
{
    uint32_t bits, any = 0;
    size_t i;

    for (i = 0; i < n; i++) {
        memcpy(&bits, x + i, sizeof bits);
        any |= bits;
    }
    return any == 0;
}

/* A row of one 1 and zeros: what decay takes from it, the simplex gives back,
 * to the bit. */
static bool
at_corner(const float *p, size_t n)
{
    size_t ones = 0, zeros = 0, i;

    for (i = 0; i < n; i++) {
        ones += p[i] == 1;
        zeros += p[i] == 0;
    }
    return ones == 1 && ones + zeros == n;
}

/*
 * Whether steps without a gradient, up to step `end`, leave the row as it is:
 * one that never had a gradient, and that decay and projection do not move.
 * Most concepts of an archetypal dictionary that never fire are such.
 */
static bool
at_rest(const struct bs_adam *a, const struct piece *at, uint32_t t,
        uint32_t end)
{
    bool kept = true, small = true;

    for (; t <= end; t++) {
        kept &= a->steps[t].keep == 1;
        small &= a->steps[t].keep > 0.5f && a->steps[t].keep <= 1;
    }
    if (!(a->eps > 0) || !small || !all_zero(at->m, at->n) ||
        !all_zero(at->v, at->n))
        return false;
    return (kept && a->project == BS_PROJECT_NONE) ||
           (a->project == BS_PROJECT_SIMPLEX && at_corner(at->p, at->n)) ||
           all_zero(at->p, at->n);
}

/* ---- rows ------------------------------------------------------------------
 */

struct adam_job {
    const struct bs_adam *a;
    const struct bs_adam_rows *p;
    const struct bs_adam_grad *g;
    size_t rows;   /* of a chunk */
    size_t pieces; /* of a row */
};

static const float *
gradient_of(const struct adam_job *job, size_t i, size_t row)
{
    const struct bs_adam_grad *g = job->g;
    size_t at = g->slot != NULL ? g->slot[row] : g->first + i;

    if (g->slot != NULL && g->slot[row] == BS_CODE_NONE)
        return g->common != NULL ? g->common->p : NULL;
    if (g->grad == NULL)
        return g->common != NULL ? g->common->p : NULL;
    return (const float *)g->grad->p + at * job->p->cols;
}

/* Columns col..col+cols-1 of the i-th row. */
static void
bring_up(const struct adam_job *job, size_t i, size_t col, size_t cols)
{
    const struct bs_adam_rows *p = job->p;
    size_t row = job->g->row != NULL ? job->g->row[i] : i;
    size_t at = row * p->cols + col;
    const uint32_t *last = p->last.p;
    uint32_t now = job->a->now, missed;
    uint32_t t = last != NULL ? last[row] : now - 1;
    const float *grad;
    struct piece piece = {(float *)p->p.p + at, (float *)p->m.p + at,
                          (float *)p->v.p + at, NULL, cols};

    if (t >= now)
        return;
    grad = gradient_of(job, i, row);
    missed = grad != NULL ? now - 1 : now;
    if (t < missed && at_rest(job->a, &piece, t + 1, missed))
        t = missed;
    while (t < missed)
        step(job->a, ++t, &piece, 0);
    if (grad == NULL)
        return;
    piece.g = grad + col;
    step(job->a, now, &piece, job->g->scale);
}

static void
adam_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct adam_job *job = arg;
    size_t cols = job->p->cols;

    (void)thread;
    if (job->pieces > 1) {
        size_t col = chunk % job->pieces * CHUNK_FLOATS;

        bring_up(job, chunk / job->pieces, col,
                 cols - col < CHUNK_FLOATS ? cols - col : CHUNK_FLOATS);
    } else {
        size_t i = chunk * job->rows, n = job->g->n;
        size_t end = n - i < job->rows ? n : i + job->rows;

        for (; i < end; i++)
            bring_up(job, i, 0, cols);
    }
}

/* A projection needs whole rows; else long ones are cut. */
int
bs_cpu_adam(struct bs_dev *d, const struct bs_adam *a,
            const struct bs_adam_rows *p, const struct bs_adam_grad *g)
{
    struct adam_job job = {.a = a, .p = p, .g = g, .pieces = 1};
    uint32_t *last = p->last.p;
    size_t i;

    job.rows = p->cols < CHUNK_FLOATS ? CHUNK_FLOATS / p->cols : 1;
    if (a->project == BS_PROJECT_NONE && p->cols > CHUNK_FLOATS)
        job.pieces = p->cols / CHUNK_FLOATS + (p->cols % CHUNK_FLOATS != 0);
    bs_pool_run(((struct bs_cpu *)d)->pool,
                (g->n / job.rows + (g->n % job.rows != 0)) * job.pieces,
                adam_chunk, &job);
    for (i = 0; last != NULL && i < g->n; i++)
        last[g->row != NULL ? g->row[i] : i] = a->now;
    return 0;
}
