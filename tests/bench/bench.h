/*
 * bench.h - what the benchmarks share.  A figure is the best of several
 * rounds; in each round every contender has its turn, so that a disturbance
 * does not hit one alone.
 */
#ifndef BS_TESTS_BENCH_H
#define BS_TESTS_BENCH_H

#include "common/mem.h"
#include "common/pool.h"
#include "kernels/image_ops.h"

#include <math.h>
#include <time.h>
#include <unistd.h>

static inline double
seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Name what is missing and end: a benchmark goes on with nothing half done. */
static inline void
must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "bench: %s failed\n", what);
    exit(1);
}

/* n floats, uniform in -1..1. */
static inline float *
floats(size_t n)
{
    float *p = bs_alloc(n * sizeof *p);
    uint32_t state = 1;
    size_t i;

    must(p != NULL, "allocation");
    for (i = 0; i < n; i++) {
        state = state * 1664525 + 1013904223;
        p[i] = (float)(int32_t)state / 2147483648.0f;
    }
    return p;
}

static inline struct bs_mem
mem_of(float *p, size_t n)
{
    struct bs_mem m = {p, n * sizeof *p};

    return m;
}

/* Others' idle threads spin for up to 30 ms after a call. */
static inline void
settle(void)
{
    usleep(40000);
}

/* The best time of a turn: up to `calls` calls or 0.3 s. */
static inline double
turn(void (*fn)(void *), void *arg, int calls)
{
    double best = INFINITY, start = seconds(), t, end;

    settle();
    do {
        t = seconds();
        fn(arg);
        end = seconds();
        best = end - t < best ? end - t : best;
    } while (--calls > 0 && end - start < 0.3);
    return best;
}

/* ---- what the processor can do at most -------------------------------------
 */

#define PEAK_LOOPS 3000000

#if defined(__x86_64__)
#define FMA_BLOCK(reg)                                                       \
    __asm__ volatile("1:\n\t"                                                \
                     "vfmadd231ps %%" reg "15, %%" reg "14, %%" reg "0\n\t"  \
                     "vfmadd231ps %%" reg "15, %%" reg "14, %%" reg "1\n\t"  \
                     "vfmadd231ps %%" reg "15, %%" reg "14, %%" reg "2\n\t"  \
                     "vfmadd231ps %%" reg "15, %%" reg "14, %%" reg "3\n\t"  \
                     "vfmadd231ps %%" reg "15, %%" reg "14, %%" reg "4\n\t"  \
                     "vfmadd231ps %%" reg "15, %%" reg "14, %%" reg "5\n\t"  \
                     "vfmadd231ps %%" reg "15, %%" reg "14, %%" reg "6\n\t"  \
                     "vfmadd231ps %%" reg "15, %%" reg "14, %%" reg "7\n\t"  \
                     "vfmadd231ps %%" reg "15, %%" reg "14, %%" reg "8\n\t"  \
                     "vfmadd231ps %%" reg "15, %%" reg "14, %%" reg "9\n\t"  \
                     "vfmadd231ps %%" reg "15, %%" reg "14, %%" reg "10\n\t" \
                     "vfmadd231ps %%" reg "15, %%" reg "14, %%" reg "11\n\t" \
                     "dec %0\n\t"                                            \
                     "jnz 1b\n\t"                                            \
                     "vzeroupper"                                            \
                     : "+r"(loops)                                           \
                     :                                                       \
                     : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", \
                       "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",     \
                       "xmm14", "xmm15")

/* Twelve independent chains of multiply-adds in registers. */
static inline void
peak_chunk(void *arg, size_t chunk, unsigned thread)
{
    const bool *wide = arg;
    long loops = PEAK_LOOPS;

    (void)chunk;
    (void)thread;
    if (*wide)
        FMA_BLOCK("zmm");
    else
        FMA_BLOCK("ymm");
}

/* GF/s of f32 multiply-adds on `threads` threads, or 0 where unknown. */
static inline double
peak_gflops(unsigned threads)
{
    bool wide = __builtin_cpu_supports("avx512f");
    double best = INFINITY, t;
    struct bs_err e = {0};
    struct bs_pool *p;
    int i;

    if (!__builtin_cpu_supports("fma"))
        return 0;
    must(bs_pool_open(&p, threads, &e) == 0, "thread pool");
    for (i = 0; i < 5; i++) {
        t = seconds();
        bs_pool_run(p, threads, peak_chunk, &wide);
        t = seconds() - t;
        best = t < best ? t : best;
    }
    bs_pool_close(p);
    return threads * (wide ? 32.0 : 16.0) * 12 * PEAK_LOOPS / best * 1e-9;
}
#else
static inline double
peak_gflops(unsigned threads)
{
    (void)threads;
    return 0;
}
#endif

#endif
