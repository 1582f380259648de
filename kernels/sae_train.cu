/*
 * sae_train.cu - what a training step does to tokens and to rows, and sums over
 * all of them; see sae_train_ops.h.  Where it says DEFINED, sums have the order
 * that they have on the CPU; products and sums in double are apart there, too.
 */
#include "kernels/cuda.cuh"

#define NONE 0xffffffffu /* BS_CODE_NONE */

/* Where a thread stands: blocks go along a row, then to the next. */
static __device__ inline void
place(unsigned row_blocks, size_t *row, size_t *col)
{
    *row = blockIdx.x / row_blocks;
    *col = blockIdx.x % row_blocks * (size_t)BS_EACH_THREADS + threadIdx.x;
}

/* ---- tokens ----------------------------------------------------------------
 */

/* One thread a column of BS_SUM_ROWS rows. */
BS_KERNEL(train_tokens, BS_EACH_THREADS, 4, bs_train_tokens_args)
{
    size_t chunk, col;
    double sum = 0;

    place(a.row_blocks, &chunk, &col);
    if (col >= a.width)
        return;
    size_t row = chunk * BS_SUM_ROWS, end = row + BS_SUM_ROWS;
    float centre = a.centre != NULL ? a.centre[col] : 0;

    for (end = end < a.m ? end : a.m; row < end; row++) {
        float x = a.x[row * a.width + col];
        float v = a.centre != NULL ? x - centre : x;

        a.out[row * a.width + col] = a.narrow ? bs_float_of(bs_bf16_of(v)) : v;
        sum += (double)x;
    }
    if (a.sums != NULL)
        a.sums[chunk * a.width + col] = sum;
}

BS_KERNEL(train_mean, BS_EACH_THREADS, 4, bs_train_mean_args)
{
    size_t col = blockIdx.x * (size_t)BS_EACH_THREADS + threadIdx.x;
    double sum = 0;

    if (col >= a.width)
        return;
    for (size_t i = 0; i < a.chunks; i++)
        sum += a.sums[i * a.width + col];
    a.mean[col] = sum / (double)a.m;
}

/*
 * Squares of up to 32 values in a row, one a lane of a warp, to eight sums: the
 * i-th goes to sum i % 8, in order.  Each of the lanes has one of the sums,
 * four times over; `n` of the values are there.
 */
static __device__ inline void
add_squares(double *sum, double v, size_t n)
{
    unsigned lane = threadIdx.x % 8;

    v = v * v;
    for (unsigned i = 0; i < 32; i += 8) {
        double one = __shfl_sync(BS_WARP_ALL, v, (int)(i + lane));

        if (i + lane < n)
            *sum += one;
    }
}

/* The eight sums in one, on every lane. */
static __device__ inline double
fold_squares(double sum)
{
    for (int step = 4; step > 0; step /= 2)
        sum += __shfl_xor_sync(BS_WARP_ALL, sum, step);
    return sum;
}

/* One warp a chunk of rows. */
BS_KERNEL(train_spread, BS_ROW_THREADS, 4, bs_train_spread_args)
{
    size_t chunk = blockIdx.x * (size_t)BS_ROW_WARPS + threadIdx.x / 32;
    size_t row = chunk * BS_SUM_ROWS, end = row + BS_SUM_ROWS;
    unsigned lane = threadIdx.x % 32;
    double sum = 0;

    if (row >= a.m)
        return;
    for (end = end < a.m ? end : a.m; row < end; row++)
        for (size_t c = 0; c < a.width; c += 32) {
            double off = 0;

            if (c + lane < a.width)
                off = (double)a.x[row * a.width + c + lane] - a.mean[c + lane];
            add_squares(&sum, off, a.width - c);
        }
    sum = fold_squares(sum);
    if (lane == 0)
        a.sums[chunk] = sum;
}

/* One warp a piece. */
BS_KERNEL(train_residual, BS_ROW_THREADS, 4, bs_train_residual_args)
{
    size_t piece = blockIdx.x * (size_t)BS_ROW_WARPS + threadIdx.x / 32;
    size_t at = piece * BS_SUM_PIECE, end = at + BS_SUM_PIECE;
    unsigned lane = threadIdx.x % 32;
    double sum = 0;

    if (at >= a.n)
        return;
    for (end = end < a.n ? end : a.n; at < end; at += 32) {
        float v = 0;

        if (at + lane < end) {
            v = a.x[at + lane];
            if (a.y != NULL)
                a.y[at + lane] = v = v - a.y[at + lane];
        }
        add_squares(&sum, (double)v, end - at);
    }
    sum = fold_squares(sum);
    if (lane == 0)
        a.sums[piece] = sum;
}

/* ---- sums of rows ----------------------------------------------------------
 */

/* A tile of rows on its way to shared memory; one thread a column and every
 * so many-th row.  What has no coefficient is not looked at. */
static __device__ inline void
load_rows(const bs_row_sum_args &a, size_t first, unsigned warp, size_t col,
          float tile[BS_ROW_SUM_ROWS][32], float coef[BS_ROW_SUM_ROWS])
{
#pragma unroll
    for (unsigned i = 0; i < BS_ROW_SUM_ROWS; i += BS_ROW_SUM_WARPS) {
        size_t row = first + i + warp;
        float c = 0, v = 0;

        if (row < a.rows)
            c = a.coef != NULL ? a.coef[row] : 1;
        if (c != 0 && col < a.cols)
            v = a.x[row * a.cols + col];
        tile[i + warp][threadIdx.x % 32] = v;
        if (threadIdx.x % 32 == 0)
            coef[i + warp] = c;
    }
}

/*
 * The sum of a column is one, over all rows.  So a block takes 32 columns: its
 * first warp adds up the rows of a tile while the others bring the next.
 */
BS_KERNEL(row_sum, BS_ROW_SUM_THREADS, 2, bs_row_sum_args)
{
    BS_SHARED(float, tile, [2][BS_ROW_SUM_ROWS][32]);
    BS_SHARED(float, coef, [2][BS_ROW_SUM_ROWS]);
    unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    size_t col = blockIdx.x * (size_t)32 + lane;
    double sum = 0;
    int turn = 0;

    for (size_t first = 0; first < a.rows + BS_ROW_SUM_ROWS;
         first += BS_ROW_SUM_ROWS, turn ^= 1) {
        if (warp > 0 && first < a.rows)
            load_rows(a, first, warp - 1, col, tile[turn], coef[turn]);
        for (unsigned r = 0; warp == 0 && first > 0 && r < BS_ROW_SUM_ROWS; r++)
            if (coef[turn ^ 1][r] != 0)
                sum +=
                    (double)coef[turn ^ 1][r] * (double)tile[turn ^ 1][r][lane];
        __syncthreads();
    }
    if (warp == 0 && col < a.cols)
        a.out[col] = sum;
}

/* ---- products of rows ------------------------------------------------------
 */

#define SIDE BS_GRAM_SIDE
#define STEP 16
#define PITCH (SIDE + 4)

/* Columns col.. of STEP rows: less the mean, by the coefficient. */
static __device__ inline void
load_gram(const bs_gram_args &a, size_t first, size_t end, size_t col,
          bool weighted, float to[STEP][PITCH])
{
#pragma unroll
    for (unsigned i = 0; i < STEP; i += BS_GRAM_THREADS / SIDE) {
        unsigned row = i + threadIdx.x / SIDE, c = threadIdx.x % SIDE;
        float v = 0;

        if (first + row < end && col + c < a.cols) {
            v = a.x[(first + row) * a.cols + col + c];
            if (a.mean != NULL)
                v = v - a.mean[col + c];
            if (weighted && a.coef != NULL)
                v = a.coef[first + row] * v;
        }
        to[row][c] = v;
    }
}

/* The block's tile, of those on the diagonal and above. */
static __device__ inline void
tile_of(unsigned tiles, unsigned at, unsigned *row, unsigned *col)
{
    unsigned r = 0;

    while (at >= tiles - r)
        at -= tiles - r++;
    *row = r;
    *col = r + at;
}

/*
 * 16 x 16 threads of 4 x 4 sums.  A block sums one part of the rows, which is
 * a multiple of BS_GRAM_RUN; each run in f32, these in double.
 */
BS_KERNEL(gram, BS_GRAM_THREADS, 2, bs_gram_args)
{
    BS_SHARED(float, left, [STEP][PITCH]);
    BS_SHARED(float, right, [STEP][PITCH]);
    size_t first = blockIdx.y * a.part_rows, end = first + a.part_rows;
    unsigned tx = threadIdx.x % 16 * 4, ty = threadIdx.x / 16 * 4, row, col;
    double total[4][4] = {};
    float sum[4][4] = {};

    tile_of(a.tiles, blockIdx.x, &row, &col);
    row *= SIDE;
    col *= SIDE;
    for (end = end < a.rows ? end : a.rows; first < end; first += STEP) {
        load_gram(a, first, end, row, true, left);
        load_gram(a, first, end, col, false, right);
        __syncthreads();
#pragma unroll
        for (int l = 0; l < STEP; l++) {
            alignas(16) float p[4], q[4];

            *(float4 *)p = *(const float4 *)&left[l][ty];
            *(float4 *)q = *(const float4 *)&right[l][tx];
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++)
                    sum[i][j] = fmaf(p[i], q[j], sum[i][j]);
        }
        __syncthreads();
        if ((first + STEP) % BS_GRAM_RUN != 0 && first + STEP < end)
            continue;
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int j = 0; j < 4; j++) {
                total[i][j] += (double)sum[i][j];
                sum[i][j] = 0;
            }
    }
    double *out = a.sums + blockIdx.y * a.cols * a.cols;

#pragma unroll
    for (unsigned i = 0; i < 4; i++)
#pragma unroll
        for (unsigned j = 0; j < 4; j++)
            if (row + ty + i < a.cols && col + tx + j < a.cols)
                out[(row + ty + i) * a.cols + col + tx + j] = total[i][j];
}

/* Parts to one, in order, and the half below the diagonal. */
BS_KERNEL(gram_fold, BS_EACH_THREADS, 4, bs_gram_fold_args)
{
    size_t i, j;
    double sum = 0;

    place(a.row_blocks, &i, &j);
    if (j >= a.cols)
        return;
    size_t at = i < j ? i * a.cols + j : j * a.cols + i;

    for (size_t part = 0; part < a.parts; part++)
        sum += a.sums[part * a.cols * a.cols + at];
    a.out[i * a.cols + j] = sum;
}

/* ---- rows ------------------------------------------------------------------
 */

BS_KERNEL(copy_rows, BS_EACH_THREADS, 4, bs_copy_rows_args)
{
    size_t i, col;

    place(a.row_blocks, &i, &col);
    if (col >= a.cols)
        return;
    size_t from = a.from_row != NULL ? a.from_row[i] : i;
    size_t to = a.to_row != NULL ? a.to_row[i] : i;

    a.to[to * a.cols + col] = a.scale * a.from[from * a.cols + col];
}

/* One half-warp a row. */
BS_KERNEL(tangent, BS_EACH_THREADS, 4, bs_tangent_args)
{
    size_t i = blockIdx.x * (size_t)(BS_EACH_THREADS / 16) + threadIdx.x / 16;

    if (i >= a.n)
        return;
    float *grad = a.grad + i * a.width;
    const float *atom = a.table + a.row[i] * a.width;
    float along = bs_dot16(grad, atom, a.width);

    for (size_t c = threadIdx.x % 16; c < a.width; c += 16)
        grad[c] -= along * atom[c];
}

BS_KERNEL(norm_gradient, BS_EACH_THREADS, 4, bs_norm_gradient_args)
{
    size_t j, c;

    place(a.row_blocks, &j, &c);
    if (c >= a.width)
        return;
    float *grad = a.grad + j * a.width + c;
    float bias = a.bias != NULL ? a.bias[j] : 0;
    float v = -(*grad + bias * a.along[c] + a.rest[c]);

    if (a.slot[j] != NONE)
        v += a.sparse[a.slot[j] * a.width + c];
    else if (a.common != NULL)
        v += (a.weight != NULL ? a.weight[j] : 0) * a.common[c];
    *grad = v;
}
