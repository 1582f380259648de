/*
 * k-cuda.c - the CUDA device in the emulation when something fails: the n-th
 * call of each entry point of the driver or of a library, and all after it.  An
 * operation must say so with the documented status, or do without the library,
 * and what was allocated must be given back: the fake libraries end a process
 * that leaves something behind.
 */
#include "tests/kernels/compare.h"

#include <sys/wait.h>
#include <unistd.h>

#include "kernels/cublas_lt.h"
#include "kernels/cuda.h"
#include "kernels/cudnn_graph.h"
#include "kernels/image_ops.h"
#include "kernels/sae_train_ops.h"

static const char *const calls[] = {
#define NAME(name, args) #name,
    BS_CU_CALLS(NAME)
#undef NAME
};

/* What does without a library where a call says that it cannot be used, or that
 * it has nothing for a shape; all others are errors. */
enum { FATAL, DONE_WITHOUT, NO_CALL_OF_ITS_OWN };
static const struct {
    const char *name;
    int kind;
} library_calls[] = {
#define NAME(result, name, args) {#name, name##_KIND},
#define cublasLtGetVersion_KIND DONE_WITHOUT
#define cublasLtGetStatusName_KIND NO_CALL_OF_ITS_OWN
#define cublasLtCreate_KIND DONE_WITHOUT
#define cublasLtDestroy_KIND DONE_WITHOUT
#define cublasLtMatrixLayoutCreate_KIND FATAL
#define cublasLtMatrixLayoutDestroy_KIND DONE_WITHOUT
#define cublasLtMatrixLayoutSetAttribute_KIND FATAL
#define cublasLtMatmulDescCreate_KIND FATAL
#define cublasLtMatmulDescDestroy_KIND DONE_WITHOUT
#define cublasLtMatmulDescSetAttribute_KIND FATAL
#define cublasLtMatmulPreferenceCreate_KIND FATAL
#define cublasLtMatmulPreferenceDestroy_KIND DONE_WITHOUT
#define cublasLtMatmulPreferenceSetAttribute_KIND FATAL
#define cublasLtMatmulAlgoGetHeuristic_KIND FATAL
#define cublasLtMatmulAlgoCheck_KIND DONE_WITHOUT
#define cublasLtMatmulAlgoConfigGetAttribute_KIND FATAL
#define cublasLtMatmul_KIND FATAL
#define cudnnGetVersion_KIND DONE_WITHOUT
#define cudnnGetErrorString_KIND NO_CALL_OF_ITS_OWN
#define cudnnCreate_KIND DONE_WITHOUT
#define cudnnDestroy_KIND DONE_WITHOUT
#define cudnnSetStream_KIND FATAL
#define cudnnBackendCreateDescriptor_KIND FATAL
#define cudnnBackendDestroyDescriptor_KIND DONE_WITHOUT
#define cudnnBackendFinalize_KIND FATAL
#define cudnnBackendSetAttribute_KIND FATAL
#define cudnnBackendGetAttribute_KIND FATAL
#define cudnnBackendExecute_KIND FATAL
    BS_LT_CALLS(NAME) BS_DNN_CALLS(NAME)
#undef NAME
};

#define WIDTH 24
#define ROWS 5
#define ATOMS 70
#define TOP 3

enum { X, Y, WIDE, CODES, DICT, BUFFERS };

static int
attend(struct bs_dev *d, const struct bs_mem *x, const struct bs_mem *out,
       size_t dim, enum bs_math math)
{
    const struct bs_attention a = {.q = *x,
                                   .k = *x,
                                   .v = *x,
                                   .out = *out,
                                   .ldq = dim,
                                   .ldk = dim,
                                   .ldv = dim,
                                   .ldo = dim,
                                   .batch = 1,
                                   .queries = ROWS,
                                   .keys = ROWS,
                                   .heads = 1,
                                   .dim = dim,
                                   .math = math};

    return bs_dev_attention(d, &a);
}

/* What was made is freed in any case. */
struct made {
    struct bs_mem m[BUFFERS];
    struct bs_weight *w;
    struct bs_conv *conv;
    struct bs_encoder *enc, *trained;
    struct bs_groups *groups;
    struct bs_ragged ragged;
};

static int
run_images(struct bs_dev *d, struct made *made, const float *host)
{
    const struct bs_conv_shape shape = {3, 4, 3, 1, 1};
    const struct bs_mem *m = made->m;
    struct bs_conv2d conv = {.x = m[X],
                             .y = m[WIDE],
                             .ldx = 3,
                             .ldy = 4,
                             .batch = 1,
                             .height = ROWS,
                             .width = ROWS};
    const struct bs_group_norm norm = {.x = m[WIDE],
                                       .y = m[WIDE],
                                       .ldx = 4,
                                       .ldy = 4,
                                       .batch = 1,
                                       .pixels = ROWS,
                                       .channels = 4,
                                       .groups = 2,
                                       .gamma = m[X],
                                       .beta = m[X]};
    int r =
        bs_dev_conv(d, &made->conv, host, BS_DTYPE_F32, &shape, BS_MATH_F32);

    conv.w = made->conv;
    if (r == 0)
        r = bs_dev_conv2d(d, &conv);
    return r < 0 ? r : bs_dev_group_norm(d, &norm);
}

static int
run_codes(struct bs_dev *d, struct made *made, const struct bs_code_rows *codes)
{
    const struct bs_encoder_rows from = {
        .w = &made->m[DICT], .bias = &made->m[X], .width = WIDTH, .n = ROWS};
    struct bs_mem *m = made->m;
    int r =
        bs_dev_encoder_reserve(d, &made->trained, ROWS, WIDTH, BS_SCREEN_AUTO);

    if (r == 0)
        r = bs_dev_encoder_fill(d, made->trained, &from);
    if (r == 0)
        r = bs_dev_group(d, &made->groups, codes, ATOMS);
    if (r == 0)
        r = bs_dev_group_dots(d, made->groups, &m[X], &m[DICT], ATOMS, WIDTH, 1,
                              &m[CODES]);
    return r < 0 ? r
                 : bs_dev_group_sum(d, made->groups, &m[CODES], &m[X], WIDTH, 1,
                                    0, &m[WIDE], NULL);
}

static int
run_adam(struct bs_dev *d, struct made *made, const uint32_t *row)
{
    static const uint32_t last[ROWS];
    static const struct bs_adam_step steps[] = {{0}, {1, 1, 1}, {1, 1, 1}};
    struct bs_adam a = {
        .steps = steps, .now = 1, .toward1 = 0.1f, .eps = 1e-8f};
    const struct bs_adam_grad g = {
        .row = row, .n = 1, .grad = &made->m[X], .scale = 1};
    const struct bs_adam_rows p = {made->m[Y],     made->m[WIDE], made->m[WIDE],
                                   made->m[CODES], ROWS,          WIDTH};
    int r = bs_dev_put(d, &made->m[CODES], 0, last, sizeof last);

    if (r == 0)
        r = bs_dev_adam(d, &a, &p, &g);
    a.project = BS_PROJECT_UNIT;
    a.now = 2;
    if (r == 0)
        r = bs_dev_adam(d, &a, &p, &g);
    return r < 0 ? r
                 : bs_dev_project(d, BS_PROJECT_UNIT, 1, &made->m[Y], ROWS,
                                  WIDTH);
}

static int
run_training(struct bs_dev *d, struct made *made, float *host,
             const struct bs_code_rows *codes)
{
    static double sums[WIDTH * WIDTH];
    static const uint32_t row[ROWS] = {4, 3, 2, 1, 0};
    struct bs_mem *m = made->m;
    const struct bs_norm_gradient norm = {.concepts = ROWS,
                                          .width = WIDTH,
                                          .along = host,
                                          .rest = host,
                                          .slot = row,
                                          .sparse = &m[X]};
    double one;
    int r = bs_dev_tokens(d, &m[X], NULL, ROWS, WIDTH, BS_MATH_F32, &m[Y], sums,
                          &one);

    if (r == 0)
        r = bs_dev_residual(d, &m[X], &m[Y], ROWS * WIDTH, &one);
    if (r == 0)
        r = bs_dev_row_sum(d, &m[X], ROWS, WIDTH, host, sums);
    if (r == 0)
        r = bs_dev_gram(d, &m[X], ROWS, WIDTH, host, host, sums);
    if (r == 0)
        r = bs_dev_gather(d, &m[X], WIDTH, row, ROWS, &m[Y]);
    if (r == 0)
        r = bs_dev_tangent(d, &m[Y], &m[X], row, ROWS, WIDTH);
    if (r == 0)
        r = bs_dev_norm_gradient(d, &m[Y], &norm);
    if (r == 0)
        r = run_codes(d, made, codes);
    return r < 0 ? r : run_adam(d, made, row);
}

/* Everything that a device has, once. */
static int
run_all(struct bs_dev *d, struct made *made, float *host)
{
    struct bs_mem *m = made->m;
    struct bs_weight **w = &made->w;
    struct bs_encoder **enc = &made->enc;
    struct bs_ragged *ragged = &made->ragged;
    static const float one[3] = {1, 1, 1};
    const size_t bytes = ROWS * WIDTH * sizeof(float);
    uint32_t idx[ROWS * TOP] = {0};
    struct bs_code_rows codes = {ROWS, TOP, NULL, idx, host};
    float tau[ATOMS] = {0}, least;
    struct bs_mem val;
    size_t i;
    int r = 0;

    for (i = 0; r == 0 && i < BUFFERS; i++)
        r = bs_dev_alloc(d, &m[i], 20 * bytes);
    if (r == 0)
        r = bs_dev_put(d, &m[X], 0, host, bytes);
    if (r == 0)
        r = bs_dev_put(d, &m[DICT], 0, host, ATOMS * WIDTH * sizeof(float));
    if (r == 0)
        r = bs_dev_patchify(d, &m[DICT], &m[Y], 1, 4, 4, 2, one, one);
    if (r == 0)
        r = bs_dev_assemble(d, &m[X], &m[X], &m[X], &m[Y], 1, ROWS, 1, WIDTH);
    if (r == 0)
        r = bs_dev_layer_norm(d, &m[X], &m[Y], ROWS, WIDTH, &m[X], &m[X], 1);
    if (r == 0)
        r = bs_dev_weight(d, w, host, BS_DTYPE_F32, 3 * WIDTH, WIDTH,
                          BS_MATH_BF16);
    if (r == 0)
        r = bs_dev_gemm(d, *w, &m[X], WIDTH, &m[WIDE], 3 * WIDTH, ROWS, NULL,
                        BS_EPI_GELU, NULL);
    if (r == 0)
        r = attend(d, &m[WIDE], &m[Y], WIDTH, BS_MATH_BF16);
    if (r == 0) /* more shared memory than a block has unasked */
        r = attend(d, &m[WIDE], &m[Y], 3 * WIDTH, BS_MATH_F32);
    if (r == 0)
        r = bs_dev_swiglu(d, &m[WIDE], &m[Y], ROWS, WIDTH);
    if (r == 0)
        r = bs_dev_geglu(d, &m[WIDE], &m[Y], ROWS, WIDTH);
    if (r == 0)
        r = run_images(d, made, host);
    if (r == 0)
        r = bs_dev_encoder(d, enc, host, NULL, ATOMS, WIDTH, BS_SCREEN_AUTO);
    val = m[CODES];
    val.p = (char *)val.p + bytes;
    val.bytes -= bytes;
    if (r == 0)
        r = bs_dev_encode_topk(d, *enc, &m[X], WIDTH, ROWS, TOP, &m[CODES],
                               &val);
    if (r == 0)
        r = bs_dev_encode_threshold(d, *enc, &m[X], WIDTH, ROWS, tau, false,
                                    1000, ragged);
    if (r == 0)
        r = bs_dev_encode_batch(d, *enc, &m[X], WIDTH, ROWS, 10, ragged,
                                &least);
    if (r == 0)
        r = bs_dev_decode(d, &codes, &m[DICT], ATOMS, WIDTH, NULL, &m[Y]);
    if (r == 0)
        r = run_training(d, made, host, &codes);
    if (r == 0)
        r = bs_dev_get(d, host, &m[Y], 0, bytes);
    return r < 0 ? r : bs_dev_sync(d);
}

/* 0, or the status of the failure. */
static int
use_device(void)
{
    struct floats host = floats_of(ATOMS * WIDTH, 1, 1);
    struct made made = {.w = NULL};
    struct bs_err e = {0};
    struct bs_dev *d;
    bool there;
    size_t i;
    int r = bs_cuda_open(&d, 0, 60, &there, &e);

    if (r == 0) {
        r = run_all(d, &made, host.at);
        e = *bs_dev_error(d);
        bs_ragged_release(&made.ragged);
        bs_dev_encoder_free(d, made.enc);
        bs_dev_encoder_free(d, made.trained);
        bs_dev_groups_free(d, made.groups);
        bs_dev_conv_free(d, made.conv);
        bs_dev_weight_free(d, made.w);
        for (i = 0; i < BUFFERS; i++)
            bs_dev_free(d, &made.m[i]);
        bs_dev_close(d);
    }
    if (!floats_free(&host) || r != -e.code || (r < 0 && e.text[0] == '\0'))
        return 1;
    return -r;
}

/* The same in a process of its own, that may die, where `variable` is `value`.
 */
static int
use_where(const char *variable, const char *value)
{
    int status;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        setenv(variable, value, 1);
        _exit(use_device());
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The n-th call fails, and all after it, with this error, or any if it is 0. */
static int
use_apart(const char *call, unsigned n, int error)
{
    char fail[80];

    snprintf(fail, sizeof fail, error != 0 ? "%s:%u:%d" : "%s:%u", call, n,
             error);
    return use_where("FAKE_CUDA_FAIL", fail);
}

static bool
takes_down(const char *call)
{
    return strstr(call, "Free") != NULL || strstr(call, "Destroy") != NULL ||
           strstr(call, "Unload") != NULL || strstr(call, "Release") != NULL;
}

/* From the first call on, from the second ... until all succeed.  Calls of
 * which there are many are tried ever farther apart. */
static void
test_call(const char *call, unsigned growth)
{
    bool memory = strstr(call, "Alloc") != NULL;
    int want = memory ? BS_EX_OSERR : BS_EX_UNAVAIL, got = want;
    unsigned n, tried = 0;

    for (n = 1; got == want; n += 1 + n / growth, tried++)
        got = use_apart(call, n, 0);
    if (strncmp(call, "cuGetError", 10) == 0 || takes_down(call) ||
        strcmp(call, "cuMemGetInfo_v2") == 0)
        ok(got == 0, "%s: does not matter (%d)", call, got);
    else
        ok(got == 0 && tried > 1, "%s: %u failures (%d)", call, tried - 1, got);
}

static void
test_library_call(const char *call, int kind, unsigned growth)
{
    int want = BS_EX_UNAVAIL, got = want;
    unsigned n, tried = 0;

    if (kind == NO_CALL_OF_ITS_OWN)
        return;
    for (n = 1; got == want; n += 1 + n / growth, tried++)
        got = use_apart(call, n, 0);
    ok(got == 0 && (tried > 1) == (kind == FATAL), "%s: %u failures (%d)", call,
       tried - 1, got);
    if (kind == FATAL) {
        got = use_apart(
            call, 1,
            strncmp(call, "cudnn", 5) == 0
                ? BS_CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED
                : BS_CUBLAS_STATUS_ALLOC_FAILED);
        ok(got == BS_EX_OSERR, "%s: no memory (%d)", call, got);
    }
}

static void
test_refused(int type, const char *what)
{
    char value[12];
    int got;

    snprintf(value, sizeof value, "%d", type);
    got = use_where("FAKE_CUDNN_REFUSE", value);
    ok(got == 0, "cuDNN refuses %s (%d)", what, got);
}

static void
test_without_library(void)
{
    int got = use_apart("cublasLtMatmulAlgoGetHeuristic", 1,
                        BS_CUBLAS_STATUS_NOT_SUPPORTED);

    ok(got == 0, "a shape that the library does not take (%d)", got);
    got = use_where("FAKE_CUBLASLT_NONE", "1");
    ok(got == 0, "no proposals (%d)", got);
    got = use_where("FAKE_CUBLASLT_VERSION", "110300");
    ok(got == 0, "a version that is not known (%d)", got);
    test_refused(BS_CUDNN_BACKEND_TENSOR_DESCRIPTOR, "a tensor");
    test_refused(BS_CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR, "attention");
    test_refused(BS_CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, "a graph");
    test_refused(BS_CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, "to propose");
    test_refused(BS_CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, "every plan");
    got = use_where("FAKE_CUDNN_VERSION", "91200");
    ok(got == 0, "cuDNN is too old (%d)", got);
    got = use_where("FAKE_CUDNN_VERSION", "100000");
    ok(got == 0, "cuDNN is not known (%d)", got);
    got = use_where("BS_CUDA_LIBRARIES", "none");
    ok(got == 0, "no libraries (%d)", got);
    got = use_where("BS_CUDA_LIBRARIES", "auto");
    ok(got == 0, "libraries (%d)", got);
    got = use_where("BS_CUDA_LIBRARIES", "all");
    ok(got == BS_EX_USAGE, "neither (%d)", got);
    got = use_apart("cublasLtCreate", 1, BS_CUBLAS_STATUS_ALLOC_FAILED);
    ok(got == BS_EX_OSERR, "no memory for the library (%d)", got);
    got = use_apart("cudnnCreate", 1,
                    BS_CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED);
    ok(got == BS_EX_OSERR, "no memory for cuDNN (%d)", got);
}

int
main(void)
{
#if defined(__SANITIZE_THREAD__)
    const unsigned growth = 1;
#elif defined(__SANITIZE_ADDRESS__)
    const unsigned growth = 2;
#else
    const unsigned growth = 8;
#endif
    const char *names = getenv("BS_FAKE");
    size_t i;

    if (names == NULL || !bs_cuda_built()) {
        skip("the emulation is not there");
        return tap_done();
    }
    staged_fake();
    ok(use_apart("none", 1, 0) == 0, "nothing fails");
    for (i = 0; i < BS_LEN(calls); i++)
        test_call(calls[i], growth);
    for (i = 0; i < BS_LEN(library_calls); i++)
        test_library_call(library_calls[i].name, library_calls[i].kind, growth);
    test_without_library();
    return tap_done();
}
