/*
 * sae_train_ops.h - what training a sparse autoencoder needs of a device,
 * besides sae_ops.h.  Conventions of dev.h: row-major, bs_mem, 0 or negative.
 *
 * Words as there: m tokens x [m, width], K concepts, atoms [K, width].  Codes
 * are few, so nearly all of it is sparse: what belongs to an atom is grouped,
 * and one thread sums it in the order of the tokens.  Every sum has one order,
 * whatever the number of threads; where a function says DEFINED, its result is
 * the same on every instruction set and device, too.
 */
#ifndef BS_KERNELS_SAE_TRAIN_OPS_H
#define BS_KERNELS_SAE_TRAIN_OPS_H

#include "kernels/sae_ops.h"

/* Memory of the device as the host reads it, until something is written to it;
 * NULL where the host cannot: bs_dev_get then. */
const void *bs_dev_host(struct bs_dev *d, const struct bs_mem *m);

/* ---- an encoder whose weights change ---------------------------------------
 */

/* Room for an encoder of at most n rows of k columns; it holds none yet. */
int bs_dev_encoder_reserve(struct bs_dev *d, struct bs_encoder **out, size_t n,
                           size_t k, enum bs_screen screen) BS_CHECKED;

/*
 * What a reserved encoder is filled with: rows of w f32 [K, width] and bias f32
 * [K] (NULL: none), of which `rows` (host memory, [n]; NULL: 0..n-1) are taken.
 * With gain and shift, f32 [K], an encoder's row is (gain w, gain bias, gain,
 * shift), k = width + 3, and it has no bias: see sae_encoder.h.
 */
struct bs_encoder_rows {
    const struct bs_mem *w, *bias, *gain, *shift;
    size_t width;
    const uint32_t *rows;
    size_t n;
};

/* -BS_EX_DATA names the first row, of w, with a value that is not finite. */
int bs_dev_encoder_fill(struct bs_dev *d, struct bs_encoder *enc,
                        const struct bs_encoder_rows *from) BS_CHECKED;

/* ---- tokens ----------------------------------------------------------------
 */

/*
 * out = x - centre (NULL: x), rounded to bf16 for math bf16; f32 [m, width].
 * mean: host memory, [width], the columns' means of x, and *spread the sum of
 * (x - mean)^2, both in double; NULL: not wanted.  DEFINED.
 */
int bs_dev_tokens(struct bs_dev *d, const struct bs_mem *x,
                  const struct bs_mem *centre, size_t m, size_t width,
                  enum bs_math math, struct bs_mem *out, double *mean,
                  double *spread) BS_CHECKED;

/* y = x - y, f32 [n]; *squares: the sum of y^2 in double.  DEFINED. */
int bs_dev_residual(struct bs_dev *d, const struct bs_mem *x, struct bs_mem *y,
                    size_t n, double *squares) BS_CHECKED;

/* The sum of squares of f32 [n], in double.  DEFINED. */
int bs_dev_squares(struct bs_dev *d, const struct bs_mem *x, size_t n,
                   double *squares) BS_CHECKED;

/* out[c] = sum of coef[r] x[r][c], rows r in order.  coef: host memory, f32
 * [rows], NULL: all 1.  out: host memory, [cols], in double.  DEFINED. */
int bs_dev_row_sum(struct bs_dev *d, const struct bs_mem *x, size_t rows,
                   size_t cols, const float *coef, double *out) BS_CHECKED;

/*
 * out = sum over rows r of coef[r] (x[r] - mean) (x[r] - mean)^T.  coef, f32
 * [rows], and mean, f32 [cols], in host memory, NULL: all 1, all 0.  out: host
 * memory, [cols, cols], in double.  Products are summed in f32, 128 rows at a
 * time, these in double: |error| <= 2e-6 of the sum of absolute products.
 */
int bs_dev_gram(struct bs_dev *d, const struct bs_mem *x, size_t rows,
                size_t cols, const float *coef, const float *mean,
                double *out) BS_CHECKED;

/* out[i] = table[row[i]], and table[row[i]] = scale * from[i], for n rows of
 * `cols` floats; row: host memory, NULL: 0..n-1.  Rows that are written to must
 * differ.  DEFINED. */
int bs_dev_gather(struct bs_dev *d, const struct bs_mem *table, size_t cols,
                  const uint32_t *row, size_t n, struct bs_mem *out) BS_CHECKED;
int bs_dev_scatter(struct bs_dev *d, const struct bs_mem *from, float scale,
                   size_t cols, const uint32_t *row, size_t n,
                   struct bs_mem *table) BS_CHECKED;

/* ---- codes by atom ---------------------------------------------------------
 */

/* Codes grouped by concept.  Each code keeps its place in the arrays it came
 * from. */
struct bs_groups {
    size_t n;      /* concepts with a code */
    size_t places; /* length of the arrays the codes came from */
    size_t tokens;
    uint32_t *atom; /* [n], ascending, in host memory */
    uint32_t *size; /* [n] codes of each */
};

/* Group codes; *g is made where it is NULL, and used again where not.  Unused
 * places (BS_CODE_NONE) are left out; an index >= concepts is -BS_EX_DATA. */
int bs_dev_group(struct bs_dev *d, struct bs_groups **g,
                 const struct bs_code_rows *codes, size_t concepts) BS_CHECKED;
void bs_dev_groups_free(struct bs_dev *d, struct bs_groups *g);

/*
 * out[place] = scale * x[token] . table[concept] for every code; what belongs
 * to no code is 0.  x: f32 [m, width]; table: f32 [K, width]; out: f32
 * [places].  The product is summed as bs_dev_encode_topk says.  DEFINED.
 */
int bs_dev_group_dots(struct bs_dev *d, const struct bs_groups *g,
                      const struct bs_mem *x, const struct bs_mem *table,
                      size_t concepts, size_t width, float scale,
                      struct bs_mem *out) BS_CHECKED;

/*
 * out[first + i] = scale * sum of coef[place] x[token] over the codes of the
 * i-th atom, f32 [first + n, width]; total[first + i] = scale * sum of
 * coef[place] (NULL: not wanted), f32.  coef: f32 [places].  Summed in f32,
 * 64 tokens at a time.  DEFINED.
 */
int bs_dev_group_sum(struct bs_dev *d, const struct bs_groups *g,
                     const struct bs_mem *coef, const struct bs_mem *x,
                     size_t width, float scale, size_t first,
                     struct bs_mem *out, struct bs_mem *total) BS_CHECKED;

/* grad[i] = grad[i] - (grad[i] . table[row[i]]) table[row[i]] for n rows: what
 * leads along rows of length 1 is taken out.  grad: f32 [n, width]; table: f32
 * [K, width]; row: host memory, [n].  DEFINED. */
int bs_dev_tangent(struct bs_dev *d, struct bs_mem *grad,
                   const struct bs_mem *table, const uint32_t *row, size_t n,
                   size_t width) BS_CHECKED;

/*
 * Gradients of an encoder under a layer norm, in place, from what is dense of
 * them, a sum over all concepts and tokens: for rows j of grad f32 [K, width],
 *
 *     grad[j] = part - (grad[j] + bias[j] along + rest)
 *
 * where part is sparse[slot[j]], or, without a slot, weight[j] common.  All
 * but grad and sparse in host memory; bias and weight f32 [K], NULL: 0; the
 * others f32 [width].  DEFINED.
 */
struct bs_norm_gradient {
    size_t concepts, width;
    const float *bias, *along, *rest;
    const uint32_t *slot;
    const struct bs_mem *sparse;
    const float *weight, *common;
};
int bs_dev_norm_gradient(struct bs_dev *d, struct bs_mem *grad,
                         const struct bs_norm_gradient *a) BS_CHECKED;

/* ---- AdamW -----------------------------------------------------------------
 */

/* What is done to rows of a parameter before they are used. */
enum bs_project {
    BS_PROJECT_NONE,
    BS_PROJECT_UNIT,    /* row / (|row| + 1e-8) */
    BS_PROJECT_BALL,    /* row * min(1, radius / |row|), a row of zeros stays */
    BS_PROJECT_SIMPLEX, /* relu(row) / (sum + 1e-8) */
};

/* The numbers of one step: p's factor 1 - rate * decay, rate / (1 - beta1^t),
 * sqrt(1 - beta2^t). */
struct bs_adam_step {
    float keep, rate, root;
};

struct bs_adam {
    const struct bs_adam_step *steps; /* host memory; [t] is of step t */
    uint32_t now;                     /* this step, from 1 */
    float toward1, keep2, toward2;    /* 1 - beta1, beta2, 1 - beta2 */
    float eps;
    enum bs_project project;
    float radius;
};

/*
 * A parameter, its moments, and how far its rows are: f32 [rows, cols] each;
 * last: u32 [rows], or none: all rows are at now - 1.
 */
struct bs_adam_rows {
    struct bs_mem p, m, v, last;
    size_t rows, cols;
};

/*
 * Where the gradients of a step are.  `row`: host memory, [n] different rows,
 * NULL: 0..n-1.  Row i's gradient is scale * grad[first + i]; with `slot`, u32
 * [rows] on the host, it is scale * grad[slot[row]], and that of a row whose
 * slot is BS_CODE_NONE is scale * common (f32 [cols]), or 0 without.  No `grad`
 * and no `common`: 0.
 */
struct bs_adam_grad {
    const uint32_t *row;
    size_t n;
    const struct bs_mem *grad, *common;
    size_t first;
    const uint32_t *slot;
    float scale;
};

/*
 * Bring rows to step now: the steps that a row missed, each with a gradient of
 * 0, then this one.  Each is, as torch.optim.AdamW computes it, in f32, one
 * rounding an operation,
 *
 *     p = p * keep;  m = m + toward1 (g - m);  v = v keep2 + (toward2 g) g
 *     p = p + (-rate m) / (sqrt(v) / root + eps)
 *
 * (toward1 >= 1/2: m = g - (g - m)(1 - toward1)), followed by the projection.
 * So a row that is brought up late has the bits of one that was at every step.
 * Lengths and sums of a projection: f32 in 16 partial sums as an encoder's
 * product, 1024 columns at a time, these in double.  DEFINED.
 */
int bs_dev_adam(struct bs_dev *d, const struct bs_adam *a,
                const struct bs_adam_rows *p,
                const struct bs_adam_grad *g) BS_CHECKED;

/* The projection alone, of all rows. */
int bs_dev_project(struct bs_dev *d, enum bs_project project, float radius,
                   struct bs_mem *p, size_t rows, size_t cols) BS_CHECKED;

#endif
