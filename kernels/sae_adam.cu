/*
 * sae_adam.cu - AdamW, step by step and as late as wanted; see sae_train_ops.h.
 *
 * A row that missed steps is brought up in one go: without a projection each
 * value by itself, in registers; with one a block has the row, in shared memory
 * if it fits, so that steps that were missed cost no traffic.
 */
#include "kernels/cuda.cuh"

#define THREADS BS_EACH_THREADS
#define NONE 0xffffffffu /* BS_CODE_NONE */
#define RUN 1024         /* columns that are summed in f32 */
#define HALVES (THREADS / 16)

/* enum bs_project of sae_train_ops.h. */
enum { PROJECT_NONE, PROJECT_UNIT, PROJECT_BALL, PROJECT_SIMPLEX };

/* ---- a step ----------------------------------------------------------------
 */

/* Step t of one value. */
static __device__ inline void
step(const bs_adam_args &a, uint32_t t, float g, float *p, float *m, float *v)
{
    const float *s = a.steps[t - a.from];
    float keep = s[0], rate = s[1], root = s[2];
    float moment = a.toward1 < 0.5f ? *m + a.toward1 * (g - *m)
                                    : g - (g - *m) * (1 - a.toward1);
    float square = *v * a.keep2 + a.toward2 * g * g;

    *m = moment;
    *v = square;
    *p = *p * keep + -rate * moment / (sqrtf(square) / root + a.eps);
}

/* The gradients of the i-th row, or NULL. */
static __device__ inline const float *
gradient_of(const bs_adam_args &a, size_t i, size_t row)
{
    size_t at = a.slot != NULL ? a.slot[row] : a.first + i;

    if (a.grad == NULL || (a.slot != NULL && a.slot[row] == NONE))
        return a.common;
    return a.grad + at * a.cols;
}

/* ---- values by themselves --------------------------------------------------
 */

/* One thread a value.  One that never had a gradient, and that decay does not
 * move, stays: the steps need not be done. */
BS_KERNEL(adam_each, THREADS, 4, bs_adam_args)
{
    size_t at = blockIdx.x * (size_t)THREADS + threadIdx.x;
    size_t i = at / a.cols, c = at % a.cols;

    if (i >= a.n)
        return;
    size_t row = a.row != NULL ? a.row[i] : i;
    uint32_t t = a.last != NULL ? a.last[row] : a.now - 1;

    if (t >= a.now)
        return;
    const float *grad = gradient_of(a, i, row);
    uint32_t missed = grad != NULL ? a.now - 1 : a.now;

    at = row * a.cols + c;
    float p = a.p[at], m = a.m[at], v = a.v[at];

    if (a.small && (__float_as_uint(m) | __float_as_uint(v)) == 0 &&
        (a.kept || __float_as_uint(p) == 0) && t < missed)
        t = missed;
    while (t < missed)
        step(a, ++t, 0, &p, &m, &v);
    if (grad != NULL)
        step(a, a.now, a.scale * grad[c], &p, &m, &v);
    a.p[at] = p;
    a.m[at] = m;
    a.v[at] = v;
}

/* ---- projections -----------------------------------------------------------
 */

/* What a block shares while it works on a row. */
struct row_room {
    float *run;      /* [HALVES] */
    uint32_t *count; /* [4] */
};

/* The part of a run that a lane of 16 adds up, then these, folded in halves. */
static __device__ inline float
sum_run(const float *p, size_t n, bool square)
{
    unsigned mask = 0xffffu << (threadIdx.x & 16);
    float sum = 0;

    for (size_t i = threadIdx.x % 16; i < n; i += 16)
        sum += square ? p[i] * p[i] : p[i];
    for (int half = 8; half > 0; half /= 2)
        sum += __shfl_down_sync(mask, sum, half, 16);
    return sum;
}

/* The sum of p, or of p^2, on every thread: runs by half-warps, these summed in
 * double, in order.  All values are there, and none is changed before all have
 * come here. */
static __device__ inline double
sum_of(const row_room &room, const float *p, size_t n, bool square)
{
    double total = 0;

    __syncthreads();
    for (size_t first = 0; first < n; first += HALVES * (size_t)RUN) {
        size_t at = first + threadIdx.x / 16 * (size_t)RUN;

        if (at < n) {
            float sum = sum_run(p + at, n - at < RUN ? n - at : RUN, square);

            if (threadIdx.x % 16 == 0)
                room.run[threadIdx.x / 16] = sum;
        }
        __syncthreads();
        for (unsigned i = 0; i < HALVES && first + i * (size_t)RUN < n; i++)
            total += (double)room.run[i];
        __syncthreads(); /* before they are those of the next runs */
    }
    return total;
}

/* Each thread has changed its own columns of the row, and goes on with them. */
static __device__ inline void
project(const row_room &room, int kind, float radius, float *p, size_t n)
{
    if (kind == PROJECT_SIMPLEX)
        for (size_t i = threadIdx.x; i < n; i += THREADS)
            p[i] = p[i] > 0 ? p[i] : 0;
    double sum = sum_of(room, p, n, kind != PROJECT_SIMPLEX);

    if (kind == PROJECT_BALL) {
        float length = (float)sqrt(sum), factor = radius / length;

        if (length > 0 && factor < 1)
            for (size_t i = threadIdx.x; i < n; i += THREADS)
                p[i] *= factor;
        return;
    }
    float by = (float)(kind == PROJECT_SIMPLEX ? sum : sqrt(sum)) + 1e-8f;

    for (size_t i = threadIdx.x; i < n; i += THREADS)
        p[i] /= by;
}

BS_KERNEL(project_row, THREADS, 4, bs_project_args)
{
    BS_SHARED(float, run, [HALVES]);
    row_room room = {run, NULL};

    project(room, a.project, a.radius, a.p + blockIdx.x * a.cols, a.cols);
}

/* ---- rows ------------------------------------------------------------------
 */

/* What steps change. */
struct row {
    float *p, *m, *v;
    size_t cols;
};

/*
 * Whether steps without a gradient leave the row as it is: one that never had
 * a gradient, of zeros, or at a corner of the simplex: of one 1 and zeros, what
 * decay takes from it the projection gives back.  On every thread.
 */
static __device__ inline bool
at_rest(const bs_adam_args &a, const row_room &room, const row &r)
{
    uint32_t busy = 0, some = 0, ones = 0, zeros = 0;

    if (!a.small)
        return false;
    if (threadIdx.x < 4)
        room.count[threadIdx.x] = 0;
    __syncthreads();
    for (size_t c = threadIdx.x; c < r.cols; c += THREADS) {
        busy |= __float_as_uint(r.m[c]) | __float_as_uint(r.v[c]);
        some |= __float_as_uint(r.p[c]);
        ones += r.p[c] == 1;
        zeros += r.p[c] == 0;
    }
    if (busy != 0)
        atomicAdd(&room.count[0], 1u);
    if (some != 0)
        atomicAdd(&room.count[1], 1u);
    atomicAdd(&room.count[2], ones);
    atomicAdd(&room.count[3], zeros);
    __syncthreads();
    bool corner = a.project == PROJECT_SIMPLEX && room.count[2] == 1 &&
                  room.count[3] == r.cols - 1;
    bool rest = room.count[0] == 0 && (corner || room.count[1] == 0);

    __syncthreads(); /* before they are counted again */
    return rest;
}

static __device__ inline void
row_step(const bs_adam_args &a, const row_room &room, uint32_t t,
         const float *grad, const row &r)
{
    for (size_t c = threadIdx.x; c < r.cols; c += THREADS)
        step(a, t, grad != NULL ? a.scale * grad[c] : 0, &r.p[c], &r.m[c],
             &r.v[c]);
    project(room, a.project, a.radius, r.p, r.cols);
}

static __device__ inline void
bring_up(const bs_adam_args &a, const row_room &room, uint32_t t,
         const float *grad, const row &r)
{
    uint32_t missed = grad != NULL ? a.now - 1 : a.now;

    if (t < missed && at_rest(a, room, r))
        t = missed;
    while (t < missed)
        row_step(a, room, ++t, NULL, r);
    if (grad != NULL)
        row_step(a, room, a.now, grad, r);
}

/* One block a row. */
BS_KERNEL(adam_row, THREADS, 4, bs_adam_args)
{
    BS_SHARED(float, run, [HALVES]);
    BS_SHARED(uint32_t, count, [4]);
    BS_SHARED_DYNAMIC(float, near);
    size_t i = blockIdx.x, row = a.row != NULL ? a.row[i] : i;
    size_t at = row * a.cols;
    uint32_t t = a.last != NULL ? a.last[row] : a.now - 1;
    row_room room = {run, count};
    struct row far = {a.p + at, a.m + at, a.v + at, a.cols}, r = far;

    if (t >= a.now)
        return;
    if (a.near) {
        r.p = near;
        r.m = near + a.cols;
        r.v = near + 2 * a.cols;
        for (size_t c = threadIdx.x; c < a.cols; c += THREADS) {
            r.p[c] = far.p[c];
            r.m[c] = far.m[c];
            r.v[c] = far.v[c];
        }
    }
    bring_up(a, room, t, gradient_of(a, i, row), r);
    for (size_t c = threadIdx.x; a.near && c < a.cols; c += THREADS) {
        far.p[c] = r.p[c];
        far.m[c] = r.m[c];
        far.v[c] = r.v[c];
    }
}

/* ---- how far rows are ------------------------------------------------------
 */

/* The least step that one of the rows is at. */
BS_KERNEL(adam_oldest, THREADS, 4, bs_adam_mark_args)
{
    size_t i = blockIdx.x * (size_t)THREADS + threadIdx.x;

    if (i < a.n)
        atomicMin(a.oldest, a.last[a.row != NULL ? a.row[i] : i]);
}

BS_KERNEL(adam_mark, THREADS, 4, bs_adam_mark_args)
{
    size_t i = blockIdx.x * (size_t)THREADS + threadIdx.x;

    if (i < a.n)
        a.last[a.row != NULL ? a.row[i] : i] = a.now;
}
