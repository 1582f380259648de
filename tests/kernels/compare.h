/*
 * compare.h - what the tests of kernels share: the instruction sets to test,
 * numbers, buffers between sentinels, and a comparison that NaN cannot pass.
 */
#ifndef BS_TESTS_COMPARE_H
#define BS_TESTS_COMPARE_H

#include "kernels/cpu.h"

#include "common/mem.h"
#include "tests/kernels/staged.h"
#include "tests/kernels/wide.h"
#include "tests/unit/tap.h"

#include <math.h>

#define GUARD 64 /* floats before and behind each buffer */
#define SENTINEL 12345.678f

/* Programs end where there is no memory for a test. */
static inline void *
need(void *p)
{
    if (p == NULL) {
        ok(0, "memory");
        exit(1);
    }
    return p;
}

/* Uniform in -1..1; the same numbers in every run. */
static inline float
random_of(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return (float)(int32_t)(*state & 0xffffff00) / 2147483648.0f;
}

/* n floats between sentinels; mem lends them to an operation. */
struct floats {
    float *room, *at;
    size_t n;
    struct bs_mem mem;
};

static inline struct floats
floats_of(size_t n, float scale, uint32_t seed)
{
    struct floats f = {0};
    size_t i;

    f.room = need(bs_alloc((n + 2 * GUARD) * sizeof(float)));
    f.at = f.room + GUARD;
    f.n = n;
    f.mem.p = f.at;
    f.mem.bytes = n * sizeof(float);
    for (i = 0; i < n + 2 * GUARD; i++)
        f.room[i] = SENTINEL;
    for (i = 0; i < n; i++)
        f.at[i] = scale * random_of(&seed);
    return f;
}

/* Frees them; false if a sentinel changed. */
static inline int
floats_free(struct floats *f)
{
    size_t i;
    int good = 1;

    for (i = 0; i < GUARD; i++)
        good &= f->room[i] == SENTINEL && f->at[f->n + i] == SENTINEL;
    bs_free(f->room);
    return good;
}

/* |got - want| <= tolerance, or both NaN or the same infinity. */
static inline int
near(double got, double want, double tolerance)
{
    if (isnan(want))
        return isnan(got);
    if (isinf(want))
        return got == want;
    return fabs(got - want) <= tolerance;
}

/* The instruction sets under test; `wide` takes the place of AVX-512 where it
 * cannot run, `wide` without bf16 that of AVX-512 without bf16. */
static inline size_t
isas_to_test(struct bs_isa isa[6])
{
    static const struct bs_isa *const all[] = {
        &bs_isa_portable,
#if defined(__x86_64__)
        &bs_isa_avx2,
        &bs_isa_avx512,
        &bs_isa_avx512bf16,
#endif
    };
    size_t i, n = 0;

    for (i = 0; i < BS_LEN(all); i++) {
        char why[80];

        if (bs_cpu_has(all[i])) {
            isa[n++] = *all[i];
            continue;
        }
        snprintf(why, sizeof why, "this processor lacks %s", all[i]->name);
        skip(why);
    }
    isa[n++] = bs_isa_wide;
    isa[n] = bs_isa_wide;
    isa[n].name = "wide without bf16";
    isa[n++].gemm_bf16 = NULL;
    return n;
}

#define DEVICES 8

/* The same, and CUDA by our own kernels; only that which BS_TEST_DEVICE names,
 * if it is set. */
static inline size_t
devices_to_test(struct bs_isa isa[DEVICES])
{
    const char *name = getenv("BS_TEST_DEVICE");
    size_t n = isas_to_test(isa), i, kept = 0;
    char why[600];

    if (staged_there(why, sizeof why))
        isa[n++] = bs_isa_cuda;
    else
        skip(why);
    for (i = 0; i < n; i++)
        if (name == NULL || strcmp(name, isa[i].name) == 0)
            isa[kept++] = isa[i];
    return kept;
}

/* And CUDA by its libraries, for operations that they may serve; of n that
 * devices_to_test found. */
static inline size_t
libraries_to_test(struct bs_isa isa[DEVICES], size_t n)
{
    const char *name = getenv("BS_TEST_DEVICE");
    char why[600];

    if (name != NULL && strcmp(name, "cuda") != 0)
        return n;
    if (staged_libraries(why, sizeof why))
        isa[n++] = bs_isa_libraries;
    else
        skip(why);
    return n;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define EMULATED_STEP 37
#define EMULATED_PRODUCTS 3e6
#else
#define EMULATED_STEP 11
#define EMULATED_PRODUCTS 3e8
#endif

/* The thread sanitizer looks for races: of the emulation's cases it takes those
 * that have all loops and barriers, without those that are about values. */
static inline bool
races_only(const struct bs_isa *isa)
{
#if defined(__SANITIZE_THREAD__)
    return staged_slow(isa);
#else
    (void)isa;
    return false;
#endif
}

/* Of many small cases so many-th are enough to find races. */
static inline size_t
case_step(const struct bs_isa *isa)
{
    return races_only(isa) ? 7 : 1;
}

/* The emulation takes every so many-th of many small cases, and leaves out
 * those of too many products. */
static inline bool
left_out(const struct bs_isa *isa, size_t number, double products)
{
    return staged_slow(isa) && (number % EMULATED_STEP != 0 ||
                                products > (double)EMULATED_PRODUCTS);
}

/* Numbers of threads to compare: CUDA does not look at them. */
static inline unsigned
most_threads(const struct bs_isa *isa)
{
    return staged_is_cuda(isa) ? 2 : 4;
}

static inline struct bs_dev *
open_isa(const struct bs_isa *isa, unsigned threads)
{
    struct bs_err e = {0};
    struct bs_dev *d;

    if ((isa->name == bs_isa_libraries.name ? staged_open_libraries(&d, &e)
         : isa->name == bs_isa_cuda.name
             ? staged_open(&d, &e)
             : bs_cpu_open(&d, isa, threads, &e)) < 0) {
        ok(0, "open: %s", e.text);
        exit(1);
    }
    staged_note(isa->name);
    return d;
}

#endif
