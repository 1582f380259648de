"""Training steps against overcomplete on PyTorch: the same weights, batches and options.

    python sae_train.py build/release/tests/parity/train-steps [--steps N] [CASE...]

Losses must agree to 1e-5 (relative), dictionaries to 1e-4, and the codes of the last step must be the same
but for ties within 1e-5.
"""
import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../golden'))
from sae_reference import write_model  # noqa: E402
from sae_train_reference import build, case, model_meta, snapshot, tokens, train  # noqa: E402

SIZE = dict(concepts=4096, width=768, batch=512, steps=100, k=5, points=4096, warmup=10, rate=5e-4, rate_end=1e-6,
            decay=1e-5, delta=1.0, dead_tokens=5120, aux_k=256)
CASES = {
    'topk': {},
    'plain': dict(dictionary='plain', clip=0.0),
    'batchtopk': dict(select='batchtopk'),
    'archetypal': dict(dictionary='archetypal', aux_kind='reanimate', aux=1e-3),
    'archetypal-batchtopk': dict(dictionary='archetypal', select='batchtopk', multiplier=0),
    'layernorm': dict(layer_norm=1),
    'layernorm-reanimate': dict(layer_norm=1, select='batchtopk', dictionary='archetypal', aux_kind='reanimate',
                                aux=1e-3),
    'reanimate-sum': dict(aux_kind='reanimate-sum', aux=1e-6),
    'unit': dict(dictionary='unit', pre_bias=1, loss='fvu'),
    'auxk': dict(dictionary='unit', pre_bias=1, loss='fvu', aux_kind='auxk', aux=1 / 32, dead_tokens=1),
}


def relative(got, want):
    return float(np.max(np.abs(got - want) / np.maximum(np.abs(want), 1e-12)))


def differing(codes, want):
    """Codes that one side has and the other has not, of a value that is not within 1e-5 of the least kept."""
    ptr, idx, val = codes['ptr'].astype(np.int64), codes['idx'], codes['val']
    got = np.zeros_like(want)
    got[np.repeat(np.arange(len(want)), np.diff(ptr)), idx] = val
    rows, cols = np.nonzero((got > 0) != (want > 0))
    off = np.abs(got - want).max(where=(got > 0) & (want > 0), initial=0)
    least = np.where(want > 0, want, np.inf).min(1)
    ties = np.abs(np.maximum(got, want)[rows, cols] - least[rows]) <= 1e-5
    return len(rows), int((~ties).sum()), float(off)


def compare(name, program, options):
    o = case(**(SIZE | options))
    model = build(o)
    x = tokens(o, o['steps'] * o['batch'])
    with tempfile.TemporaryDirectory() as folder:
        arrays = snapshot(model)
        write_model(f'{folder}/model', {n: a for n, a in arrays.items() if n != 'ra_m'}, model_meta(o, arrays))
        save_file({'x': x.numpy()}, f'{folder}/case', {n: str(v) for n, v in o.items()})
        want, tau, codes = train(model, o, x, keep=[o['steps'] - 1])
        run = subprocess.run([program, f'{folder}/model', f'{folder}/case', f'{folder}/out'], stdout=subprocess.PIPE,
                             text=True, check=True)
        got = np.array([[float(v) for v in line.split()] for line in run.stdout.splitlines()])
        ours = load_file(f'{folder}/out')
        ties, others, values = differing(load_file(f'{folder}/out.codes'), codes[o['steps'] - 1])
    final = snapshot(model)
    losses = relative(got[:, 0], want[:, 0])
    norms = relative(got[:, 3], want[:, 3])
    far = {n: float(np.abs(ours[n] - final[n]).max()) for n in ours}
    good = losses <= 1e-5 and far['dec_w'] <= 1e-4 and others == 0 and values <= 1e-4
    print(f'{"ok" if good else "FAILED":6} {name:22} loss {want[0, 0]:.4f} -> {want[-1, 0]:.4f}, relative '
          f'{losses:.1e}; norm {norms:.1e}; r2 {want[-1, 4]:.3f} {np.abs(got[:, 4] - want[:, 4]).max():.0e}; '
          f'codes {ties} differ, {others} not by a tie, values {values:.0e}; ' + ', '.join(f'{n} {v:.0e}' for n, v in far.items()), flush=True)
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('program')
    parser.add_argument('cases', nargs='*')
    for name in ('steps', 'concepts', 'width', 'batch', 'points'):
        parser.add_argument(f'--{name}', type=int, default=SIZE[name])
    args = parser.parse_args()
    for name in ('steps', 'concepts', 'width', 'batch', 'points'):
        SIZE[name] = getattr(args, name)
    results = [compare(name, args.program, options) for name, options in CASES.items()
               if not args.cases or name in args.cases]
    sys.exit(not all(results))


torch.set_num_threads(2)
main()
