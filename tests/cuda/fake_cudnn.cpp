/*
 * fake_cudnn.cpp - a libcudnn.so.9 on the fake driver's device: attention by
 * plain loops, in the order of the stream.
 *
 * A descriptor is a bag of attributes.  Setting one looks up what it has to be;
 * finalize wants all of them, and descriptors in it that are finalized.  What
 * is not as the library's header has it ends the program, and so do addresses,
 * ranges, alignments or a workspace that are not as they were said to be, a
 * descriptor that is none, or one that is left behind.
 *
 * Its proposals are those of a library that means no good: an engine whose plan
 * is refused, one whose results vary, then one that wants a workspace of an odd
 * size; only the last mode has that.  Its sums have an order that depends on
 * how many images the graph is for.
 *
 *   FAKE_CUDNN_REFUSE=t     descriptors of type t are not supported
 *   FAKE_CUDNN_VERSION=n    cudnnGetVersion
 *   FAKE_CUDA_FAIL          as in fake_cuda.cpp
 */
#include "kernels/cudnn_graph.h"
#include "tests/cuda/fake_cuda.h"

#include <cmath>
#include <cstring>
#include <map>
#include <vector>

#define DECLARE(result, name, args) extern "C" result name args;
BS_DNN_CALLS(DECLARE)

enum { OK = 0 };

struct dnn_handle {
    void *stream = nullptr;
};

struct dnn_attribute {
    int64_t n;
    std::vector<char> bytes;
};

struct dnn_descriptor {
    int type;
    bool finalized = false;
    std::map<int, dnn_attribute> attributes;
    int engine = -1; /* of an engine's configuration, and an engine */
    dnn_descriptor *graph = nullptr;
};

static fake_set<dnn_handle> &handles =
    *new fake_set<dnn_handle>{"cuDNN handles", {}};
static fake_set<dnn_descriptor> &descriptors =
    *new fake_set<dnn_descriptor>{"cuDNN descriptors", {}};

static std::string
left_behind()
{
    return handles.left() + descriptors.left();
}

[[noreturn]] static void
die(const std::string &what)
{
    fake_die("cuDNN: " + what);
}

#define ENTER() FAKE_ENTER(BS_CUDNN_STATUS_INTERNAL_ERROR)

/* ---- handles ---------------------------------------------------------------
 */

size_t
cudnnGetVersion()
{
    ENTER();
    return injected != OK ? 0 : fake_number("FAKE_CUDNN_VERSION", 91900);
}

const char *
cudnnGetErrorString(int status)
{
    return status == BS_CUDNN_STATUS_INTERNAL_ERROR
               ? "CUDNN_STATUS_INTERNAL_ERROR"
               : "CUDNN_STATUS_OF_THE_FAKE";
}

int
cudnnCreate(void **handle)
{
    ENTER();
    fake_need_context(__func__);
    if (injected == OK) {
        fake_at_release(left_behind);
        *handle = handles.add(new dnn_handle);
    }
    return injected;
}

int
cudnnDestroy(void *handle)
{
    ENTER();
    fake_need_context(__func__);
    handles.end(handle);
    return injected;
}

int
cudnnSetStream(void *handle, void *stream)
{
    ENTER();
    if (injected == OK)
        handles.at(handle)->stream = stream;
    return injected;
}

/* ---- descriptors -----------------------------------------------------------
 */

/* What an attribute has to be. */
struct dnn_rule {
    int descriptor, name, type;
    int64_t n; /* -1: at least one */
};
static const dnn_rule rules[] = {
#define RULE(descriptor, name, type, n)                                \
    {BS_CUDNN_BACKEND_##descriptor##_DESCRIPTOR, BS_CUDNN_ATTR_##name, \
     BS_CUDNN_TYPE_##type, n},
    RULE(TENSOR, TENSOR_DATA_TYPE, DATA_TYPE,
         1) RULE(TENSOR, TENSOR_DIMENSIONS, INT64,
                 4) RULE(TENSOR, TENSOR_STRIDES, INT64,
                         4) RULE(TENSOR, TENSOR_UNIQUE_ID, INT64, 1)
        RULE(TENSOR, TENSOR_BYTE_ALIGNMENT, INT64, 1) RULE(
            OPERATION_SDPA_FWD, OPERATION_SDPA_FWD_QDESC, BACKEND_DESCRIPTOR,
            1) RULE(OPERATION_SDPA_FWD, OPERATION_SDPA_FWD_KDESC,
                    BACKEND_DESCRIPTOR,
                    1) RULE(OPERATION_SDPA_FWD, OPERATION_SDPA_FWD_VDESC,
                            BACKEND_DESCRIPTOR, 1)
            RULE(OPERATION_SDPA_FWD, OPERATION_SDPA_FWD_ODESC,
                 BACKEND_DESCRIPTOR,
                 1) RULE(OPERATIONGRAPH, OPERATIONGRAPH_HANDLE, HANDLE, 1)
                RULE(OPERATIONGRAPH, OPERATIONGRAPH_OPS, BACKEND_DESCRIPTOR,
                     1) RULE(ENGINEHEUR, ENGINEHEUR_OPERATION_GRAPH,
                             BACKEND_DESCRIPTOR,
                             1) RULE(ENGINEHEUR, ENGINEHEUR_MODE, HEUR_MODE, 1)
                    RULE(EXECUTION_PLAN, EXECUTION_PLAN_HANDLE, HANDLE, 1) RULE(
                        EXECUTION_PLAN, EXECUTION_PLAN_ENGINE_CONFIG,
                        BACKEND_DESCRIPTOR, 1)
                        RULE(VARIANT_PACK, VARIANT_PACK_UNIQUE_IDS, INT64, -1)
                            RULE(VARIANT_PACK, VARIANT_PACK_DATA_POINTERS,
                                 VOID_PTR, -1)
                                RULE(VARIANT_PACK, VARIANT_PACK_WORKSPACE,
                                     VOID_PTR, 1)
#undef RULE
};

static size_t
size_of(int type)
{
    switch (type) {
    case BS_CUDNN_TYPE_DATA_TYPE:
    case BS_CUDNN_TYPE_HEUR_MODE:
    case BS_CUDNN_TYPE_NUMERICAL_NOTE:
        return sizeof(int);
    default:
        return 8;
    }
}

int
cudnnBackendCreateDescriptor(int type, void **descriptor)
{
    ENTER();
    if (type != BS_CUDNN_BACKEND_ENGINE_DESCRIPTOR &&
        type != BS_CUDNN_BACKEND_ENGINECFG_DESCRIPTOR) {
        bool known = false;

        for (const dnn_rule &r : rules)
            known |= r.descriptor == type;
        if (!known)
            die("a type of descriptor that is not known");
    }
    if (injected == OK) {
        dnn_descriptor *d = new dnn_descriptor;

        d->type = type;
        *descriptor = descriptors.add(d);
    }
    return injected;
}

int
cudnnBackendDestroyDescriptor(void *descriptor)
{
    ENTER();
    descriptors.end(descriptor);
    return injected;
}

int
cudnnBackendSetAttribute(void *descriptor, int name, int type, int64_t n,
                         const void *values)
{
    ENTER();
    dnn_descriptor *d = descriptors.at(descriptor);

    if (d->finalized)
        die("an attribute of a descriptor that is finalized");
    for (const dnn_rule &r : rules) {
        if (r.descriptor != d->type || r.name != name)
            continue;
        if (r.type != type || (r.n < 0 ? n < 1 : r.n != n))
            die("an attribute of another type, or of more or fewer values");
        if (injected == OK)
            d->attributes[name] = {
                n, std::vector<char>((const char *)values,
                                     (const char *)values +
                                         (size_t)n * size_of(type))};
        return injected;
    }
    die("an attribute that the descriptor does not have");
}

/* A value of a finalized descriptor. */
template <class T>
static T
get(const dnn_descriptor *d, int name, size_t i = 0)
{
    const dnn_attribute &a = d->attributes.at(name);
    T value;

    memcpy(&value, a.bytes.data() + i * sizeof value, sizeof value);
    return value;
}

static dnn_descriptor *
inner(const dnn_descriptor *d, int name, int type)
{
    dnn_descriptor *of = descriptors.at(get<void *>(d, name));

    if (of->type != type || !of->finalized)
        die("a descriptor in another that is of another type, or not "
            "finalized");
    return of;
}

/* ---- attention -------------------------------------------------------------
 */

struct dnn_tensor {
    int64_t id, align, dim[4], stride[4];
};

static dnn_tensor
tensor_of(const dnn_descriptor *operation, int name)
{
    dnn_descriptor *d =
        inner(operation, name, BS_CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    dnn_tensor t;

    t.id = get<int64_t>(d, BS_CUDNN_ATTR_TENSOR_UNIQUE_ID);
    t.align = get<int64_t>(d, BS_CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT);
    for (size_t i = 0; i < 4; i++) {
        t.dim[i] = get<int64_t>(d, BS_CUDNN_ATTR_TENSOR_DIMENSIONS, i);
        t.stride[i] = get<int64_t>(d, BS_CUDNN_ATTR_TENSOR_STRIDES, i);
        if (t.dim[i] < 1 || t.stride[i] < 1)
            die("a tensor without elements, or strides");
    }
    if (get<int>(d, BS_CUDNN_ATTR_TENSOR_DATA_TYPE) != BS_CUDNN_DATA_BFLOAT16)
        die("a tensor that is not bf16");
    return t;
}

struct dnn_attention {
    dnn_tensor q, k, v, o;
};

static dnn_attention
attention_of(const dnn_descriptor *operation)
{
    dnn_attention a = {
        tensor_of(operation, BS_CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC),
        tensor_of(operation, BS_CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC),
        tensor_of(operation, BS_CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC),
        tensor_of(operation, BS_CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC)};

    for (const dnn_tensor *t : {&a.k, &a.v, &a.o})
        if (t->dim[0] != a.q.dim[0] || t->dim[1] != a.q.dim[1] ||
            t->dim[3] != a.q.dim[3])
            die("tensors of attention that do not go together");
    if (a.k.dim[2] != a.v.dim[2] || a.o.dim[2] != a.q.dim[2])
        die("other numbers of queries or keys");
    for (const dnn_tensor *t : {&a.q, &a.k, &a.v, &a.o})
        if (t->dim[3] % 8 != 0 || t->stride[3] != 1 || t->align < 16)
            die("heads that are no whole runs of 8 columns");
    return a;
}

static uint16_t
narrow(float f)
{
    uint32_t u;

    memcpy(&u, &f, sizeof u);
    if (f != f)
        return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* One query: its weights, of which bf16 is multiplied by v; sums in `lanes`
 * parts. */
static void
attend(const dnn_attention &a, const uint16_t *q, const uint16_t *k,
       const uint16_t *v, uint16_t *o, size_t lanes)
{
    size_t dim = (size_t)a.q.dim[3], keys = (size_t)a.k.dim[2];
    std::vector<float> p(keys), sum(lanes), out(lanes * dim);
    float most = -INFINITY, all = 0;

    for (size_t t = 0; t < keys; t++) {
        for (size_t j = 0; j < dim; j++)
            p[t] +=
                fake_wide(q[j]) * fake_wide(k[t * (size_t)a.k.stride[2] + j]);
        most = p[t] > most ? p[t] : most;
    }
    for (size_t t = 0; t < keys; t++) {
        float w = expf(p[t] - most);

        sum[t % lanes] += w;
        for (size_t j = 0; j < dim; j++)
            out[t % lanes * dim + j] +=
                fake_wide(narrow(w)) *
                fake_wide(v[t * (size_t)a.v.stride[2] + j]);
    }
    for (size_t l = 0; l < lanes; l++)
        all += sum[l];
    for (size_t j = 0; j < dim; j++) {
        float total = 0;

        for (size_t l = 0; l < lanes; l++)
            total += out[l * dim + j];
        o[j] = narrow(total / all);
    }
}

static void
run(const dnn_attention &a, const void *const at[4])
{
    size_t lanes = a.q.dim[0] >= 8 ? 4 : a.q.dim[0] >= 2 ? 2 : 1;
    auto part = [&](size_t i, const dnn_tensor &t, int64_t image, int64_t head,
                    int64_t row) {
        return (uint16_t *)(uintptr_t)at[i] + image * t.stride[0] +
               head * t.stride[1] + row * t.stride[2];
    };

    for (int64_t image = 0; image < a.q.dim[0]; image++)
        for (int64_t head = 0; head < a.q.dim[1]; head++)
            for (int64_t row = 0; row < a.q.dim[2]; row++)
                attend(a, part(0, a.q, image, head, row),
                       part(1, a.k, image, head, 0),
                       part(2, a.v, image, head, 0),
                       part(3, a.o, image, head, row), lanes);
}

/* ---- graphs, engines, plans ------------------------------------------------
 */

#define WORKSPACE 12345

enum { REFUSED, VARIES, GOOD };

static dnn_descriptor *
operation_of(const dnn_descriptor *graph)
{
    return inner(graph, BS_CUDNN_ATTR_OPERATIONGRAPH_OPS,
                 BS_CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR);
}

int
cudnnBackendFinalize(void *descriptor)
{
    ENTER();
    dnn_descriptor *d = descriptors.at(descriptor);

    if (d->finalized)
        die("a descriptor that is finalized twice");
    for (const dnn_rule &r : rules)
        if (r.descriptor == d->type && d->attributes.count(r.name) == 0)
            die("an attribute that is missing: " + std::to_string(r.name));
    if (injected != OK)
        return injected;
    if (fake_number("FAKE_CUDNN_REFUSE", 0) == (size_t)d->type)
        return BS_CUDNN_STATUS_NOT_SUPPORTED + 2;
    switch (d->type) {
    case BS_CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR:
        attention_of(d);
        break;
    case BS_CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
        handles.at(get<void *>(d, BS_CUDNN_ATTR_OPERATIONGRAPH_HANDLE));
        operation_of(d);
        break;
    case BS_CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR:
        d->graph = inner(d, BS_CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH,
                         BS_CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
        break;
    case BS_CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR: {
        dnn_descriptor *config =
            inner(d, BS_CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
                  BS_CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);

        handles.at(get<void *>(d, BS_CUDNN_ATTR_EXECUTION_PLAN_HANDLE));
        if (config->engine == REFUSED)
            return BS_CUDNN_STATUS_NOT_SUPPORTED;
        d->graph = config->graph;
        d->engine = config->engine;
        break;
    }
    case BS_CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
        if (d->attributes[BS_CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS].n !=
            d->attributes[BS_CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS].n)
            die("other numbers of tensors and addresses");
        break;
    default:
        break;
    }
    d->finalized = true;
    return OK;
}

/* The proposals: descriptors that the caller made become configurations. */
static int64_t
propose(const dnn_descriptor *heuristic, void **out, int64_t room)
{
    int mode = get<int>(heuristic, BS_CUDNN_ATTR_ENGINEHEUR_MODE);
    int last = mode == BS_CUDNN_HEUR_MODE_FALLBACK ? GOOD : VARIES;
    int64_t n = 0;

    if (mode != BS_CUDNN_HEUR_MODE_FALLBACK && mode != BS_CUDNN_HEUR_MODE_A)
        die("a mode that is not known");
    for (int engine = REFUSED; engine <= last && n < room; engine++, n++) {
        dnn_descriptor *config = descriptors.at(out[n]);

        if (config->type != BS_CUDNN_BACKEND_ENGINECFG_DESCRIPTOR ||
            config->finalized)
            die("proposals into something else");
        config->engine = engine;
        config->graph = heuristic->graph;
        config->finalized = true;
    }
    return n;
}

int
cudnnBackendGetAttribute(void *descriptor, int name, int type, int64_t room,
                         int64_t *n, void *values)
{
    ENTER();
    dnn_descriptor *d = descriptors.at(descriptor);
    const int64_t workspace = WORKSPACE;
    const int varies = BS_CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;

    if (injected != OK)
        return injected;
    if (!d->finalized || room < 1)
        die("a descriptor that is asked before it is finalized");
    if (d->type == BS_CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR &&
        name == BS_CUDNN_ATTR_ENGINEHEUR_RESULTS &&
        type == BS_CUDNN_TYPE_BACKEND_DESCRIPTOR) {
        *n = propose(d, (void **)values, room);
    } else if (d->type == BS_CUDNN_BACKEND_ENGINECFG_DESCRIPTOR &&
               name == BS_CUDNN_ATTR_ENGINECFG_ENGINE &&
               type == BS_CUDNN_TYPE_BACKEND_DESCRIPTOR) {
        dnn_descriptor *engine = descriptors.at(*(void **)values);

        if (engine->type != BS_CUDNN_BACKEND_ENGINE_DESCRIPTOR)
            die("an engine into something else");
        engine->engine = d->engine;
        engine->finalized = true;
        *n = 1;
    } else if (d->type == BS_CUDNN_BACKEND_ENGINE_DESCRIPTOR &&
               name == BS_CUDNN_ATTR_ENGINE_NUMERICAL_NOTE &&
               type == BS_CUDNN_TYPE_NUMERICAL_NOTE) {
        *n = d->engine == VARIES;
        if (*n > 0)
            memcpy(values, &varies, sizeof varies);
    } else if (d->type == BS_CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR &&
               name == BS_CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE &&
               type == BS_CUDNN_TYPE_INT64) {
        memcpy(values, &workspace, sizeof workspace);
        *n = 1;
    } else {
        die("an attribute that nobody may ask for");
    }
    return OK;
}

/* The address of a tensor: aligned, and within one block to its last element.
 */
static void *
address_of(const dnn_descriptor *pack, const dnn_tensor &t)
{
    int64_t n = pack->attributes.at(BS_CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS).n;
    int64_t last = 0;

    for (size_t i = 0; i < 4; i++)
        last += (t.dim[i] - 1) * t.stride[i];
    for (size_t i = 0; i < (size_t)n; i++) {
        if (get<int64_t>(pack, BS_CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, i) !=
            t.id)
            continue;
        void *p =
            get<void *>(pack, BS_CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, i);

        if ((uintptr_t)p % (uintptr_t)t.align != 0)
            die("a tensor that is not aligned as it was said to be");
        if (!fake_on_device(p, (size_t)(last + 1) * 2))
            die("a tensor that does not lie within one block");
        return p;
    }
    die("a tensor without an address");
}

int
cudnnBackendExecute(void *handle, void *plan, void *pack_of)
{
    ENTER();
    dnn_descriptor *p = descriptors.at(plan), *pack = descriptors.at(pack_of);

    fake_need_context(__func__);
    if (!p->finalized || !pack->finalized ||
        p->type != BS_CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR ||
        pack->type != BS_CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR)
        die("a plan or a pack that is none, or not finalized");
    if (p->engine != GOOD)
        die("an engine whose results vary");
    if (injected != OK)
        return injected;
    dnn_attention a = attention_of(operation_of(p->graph));
    void *workspace = get<void *>(pack, BS_CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
    std::vector<void *> at = {address_of(pack, a.q), address_of(pack, a.k),
                              address_of(pack, a.v), address_of(pack, a.o)};

    if (!fake_on_device(workspace, WORKSPACE))
        die("less workspace than the plan needs");
    fake_push(handles.at(handle)->stream, [=] {
        memset(workspace, 0xff, WORKSPACE);
        run(a, at.data());
    });
    return OK;
}
