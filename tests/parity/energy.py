"""Hold bs-energy against NumPy, SciPy and statsmodels on random codes.

usage: energy.py [--records 200] [--concepts 400] BS-ENERGY

Every column of every table must be within 1e-9; p-values of up to 14
differences are compared with all sign flips, and q-values with statsmodels'
of the same p-values.
"""
import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np

from bs_stream import records as read_records
from bs_stream import write_stream

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f'{ROOT}/golden')
from energy_reference import (concept_table, contrast, exact_p, pair_rows, pooled, q_values,  # noqa: E402
                              random_codes)

TOKENS, PLACES, PREFIX = 21, 6, 5


def make(work, name, rng, keys, concepts, shift):
    idx, val = random_codes(rng, len(keys), TOKENS, PLACES, concepts, shift)
    write_stream(f'{work}/{name}.bs', {'bs.kind': 'code', 'concepts': str(concepts)},
                 [(key, {'grid': '4x4', 'prefix': str(PREFIX), 'caption': f'picture {key}'},
                   {'idx': idx[i], 'val': val[i]}) for i, key in enumerate(keys)])
    return idx, val


def worst(got, want):
    """Largest difference, relative to 1 or the value; infinite where only one is NaN."""
    if (np.isnan(got) != np.isnan(want)).any():
        return np.inf
    with np.errstate(invalid='ignore'):
        return float(np.nanmax(np.abs(got - want) / np.maximum(1, np.abs(want)), initial=0))


def compare(args, work, keys, codes, pool, scope, form, T, interval):
    stream = subprocess.run([args.energy, f'--pool={pool}', f'--scope={scope}', f'--form={form}', f'-t{T}',
                             f'--interval={interval}', '-q', '--top=5', f'{work}/real.bs', f'{work}/a.bs',
                             f'{work}/b.bs'], check=True, stdout=subprocess.PIPE).stdout
    tables = read_records(stream)
    got = {(meta['table'], key): arrays for key, meta, arrays in tables}
    energy = {}
    for name, (idx, val) in codes.items():
        first, last = {'all': (0, TOKENS), 'patch': (PREFIX, TOKENS), 'cls': (0, 1)}[scope]
        energy[name] = pooled(idx[:, :last], val[:, :last], args.concepts, pool, first)
    bad = 0
    most = {}
    shared = {}
    for name in ('a', 'b'):
        both = sorted(set(keys['real']) & set(keys[name]))
        x = energy['real'][0][[keys['real'].index(k) for k in both]]
        y = energy[name][0][[keys[name].index(k) for k in both]]
        fx = energy['real'][1][[keys['real'].index(k) for k in both]]
        fy = energy[name][1][[keys[name].index(k) for k in both]]
        want = concept_table(x, y, form, T, interval, 0.95)
        want |= dict(real_tokens=fx.sum(0), gen_tokens=fy.sum(0), real_images=(fx > 0).sum(0),
                     gen_images=(fy > 0).sum(0))
        table = got['concept', name]
        if pool == 'mean':  # ours are multiples of 2^-40
            want['bound'] = 1e-9
        p = exact_p(y - x) if pool != 'mean' else np.full(args.concepts, np.nan)
        known = ~np.isnan(p)
        most['p'] = max(most.get('p', 0), worst(table['p'][known], p[known]))
        tested = (fx > 0).sum(0) + (fy > 0).sum(0) > 0
        for q, method in (('q', 'fdr_bh'), ('q_by', 'fdr_by')):
            want[q] = q_values(table['p'], tested, method)
        for column, values in want.items():
            if column != 'bound':
                most[column] = max(most.get(column, 0), worst(table[column].astype(float), values))
        l2, mean, top, diff = pair_rows(x, y, 5)
        m = 'ab'.index(name)
        for i, k in enumerate(both):
            row = got['pair', k]
            most['l2'] = max(most.get('l2', 0), worst(row['l2'][m:m + 1], l2[i:i + 1]))
            most['mean'] = max(most.get('mean', 0), worst(row['mean'][m:m + 1], mean[i:i + 1]))
            most['top_diff'] = max(most.get('top_diff', 0), worst(row['top_diff'][m], diff[i]))
            filled = row['top_idx'][m] != 2 ** 32 - 1
            bad += bool((row['top_idx'][m][filled] != top[i][filled]).any()) and pool != 'mean'
        shared[name] = both
    both = sorted(set(shared['a']) & set(shared['b']))
    x, a, b = (energy[n][0][[keys[n].index(k) for k in both]] for n in ('real', 'a', 'b'))
    for column, values in contrast(x, a, b, form, T, 0.95).items():
        most['contrast ' + column] = worst(got['contrast', 'a/b'][column], values)
    if pool != 'mean':
        p = exact_p(a - b)
        known = ~np.isnan(p)
        most['contrast p'] = worst(got['contrast', 'a/b']['p'][known], p[known])
    name, value = max(most.items(), key=lambda item: item[1])
    good = value <= 1e-9 and not bad
    print(f'{pool:5s} {scope:6s} {form:9s} {T:4.1f} {interval:10s} {len(most):3d} columns, worst {value:8.1e} ({name})'
          f'  {"ok" if good else "FAILED"}', flush=True)
    return good


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--records', type=int, default=120)
    p.add_argument('--concepts', type=int, default=300)
    p.add_argument('energy')
    args = p.parse_args()
    rng = np.random.default_rng(5)
    keys = {n: [f'set/{i:04d}' for i in rng.permutation(args.records)] for n in ('real', 'a', 'b')}
    keys['a'] = keys['a'][:-7] + ['extra/1', 'extra/2']
    keys['b'] = keys['b'][:-3]
    good = True
    with tempfile.TemporaryDirectory() as work:
        codes = {n: make(work, n, rng, keys[n], args.concepts, s) for n, s in (('real', 0), ('a', 1), ('b', 2))}
        for pool in ('sum', 'mean', 'max'):
            for scope in ('all', 'patch', 'cls'):
                for form, T in (('relative', 0.4), ('raw', 0.8)):
                    for interval in ('delta', 'bernstein', 'mcdiarmid'):
                        if interval == 'delta' or scope == 'all':
                            good &= compare(args, work, keys, codes, pool, scope, form, T, interval)
    return 0 if good else 1


sys.exit(main())
