/*
 * sae_ops.h - a sparse autoencoder's operations on a device: encode, decode,
 * and what training needs.  Conventions of dev.h: row-major, bs_mem, 0 or
 * negative.
 *
 * Words: m tokens x [m, width]; K concepts; an atom is a concept's row of the
 * dictionary [K, width].  A sparse code of `top` places a token is idx u32
 * [m, top] and val f32 [m, top], in order of value descending, then index
 * ascending; places that are not used stand at the end with value 0 and index
 * BS_CODE_NONE.
 */
#ifndef BS_KERNELS_SAE_OPS_H
#define BS_KERNELS_SAE_OPS_H

#include "kernels/dev.h"

#define BS_CODE_NONE UINT32_MAX

/* ---- encode ---------------------------------------------------------------
 */

struct bs_encoder; /* an encoder's weights, packed for this device */

/* How the products are screened.  Never changes a result. */
enum bs_screen {
    BS_SCREEN_AUTO, /* what is fastest here */
    BS_SCREEN_NONE, /* every product in f32 */
    BS_SCREEN_LOW,  /* low precision first, f32 for what may be among the top */
    BS_SCREEN_BYTES /* 8 bits before that, where they do not let too many pass */
};

/*
 * Pack w f32 [n, k] and bias f32 [n] (NULL: none), both in host memory.  Values
 * must be finite (-BS_EX_DATA names the first row that has another).
 */
int bs_dev_encoder(struct bs_dev *d, struct bs_encoder **out, const float *w,
                   const float *bias, size_t n, size_t k,
                   enum bs_screen screen) BS_CHECKED;
void bs_dev_encoder_free(struct bs_dev *d, struct bs_encoder *enc);

/*
 * The pre-activation is pre[i][j] = x[i] . w[j] + bias[j], DEFINED as an f32
 * sum in one order: products are rounded to f32 and added to 16 partial sums,
 * that of column c to number c % 16, in order of c; the partial sums are folded
 * in halves (8 on 8, then 4, 2, 1), and the bias is added last.  So values
 * depend neither on screening, nor on m, threads or instruction set.  x: f32
 * [m, k], rows ldx floats apart, finite (a row that is not gives -BS_EX_DATA,
 * naming it).  Where the sum overflows, an infinity is a value like others; a
 * NaN is in no code.
 *
 * topk: the `top` largest relu(pre) of each row that are > 0.  Ties: the lower
 * index wins.  1 <= top <= min(n, 1024).  Device memory idx u32 [m, top], val
 * f32 [m, top].
 */
int bs_dev_encode_topk(struct bs_dev *d, const struct bs_encoder *enc,
                       const struct bs_mem *x, size_t ldx, size_t m, size_t top,
                       struct bs_mem *idx, struct bs_mem *val) BS_CHECKED;

/*
 * threshold: all pre with pre >= tau[j] and pre > 0 (strict: pre > tau[j]).
 * tau: f32 [n] in host memory.  Gives for each row a count in ptr u32 [m + 1]
 * (running sums, ptr[0] = 0) and idx, val in the order of a code.  The result
 * is in host memory owned by `out`, which is emptied first and may be reused.
 * More than `limit` values in all is -BS_EX_DATA.
 */
struct bs_ragged {
    size_t rows;
    uint32_t *ptr; /* [rows + 1] */
    uint32_t *idx; /* [ptr[rows]] */
    float *val;
    size_t room_rows, room; /* private */
};
int bs_dev_encode_threshold(struct bs_dev *d, const struct bs_encoder *enc,
                            const struct bs_mem *x, size_t ldx, size_t m,
                            const float *tau, bool strict, size_t limit,
                            struct bs_ragged *out) BS_CHECKED;

/*
 * batch top-k: the `total` largest positive pre of all m rows together, and
 * those equal to the least of them (overcomplete's rule: codes >= threshold).
 * *threshold: that least value (0 where fewer are positive).
 */
int bs_dev_encode_batch(struct bs_dev *d, const struct bs_encoder *enc,
                        const struct bs_mem *x, size_t ldx, size_t m,
                        size_t total, struct bs_ragged *out,
                        float *threshold) BS_CHECKED;
void bs_ragged_release(struct bs_ragged *r);

/* ---- decode ---------------------------------------------------------------
 */

/*
 * y[i] = sum over the row's codes of val * dict[idx], in the code's order, plus
 * bias (f32 [width], or NULL), f32.  dict: f32 [K, width].  ptr: u32 [m + 1] of
 * a ragged code, or NULL for `top` places a row; unused places (BS_CODE_NONE)
 * are left out.  An index >= K is -BS_EX_DATA.  Tolerance 1e-6 of the sum of
 * absolute products.
 */
struct bs_code_rows {
    size_t m, top;
    const uint32_t *ptr; /* all three in host memory */
    const uint32_t *idx;
    const float *val;
};
int bs_dev_decode(struct bs_dev *d, const struct bs_code_rows *codes,
                  const struct bs_mem *dict, size_t concepts, size_t width,
                  const struct bs_mem *bias, struct bs_mem *y) BS_CHECKED;

#endif
