/*
 * conv.cu - convolution; see image_ops.h.  A product of matrices, the rows of
 * the one being the windows of x, whose values are fetched from where they are.
 */
#include "kernels/gemm_tile.cuh"

/* The window of an output pixel. */
struct window {
    size_t image; /* its first pixel */
    int row, col; /* where it begins, in the enlarged image */
};

#define NOWHERE (-0x40000000)

static __device__ inline void
find_windows(const bs_conv_args &a, size_t first, window to[ROWS])
{
    size_t at = first + threadIdx.x;

    if (threadIdx.x < ROWS) {
        size_t col = at % a.out_width, row = at / a.out_width % a.out_height;
        size_t image = at / a.out_width / a.out_height;
        bool in = at < a.m;

        to[threadIdx.x].image = in ? image * a.height * a.width : 0;
        to[threadIdx.x].row = in ? (int)(row * a.stride) - (int)a.pad : NOWHERE;
        to[threadIdx.x].col = (int)(col * a.stride) - (int)a.pad;
    }
    __syncthreads();
}

struct conv {
    const bs_conv_args &a;
    const window *windows;
    size_t row, col; /* the first of the tile */

    /* A place in a window, and a channel; `row` is NOWHERE beyond the last. */
    struct column {
        int row, col;
        unsigned channel;
        size_t k;
    };

    __device__ column
    at(size_t k) const
    {
        unsigned tap = (unsigned)k / a.in;

        return {k < a.k ? (int)(tap / a.side) : NOWHERE, (int)(tap % a.side),
                (unsigned)k % a.in, k};
    }

    /* The value of x there, or NULL in the padding. */
    __device__ const float *
    find(unsigned row, const column &c) const
    {
        window w = windows[row];
        unsigned y = (unsigned)(w.row + c.row), x = (unsigned)(w.col + c.col);

        if (y >= a.up_height || x >= a.up_width)
            return NULL;
        if (a.up_height != a.height)
            y = y * a.height / a.up_height;
        if (a.up_width != a.width)
            x = x * a.width / a.up_width;
        return a.x + (w.image + (size_t)y * a.width + x) * a.ldx + c.channel;
    }

    __device__ float
    value(unsigned row, const column &c) const
    {
        const float *x = find(row, c);

        return x != NULL ? *x : 0;
    }

    __device__ uint32_t
    pair(unsigned row, const column &c) const
    {
        const float *x = find(row, c);
        float low = x != NULL ? x[0] : 0, high;

        if (c.channel + 1 < a.in)
            high = x != NULL ? x[1] : 0;
        else
            high = value(row, at(c.k + 1));
        return bs_bf16_of(low) | bs_bf16_of(high) << 16;
    }

    __device__ void
    finish(unsigned row, unsigned col, float sum) const
    {
        size_t r = this->row + row, c = this->col + col;

        if (r >= a.m || c >= a.n)
            return;
        if (a.bias != NULL)
            sum += a.bias[c];
        if (a.residual != NULL)
            sum += a.residual[r * a.ldr + c];
        a.y[r * a.ldy + c] = sum;
    }
};

static __device__ inline conv
conv_of(const bs_conv_args &a, window windows[ROWS])
{
    conv c = {a, windows, blockIdx.x * (size_t)ROWS, blockIdx.y * (size_t)COLS};

    find_windows(a, c.row, windows);
    return c;
}

BS_KERNEL(conv_f32, THREADS, 1, bs_conv_args)
{
    BS_SHARED(window, windows, [ROWS]);
    conv c = conv_of(a, windows);

    tile_f32(c, {a.w, a.depth, a.n, a.k, c.col});
}

BS_KERNEL(conv_bf16, THREADS, 1, bs_conv_args)
{
    BS_SHARED(window, windows, [ROWS]);
    conv c = conv_of(a, windows);

    tile_bf16(c, {a.w, a.depth, a.n, a.k, c.col});
}
