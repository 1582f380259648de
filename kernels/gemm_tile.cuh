/*
 * gemm_tile.cuh - a tile of a product, 128 x 128, by one block; gemm.cu and
 * conv.cu say where the operand x comes from and where the result goes.
 *
 * A block goes over k in steps: while the products of one step are added, the
 * operands of the next are on their way from memory into registers, and then
 * into the other half of shared memory.  Each sum is of one thread, or of one
 * place of an mma, from the first column to the last: its order depends neither
 * on m nor on the grid.
 *
 * A product is a struct P with
 *     P::column                 what is known of a column of x, or of a pair
 *     column at(col)            of column col, of columns col and col + 1
 *     float value(row, column)  row of the tile; 0 beyond x
 *     uint32_t pair(row, column)
 *                               two columns in bf16, the first one's bits low
 *     finish(row, col, sum)     rows and columns of the tile, also beyond x w^T
 */
#ifndef BS_KERNELS_GEMM_TILE_CUH
#define BS_KERNELS_GEMM_TILE_CUH

#include "kernels/cuda.cuh"

#define ROWS BS_GEMM_ROWS
#define COLS BS_GEMM_COLS
#define THREADS BS_GEMM_THREADS

/* The weight of a tile: rows of n, [n, depth], padded with zeros. */
struct tile_weight {
    const void *at;
    size_t depth, n, k;
    size_t first; /* row */
};

/* ---- f32 -------------------------------------------------------------------
 */

/*
 * 16 x 16 threads of 8 x 8 sums, in four parts of 4 x 4, so that a warp reads
 * shared memory without conflicts.  Each 512 columns are summed from zero:
 * rounding errors grow with that, not with k.
 */
#define STEP 16
#define FOLD 512
#define PITCH (ROWS + 4)

template <class P>
static __device__ inline void
load_f32(const P &p, size_t col, float v[8])
{
    typename P::column c = p.at(col + threadIdx.x % STEP);

#pragma unroll
    for (int i = 0; i < 8; i++)
        v[i] = p.value(threadIdx.x / STEP + i * (THREADS / STEP), c);
}

static __device__ inline void
load_weight_f32(const tile_weight &w, size_t col, float v[8])
{
    col += threadIdx.x % STEP;
#pragma unroll
    for (int i = 0; i < 8; i++) {
        size_t row = w.first + threadIdx.x / STEP + i * (THREADS / STEP);

        v[i] = row < w.n && col < w.k
                   ? ((const float *)w.at)[row * w.depth + col]
                   : 0;
    }
}

static __device__ inline void
store_f32(float to[STEP][PITCH], const float v[8])
{
#pragma unroll
    for (int i = 0; i < 8; i++)
        to[threadIdx.x % STEP][threadIdx.x / STEP + i * (THREADS / STEP)] =
            v[i];
}

static __device__ inline void
multiply_f32(const float x[STEP][PITCH], const float w[STEP][PITCH],
             float sum[8][8])
{
    unsigned tx = threadIdx.x % 16 * 4, ty = threadIdx.x / 16 * 4;

#pragma unroll
    for (int l = 0; l < STEP; l++) {
        alignas(16) float p[8], q[8];

        *(float4 *)(p + 0) = *(const float4 *)&x[l][ty];
        *(float4 *)(p + 4) = *(const float4 *)&x[l][ty + 64];
        *(float4 *)(q + 0) = *(const float4 *)&w[l][tx];
        *(float4 *)(q + 4) = *(const float4 *)&w[l][tx + 64];
#pragma unroll
        for (int i = 0; i < 8; i++)
#pragma unroll
            for (int j = 0; j < 8; j++)
                sum[i][j] = fmaf(p[i], q[j], sum[i][j]);
    }
}

template <class P>
static __device__ inline void
tile_f32(const P &p, const tile_weight &w)
{
    BS_SHARED(float, x_tile, [2][STEP][PITCH]);
    BS_SHARED(float, w_tile, [2][STEP][PITCH]);
    float sum[8][8] = {}, total[8][8] = {}, x_next[8], w_next[8];
    int turn = 0;

    load_f32(p, 0, x_next);
    load_weight_f32(w, 0, w_next);
    for (size_t k = 0; k < w.k; k += STEP, turn ^= 1) {
        store_f32(x_tile[turn], x_next);
        store_f32(w_tile[turn], w_next);
        __syncthreads();
        load_f32(p, k + STEP, x_next);
        load_weight_f32(w, k + STEP, w_next);
        multiply_f32(x_tile[turn], w_tile[turn], sum);
        if ((k + STEP) % FOLD == 0 || k + STEP >= w.k)
#pragma unroll
            for (int i = 0; i < 64; i++) {
                total[i / 8][i % 8] += sum[i / 8][i % 8];
                sum[i / 8][i % 8] = 0;
            }
    }
    unsigned row = threadIdx.x / 16 * 4, col = threadIdx.x % 16 * 4;
#pragma unroll
    for (int i = 0; i < 64; i++)
        p.finish(row + i / 32 * 64 + i / 8 % 4, col + i % 8 / 4 * 64 + i % 4,
                 total[i / 8][i % 8]);
}

/* ---- bf16 ------------------------------------------------------------------
 */

/*
 * Eight warps, 2 x 4, of 64 x 32 sums: 4 x 4 mma tiles of 16 x 8.  Operands
 * are in shared memory as pairs of columns; a pitch of 20 pairs lets the lanes
 * of a fragment, 8 rows of 4 pairs, read without conflicts.
 */
#define DEPTH BS_GEMM_DEPTH
#define PAIRS (DEPTH / 2)
#define PAIR_PITCH (PAIRS + 4)

/* Eight pairs a thread, of rows of x that are rounded on the way ... */
template <class P>
static __device__ inline void
load_pairs(const P &p, size_t col, uint32_t v[8])
{
    typename P::column c = p.at(col + threadIdx.x % PAIRS * 2);

#pragma unroll
    for (int i = 0; i < 8; i++)
        v[i] = p.pair(threadIdx.x / PAIRS + i * (THREADS / PAIRS), c);
}

/* ... and of the weight, padded to the depth. */
static __device__ inline void
load_weight_pairs(const tile_weight &w, size_t col, uint32_t v[8])
{
    const uint32_t *at = (const uint32_t *)w.at;
    size_t pair = col / 2 + threadIdx.x % PAIRS;

#pragma unroll
    for (int i = 0; i < 8; i++) {
        size_t row = w.first + threadIdx.x / PAIRS + i * (THREADS / PAIRS);

        v[i] = row < w.n && col < w.depth ? at[row * (w.depth / 2) + pair] : 0;
    }
}

static __device__ inline void
store_pairs(uint32_t to[ROWS][PAIR_PITCH], const uint32_t v[8])
{
#pragma unroll
    for (int i = 0; i < 8; i++)
        to[threadIdx.x / PAIRS + i * (THREADS / PAIRS)][threadIdx.x % PAIRS] =
            v[i];
}

static __device__ inline void
multiply_bf16(const uint32_t x[ROWS][PAIR_PITCH],
              const uint32_t w[COLS][PAIR_PITCH], float sum[4][4][4])
{
    unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    unsigned row = warp / 4 * 64 + lane / 4, col = warp % 4 * 32 + lane / 4;

#pragma unroll
    for (unsigned pair = lane % 4; pair < PAIRS; pair += 8) {
        uint32_t p[4][4], q[4][2];

#pragma unroll
        for (int i = 0; i < 4; i++) {
            p[i][0] = x[row + 16 * i][pair];
            p[i][1] = x[row + 16 * i + 8][pair];
            p[i][2] = x[row + 16 * i][pair + 4];
            p[i][3] = x[row + 16 * i + 8][pair + 4];
            q[i][0] = w[col + 8 * i][pair];
            q[i][1] = w[col + 8 * i][pair + 4];
        }
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int j = 0; j < 4; j++)
                bs_mma(sum[i][j], p[i], q[j]);
    }
}

template <class P>
static __device__ inline void
tile_bf16(const P &p, const tile_weight &w)
{
    BS_SHARED(uint32_t, x_tile, [2][ROWS][PAIR_PITCH]);
    BS_SHARED(uint32_t, w_tile, [2][COLS][PAIR_PITCH]);
    float sum[4][4][4] = {};
    uint32_t x_next[8], w_next[8];
    int turn = 0;

    load_pairs(p, 0, x_next);
    load_weight_pairs(w, 0, w_next);
    for (size_t k = 0; k < w.k; k += DEPTH, turn ^= 1) {
        store_pairs(x_tile[turn], x_next);
        store_pairs(w_tile[turn], w_next);
        __syncthreads();
        load_pairs(p, k + DEPTH, x_next);
        load_weight_pairs(w, k + DEPTH, w_next);
        multiply_bf16(x_tile[turn], w_tile[turn], sum);
    }
    unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    unsigned row = warp / 4 * 64 + lane / 4, col = warp % 4 * 32 + lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < 64; i++)
        p.finish(row + i / 16 * 16 + i / 2 % 2 * 8, col + i / 4 % 4 * 8 + i % 2,
                 sum[i / 16][i / 4 % 4][i % 4]);
}

#endif
