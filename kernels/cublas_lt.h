/*
 * cublas_lt.h - the part of cuBLASLt that is used here, found in
 * libcublasLt.so at run time, as cuda_driver.h has the driver's.  t6002 holds
 * the numbers against the real header where there is one.  Private to kernels/
 * and tests/cuda.
 */
#ifndef BS_KERNELS_CUBLAS_LT_H
#define BS_KERNELS_CUBLAS_LT_H

#include <stddef.h>
#include <stdint.h>

/* X(name, value): names as in cublasLt.h. */
#define BS_LT_CONSTANTS(X)                                     \
    X(CUDA_R_32F, 0)                                           \
    X(CUDA_R_16BF, 14)                                         \
    X(CUBLAS_COMPUTE_32F, 68)                                  \
    X(CUBLAS_OP_N, 0)                                          \
    X(CUBLAS_OP_T, 1)                                          \
    X(CUBLAS_STATUS_ALLOC_FAILED, 3)                           \
    X(CUBLAS_STATUS_INVALID_VALUE, 7)                          \
    X(CUBLAS_STATUS_EXECUTION_FAILED, 13)                      \
    X(CUBLAS_STATUS_NOT_SUPPORTED, 15)                         \
    X(CUBLASLT_MATRIX_LAYOUT_COLS, 3)                          \
    X(CUBLASLT_MATMUL_DESC_TRANSA, 3)                          \
    X(CUBLASLT_MATMUL_DESC_EPILOGUE, 7)                        \
    X(CUBLASLT_MATMUL_DESC_BIAS_POINTER, 8)                    \
    X(CUBLASLT_EPILOGUE_DEFAULT, 1)                            \
    X(CUBLASLT_EPILOGUE_BIAS, 4)                               \
    X(CUBLASLT_REDUCTION_SCHEME_NONE, 0)                       \
    X(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, 1)             \
    X(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, 3)           \
    X(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, 5)           \
    X(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, 6)           \
    X(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, 7)           \
    X(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, 8)           \
    X(CUBLASLT_MATMUL_PREF_IMPL_MASK, 12)                      \
    X(CUBLASLT_NUMERICAL_IMPL_FLAGS_ACCUMULATOR_16F, 0x000100) \
    X(CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_16F, 0x010000)       \
    X(CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_16BF, 0x020000)      \
    X(CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_TF32, 0x040000)      \
    X(CUBLASLT_ALGO_CONFIG_SPLITK_NUM, 2)                      \
    X(CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, 3)

enum {
#define BS_LT_CONSTANT(name, value) BS_##name = value,
    BS_LT_CONSTANTS(BS_LT_CONSTANT)
#undef BS_LT_CONSTANT
};

struct bs_lt_algo {
    uint64_t data[8];
};

struct bs_lt_result {
    struct bs_lt_algo algo;
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
};

/* X(result, name, arguments).  Handles and descriptors are void *; every int is
 * 0 or an error number. */
#define BS_LT_CALLS(X)                                                      \
    X(size_t, cublasLtGetVersion, (void))                                   \
    X(const char *, cublasLtGetStatusName, (int status))                    \
    X(int, cublasLtCreate, (void **handle))                                 \
    X(int, cublasLtDestroy, (void *handle))                                 \
    X(int, cublasLtMatrixLayoutCreate,                                      \
      (void **layout, int type, uint64_t rows, uint64_t cols, int64_t ld))  \
    X(int, cublasLtMatrixLayoutDestroy, (void *layout))                     \
    X(int, cublasLtMatrixLayoutSetAttribute,                                \
      (void *layout, int attribute, const void *value, size_t bytes))       \
    X(int, cublasLtMatmulDescCreate, (void **desc, int compute, int scale)) \
    X(int, cublasLtMatmulDescDestroy, (void *desc))                         \
    X(int, cublasLtMatmulDescSetAttribute,                                  \
      (void *desc, int attribute, const void *value, size_t bytes))         \
    X(int, cublasLtMatmulPreferenceCreate, (void **preference))             \
    X(int, cublasLtMatmulPreferenceDestroy, (void *preference))             \
    X(int, cublasLtMatmulPreferenceSetAttribute,                            \
      (void *preference, int attribute, const void *value, size_t bytes))   \
    X(int, cublasLtMatmulAlgoGetHeuristic,                                  \
      (void *handle, void *desc, void *a, void *b, void *c, void *d,        \
       void *preference, int room, struct bs_lt_result *results, int *n))   \
    X(int, cublasLtMatmulAlgoCheck,                                         \
      (void *handle, void *desc, void *a, void *b, void *c, void *d,        \
       const struct bs_lt_algo *algo, struct bs_lt_result *result))         \
    X(int, cublasLtMatmulAlgoConfigGetAttribute,                            \
      (const struct bs_lt_algo *algo, int attribute, void *value,           \
       size_t bytes, size_t *written))                                      \
    X(int, cublasLtMatmul,                                                  \
      (void *handle, void *desc, const void *alpha, const void *a,          \
       void *a_layout, const void *b, void *b_layout, const void *beta,     \
       const void *c, void *c_layout, void *d, void *d_layout,              \
       const struct bs_lt_algo *algo, void *workspace, size_t bytes,        \
       void *stream))

struct bs_lt_calls {
#define BS_LT_MEMBER(result, name, args) result(*name) args;
    BS_LT_CALLS(BS_LT_MEMBER)
#undef BS_LT_MEMBER
};

#endif
