/*
 * noise.h - normal random numbers bit-equal to PyTorch's, for the latents of
 * diffusion models.
 *
 * Two generators.  The CPU's is mt19937 with a Box-Muller transform whose
 * logarithm, sine and cosine are polynomials; which bits come out depends on
 * how they are fused, and these are those of the x86-64 Linux builds (checked
 * with 1.13 and 2.15).  The GPU's is Philox4x32-10, one counter an element.
 */
#ifndef BS_KERNELS_NOISE_H
#define BS_KERNELS_NOISE_H

#include "common/bs.h"

/* torch.Generator("cpu"), of which normal numbers are drawn. */
struct bs_noise {
    uint32_t state[624]; /* private, as is all of it */
    unsigned next;
    double kept; /* the second number of a pair drawn for n < 16 */
    bool has_kept;
};

/* generator.manual_seed(seed): only the low 32 bits count. */
void bs_noise_seed(struct bs_noise *g, uint64_t seed);

/* torch.randn(n, generator=g), float32.  Exact. */
void bs_noise_f32(struct bs_noise *g, float *out, size_t n);
/* The same with dtype=torch.float16, as floats, for torch 2.15 (1.13 drew
 * others): those of float32, rounded, but where n is no multiple of 16. */
void bs_noise_f16(struct bs_noise *g, float *out, size_t n);

/*
 * torch.randn(n, generator=torch.Generator("cuda"), device="cuda"), float32,
 * for the draw numbered `draw` (0 is the first after seeding), n <= 270,336 (a
 * larger draw depends on the GPU's size).  Philox's whole numbers are exact,
 * the normal ones within 3 units in the last place of the formula; a GPU's
 * logarithm and sine have roundings of their own.
 */
void bs_noise_cuda(uint64_t seed, uint32_t draw, float *out, size_t n);

#endif
