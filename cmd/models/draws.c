/*
 * draws.c - see draws.h.
 */
#include "cmd/models/draws.h"

#include "common/dtype.h"

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

static void
round_to_half(float *x, size_t n)
{
    uint16_t half[256];

    while (n > 0) {
        size_t part = n < BS_LEN(half) ? n : BS_LEN(half);

        bs_from_f32(half, BS_DTYPE_F16, x, part);
        bs_to_f32(x, BS_DTYPE_F16, half, part);
        x += part;
        n -= part;
    }
}

void
bs_draws_next(struct bs_draws *d, float *out, size_t n)
{
    if (d->kind == BS_DRAWS_CUDA)
        bs_noise_cuda(d->seed, d->drawn, out, n);
    else
        bs_noise_f32(&d->cpu, out, n);
    if (d->kind == BS_DRAWS_CPU_F16)
        round_to_half(out, n);
    d->drawn++;
}
