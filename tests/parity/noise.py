#!/usr/bin/env python3
"""Hold normal random numbers against torch, a million and more of each kind.

    noise.py build/release/tests/parity/normals

torch.Generator("cpu"), float32 and float16: equal to the bit, in draws of one
and of many numbers.  torch.Generator("cuda"): the whole numbers that Philox
gives are those of PyTorch's own header, compiled here; the normal numbers made
of them are within 3 units in the last place of curand's formula in float64; and
where there is a GPU, they are held against what it draws.
"""
import os
import random
import subprocess
import sys
import tempfile

import numpy as np
import torch

FAILED = []
SEEDS = [0, 42, 2 ** 32 - 1, 2 ** 40 + 5, 2 ** 63 + 12345]
CUDA_MAX = 270336

PHILOX = r'''
#include <ATen/core/PhiloxRNGEngine.h>
#include <cstdio>
#include <cstdlib>
int main(int, char **v)
{
    uint64_t seed = strtoull(v[1], 0, 10), draw, n;
    while (scanf("%lu %lu", &draw, &n) == 2)
        for (uint64_t i = 0; i < n; i++) {
            at::Philox4_32 g(seed, i, draw);
            uint32_t x[2];
            x[0] = g();
            x[1] = g();
            fwrite(x, 4, 2, stdout);
        }
}
'''


def report(what, good, said):
    if not good:
        FAILED.append(what)
    print(f'{"ok  " if good else "FAIL"} {what}: {said}', flush=True)


def ours(driver, kind, seed, sizes):
    text = ' '.join(map(str, sizes)).encode()
    out = subprocess.run([driver, kind, str(seed)], input=text, check=True,
                         stdout=subprocess.PIPE).stdout
    return np.frombuffer(out, np.float32)


def generator(seed, device='cpu'):
    # from 2^63 on manual_seed wants the negative number of the same bits
    seed = seed - 2 ** 64 if seed >= 2 ** 63 else seed
    return torch.Generator(device).manual_seed(seed)


def plans():
    rng = random.Random(1)
    many = []
    while sum(many) < 200000:
        many.append(rng.choice([1, 3, 15, 16, 17, 31, 100, 4096, 36867]))
    return {'one draw': [1000000], 'latents': [4 * 64 * 64] * 62,
            'draws of all sizes': many}


def check_cpu(driver, kind, dtype):
    for what, sizes in plans().items():
        total = differ = 0
        for seed in SEEDS:
            g = generator(seed)
            want = torch.cat([torch.randn(n, generator=g, dtype=dtype)
                              for n in sizes]).float().numpy()
            got = ours(driver, kind, seed, sizes)
            total += len(want)
            differ += np.count_nonzero(got.view(np.uint32) !=
                                       want.view(np.uint32))
        report(f'{kind}, {what}', differ == 0,
               f'{differ} of {total} numbers differ')


def compile_philox(folder):
    include = os.path.join(os.path.dirname(torch.__file__), 'include')
    with open(f'{folder}/philox.cpp', 'w') as f:
        f.write(PHILOX)
    subprocess.run([os.environ.get('CXX', 'c++'), '-std=c++20', '-O2', '-w',
                    f'-I{include}', '-o', f'{folder}/philox',
                    f'{folder}/philox.cpp'], check=True)
    return f'{folder}/philox'


def curand_normal(x):
    """The first of a pair; its arguments as float32, the rest in float64."""
    inv = np.float32(2.3283064e-10)
    u = x[:, 0].astype(np.float32) * inv + inv / np.float32(2)
    turn = inv * np.float32(6.2831855)
    v = x[:, 1].astype(np.float32) * turn + turn / np.float32(2)
    radius = np.sqrt(-2 * np.log(u.astype(np.float64)))
    return radius * np.sin(v.astype(np.float64))


def check_cuda(driver, folder):
    program = compile_philox(folder)
    sizes = [16384] * 8 + [CUDA_MAX, 9216, 1]
    total, worst = 0, 0.0
    for seed in SEEDS:
        text = ' '.join(f'{d} {n}' for d, n in enumerate(sizes)).encode()
        x = np.frombuffer(subprocess.run([program, str(seed)], input=text,
                                         check=True,
                                         stdout=subprocess.PIPE).stdout,
                          np.uint32).reshape(-1, 2)
        want = curand_normal(x)
        got = ours(driver, 'torch-cuda', seed, sizes).astype(np.float64)
        unit = np.spacing(np.abs(want).astype(np.float32)).astype(np.float64)
        worst = max(worst, float(np.max(np.abs(got - want) / unit)))
        total += len(want)
    report("torch-cuda, from the Philox of PyTorch's header", worst <= 3,
           f'{total} numbers within {worst:.2f} units in the last place')
    if not torch.cuda.is_available():
        print('# no GPU: its own draws were not compared')
        return
    for seed in SEEDS:
        g = generator(seed, 'cuda')
        want = torch.cat([torch.randn(n, generator=g, device='cuda')
                          for n in sizes]).cpu().numpy()
        got = ours(driver, 'torch-cuda', seed, sizes)
        off = float(np.abs(got - want).max())
        report(f'torch-cuda, seed {seed}, on the GPU', off <= 2e-6,
               f'off by {off:.1e}')


def main():
    driver = sys.argv[1]
    check_cpu(driver, 'torch-cpu', torch.float32)
    check_cpu(driver, 'torch-cpu-f16', torch.float16)
    with tempfile.TemporaryDirectory() as folder:
        check_cuda(driver, folder)
    sys.exit(f'{len(FAILED)} lines failed' if FAILED else 0)


main()
