"""Seconds of the exact matching of two dictionaries beside SciPy's.

usage: bench-sae-eval.py [--width 768] [--most 8000] BS-SAE

Two seeds: most atoms come again, changed.  SciPy is timed with the product that makes its costs; both must find the
same mean.  The last lines are sizes of which SciPy's costs do not fit in memory: there the bound is shown.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
from scipy.optimize import linear_sum_assignment

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f'{ROOT}/golden')
from sae_reference import write_model  # noqa: E402


def dictionaries(n, width):
    rng = np.random.default_rng(n)
    spectrum = 1 + 10 / (1 + np.arange(width) % 97)
    own = (rng.standard_normal((n, width)) * spectrum + 0.3).astype(np.float32)
    other = (rng.standard_normal((n, width)) * spectrum + 0.3).astype(np.float32)
    again = rng.permutation(n)[:n * 7 // 10]
    other[again] = own[again[::-1]] + rng.uniform(0, 1.5, (len(again), 1)).astype(np.float32) * other[again]
    return [a / np.linalg.norm(a, axis=1, keepdims=True) for a in (own, other)]


def scipy_seconds(own, other):
    start = time.perf_counter()
    c = own @ other.T
    mean = c[linear_sum_assignment(c, maximize=True)].mean()
    return time.perf_counter() - start, float(mean)


def bs_seconds(sae, own, other, work):
    for name, d in (('own', own), ('other', other)):
        write_model(f'{work}/{name}.safetensors', {'enc_w': d, 'dec_w': d},
                    {'bs.sae': '1', 'select': 'topk', 'k': '1', 'name': name})
    start = time.perf_counter()
    out = subprocess.run([sae, 'eval', '-m', f'{work}/own.safetensors', '-a', f'{work}/other.safetensors',
                          '--metrics=stability,stability_gap', '-f', 'jsonl'], check=True, stdout=subprocess.PIPE)
    seconds = time.perf_counter() - start
    rows = {r['metric']: r['value'] for r in map(json.loads, out.stdout.splitlines())}
    return seconds, rows['stability'], rows['stability_gap']


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--width', type=int, default=768)
    p.add_argument('--most', type=int, default=8000)
    p.add_argument('sae')
    args = p.parse_args()
    print(f'{"atoms":>6s} {"SciPy s":>9s} {"bs s":>9s} {"ratio":>7s} {"mean":>10s} {"differs":>9s} {"bound":>9s}')
    for n in (1000, 2000, 4000, 8000, 16000, 32000):
        own, other = dictionaries(n, args.width)
        peer, want = scipy_seconds(own, other) if n <= args.most else (np.nan, np.nan)
        with tempfile.TemporaryDirectory() as work:
            ours, mean, gap = bs_seconds(args.sae, own, other, work)
        print(f'{n:6d} {peer:9.2f} {ours:9.2f} {peer / ours:7.2f} {mean:10.6f} {abs(mean - want):9.1e} {gap:9.1e}',
              flush=True)


main()
