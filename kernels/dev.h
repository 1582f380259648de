/*
 * dev.h - the table of operations that every device implements.
 *
 * A command opens one device and calls these functions; it never sees what is
 * behind them.  Each operation's contract (shapes, ties, NaN, accumulation,
 * tolerance) stands at its declaration here and is the same on every device;
 * `kernels/<op>_cpu.c` and `kernels/<op>.cu` implement it, and
 * tests/kernels/k-<op>.c holds every implementation against the plain C one.
 *
 * Memory: `struct bs_mem` names device memory and is lent to the operations;
 * offsets are in bytes; bs_mem_from names a part of it.  All matrices are
 * row-major and dense unless a leading dimension is named.  Operations are
 * ordered as they were called; bs_dev_get and bs_dev_sync wait for them.
 *
 * Results: each row of a result is summed in one fixed order, so it depends
 * neither on the number of rows in the call nor on the number of threads.
 * Devices and instruction sets may differ within the operation's tolerance.
 *
 * Errors: 0, or a negative enum bs_exit with the message in bs_dev_error().
 */
#ifndef BS_KERNELS_DEV_H
#define BS_KERNELS_DEV_H

#include "common/bs.h"
#include "common/dtype.h"
#include "common/err.h"

struct bs_dev;

/* Device memory; zero-initialised means none. */
struct bs_mem {
    void *p;
    size_t bytes;
};

/* What the products of gemm and attention are computed in; sums are f32. */
enum bs_math {
    BS_MATH_F32,    /* f32 operands */
    BS_MATH_BF16,   /* operands rounded to bf16 where the processor gains by it;
                       elsewhere f32 activations by bf16 weights */
    BS_MATH_F32_OWN /* f32, by no library that a device may have: the bits do
                       not depend on whether one is there */
};

/*
 * Open the device called `name`: "cpu", "cuda" or "cuda:N", or "auto", which is
 * "cuda" where that can be had, and otherwise "cpu".  `threads`
 * as for bs_pool_open (CPU only).  The environment variable BS_CPU forces an
 * instruction set: portable, avx2, avx512, avx512bf16; one that the processor
 * lacks is -BS_EX_UNAVAIL.
 */
int bs_dev_open(struct bs_dev **out, const char *name, unsigned threads,
                struct bs_err *e) BS_CHECKED;
/*
 * The same, and a GPU not at once with others who call this: once they have
 * closed it, at most `wait` seconds later (0: as bs_dev_open, at once).  A GPU
 * that is not free by then, or when a stop is wanted (common/stop.h), could not
 * be had.
 */
int bs_dev_open_alone(struct bs_dev **out, const char *name, unsigned threads,
                      uint64_t wait, struct bs_err *e) BS_CHECKED;
void bs_dev_close(struct bs_dev *d);

/* "cpu (avx2, 2 threads)" and the like, for -v; with the libraries that a GPU's
 * operations may use, which are opened for that. */
const char *bs_dev_describe(struct bs_dev *d);
const struct bs_err *bs_dev_error(const struct bs_dev *d);
/* What this build can do, for --version: "cpu: portable avx2 avx512 ..." */
const char *bs_dev_features(void);

/* ---- memory ------------------------------------------------------------ */

/* Uncleared memory, at a multiple of BS_ALIGN; free accepts an empty bs_mem
 * and empties it. */
int bs_dev_alloc(struct bs_dev *d, struct bs_mem *m, size_t bytes) BS_CHECKED;
void bs_dev_free(struct bs_dev *d, struct bs_mem *m);

/* Copy between host and device; the ranges are checked against m->bytes. */
int bs_dev_put(struct bs_dev *d, struct bs_mem *m, size_t offset,
               const void *host, size_t bytes) BS_CHECKED;
int bs_dev_get(struct bs_dev *d, void *host, const struct bs_mem *m,
               size_t offset, size_t bytes) BS_CHECKED;
int bs_dev_sync(struct bs_dev *d) BS_CHECKED;

/* What of m lies from `offset` bytes on; nothing where that is past its end.
 * Lent like m, never freed. */
struct bs_mem bs_mem_from(const struct bs_mem *m, size_t offset);

/* ---- gemm: y = epilogue(x w^T + bias) ----------------------------------- */

struct bs_weight; /* a matrix [n, k] packed for this device */

/*
 * Pack w, row-major [n, k] of `type` F32, F16 or BF16 in host memory (any
 * alignment), for `math`.  F16 and BF16 weights keep their exact values under
 * BS_MATH_F32.  The host memory may go afterwards.
 */
int bs_dev_weight(struct bs_dev *d, struct bs_weight **out, const void *w,
                  enum bs_dtype type, size_t n, size_t k,
                  enum bs_math math) BS_CHECKED;
void bs_dev_weight_free(struct bs_dev *d, struct bs_weight *w);

enum bs_epilogue {
    BS_EPI_NONE,     /* y = a */
    BS_EPI_GELU,     /* y = a * Phi(a), the exact (erf) form */
    BS_EPI_RESIDUAL, /* y = y + scale * a: a layer-scaled residual, in place */
    BS_EPI_QUICK_GELU, /* y = a * sigmoid(1.702 a) */
    BS_EPI_SILU        /* y = a * sigmoid(a) */
};

/*
 * a[i][j] = sum over k of x[i][k] w[j][k], plus bias[j] where bias is given;
 * then the epilogue.  x: f32 [m, k], rows ldx floats apart; y: f32 [m, n], rows
 * ldy floats apart; x and y must not overlap.  bias and scale: f32 [n], or
 * NULL (no bias; scale 1).  m, n or k of 0 is fine (a is then the bias).
 * Accumulated in f32.  Tolerance: |error| <= 1e-6 (f32) or 8e-3 (bf16) times
 * the sum of the absolute products, plus 1e-6 |a|; GELU, quick GELU and SiLU
 * add 4e-7 max(1, |a|).
 * NaN and infinity in x or w reach every y that they enter.
 */
int bs_dev_gemm(struct bs_dev *d, const struct bs_weight *w,
                const struct bs_mem *x, size_t ldx, struct bs_mem *y,
                size_t ldy, size_t m, const struct bs_mem *bias,
                enum bs_epilogue epilogue,
                const struct bs_mem *scale) BS_CHECKED;

/* ---- attention ----------------------------------------------------------- */

/*
 * For each of `batch` sequences and each of `heads` heads of `dim` columns (512
 * at most),
 *     out = softmax(q k^T / sqrt(dim)) v.
 * q, out: f32 [batch * queries, heads * dim]; k, v: f32 [batch * keys, heads *
 * dim], keys > 0; their rows are ldq, ldo, ldk and ldv floats apart, so that
 * they may be columns of one matrix (bs_mem_from names them).  out overlaps
 * none of the others.  causal: query i sees the keys up to i; queries == keys.
 *
 * Scores and sums are f32; `math` rules the two products.  Tolerance against a
 * float64 softmax: 2e-6 (f32) or 1e-2 (bf16) times the largest |v| of the head.
 * A NaN in a row of q, k or v gives NaN in every output row that depends on it;
 * one in v may reach causal rows above its own.
 */
struct bs_attention {
    struct bs_mem q, k, v, out;
    size_t ldq, ldk, ldv, ldo;
    size_t batch, queries, keys, heads, dim;
    bool causal;
    enum bs_math math;
};
int bs_dev_attention(struct bs_dev *d, const struct bs_attention *a) BS_CHECKED;

/* ---- rows ---------------------------------------------------------------- */

/*
 * y = (x - mean) / sqrt(var + eps) * gamma + beta over each row of k values
 * (var with divisor k, mean and var in f32 over a fixed tree).  x, y: f32
 * [m, k], may be the same; gamma, beta: f32 [k].  Tolerance 2e-6 * (|gamma|
 * * |normalised value| + |beta|) + 1e-6.
 */
int bs_dev_layer_norm(struct bs_dev *d, const struct bs_mem *x,
                      struct bs_mem *y, size_t m, size_t k,
                      const struct bs_mem *gamma, const struct bs_mem *beta,
                      float eps) BS_CHECKED;

/*
 * The gate of SwiGLU: y[i][j] = silu(x[i][j]) * x[i][k + j], j < k.  x: f32
 * [m, 2k]; y: f32 [m, k]; no overlap.  Tolerance 4e-7 * |result| + 1e-7.
 */
int bs_dev_swiglu(struct bs_dev *d, const struct bs_mem *x, struct bs_mem *y,
                  size_t m, size_t k) BS_CHECKED;

/*
 * The gate of GEGLU: y[i][j] = x[i][j] * gelu(x[i][k + j]), j < k, the exact
 * (erf) form: the second half is the gate, as diffusers has it.  x: f32 [m,
 * 2k]; y: f32 [m, k]; no overlap.  Tolerance 4e-7 |x[i][j]| max(1, |x[i][k +
 * j]|) + 1e-6 |result|.
 */
int bs_dev_geglu(struct bs_dev *d, const struct bs_mem *x, struct bs_mem *y,
                 size_t m, size_t k) BS_CHECKED;

/* y += x.  x, y: f32 [m, k], rows ldx and ldy floats apart; no overlap.  Exact.
 */
int bs_dev_add(struct bs_dev *d, const struct bs_mem *x, size_t ldx,
               struct bs_mem *y, size_t ldy, size_t m, size_t k) BS_CHECKED;

/* ---- images to tokens -----------------------------------------------------
 */

/*
 * Cut images into rows of a patch matrix.  rgb: U8 [batch, height, width, 3];
 * height and width are multiples of `patch`.  y: f32 [batch * (height / patch)
 * * (width / patch), 3 * patch * patch], patches row by row, a patch's values
 * ordered channel, row, column: y = ((float)u / 255 - mean[c]) / std[c], each
 * step rounded to f32 (as torchvision's ToTensor and Normalize do).  Exact.
 */
int bs_dev_patchify(struct bs_dev *d, const struct bs_mem *rgb,
                    struct bs_mem *y, size_t batch, size_t height, size_t width,
                    size_t patch, const float mean[3],
                    const float std[3]) BS_CHECKED;

/*
 * Put the tokens of a sequence together.  patches: f32 [batch * n, k]; lead:
 * f32 [prefix, k], what stands before the patches, position added already;
 * pos: f32 [n, k].  y: f32 [batch * (prefix + n), k]: the lead rows, then
 * patches + pos.  Exact.
 */
int bs_dev_assemble(struct bs_dev *d, const struct bs_mem *patches,
                    const struct bs_mem *lead, const struct bs_mem *pos,
                    struct bs_mem *y, size_t batch, size_t n, size_t prefix,
                    size_t k) BS_CHECKED;

#endif
