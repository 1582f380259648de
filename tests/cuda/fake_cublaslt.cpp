/*
 * fake_cublaslt.cpp - a libcublasLt.so.13 on the fake driver's device: products
 * by plain loops, in the order of the stream.
 *
 * It takes what kernels/cublas_lt.h declares and kernels/gemm_cublas.c uses:
 * column-major A^T B in f32 or bf16 into f32, a bias, beta of 0 or 1.  All else
 * ends the program, and so does a size, type, alignment, leading dimension,
 * range, or workspace that is not as it was said to be, a descriptor that is
 * none, or one that is left behind.
 *
 * Its proposals are those of a library that means no good: the first one says
 * that it is not supported; one that splits the sum comes next, where that is
 * allowed; then one that cannot take a single column, if there are several;
 * each sums in an order that depends on how many columns it was asked for.
 *
 *   FAKE_CUBLASLT_NONE=1       no proposals
 *   FAKE_CUBLASLT_VERSION=n    cublasLtGetVersion
 *   FAKE_CUDA_FAIL             as in fake_cuda.cpp
 */
#include "kernels/cublas_lt.h"
#include "tests/cuda/fake_cuda.h"

#include <cstring>

#define DECLARE(result, name, args) extern "C" result name args;
BS_LT_CALLS(DECLARE)

enum { OK = 0 };

struct lt_handle {
    int unused;
};

struct lt_layout {
    int type;
    uint64_t rows, cols;
    int64_t ld;
};

struct lt_desc {
    int32_t turned_a = BS_CUBLAS_OP_N;
    uint32_t epilogue = BS_CUBLASLT_EPILOGUE_DEFAULT;
    const float *bias = nullptr;
};

struct lt_preference {
    uint64_t workspace = 0, flags = ~0ull;
    uint32_t schemes = 7, a = 256, b = 256, c = 256, d = 256;
};

/* What struct bs_lt_algo holds. */
struct lt_algo {
    uint64_t magic;
    uint32_t a, b, d, bias; /* least alignment */
    uint32_t lanes;         /* sums of their own, added in the end */
    uint32_t parts, scheme;
    uint32_t wide;    /* takes no single column */
    uint32_t refused; /* was said not to be supported */
    uint64_t workspace;
    int32_t type;
};
#define MAGIC 0x6c74616c676f2121ull
static_assert(sizeof(lt_algo) <= sizeof(bs_lt_algo), "it has room");

static fake_set<lt_handle> &handles = *new fake_set<lt_handle>{"handles", {}};
static fake_set<lt_layout> &layouts = *new fake_set<lt_layout>{"layouts", {}};
static fake_set<lt_desc> &descs = *new fake_set<lt_desc>{"descriptors", {}};
static fake_set<lt_preference> &preferences =
    *new fake_set<lt_preference>{"preferences", {}};

static std::string
left_behind()
{
    return handles.left() + layouts.left() + descs.left() + preferences.left();
}

[[noreturn]] static void
die(const std::string &what)
{
    fake_die("cuBLASLt: " + what);
}

#define ENTER() FAKE_ENTER(14 /* internal error */)

/* ---- handles, descriptors --------------------------------------------------
 */

size_t
cublasLtGetVersion()
{
    ENTER();
    return injected != OK ? 0 : fake_number("FAKE_CUBLASLT_VERSION", 130100);
}

const char *
cublasLtGetStatusName(int status)
{
    return status == 14 ? "CUBLAS_STATUS_INTERNAL_ERROR"
           : status == BS_CUBLAS_STATUS_ALLOC_FAILED
               ? "CUBLAS_STATUS_ALLOC_FAILED"
               : "CUBLAS_STATUS_OF_THE_FAKE";
}

int
cublasLtCreate(void **handle)
{
    ENTER();
    fake_need_context(__func__);
    if (injected == OK) {
        fake_at_release(left_behind);
        *handle = handles.add(new lt_handle{});
    }
    return injected;
}

int
cublasLtDestroy(void *handle)
{
    ENTER();
    fake_need_context(__func__);
    handles.end(handle);
    return injected;
}

static size_t
size_of(int type)
{
    if (type != BS_CUDA_R_32F && type != BS_CUDA_R_16BF)
        die("a type that is not known");
    return type == BS_CUDA_R_32F ? 4 : 2;
}

int
cublasLtMatrixLayoutCreate(void **layout, int type, uint64_t rows,
                           uint64_t cols, int64_t ld)
{
    ENTER();
    size_of(type);
    if (rows == 0 || cols == 0 || ld < (int64_t)rows)
        die("a leading dimension below the number of rows");
    if (injected == OK)
        *layout = layouts.add(new lt_layout{type, rows, cols, ld});
    return injected;
}

int
cublasLtMatrixLayoutDestroy(void *layout)
{
    ENTER();
    layouts.end(layout);
    return injected;
}

/* An attribute's value, if it has the size that it has to have. */
template <class T>
static void
take(T *to, const void *value, size_t bytes)
{
    if (bytes != sizeof(T) || value == nullptr)
        die("an attribute of another size");
    memcpy(to, value, bytes);
}

int
cublasLtMatrixLayoutSetAttribute(void *layout, int attribute, const void *value,
                                 size_t bytes)
{
    ENTER();
    lt_layout *l = layouts.at(layout);

    if (attribute != BS_CUBLASLT_MATRIX_LAYOUT_COLS)
        die("an attribute of a layout that is not known");
    if (injected == OK)
        take(&l->cols, value, bytes);
    if (l->cols == 0)
        die("a matrix without columns");
    return injected;
}

int
cublasLtMatmulDescCreate(void **desc, int compute, int scale)
{
    ENTER();
    if (compute != BS_CUBLAS_COMPUTE_32F || scale != BS_CUDA_R_32F)
        die("products that are not summed in f32");
    if (injected == OK)
        *desc = descs.add(new lt_desc);
    return injected;
}

int
cublasLtMatmulDescDestroy(void *desc)
{
    ENTER();
    descs.end(desc);
    return injected;
}

int
cublasLtMatmulDescSetAttribute(void *desc, int attribute, const void *value,
                               size_t bytes)
{
    ENTER();
    lt_desc *d = descs.at(desc);

    if (injected != OK)
        return injected;
    switch (attribute) {
    case BS_CUBLASLT_MATMUL_DESC_TRANSA:
        take(&d->turned_a, value, bytes);
        break;
    case BS_CUBLASLT_MATMUL_DESC_EPILOGUE:
        take(&d->epilogue, value, bytes);
        break;
    case BS_CUBLASLT_MATMUL_DESC_BIAS_POINTER:
        take(&d->bias, value, bytes);
        break;
    default:
        die("an attribute of a product that is not known");
    }
    return OK;
}

int
cublasLtMatmulPreferenceCreate(void **preference)
{
    ENTER();
    if (injected == OK)
        *preference = preferences.add(new lt_preference);
    return injected;
}

int
cublasLtMatmulPreferenceDestroy(void *preference)
{
    ENTER();
    preferences.end(preference);
    return injected;
}

int
cublasLtMatmulPreferenceSetAttribute(void *preference, int attribute,
                                     const void *value, size_t bytes)
{
    ENTER();
    lt_preference *p = preferences.at(preference);

    if (injected != OK)
        return injected;
    switch (attribute) {
    case BS_CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
        take(&p->workspace, value, bytes);
        break;
    case BS_CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
        take(&p->schemes, value, bytes);
        break;
    case BS_CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
        take(&p->a, value, bytes);
        break;
    case BS_CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
        take(&p->b, value, bytes);
        break;
    case BS_CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
        take(&p->c, value, bytes);
        break;
    case BS_CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
        take(&p->d, value, bytes);
        break;
    case BS_CUBLASLT_MATMUL_PREF_IMPL_MASK:
        take(&p->flags, value, bytes);
        break;
    default:
        die("a preference that is not known");
    }
    return OK;
}

/* ---- algorithms ------------------------------------------------------------
 */

/* One product, its parts looked at. */
struct lt_problem {
    lt_desc desc;
    lt_layout a, b, d;

    lt_problem(void *handle, void *desc_of, void *a_of, void *b_of, void *c_of,
               void *d_of)
        : desc(*descs.at(desc_of)), a(*layouts.at(a_of)), b(*layouts.at(b_of)),
          d(*layouts.at(d_of))
    {
        handles.at(handle);
        if (layouts.at(c_of) != layouts.at(d_of))
            die("C that is not D");
        if (desc.turned_a != BS_CUBLAS_OP_T)
            die("a weight that is not transposed");
        if (a.type != b.type || d.type != BS_CUDA_R_32F)
            die("types that do not go together");
        if (a.rows != b.rows || a.cols != d.rows || b.cols != d.cols)
            die("matrices whose sizes do not go together");
        if (desc.epilogue != BS_CUBLASLT_EPILOGUE_DEFAULT &&
            desc.epilogue != BS_CUBLASLT_EPILOGUE_BIAS)
            die("an epilogue that is not known");
        if (desc.epilogue == BS_CUBLASLT_EPILOGUE_BIAS && desc.bias == nullptr)
            die("a bias that is not there");
    }
};

static bool
multiple(const lt_layout &l, uint32_t align)
{
    return (size_t)l.ld * size_of(l.type) % align == 0;
}

static lt_algo
plain(const lt_problem &p, const lt_preference &pref)
{
    lt_algo algo = {};

    algo.magic = MAGIC;
    algo.a = pref.a < 16 ? pref.a : 16;
    algo.b = pref.b < 16 ? pref.b : 16;
    algo.d = pref.d < 16 ? pref.d : 16;
    algo.bias = (uintptr_t)p.desc.bias % 16 == 0 ? 16 : 4;
    algo.lanes = p.d.cols >= 64 ? 16 : p.d.cols >= 8 ? 8 : 4;
    algo.parts = 1;
    algo.type = p.a.type;
    return algo;
}

/* Tensor cores take bf16 in runs of 8 values. */
static bool
can(const lt_problem &p, const lt_preference &pref)
{
    return p.a.type == BS_CUDA_R_32F || (pref.a >= 16 && pref.b >= 16);
}

static void
put(bs_lt_result *results, int room, int *n, const lt_algo &algo, int state)
{
    bs_lt_result *r = &results[*n];

    if (*n == room)
        return;
    memset(r, 0, sizeof *r);
    memcpy(&r->algo, &algo, sizeof algo);
    r->workspace = algo.workspace;
    r->state = state;
    ++*n;
}

int
cublasLtMatmulAlgoGetHeuristic(void *handle, void *desc, void *a, void *b,
                               void *c, void *d, void *preference, int room,
                               bs_lt_result *results, int *n)
{
    ENTER();
    lt_problem p(handle, desc, a, b, c, d);
    lt_preference pref = *preferences.at(preference);
    uint64_t f32 =
        BS_CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_TF32 |
        BS_CUBLASLT_NUMERICAL_IMPL_FLAGS_ACCUMULATOR_16F |
        (p.a.type == BS_CUDA_R_32F ? BS_CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_16BF
                                   : 0);

    *n = 0;
    if (injected != OK)
        return injected;
    if (room < 1)
        die("no room for proposals");
    if (!multiple(p.a, pref.a) || !multiple(p.b, pref.b) ||
        !multiple(p.d, pref.d) || pref.c != pref.d)
        die("an alignment that the leading dimensions do not have");
    if ((pref.flags & f32) != 0)
        die("products of other values than the operands are allowed");
    if (fake_number("FAKE_CUBLASLT_NONE", 0) != 0 || !can(p, pref))
        return BS_CUBLAS_STATUS_NOT_SUPPORTED;
    lt_algo algo = plain(p, pref), split = algo, wide = algo, refused = algo;

    refused.refused = 1;
    put(results, room, n, refused, BS_CUBLAS_STATUS_NOT_SUPPORTED);
    split.parts = 4;
    split.scheme = pref.schemes & 1 ? 1 : 2;
    if (pref.schemes != 0)
        put(results, room, n, split, OK);
    wide.wide = 1;
    put(results, room, n, wide, OK);
    /* The next one wants all the memory that it can get, of an odd size. */
    if (pref.workspace > 0 && p.a.cols % 2 == 0)
        algo.workspace = pref.workspace - 1;
    put(results, room, n, algo, OK);
    return OK;
}

static lt_algo
algo_of(const bs_lt_algo *from)
{
    lt_algo algo;

    memcpy(&algo, from, sizeof algo);
    if (algo.magic != MAGIC)
        die("an algorithm that is none");
    return algo;
}

int
cublasLtMatmulAlgoCheck(void *handle, void *desc, void *a, void *b, void *c,
                        void *d, const bs_lt_algo *from, bs_lt_result *result)
{
    ENTER();
    lt_problem p(handle, desc, a, b, c, d);
    lt_algo algo = algo_of(from);

    if (injected != OK)
        return injected;
    if (algo.wide && p.d.cols == 1)
        return BS_CUBLAS_STATUS_NOT_SUPPORTED;
    result->workspace = algo.workspace;
    result->state = OK;
    return OK;
}

int
cublasLtMatmulAlgoConfigGetAttribute(const bs_lt_algo *from, int attribute,
                                     void *value, size_t bytes, size_t *written)
{
    ENTER();
    lt_algo algo = algo_of(from);

    if (injected != OK)
        return injected;
    if (bytes != 4 || (attribute != BS_CUBLASLT_ALGO_CONFIG_SPLITK_NUM &&
                       attribute != BS_CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME))
        die("an attribute of an algorithm that is not known");
    memcpy(value,
           attribute == BS_CUBLASLT_ALGO_CONFIG_SPLITK_NUM ? &algo.parts
                                                           : &algo.scheme,
           bytes);
    *written = bytes;
    return OK;
}

/* ---- multiplication --------------------------------------------------------
 */

static float
value(const void *p, int type, size_t i)
{
    return type == BS_CUDA_R_32F ? ((const float *)p)[i]
                                 : fake_wide(((const uint16_t *)p)[i]);
}

/* The sum over k, in as many lanes as the algorithm has. */
static float
dot(const void *a, const void *b, int type, size_t k, size_t lanes)
{
    float sum[16] = {}, all = 0;
    size_t i, l;

    for (i = 0; i + lanes <= k; i += lanes)
        for (l = 0; l < lanes; l++)
            sum[l] += value(a, type, i + l) * value(b, type, i + l);
    for (l = 0; i + l < k; l++)
        sum[l] += value(a, type, i + l) * value(b, type, i + l);
    for (l = 0; l < lanes; l++)
        all += sum[l];
    return all;
}

static void
need_matrix(const char *which, const lt_layout &l, const void *p,
            uint32_t align)
{
    size_t size = size_of(l.type);
    size_t values = (l.cols - 1) * (size_t)l.ld + l.rows;

    if ((uintptr_t)p % align != 0 || !multiple(l, align))
        die(std::string(which) + " is not aligned as the algorithm needs it");
    if (!fake_on_device(p, values * size))
        die(std::string(which) + " does not lie within one block");
}

int
cublasLtMatmul(void *handle, void *desc, const void *alpha, const void *a,
               void *a_layout, const void *b, void *b_layout, const void *beta,
               const void *c, void *c_layout, void *d, void *d_layout,
               const bs_lt_algo *from, void *workspace, size_t bytes,
               void *stream)
{
    ENTER();
    lt_problem p(handle, desc, a_layout, b_layout, c_layout, d_layout);
    lt_algo algo = algo_of(from);
    float scale, add;

    fake_need_context(__func__);
    if (injected != OK)
        return injected;
    memcpy(&scale, alpha, sizeof scale);
    memcpy(&add, beta, sizeof add);
    if (c != d || scale != 1 || (add != 0 && add != 1))
        die("factors or a C that are not known");
    if (algo.type != p.a.type || algo.refused || (algo.wide && p.d.cols == 1))
        die("an algorithm for something else");
    need_matrix("A", p.a, a, algo.a);
    need_matrix("B", p.b, b, algo.b);
    need_matrix("D", p.d, d, algo.d);
    if (p.desc.epilogue == BS_CUBLASLT_EPILOGUE_BIAS &&
        ((uintptr_t)p.desc.bias % algo.bias != 0 ||
         !fake_on_device(p.desc.bias, p.d.rows * sizeof(float))))
        die("a bias that is not aligned, or does not lie within one block");
    if (bytes < algo.workspace ||
        (algo.workspace > 0 &&
         ((uintptr_t)workspace % 16 != 0 || !fake_on_device(workspace, bytes))))
        die("less workspace than the algorithm needs");
    fake_push(stream, [=] {
        if (algo.workspace > 0) /* its first and last pages will do */
            memset(workspace, 0xff,
                   algo.workspace < 4096 ? algo.workspace : 4096);
        if (algo.workspace > 4096)
            memset((char *)workspace + algo.workspace - 4096, 0xff, 4096);
        for (size_t col = 0; col < p.d.cols; col++)
            for (size_t row = 0; row < p.d.rows; row++) {
                size_t size = size_of(p.a.type);
                float *to = (float *)d + col * (size_t)p.d.ld + row;
                float v = dot((const char *)a + row * (size_t)p.a.ld * size,
                              (const char *)b + col * (size_t)p.b.ld * size,
                              p.a.type, p.a.rows, algo.lanes);

                if (add != 0)
                    v += *to;
                if (p.desc.epilogue == BS_CUBLASLT_EPILOGUE_BIAS)
                    v += p.desc.bias[row];
                *to = v;
            }
    });
    return OK;
}
