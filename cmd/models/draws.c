/*
 * draws.c - see draws.h.
 */
#include "cmd/models/draws.h"

const char *const bs_draws_names[] = {"torch-cpu", "torch-cpu-f16",
                                      "torch-cuda", NULL};

void
bs_draws_seed(struct bs_draws *d, enum bs_draws_kind kind, uint64_t seed)
{
    d->kind = kind;
    d->seed = seed;
    d->drawn = 0;
    if (kind != BS_DRAWS_CUDA)
        bs_noise_seed(&d->cpu, seed);
}

void
bs_draws_next(struct bs_draws *d, float *out, size_t n)
{
    if (d->kind == BS_DRAWS_CUDA)
        bs_noise_cuda(d->seed, d->drawn, out, n);
    else if (d->kind == BS_DRAWS_CPU_F16)
        bs_noise_f16(&d->cpu, out, n);
    else
        bs_noise_f32(&d->cpu, out, n);
    d->drawn++;
}
