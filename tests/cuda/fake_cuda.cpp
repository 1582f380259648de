/*
 * fake_cuda.cpp - a libcuda.so.1 whose one device is the emulation.
 *
 * It is strict where a driver is lenient, or where a mistake only sometimes
 * shows: device memory is out of the host's reach but while a queue runs, lies
 * before a page that nobody may touch, and must be given back before the
 * context is released; copies must lie within one block and, on the host, in
 * page-locked memory; launches must have the size of arguments that the kernel
 * takes.  What it finds it says on stderr, and ends the program.
 *
 * Environment:
 *   FAKE_CUDA_FAIL=name:n     the n-th call of an entry point and all after it
 *                             fail; what takes down does so all the same
 *   FAKE_CUDA_FAIL=name:n:e   with error e
 *   FAKE_CUDA_LAZY=1          work waits for a call that waits for it
 *   FAKE_CUDA_DEVICES=n       how many devices there are (1)
 *   FAKE_CUDA_MEMORY=bytes    of the device (4 GiB)
 *   FAKE_CUDA_LOG=file        a line for every entry point that was called, and
 *                             how often, and for every kernel that ran
 */
#include "tests/cuda/fake_cuda.h"
#include "kernels/cuda_driver.h"
#include "tests/cuda/emu.h"

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <sys/mman.h>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, bytes) ((void)0)
#define ASAN_UNPOISON_MEMORY_REGION(p, bytes) ((void)0)
#endif

#define DECLARE(name, args) extern "C" int name args;
BS_CU_CALLS(DECLARE)

#define PAGE ((size_t)4096)

enum {
    OK = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = BS_CU_OUT_OF_MEMORY,
    NOT_INITIALIZED = 3,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    UNKNOWN = 999
};

/* ---- what there is ---------------------------------------------------------
 */

struct block {
    size_t bytes; /* asked for */
    char *base;   /* of its pages; the last one stays out of reach */
    size_t room;
};

struct stream {
    std::deque<std::function<void()>> queue;
    size_t done = 0; /* so many of all that were queued */
};

struct event {
    stream *s = nullptr;
    size_t after = 0; /* it has passed when so many are done */
};

struct function {
    const emu_kernel *kernel;
    size_t shared = BS_CU_SHARED_DEFAULT;
};

struct module {
    std::vector<function *> functions;
};

struct state {
    std::recursive_mutex lock;
    bool ready;
    int contexts;
    std::map<uint64_t, block> blocks;
    std::map<char *, size_t> pinned;
    std::map<stream *, int> streams;
    std::map<event *, int> events;
    std::map<module *, int> modules;
    size_t used;
    std::map<std::string, unsigned> calls;
    std::map<std::string, unsigned> kernels;
    std::set<std::string (*)()> left; /* of libraries: what they leave behind */
};
static state &fake = *new state(); /* there until the very end, for the log */

static __thread bool current; /* the context is this thread's */

static size_t
number_of(const char *variable, size_t otherwise)
{
    const char *s = getenv(variable);

    return s != nullptr ? strtoull(s, nullptr, 0) : otherwise;
}

[[noreturn]] static void
die(const char *what)
{
    fprintf(stderr, "fake libcuda: %s\n", what);
    abort();
}

/* Count a call; the error to inject, or 0. */
static int
enter(const char *name, int otherwise)
{
    const char *fail = getenv("FAKE_CUDA_FAIL");
    size_t n = strlen(name);
    unsigned calls = ++fake.calls[name];
    char *end;

    if (fail == nullptr || strncmp(fail, name, n) != 0 || fail[n] != ':' ||
        calls < strtoul(fail + n + 1, &end, 10))
        return OK;
    if (*end == ':')
        return (int)strtol(end + 1, nullptr, 10);
    return otherwise;
}

#define ENTER()                                             \
    std::lock_guard<std::recursive_mutex> guard(fake.lock); \
    int injected =                                          \
        enter(__func__,                                     \
              strstr(__func__, "Alloc") != nullptr ? OUT_OF_MEMORY : UNKNOWN)
/* What cannot go on without. */
#define ENTER_CONTEXT()                                                    \
    ENTER();                                                               \
    if (!fake.ready)                                                       \
        return NOT_INITIALIZED;                                            \
    if (!current)                                                          \
    die((std::string(__func__) + ": no context is current on this thread") \
            .c_str())

__attribute__((destructor)) static void
write_log()
{
    const char *path = getenv("FAKE_CUDA_LOG");
    FILE *f = path != nullptr ? fopen(path, "a") : nullptr;

    if (f == nullptr)
        return;
    for (auto &c : fake.calls)
        fprintf(f, "call %s %u\n", c.first.c_str(), c.second);
    for (auto &k : fake.kernels)
        fprintf(f, "kernel %s %u\n", k.first.c_str(), k.second);
    fclose(f);
}

/* ---- device, context -------------------------------------------------------
 */

int
cuInit(unsigned flags)
{
    ENTER();
    if (injected != OK)
        return injected;
    fake.ready = true;
    return flags == 0 ? OK : INVALID_VALUE;
}

int
cuDriverGetVersion(int *version)
{
    ENTER();
    *version = 13000;
    return injected;
}

int
cuGetErrorName(int error, const char **name)
{
    ENTER();
    *name = error == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY"
            : error == UNKNOWN     ? "CUDA_ERROR_UNKNOWN"
                                   : "CUDA_ERROR_OF_THE_FAKE";
    return injected;
}

int
cuGetErrorString(int error, const char **text)
{
    ENTER();
    *text = error == OUT_OF_MEMORY ? "out of memory"
            : error == UNKNOWN     ? "unknown error"
                                   : "an error of the fake";
    return injected;
}

int
cuDeviceGetCount(int *count)
{
    ENTER();
    if (!fake.ready)
        return NOT_INITIALIZED;
    *count = (int)number_of("FAKE_CUDA_DEVICES", 1);
    return injected;
}

int
cuDeviceGet(int *device, int ordinal)
{
    ENTER();
    if (ordinal < 0 || ordinal >= (int)number_of("FAKE_CUDA_DEVICES", 1))
        return INVALID_DEVICE;
    *device = ordinal;
    return injected;
}

int
cuDeviceGetName(char *name, int room, int device)
{
    ENTER();
    (void)device;
    snprintf(name, (size_t)room, "emulated");
    return injected;
}

int
cuDeviceGetUuid_v2(unsigned char *uuid, int device)
{
    ENTER();
    memset(uuid, 0xfa, 15);
    uuid[15] = (unsigned char)device;
    return injected;
}

int
cuDeviceGetAttribute(int *value, int attribute, int device)
{
    ENTER();
    (void)device;
    *value = attribute == BS_CU_DEVICE_SHARED_OPTIN ? 99 << 10 : 0;
    return injected;
}

int
cuDevicePrimaryCtxRetain(void **context, int device)
{
    ENTER();
    if (!fake.ready)
        return NOT_INITIALIZED;
    if (injected != OK)
        return injected;
    (void)device;
    fake.contexts++;
    *context = &fake;
    return OK;
}

int
cuDevicePrimaryCtxRelease_v2(int device)
{
    ENTER();
    (void)device;
    if (fake.contexts-- <= 0)
        die("a context is released that nobody has");
    if (fake.contexts > 0)
        return injected;
    std::string left;

    for (auto &of : fake.left)
        left += of();
    if (!fake.blocks.empty() || !fake.pinned.empty() || !fake.streams.empty() ||
        !fake.events.empty() || !fake.modules.empty() || !left.empty()) {
        fprintf(stderr,
                "fake libcuda: left behind: %zu blocks of memory, %zu of "
                "page-locked, %zu streams, %zu events, %zu modules%s\n",
                fake.blocks.size(), fake.pinned.size(), fake.streams.size(),
                fake.events.size(), fake.modules.size(), left.c_str());
        _Exit(99);
    }
    return injected;
}

int
cuCtxSetCurrent(void *context)
{
    ENTER();
    if (context != nullptr && (context != &fake || fake.contexts <= 0))
        return INVALID_CONTEXT;
    current = context != nullptr;
    return injected;
}

/* ---- memory ----------------------------------------------------------------
 */

/* Device memory comes into reach while a queue runs. */
static void
reach(int protection)
{
    for (auto &b : fake.blocks)
        mprotect(b.second.base, b.second.room - PAGE, protection);
}

static size_t
memory_size()
{
    return number_of("FAKE_CUDA_MEMORY", (size_t)4 << 30);
}

/* Addresses are multiples of 256; the rest up to the page out of reach holds a
 * pattern. */
static size_t
rest_of(size_t bytes)
{
    return (256 - bytes % 256) % 256;
}

int
cuMemGetInfo_v2(size_t *free, size_t *total)
{
    ENTER_CONTEXT();
    *total = memory_size();
    *free = *total - fake.used;
    return injected;
}

int
cuMemAlloc_v2(uint64_t *p, size_t bytes)
{
    ENTER_CONTEXT();
    size_t rest = rest_of(bytes), poison = bytes < 1 << 20 ? bytes : 1 << 20;
    block b = {bytes, nullptr, 0};
    char *at;

    if (injected != OK)
        return injected;
    if (bytes == 0)
        return INVALID_VALUE;
    if (bytes > memory_size() - fake.used)
        return OUT_OF_MEMORY;
    b.room = (bytes + rest + PAGE - 1) / PAGE * PAGE + PAGE;
    b.base = (char *)mmap(nullptr, b.room, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (b.base == MAP_FAILED)
        return OUT_OF_MEMORY;
    at = b.base + b.room - PAGE - rest - bytes;
    memset(at, 0xff, poison); /* not cleared: NaN, and no index */
    memset(at + bytes, 0xa5, rest);
    ASAN_POISON_MEMORY_REGION(at + bytes, rest);
    mprotect(b.base, b.room, PROT_NONE);
    *p = (uint64_t)at;
    fake.blocks[*p] = b;
    fake.used += bytes;
    return OK;
}

static void drain_all();

int
cuMemFree_v2(uint64_t p)
{
    ENTER_CONTEXT();
    auto found = fake.blocks.find(p);

    if (found == fake.blocks.end())
        die("memory is freed that was not allocated, or twice");
    drain_all();
    block b = found->second;
    char *end = (char *)p + b.bytes;

    mprotect(b.base, b.room - PAGE, PROT_READ | PROT_WRITE);
    ASAN_UNPOISON_MEMORY_REGION(end, rest_of(b.bytes));
    for (size_t i = 0; i < rest_of(b.bytes); i++)
        if (end[i] != (char)0xa5)
            die("a kernel wrote behind a block of memory");
    munmap(b.base, b.room);
    fake.used -= b.bytes;
    fake.blocks.erase(found);
    return injected;
}

int
cuMemHostAlloc(void **p, size_t bytes, unsigned flags)
{
    ENTER_CONTEXT();
    if (injected != OK)
        return injected;
    (void)flags;
    *p = malloc(bytes);
    fake.pinned[(char *)*p] = bytes;
    return OK;
}

int
cuMemFreeHost(void *p)
{
    ENTER_CONTEXT();
    if (fake.pinned.erase((char *)p) == 0)
        die("page-locked memory is freed that is none");
    drain_all();
    free(p);
    return injected;
}

/* Whether a range lies within one block. */
static bool
on_device(uint64_t p, size_t bytes)
{
    auto next = fake.blocks.upper_bound(p);

    if (next == fake.blocks.begin())
        return false;
    --next;
    return bytes <= next->second.bytes &&
           p - next->first <= next->second.bytes - bytes;
}

static bool
is_pinned(const void *p, size_t bytes)
{
    auto next = fake.pinned.upper_bound((char *)p);

    if (next == fake.pinned.begin())
        return false;
    --next;
    return bytes <= next->second &&
           (size_t)((char *)p - next->first) <= next->second - bytes;
}

/* ---- streams, events -------------------------------------------------------
 */

static void
drain(stream *s, size_t until)
{
    if (s->done >= until)
        return;
    reach(PROT_READ | PROT_WRITE);
    for (; s->done < until; s->done++) {
        s->queue.front()();
        s->queue.pop_front();
    }
    reach(PROT_NONE);
}

static void
drain(stream *s)
{
    drain(s, s->done + s->queue.size());
}

static void
drain_all()
{
    for (auto &s : fake.streams)
        drain(s.first);
}

static stream *
stream_of(void *handle)
{
    if (fake.streams.count((stream *)handle) == 0)
        die("a stream is used that is none");
    return (stream *)handle;
}

static void
push(void *handle, std::function<void()> work)
{
    stream *s = stream_of(handle);

    s->queue.push_back(std::move(work));
    if (number_of("FAKE_CUDA_LAZY", 0) == 0)
        drain(s);
}

int
cuStreamCreate(void **handle, unsigned flags)
{
    ENTER_CONTEXT();
    if (injected != OK)
        return injected;
    if (flags > BS_CU_STREAM_NON_BLOCKING)
        return INVALID_VALUE;
    stream *s = new stream;

    fake.streams[s] = 1;
    *handle = s;
    return OK;
}

int
cuStreamDestroy_v2(void *handle)
{
    ENTER_CONTEXT();
    stream *s = stream_of(handle);

    drain(s);
    fake.streams.erase(s);
    delete s;
    return injected;
}

int
cuStreamSynchronize(void *handle)
{
    ENTER_CONTEXT();
    if (injected == OK)
        drain(stream_of(handle));
    return injected;
}

static event *
event_of(void *handle)
{
    if (fake.events.count((event *)handle) == 0)
        die("an event is used that is none");
    return (event *)handle;
}

int
cuEventCreate(void **handle, unsigned flags)
{
    ENTER_CONTEXT();
    if (injected != OK)
        return injected;
    (void)flags;
    event *e = new event;

    fake.events[e] = 1;
    *handle = e;
    return OK;
}

int
cuEventDestroy_v2(void *handle)
{
    ENTER_CONTEXT();
    event *e = event_of(handle);

    fake.events.erase(e);
    delete e;
    return injected;
}

int
cuEventRecord(void *handle, void *s)
{
    ENTER_CONTEXT();
    event *e = event_of(handle);

    e->s = stream_of(s);
    e->after = e->s->done + e->s->queue.size();
    return injected;
}

int
cuEventSynchronize(void *handle)
{
    ENTER_CONTEXT();
    event *e = event_of(handle);

    if (injected == OK && e->s != nullptr)
        drain(e->s, e->after);
    return injected;
}

/* ---- copies ----------------------------------------------------------------
 */

int
cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, void *s)
{
    ENTER_CONTEXT();
    if (injected != OK)
        return injected;
    if (!on_device(to, bytes))
        die("a copy to the device that does not lie within one block");
    if (!is_pinned(from, bytes))
        die("a copy from memory that is not page-locked");
    push(s, [=] { memcpy((void *)to, from, bytes); });
    return OK;
}

int
cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *s)
{
    ENTER_CONTEXT();
    if (injected != OK)
        return injected;
    if (!on_device(from, bytes))
        die("a copy from the device that does not lie within one block");
    if (!is_pinned(to, bytes))
        die("a copy to memory that is not page-locked");
    push(s, [=] { memcpy(to, (const void *)from, bytes); });
    return OK;
}

int
cuMemsetD8Async(uint64_t to, unsigned char value, size_t bytes, void *s)
{
    ENTER_CONTEXT();
    if (injected != OK)
        return injected;
    if (!on_device(to, bytes))
        die("memory is set that does not lie within one block");
    push(s, [=] { memset((void *)to, value, bytes); });
    return OK;
}

/* ---- kernels ---------------------------------------------------------------
 */

/* What is loaded must be what nvcc makes, or a build without it puts in that
 * place; the kernels are those of this library. */
int
cuModuleLoadData(void **handle, const void *image)
{
    static const unsigned char fatbin[] = {0x50, 0xed, 0x55, 0xba};
    ENTER_CONTEXT();

    if (injected != OK)
        return injected;
    if (memcmp(image, fatbin, sizeof fatbin) != 0 &&
        memcmp(image, "emulated", 8) != 0)
        return INVALID_IMAGE;
    module *m = new module;

    fake.modules[m] = 1;
    *handle = m;
    return OK;
}

int
cuModuleUnload(void *handle)
{
    ENTER_CONTEXT();
    module *m = (module *)handle;

    if (fake.modules.erase(m) == 0)
        die("a module is unloaded that is none");
    drain_all();
    for (function *f : m->functions)
        delete f;
    delete m;
    return injected;
}

int
cuModuleGetFunction(void **handle, void *in, const char *name)
{
    ENTER_CONTEXT();
    module *m = (module *)in;
    const emu_kernel *kernel = emu_find(name);

    if (injected != OK)
        return injected;
    if (fake.modules.count(m) == 0)
        return INVALID_HANDLE;
    if (kernel == nullptr)
        return NOT_FOUND;
    function *f = new function;

    f->kernel = kernel;
    m->functions.push_back(f);
    *handle = f;
    return OK;
}

int
cuFuncSetAttribute(void *handle, int attribute, int value)
{
    ENTER_CONTEXT();
    function *f = (function *)handle;

    if (injected != OK)
        return injected;
    if (attribute != BS_CU_FUNC_DYNAMIC_SHARED || value < 0 || value > 99 << 10)
        return INVALID_VALUE;
    f->shared = (size_t)value;
    return OK;
}

static bool
grid_good(unsigned x, unsigned y, unsigned z)
{
    return x >= 1 && x <= INT32_MAX && y >= 1 && y <= 65535 && z >= 1 &&
           z <= 65535;
}

static bool
threads_good(const emu_kernel *k, unsigned x, unsigned y, unsigned z)
{
    return x >= 1 && x <= 1024 && y >= 1 && y <= 1024 && z >= 1 && z <= 64 &&
           (size_t)x * y * z <= k->most_threads;
}

int
cuLaunchKernel(void *handle, unsigned grid_x, unsigned grid_y, unsigned grid_z,
               unsigned block_x, unsigned block_y, unsigned block_z,
               unsigned shared, void *s, void **params, void **extra)
{
    ENTER_CONTEXT();
    function *f = (function *)handle;
    const emu_kernel *kernel = f->kernel;

    if (injected != OK)
        return injected;
    if (!grid_good(grid_x, grid_y, grid_z) ||
        !threads_good(kernel, block_x, block_y, block_z) || shared > f->shared)
        return INVALID_VALUE;
    if (params != nullptr || extra == nullptr ||
        extra[0] != (void *)BS_CU_PARAM_BUFFER ||
        extra[2] != (void *)BS_CU_PARAM_BYTES || extra[4] != nullptr)
        die("arguments of a kernel that are no buffer");
    if (*(size_t *)extra[3] != kernel->args_bytes)
        die("arguments of a kernel of another size than it takes");
    std::vector<char> args((char *)extra[1],
                           (char *)extra[1] + kernel->args_bytes);

    fake.kernels[kernel->name]++;
    push(s, [=] {
        emu_run(kernel, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z},
                shared, args.data());
    });
    return OK;
}

/* ---- for the libraries -----------------------------------------------------
 */

std::recursive_mutex &
fake_lock()
{
    return fake.lock;
}

void
fake_die(const std::string &what)
{
    die(what.c_str());
}

int
fake_enter(const char *name, int otherwise)
{
    return enter(name, otherwise);
}

void
fake_need_context(const char *name)
{
    if (!current)
        fake_die(std::string(name) + ": no context is current on this thread");
}

void
fake_push(void *stream, std::function<void()> work)
{
    push(stream, std::move(work));
}

bool
fake_on_device(const void *p, size_t bytes)
{
    return on_device((uint64_t)(uintptr_t)p, bytes);
}

void
fake_at_release(std::string (*left)())
{
    fake.left.insert(left);
}

size_t
fake_number(const char *variable, size_t otherwise)
{
    return number_of(variable, otherwise);
}
