/*
 * attention.cu - softmax(q k^T / sqrt(dim)) v, a block of queries of one head
 * at a time; see dev.h.
 *
 * The keys pass by in runs of 32, k and then v in the same shared memory.  A
 * row's greatest score so far, and what its weights and sums shrink by when it
 * rises, are kept as usual, in logarithms to base 2.  16 x 16 threads: of a run
 * each has R rows of 2 scores, of the result R rows of C columns, in fours.
 */
#include "kernels/cuda.cuh"

#include <float.h>

#define KEYS BS_ATTENTION_KEYS
#define THREADS BS_ATTENTION_THREADS
#define PITCH (KEYS + 4) /* of a row of weights */

/* Rows first..first+rows-1, times `scale`, to shared memory; zeros beyond the
 * last of `n` rows and of `dim` columns. */
static __device__ inline void
load_rows(const float *from, size_t ld, size_t n, size_t dim, size_t first,
          unsigned rows, unsigned pitch, float scale, float *to)
{
#pragma unroll 4
    for (unsigned i = threadIdx.x; i < rows * pitch; i += THREADS) {
        size_t row = first + i / pitch, col = i % pitch;

        to[i] = row < n && col < dim ? from[row * ld + col] * scale : 0;
    }
}

/* The greatest, or the sum, over the 16 threads that share rows. */
static __device__ inline float
greatest(float v)
{
    for (int step = 8; step > 0; step /= 2)
        v = fmaxf(v, __shfl_xor_sync(BS_WARP_ALL, v, step));
    return v;
}

static __device__ inline float
total(float v)
{
    for (int step = 8; step > 0; step /= 2)
        v += __shfl_xor_sync(BS_WARP_ALL, v, step);
    return v;
}

/* Scores of R rows and the keys tx and tx + 16. */
template <int R>
static __device__ inline void
score(const float *q, const float *k, unsigned pitch, unsigned dim,
      float s[R][2])
{
    unsigned tx = threadIdx.x % 16, ty = threadIdx.x / 16;

#pragma unroll
    for (int r = 0; r < R; r++)
        s[r][0] = s[r][1] = 0;
    for (unsigned c = 0; c < dim; c += 4) {
        float4 k0 = *(const float4 *)(k + tx * pitch + c);
        float4 k1 = *(const float4 *)(k + (tx + 16) * pitch + c);

#pragma unroll
        for (int r = 0; r < R; r++) {
            float4 p = *(const float4 *)(q + (ty * R + r) * pitch + c);

            s[r][0] = fmaf(p.x, k0.x, s[r][0]);
            s[r][0] = fmaf(p.y, k0.y, s[r][0]);
            s[r][0] = fmaf(p.z, k0.z, s[r][0]);
            s[r][0] = fmaf(p.w, k0.w, s[r][0]);
            s[r][1] = fmaf(p.x, k1.x, s[r][1]);
            s[r][1] = fmaf(p.y, k1.y, s[r][1]);
            s[r][1] = fmaf(p.z, k1.z, s[r][1]);
            s[r][1] = fmaf(p.w, k1.w, s[r][1]);
        }
    }
}

/* out += weights times v, for R rows and C columns. */
template <int R, int C>
static __device__ inline void
mix(const float *weights, const float *v, unsigned pitch, float out[R][C])
{
    unsigned tx = threadIdx.x % 16, ty = threadIdx.x / 16;

    for (unsigned key = 0; key < KEYS; key += 4) {
        alignas(16) float p[R][4];

#pragma unroll
        for (int r = 0; r < R; r++)
            *(float4 *)p[r] =
                *(const float4 *)(weights + (ty * R + r) * PITCH + key);
#pragma unroll
        for (int l = 0; l < 4; l++)
#pragma unroll
            for (int c = 0; c < C; c += 4) {
                float4 u =
                    *(const float4 *)(v + (key + l) * pitch + tx * 4 + c * 16);

#pragma unroll
                for (int r = 0; r < R; r++) {
                    out[r][c + 0] = fmaf(p[r][l], u.x, out[r][c + 0]);
                    out[r][c + 1] = fmaf(p[r][l], u.y, out[r][c + 1]);
                    out[r][c + 2] = fmaf(p[r][l], u.z, out[r][c + 2]);
                    out[r][c + 3] = fmaf(p[r][l], u.w, out[r][c + 3]);
                }
            }
    }
}

/*
 * 16 R queries, heads of at most 16 C columns.  In shared memory: queries and
 * keys with a pitch of 16 C + 4, weights.  A NaN in a score does not count as
 * the greatest, and comes through by its weight; keys that are not seen have
 * weight 0.
 */
template <int R, int C>
static __device__ inline void
attention(const bs_attention_args &a)
{
    BS_SHARED_DYNAMIC(float, shared);
    const unsigned pitch = 16 * C + 4;
    unsigned tx = threadIdx.x % 16, ty = threadIdx.x / 16;
    size_t first = blockIdx.x % a.query_blocks * 16 * R;
    size_t which = blockIdx.x / a.query_blocks;
    size_t image = which / a.heads, col = which % a.heads * a.dim;
    const float *k = a.k + image * a.keys * a.ldk + col;
    const float *v = a.v + image * a.keys * a.ldv + col;
    size_t keys = a.causal && first + 16 * R < a.keys ? first + 16 * R : a.keys;
    float *q = shared, *kv = q + 16 * R * pitch, *weights = kv + KEYS * pitch;
    float out[R][C] = {}, max[R], sum[R];

#pragma unroll
    for (int r = 0; r < R; r++) {
        max[r] = -FLT_MAX;
        sum[r] = 0;
    }
    load_rows(a.q + image * a.queries * a.ldq + col, a.ldq, a.queries, a.dim,
              first, 16 * R, pitch, a.scale, q);
    for (size_t key = 0; key < keys; key += KEYS) {
        float s[R][2];

        load_rows(k, a.ldk, keys, a.dim, key, KEYS, pitch, 1, kv);
        __syncthreads();
        score<R>(q, kv, pitch, (unsigned)a.dim, s);
#pragma unroll
        for (int r = 0; r < R; r++) {
            size_t row = first + ty * R + r;
            size_t seen = a.causal && row < keys ? row + 1 : keys;
            bool in0 = key + tx < seen, in1 = key + tx + 16 < seen;
            float top = greatest(
                fmaxf(in0 ? s[r][0] : -FLT_MAX, in1 ? s[r][1] : -FLT_MAX));
            float now = fmaxf(max[r], top), shrink = exp2f(max[r] - now);
            float p0 = in0 ? exp2f(s[r][0] - now) : 0;
            float p1 = in1 ? exp2f(s[r][1] - now) : 0;

            max[r] = now;
            sum[r] = sum[r] * shrink + (p0 + p1);
            weights[(ty * R + r) * PITCH + tx] = p0;
            weights[(ty * R + r) * PITCH + tx + 16] = p1;
#pragma unroll
            for (int c = 0; c < C; c++)
                out[r][c] *= shrink;
        }
        __syncthreads(); /* the keys are not needed any more */
        load_rows(v, a.ldv, keys, a.dim, key, KEYS, pitch, 1, kv);
        __syncthreads();
        mix<R, C>(weights, kv, pitch, out);
        __syncthreads();
    }
#pragma unroll
    for (int r = 0; r < R; r++) {
        float inverse = 1 / total(sum[r]);
        size_t row = first + ty * R + r;

#pragma unroll
        for (int c = 0; c < C; c++) {
            size_t at = tx * 4 + c / 4 * 64 + c % 4;

            if (row < a.queries && at < a.dim)
                a.out[(image * a.queries + row) * a.ldo + col + at] =
                    out[r][c] * inverse;
        }
    }
}

/* Heads of up to 64, 128, 256 and 512 columns. */
BS_KERNEL(attention_64, THREADS, 2, bs_attention_args)
{
    attention<4, 4>(a);
}

BS_KERNEL(attention_128, THREADS, 1, bs_attention_args)
{
    attention<4, 8>(a);
}

BS_KERNEL(attention_256, THREADS, 2, bs_attention_args)
{
    attention<2, 16>(a);
}

BS_KERNEL(attention_512, THREADS, 1, bs_attention_args)
{
    attention<1, 32>(a);
}
