"""Print the cases of tests/kernels/k-noise.c: digests of torch.randn."""
import numpy as np
import torch

SIZES = [[16], [17], [31], [100], [4 * 64 * 64], [4 * 96 * 96 + 3], [1], [15], [5, 4],
         [5, 16, 4], [15, 16, 3, 7]]


def fnv(data):
    h = 0xcbf29ce484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return h


def cases(dtype, seeds):
    for seed in seeds:
        for sizes in SIZES:
            g = torch.Generator().manual_seed(seed)
            x = np.concatenate([torch.randn(n, generator=g, dtype=dtype).float().numpy()
                                for n in sizes])
            print(f'    {{{seed}u, {{{", ".join(map(str, sizes))}}}, {fnv(x.tobytes()):#x}}},')


print('cases')
cases(torch.float32, (0, 42, 2**32 - 1, 2**40 + 5))
print('half_cases')
cases(torch.float16, (0, 2**40 + 5))
