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

#endif
