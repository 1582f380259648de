/*
 * sae_train_own.h - the operations of sae_train_ops.h on the CPU, file by file.
 * Private to kernels/.
 */
#ifndef BS_KERNELS_SAE_TRAIN_OWN_H
#define BS_KERNELS_SAE_TRAIN_OWN_H

#include "kernels/sae_train_ops.h"

/* sae_train_sums_cpu.c */
int bs_cpu_row_sum(struct bs_dev *d, const float *x, size_t rows, size_t cols,
                   const float *coef, double *out);
int bs_cpu_gram(struct bs_dev *d, const float *x, size_t rows, size_t cols,
                const float *coef, const float *mean, double *out);

/* sae_train_rows_cpu.c */
int bs_cpu_copy_rows(struct bs_dev *d, const float *from,
                     const uint32_t *from_row, float *to,
                     const uint32_t *to_row, size_t n, size_t cols,
                     float scale);
int bs_cpu_tangent(struct bs_dev *d, float *grad, const float *table,
                   const uint32_t *row, size_t n, size_t width);
int bs_cpu_norm_gradient(struct bs_dev *d, float *grad,
                         const struct bs_norm_gradient *a);

/* sae_train_groups_cpu.c */
int bs_cpu_group(struct bs_dev *d, struct bs_groups **g,
                 const struct bs_code_rows *codes, size_t concepts);
void bs_cpu_groups_free(struct bs_dev *d, struct bs_groups *g);
int bs_cpu_group_dots(struct bs_dev *d, const struct bs_groups *g,
                      const float *x, const float *table, size_t width,
                      float scale, float *out);
int bs_cpu_group_sum(struct bs_dev *d, const struct bs_groups *g,
                     const float *coef, const float *x, size_t width,
                     float scale, float *out, float *total);

/* sae_train_adam_cpu.c */
int bs_cpu_adam(struct bs_dev *d, const struct bs_adam *a,
                const struct bs_adam_rows *p, const struct bs_adam_grad *g);
int bs_cpu_project(struct bs_dev *d, enum bs_project project, float radius,
                   float *p, size_t rows, size_t cols);

#endif
