/*
 * gemm_cublas.c - products of matrices by cuBLASLt, where it can be had.
 *
 * A row-major matrix is a column-major one that is transposed: y^T = w x^T, so
 * that the library's A is the weight, [k, n] to it and transposed, its B is x,
 * [k, m], and its D is y, [n, m].
 *
 * A row of y must not depend on how many there are, so one algorithm serves
 * every m: that which the library proposes for LT_ROWS rows, among those that
 * do not split the sum over k.  It is kept, with its descriptors, for as long
 * as the device is open.
 *
 * The library adds a bias, and adds to y.  It has no activation that dev.h
 * allows: its GELU is the tanh form, off by up to 5e-4 where 4e-7 is the
 * tolerance.  Those, and a residual that is scaled column by column, take a
 * kernel of ours, in chunks that stay in the second-level cache; and so does
 * rounding x to bf16.
 */
#include "kernels/cublas_lt.h"
#include "kernels/cuda_library.h"
#include "kernels/gemm_cuda.h"

#include "common/mem.h"

#define LT_ROWS 4096
#define LT_WORKSPACE ((size_t)32 << 20)
#define CHUNK_BYTES ((size_t)32 << 20)
#define PROPOSALS 16

/* What an algorithm is chosen for. */
struct key {
    size_t n, k, ldw, ldx, ldy;
    size_t bf16, bias;       /* bias: 0 for none, or its alignment */
    size_t align_x, align_y; /* in bytes */
};

struct plan {
    struct plan *next;
    struct key key;
    bool usable; /* false: the library has nothing for it */
    void *desc, *w, *x, *y;
    struct bs_lt_algo algo;
    size_t workspace;
};

struct bs_cuda_lt {
    struct bs_lt_calls call;
    void *handle; /* NULL: it cannot be used, `about` says why */
    struct plan *plans;
    char about[200];
};

/* ---- the library -----------------------------------------------------------
 */

static int
check(struct bs_cuda *c, int status, const char *call)
{
    if (status == 0)
        return 0;
    return bs_err_set(&c->dev.err,
                      status == BS_CUBLAS_STATUS_ALLOC_FAILED ? BS_EX_OSERR
                                                              : BS_EX_UNAVAIL,
                      "device 'cuda:%d': %s: %s (%d)", c->device, call,
                      c->lt->call.cublasLtGetStatusName(status), status);
}

#define LT(c, name, ...) check(c, (c)->lt->call.name(__VA_ARGS__), #name)

/* Fill `lt`, but for the handle; whether it may be made. */
static bool
load(struct bs_cuda_lt *lt)
{
    static const char *const files[] = {"libcublasLt.so.13",
                                        "libcublasLt.so.12", NULL};
    static const char *const names[] = {
#define NAME(result, name, args) #name,
        BS_LT_CALLS(NAME)
#undef NAME
    };
    const char *lacks = NULL;
    char why[sizeof lt->about - 20] = "";
    void *library = bs_library_open(files, why, sizeof why);
    size_t version = 0;

    _Static_assert(sizeof lt->call == sizeof names, "nothing but pointers");
    if (library != NULL)
        lacks = bs_library_find(library, names, BS_LEN(names), &lt->call);
    if (lacks != NULL)
        snprintf(why, sizeof why, "it lacks %s", lacks);
    if (library != NULL && lacks == NULL) {
        version = lt->call.cublasLtGetVersion();
        snprintf(why, sizeof why, "version %zu is not known", version);
    }
    if (version / 10000 != 12 && version / 10000 != 13) {
        snprintf(lt->about, sizeof lt->about, "no cuBLASLt: %s", why);
        return false;
    }
    snprintf(lt->about, sizeof lt->about, "cuBLASLt %zu.%zu.%zu",
             version / 10000, version / 100 % 100, version % 100);
    return true;
}

/* A driver too old for the library, or a device: it is not used.  No memory is
 * an error. */
static int
lt_start(struct bs_cuda *c)
{
    struct bs_cuda_lt *lt = c->lt;
    int status = lt->call.cublasLtCreate(&lt->handle);

    if (status == BS_CUBLAS_STATUS_ALLOC_FAILED)
        return check(c, status, "cublasLtCreate");
    if (status != 0) {
        lt->handle = NULL;
        snprintf(lt->about, sizeof lt->about, "no cuBLASLt: %s",
                 lt->call.cublasLtGetStatusName(status));
    }
    return 0;
}

static int
lt_open(struct bs_cuda *c)
{
    int r = 0;

    if (c->lt != NULL)
        return 0;
    c->lt = bs_alloc_array(1, sizeof *c->lt);
    if (c->lt == NULL)
        return bs_err_memory(&c->dev.err, "cuBLASLt", sizeof *c->lt);
    r = bs_cuda_enter(c);
    if (r == 0 && load(c->lt))
        r = lt_start(c);
    if (r < 0) {
        bs_free(c->lt);
        c->lt = NULL;
    }
    return r;
}

const char *
bs_cuda_lt_about(struct bs_cuda *c)
{
    return lt_open(c) == 0 ? c->lt->about : c->dev.err.text;
}

static void
plan_free(struct bs_cuda_lt *lt, struct plan *p)
{
    if (p->desc != NULL)
        lt->call.cublasLtMatmulDescDestroy(p->desc);
    if (p->w != NULL)
        lt->call.cublasLtMatrixLayoutDestroy(p->w);
    if (p->x != NULL)
        lt->call.cublasLtMatrixLayoutDestroy(p->x);
    if (p->y != NULL)
        lt->call.cublasLtMatrixLayoutDestroy(p->y);
    bs_free(p);
}

void
bs_cuda_lt_close(struct bs_cuda *c)
{
    struct bs_cuda_lt *lt = c->lt;

    if (lt == NULL)
        return;
    while (lt->plans != NULL) {
        struct plan *p = lt->plans;

        lt->plans = p->next;
        plan_free(lt, p);
    }
    if (lt->handle != NULL)
        lt->call.cublasLtDestroy(lt->handle);
    bs_free(lt);
    c->lt = NULL;
}

/* ---- plans -----------------------------------------------------------------
 */

/* The operation and its matrices, y and x of LT_ROWS rows. */
static int
describe(struct bs_cuda *c, struct plan *p, const float *bias)
{
    const struct key *k = &p->key;
    int type = k->bf16 ? BS_CUDA_R_16BF : BS_CUDA_R_32F;
    int32_t turned = BS_CUBLAS_OP_T;
    uint32_t epilogue =
        k->bias ? BS_CUBLASLT_EPILOGUE_BIAS : BS_CUBLASLT_EPILOGUE_DEFAULT;
    int r = LT(c, cublasLtMatmulDescCreate, &p->desc, BS_CUBLAS_COMPUTE_32F,
               BS_CUDA_R_32F);

    if (r == 0)
        r = LT(c, cublasLtMatmulDescSetAttribute, p->desc,
               BS_CUBLASLT_MATMUL_DESC_TRANSA, &turned, sizeof turned);
    if (r == 0)
        r = LT(c, cublasLtMatmulDescSetAttribute, p->desc,
               BS_CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
    if (r == 0 && k->bias) /* its alignment is looked at */
        r = LT(c, cublasLtMatmulDescSetAttribute, p->desc,
               BS_CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
    if (r == 0)
        r = LT(c, cublasLtMatrixLayoutCreate, &p->w, type, k->k, k->n,
               (int64_t)k->ldw);
    if (r == 0)
        r = LT(c, cublasLtMatrixLayoutCreate, &p->x, type, k->k, LT_ROWS,
               (int64_t)k->ldx);
    if (r == 0)
        r = LT(c, cublasLtMatrixLayoutCreate, &p->y, BS_CUDA_R_32F, k->n,
               LT_ROWS, (int64_t)k->ldy);
    return r;
}

static int
prefer(struct bs_cuda *c, void *preference, const struct key *k)
{
    const uint64_t workspace = LT_WORKSPACE;
    const uint32_t reduction = BS_CUBLASLT_REDUCTION_SCHEME_NONE;
    /* Operands as they are, whatever the environment tells the library. */
    const uint64_t other =
        BS_CUBLASLT_NUMERICAL_IMPL_FLAGS_ACCUMULATOR_16F |
        BS_CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_16F |
        BS_CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_TF32 |
        (k->bf16 ? 0 : BS_CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_16BF);
    const uint64_t allowed = ~other;
    const uint32_t align_w = 16, align_x = (uint32_t)k->align_x,
                   align_y = (uint32_t)k->align_y;
    const struct {
        int attribute;
        const void *value;
        size_t bytes;
    } all[] = {
        {BS_CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, 8},
        {BS_CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reduction, 4},
        {BS_CUBLASLT_MATMUL_PREF_IMPL_MASK, &allowed, 8},
        {BS_CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &align_w, 4},
        {BS_CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &align_x, 4},
        {BS_CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &align_y, 4},
        {BS_CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &align_y, 4},
    };
    size_t i;
    int r = 0;

    for (i = 0; r == 0 && i < BS_LEN(all); i++)
        r = LT(c, cublasLtMatmulPreferenceSetAttribute, preference,
               all[i].attribute, all[i].value, all[i].bytes);
    return r;
}

static int
set_rows(struct bs_cuda *c, struct plan *p, size_t rows)
{
    const uint64_t m = rows;
    int r = LT(c, cublasLtMatrixLayoutSetAttribute, p->x,
               BS_CUBLASLT_MATRIX_LAYOUT_COLS, &m, sizeof m);

    return r < 0 ? r
                 : LT(c, cublasLtMatrixLayoutSetAttribute, p->y,
                      BS_CUBLASLT_MATRIX_LAYOUT_COLS, &m, sizeof m);
}

/* Whether an algorithm sums over k in one piece. */
static int
one_sum(struct bs_cuda *c, const struct bs_lt_algo *algo, bool *one)
{
    int32_t parts = 1;
    uint32_t scheme = BS_CUBLASLT_REDUCTION_SCHEME_NONE;
    size_t written;
    int r =
        LT(c, cublasLtMatmulAlgoConfigGetAttribute, algo,
           BS_CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &parts, sizeof parts, &written);

    if (r == 0)
        r = LT(c, cublasLtMatmulAlgoConfigGetAttribute, algo,
               BS_CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, &scheme, sizeof scheme,
               &written);
    *one = parts <= 1 && scheme == BS_CUBLASLT_REDUCTION_SCHEME_NONE;
    return r;
}

/* The first proposal that sums in one piece and takes a single row as well. */
static int
choose(struct bs_cuda *c, struct plan *p, const struct bs_lt_result *proposals,
       size_t n)
{
    size_t i;
    int r = set_rows(c, p, 1);

    for (i = 0; r == 0 && i < n && !p->usable; i++) {
        const struct bs_lt_result *of = &proposals[i];
        struct bs_lt_result single = {.state = -1};
        bool one = false;

        if (of->state != 0 || of->workspace > LT_WORKSPACE)
            continue;
        r = one_sum(c, &of->algo, &one);
        if (r < 0 || !one ||
            c->lt->call.cublasLtMatmulAlgoCheck(c->lt->handle, p->desc, p->w,
                                                p->x, p->y, p->y, &of->algo,
                                                &single) != 0 ||
            single.workspace > LT_WORKSPACE)
            continue;
        p->usable = true;
        p->algo = of->algo;
        p->workspace =
            of->workspace > single.workspace ? of->workspace : single.workspace;
    }
    return r;
}

static int
propose(struct bs_cuda *c, struct plan *p)
{
    struct bs_lt_result proposals[PROPOSALS];
    void *preference = NULL;
    int n = 0, status = 0;
    int r = LT(c, cublasLtMatmulPreferenceCreate, &preference);

    if (r == 0)
        r = prefer(c, preference, &p->key);
    if (r == 0)
        status = c->lt->call.cublasLtMatmulAlgoGetHeuristic(
            c->lt->handle, p->desc, p->w, p->x, p->y, p->y, preference,
            PROPOSALS, proposals, &n);
    if (status == BS_CUBLAS_STATUS_NOT_SUPPORTED)
        n = status = 0;
    if (r == 0)
        r = check(c, status, "cublasLtMatmulAlgoGetHeuristic");
    if (r == 0)
        r = choose(c, p, proposals, n > 0 ? (size_t)n : 0);
    if (preference != NULL)
        c->lt->call.cublasLtMatmulPreferenceDestroy(preference);
    return r;
}

/* The plan for a key, made when it is wanted first. */
static int
find_plan(struct bs_cuda *c, const struct key *k, const float *bias,
          struct plan **out)
{
    struct plan *p;
    int r;

    for (p = c->lt->plans; p != NULL; p = p->next)
        if (memcmp(&p->key, k, sizeof *k) == 0) {
            *out = p;
            return 0;
        }
    p = bs_alloc_array(1, sizeof *p);
    if (p == NULL)
        return bs_err_memory(&c->dev.err, "cuBLASLt", sizeof *p);
    p->key = *k;
    r = describe(c, p, bias);
    if (r == 0)
        r = propose(c, p);
    if (r < 0) {
        plan_free(c->lt, p);
        return r;
    }
    p->next = c->lt->plans;
    c->lt->plans = p;
    *out = p;
    return 0;
}

/* ---- multiplication --------------------------------------------------------
 */

/* y = x w^T (+ bias), or y += that. */
static int
multiply(struct bs_cuda *c, struct plan *p, const void *w, const void *x,
         float *y, size_t m, const float *bias, bool add)
{
    const float one = 1, beta = add ? 1 : 0;
    void *workspace = NULL;
    int r = set_rows(c, p, m);

    if (r == 0 && p->key.bias)
        r = LT(c, cublasLtMatmulDescSetAttribute, p->desc,
               BS_CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
    if (r == 0 && p->workspace > 0)
        r = bs_cuda_scratch(c, BS_SCRATCH_WORKSPACE, &workspace, LT_WORKSPACE);
    if (r < 0)
        return r;
    return LT(c, cublasLtMatmul, c->lt->handle, p->desc, &one, w, p->w, x, p->x,
              &beta, y, p->y, y, p->y, &p->algo, workspace,
              workspace != NULL ? LT_WORKSPACE : 0, c->stream);
}

/* A call: what the library does of it, and what is left. */
struct call {
    const struct cuda_weight *w;
    const struct bs_dev_gemm *a;
    struct plan *plan;
    bool bf16;   /* x is to be rounded */
    bool finish; /* the library multiplies, and no more */
    bool apart;  /* and not into y, which is needed */
};

static bool
is_activation(enum bs_epilogue e)
{
    return e != BS_EPI_NONE && e != BS_EPI_RESIDUAL;
}

/* What rows at `p`, `ld` values apart, have in common: 16 bytes, or one value.
 * Of all rows of a matrix the same is said, also where its calls begin at
 * another one. */
static size_t
alignment(const void *p, size_t ld)
{
    size_t apart = ld * sizeof(float);

    return ((uintptr_t)p | apart) % 16 == 0 ? 16 : sizeof(float);
}

static struct key
key_of(const struct call *call)
{
    const struct bs_dev_gemm *a = call->a;
    const struct cuda_weight *w = call->w;
    size_t n = w->head.n, k = w->head.k;
    struct key key = {.n = n, .k = k, .ldw = w->depth, .bf16 = call->bf16};

    /* A single row has no other that it is apart from. */
    key.ldx = a->ldx > k ? a->ldx : k;
    key.ldy = !call->apart && a->ldy > n ? a->ldy : n;
    key.align_x = alignment(a->x, key.ldx);
    key.align_y = alignment(call->apart ? NULL : a->y, key.ldy);
    if (call->bf16) {
        key.k = key.ldx = w->depth;
        key.align_x = 16;
    }
    if (a->bias != NULL && !call->finish)
        key.bias = alignment(a->bias, 0);
    return key;
}

static int
round_rows(struct bs_cuda *c, const struct call *call, const float *x,
           size_t rows, const void **out)
{
    size_t depth = call->w->depth;
    int r;

    r = bs_cuda_scratch(c, BS_SCRATCH_OPERAND, out,
                        rows * depth * sizeof(uint16_t));
    return r < 0 ? r
                 : bs_cuda_round_rows(c, x, call->a->ldx, rows, call->w->head.k,
                                      1, (void *)(uintptr_t)*out, depth);
}

static int
finish_rows(struct bs_cuda *c, const struct call *call, const float *product,
            size_t ld, float *y, size_t rows)
{
    struct bs_finish_args args = {
        .product = product,
        .ld = ld,
        .y = y,
        .ldy = call->a->ldy,
        .n = call->w->head.n,
        .bias = call->a->bias,
        .scale = call->a->scale,
        .epilogue = (int)call->a->epilogue,
    };
    struct bs_grid grid = bs_cuda_each(rows, args.n, &args.row_blocks);

    return BS_LAUNCH(c, gemm_finish, grid, args);
}

static int
run_rows(struct bs_cuda *c, const struct call *call, size_t first, size_t rows)
{
    const struct bs_dev_gemm *a = call->a;
    const float *from = a->x + first * a->ldx;
    const void *x = from;
    float *y = a->y + first * a->ldy, *product = y;
    int r = 0;

    if (call->bf16)
        r = round_rows(c, call, from, rows, &x);
    if (r == 0 && call->apart)
        r = bs_cuda_scratch(c, BS_SCRATCH_PRODUCT, &product,
                            rows * call->w->head.n * sizeof *product);
    if (r == 0)
        r = multiply(c, call->plan, call->w->at.p, x, product, rows, a->bias,
                     a->epilogue == BS_EPI_RESIDUAL && !call->apart);
    if (r < 0 || !call->finish)
        return r;
    return finish_rows(c, call, product, call->plan->key.ldy, y, rows);
}

/* As many rows at once as stay in the cache until the next kernel wants them;
 * all of them where none does. */
static size_t
chunk_of(const struct call *call)
{
    size_t bytes = call->bf16 ? call->w->depth * sizeof(uint16_t) : 0;

    if (call->finish)
        bytes += call->w->head.n * sizeof(float);
    return bytes > 0 ? CHUNK_BYTES / bytes + 1 : call->a->m;
}

int
bs_cuda_lt_gemm(struct bs_cuda *c, const struct bs_dev_gemm *a, bool *done)
{
    const struct cuda_weight *w = (const struct cuda_weight *)a->w;
    struct call call = {
        .w = w,
        .a = a,
        .bf16 = w->type == BS_DTYPE_BF16,
        .apart = a->epilogue == BS_EPI_RESIDUAL && a->scale != NULL,
    };
    size_t first, rows, chunk;
    struct key key;
    int r;

    *done = false;
    call.finish = call.apart || is_activation(a->epilogue);
    if (c->own_kernels || w->own || w->head.k == 0 || w->head.n > INT32_MAX ||
        w->depth > INT32_MAX || a->m > INT32_MAX || a->ldx > INT32_MAX ||
        a->ldy > INT32_MAX)
        return 0;
    r = lt_open(c);
    if (r < 0 || c->lt->handle == NULL)
        return r;
    r = bs_cuda_enter(c);
    key = key_of(&call);
    if (r == 0)
        r = find_plan(c, &key, a->bias, &call.plan);
    if (r < 0 || !call.plan->usable)
        return r;
    *done = true;
    chunk = chunk_of(&call);
    for (first = 0; r == 0 && first < a->m; first += rows) {
        rows = a->m - first < chunk ? a->m - first : chunk;
        r = run_rows(c, &call, first, rows);
    }
    return r;
}
