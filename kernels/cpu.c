/*
 * cpu.c - the CPU device: choice of the instruction set, memory, table.
 */
#include "kernels/cpu.h"

#include "common/mem.h"
#include "kernels/sae_train_table.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <sys/mman.h>

/* Best first. */
static const struct bs_isa *const isas[] = {
#if defined(__x86_64__)
    &bs_isa_avx512bf16,
    &bs_isa_avx512,
    &bs_isa_avx2,
#endif
    &bs_isa_portable,
};

#if defined(__x86_64__)
/* clang 14's __builtin_cpu_supports has no name for it. */
static bool
has_f16c(void)
{
    unsigned a, b, c, d;

    return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}
#endif

bool
bs_cpu_has(const struct bs_isa *isa)
{
#if defined(__x86_64__)
    bool avx2 = __builtin_cpu_supports("avx2") &&
                __builtin_cpu_supports("fma") && has_f16c();
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                  __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512vl") &&
                  __builtin_cpu_supports("avx512dq");

    if (isa == &bs_isa_avx2)
        return avx2;
    if (isa == &bs_isa_avx512)
        return avx512;
    if (isa == &bs_isa_avx512bf16)
        return avx512 && __builtin_cpu_supports("avx512bf16") &&
               __builtin_cpu_supports("avx512vnni");
#endif
    return isa == &bs_isa_portable;
}

const struct bs_isa *
bs_cpu_isa(struct bs_err *e)
{
    const char *want = getenv("BS_CPU");
    size_t i;

    if (want != NULL && *want == '\0')
        want = NULL;
    for (i = 0; i < BS_LEN(isas); i++) {
        bool named = want != NULL && strcmp(want, isas[i]->name) == 0;

        if ((want == NULL || named) && bs_cpu_has(isas[i]))
            return isas[i];
        if (named) {
            bs_err_set(e, BS_EX_UNAVAIL, "BS_CPU: this processor lacks '%s'",
                       want);
            return NULL;
        }
    }
    bs_err_set(e, BS_EX_UNAVAIL,
               "BS_CPU: no instruction set '%s' in this build",
               want != NULL ? want : "");
    return NULL;
}

/* ---- memory ----------------------------------------------------------------
 */

static int
cpu_alloc(struct bs_dev *d, struct bs_mem *m, size_t bytes)
{
    m->p = bs_alloc(bytes);
    if (m->p == NULL)
        return bs_err_memory(&d->err, "device memory", bytes);
    m->bytes = bytes;
    return 0;
}

static void
cpu_free(struct bs_dev *d, struct bs_mem *m)
{
    (void)d;
    bs_free(m->p);
}

static int
cpu_put(struct bs_dev *d, void *to, const void *host, size_t bytes)
{
    (void)d;
    memcpy(to, host, bytes);
    return 0;
}

static int
cpu_get(struct bs_dev *d, void *host, const void *from, size_t bytes)
{
    (void)d;
    memcpy(host, from, bytes);
    return 0;
}

static int
cpu_sync(struct bs_dev *d)
{
    (void)d;
    return 0;
}

static void
free_scratch(struct bs_cpu *c)
{
    unsigned i;

    for (i = 0; i < c->threads; i++) {
        bs_free(c->scratch[i]);
        c->scratch[i] = NULL;
    }
    c->scratch_bytes = 0;
}

int
bs_cpu_scratch(struct bs_cpu *c, size_t bytes)
{
    unsigned i;

    if (bytes <= c->scratch_bytes)
        return 0;
    free_scratch(c);
    for (i = 0; i < c->threads; i++) {
        c->scratch[i] = bs_alloc(bytes);
        if (c->scratch[i] == NULL) {
            free_scratch(c);
            return bs_err_memory(&c->dev.err, "scratch of a thread", bytes);
        }
    }
    c->scratch_bytes = bytes;
    return 0;
}

int
bs_cpu_shared(struct bs_cpu *c, size_t bytes)
{
    if (bytes <= c->shared_bytes)
        return 0;
    bs_free(c->shared);
    c->shared_bytes = 0;
    c->shared = bs_cpu_alloc_large(bytes);
    if (c->shared == NULL)
        return bs_err_memory(&c->dev.err, "scratch of all threads", bytes);
    c->shared_bytes = bytes;
    return 0;
}

/* ---- life ------------------------------------------------------------------
 */

static void
cpu_close(struct bs_dev *d)
{
    struct bs_cpu *c = (struct bs_cpu *)d;

    if (c->scratch != NULL)
        free_scratch(c);
    bs_free(c->scratch);
    bs_free(c->shared);
    bs_pool_close(c->pool);
    bs_free(c);
}

static const struct bs_dev_ops cpu_ops = {
    .close = cpu_close,
    .alloc = cpu_alloc,
    .free = cpu_free,
    .put = cpu_put,
    .get = cpu_get,
    .sync = cpu_sync,
    .weight = bs_cpu_weight,
    .weight_free = bs_cpu_weight_free,
    .gemm = bs_cpu_gemm,
    .attention = bs_cpu_attention,
    .layer_norm = bs_cpu_layer_norm,
    .swiglu = bs_cpu_swiglu,
    .geglu = bs_cpu_geglu,
    .add = bs_cpu_add,
    .patchify = bs_cpu_patchify,
    .assemble = bs_cpu_assemble,
    .encoder = bs_cpu_encoder,
    .encoder_free = bs_cpu_encoder_free,
    .encode_topk = bs_cpu_encode_topk,
    .encode_threshold = bs_cpu_encode_threshold,
    .encode_batch = bs_cpu_encode_batch,
    .decode = bs_cpu_decode,
    .train = &bs_cpu_train_ops,
    .conv = bs_cpu_conv,
    .conv_free = bs_cpu_conv_free,
    .conv2d = bs_cpu_conv2d,
    .group_norm = bs_cpu_group_norm,
};

int
bs_cpu_open(struct bs_dev **out, const struct bs_isa *isa, unsigned threads,
            struct bs_err *e)
{
    struct bs_cpu *c = bs_alloc_array(1, sizeof *c);
    int r;

    *out = NULL;
    if (c == NULL)
        return bs_err_memory(e, "device", sizeof *c);
    c->dev.ops = &cpu_ops;
    c->isa = isa;
    r = bs_pool_open(&c->pool, threads, e);
    if (r < 0) {
        cpu_close(&c->dev);
        return r;
    }
    c->threads = bs_pool_threads(c->pool);
    c->scratch = bs_alloc_array(c->threads, sizeof *c->scratch);
    if (c->scratch == NULL) {
        cpu_close(&c->dev);
        return bs_err_memory(e, "device", c->threads * sizeof *c->scratch);
    }
    snprintf(c->dev.describe, sizeof c->dev.describe, "cpu (%s, %u thread%s)",
             isa->name, c->threads, c->threads == 1 ? "" : "s");
    *out = &c->dev;
    return 0;
}
