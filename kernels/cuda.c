/*
 * cuda.c - see cuda.h: the driver, errors, kernels, and the device's life.
 */
#include "kernels/cuda.h"

#include "common/mem.h"
#include "kernels/cuda_library.h"
#include "kernels/sae_train_table.h"

#include <stdlib.h>

bool
bs_cuda_built(void)
{
    return bs_cuda_images[0] != NULL;
}

/* ---- errors ----------------------------------------------------------------
 */

int
bs_cuda_check(struct bs_cuda *c, int error, const char *call)
{
    const char *name = NULL, *text = NULL;

    if (error == 0)
        return 0;
    if (c->cu.cuGetErrorName(error, &name) != 0 || name == NULL)
        name = "an error without a name";
    if (c->cu.cuGetErrorString(error, &text) != 0 || text == NULL)
        text = "unknown";
    return bs_err_set(
        &c->dev.err, error == BS_CU_OUT_OF_MEMORY ? BS_EX_OSERR : BS_EX_UNAVAIL,
        "device 'cuda:%d': %s: %s (%s, %d)", c->device, call, text, name,
        error);
}

int
bs_cuda_enter(struct bs_cuda *c)
{
    return BS_CU(c, cuCtxSetCurrent, c->context);
}

/* ---- kernels ---------------------------------------------------------------
 */

static const struct {
    enum bs_cuda_image image;
    const char *name;
} kernels[BS_CUDA_KERNEL_COUNT] = {
#define ROW(image, name) {BS_IMAGE_##image, "bs_" #name},
    BS_CUDA_KERNELS(ROW)
#undef ROW
};

/* Find a kernel when it is wanted first: a command loads what it uses. */
static int
find_kernel(struct bs_cuda *c, enum bs_cuda_kernel kernel)
{
    struct bs_cuda_function *f = &c->function[kernel];
    void **module = &c->module[kernels[kernel].image];
    const void *image = bs_cuda_images[kernels[kernel].image];
    int r = 0;

    if (*module == NULL)
        r = BS_CU(c, cuModuleLoadData, module, image);
    if (r == 0)
        r = bs_cuda_check(c,
                          c->cu.cuModuleGetFunction(&f->handle, *module,
                                                    kernels[kernel].name),
                          kernels[kernel].name);
    f->shared = BS_CU_SHARED_DEFAULT;
    return r;
}

static int
allow_shared(struct bs_cuda *c, struct bs_cuda_function *f, size_t bytes)
{
    int r;

    if (bytes <= f->shared)
        return 0;
    if (bytes > c->most_shared)
        return bs_err_set(&c->dev.err, BS_EX_UNAVAIL,
                          "device 'cuda:%d': its blocks have %zu bytes of "
                          "shared memory, %zu are needed",
                          c->device, c->most_shared, bytes);
    r = BS_CU(c, cuFuncSetAttribute, f->handle, BS_CU_FUNC_DYNAMIC_SHARED,
              (int)bytes);
    if (r == 0)
        f->shared = bytes;
    return r;
}

int
bs_cuda_launch(struct bs_cuda *c, enum bs_cuda_kernel kernel,
               struct bs_grid grid, const void *args, size_t bytes)
{
    struct bs_cuda_function *f = &c->function[kernel];
    void *buffer = (void *)(uintptr_t)args; /* only read */
    void *extra[] = {(void *)BS_CU_PARAM_BUFFER, buffer,
                     (void *)BS_CU_PARAM_BYTES, &bytes, NULL};
    int r = bs_cuda_enter(c);

    if (r == 0 && (grid.x > INT32_MAX || grid.y > UINT16_MAX))
        r = bs_err_set(&c->dev.err, BS_EX_SOFTWARE,
                       "%s: a grid of %zu x %zu blocks", kernels[kernel].name,
                       grid.x, grid.y);
    if (r == 0 && f->handle == NULL)
        r = find_kernel(c, kernel);
    if (r == 0)
        r = allow_shared(c, f, grid.shared);
    if (r < 0)
        return r;
    return bs_cuda_check(c,
                         c->cu.cuLaunchKernel(f->handle, (unsigned)grid.x,
                                              (unsigned)grid.y, 1, grid.threads,
                                              1, 1, (unsigned)grid.shared,
                                              c->stream, NULL, extra),
                         kernels[kernel].name);
}

/* ---- life ------------------------------------------------------------------
 */

static void
cuda_close(struct bs_dev *d)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    size_t i;

    /* Whatever it says: all of it is given back. */
    if (c->context != NULL) {
        c->cu.cuCtxSetCurrent(c->context);
        bs_cuda_memory_close(c);
        bs_cuda_dnn_close(c);
        bs_cuda_lt_close(c);
        for (i = 0; i < BS_CUDA_IMAGE_COUNT; i++)
            if (c->module[i] != NULL)
                c->cu.cuModuleUnload(c->module[i]);
        if (c->stream != NULL)
            c->cu.cuStreamDestroy_v2(c->stream);
        c->cu.cuCtxSetCurrent(NULL);
        c->cu.cuDevicePrimaryCtxRelease_v2(c->device);
    }
    bs_cuda_leave(c);
    bs_free(c); /* the library stays: drivers do not take being closed */
}

static const struct bs_dev_ops cuda_ops = {
    .close = cuda_close,
    .alloc = bs_cuda_alloc,
    .free = bs_cuda_free,
    .put = bs_cuda_put,
    .get = bs_cuda_get,
    .sync = bs_cuda_sync,
    .weight = bs_cuda_weight,
    .weight_free = bs_cuda_weight_free,
    .gemm = bs_cuda_gemm,
    .attention = bs_cuda_attention,
    .layer_norm = bs_cuda_layer_norm,
    .swiglu = bs_cuda_swiglu,
    .geglu = bs_cuda_geglu,
    .add = bs_cuda_add,
    .patchify = bs_cuda_patchify,
    .assemble = bs_cuda_assemble,
    .encoder = bs_cuda_encoder,
    .encoder_free = bs_cuda_encoder_free,
    .encode_topk = bs_cuda_encode_topk,
    .encode_threshold = bs_cuda_encode_threshold,
    .encode_batch = bs_cuda_encode_batch,
    .decode = bs_cuda_decode,
    .train = &bs_cuda_train_ops,
    .conv = bs_cuda_conv,
    .conv_free = bs_cuda_conv_free,
    .conv2d = bs_cuda_conv2d,
    .group_norm = bs_cuda_group_norm,
};

/* The driver's functions. */
static int
load_driver(struct bs_cuda *c, bool *there)
{
    static const char *const names[] = {
#define NAME(name, args) #name,
        BS_CU_CALLS(NAME)
#undef NAME
    };
    static const char *const files[] = {"libcuda.so.1", NULL};
    const char *lacks;
    char why[200] = "";

    _Static_assert(sizeof c->cu == sizeof names, "nothing but pointers");
    c->library = bs_library_open(files, why, sizeof why);
    *there = c->library != NULL;
    if (c->library == NULL)
        return bs_err_set(&c->dev.err, BS_EX_UNAVAIL,
                          "device 'cuda': no driver: %s", why);
    lacks = bs_library_find(c->library, names, BS_LEN(names), &c->cu);
    if (lacks != NULL)
        return bs_err_set(&c->dev.err, BS_EX_UNAVAIL,
                          "device 'cuda': the driver is too old: "
                          "libcuda.so.1 lacks %s",
                          lacks);
    return 0;
}

/* Whether libraries of CUDA's may be used. */
static int
read_environment(struct bs_cuda *c)
{
    const char *libraries = getenv("BS_CUDA_LIBRARIES");

    c->own_kernels = libraries != NULL && strcmp(libraries, "none") == 0;
    if (libraries == NULL || c->own_kernels || strcmp(libraries, "auto") == 0)
        return 0;
    return bs_err_set(&c->dev.err, BS_EX_USAGE,
                      "BS_CUDA_LIBRARIES is '%s': auto or none", libraries);
}

static int
start(struct bs_cuda *c, int ordinal, uint64_t wait)
{
    int r, count = 0, version = 0, shared = 0;
    char name[64] = "";

    r = BS_CU(c, cuInit, 0);
    if (r == 0)
        r = BS_CU(c, cuDeviceGetCount, &count);
    if (r == 0 && ordinal >= count)
        r = bs_err_set(&c->dev.err, BS_EX_UNAVAIL,
                       "no device 'cuda:%d': %d are there", ordinal, count);
    if (r == 0)
        r = BS_CU(c, cuDeviceGet, &c->device, ordinal);
    if (r == 0 && wait > 0)
        r = bs_cuda_wait(c, wait);
    if (r == 0)
        r = BS_CU(c, cuDriverGetVersion, &version);
    if (r == 0)
        r = BS_CU(c, cuDeviceGetName, name, (int)sizeof name, c->device);
    if (r == 0)
        r = BS_CU(c, cuDeviceGetAttribute, &shared, BS_CU_DEVICE_SHARED_OPTIN,
                  c->device);
    if (r == 0)
        r = BS_CU(c, cuDevicePrimaryCtxRetain, &c->context, c->device);
    if (r == 0)
        r = bs_cuda_enter(c);
    if (r == 0)
        r = BS_CU(c, cuStreamCreate, &c->stream, BS_CU_STREAM_NON_BLOCKING);
    c->most_shared = shared > 0 ? (size_t)shared : 0;
    snprintf(c->dev.describe, sizeof c->dev.describe,
             "cuda:%d (%.50s, driver for CUDA %d.%d)", ordinal, name,
             version / 1000, version % 1000 / 10);
    /* A driver or a device that the kernels are not for says so here. */
    return r < 0 ? r : find_kernel(c, BS_KERNEL_layer_norm);
}

/* Opening them takes a moment, so that it is left until they are wanted. */
static void
describe_more(struct bs_dev *d)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    size_t n = strlen(d->describe);

    if (c->own_kernels) {
        snprintf(d->describe + n, sizeof d->describe - n, "; no libraries");
        return;
    }
    snprintf(d->describe + n, sizeof d->describe - n, "; %s",
             bs_cuda_lt_about(c));
    n = strlen(d->describe);
    snprintf(d->describe + n, sizeof d->describe - n, "; %s",
             bs_cuda_dnn_about(c));
    d->err = (struct bs_err){0}; /* it is told again by what wants them */
}

int
bs_cuda_open(struct bs_dev **out, int ordinal, uint64_t wait, bool *there,
             struct bs_err *e)
{
    struct bs_cuda *c = bs_alloc_array(1, sizeof *c);
    int r;

    *out = NULL;
    *there = false;
    if (c == NULL)
        return bs_err_memory(e, "device", sizeof *c);
    c->dev.ops = &cuda_ops;
    c->device = ordinal;
    c->lock = -1;
    c->scores_bytes = BS_SCORES_BYTES;
    c->hits_room = BS_HITS_ROOM;
    c->attention_blocks = BS_ATTENTION_BLOCKS;
    c->dev.describe_more = describe_more;
    r = read_environment(c);
    if (r == 0)
        r = load_driver(c, there);
    if (r == 0)
        r = start(c, ordinal, wait);
    if (r < 0) {
        if (e->code == 0)
            *e = c->dev.err;
        cuda_close(&c->dev);
        return r;
    }
    *out = &c->dev;
    return 0;
}
