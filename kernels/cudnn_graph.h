/*
 * cudnn_graph.h - the part of cuDNN 9's graph API that is used here, found in
 * libcudnn.so.9 at run time, as cuda_driver.h has the driver's.  t6002 holds
 * the numbers against the real header where there is one.  Private to kernels/
 * and tests/cuda.
 */
#ifndef BS_KERNELS_CUDNN_GRAPH_H
#define BS_KERNELS_CUDNN_GRAPH_H

#include <stddef.h>
#include <stdint.h>

/* X(name, value): names as in cudnn_graph.h. */
#define BS_DNN_CONSTANTS(X)                                       \
    X(CUDNN_STATUS_BAD_PARAM, 2000)                               \
    X(CUDNN_STATUS_NOT_SUPPORTED, 3000)                           \
    X(CUDNN_STATUS_INTERNAL_ERROR, 4000)                          \
    X(CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED, 4003)   \
    X(CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED, 4004) \
    X(CUDNN_DATA_BFLOAT16, 9)                                     \
    X(CUDNN_HEUR_MODE_FALLBACK, 2)                                \
    X(CUDNN_HEUR_MODE_A, 3)                                       \
    X(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC, 4)                   \
    X(CUDNN_TYPE_HANDLE, 0)                                       \
    X(CUDNN_TYPE_DATA_TYPE, 1)                                    \
    X(CUDNN_TYPE_INT64, 3)                                        \
    X(CUDNN_TYPE_VOID_PTR, 6)                                     \
    X(CUDNN_TYPE_HEUR_MODE, 8)                                    \
    X(CUDNN_TYPE_NUMERICAL_NOTE, 11)                              \
    X(CUDNN_TYPE_BACKEND_DESCRIPTOR, 15)                          \
    X(CUDNN_BACKEND_ENGINE_DESCRIPTOR, 2)                         \
    X(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, 3)                      \
    X(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, 4)                     \
    X(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, 5)                 \
    X(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, 15)                \
    X(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, 16)                  \
    X(CUDNN_BACKEND_TENSOR_DESCRIPTOR, 17)                        \
    X(CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR, 41)            \
    X(CUDNN_ATTR_ENGINEHEUR_MODE, 200)                            \
    X(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, 201)                 \
    X(CUDNN_ATTR_ENGINEHEUR_RESULTS, 202)                         \
    X(CUDNN_ATTR_ENGINECFG_ENGINE, 300)                           \
    X(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, 400)                      \
    X(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, 401)               \
    X(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, 402)              \
    X(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, 800)                      \
    X(CUDNN_ATTR_OPERATIONGRAPH_OPS, 801)                         \
    X(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 900)                      \
    X(CUDNN_ATTR_TENSOR_DATA_TYPE, 901)                           \
    X(CUDNN_ATTR_TENSOR_DIMENSIONS, 902)                          \
    X(CUDNN_ATTR_TENSOR_STRIDES, 903)                             \
    X(CUDNN_ATTR_TENSOR_UNIQUE_ID, 906)                           \
    X(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, 1000)                   \
    X(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, 1001)                \
    X(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, 1003)                    \
    X(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, 1303)                     \
    X(CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC, 2800)                  \
    X(CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC, 2801)                  \
    X(CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC, 2802)                  \
    X(CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC, 2803)

enum {
#define BS_DNN_CONSTANT(name, value) BS_##name = value,
    BS_DNN_CONSTANTS(BS_DNN_CONSTANT)
#undef BS_DNN_CONSTANT
};

/* X(result, name, arguments).  Handles and descriptors are void *; every int is
 * 0 or an error number. */
#define BS_DNN_CALLS(X)                                                      \
    X(size_t, cudnnGetVersion, (void))                                       \
    X(const char *, cudnnGetErrorString, (int status))                       \
    X(int, cudnnCreate, (void **handle))                                     \
    X(int, cudnnDestroy, (void *handle))                                     \
    X(int, cudnnSetStream, (void *handle, void *stream))                     \
    X(int, cudnnBackendCreateDescriptor, (int type, void **descriptor))      \
    X(int, cudnnBackendDestroyDescriptor, (void *descriptor))                \
    X(int, cudnnBackendFinalize, (void *descriptor))                         \
    X(int, cudnnBackendSetAttribute,                                         \
      (void *descriptor, int name, int type, int64_t n, const void *values)) \
    X(int, cudnnBackendGetAttribute,                                         \
      (void *descriptor, int name, int type, int64_t room, int64_t *n,       \
       void *values))                                                        \
    X(int, cudnnBackendExecute, (void *handle, void *plan, void *pack))

struct bs_dnn_calls {
#define BS_DNN_MEMBER(result, name, args) result(*name) args;
    BS_DNN_CALLS(BS_DNN_MEMBER)
#undef BS_DNN_MEMBER
};

#endif
