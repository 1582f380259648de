/*
 * weights.h - the tensors of a network, checked by name, shape and value, and
 * brought to a device.
 *
 * A loader walks the files part by part: names are relative to a prefix, which
 * grows on entering a part ("down_blocks.0.") and shrinks on leaving it.
 *
 * Errors are -BS_EX_DATA naming the file and the tensor that is missing, has
 * another shape or type, or holds a NaN or an infinity; or the device's.
 */
#ifndef BS_MODELS_WEIGHTS_H
#define BS_MODELS_WEIGHTS_H

#include "common/bs.h"
#include "common/err.h"
#include "formats/safetensors.h"
#include "kernels/image_ops.h"

/* ---- parts ----------------------------------------------------------------
 */

/* y = x w^T + b */
struct bs_linear {
    struct bs_weight *weight;
    struct bs_mem bias; /* empty: none */
};

struct bs_norm {
    struct bs_mem gamma, beta;
};

struct bs_convolution {
    struct bs_conv *weight;
    struct bs_mem bias; /* empty: none */
};

/* Give back what a loader brought; parts that are zero are fine. */
void bs_drop_linear(struct bs_dev *dev, struct bs_linear *m);
void bs_drop_norm(struct bs_dev *dev, struct bs_norm *n);
void bs_drop_convolution(struct bs_dev *dev, struct bs_convolution *c);

/* ---- loader ---------------------------------------------------------------
 */

#define BS_LOADER_NAME 256

struct bs_loader {
    const struct bs_safetensors *files;
    struct bs_dev *dev;
    enum bs_math math;
    struct bs_err *e;
    size_t used; /* tensors taken */
    char prefix[BS_LOADER_NAME];
};

/* Enter a part; returns what to leave it with. */
size_t bs_loader_enter(struct bs_loader *l, const char *fmt, ...)
    BS_PRINTF(2, 3);
void bs_loader_leave(struct bs_loader *l, size_t mark);

/* Whether there is a tensor PREFIX STEM "." LEAF (PREFIX STEM, with leaf NULL).
 */
bool bs_loader_has(const struct bs_loader *l, const char *stem,
                   const char *leaf);

/* That tensor, F32, F16 or BF16, of exactly this shape and all finite, or NULL
 * with the error. */
const struct bs_tensor *bs_loader_tensor(struct bs_loader *l, const char *stem,
                                         const char *leaf, unsigned rank,
                                         const uint64_t *shape);
/* Its values as new f32 host memory (bs_free), or NULL. */
float *bs_loader_values(struct bs_loader *l, const char *stem, const char *leaf,
                        unsigned rank, const uint64_t *shape) BS_CHECKED;

/* New device memory with n floats of the host. */
int bs_loader_put(struct bs_loader *l, struct bs_mem *m, const float *host,
                  size_t n) BS_CHECKED;

/* The device's error, to the loader's. */
int bs_loader_failed(struct bs_loader *l);

/* ---- what it loads --------------------------------------------------------
 */

/* A vector of n values. */
int bs_load_vector(struct bs_loader *l, struct bs_mem *m, const char *stem,
                   const char *leaf, size_t n) BS_CHECKED;

/* STEM.weight and STEM.bias, of k values. */
int bs_load_norm(struct bs_loader *l, struct bs_norm *n, const char *stem,
                 size_t k) BS_CHECKED;

/* STEM.weight [n, k], or [n, k, 1, 1] as 1 x 1 convolutions have it, and
 * STEM.bias [n] where `bias`. */
int bs_load_linear(struct bs_loader *l, struct bs_linear *m, const char *stem,
                   size_t n, size_t k, bool bias) BS_CHECKED;

/* `count` (at most 3) of them, each [n, k], one below the other: one product
 * gives all. */
int bs_load_stacked(struct bs_loader *l, struct bs_linear *m,
                    const char *const *stems, size_t count, size_t n, size_t k,
                    bool bias) BS_CHECKED;

/* STEM.weight [out, in, side, side], and STEM.bias [out] where `bias`. */
int bs_load_convolution(struct bs_loader *l, struct bs_convolution *c,
                        const char *stem, const struct bs_conv_shape *shape,
                        bool bias) BS_CHECKED;

#endif
