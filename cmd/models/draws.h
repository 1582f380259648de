/*
 * draws.h - normal numbers drawn one after the other, as from a torch.Generator
 * on the device that a user of diffusers had.
 */
#ifndef BS_MODELS_DRAWS_H
#define BS_MODELS_DRAWS_H

#include "common/bs.h"
#include "kernels/noise.h"

enum bs_draws_kind {
    BS_DRAWS_CPU,     /* torch.Generator("cpu"), float32 */
    BS_DRAWS_CPU_F16, /* the same with dtype float16 */
    BS_DRAWS_CUDA     /* torch.Generator("cuda"), float32 */
};
/* "torch-cpu", "torch-cpu-f16", "torch-cuda", NULL */
extern const char *const bs_draws_names[];

enum { BS_DRAWS_CUDA_MAX = 270336 }; /* values of one draw, see noise.h */

/* A generator and how far it has come; may be copied. */
struct bs_draws {
    enum bs_draws_kind kind;
    uint64_t seed;
    uint32_t drawn;
    struct bs_noise cpu;
};

void bs_draws_seed(struct bs_draws *d, enum bs_draws_kind kind, uint64_t seed);

/* The next torch.randn(n). */
void bs_draws_next(struct bs_draws *d, float *out, size_t n);

#endif
