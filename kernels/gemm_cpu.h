/*
 * gemm_cpu.h - packed weights, and products with rows that are not a matrix in
 * memory.  Private to the operations of the CPU device.
 */
#ifndef BS_KERNELS_GEMM_CPU_H
#define BS_KERNELS_GEMM_CPU_H

#include "kernels/cpu.h"

enum bs_cpu_form {
    BS_CPU_F32,       /* f32 [panel][k][nr] */
    BS_CPU_BF16,      /* bf16 [panel][k][nr] */
    BS_CPU_BF16_PAIRS /* bf16 [panel][k / 2][nr][2] */
};

struct bs_cpu_weight {
    struct bs_weight head;
    enum bs_cpu_form form;
    size_t depth; /* k, rounded up to even for pairs */
    size_t panels;
    void *packed;
};

/* bs_cpu_weight in a form of the caller's choice. */
int bs_cpu_pack(struct bs_cpu *c, struct bs_weight **out, const void *from,
                enum bs_dtype type, size_t n, size_t k,
                enum bs_cpu_form form) BS_CHECKED;

/* Writes columns k..k+depth-1 of rows row..row+rows-1 of x to `out`, rows ldo
 * apart.  Called on any thread. */
typedef void bs_cpu_rows_fn(const void *arg, float *out, size_t ldo, size_t row,
                            size_t rows, size_t k, size_t depth);

struct bs_cpu_product {
    const struct bs_weight *w;
    size_t m;
    const float *x; /* [m, k], rows ldx apart, where `rows` is NULL */
    size_t ldx;
    bs_cpu_rows_fn *rows;
    const void *arg;
    float *y;
    size_t ldy;
    const float *bias; /* or NULL */
    enum bs_epilogue epilogue;
    const float *scale;    /* of the residual, or NULL */
    const float *residual; /* what it is added to */
    size_t ldr;
};
int bs_cpu_multiply(struct bs_cpu *c,
                    const struct bs_cpu_product *a) BS_CHECKED;

#endif
