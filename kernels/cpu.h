/*
 * cpu.h - the CPU device: an instruction set, a thread pool, and scratch
 * memory a thread.  Private to kernels/ and its tests.
 */
#ifndef BS_KERNELS_CPU_H
#define BS_KERNELS_CPU_H

#include "common/pool.h"
#include "kernels/dev_ops.h"
#include "kernels/isa.h"

#include <stdatomic.h>

struct bs_cpu {
    struct bs_dev dev;
    const struct bs_isa *isa;
    struct bs_pool *pool;
    unsigned threads;
    void **scratch; /* one block a thread, of scratch_bytes each */
    size_t scratch_bytes;
    void *shared; /* one block for all threads, of shared_bytes */
    size_t shared_bytes;
    /* Products that encoding computed once more after screening; for the tests
     * and benchmarks. */
    _Atomic size_t rescored;
};

/* The instruction set that BS_CPU names, or the best that is there; NULL with
 * a message where BS_CPU names none. */
const struct bs_isa *bs_cpu_isa(struct bs_err *e);
/* Whether this processor can run it. */
bool bs_cpu_has(const struct bs_isa *isa);

int bs_cpu_open(struct bs_dev **out, const struct bs_isa *isa, unsigned threads,
                struct bs_err *e) BS_CHECKED;

/* Have at least `bytes` of scratch a thread; what it held is lost. */
int bs_cpu_scratch(struct bs_cpu *c, size_t bytes) BS_CHECKED;

/* Have at least `bytes` of the block for all threads; what it held is lost. */
int bs_cpu_shared(struct bs_cpu *c, size_t bytes) BS_CHECKED;

/* Memory, on huge pages where it is large and the system has them. */
void *bs_cpu_alloc_large(size_t bytes) BS_CHECKED;

/* A panel [k][nr] as pairs of bf16, [k / 2][nr][2]; a last odd row is paired
 * with zeros. */
void bs_cpu_pack_pairs(uint16_t *out, const float *in, size_t k, size_t nr);

/* The operations; see dev.h. */
int bs_cpu_weight(struct bs_dev *d, struct bs_weight **out, const void *w,
                  enum bs_dtype type, size_t n, size_t k, enum bs_math math);
void bs_cpu_weight_free(struct bs_dev *d, struct bs_weight *w);
int bs_cpu_gemm(struct bs_dev *d, const struct bs_dev_gemm *a);
int bs_cpu_attention(struct bs_dev *d, const struct bs_dev_attention *a);
int bs_cpu_layer_norm(struct bs_dev *d, const struct bs_dev_layer_norm *a);
int bs_cpu_swiglu(struct bs_dev *d, const struct bs_dev_gate *a);
int bs_cpu_geglu(struct bs_dev *d, const struct bs_dev_gate *a);
int bs_cpu_add(struct bs_dev *d, const struct bs_dev_add *a);
int bs_cpu_patchify(struct bs_dev *d, const struct bs_dev_patchify *a);
int bs_cpu_assemble(struct bs_dev *d, const struct bs_dev_assemble *a);

/* The operations; see image_ops.h. */
int bs_cpu_conv(struct bs_dev *d, struct bs_conv **out, const void *w,
                enum bs_dtype type, const struct bs_conv_shape *shape,
                enum bs_math math);
void bs_cpu_conv_free(struct bs_dev *d, struct bs_conv *w);
int bs_cpu_conv2d(struct bs_dev *d, const struct bs_dev_conv2d *a);
int bs_cpu_group_norm(struct bs_dev *d, const struct bs_dev_group_norm *a);

/* The operations; see sae.h. */
int bs_cpu_encoder(struct bs_dev *d, struct bs_encoder **out, const float *w,
                   const float *bias, size_t n, size_t k,
                   enum bs_screen screen);
void bs_cpu_encoder_free(struct bs_dev *d, struct bs_encoder *enc);
int bs_cpu_encode_topk(struct bs_dev *d, const struct bs_dev_encode *a);
int bs_cpu_encode_threshold(struct bs_dev *d, const struct bs_dev_encode *a,
                            struct bs_ragged *out);
int bs_cpu_encode_batch(struct bs_dev *d, const struct bs_dev_encode *a,
                        struct bs_ragged *out, float *threshold);
int bs_cpu_decode(struct bs_dev *d, const struct bs_dev_decode *a);

#endif
