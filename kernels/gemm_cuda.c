/*
 * gemm_cuda.c - weights and gemm on the CUDA device: gemm_cublas.c or gemm.cu.
 */
#include "kernels/gemm_cuda.h"

#include "common/mem.h"

/* ---- weights ---------------------------------------------------------------
 */

#define BLOCK_BYTES ((size_t)4 << 20)

/* Rows first..first+rows-1 of `from` as they lie on the device, to `out`. */
static void
pack_rows(void *out, const struct cuda_weight *w, const char *from,
          enum bs_dtype type, float *wide, size_t first, size_t rows)
{
    size_t k = w->head.k, size = bs_dtype_size(type), i;
    size_t pitch = w->depth * bs_dtype_size(w->type);

    memset(out, 0, rows * pitch);
    for (i = 0; i < rows; i++) {
        char *to = (char *)out + i * pitch;
        const char *row = from + (first + i) * k * size;

        if (type == w->type) {
            memcpy(to, row, k * size);
        } else {
            memcpy(wide + k, row, k * size); /* may not be aligned */
            bs_to_f32(wide, type, wide + k, k);
            bs_from_f32(to, w->type, wide, k);
        }
    }
}

static int
put_rows(struct bs_dev *d, struct cuda_weight *w, const void *from,
         enum bs_dtype type, void *block, size_t block_rows, float *wide)
{
    size_t pitch = w->depth * bs_dtype_size(w->type), i;
    int r = 0;

    for (i = 0; r == 0 && i < w->head.n; i += block_rows) {
        size_t left = w->head.n - i;
        size_t rows = left < block_rows ? left : block_rows;

        pack_rows(block, w, from, type, wide, i, rows);
        r = bs_cuda_put(d, (char *)w->at.p + i * pitch, block, rows * pitch);
    }
    return r;
}

static int
fill_weight(struct bs_dev *d, struct cuda_weight *w, const void *from,
            enum bs_dtype type)
{
    size_t pitch, bytes, block_rows;
    void *block;
    float *wide;
    int r;

    if (!bs_add(w->head.k, BS_GEMM_DEPTH, &pitch) ||
        !bs_mul(pitch, sizeof(float), &pitch) ||
        !bs_mul(w->head.n, pitch, &bytes))
        return bs_err_memory(&d->err, "weight", SIZE_MAX);
    w->depth = BS_ROUND_UP(w->head.k, BS_GEMM_DEPTH);
    pitch = w->depth * bs_dtype_size(w->type);
    r = bs_cuda_alloc(d, &w->at, w->head.n * pitch);
    if (r < 0 || w->head.n * pitch == 0)
        return r;
    block_rows = BLOCK_BYTES / pitch + 1;
    block = bs_alloc(block_rows * pitch);
    wide = bs_alloc_array(2 * w->head.k, sizeof *wide);
    r = block == NULL || wide == NULL
            ? bs_err_memory(&d->err, "weight", block_rows * pitch)
            : put_rows(d, w, from, type, block, block_rows, wide);
    bs_free(block);
    bs_free(wide);
    return r;
}

int
bs_cuda_weight(struct bs_dev *d, struct bs_weight **out, const void *from,
               enum bs_dtype type, size_t n, size_t k, enum bs_math math)
{
    struct cuda_weight *w = bs_alloc_array(1, sizeof *w);
    int r;

    if (w == NULL)
        return bs_err_memory(&d->err, "weight", sizeof *w);
    w->head.n = n;
    w->head.k = k;
    w->own = math == BS_MATH_F32_OWN;
    w->type = math == BS_MATH_BF16 ? BS_DTYPE_BF16 : BS_DTYPE_F32;
    r = fill_weight(d, w, from, type);
    if (r < 0) {
        bs_cuda_weight_free(d, &w->head);
        return r;
    }
    *out = &w->head;
    return 0;
}

void
bs_cuda_weight_free(struct bs_dev *d, struct bs_weight *weight)
{
    struct cuda_weight *w = (struct cuda_weight *)weight;

    bs_cuda_free(d, &w->at);
    bs_free(w);
}

/* ---- multiplication --------------------------------------------------------
 */

int
bs_cuda_gemm(struct bs_dev *d, const struct bs_dev_gemm *a)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    const struct cuda_weight *w = (const struct cuda_weight *)a->w;
    const struct bs_gemm_args args = {
        .w = w->at.p,
        .depth = w->depth,
        .x = a->x,
        .ldx = a->ldx,
        .y = a->y,
        .ldy = a->ldy,
        .m = a->m,
        .n = w->head.n,
        .k = w->head.k,
        .bias = a->bias,
        .scale = a->scale,
        .epilogue = (int)a->epilogue,
    };
    const struct bs_grid grid = {bs_blocks(a->m, BS_GEMM_ROWS),
                                 bs_blocks(w->head.n, BS_GEMM_COLS),
                                 BS_GEMM_THREADS, 0};
    bool done;
    int r = bs_cuda_lt_gemm(c, a, &done);

    if (r < 0 || done)
        return r;
    return w->type == BS_DTYPE_BF16 ? BS_LAUNCH(c, gemm_bf16, grid, args)
                                    : BS_LAUNCH(c, gemm_f32, grid, args);
}
