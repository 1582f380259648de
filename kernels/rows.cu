/*
 * rows.cu - operations on rows of values, and images to tokens; see dev.h.
 */
#include "kernels/cuda.cuh"

/* ---- layer norm ------------------------------------------------------------
 */

/* As on the CPU, the second pass also measures what the rounded mean is off, so
 * that a large mean does not cost accuracy. */
BS_KERNEL(layer_norm, BS_ROW_THREADS, 4, bs_layer_norm_args)
{
    size_t row = blockIdx.x * (size_t)BS_ROW_WARPS + threadIdx.x / 32;
    unsigned lane = threadIdx.x % 32;
    const float *x = a.x + row * a.k;
    float *y = a.y + row * a.k;
    float sum = 0, off = 0, square = 0;

    if (row >= a.m)
        return;
    for (size_t i = lane; i < a.k; i += 32)
        sum += x[i];
    float mean = bs_warp_sum(sum) / (float)a.k;
    for (size_t i = lane; i < a.k; i += 32) {
        float d = x[i] - mean;

        off += d;
        square += d * d;
    }
    off = bs_warp_sum(off) / (float)a.k;
    float var = bs_warp_sum(square) / (float)a.k - off * off;
    float inv = 1 / sqrtf((var < 0 ? 0 : var) + a.eps);
    for (size_t i = lane; i < a.k; i += 32)
        y[i] = (x[i] - mean - off) * inv * a.gamma[i] + a.beta[i];
}

/* ---- elements --------------------------------------------------------------
 */

/* Where a thread stands: blocks go along a row, then to the next. */
static __device__ inline void
place(unsigned row_blocks, size_t *row, size_t *col)
{
    *row = blockIdx.x / row_blocks;
    *col = blockIdx.x % row_blocks * (size_t)BS_EACH_THREADS + threadIdx.x;
}

BS_KERNEL(swiglu, BS_EACH_THREADS, 4, bs_gate_args)
{
    size_t row, col;

    place(a.row_blocks, &row, &col);
    if (col >= a.k)
        return;
    const float *x = a.x + row * 2 * a.k + col;
    float gate = x[0], up = x[a.k];

    a.y[row * a.k + col] = gate / (1 + expf(-gate)) * up;
}

BS_KERNEL(geglu, BS_EACH_THREADS, 4, bs_gate_args)
{
    size_t row, col;

    place(a.row_blocks, &row, &col);
    if (col >= a.k)
        return;
    const float *x = a.x + row * 2 * a.k + col;

    a.y[row * a.k + col] = x[0] * bs_gelu(x[a.k]);
}

BS_KERNEL(add, BS_EACH_THREADS, 4, bs_add_args)
{
    size_t row, col;

    place(a.row_blocks, &row, &col);
    if (col < a.k)
        a.y[row * a.ldy + col] += a.x[row * a.ldx + col];
}

BS_KERNEL(round_rows, BS_EACH_THREADS, 4, bs_round_args)
{
    size_t row, pair;

    place(a.row_blocks, &row, &pair);
    if (pair >= a.pairs)
        return;
    const float *x = a.x + row * a.ldx + 2 * pair;
    uint32_t low = 2 * pair < a.k ? bs_bf16_of(a.scale * x[0]) : 0;
    uint32_t high = 2 * pair + 1 < a.k ? bs_bf16_of(a.scale * x[1]) : 0;

    a.y[row * a.pairs + pair] = low | high << 16;
}

BS_KERNEL(widen_rows, BS_EACH_THREADS, 4, bs_widen_args)
{
    size_t row, pair;

    place(a.row_blocks, &row, &pair);
    if (pair >= a.pairs)
        return;
    uint32_t both = a.x[row * a.pairs + pair];
    float *y = a.y + row * a.ldy + 2 * pair;

    y[0] = bs_float_of(both & 0xffff);
    y[1] = bs_float_of(both >> 16);
}

BS_KERNEL(patchify, BS_EACH_THREADS, 4, bs_patchify_args)
{
    size_t at = blockIdx.x * (size_t)BS_EACH_THREADS + threadIdx.x;
    size_t p = a.patch;

    if (at >= a.batch * a.height * a.width * 3)
        return;
    size_t across = a.width / p, down = a.height / p;
    size_t column = at % p, row = at / p % p, channel = at / (p * p) % 3;
    size_t patch = at / (3 * p * p);
    size_t x = patch % across * p + column;
    size_t y = patch / across % down * p + row;
    size_t image = patch / (across * down);
    float unit =
        (float)a.rgb[((image * a.height + y) * a.width + x) * 3 + channel] /
        255;

    /* Not by index: that would be a copy of the arrays in slow memory. */
    float mean = channel == 0   ? a.mean[0]
                 : channel == 1 ? a.mean[1]
                                : a.mean[2];
    float std = channel == 0 ? a.std[0] : channel == 1 ? a.std[1] : a.std[2];

    a.y[at] = (unit - mean) / std;
}

BS_KERNEL(assemble, BS_EACH_THREADS, 4, bs_assemble_args)
{
    size_t row, col, tokens = a.prefix + a.n;

    place(a.row_blocks, &row, &col);
    if (col >= a.k)
        return;
    size_t image = row / tokens, token = row % tokens;
    float *y = a.y + row * a.k + col;

    if (token < a.prefix) {
        *y = a.lead[token * a.k + col];
    } else {
        size_t patch = token - a.prefix;

        *y = a.patches[(image * a.n + patch) * a.k + col] +
             a.pos[patch * a.k + col];
    }
}
