"""Hold bs-sae encode and decode against overcomplete at the size of the papers.

usage: sae.py [--concepts 32000] [--width 768] [--tokens 2000] BS-SAE

Random autoencoders; tokens with a few columns far larger than the others, as
features of DINOv2 have.  Every line must hold: the same concepts but where the
reference's own values lie within 1e-5 (relative) of the least one chosen, the
values within 1e-5 (relative), the decoded tokens within 1e-5 of the largest.
"""
import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
from safetensors.numpy import save_file

from bs_stream import records

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f'{ROOT}/golden')
from sae_reference import make, write_model  # noqa: E402


def tokens(count, width, rng):
    x = rng.standard_normal((count, width)).astype(np.float32)
    x[:, 13 % width] *= 20
    x[:, 400 % width] += 30
    return x


def dense(record, count, concepts):
    """Codes of a record as a matrix."""
    z = np.zeros((count, concepts), np.float32)
    if 'ptr' in record:
        rows = np.repeat(np.arange(count), np.diff(record['ptr'].astype(np.int64)))
        z[rows, record['idx']] = record['val']
    else:
        rows = np.repeat(np.arange(count), record['idx'].shape[1]).reshape(record['idx'].shape)
        used = record['val'] > 0
        z[rows[used], record['idx'][used]] = record['val'][used]
    return z


def bs(args, *command):
    done = subprocess.run([args.sae, *command], check=True, stdout=subprocess.PIPE)
    return records(done.stdout)[0][2]


def check(args, kind, k, tau, seed, work):
    rng = np.random.default_rng(seed)
    sae, arrays, meta = make(kind, args.concepts, args.width, k, tau, seed)
    x = tokens(args.tokens, args.width, rng)
    write_model(f'{work}/model.safetensors', arrays, meta)
    save_file({'x': x}, f'{work}/x.safetensors')
    with torch.no_grad():
        want = sae.encode(torch.from_numpy(x))[1].numpy()
    with open(f'{work}/codes.bs', 'wb') as f:
        subprocess.run([args.sae, 'encode', '-m', f'{work}/model.safetensors', '--dtype=f32',
                        f'{work}/x.safetensors'], check=True, stdout=f)
    with open(f'{work}/codes.bs', 'rb') as f:
        got = dense(records(f.read())[0][2], args.tokens, args.concepts)
    with torch.no_grad():
        back = sae.decode(torch.from_numpy(got)).numpy()
    y = bs(args, 'decode', '-m', f'{work}/model.safetensors', '--dtype=f32', f'{work}/codes.bs')['x']
    both = (got > 0) & (want > 0)
    value = np.abs(got[both] / want[both] - 1).max()
    # One side only: it must lie as close to the least that was chosen as rounding allows.
    least = np.where(want > 0, want, np.inf).min(1) if kind == 'topk' else np.full(len(x), tau)
    rows, cols = np.nonzero((got > 0) != (want > 0))
    apart = np.abs(np.maximum(got, want)[rows, cols] / least[rows] - 1).max(initial=0)
    decoded = np.abs(y - back).max() / np.abs(back).max()
    good = bool(value <= 1e-5 and apart <= 1e-5 and decoded <= 1e-5 and both.any())
    print(f'{kind:10s} {both.sum() / len(x):8.2f} {value:10.2e} {len(rows):8d} {apart:10.2e} {decoded:10.2e}'
          f'  {"ok" if good else "FAILED"}', flush=True)
    return good


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--concepts', type=int, default=32000)
    p.add_argument('--width', type=int, default=768)
    p.add_argument('--tokens', type=int, default=2000)
    p.add_argument('sae')
    args = p.parse_args()
    print(f'{"model":10s} {"codes":>8s} {"values":>10s} {"differ":>8s} {"by":>10s} {"decoded":>10s}')
    good = True
    with tempfile.TemporaryDirectory() as work:
        for kind, k, tau, seed in (('topk', 5, 0, 1), ('topk', 64, 0, 2), ('batchtopk', 5, 4.5, 3),
                                   ('layernorm', 5, 3.5, 4)):
            good &= check(args, kind, k, tau, seed, work)
    return 0 if good else 1


sys.exit(main())
