/*
 * cuda.h - the CUDA device: a context, one stream, and the kernels that are
 * embedded in this binary.  Private to kernels/ and its tests.
 *
 * Every operation is queued on the one stream, so they run in the order of the
 * calls; what reads results on the host waits for it.  Kernels are written in
 * kernels/<op>.cu and launched by name; the structs they take are in
 * cuda_args.h.
 */
#ifndef BS_KERNELS_CUDA_H
#define BS_KERNELS_CUDA_H

#include "kernels/cuda_args.h"
#include "kernels/cuda_driver.h"
#include "kernels/dev_ops.h"

/* The files of kernels, and in which one each kernel is. */
#define BS_CUDA_IMAGES(X) \
    X(attention)          \
    X(conv)               \
    X(gemm)               \
    X(group_norm)         \
    X(rows)               \
    X(sae_adam)           \
    X(sae_decode)         \
    X(sae_encode)         \
    X(sae_groups)         \
    X(sae_train)
/* clang-format off */
#define BS_CUDA_KERNELS(X)      \
    X(attention, attention_64)  \
    X(attention, attention_128) \
    X(attention, attention_256) \
    X(attention, attention_512) \
    X(conv, conv_f32)           \
    X(conv, conv_bf16)          \
    X(gemm, gemm_f32)           \
    X(gemm, gemm_bf16)          \
    X(gemm, gemm_finish)        \
    X(group_norm, group_sums)   \
    X(group_norm, group_factors) \
    X(group_norm, group_apply)  \
    X(rows, layer_norm)         \
    X(rows, swiglu)             \
    X(rows, geglu)              \
    X(rows, add)                \
    X(rows, patchify)           \
    X(rows, assemble)           \
    X(rows, round_rows)         \
    X(rows, widen_rows)         \
    X(sae_adam, adam_each)      \
    X(sae_adam, adam_row)       \
    X(sae_adam, adam_oldest)    \
    X(sae_adam, adam_mark)      \
    X(sae_adam, project_row)    \
    X(sae_decode, sae_decode)   \
    X(sae_encode, sae_measure)  \
    X(sae_encode, sae_pick)     \
    X(sae_encode, sae_collect)  \
    X(sae_encode, sae_know)     \
    X(sae_encode, sae_fill)     \
    X(sae_groups, group_dots)   \
    X(sae_groups, group_sum)    \
    X(sae_train, train_tokens)  \
    X(sae_train, train_mean)    \
    X(sae_train, train_spread)  \
    X(sae_train, train_residual) \
    X(sae_train, row_sum)       \
    X(sae_train, gram)          \
    X(sae_train, gram_fold)     \
    X(sae_train, copy_rows)     \
    X(sae_train, tangent)       \
    X(sae_train, norm_gradient)
/* clang-format on */

enum bs_cuda_image {
#define BS_CUDA_IMAGE(image) BS_IMAGE_##image,
    BS_CUDA_IMAGES(BS_CUDA_IMAGE)
#undef BS_CUDA_IMAGE
        BS_CUDA_IMAGE_COUNT
};

enum bs_cuda_kernel {
#define BS_CUDA_KERNEL(image, name) BS_KERNEL_##name,
    BS_CUDA_KERNELS(BS_CUDA_KERNEL)
#undef BS_CUDA_KERNEL
        BS_CUDA_KERNEL_COUNT
};

/* The embedded files, by enum bs_cuda_image; NULL in a build without nvcc. */
extern const void *const bs_cuda_images[BS_CUDA_IMAGE_COUNT];

/* Memory that operations keep from call to call; each has slots of its own. */
enum bs_cuda_scratch {
    BS_SCRATCH_SCORES,
    BS_SCRATCH_ROWS,
    BS_SCRATCH_HITS,
    BS_SCRATCH_FLAGS,
    BS_SCRATCH_BOUND,
    BS_SCRATCH_PTR,
    BS_SCRATCH_IDX,
    BS_SCRATCH_VAL,
    BS_SCRATCH_SUMS,
    BS_SCRATCH_FACTORS,
    BS_SCRATCH_WORKSPACE,
    BS_SCRATCH_OPERAND,
    BS_SCRATCH_PRODUCT,
    BS_SCRATCH_LIST,
    BS_SCRATCH_SLOT,
    BS_SCRATCH_STEPS,
    BS_SCRATCH_VECTORS,
    BS_SCRATCH_COUNT
};

/* Page-locked host memory on the way to or from the device; `event` has passed
 * when it is free again. */
struct bs_cuda_stage {
    void *p;
    void *event;
};

/* Products that encode computes before it looks at them: they stay in the
 * second-level cache. */
#define BS_SCORES_BYTES ((size_t)32 << 20)
/* Blocks of 128 queries of a head that keep a GPU busy. */
#define BS_ATTENTION_BLOCKS ((size_t)256)
/* Hits of such a chunk that there is room for before they were counted. */
#define BS_HITS_ROOM ((size_t)1 << 16)

struct bs_cuda_function {
    void *handle;
    size_t shared; /* dynamic shared memory that it may have */
};

struct bs_cuda_lt;
struct bs_cuda_dnn;

struct bs_cuda {
    struct bs_dev dev;
    void *library;
    struct bs_cu cu;
    int device;
    int lock; /* file of the GPU, or -1 */
    void *context, *stream;
    size_t most_shared; /* of a block */
    struct bs_cuda_stage stage[2];
    unsigned turn;
    /* Those above; less in tests. */
    size_t scores_bytes, hits_room, attention_blocks;
    struct bs_mem scratch[BS_SCRATCH_COUNT];
    void *module[BS_CUDA_IMAGE_COUNT];
    struct bs_cuda_function function[BS_CUDA_KERNEL_COUNT];
    bool own_kernels;      /* and no library: BS_CUDA_LIBRARIES=none */
    struct bs_cuda_lt *lt; /* NULL until it is wanted */
    struct bs_cuda_dnn *dnn;
};

/* Whether this build has GPU kernels. */
bool bs_cuda_built(void);
/* Device `ordinal`, alone if it is free within `wait` seconds, which are not 0;
 * 0 or -BS_EX_UNAVAIL.  *there: libcuda could be opened. */
int bs_cuda_open(struct bs_dev **out, int ordinal, uint64_t wait, bool *there,
                 struct bs_err *e) BS_CHECKED;

/* Be alone on the device before `seconds` are over, until it is closed. */
int bs_cuda_wait(struct bs_cuda *c, uint64_t seconds) BS_CHECKED;
void bs_cuda_leave(struct bs_cuda *c);

/* 0 where `error` is; otherwise an error that names the call and what CUDA
 * calls the error. */
int bs_cuda_check(struct bs_cuda *c, int error, const char *call) BS_CHECKED;
#define BS_CU(c, name, ...) bs_cuda_check(c, (c)->cu.name(__VA_ARGS__), #name)

/* Make the context that of this thread: before any other call. */
int bs_cuda_enter(struct bs_cuda *c) BS_CHECKED;

/* Memory; see dev.h. */
int bs_cuda_alloc(struct bs_dev *d, struct bs_mem *m, size_t bytes) BS_CHECKED;
void bs_cuda_free(struct bs_dev *d, struct bs_mem *m);
int bs_cuda_put(struct bs_dev *d, void *to, const void *host,
                size_t bytes) BS_CHECKED;
int bs_cuda_get(struct bs_dev *d, void *host, const void *from,
                size_t bytes) BS_CHECKED;
int bs_cuda_sync(struct bs_dev *d) BS_CHECKED;
void bs_cuda_memory_close(struct bs_cuda *c);

/* At least `bytes` in a slot; *p, a pointer of any type, is put on it.  What it
 * held is lost if it grows. */
int bs_cuda_scratch(struct bs_cuda *c, enum bs_cuda_scratch slot, void *p,
                    size_t bytes) BS_CHECKED;
int bs_cuda_fill(struct bs_cuda *c, void *p, uint8_t value,
                 size_t bytes) BS_CHECKED;
/* n words of 32 bits from the host to a slot, at *p, a pointer of any type;
 * from NULL: none, and *p is NULL. */
int bs_cuda_words(struct bs_cuda *c, enum bs_cuda_scratch slot, void *p,
                  const void *from, size_t n) BS_CHECKED;

/* Blocks of `threads` threads, with so much dynamic shared memory each. */
struct bs_grid {
    size_t x, y;
    unsigned threads;
    size_t shared;
};

/* n / by, rounded up. */
static inline size_t
bs_blocks(size_t n, size_t by)
{
    return n / by + (n % by != 0);
}

int bs_cuda_launch(struct bs_cuda *c, enum bs_cuda_kernel kernel,
                   struct bs_grid grid, const void *args,
                   size_t bytes) BS_CHECKED;
/* args: the struct of cuda_args.h that the kernel takes. */
#define BS_LAUNCH(c, kernel, grid, args) \
    bs_cuda_launch(c, BS_KERNEL_##kernel, grid, &(args), sizeof(args))

/* The operations; see dev.h. */
int bs_cuda_weight(struct bs_dev *d, struct bs_weight **out, const void *w,
                   enum bs_dtype type, size_t n, size_t k, enum bs_math math);
void bs_cuda_weight_free(struct bs_dev *d, struct bs_weight *w);
int bs_cuda_gemm(struct bs_dev *d, const struct bs_dev_gemm *a);
int bs_cuda_attention(struct bs_dev *d, const struct bs_dev_attention *a);
int bs_cuda_layer_norm(struct bs_dev *d, const struct bs_dev_layer_norm *a);
int bs_cuda_swiglu(struct bs_dev *d, const struct bs_dev_gate *a);
int bs_cuda_geglu(struct bs_dev *d, const struct bs_dev_gate *a);
int bs_cuda_add(struct bs_dev *d, const struct bs_dev_add *a);
int bs_cuda_patchify(struct bs_dev *d, const struct bs_dev_patchify *a);
int bs_cuda_assemble(struct bs_dev *d, const struct bs_dev_assemble *a);

/* cuBLASLt: its version, or why it is not used; gemm_cublas.c. */
const char *bs_cuda_lt_about(struct bs_cuda *c);
void bs_cuda_lt_close(struct bs_cuda *c);
/* The same of cuDNN; cuda_dnn.c. */
const char *bs_cuda_dnn_about(struct bs_cuda *c);
void bs_cuda_dnn_close(struct bs_cuda *c);
/* Attention by it; *done is false where that cannot be had or refuses it, and
 * nothing was done. */
int bs_cuda_dnn_attention(struct bs_cuda *c, const struct bs_dev_attention *a,
                          bool *done) BS_CHECKED;

/* scale * x, x f32 [rows, k], rounded to bf16, with zeros up to `depth`
 * columns, which is even; and bf16 [rows, k], k even, to f32. */
int bs_cuda_round_rows(struct bs_cuda *c, const float *x, size_t ldx,
                       size_t rows, size_t k, float scale, uint16_t *y,
                       size_t depth) BS_CHECKED;
int bs_cuda_widen_rows(struct bs_cuda *c, const uint16_t *x, size_t rows,
                       size_t k, float *y, size_t ldy) BS_CHECKED;

/* A thread an element of `rows` rows of k; *row_blocks blocks a row. */
struct bs_grid bs_cuda_each(size_t rows, size_t k, unsigned *row_blocks);

/* The operations; see image_ops.h. */
int bs_cuda_conv(struct bs_dev *d, struct bs_conv **out, const void *w,
                 enum bs_dtype type, const struct bs_conv_shape *shape,
                 enum bs_math math);
void bs_cuda_conv_free(struct bs_dev *d, struct bs_conv *w);
int bs_cuda_conv2d(struct bs_dev *d, const struct bs_dev_conv2d *a);
int bs_cuda_group_norm(struct bs_dev *d, const struct bs_dev_group_norm *a);

/* The operations; see sae_ops.h. */
int bs_cuda_encoder(struct bs_dev *d, struct bs_encoder **out, const float *w,
                    const float *bias, size_t n, size_t k,
                    enum bs_screen screen);
void bs_cuda_encoder_free(struct bs_dev *d, struct bs_encoder *enc);
int bs_cuda_encode_topk(struct bs_dev *d, const struct bs_dev_encode *a);
int bs_cuda_encode_threshold(struct bs_dev *d, const struct bs_dev_encode *a,
                             struct bs_ragged *out);
int bs_cuda_encode_batch(struct bs_dev *d, const struct bs_dev_encode *a,
                         struct bs_ragged *out, float *threshold);
int bs_cuda_decode(struct bs_dev *d, const struct bs_dev_decode *a);

#endif
