/*
 * k-noise.c - normal random numbers against PyTorch's bits: digests of draws
 * with torch 1.13 (f32) and 2.15 (Linux, x86-64), tails, small draws, call
 * sequences.
 */
#include "kernels/noise.h"

#include <math.h>

#include "common/mem.h"
#include "tests/unit/tap.h"

/* FNV-1a of the bytes. */
static uint64_t
digest(const float *x, size_t n)
{
    const uint8_t *b = (const uint8_t *)x;
    uint64_t h = 0xcbf29ce484222325;
    size_t i;

    for (i = 0; i < n * sizeof *x; i++)
        h = (h ^ b[i]) * 0x100000001b3;
    return h;
}

/* The sizes, ended by 0, drawn one after another from one generator. */
struct draws {
    uint64_t seed;
    size_t sizes[5];
    uint64_t want;
};

static const struct draws cases[] = {
    {0u, {16}, 0x28d49f8f92bf21d6},
    {0u, {17}, 0x9151e09be6bcf07a},
    {0u, {31}, 0x3e39671abab4a234},
    {0u, {100}, 0x6b680134d3d69e1b},
    {0u, {16384}, 0xdf763936577cac18},
    {0u, {36867}, 0x2ca640db71c0216c},
    {0u, {1}, 0x1877733c12d64cbc},
    {0u, {15}, 0x52b8f3bcc098f4b9},
    {0u, {5, 4}, 0xf16ace5ea251889d},
    {0u, {5, 16, 4}, 0x9f5c0fa8f6680bfc},
    {0u, {15, 16, 3, 7}, 0x5ec96e373679682b},
    {42u, {16}, 0x80ffa5fbeb15154},
    {42u, {17}, 0x91ae8bd790a50356},
    {42u, {31}, 0xbcc1254f5a30e3c3},
    {42u, {100}, 0x7ea02704af7a98a3},
    {42u, {16384}, 0xa6f589a085841b88},
    {42u, {36867}, 0xdf710c81c4e13510},
    {42u, {1}, 0x339a81d29fc978d3},
    {42u, {15}, 0x4c7fdcb26081ae6b},
    {42u, {5, 4}, 0xb0a1e83153807af3},
    {42u, {5, 16, 4}, 0xd484508c03737ca2},
    {42u, {15, 16, 3, 7}, 0xeca49f96272af48c},
    {4294967295u, {16}, 0x1808b97ae710776a},
    {4294967295u, {17}, 0xc48ad8ea8d0160dc},
    {4294967295u, {31}, 0x141242328393e1db},
    {4294967295u, {100}, 0x7fa61a90f48724aa},
    {4294967295u, {16384}, 0xd7c751cb2b476594},
    {4294967295u, {36867}, 0x6d1b1bf3132240c9},
    {4294967295u, {1}, 0x9b4a0a0b8016c1cd},
    {4294967295u, {15}, 0xc620850571f7f360},
    {4294967295u, {5, 4}, 0xb31da4f73123dd41},
    {4294967295u, {5, 16, 4}, 0x3603ca27e4ae954e},
    {4294967295u, {15, 16, 3, 7}, 0xdd4ddfd7e9ee3551},
    {1099511627781u, {16}, 0x3c61a7c281fb0730},
    {1099511627781u, {17}, 0x41fad463f58112d2},
    {1099511627781u, {31}, 0x39dbe9c6f5d1d00f},
    {1099511627781u, {100}, 0x821693f9a621b93a},
    {1099511627781u, {16384}, 0x17f08c8fb9675489},
    {1099511627781u, {36867}, 0xe975731e44547b92},
    {1099511627781u, {1}, 0x98e5cffa3bb28dc7},
    {1099511627781u, {15}, 0x2ba446d6f6e8dcbb},
    {1099511627781u, {5, 4}, 0xda205ebe1e83dec7},
    {1099511627781u, {5, 16, 4}, 0xdd7a592fcec4821c},
    {1099511627781u, {15, 16, 3, 7}, 0x78c52c43e5ec0d31},
};

/* The same of float16. */
static const struct draws half_cases[] = {
    {0u, {16}, 0xd2d4e0a16af4da79},
    {0u, {17}, 0x812fc551d4c03c63},
    {0u, {31}, 0xc9f4a029033adfb5},
    {0u, {100}, 0x3dba596759f027fa},
    {0u, {16384}, 0xe6e4fc491174514f},
    {0u, {36867}, 0x2d59e37f3b746d0d},
    {0u, {1}, 0x2542077e65ea04e5},
    {0u, {15}, 0xc6364f2e62bfcbef},
    {0u, {5, 4}, 0xd6d7b1843b9841dd},
    {0u, {5, 16, 4}, 0x64b33f91abeada03},
    {0u, {15, 16, 3, 7}, 0x45248d27e9bddb2a},
    {1099511627781u, {16}, 0xcd8de013722367f7},
    {1099511627781u, {17}, 0x1fe15f5231e01c71},
    {1099511627781u, {31}, 0xfa6bed063ae46e50},
    {1099511627781u, {100}, 0xea11fafc156ea52a},
    {1099511627781u, {16384}, 0xb00751d5a7cdff26},
    {1099511627781u, {36867}, 0x3da19a63849707dc},
    {1099511627781u, {1}, 0x24fe867e65b10fe6},
    {1099511627781u, {15}, 0x1a5b90ead7019929},
    {1099511627781u, {5, 4}, 0x429ec3e4fcca2808},
    {1099511627781u, {5, 16, 4}, 0x52dab0fcd4d97e6f},
    {1099511627781u, {15, 16, 3, 7}, 0x8d2fe05c685bbf9f},
};

static void
sequences(const struct draws *c, size_t count, const char *type,
          void (*draw)(struct bs_noise *, float *, size_t))
{
    static float out[1 << 17];
    size_t i, j, n;

    for (i = 0; i < count; i++) {
        struct bs_noise g;

        bs_noise_seed(&g, c[i].seed);
        for (n = j = 0; c[i].sizes[j] > 0; j++) {
            draw(&g, out + n, c[i].sizes[j]);
            n += c[i].sizes[j];
        }
        ok(digest(out, n) == c[i].want,
           "%s, seed %ju, %zu numbers in %zu draws", type, (uintmax_t)c[i].seed,
           n, j);
    }
}

/* torch.randn(8, device="cuda") after manual_seed(0), as printed. */
static void
on_the_gpu(void)
{
    static const float want[] = {-0.9247f, -0.4253f, -2.6438f, 0.1452f,
                                 -0.1209f, -0.5797f, -0.6229f, -0.3284f};
    float out[BS_LEN(want)];
    size_t i;
    int good = 1;

    bs_noise_cuda(0, 0, out, BS_LEN(out));
    for (i = 0; i < BS_LEN(want); i++)
        good &= fabsf(out[i] - want[i]) <= 5.1e-5f;
    ok(good, "the GPU's first numbers");
}

int
main(void)
{
    sequences(cases, BS_LEN(cases), "f32", bs_noise_f32);
    sequences(half_cases, BS_LEN(half_cases), "f16", bs_noise_f16);
    on_the_gpu();
    return tap_done();
}
