/*
 * sae_encode.cu - which products of rows and atoms belong to a code; see
 * sae_ops.h.
 *
 * gemm.cu has computed a score for each product, of operands rounded to bf16,
 * or in f32.  It is off by a bounded amount, so that only what may belong to a
 * code has to be computed as it is defined.
 *
 * The bound.  With x = x' + r and w = w' + s, x' and w' in bf16, and lengths
 * that were measured (sae_measure),
 *     |x.w - x'.w'| <= |r||w| + |x'||s|                   (Cauchy and Schwarz).
 * Products of bf16 are exact in f32.  Their sum, in whatever order and also
 * where the hardware cuts off instead of rounding, and the sum that sae_ops.h
 * defines, are off by less than (k + 64) 2^-21 |x||w| together: `slack`.  What
 * is too small for f32 on the way is less than k 2^-120 (1 + |x|).  Rows that
 * are so short or so long that this does not hold are computed as defined from
 * the start, and so are those whose list of candidates overflows.
 */
#include "kernels/cuda.cuh"

#include <float.h>

#define THREADS BS_SAE_THREADS
#define HALVES (THREADS / 16)
#define NONE 0xffffffffu /* BS_CODE_NONE */

/* ---- lengths ---------------------------------------------------------------
 */

/* Not below v: the root and the rounding are off by less. */
static __device__ inline float
up(double v)
{
    return (float)(v * (1 + 1e-6));
}

BS_KERNEL(sae_measure, BS_ROW_THREADS, 4, bs_sae_measure_args)
{
    size_t row = blockIdx.x * (size_t)BS_ROW_WARPS + threadIdx.x / 32;
    unsigned lane = threadIdx.x % 32;
    const float *x = a.x + row * a.ldx;
    double norm = 0, rest = 0;
    bool good = true;

    if (row >= a.m)
        return;
    for (size_t i = lane; i < a.k; i += 32) {
        double left = (double)x[i] - (double)bs_float_of(bs_bf16_of(x[i]));

        good &= fabsf(x[i]) <= FLT_MAX;
        norm += (double)x[i] * (double)x[i];
        rest += left * left;
    }
    norm = bs_warp_sum(norm);
    rest = bs_warp_sum(rest);
    good = __all_sync(BS_WARP_ALL, good);
    if (lane != 0)
        return;
    a.size[row] = bs_sae_size{up(sqrt(norm)), up(sqrt(rest))};
    if (!good)
        atomicMin(a.bad, (uint32_t)row);
}

/* ---- weights ---------------------------------------------------------------
 */

/* Column c of a row as it is multiplied; zeros behind its end. */
static __device__ inline float
column_of(const bs_sae_fill_args &a, size_t row, size_t c)
{
    float gain = a.gain != NULL ? a.gain[row] : 1;

    if (c < a.width)
        return gain * a.from[row * a.width + c];
    if (c >= a.k)
        return 0;
    if (c == a.width)
        return a.from_bias != NULL ? gain * a.from_bias[row] : gain * 0;
    return c == a.width + 1 ? gain : a.shift[row];
}

/* What it is made from may be the place it goes to, without a gain: each
 * thread reads and writes one value, the first also the bias. */
BS_KERNEL(sae_fill, BS_EACH_THREADS, 4, bs_sae_fill_args)
{
    size_t j = blockIdx.x / a.row_blocks;
    size_t c =
        blockIdx.x % a.row_blocks * (size_t)BS_EACH_THREADS + threadIdx.x;
    size_t row = a.rows != NULL ? a.rows[j] : j;

    if (c == 0)
        a.bias[j] =
            a.gain == NULL && a.from_bias != NULL ? a.from_bias[row] : 0;
    if (c >= a.depth)
        return;
    float v = column_of(a, row, c);

    if (c < a.k)
        a.w[j * a.k + c] = v;
    if (a.exact)
        ((float *)a.screen)[j * a.depth + c] = v;
    else
        ((uint16_t *)a.screen)[j * a.depth + c] = (uint16_t)bs_bf16_of(v);
}

/* ---- bounds ----------------------------------------------------------------
 */

/* What is known of a row: how far its scores are off, by an atom's lengths. */
struct row_bound {
    float norm, rest, off;
    bool known; /* the scores are those that are defined */
};

static __device__ inline row_bound
bound_of(const bs_sae_scores &s, size_t row)
{
    bs_sae_size size = s.row[row];
    float rest = s.exact ? 0 : size.rest, k = (float)s.k;

    return row_bound{size.norm + rest, rest + s.slack * size.norm,
                     k * 0x1p-120f * (1 + size.norm), false};
}

/* Whether a row's scores can be trusted that far. */
static __device__ inline bool
sound(const bs_sae_scores &s, size_t row)
{
    float norm = s.row[row].norm;

    return norm > 0x1p-60f && norm < 0x1p80f && s.most_norm < 0x1p80f &&
           norm * s.most_norm + s.most_bound < 0x1p125f;
}

/* How far a score is off at most, for an atom or for all. */
static __device__ inline float
off_by(const row_bound &b, float score, float norm, float rest, float bound)
{
    float off = b.rest * norm + b.norm * rest + b.off;

    return b.known
               ? 0
               : off * (1 + 0x1p-18f) + (fabsf(score) + 2 * bound) * 0x1p-21f;
}

static __device__ inline float
off_of(const bs_sae_scores &s, const row_bound &b, float score, size_t j)
{
    bs_sae_size atom = s.atom[j];

    return off_by(b, score, atom.norm, s.exact ? 0 : atom.rest,
                  fabsf(s.bias[j]) + fabsf(s.bound[j]));
}

/* For all atoms, but for a share of the score: most scores need no other. */
static __device__ inline float
off_by_at_most(const bs_sae_scores &s, const row_bound &b)
{
    return off_by(b, 0, s.most_norm, s.exact ? 0 : s.most_rest, s.most_bound);
}

/* ---- the largest of each row -----------------------------------------------
 */

/* Positive floats have the order of their bits; what is in no code is 0. */
static __device__ inline uint32_t
key_of(float v)
{
    return v > 0 ? __float_as_uint(v) : 0;
}

/* A row on its block. */
struct pick {
    const bs_sae_scores *s;
    float *score; /* of all atoms */
    row_bound bound;
    float *value; /* the list, [BS_SAE_LIST] */
    uint32_t *idx;
    uint32_t *count; /* of what wanted a place in it */
};

/* The order of codes. */
static __device__ inline bool
before(float v, uint32_t i, float w, uint32_t j)
{
    return v > w || (v == w && i < j);
}

/* Sort the first n places, n <= BS_SAE_LIST, as a bitonic network; those up to
 * the next power of two are filled with what comes last. */
static __device__ inline void
sort_list(const pick &p, uint32_t n)
{
    uint32_t room = 1;

    while (room < n)
        room *= 2;
    for (uint32_t i = n + threadIdx.x; i < room; i += THREADS) {
        p.value[i] = 0;
        p.idx[i] = NONE;
    }
    __syncthreads();
    for (uint32_t size = 2; size <= room; size *= 2)
        for (uint32_t step = size / 2; step > 0; step /= 2) {
            for (uint32_t l = threadIdx.x; l < room / 2; l += THREADS) {
                uint32_t i = l / step * 2 * step + l % step, j = i + step;
                float v = p.value[i], w = p.value[j];
                uint32_t vi = p.idx[i], wi = p.idx[j];
                bool rising = (i & size) != 0;

                if (before(w, wi, v, vi) != rising) {
                    p.value[i] = w;
                    p.idx[i] = wi;
                    p.value[j] = v;
                    p.idx[j] = vi;
                }
            }
            __syncthreads();
        }
}

/* A lower bound of the top-th largest of all, from every so many-th score. */
static __device__ inline float
sample_cut(const pick &p, size_t top)
{
    size_t stride = p.s->n / BS_SAE_SAMPLE;

    if (stride < 2 || top > BS_SAE_SAMPLE / 4)
        return 0;
    for (size_t i = threadIdx.x; i < BS_SAE_SAMPLE; i += THREADS) {
        float score = p.score[i * stride];
        float low = score - off_of(*p.s, p.bound, score, i * stride);

        p.value[i] = low > 0 ? low : 0;
        p.idx[i] = (uint32_t)i;
    }
    sort_list(p, BS_SAE_SAMPLE);
    float cut = p.value[top - 1];

    __syncthreads();
    return cut;
}

/* All that may reach the cut and be positive, to the list; how many wanted to.
 */
static __device__ inline uint32_t
collect(const pick &p, float cut)
{
    float most = off_by_at_most(*p.s, p.bound);

    if (threadIdx.x == 0)
        *p.count = 0;
    __syncthreads();
    for (size_t j = threadIdx.x; j < p.s->n; j += THREADS) {
        float score = p.score[j];

        if (score + fabsf(score) * 0x1p-20f + most < cut)
            continue;
        float high = score + off_of(*p.s, p.bound, score, j);

        if (!(high > 0) || high < cut)
            continue;
        uint32_t at = atomicAdd(p.count, 1u);

        if (at < BS_SAE_LIST) {
            p.value[at] = score;
            p.idx[at] = (uint32_t)j;
        }
    }
    __syncthreads();
    uint32_t n = *p.count;

    __syncthreads(); /* before it is reset */
    return n;
}

/*
 * The top-th largest key of all, keys being the bits of a lower bound, and
 * where scores are known the atom's number behind them: then no two are equal.
 * Byte by byte from the top: which value of this byte the wanted one has, among
 * those that agree with it so far.
 */
static __device__ inline uint64_t
atom_key(const pick &p, size_t j)
{
    float score = p.score[j];
    uint64_t bits = key_of(score - off_of(*p.s, p.bound, score, j));

    return p.bound.known && bits != 0 ? bits << 32 | (NONE - (uint32_t)j)
                                      : bits << 32;
}

static __device__ inline uint64_t
select_key(const pick &p, size_t top)
{
    uint32_t *bin = p.idx; /* the list is empty now */
    uint64_t found = 0;
    int last = p.bound.known ? 0 : 32;

    for (int shift = 56; shift >= last; shift -= 8) {
        __syncthreads();
        if (threadIdx.x < 256)
            bin[threadIdx.x] = 0;
        __syncthreads();
        for (size_t j = threadIdx.x; j < p.s->n; j += THREADS) {
            uint64_t key = atom_key(p, j);

            /* Two shifts: one by 64 is not defined. */
            if (key >> shift >> 8 == found >> shift >> 8)
                atomicAdd(&bin[key >> shift & 255], 1u);
        }
        __syncthreads();
        uint32_t byte = 255;

        for (; byte > 0 && bin[byte] < top; byte--)
            top -= bin[byte];
        found |= (uint64_t)byte << shift;
    }
    __syncthreads();
    return found;
}

/* The list becomes what is at least the key. */
static __device__ inline uint32_t
collect_known(const pick &p, uint64_t least)
{
    if (threadIdx.x == 0)
        *p.count = 0;
    __syncthreads();
    for (size_t j = threadIdx.x; j < p.s->n; j += THREADS) {
        uint64_t key = atom_key(p, j);

        if (key == 0 || key < least)
            continue;
        uint32_t at = atomicAdd(p.count, 1u);

        p.value[at] = p.score[j];
        p.idx[at] = (uint32_t)j;
    }
    __syncthreads();
    return *p.count;
}

/* Compute the whole row as it is defined. */
static __device__ inline void
know_row(pick &p, const float *x)
{
    for (size_t j = threadIdx.x / 16; j < p.s->n; j += HALVES) {
        float pre = bs_dot16(x, p.s->w + j * p.s->k, p.s->k) + p.s->bias[j];

        if (threadIdx.x % 16 == 0)
            p.score[j] = pre;
    }
    p.bound.known = true;
    __syncthreads();
}

/* Of n candidates, compute those that may be among the top. */
static __device__ inline void
know_list(const pick &p, const float *x, uint32_t n, size_t top)
{
    for (uint32_t i = threadIdx.x; i < n; i += THREADS) {
        float low = p.value[i] - off_of(*p.s, p.bound, p.value[i], p.idx[i]);

        p.value[i] = low > 0 ? low : 0;
    }
    sort_list(p, n);
    float cut = n >= top ? p.value[top - 1] : 0;

    __syncthreads();
    for (uint32_t i = threadIdx.x / 16; i < n; i += HALVES) {
        uint32_t j = p.idx[i];
        float score = p.score[j], pre = 0;

        if (!(score + off_of(*p.s, p.bound, score, j) < cut))
            pre = bs_dot16(x, p.s->w + j * p.s->k, p.s->k) + p.s->bias[j];
        if (threadIdx.x % 16 == 0)
            p.value[i] = pre > 0 ? pre : 0;
    }
    __syncthreads();
}

BS_KERNEL(sae_pick, THREADS, 4, bs_sae_pick_args)
{
    BS_SHARED(float, value, [BS_SAE_LIST]);
    BS_SHARED(uint32_t, idx, [BS_SAE_LIST]);
    BS_SHARED(uint32_t, count, [1]);
    size_t row = blockIdx.x;
    const float *x = a.s.x + row * a.s.ldx;
    pick p = {&a.s, a.s.at + row * a.s.n, bound_of(a.s, row), value, idx,
              count};
    uint32_t n = BS_SAE_LIST + 1;

    if (sound(a.s, row)) {
        n = collect(p, sample_cut(p, a.top));
        if (n > BS_SAE_LIST)
            n = collect(p, __uint_as_float(select_key(p, a.top) >> 32));
    }
    if (n <= BS_SAE_LIST) {
        know_list(p, x, n, a.top);
    } else {
        know_row(p, x);
        n = collect_known(p, select_key(p, a.top));
    }
    sort_list(p, n);
    for (size_t i = threadIdx.x; i < a.top; i += THREADS) {
        bool used = i < n && value[i] > 0;

        a.idx[row * a.top + i] = used ? idx[i] : NONE;
        a.val[row * a.top + i] = used ? value[i] : 0;
    }
}

/* ---- hits of all rows ------------------------------------------------------
 */

/*
 * Scores here are less a threshold: a product may belong to a code where its
 * bound reaches the cut.  The order of the list is not defined.
 */
BS_KERNEL(sae_collect, THREADS, 4, bs_sae_collect_args)
{
    size_t row = blockIdx.y, j = blockIdx.x * (size_t)THREADS + threadIdx.x;

    if (j >= a.s.n)
        return;
    row_bound b = bound_of(a.s, row);
    float score = a.s.at[row * a.s.n + j];
    bs_hit hit = {0, INFINITY, (uint32_t)(a.first + row), (uint32_t)j};

    if (sound(a.s, row)) {
        if (score + fabsf(score) * 0x1p-20f + off_by_at_most(a.s, b) < a.cut)
            return;
        float off = off_of(a.s, b, score, j);

        hit.low = score - off;
        hit.high = score + off;
    }
    if (!((a.low ? hit.low : hit.high) >= a.cut))
        return;
    uint32_t place = atomicAdd(a.count, 1u);

    if (place < a.room)
        a.hits[place] = hit;
}

BS_KERNEL(sae_know, THREADS, 4, bs_sae_know_args)
{
    size_t i = blockIdx.x * (size_t)HALVES + threadIdx.x / 16;

    if (i >= a.n)
        return;
    bs_hit *hit = &a.hits[i];
    uint32_t j = hit->idx;
    float pre =
        bs_dot16(a.x + hit->row * a.ldx, a.w + j * a.k, a.k) + a.bias[j];

    if (threadIdx.x % 16 == 0)
        hit->low = hit->high = pre;
}
