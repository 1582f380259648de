/*
 * cuda_args.h - what the kernels are launched with: one struct each, the same
 * for the C that fills it and the kernel that gets it.  All pointers are
 * device memory.  Included by C, and by .cu files as C++.
 */
#ifndef BS_KERNELS_CUDA_ARGS_H
#define BS_KERNELS_CUDA_ARGS_H

#include "kernels/sae_hit.h"

#include <stddef.h>

/* ---- rows.cu ---------------------------------------------------------------
 */

/* One warp a row. */
#define BS_ROW_WARPS 4
#define BS_ROW_THREADS (32 * BS_ROW_WARPS)

struct bs_layer_norm_args {
    const float *x;
    float *y;
    size_t m, k;
    const float *gamma, *beta;
    float eps;
};

/* One thread an element of y: row_blocks blocks of so many threads a row. */
#define BS_EACH_THREADS 256

struct bs_gate_args {
    const float *x;
    float *y;
    size_t m, k;
    unsigned row_blocks;
};

struct bs_add_args {
    const float *x;
    float *y;
    size_t ldx, ldy, k;
    unsigned row_blocks;
};

/* One thread an element of y. */
struct bs_patchify_args {
    const uint8_t *rgb;
    float *y;
    size_t batch, height, width, patch;
    float mean[3], std[3];
};

struct bs_assemble_args {
    const float *patches, *lead, *pos;
    float *y;
    size_t batch, n, prefix, k;
    unsigned row_blocks;
};

/* One thread a pair of y. */
struct bs_round_args {
    const float *x;
    size_t ldx, k;
    float scale;
    uint32_t *y; /* bf16 [rows, 2 pairs] */
    size_t pairs;
    unsigned row_blocks;
};

/* One thread a pair of x. */
struct bs_widen_args {
    const uint32_t *x; /* bf16 [rows, 2 pairs] */
    size_t pairs;
    float *y;
    size_t ldy;
    unsigned row_blocks;
};

/* ---- gemm.cu ---------------------------------------------------------------
 */

/* A block computes so many rows and columns of y; weights are padded with
 * zeros to a multiple of the depth. */
#define BS_GEMM_ROWS 128
#define BS_GEMM_COLS 128
#define BS_GEMM_DEPTH 32
#define BS_GEMM_THREADS 256

struct bs_gemm_args {
    const void *w; /* f32 or bf16 [n, depth] */
    size_t depth;  /* k, rounded up */
    const float *x;
    size_t ldx;
    float *y;
    size_t ldy;
    size_t m, n, k;
    const float *bias, *scale; /* or NULL */
    int epilogue;              /* enum bs_epilogue */
};

/* One thread an element of y: what is left where a library multiplied.  The
 * product may be y. */
struct bs_finish_args {
    const float *product;
    size_t ld;
    float *y;
    size_t ldy, n;
    const float *bias, *scale; /* or NULL */
    int epilogue;              /* enum bs_epilogue */
    unsigned row_blocks;
};

/* ---- conv.cu ---------------------------------------------------------------
 */

/* The weight is as gemm's, [n, side * side * in], channels last. */
struct bs_conv_args {
    const void *w;
    size_t depth;
    const float *x;
    size_t ldx;
    float *y;
    size_t ldy;
    size_t m, n, k; /* pixels of y; channels of y; values of a window */
    const float *bias, *residual; /* or NULL */
    size_t ldr;
    unsigned in, side, stride, pad;
    unsigned height, width, up_height, up_width, out_height, out_width;
};

/* ---- group_norm.cu ---------------------------------------------------------
 */

/* At most so many parts of an image, and at least so many pixels each. */
#define BS_GROUP_PARTS 64
#define BS_GROUP_PIXELS 128

struct bs_group_norm_args {
    const float *x;
    float *y;
    size_t ldx, ldy;
    size_t batch, pixels, channels, groups;
    size_t parts, part_pixels; /* of an image */
    const float *gamma, *beta;
    double *sums;   /* [batch, parts, 2, channels] */
    float *factors; /* [batch, 2, channels]: y = x * factor + offset */
    float eps;
    int silu;
    unsigned row_blocks;
};

/* ---- attention.cu ----------------------------------------------------------
 */

#define BS_ATTENTION_KEYS 32 /* that are looked at together */
#define BS_ATTENTION_THREADS 256

struct bs_attention_args {
    const float *q, *k, *v;
    float *out;
    size_t ldq, ldk, ldv, ldo;
    size_t queries, keys, heads, dim;
    size_t query_blocks; /* of a head */
    int causal;
    float scale; /* of scores, into base-2 logarithms */
};

/* ---- sae_encode.cu ---------------------------------------------------------
 */

/* The length of a vector, and that of what rounding to bf16 takes away; both
 * not below the true one. */
struct bs_sae_size {
    float norm, rest;
};

/* One warp a row, as in rows.cu. */
struct bs_sae_measure_args {
    const float *x;
    size_t ldx, m, k;
    struct bs_sae_size *size; /* [m] */
    uint32_t *bad; /* least row that has a value that is not finite */
};

/* Screened products, and what bounds those that they stand for; see
 * sae_encode.cu. */
struct bs_sae_scores {
    float *at;      /* [rows, n]: x w^T + bound */
    size_t n;       /* atoms */
    const float *x; /* [rows, k], rows ldx apart */
    size_t ldx, k;
    const float *w;                 /* [n, k] */
    const float *bias;              /* [n] */
    const float *bound;             /* [n], what the scores got added */
    const struct bs_sae_size *row;  /* [rows] */
    const struct bs_sae_size *atom; /* [n] */
    int exact;                      /* scores are of f32 products */
    float slack;                    /* rounding errors, a share of the norms */
    float most_norm, most_rest;     /* of all atoms */
    float most_bound;               /* of |bias| and |bound| together */
};

#define BS_SAE_THREADS 256
#define BS_SAE_LIST 4096   /* places of a block's list: a power of two */
#define BS_SAE_SAMPLE 2048 /* scores that the first cut is taken from */

/* One block a row. */
struct bs_sae_pick_args {
    struct bs_sae_scores s;
    size_t top;
    uint32_t *idx; /* [rows, top] */
    float *val;
};

/* One thread a score, rows along y. */
struct bs_sae_collect_args {
    struct bs_sae_scores s;
    size_t first; /* the call's number of the first row */
    float cut;    /* hits reach it and are positive */
    int low;      /* count those whose lower bound does */
    size_t room;
    struct bs_hit *hits;
    uint32_t *count; /* of all that there are, also beyond the room */
};

/* One half-warp a hit. */
struct bs_sae_know_args {
    const float *x; /* of row 0 of the call */
    size_t ldx, k;
    const float *w, *bias;
    struct bs_hit *hits;
    size_t n;
};

/* ---- sae_decode.cu ---------------------------------------------------------
 */

/* One block a row; ptr or top as in struct bs_code_rows. */
struct bs_sae_decode_args {
    const uint32_t *ptr;
    const uint32_t *idx;
    const float *val;
    size_t top;
    const float *dict;
    size_t width;
    const float *bias; /* or NULL */
    float *y;
};

/* ---- sae_encode.cu: weights ------------------------------------------------
 */

/* One thread a column, up to the depth of the weight that gemm multiplies by:
 * row_blocks blocks a row.  See struct bs_encoder_rows. */
struct bs_sae_fill_args {
    const float *from, *from_bias, *gain, *shift; /* the last three or NULL */
    size_t width;
    const uint32_t *rows; /* or NULL: 0.. */
    float *w, *bias;      /* [n, k], [n] */
    size_t k, depth;
    void *screen; /* [n, depth], bf16, or f32 where it is exact */
    int exact;
    unsigned row_blocks;
};

/* ---- sae_train.cu ----------------------------------------------------------
 */

/* Of tokens, so many rows are summed by themselves; of values, so many. */
#define BS_SUM_ROWS 64
#define BS_SUM_PIECE 8192

struct bs_train_tokens_args {
    const float *x, *centre; /* centre: or NULL */
    float *out;
    size_t m, width;
    int narrow;   /* round to bf16 */
    double *sums; /* [chunks of rows, width], or NULL */
    unsigned row_blocks;
};

/* One thread a column. */
struct bs_train_mean_args {
    const double *sums;
    size_t chunks, m, width;
    double *mean;
};

struct bs_train_spread_args {
    const float *x;
    const double *mean;
    size_t m, width;
    double *sums; /* [chunks of rows] */
};

struct bs_train_residual_args {
    const float *x;
    float *y; /* or NULL: squares of x */
    size_t n;
    double *sums; /* [pieces] */
};

/* A block brings so many rows at a time, a warp each. */
#define BS_ROW_SUM_ROWS 128
#define BS_ROW_SUM_WARPS 8
#define BS_ROW_SUM_THREADS (32 * (1 + BS_ROW_SUM_WARPS))

struct bs_row_sum_args {
    const float *x, *coef; /* coef: or NULL */
    size_t rows, cols;
    double *out;
};

/* A block has a tile of the products, of a part of the rows. */
#define BS_GRAM_SIDE 64
#define BS_GRAM_THREADS 256
#define BS_GRAM_RUN 128 /* rows whose products are summed in f32 */

struct bs_gram_args {
    const float *x, *coef, *mean; /* the last two or NULL */
    size_t rows, cols;
    size_t part_rows;
    unsigned tiles; /* along a side */
    double *sums;   /* [parts, cols, cols], on and above the diagonal */
};

struct bs_gram_fold_args {
    const double *sums;
    size_t parts, cols;
    double *out;
    unsigned row_blocks;
};

struct bs_copy_rows_args {
    const float *from;
    const uint32_t *from_row; /* or NULL: 0.. */
    float *to;
    const uint32_t *to_row;
    size_t cols;
    float scale;
    unsigned row_blocks;
};

struct bs_tangent_args {
    float *grad;
    const float *table;
    const uint32_t *row;
    size_t n, width;
};

/* See struct bs_norm_gradient. */
struct bs_norm_gradient_args {
    float *grad;
    size_t width;
    const float *bias, *along, *rest;
    const uint32_t *slot;
    const float *sparse, *weight, *common;
    unsigned row_blocks;
};

/* ---- sae_groups.cu ---------------------------------------------------------
 */

#define BS_GROUP_RUN 64 /* codes that are summed before they are added */

struct bs_group_dots_args {
    const uint32_t *token, *place; /* [n], in the order of their concepts */
    const uint32_t *idx;           /* concepts, by place */
    size_t n;
    const float *x, *table;
    size_t width;
    float scale;
    float *out; /* by place */
};

struct bs_group_sum_args {
    const uint32_t *start; /* [groups + 1]: codes of each */
    const uint32_t *token, *place;
    const float *coef, *x;
    size_t width;
    float scale;
    float *out, *total; /* total: or NULL */
    unsigned row_blocks;
};

/* ---- sae_adam.cu -----------------------------------------------------------
 */

/* Rows of so many columns are in shared memory while a block works on them. */
#define BS_ADAM_NEAR 2048

/* See struct bs_adam and those behind it. */
struct bs_adam_args {
    float *p, *m, *v;
    const uint32_t *last; /* or NULL: now - 1 */
    const uint32_t *row;  /* or NULL: 0.. */
    size_t n, cols;
    const float (*steps)[3]; /* struct bs_adam_step of step `from`.. */
    uint32_t from, now;
    float toward1, keep2, toward2, eps;
    /* In none of these steps decay takes anything; nor more than half, and eps
     * is above 0. */
    int kept, small;
    const float *grad, *common; /* or NULL */
    size_t first;
    const uint32_t *slot; /* or NULL */
    float scale;
    int project; /* enum bs_project */
    float radius;
    int near; /* the row fits in shared memory */
};

struct bs_project_args {
    float *p;
    size_t cols;
    int project; /* enum bs_project */
    float radius;
};

struct bs_adam_mark_args {
    uint32_t *last;
    const uint32_t *row; /* or NULL */
    size_t n;
    uint32_t now;
    uint32_t *oldest; /* set to 2^32 - 1 before */
};

#endif
