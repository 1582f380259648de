/*
 * sae_train_cuda.h - the operations of sae_train_ops.h on the CUDA device, file
 * by file.  Private to kernels/.
 */
#ifndef BS_KERNELS_SAE_TRAIN_CUDA_H
#define BS_KERNELS_SAE_TRAIN_CUDA_H

#include "kernels/cuda.h"
#include "kernels/sae_train_ops.h"

/* sae_encoder_cuda.c */
int bs_cuda_encoder_reserve(struct bs_dev *d, struct bs_encoder **out, size_t n,
                            size_t k, enum bs_screen screen);
int bs_cuda_encoder_fill(struct bs_dev *d, struct bs_encoder *enc,
                         const struct bs_encoder_rows *from);

/* sae_train_rows_cuda.c */
int bs_cuda_copy_rows(struct bs_dev *d, const float *from,
                      const uint32_t *from_row, float *to,
                      const uint32_t *to_row, size_t n, size_t cols,
                      float scale);
int bs_cuda_tangent(struct bs_dev *d, float *grad, const float *table,
                    const uint32_t *row, size_t n, size_t width);
int bs_cuda_norm_gradient(struct bs_dev *d, float *grad,
                          const struct bs_norm_gradient *a);

/* sae_groups_cuda.c */
int bs_cuda_group(struct bs_dev *d, struct bs_groups **g,
                  const struct bs_code_rows *codes, size_t concepts);
void bs_cuda_groups_free(struct bs_dev *d, struct bs_groups *g);
int bs_cuda_group_dots(struct bs_dev *d, const struct bs_groups *g,
                       const float *x, const float *table, size_t width,
                       float scale, float *out);
int bs_cuda_group_sum(struct bs_dev *d, const struct bs_groups *g,
                      const float *coef, const float *x, size_t width,
                      float scale, float *out, float *total);

/* sae_adam_cuda.c */
int bs_cuda_adam(struct bs_dev *d, const struct bs_adam *a,
                 const struct bs_adam_rows *p, const struct bs_adam_grad *g);
int bs_cuda_project(struct bs_dev *d, enum bs_project project, float radius,
                    float *p, size_t rows, size_t cols);

#endif
