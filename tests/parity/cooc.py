"""Hold bs-cooc against NumPy and SciPy on random codes.

usage: cooc.py [--records 60] [--concepts 300] [--images 300] BS-COOC

Small and dense, in every mode: counts, sums and curves must be equal, the other
tables within 1e-12, eigenvalues within 1e-10 of the largest.  Then at the real
size, 32,000 concepts and 261 tokens an image: elements of the matrix equal to
SciPy's exact sparse products, 100 eigenvalues within 1e-9 of eigsh's.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import LinearOperator, eigsh

from bs_stream import records as read_records
from bs_stream import write_stream

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f'{ROOT}/golden')
from cooc_reference import (MEASURES, UNIT, alignment, changes, curve, gram, measures, partners,  # noqa: E402
                            rows_of, spectrum)
from energy_reference import random_codes  # noqa: E402

TOKENS, PLACES, PREFIX = 21, 6, 5
TAU = [0, 1e-4, 1e-3, 0.003, 0.01, 0.03, 0.1, 0.3]


def run(args, *options):
    done = subprocess.run([args.cooc, '-q', *options], check=True, stdout=subprocess.PIPE)
    return {key: (meta, arrays) for key, meta, arrays in read_records(done.stdout)}


def matrix(tables, label, concepts):
    """(counts, sums) of a stream, whole, as sparse matrices."""
    at, rows, columns, count, total = 0, [], [], [], []
    while at < concepts:
        meta, t = tables[f'{label}/matrix/{at:08d}']
        rows.append(np.repeat(np.arange(at, int(meta['last']) + 1), np.diff(t['ptr'].astype(np.int64))))
        columns.append(t['idx'])
        count.append(t['count'])
        total.append(t['sum'])
        at = int(meta['last']) + 1
    i, j, n, s = (np.concatenate(x) for x in (rows, columns, count, total))
    if (i > j).any():
        raise SystemExit('an element below the diagonal')
    shape = (concepts, concepts)
    return tuple(sparse.coo_matrix((x, (i, j)), shape).tocsr() for x in (n.astype(np.int64), s))


def worst(got, want):
    """Largest difference, relative to 1 or the value; infinite where only one is NaN."""
    got, want = np.asarray(got, float), np.asarray(want, float)
    if got.shape != want.shape or (np.isnan(got) != np.isnan(want)).any():
        return np.inf
    with np.errstate(invalid='ignore'):
        return float(np.nanmax(np.abs(got - want) / np.maximum(1, np.abs(want)), initial=0))


class Report:
    def __init__(self):
        self.good, self.most = True, {}

    def hold(self, what, got, want, tolerance):
        value = worst(got, want)
        self.most[what] = max(self.most.get(what, 0), value)
        if not value <= tolerance:
            self.good = False
            print(f'{what}: {value:.1e}, more than {tolerance:.0e}')

    def line(self, title):
        name, value = max(self.most.items(), key=lambda item: item[1])
        print(f'{title}: {len(self.most)} tables, worst {value:.1e} ({name})  {"ok" if self.good else "FAILED"}',
              flush=True)
        good, self.good, self.most = self.good, True, {}
        return good


# ---- small and dense --------------------------------------------------------


def hold_stream(report, tables, label, s, base, config, concepts):
    g, n = s['g'], s['n']
    count, total = matrix(tables, label, concepts)
    report.hold('matrix count', count.toarray(), np.triu(n), 0)
    report.hold('matrix sum', total.toarray(), np.triu(g), 0)
    concept = tables[f'{label}/concept'][1]
    report.hold('fires', concept['fires'], np.diag(n), 0)
    report.hold('mean', concept['mean'], s['z'].sum(0) * UNIT / s['rows'], 1e-14)
    report.hold('square', concept['square'], np.diag(g) / s['rows'], 1e-14)

    def held(x):
        return {'energy': x['g'] / x['rows'], 'count': x['n'] / x['rows'], 'cosine': x['m']['cosine']}[config['curve']]

    want = curve(held(s), TAU, held(base) if base else None)
    for name, values in tables[f'{label}/curve'][1].items():
        if name != 'tau':
            report.hold(name, values, want[name], 1e-15 if values.dtype.kind == 'f' else 0)
    for name in MEASURES:
        got = tables[f'{label}/partners/{name}'][1]
        idx, value, base_value = partners(s['m'][name], n, config['support'], 7, base and base['m'][name])
        report.hold('partners', got['idx'].astype(np.int64), np.where(idx < 0, 2 ** 32 - 1, idx), 0)
        report.hold(name, got['value'], value, 1e-15)
        if base:
            report.hold(f'base {name}', got['base'], base_value, 1e-15)
    if base:
        for side, want in zip(('lost', 'gained'), changes(s['m']['cosine'], n, base['m']['cosine'], base['n'],
                                                          config['support'], 50)):
            got = tables[f'{label}/{side}'][1]
            got = np.array([got[c] for c in ('i', 'j', 'cosine', 'base_cosine', 'count', 'base_count')], float).T
            report.hold(side, got, want, 1e-15)
    value, vector = spectrum(g, s['rows'], config['vectors'])
    got = tables[f'{label}/spectrum'][1]
    s['vector'] = got['vector']
    report.hold('found', len(got['value']), len(value), 0)
    report.hold('value', got['value'] / value[0], value / value[0], 1e-10)
    report.hold('share', got['share'], value * s['rows'] / np.trace(g), 1e-10)
    if len(got['value']) == len(value):
        v = got['vector']
        report.hold('orthonormal', v @ v.T, np.eye(len(v)), 1e-10)
        residual = np.linalg.norm(v @ (g / s['rows']) - got['value'][:, None] * v, axis=1)
        report.hold('residual', got['residual'] / value[0], residual / value[0], 1e-13)
        report.hold('residual small', residual / value, np.zeros(len(v)), 1e-8)
    if base:
        got = tables[f'{label}/alignment'][1]
        for name, want in zip(('cosine', 'angle', 'overlap'), alignment(base['vector'], s['vector'])):
            report.hold(f'alignment {name}', got[name], want, 1e-9)


def small(args, report, work):
    rng = np.random.default_rng(5)
    names = ('real', 'a', 'b')
    keys = {n: [f'set/{i:04d}' for i in rng.permutation(args.records)] for n in names}
    keys['a'] = keys['a'][:-4] + ['extra/1', 'extra/2']
    codes = {}
    for shift, name in enumerate(names):
        codes[name] = idx, val = random_codes(rng, len(keys[name]), TOKENS, PLACES, args.concepts, shift)
        write_stream(f'{work}/{name}.bs', {'bs.kind': 'code', 'concepts': str(args.concepts)},
                     [(key, {'grid': '4x4', 'prefix': str(PREFIX)}, {'idx': idx[i], 'val': val[i]})
                      for i, key in enumerate(keys[name])])
    good = True
    for granularity, scope, pool, held, support, paired in (
            ('token', 'all', 'sum', 'energy', 1, True), ('token', 'patch', 'sum', 'count', 3, True),
            ('token', 'cls', 'sum', 'cosine', 2, False), ('image', 'all', 'sum', 'energy', 2, True),
            ('image', 'patch', 'max', 'cosine', 1, False), ('image', 'all', 'max', 'count', 4, True)):
        config = dict(curve=held, support=support, vectors=40)
        tables = run(args, f'--granularity={granularity}', f'--scope={scope}', f'--pool={pool}', f'--curve={held}',
                     '--tau=' + ','.join(map(str, TAU)), f'--support={support}', '--partners=7', '--changes=50',
                     '--vectors=40', *([] if paired else ['--unpaired']), *(f'{work}/{n}.bs' for n in names))
        first, last = {'all': (0, None), 'patch': (PREFIX, None), 'cls': (0, 1)}[scope]
        both = sorted(set.intersection(*map(set, keys.values())))
        base = None
        for name in names:
            at = [keys[name].index(k) for k in (both if paired else sorted(keys[name]))]
            z = rows_of(codes[name][0][at], codes[name][1][at], args.concepts, granularity, pool, first, last)
            g, n = gram(z)
            s = dict(z=z, rows=len(z), g=g, n=n, m=measures(g, n, len(z)))
            hold_stream(report, tables, name, s, base, config, args.concepts)
            base = base or s
        good &= report.line(f'{granularity:5s} {scope:5s} {pool} {held:6s} support {support}'
                            f'{"" if paired else " unpaired"}')
    return good


# ---- the real size ----------------------------------------------------------


def photographs(seed, count, concepts):
    """Codes of images that have a few hundred concepts each, frequent ones more often, in groups."""
    rng = np.random.default_rng(seed)
    group = rng.permutation(concepts).reshape(-1, 20)
    weight = 1 / np.arange(1, len(group) + 1) ** 0.8
    for i in range(count):
        own = group[rng.choice(len(group), 30, p=weight / weight.sum(), replace=False)]
        shown = own[rng.integers(0, 30, (261, 1)), np.argsort(rng.random((261, 20)), 1)[:, :10]]
        val = -np.sort(-(0.83 + rng.exponential(1, (261, 10))), 1).astype(np.float16)
        order = np.lexsort((shown, -val), axis=1)
        yield (f'image/{i:06d}', {'grid': '16x16', 'prefix': '5'},
               {'idx': np.take_along_axis(shown, order, 1).astype(np.uint16), 'val': np.take_along_axis(val, order, 1)})


def load(path):
    """Z of a stream of codes in units, sparse."""
    with open(path, 'rb') as f:
        found = read_records(f.read())
    idx, val = (np.concatenate([a[n] for _, _, a in found]) for n in ('idx', 'val'))
    units = np.rint(val.astype(np.float64) / UNIT).astype(np.int64)
    return sparse.csr_matrix((units.ravel(), idx.astype(np.int64).ravel(), np.arange(0, idx.size + 1, idx.shape[1])),
                             (len(idx), 32000))


def exact_products(z):
    """(high, low) int64 with Z^T Z = high 2^24 + low, for units below 2^32 and not too many rows."""
    def part(f):
        x = z.copy()
        x.data = f(x.data)
        return x
    high, low = part(lambda d: d >> 12), part(lambda d: d & 4095)
    cross = (high.T @ low).tocsr()
    return (high.T @ high).tocsr(), (cross + cross.T).tocsr(), (low.T @ low).tocsr()


def large(args, report, work):
    for seed, name in ((1, 'real'), (2, 'gen')):
        write_stream(f'{work}/{name}.bs', {'bs.kind': 'code', 'concepts': '32000'},
                     photographs(seed, args.images, 32000))
    tables = run(args, f'{work}/real.bs', f'{work}/gen.bs')
    vectors = []
    for name in ('real', 'gen'):
        z = load(f'{work}/{name}.bs')
        count, total = matrix(tables, name, 32000)
        on = z.copy()
        on.data = np.ones_like(on.data)
        report.hold('matrix count', abs(count - sparse.triu((on.T @ on).tocsr(), format='csr')).max(), 0, 0)
        hh, cross, ll = exact_products(z)
        i, j = count.nonzero()
        pick = np.random.default_rng(3).choice(len(i), min(len(i), 200000), replace=False)
        i, j = i[pick], j[pick]
        want = [((int(a) << 24) + (int(b) << 12) + int(c)) for a, b, c in
                zip(*(np.asarray(x[i, j]).ravel() for x in (hh, cross, ll)))]
        report.hold('matrix sum', np.asarray(total[i, j]).ravel(), np.array([float(w) for w in want]) * UNIT ** 2, 0)
        f = z.astype(float) * UNIT
        rows = z.shape[0]
        value, _ = eigsh(LinearOperator((32000, 32000), matvec=lambda x: f.T @ (f @ x) / rows, dtype=float), 100,
                         ncv=400, v0=np.ones(32000))
        got = tables[f'{name}/spectrum'][1]
        v = got['vector']
        vectors.append(v)
        report.hold('100 values', got['value'] / value.max(), np.sort(value)[::-1] / value.max(), 1e-9)
        residual = np.linalg.norm((f.T @ (f @ v.T) / rows).T - got['value'][:, None] * v, axis=1)
        report.hold('residual', residual / got['value'], np.zeros(100), 2e-9)
        report.hold('orthonormal', v @ v.T, np.eye(100), 1e-11)
    got = tables['gen/alignment'][1]
    report.hold('alignment', got['cosine'], np.abs(vectors[0] @ vectors[1].T), 1e-12)
    report.hold('angles', got['angle'], linalg.subspace_angles(vectors[0].T, vectors[1].T)[::-1], 1e-9)
    return report.line(f'32,000 concepts, 2 x {args.images} images, products '
                       + json.dumps([int(tables[f'{n}/spectrum'][0]['products']) for n in ('real', 'gen')]))


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--records', type=int, default=60)
    p.add_argument('--concepts', type=int, default=300)
    p.add_argument('--images', type=int, default=300)
    p.add_argument('cooc')
    args = p.parse_args()
    report = Report()
    with tempfile.TemporaryDirectory() as work:
        good = small(args, report, work)
        good &= large(args, report, work)
    return 0 if good else 1


sys.exit(main())
