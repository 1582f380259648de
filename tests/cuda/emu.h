/*
 * emu.h - the language of CUDA for g++: what kernels/cuda.cuh gives a .cu file
 * under nvcc, executed on the CPU.  See emu.cpp for how; README.md for what it
 * finds and what it cannot.
 *
 * A block of threads runs on one thread of the system, each of its threads a
 * fiber ("lane") that runs until it has to wait for others.
 */
#ifndef BS_TESTS_EMU_H
#define BS_TESTS_EMU_H

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#define __device__
#define __host__

/* ---- places ----------------------------------------------------------------
 */

struct uint3 {
    unsigned x, y, z;
};
struct dim3 : uint3 {
};
struct alignas(16) float4 {
    float x, y, z, w;
};

/* What a lane may know of itself. */
struct emu_lane {
    uint3 thread;
    const struct emu_grid *grid;
};
struct emu_grid {
    uint3 block, blocks, threads;
};

/* The library is opened with dlopen; this much of its thread-local memory may
 * lie where that of the program does, and is as cheap to find. */
extern __thread emu_lane *emu_self __attribute__((tls_model("initial-exec")));

#define threadIdx (emu_self->thread)
#define blockIdx (emu_self->grid->block)
#define gridDim (emu_self->grid->blocks)
#define blockDim (emu_self->grid->threads)

/* ---- shared memory ---------------------------------------------------------
 */

/* Memory of the block, the same for all its lanes by `key`; not cleared but
 * poisoned, and between red zones for the address sanitizer. */
void *emu_shared(const void *key, size_t bytes);
void *emu_shared_dynamic();

#define BS_SHARED(type, name, dims)   \
    static const char name##_key = 0; \
    typedef type name##_type dims;    \
    name##_type &name =               \
        *(name##_type *)emu_shared(&name##_key, sizeof(name##_type))
#define BS_SHARED_DYNAMIC(type, name) type *name = (type *)emu_shared_dynamic()

/* ---- meetings --------------------------------------------------------------
 */

enum emu_op {
    EMU_SYNC,
    EMU_SHUFFLE,
    EMU_SHUFFLE_XOR,
    EMU_SHUFFLE_UP,
    EMU_SHUFFLE_DOWN,
    EMU_BALLOT,
    EMU_MMA
};

void __syncthreads();
void __syncwarp(unsigned mask = 0xffffffff);

/* The value of the lane that `op` names by `at`, in segments of `width`. */
uint64_t emu_shuffle(emu_op op, unsigned mask, uint64_t value, int at,
                     int width);
unsigned emu_ballot(unsigned mask, bool vote);
void bs_mma(float d[4], const uint32_t a[4], const uint32_t b[2]);

template <class T>
static inline T
emu_shuffle_of(emu_op op, unsigned mask, T value, int at, int width)
{
    uint64_t word = 0;

    static_assert(sizeof value <= sizeof word, "one register pair at most");
    memcpy(&word, &value, sizeof value);
    word = emu_shuffle(op, mask, word, at, width);
    memcpy(&value, &word, sizeof value);
    return value;
}

template <class T>
static inline T
__shfl_sync(unsigned mask, T value, int lane, int width = 32)
{
    return emu_shuffle_of(EMU_SHUFFLE, mask, value, lane, width);
}

template <class T>
static inline T
__shfl_xor_sync(unsigned mask, T value, int bits, int width = 32)
{
    return emu_shuffle_of(EMU_SHUFFLE_XOR, mask, value, bits, width);
}

template <class T>
static inline T
__shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32)
{
    return emu_shuffle_of(EMU_SHUFFLE_UP, mask, value, (int)by, width);
}

template <class T>
static inline T
__shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32)
{
    return emu_shuffle_of(EMU_SHUFFLE_DOWN, mask, value, (int)by, width);
}

static inline unsigned
__ballot_sync(unsigned mask, bool vote)
{
    return emu_ballot(mask, vote);
}

static inline bool
__any_sync(unsigned mask, bool vote)
{
    return emu_ballot(mask, vote) != 0;
}

static inline bool
__all_sync(unsigned mask, bool vote)
{
    return emu_ballot(mask, !vote) == 0;
}

/* ---- atomics, and bits of floats -------------------------------------------
 */

template <class T>
static inline T
atomicAdd(T *p, T value)
{
    return __atomic_fetch_add(p, value, __ATOMIC_RELAXED);
}

template <class T>
static inline T
atomicMin(T *p, T value)
{
    T now = __atomic_load_n(p, __ATOMIC_RELAXED);

    while (value < now &&
           !__atomic_compare_exchange_n(p, &now, value, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
        ;
    return now;
}

static inline unsigned
__float_as_uint(float f)
{
    unsigned u;

    memcpy(&u, &f, sizeof u);
    return u;
}

static inline float
__uint_as_float(unsigned u)
{
    float f;

    memcpy(&f, &u, sizeof f);
    return f;
}

/* ---- kernels ---------------------------------------------------------------
 */

/* A kernel of this library; the constructor puts it in a list. */
struct emu_kernel {
    const char *name;
    void (*run)(const void *args);
    size_t args_bytes;
    unsigned most_threads;
    emu_kernel *next;

    emu_kernel(const char *name, void (*run)(const void *), size_t args_bytes,
               unsigned most_threads);
};

#define BS_KERNEL(name, threads, blocks, args)                           \
    static void bs_##name(args a);                                       \
    static emu_kernel emu_##name(                                        \
        "bs_" #name, [](const void *p) { bs_##name(*(const args *)p); }, \
        sizeof(args), threads);                                          \
    static void bs_##name(args a)

/* The kernel called so, or NULL. */
emu_kernel *emu_find(const char *name);
/* Run it to its end. */
void emu_run(const emu_kernel *kernel, uint3 blocks, uint3 threads,
             size_t shared, const void *args);

#endif
