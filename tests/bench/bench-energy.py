"""Seconds and memory of bs-energy and bs-cooc on 2 x 10,000 images of 261 tokens with 10 codes each.

usage: bench-energy.py [--images 10000] [--concepts 32000] BUILD

Random codes: an image draws its tokens' concepts from 1,500 of its own, frequent
ones more often, as features of photographs do.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'parity'))
from bs_stream import write_stream  # noqa: E402

TOKENS, PLACES, OWN = 261, 10, 1500


def images(seed, count, concepts):
    rng = np.random.default_rng(seed)
    weight = 1 / np.arange(1, concepts + 1) ** 0.7
    cumulative = np.cumsum(weight / weight.sum())
    for i in range(count):
        own = np.unique(np.searchsorted(cumulative, rng.random(OWN)).clip(0, concepts - 1))
        rng.shuffle(own)
        start = rng.integers(0, len(own), TOKENS)
        idx = own[(start[:, None] + np.arange(PLACES) * 7) % len(own)]
        val = -np.sort(-(0.83 + rng.exponential(1, (TOKENS, PLACES))), 1).astype(np.float16)
        order = np.lexsort((idx, -val), axis=1)  # equal values by concept
        yield (f'image/{i:06d}', {'grid': '16x16', 'prefix': '5'},
               {'idx': np.take_along_axis(idx, order, 1).astype(np.uint16),
                'val': np.take_along_axis(val, order, 1)})


def run(name, command):
    """Seconds, and the most memory as the system saw it while it ran."""
    start, most = time.perf_counter(), 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            with open(f'/proc/{process.pid}/status') as status:
                most = max([most] + [int(line.split()[1]) for line in status if line.startswith('VmHWM')])
            time.sleep(0.02)
    seconds = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f'{name}: exit {process.returncode}')
    print(f'{name:12s} {seconds:8.1f} s {most / 1024:8.0f} MiB', flush=True)
    return seconds


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--images', type=int, default=10000)
    p.add_argument('--concepts', type=int, default=32000)
    p.add_argument('build')
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as work:
        for seed, name in ((1, 'real'), (2, 'gen')):
            write_stream(f'{work}/{name}.bs', {'bs.kind': 'code', 'concepts': str(args.concepts)},
                         images(seed, args.images, args.concepts))
        inputs = [f'{work}/real.bs', f'{work}/gen.bs']
        total = run('bs-energy', [f'{args.build}/bs-energy', *inputs])
        total += run('bs-cooc', [f'{args.build}/bs-cooc', *inputs])
        print(f'{"together":12s} {total:8.1f} s')


main()
