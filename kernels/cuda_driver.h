/*
 * cuda_driver.h - the part of CUDA's driver API that is used here, found in
 * libcuda.so.1 at run time.
 *
 * No header of CUDA's is needed: the names and argument types stand in one
 * list, which makes the table of functions, its loader, and the declarations
 * of the fake library in tests/cuda.  Handles are void *, device addresses
 * uint64_t; every function returns 0 or an error number.  Names carry the
 * suffix of the version whose arguments they take.  Private to kernels/ and
 * tests/cuda.
 */
#ifndef BS_KERNELS_CUDA_DRIVER_H
#define BS_KERNELS_CUDA_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#define BS_CU_CALLS(X)                                                        \
    X(cuInit, (unsigned flags))                                               \
    X(cuDriverGetVersion, (int *version))                                     \
    X(cuGetErrorName, (int error, const char **name))                         \
    X(cuGetErrorString, (int error, const char **text))                       \
    X(cuDeviceGetCount, (int *count))                                         \
    X(cuDeviceGet, (int *device, int ordinal))                                \
    X(cuDeviceGetName, (char *name, int room, int device))                    \
    X(cuDeviceGetUuid_v2, (unsigned char *uuid, int device))                  \
    X(cuDeviceGetAttribute, (int *value, int attribute, int device))          \
    X(cuDevicePrimaryCtxRetain, (void **context, int device))                 \
    X(cuDevicePrimaryCtxRelease_v2, (int device))                             \
    X(cuCtxSetCurrent, (void *context))                                       \
    X(cuMemGetInfo_v2, (size_t * free, size_t * total))                       \
    X(cuMemAlloc_v2, (uint64_t * p, size_t bytes))                            \
    X(cuMemFree_v2, (uint64_t p))                                             \
    X(cuMemHostAlloc, (void **p, size_t bytes, unsigned flags))               \
    X(cuMemFreeHost, (void *p))                                               \
    X(cuMemcpyHtoDAsync_v2,                                                   \
      (uint64_t to, const void *from, size_t bytes, void *stream))            \
    X(cuMemcpyDtoHAsync_v2,                                                   \
      (void *to, uint64_t from, size_t bytes, void *stream))                  \
    X(cuMemsetD8Async,                                                        \
      (uint64_t to, unsigned char value, size_t bytes, void *stream))         \
    X(cuStreamCreate, (void **stream, unsigned flags))                        \
    X(cuStreamDestroy_v2, (void *stream))                                     \
    X(cuStreamSynchronize, (void *stream))                                    \
    X(cuEventCreate, (void **event, unsigned flags))                          \
    X(cuEventDestroy_v2, (void *event))                                       \
    X(cuEventRecord, (void *event, void *stream))                             \
    X(cuEventSynchronize, (void *event))                                      \
    X(cuModuleLoadData, (void **module, const void *image))                   \
    X(cuModuleUnload, (void *module))                                         \
    X(cuModuleGetFunction, (void **function, void *module, const char *name)) \
    X(cuFuncSetAttribute, (void *function, int attribute, int value))         \
    X(cuLaunchKernel,                                                         \
      (void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z,     \
       unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared, \
       void *stream, void **params, void **extra))

enum {
    BS_CU_OUT_OF_MEMORY = 2,
    BS_CU_STREAM_NON_BLOCKING = 1,
    BS_CU_EVENT_DISABLE_TIMING = 2,
    BS_CU_DEVICE_SHARED_OPTIN = 97,   /* attribute: shared memory of a block */
    BS_CU_FUNC_DYNAMIC_SHARED = 8,    /* attribute: beyond 48 KiB */
    BS_CU_SHARED_DEFAULT = 48 * 1024, /* without that */
    /* Elements of cuLaunchKernel's `extra`. */
    BS_CU_PARAM_BUFFER = 1,
    BS_CU_PARAM_BYTES = 2
};

struct bs_cu {
#define BS_CU_MEMBER(name, args) int(*name) args;
    BS_CU_CALLS(BS_CU_MEMBER)
#undef BS_CU_MEMBER
};

#endif
