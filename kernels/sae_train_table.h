/*
 * sae_train_table.h - one backend's table of the operations of
 * sae_train_ops.h.  Private to kernels/.
 *
 * sae_train_ops.c has checked every range and product before it calls these.
 */
#ifndef BS_KERNELS_SAE_TRAIN_TABLE_H
#define BS_KERNELS_SAE_TRAIN_TABLE_H

#include "kernels/sae_train_ops.h"

struct bs_train_ops {
    const void *(*host)(struct bs_dev *d, const struct bs_mem *m);
    int (*encoder_reserve)(struct bs_dev *d, struct bs_encoder **out, size_t n,
                           size_t k, enum bs_screen screen);
    int (*encoder_fill)(struct bs_dev *d, struct bs_encoder *enc,
                        const struct bs_encoder_rows *from);
    int (*tokens)(struct bs_dev *d, const float *x, const float *centre,
                  size_t m, size_t width, enum bs_math math, float *out,
                  double *mean, double *spread);
    int (*residual)(struct bs_dev *d, const float *x, float *y, size_t n,
                    double *squares);
    int (*row_sum)(struct bs_dev *d, const float *x, size_t rows, size_t cols,
                   const float *coef, double *out);
    int (*gram)(struct bs_dev *d, const float *x, size_t rows, size_t cols,
                const float *coef, const float *mean, double *out);
    /* One of the two names rows; the other's are 0..n-1. */
    int (*copy_rows)(struct bs_dev *d, const float *from,
                     const uint32_t *from_row, float *to,
                     const uint32_t *to_row, size_t n, size_t cols,
                     float scale);
    int (*group)(struct bs_dev *d, struct bs_groups **g,
                 const struct bs_code_rows *codes, size_t concepts);
    void (*groups_free)(struct bs_dev *d, struct bs_groups *g);
    int (*group_dots)(struct bs_dev *d, const struct bs_groups *g,
                      const float *x, const float *table, size_t width,
                      float scale, float *out);
    int (*group_sum)(struct bs_dev *d, const struct bs_groups *g,
                     const float *coef, const float *x, size_t width,
                     float scale, float *out, float *total);
    int (*tangent)(struct bs_dev *d, float *grad, const float *table,
                   const uint32_t *row, size_t n, size_t width);
    int (*norm_gradient)(struct bs_dev *d, float *grad,
                         const struct bs_norm_gradient *a);
    int (*adam)(struct bs_dev *d, const struct bs_adam *a,
                const struct bs_adam_rows *p, const struct bs_adam_grad *g);
    int (*project)(struct bs_dev *d, enum bs_project project, float radius,
                   float *p, size_t rows, size_t cols);
};

extern const struct bs_train_ops bs_cpu_train_ops, bs_cuda_train_ops;

#endif
