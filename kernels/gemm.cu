/*
 * gemm.cu - y = epilogue(x w^T + bias); see dev.h.
 */
#include "kernels/gemm_tile.cuh"

/* enum bs_epilogue of dev.h. */
enum { NONE, GELU, RESIDUAL, QUICK_GELU, SILU };

/* Of a sum, its bias added; `before` is read by what adds to it. */
static __device__ inline float
finished(int epilogue, float v, const float *before, float scale)
{
    if (epilogue == GELU)
        return bs_gelu(v);
    if (epilogue == RESIDUAL)
        return *before + scale * v;
    if (epilogue == QUICK_GELU || epilogue == SILU)
        return v / (1 + expf(epilogue == SILU ? -v : -1.702f * v));
    return v;
}

struct gemm {
    const bs_gemm_args &a;
    size_t row, col; /* the first of the tile */

    struct column {
        size_t col;
    };

    __device__ column
    at(size_t col) const
    {
        return {col};
    }

    __device__ float
    value(unsigned row, column c) const
    {
        size_t r = this->row + row;

        return r < a.m && c.col < a.k ? a.x[r * a.ldx + c.col] : 0;
    }

    __device__ uint32_t
    pair(unsigned row, column c) const
    {
        return bs_bf16_of(value(row, c)) | bs_bf16_of(value(row, {c.col + 1}))
                                               << 16;
    }

    __device__ void
    finish(unsigned row, unsigned col, float sum) const
    {
        size_t r = this->row + row, c = this->col + col;

        if (r >= a.m || c >= a.n)
            return;
        float *y = a.y + r * a.ldy + c;
        float v = a.bias != NULL ? sum + a.bias[c] : sum;

        *y = finished(a.epilogue, v, y, a.scale != NULL ? a.scale[c] : 1);
    }
};

static __device__ inline gemm
gemm_of(const bs_gemm_args &a)
{
    return {a, blockIdx.x * (size_t)ROWS, blockIdx.y * (size_t)COLS};
}

BS_KERNEL(gemm_f32, THREADS, 1, bs_gemm_args)
{
    gemm g = gemm_of(a);

    tile_f32(g, {a.w, a.depth, a.n, a.k, g.col});
}

BS_KERNEL(gemm_bf16, THREADS, 1, bs_gemm_args)
{
    gemm g = gemm_of(a);

    tile_bf16(g, {a.w, a.depth, a.n, a.k, g.col});
}

BS_KERNEL(gemm_finish, BS_EACH_THREADS, 4, bs_finish_args)
{
    size_t row = blockIdx.x / a.row_blocks;
    size_t c =
        blockIdx.x % a.row_blocks * (size_t)BS_EACH_THREADS + threadIdx.x;

    if (c >= a.n)
        return;
    float v = a.product[row * a.ld + c] + (a.bias != NULL ? a.bias[c] : 0);
    float *y = a.y + row * a.ldy + c;

    *y = finished(a.epilogue, v, y, a.scale != NULL ? a.scale[c] : 1);
}
