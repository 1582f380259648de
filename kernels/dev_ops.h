/*
 * dev_ops.h - one backend's table of operations.  Private to kernels/.
 *
 * dev.c has checked every range and product before it calls these, and none is
 * called for an empty result.
 */
#ifndef BS_KERNELS_DEV_OPS_H
#define BS_KERNELS_DEV_OPS_H

#include "kernels/image_ops.h"
#include "kernels/sae_ops.h"

/* The part of a packed weight that every backend has; theirs begins with it. */
struct bs_weight {
    size_t n, k;
};

struct bs_dev_gemm {
    const struct bs_weight *w;
    const float *x;
    size_t ldx;
    float *y;
    size_t ldy;
    size_t m;
    const float *bias, *scale;
    enum bs_epilogue epilogue;
};

struct bs_dev_attention {
    const float *q, *k, *v;
    float *out;
    size_t ldq, ldk, ldv, ldo;
    size_t batch, queries, keys, heads, dim;
    bool causal;
    enum bs_math math;
};

struct bs_dev_layer_norm {
    const float *x;
    float *y;
    size_t m, k;
    const float *gamma, *beta;
    float eps;
};

/* swiglu and geglu */
struct bs_dev_gate {
    const float *x;
    float *y;
    size_t m, k;
};

struct bs_dev_add {
    const float *x;
    size_t ldx;
    float *y;
    size_t ldy, m, k;
};

struct bs_dev_patchify {
    const uint8_t *rgb;
    float *y;
    size_t batch, height, width, patch;
    const float *mean, *std;
};

struct bs_dev_assemble {
    const float *patches, *lead, *pos;
    float *y;
    size_t batch, n, prefix, k;
};

/* The part of a packed encoder that every backend has. */
struct bs_encoder {
    size_t n, k;
};

#define BS_TOP_MAX 1024

struct bs_dev_encode {
    const struct bs_encoder *enc;
    const float *x;
    size_t ldx, m;
    size_t top; /* of a row, or of the whole batch */
    uint32_t *idx;
    float *val;
    const float *tau;
    bool strict;
    size_t limit;
};

struct bs_dev_decode {
    const struct bs_code_rows *codes;
    const float *dict;
    size_t concepts, width;
    const float *bias;
    float *y;
};

struct bs_train_ops;

/* The part of packed convolution weights that every backend has. */
struct bs_conv {
    struct bs_conv_shape shape;
};

struct bs_dev_conv2d {
    const struct bs_conv *w;
    const float *x;
    size_t ldx;
    float *y;
    size_t ldy;
    size_t batch, height, width;
    size_t up_height, up_width; /* at least height and width */
    size_t out_height, out_width;
    const float *bias, *residual;
    size_t ldr;
};

struct bs_dev_group_norm {
    const float *x;
    float *y;
    size_t ldx, ldy;
    size_t batch, pixels, channels, groups;
    const float *gamma, *beta;
    float eps;
    bool silu;
};

struct bs_dev_ops {
    void (*close)(struct bs_dev *d);
    int (*alloc)(struct bs_dev *d, struct bs_mem *m, size_t bytes);
    void (*free)(struct bs_dev *d, struct bs_mem *m);
    int (*put)(struct bs_dev *d, void *to, const void *host, size_t bytes);
    int (*get)(struct bs_dev *d, void *host, const void *from, size_t bytes);
    int (*sync)(struct bs_dev *d);
    int (*weight)(struct bs_dev *d, struct bs_weight **out, const void *w,
                  enum bs_dtype type, size_t n, size_t k, enum bs_math math);
    void (*weight_free)(struct bs_dev *d, struct bs_weight *w);
    int (*gemm)(struct bs_dev *d, const struct bs_dev_gemm *a);
    int (*attention)(struct bs_dev *d, const struct bs_dev_attention *a);
    int (*layer_norm)(struct bs_dev *d, const struct bs_dev_layer_norm *a);
    int (*swiglu)(struct bs_dev *d, const struct bs_dev_gate *a);
    int (*geglu)(struct bs_dev *d, const struct bs_dev_gate *a);
    int (*add)(struct bs_dev *d, const struct bs_dev_add *a);
    int (*patchify)(struct bs_dev *d, const struct bs_dev_patchify *a);
    int (*assemble)(struct bs_dev *d, const struct bs_dev_assemble *a);
    int (*encoder)(struct bs_dev *d, struct bs_encoder **out, const float *w,
                   const float *bias, size_t n, size_t k,
                   enum bs_screen screen);
    void (*encoder_free)(struct bs_dev *d, struct bs_encoder *enc);
    int (*encode_topk)(struct bs_dev *d, const struct bs_dev_encode *a);
    int (*encode_threshold)(struct bs_dev *d, const struct bs_dev_encode *a,
                            struct bs_ragged *out);
    int (*encode_batch)(struct bs_dev *d, const struct bs_dev_encode *a,
                        struct bs_ragged *out, float *threshold);
    int (*decode)(struct bs_dev *d, const struct bs_dev_decode *a);
    const struct bs_train_ops *train; /* sae_train_table.h */
    int (*conv)(struct bs_dev *d, struct bs_conv **out, const void *w,
                enum bs_dtype type, const struct bs_conv_shape *shape,
                enum bs_math math);
    void (*conv_free)(struct bs_dev *d, struct bs_conv *w);
    int (*conv2d)(struct bs_dev *d, const struct bs_dev_conv2d *a);
    int (*group_norm)(struct bs_dev *d, const struct bs_dev_group_norm *a);
};

/* Codes that an operation was given: running sums that start at 0 and do not
 * fall, indices that name a concept (or none). */
int bs_check_codes(struct bs_dev *d, const char *op,
                   const struct bs_code_rows *c, size_t concepts) BS_CHECKED;

/* What every backend's device begins with. */
struct bs_dev {
    const struct bs_dev_ops *ops;
    struct bs_err err;
    char describe[400];
    void (*describe_more)(struct bs_dev *d); /* called once; NULL: no more */
};

/* Run an operation of the table, or say that the backend has none. */
#define BS_DEV_CALL(d, op, ...)                                                \
    ((d)->ops->op != NULL ? (d)->ops->op(__VA_ARGS__) : bs_dev_lacks(d, #op))
int bs_dev_lacks(struct bs_dev *d, const char *op);

#endif
