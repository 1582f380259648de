/*
 * isa.h - what the CPU device needs from one instruction set: the inner loops.
 *
 * Every instruction set is the same template, kernels/isa_body.h, compiled in
 * an object of its own (isa_<name>.c) that only its table leads to.  Loops
 * over blocks, threads and memory are above, in portable C (cpu_<op>.c).
 * Private to kernels/ and its tests.
 */
#ifndef BS_KERNELS_ISA_H
#define BS_KERNELS_ISA_H

#include "common/bs.h"
#include "kernels/gram.h"

/* What is done to the sums of a gemm: y = epilogue(c + bias). */
struct bs_isa_epilogue {
    const float *bias;  /* or NULL */
    const float *scale; /* of the residual, or NULL */
    int kind;           /* enum bs_epilogue */
};

/*
 * What bounds the products of rows and atoms from above: with the product p of
 * what is left of both after rounding to whole numbers,
 *     p scale scale + rest norm + norm rest + unit bias,
 * factors of the row first and of the atom second.  `norm` is a length, `rest`
 * that of what the rounding took away, `unit` the power of two that rows are
 * measured in.  A row's hits reach its `cut`.
 */
struct bs_isa_atoms {
    const float *scale, *norm, *rest, *bias;
};
struct bs_isa_row {
    float scale, norm, rest, unit, cut;
};

/* Where 4 x 4 results of a convolution go, or what of them is inside the
 * image: y = result + bias + residual, the last two if not NULL. */
struct bs_isa_tile {
    size_t rows, cols, channels;
    float *y;
    size_t y_row, ldy; /* floats between rows; between pixels */
    const float *residual;
    size_t residual_row, ldr;
    const float *bias;
};

struct bs_isa {
    const char *name;
    size_t mr; /* rows of a tile */
    size_t nr; /* columns of a tile, the width of a packed panel */

    /*
     * c[i][j] (+)= sum over k of a[i][k] b[k][j] for `rows` rows and the nr
     * columns of a panel; c is dense, rows of nr; written if `first`, added to
     * if not.  `next`, what comes after b and is as large, is prefetched.
     */
    void (*gemm)(const float *a, size_t lda, const float *b, size_t k, float *c,
                 size_t rows, bool first, const float *next);
    /* The same in bf16, or NULL: k is even, b is [k / 2][nr][2]. */
    void (*gemm_bf16)(const uint16_t *a, size_t lda, const uint16_t *b,
                      size_t k, float *c, size_t rows, bool first);
    /* bf16 values to f32 and back; n is a multiple of nr for widen. */
    void (*widen)(float *out, const uint16_t *in, size_t n);
    void (*narrow)(uint16_t *out, const float *in, size_t n);

    /* c = a b in whole numbers modulo 2^32: k is even, b is [k / 2][nr][2]. */
    void (*gemm_whole)(const int16_t *a, size_t lda, const int16_t *b, size_t k,
                       int32_t *c, size_t rows, const int16_t *next);
    bool whole_pays; /* it is faster than gemm */
    /*
     * c = start + a b in whole numbers, b: int32 start [nr], then int8
     * [k / 4][nr][4]; k is a multiple of 16.  Of each 16 columns no sum of
     * products of columns 4 i and 4 i + 1, nor of the others, leaves 16 bits.
     */
    void (*gemm_bytes)(const uint8_t *a, size_t lda, const void *b, size_t k,
                       int32_t *c, size_t rows, const void *next);
    bool bytes_pay; /* it is faster than gemm_whole */
    /* Four products of a token and an atom, bit for bit as sae_ops.h defines
     * them: bs_cpu_dot four times. */
    void (*dots)(float out[4], const float *const x[4], const float *const w[4],
                 size_t k);
    /*
     * Bits of the columns from `col` on whose bound with a row reaches its cut,
     * for `rows` rows of c, [nr] int32 (whole) or f32; false if there are none.
     */
    bool (*screen)(uint32_t *hits, const void *c, bool whole,
                   const struct bs_isa_atoms *atoms, size_t col,
                   const struct bs_isa_row *row, size_t rows);

    /* y = factor * x, rows ldy and ldx apart. */
    void (*scale)(float *y, size_t ldy, const float *x, size_t ldx, size_t rows,
                  size_t cols, float factor);

    /* Rows of c, nr apart, to rows of y: columns col..col+cols-1 of bias and
     * scale, cols <= nr.  What a residual is added to, rows ldr apart, may be y
     * itself. */
    void (*epilogue)(const struct bs_isa_epilogue *epi, size_t col,
                     const float *c, const float *residual, size_t ldr,
                     float *y, size_t ldy, size_t rows, size_t cols);

    /* Panels of nr columns from w^T: out[j / nr][i][j % nr] = w[j * ldw + i]
     * for n columns j and k rows i, zero where j >= n. */
    void (*pack)(float *out, const float *w, size_t ldw, size_t n, size_t k);

    /*
     * Of each of the nr columns of scores s [rows][nr], base-2 logarithms:
     * s[i][j] becomes 2^(s[i][j] - max[j]); max[j] and sum[j] go from the rows
     * of earlier calls to those and these, and shrink[j] is the factor by which
     * what was summed before shrinks.
     */
    void (*softmax)(float *s, size_t rows, float *max, float *sum,
                    float *shrink);
    /* c[i][j] *= factor[j], rows of nr. */
    void (*scale_columns)(float *c, size_t rows, const float *factor);
    /* Rows of nr floats as pairs of bf16, [rows / 2][nr][2]; a last odd row is
     * paired with zeros. */
    void (*narrow_pairs)(uint16_t *out, const float *in, size_t rows);

    /* y = (x - mean) / sqrt(var + eps) * gamma + beta, one row. */
    void (*layer_norm)(float *y, const float *x, size_t k, const float *gamma,
                       const float *beta, float eps);
    /* y = silu(gate) * up. */
    void (*swiglu)(float *y, const float *gate, const float *up, size_t k);
    /* y = x * gelu(gate). */
    void (*geglu)(float *y, const float *x, const float *gate, size_t k);

    /*
     * The transforms of isa_winograd.h; `plane` floats lie between two of the
     * 36 positions.  input: channels first..first+k-1 of a tile whose pixels
     * are given; writes whole vectors, up to k rounded up to 16.  weight:
     * u [36][k][nr] from w [k][9][nr] in f32, or bf16 if `half`.  output: m
     * [36][nr].
     */
    void (*winograd_input)(float *v, size_t plane, const float *const pixel[36],
                           size_t first, size_t k);
    void (*winograd_weight)(float *u, size_t plane, const void *w, bool half,
                            size_t k);
    void (*winograd_output)(const float *m, size_t plane,
                            const struct bs_isa_tile *to);

    /* Of each of k channels over `pixels` pixels, ldx floats apart: sums[0][c]
     * of x - origin, sums[1][c] of its square; f32 over 32 pixels, then f64. */
    void (*channel_sums)(double *sums, const float *x, size_t ldx,
                         size_t pixels, size_t k, const float *origin);
    /* y = x * factor + offset, one pixel; then y * sigmoid(y) if `silu`. */
    void (*affine)(float *y, const float *x, size_t k, const float *factor,
                   const float *offset, bool silu);

    /* See gram.h; and for panels of n rows: c += p^T w and w -= p c, with c
     * [BS_PANEL][BS_PANEL]. */
    bs_gram_fn *gram;
    void (*panel_dot)(const double *p, const double *w, size_t n, double *c);
    void (*panel_sub)(const double *p, const double *c, size_t n, double *w);
};

extern const struct bs_isa bs_isa_portable;
#if defined(__x86_64__)
extern const struct bs_isa bs_isa_avx2;
extern const struct bs_isa bs_isa_avx512;
extern const struct bs_isa bs_isa_avx512bf16;
#endif

#endif
