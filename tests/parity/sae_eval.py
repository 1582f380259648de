"""Hold bs-sae eval against overcomplete, SciPy and NumPy.

usage: sae_eval.py [--concepts 32000] [--width 768] [--tokens 1000] [--atoms 3000] BS-SAE

Metrics of features and of the dictionary at the size of the papers.  Those that need all pairs of concepts or atoms
in memory are compared at --atoms: co-activation as overcomplete has it, and matchings with SciPy's
linear_sum_assignment, for dictionaries of several kinds.  At the size of the papers co-activation is compared with
sparse matrices, and the matching where the best one is known beforehand.  Every line must hold.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
import torch
from safetensors.numpy import save_file

from bs_stream import records

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f'{ROOT}/golden')
import sae_eval_reference as reference  # noqa: E402
from sae_reference import codes, make, write_model  # noqa: E402

good = True


def report(args, *options):
    """{metric: value} of a run."""
    out = subprocess.run([args.sae, 'eval', '-f', 'jsonl', *options], check=True, stdout=subprocess.PIPE, text=True)
    rows = (json.loads(row) for row in out.stdout.splitlines())
    return {row['metric']: float('nan') if row['value'] is None else row['value'] for row in rows}


def compare(name, got, want, tolerance):
    """All that is wanted is there, within the tolerance of 1 or its size."""
    global good
    off = {m: abs(got[m] - float(w)) / max(1, abs(float(w))) for m, w in want.items()}
    worst = max(off, key=lambda m: off[m] if off[m] == off[m] else np.inf)
    holds = bool(off[worst] <= tolerance)
    good &= holds
    print(f'{name:44s} {len(want):3d} metrics, worst {off[worst]:8.1e} ({worst})  {"ok" if holds else "FAILED"}',
          flush=True)


def write_dictionary(path, d):
    d = np.ascontiguousarray(d, np.float32)
    write_model(path, {'enc_w': d, 'dec_w': d}, {'bs.sae': '1', 'select': 'topk', 'k': '1', 'name': 'test'})


def sparse_coactivation(z, d):
    z = scipy.sparse.csr_array(z.astype(np.float64))
    g = (z.T @ z).tocoo()
    d = d.astype(np.float64)
    dots = np.concatenate([np.einsum('ij,ij->i', d[a], d[b]) for a, b in zip(
        np.array_split(g.row, 200), np.array_split(g.col, 200))])
    negative = scipy.sparse.coo_array((np.maximum(-g.data * dots, 0), (g.row, g.col)), g.shape).tocsr()
    return {
        'pairs': (g.nnz - np.count_nonzero(g.row == g.col)) // 2,
        'connectivity': 1 - g.nnz / g.shape[0] ** 2,
        'interference_frobenius': np.sqrt((negative.data ** 2).sum()),
        'interference_spectral': scipy.sparse.linalg.eigsh(negative, k=1, which='LA', v0=np.ones(len(d)),
                                                           return_eigenvectors=False, tol=1e-13)[0],
    }


def coherence(d):
    """By blocks: the largest cosine of two atoms, in float64."""
    unit = d.astype(np.float64) / np.linalg.norm(d.astype(np.float64), axis=1, keepdims=True)
    most = 0
    for i in range(0, len(unit), 1000):
        c = np.abs(unit[i:i + 1000] @ unit[i:].T)
        c[np.arange(len(c)), np.arange(len(c))] = 0
        most = max(most, c.max())
    return most


def own_codes(args, z, y, d, work):
    """The codes of bs-sae encode, which parity-sae compares: a code that is the threshold but for rounding may be there
    or not."""
    out = subprocess.run([args.sae, 'encode', '-m', f'{work}/model.safetensors', '--dtype=f32',
                          f'{work}/x.safetensors'], check=True, stdout=subprocess.PIPE)
    record = records(out.stdout)[0][2]
    ours = np.zeros_like(z)
    rows = np.repeat(np.arange(len(z)), np.diff(record['ptr'].astype(np.int64)))
    ours[rows, record['idx']] = record['val']
    differ = (ours > 0) != (z > 0)
    assert differ.sum() <= 1e-3 * (z > 0).sum() and np.abs(ours - z)[~differ].max() <= 1e-4 * z.max()
    return ours, (torch.from_numpy(ours) @ torch.from_numpy(d)).numpy()


def check_features(args, kind, k, tau, work):
    sae, arrays, meta = make(kind, args.concepts, args.width, k, tau, 3)
    x = reference.tokens(args.tokens, args.width, np.random.default_rng(4))
    write_model(f'{work}/model.safetensors', arrays, meta)
    save_file({'x': x}, f'{work}/x.safetensors')
    z, y = codes(sae, x)
    if kind != 'topk':
        z, y = own_codes(args, z, y, arrays['dec_w'], work)
    got = report(args, '-m', f'{work}/model.safetensors', f'{work}/x.safetensors')
    want = reference.of_features(x, z, y, arrays['dec_w'])
    want.pop('energy')
    name = f'{kind}, {args.width} x {args.concepts}'
    compare(f'features: {name}', got, want, 1e-5)
    compare(f'co-activation: {name}', got, sparse_coactivation(z, arrays['dec_w']), 1e-5)
    compare(f'out of distribution: {name}', got, {'ood': reference.ood(arrays['dec_w'], x)}, 1e-6)
    return arrays['dec_w'], got


def check_dictionary(d, got):
    s = np.linalg.svd(d.astype(np.float64), compute_uv=False)
    share = s / s.sum()
    want = {'stable_rank': (s ** 2).sum() / s[0] ** 2, 'effective_rank': np.exp(-(share * np.log(share)).sum()),
            'coherence': coherence(d)}
    compare(f'dictionary: {d.shape[1]} x {d.shape[0]}', got, want, 1e-9)


def check_coactivation(args, work):
    sae, arrays, meta = make('topk', args.atoms, args.width, 16, 0, 5)
    x = reference.tokens(args.tokens, args.width, np.random.default_rng(6))
    write_model(f'{work}/model.safetensors', arrays, meta)
    save_file({'x': x}, f'{work}/x.safetensors')
    got = report(args, '-m', f'{work}/model.safetensors', '--metrics=coactivation', f'{work}/x.safetensors')
    want = reference.coactivation(codes(sae, x)[0], arrays['dec_w'], spectral=False)
    compare(f'co-activation: overcomplete, {args.atoms} concepts', got, want, 1e-5)


def dictionaries(kind, n, m, width, rng):
    """Two dictionaries: of n and m atoms."""
    if kind == 'independent':
        return rng.standard_normal((n, width)), rng.standard_normal((m, width))
    if kind == 'hubs':  # a common direction, of any strength
        return [rng.standard_normal((c, width)) + 2 * np.abs(rng.standard_normal((c, 1))) for c in (n, m)]
    if kind == 'clusters':
        centre = rng.standard_normal((50, width))
        return [centre[rng.integers(0, 50, c)] + 0.3 * rng.standard_normal((c, width)) + 1 for c in (n, m)]
    # two seeds: most atoms come again, more or less changed, some with another sign
    spectrum = 1 + 10 / (1 + np.arange(width) % 97)
    own = rng.standard_normal((n, width)) * spectrum + 0.3
    other = rng.standard_normal((m, width)) * spectrum + 0.3
    again = rng.permutation(min(n, m))[:min(n, m) * 7 // 10]
    noise = rng.uniform(0, 1.5, (len(again), 1))
    other[again] = own[again[::-1]] * np.where(rng.random((len(again), 1)) < 0.1, -1, 1) + noise * other[again]
    return own, other


def check_match(args, kind, n, m, work):
    own, other = (np.asarray(a, np.float32) for a in dictionaries(kind, n, m, args.width, np.random.default_rng(7)))
    write_dictionary(f'{work}/own.safetensors', own)
    write_dictionary(f'{work}/other.safetensors', other)
    got = report(args, '-m', f'{work}/own.safetensors', '-a', f'{work}/other.safetensors', '--metrics=match')
    want = reference.match(own, other) | {'stability_gap': 0, 'stability_signed_gap': 0}
    compare(f'match: {kind}, {n} and {m} atoms', got, want, 1e-9)
    if n == m and kind == 'seeds':
        compare('match: as overcomplete has it', got, {'stability': reference.hungarian(own, other)}, 1e-9)


def check_planted(args, work):
    """Where every atom's nearest has it for its own nearest, that is the best matching."""
    rng = np.random.default_rng(8)
    own = rng.standard_normal((args.concepts, args.width)).astype(np.float32)
    order = rng.permutation(args.concepts)
    other = (own[order] + 0.5 * rng.standard_normal(own.shape)).astype(np.float32)
    write_dictionary(f'{work}/own.safetensors', own)
    write_dictionary(f'{work}/other.safetensors', other)
    unit = [torch.from_numpy(a / np.linalg.norm(a, axis=1, keepdims=True)) for a in (own, other)]
    rows, cols = torch.full((args.concepts,), -2.0), torch.full((args.concepts,), -2.0)
    for i in range(0, args.concepts, 2000):
        c = unit[0][i:i + 2000] @ unit[1].T
        rows[i:i + 2000] = c.max(1).values
        cols = torch.maximum(cols, c.max(0).values)
    planted = np.einsum('ij,ij->i', own[order].astype(np.float64), other.astype(np.float64))
    planted /= np.linalg.norm(own[order].astype(np.float64), axis=1) * np.linalg.norm(other.astype(np.float64), axis=1)
    assert np.abs(rows.numpy()[order] - planted).max() < 1e-5 and np.abs(cols.numpy() - planted).max() < 1e-5
    got = report(args, '-m', f'{work}/own.safetensors', '-a', f'{work}/other.safetensors', '--metrics=match')
    want = {'stability': planted.mean(), 'stability_signed': planted.mean(), 'stability_gap': 0,
            'stability_signed_gap': 0, 'max_cosine': planted.max(), 'mean_max_cosine': planted.mean()}
    compare(f'match: planted, {args.concepts} atoms', got, want, 1e-9)


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--concepts', type=int, default=32000)
    p.add_argument('--width', type=int, default=768)
    p.add_argument('--tokens', type=int, default=1000)
    p.add_argument('--atoms', type=int, default=3000)
    p.add_argument('sae')
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as work:
        check_coactivation(args, work)
        for kind in ('independent', 'seeds', 'hubs', 'clusters'):
            check_match(args, kind, args.atoms, args.atoms, work)
        check_match(args, 'seeds', args.atoms, args.atoms * 4 // 3, work)
        check_match(args, 'hubs', args.atoms, args.atoms * 2 // 3, work)
        d, got = check_features(args, 'topk', 32, 0, work)
        check_dictionary(d, got)
        check_features(args, 'layernorm', 5, 3.5, work)
        check_planted(args, work)
    return 0 if good else 1


sys.exit(main())
