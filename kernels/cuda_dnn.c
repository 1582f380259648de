/*
 * cuda_dnn.c - see cuda_dnn.h.
 */
#include "kernels/cuda_dnn.h"

#include "common/mem.h"
#include "kernels/cuda_library.h"

/* One operation for attention is there since 9.13. */
#define OLDEST 91300
#define NEWEST 99999
#define WORKSPACE_MAX ((int64_t)1 << 30)

struct bs_cuda_dnn {
    struct bs_dnn_calls call;
    void *handle; /* NULL: it cannot be used, `about` says why */
    struct bs_dnn_plan *plans;
    char about[200];
};

/* ---- the library -----------------------------------------------------------
 */

static bool
no_memory(int status)
{
    return status == BS_CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED ||
           status == BS_CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED;
}

static int
check(struct bs_cuda *c, int status, const char *call)
{
    if (status == 0)
        return 0;
    return bs_err_set(&c->dev.err,
                      no_memory(status) ? BS_EX_OSERR : BS_EX_UNAVAIL,
                      "device 'cuda:%d': %s: %s (%d)", c->device, call,
                      c->dnn->call.cudnnGetErrorString(status), status);
}

#define DNN(c, name, ...) check(c, (c)->dnn->call.name(__VA_ARGS__), #name)

/* Fill `dnn`, but for the handle; whether it may be made. */
static bool
load(struct bs_cuda_dnn *dnn)
{
    static const char *const files[] = {"libcudnn.so.9", NULL};
    static const char *const names[] = {
#define NAME(result, name, args) #name,
        BS_DNN_CALLS(NAME)
#undef NAME
    };
    const char *lacks = NULL;
    char why[sizeof dnn->about - 20] = "";
    void *library = bs_library_open(files, why, sizeof why);
    size_t version = 0;

    _Static_assert(sizeof dnn->call == sizeof names, "nothing but pointers");
    if (library != NULL)
        lacks = bs_library_find(library, names, BS_LEN(names), &dnn->call);
    if (lacks != NULL)
        snprintf(why, sizeof why, "it lacks %s", lacks);
    if (library != NULL && lacks == NULL) {
        version = dnn->call.cudnnGetVersion();
        snprintf(why, sizeof why, "version %zu is %s", version,
                 version < OLDEST ? "too old" : "not known");
    }
    if (version < OLDEST || version > NEWEST) {
        snprintf(dnn->about, sizeof dnn->about, "no cuDNN: %s", why);
        return false;
    }
    snprintf(dnn->about, sizeof dnn->about, "cuDNN %zu.%zu.%zu",
             version / 10000, version / 100 % 100, version % 100);
    return true;
}

/* A driver too old for the library, or a device: it is not used.  No memory is
 * an error. */
static int
dnn_start(struct bs_cuda *c)
{
    struct bs_cuda_dnn *dnn = c->dnn;
    int status = dnn->call.cudnnCreate(&dnn->handle), r;

    if (no_memory(status))
        return check(c, status, "cudnnCreate");
    if (status != 0) {
        dnn->handle = NULL;
        snprintf(dnn->about, sizeof dnn->about, "no cuDNN: %s",
                 dnn->call.cudnnGetErrorString(status));
        return 0;
    }
    r = DNN(c, cudnnSetStream, dnn->handle, c->stream);
    if (r < 0)
        dnn->call.cudnnDestroy(dnn->handle);
    return r;
}

static int
dnn_open(struct bs_cuda *c)
{
    int r = 0;

    if (c->dnn != NULL)
        return 0;
    c->dnn = bs_alloc_array(1, sizeof *c->dnn);
    if (c->dnn == NULL)
        return bs_err_memory(&c->dev.err, "cuDNN", sizeof *c->dnn);
    r = bs_cuda_enter(c);
    if (r == 0 && load(c->dnn))
        r = dnn_start(c);
    if (r < 0) {
        bs_free(c->dnn);
        c->dnn = NULL;
    }
    return r;
}

const char *
bs_cuda_dnn_about(struct bs_cuda *c)
{
    return dnn_open(c) == 0 ? c->dnn->about : c->dev.err.text;
}

int
bs_dnn_ready(struct bs_cuda *c, bool *ready)
{
    int r = c->own_kernels ? 0 : dnn_open(c);

    *ready = r == 0 && !c->own_kernels && c->dnn->handle != NULL;
    return r < 0 || !*ready ? r : bs_cuda_enter(c);
}

static void
destroy(struct bs_cuda_dnn *dnn, void *descriptor)
{
    if (descriptor != NULL)
        dnn->call.cudnnBackendDestroyDescriptor(descriptor);
}

/* What a plan is made of goes after it. */
static void
plan_free(struct bs_cuda_dnn *dnn, struct bs_dnn_plan *p)
{
    size_t i;

    destroy(dnn, p->plan);
    destroy(dnn, p->config);
    destroy(dnn, p->graph);
    destroy(dnn, p->operation);
    for (i = 0; i < p->tensors; i++)
        destroy(dnn, p->tensor[i]);
    bs_free(p);
}

void
bs_cuda_dnn_close(struct bs_cuda *c)
{
    struct bs_cuda_dnn *dnn = c->dnn;

    if (dnn == NULL)
        return;
    while (dnn->plans != NULL) {
        struct bs_dnn_plan *p = dnn->plans;

        dnn->plans = p->next;
        plan_free(dnn, p);
    }
    if (dnn->handle != NULL)
        dnn->call.cudnnDestroy(dnn->handle);
    bs_free(dnn);
    c->dnn = NULL;
}

/* ---- descriptors -----------------------------------------------------------
 */

static int
create(struct bs_cuda *c, int type, void **out)
{
    return DNN(c, cudnnBackendCreateDescriptor, type, out);
}

static int
set(struct bs_cuda *c, void *descriptor, int name, int type, size_t n,
    const void *values)
{
    return DNN(c, cudnnBackendSetAttribute, descriptor, name, type, (int64_t)n,
               values);
}

static int
set_descriptor(struct bs_cuda *c, void *descriptor, int name, void *value)
{
    return set(c, descriptor, name, BS_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
               &value);
}

/* 0 and *good, where the library takes it; 0 where it says that it does not: it
 * may not know an attribute, or not support what was described. */
static int
finalize(struct bs_cuda *c, void *descriptor, bool *good)
{
    int status = c->dnn->call.cudnnBackendFinalize(descriptor);

    *good = status == 0;
    if (status >= BS_CUDNN_STATUS_BAD_PARAM &&
        status < BS_CUDNN_STATUS_INTERNAL_ERROR)
        return 0;
    return check(c, status, "cudnnBackendFinalize");
}

/* ---- plans -----------------------------------------------------------------
 */

static int
make_tensor(struct bs_cuda *c, struct bs_dnn_plan *p,
            const struct bs_dnn_tensor *t, bool *good)
{
    void **at = &p->tensor[p->tensors];
    const int64_t id = (int64_t)p->tensors + 1, align = 16;
    int r = create(c, BS_CUDNN_BACKEND_TENSOR_DESCRIPTOR, at);

    if (r < 0)
        return r;
    p->tensors++;
    r = set(c, *at, BS_CUDNN_ATTR_TENSOR_DATA_TYPE, BS_CUDNN_TYPE_DATA_TYPE, 1,
            &t->type);
    if (r == 0)
        r = set(c, *at, BS_CUDNN_ATTR_TENSOR_DIMENSIONS, BS_CUDNN_TYPE_INT64, 4,
                t->dim);
    if (r == 0)
        r = set(c, *at, BS_CUDNN_ATTR_TENSOR_STRIDES, BS_CUDNN_TYPE_INT64, 4,
                t->stride);
    if (r == 0)
        r = set(c, *at, BS_CUDNN_ATTR_TENSOR_UNIQUE_ID, BS_CUDNN_TYPE_INT64, 1,
                &id);
    if (r == 0)
        r = set(c, *at, BS_CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT,
                BS_CUDNN_TYPE_INT64, 1, &align);
    return r < 0 ? r : finalize(c, *at, good);
}

static int
make_graph(struct bs_cuda *c, struct bs_dnn_plan *p, bool *good)
{
    int r = create(c, BS_CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, &p->graph);

    if (r == 0)
        r = set(c, p->graph, BS_CUDNN_ATTR_OPERATIONGRAPH_HANDLE,
                BS_CUDNN_TYPE_HANDLE, 1, &c->dnn->handle);
    if (r == 0)
        r = set_descriptor(c, p->graph, BS_CUDNN_ATTR_OPERATIONGRAPH_OPS,
                           p->operation);
    return r < 0 ? r : finalize(c, p->graph, good);
}

/* Whether an engine gives the same bits in every run. */
static int
same_bits(struct bs_cuda *c, void *config, bool *same)
{
    int notes[64];
    int64_t n = 0, i;
    void *engine = NULL;
    int r = create(c, BS_CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine);

    if (r == 0)
        r = DNN(c, cudnnBackendGetAttribute, config,
                BS_CUDNN_ATTR_ENGINECFG_ENGINE,
                BS_CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &n, &engine);
    if (r == 0)
        r = DNN(c, cudnnBackendGetAttribute, engine,
                BS_CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                BS_CUDNN_TYPE_NUMERICAL_NOTE, BS_LEN(notes), &n, notes);
    *same = true;
    for (i = 0; r == 0 && i < n && i < (int64_t)BS_LEN(notes); i++)
        *same &= notes[i] != BS_CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
    destroy(c->dnn, engine);
    return r;
}

/* Make a plan of an engine; p->usable if it can be run. */
static int
try_engine(struct bs_cuda *c, struct bs_dnn_plan *p, void *config)
{
    int64_t workspace = 0, n = 0;
    bool good = false;
    int r = same_bits(c, config, &good);

    if (r < 0 || !good)
        return r;
    r = create(c, BS_CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &p->plan);
    if (r == 0)
        r = set(c, p->plan, BS_CUDNN_ATTR_EXECUTION_PLAN_HANDLE,
                BS_CUDNN_TYPE_HANDLE, 1, &c->dnn->handle);
    if (r == 0)
        r = set_descriptor(c, p->plan,
                           BS_CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
    if (r == 0)
        r = finalize(c, p->plan, &good);
    if (r == 0 && good)
        r = DNN(c, cudnnBackendGetAttribute, p->plan,
                BS_CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                BS_CUDNN_TYPE_INT64, 1, &n, &workspace);
    p->usable = r == 0 && good && workspace >= 0 && workspace <= WORKSPACE_MAX;
    p->workspace = p->usable ? (size_t)workspace : 0;
    if (!p->usable) {
        destroy(c->dnn, p->plan);
        p->plan = NULL;
    }
    return r;
}

/* The library's proposals, best first; the first that can be used stays. */
static int
choose(struct bs_cuda *c, struct bs_dnn_plan *p, void *heuristic)
{
    void *config[BS_DNN_ENGINES] = {NULL};
    int64_t n = 0, i;
    int r = 0;

    for (i = 0; r == 0 && i < BS_DNN_ENGINES; i++)
        r = create(c, BS_CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &config[i]);
    if (r == 0)
        r = DNN(c, cudnnBackendGetAttribute, heuristic,
                BS_CUDNN_ATTR_ENGINEHEUR_RESULTS,
                BS_CUDNN_TYPE_BACKEND_DESCRIPTOR, BS_DNN_ENGINES, &n, config);
    for (i = 0; r == 0 && i < n && i < BS_DNN_ENGINES && !p->usable; i++) {
        r = try_engine(c, p, config[i]);
        if (p->usable) {
            p->config = config[i];
            config[i] = NULL;
        }
    }
    for (i = 0; i < BS_DNN_ENGINES; i++)
        destroy(c->dnn, config[i]);
    return r;
}

static int
propose(struct bs_cuda *c, struct bs_dnn_plan *p, int mode)
{
    void *heuristic = NULL;
    bool good = false;
    int r = create(c, BS_CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &heuristic);

    if (r == 0)
        r = set_descriptor(c, heuristic,
                           BS_CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, p->graph);
    if (r == 0)
        r = set(c, heuristic, BS_CUDNN_ATTR_ENGINEHEUR_MODE,
                BS_CUDNN_TYPE_HEUR_MODE, 1, &mode);
    if (r == 0)
        r = finalize(c, heuristic, &good);
    if (r == 0 && good)
        r = choose(c, p, heuristic);
    destroy(c->dnn, heuristic);
    return r;
}

static int
fill_plan(struct bs_cuda *c, struct bs_dnn_plan *p, int operation,
          const struct bs_dnn_tensor *tensors, const int *attribute, size_t n)
{
    bool good = true;
    size_t i;
    int r = 0;

    for (i = 0; r == 0 && good && i < n; i++)
        r = make_tensor(c, p, &tensors[i], &good);
    if (r == 0 && good)
        r = create(c, operation, &p->operation);
    for (i = 0; r == 0 && good && i < n; i++)
        r = set_descriptor(c, p->operation, attribute[i], p->tensor[i]);
    if (r == 0 && good)
        r = finalize(c, p->operation, &good);
    if (r == 0 && good)
        r = make_graph(c, p, &good);
    if (r == 0 && good)
        r = propose(c, p, BS_CUDNN_HEUR_MODE_A);
    if (r == 0 && good && !p->usable)
        r = propose(c, p, BS_CUDNN_HEUR_MODE_FALLBACK);
    return r;
}

struct bs_dnn_plan *
bs_dnn_find(struct bs_cuda *c, const size_t key[BS_DNN_KEY])
{
    struct bs_dnn_plan *p = c->dnn->plans;

    while (p != NULL && memcmp(p->key, key, sizeof p->key) != 0)
        p = p->next;
    return p;
}

int
bs_dnn_make(struct bs_cuda *c, const size_t key[BS_DNN_KEY], int operation,
            const struct bs_dnn_tensor *tensors, const int *attribute, size_t n,
            struct bs_dnn_plan **out)
{
    struct bs_dnn_plan *p = bs_alloc_array(1, sizeof *p);
    int r;

    *out = NULL;
    if (p == NULL)
        return bs_err_memory(&c->dev.err, "cuDNN", sizeof *p);
    memcpy(p->key, key, sizeof p->key);
    r = fill_plan(c, p, operation, tensors, attribute, n);
    if (r < 0) {
        plan_free(c->dnn, p);
        return r;
    }
    p->next = c->dnn->plans;
    c->dnn->plans = p;
    *out = p;
    return 0;
}

int
bs_dnn_run(struct bs_cuda *c, const struct bs_dnn_plan *p, void *const *at)
{
    static const int64_t ids[BS_DNN_TENSORS] = {1, 2, 3, 4};
    void *pack = NULL, *workspace = NULL;
    int r = 0;

    if (p->workspace > 0)
        r = bs_cuda_scratch(c, BS_SCRATCH_WORKSPACE, &workspace, p->workspace);
    if (r == 0)
        r = create(c, BS_CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack);
    if (r == 0)
        r = set(c, pack, BS_CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS,
                BS_CUDNN_TYPE_INT64, p->tensors, ids);
    if (r == 0)
        r = set(c, pack, BS_CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS,
                BS_CUDNN_TYPE_VOID_PTR, p->tensors, at);
    if (r == 0)
        r = set(c, pack, BS_CUDNN_ATTR_VARIANT_PACK_WORKSPACE,
                BS_CUDNN_TYPE_VOID_PTR, 1, &workspace);
    if (r == 0)
        r = DNN(c, cudnnBackendFinalize, pack);
    if (r == 0)
        r = DNN(c, cudnnBackendExecute, c->dnn->handle, p->plan, pack);
    destroy(c->dnn, pack);
    return r;
}
