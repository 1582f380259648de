"""Make tests/golden/energy: three small streams of codes, and what NumPy, SciPy and statsmodels say of them."""
import os
import sys

import numpy as np
from safetensors.numpy import save

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), 'parity')]
from bs_stream import write_stream  # noqa: E402
from energy_reference import concept_table, contrast, exact_p, pair_rows, pooled, q_values, random_codes  # noqa: E402

OUT = os.path.join(HERE, 'energy')
CONCEPTS, RECORDS = 50, 24
os.makedirs(OUT, exist_ok=True)
rng = np.random.default_rng(11)
keys = {n: [f'set/{i:03d}' for i in rng.permutation(RECORDS)] for n in ('real', 'a', 'b')}
keys['a'] = keys['a'][:-3] + ['extra/1', 'extra/2']
keys['b'] = keys['b'][:-1]
codes = {}
for name, shift in (('real', 0), ('a', 1), ('b', 2)):
    idx, val = codes[name] = random_codes(rng, len(keys[name]), 9, 4, CONCEPTS, shift)
    write_stream(f'{OUT}/{name}.bs', {'bs.kind': 'code', 'concepts': str(CONCEPTS)},
                 [(key, {'grid': '2x4', 'prefix': '1', 'caption': f'picture {key}'}, {'idx': idx[i], 'val': val[i]})
                  for i, key in enumerate(keys[name])])
energy = {n: pooled(*c, CONCEPTS, 'sum', 0) for n, c in codes.items()}


def shared(*names):
    both = sorted(set.intersection(*(set(keys[n]) for n in names)))
    return both, [energy[n][0][[keys[n].index(k) for k in both]] for n in names]


want = {}
for form, T in (('relative', 0.4), ('raw', 0.8)):
    for name in ('a', 'b'):
        both, (x, y) = shared('real', name)
        table = concept_table(x, y, form, T, 'delta', 0.95)
        table['p'] = exact_p(y - x)
        table['p_max'] = np.full(CONCEPTS, np.nan)  # by random flips: bounds only
        for column, values in table.items():
            want[f'{form}.{name}.{column}'] = values
        if form == 'raw':
            l2, mean, top, diff = pair_rows(x, y, 3)
            want |= {f'{name}.l2': l2, f'{name}.mean': mean, f'{name}.top_diff': diff}
    _, (x, a, b) = shared('real', 'a', 'b')
    for column, values in contrast(x, a, b, form, T, 0.95).items():
        want[f'{form}.a/b.{column}'] = values
    want[f'{form}.a/b.p'] = exact_p(a - b)
# Procedures of many tests, on p-values with ties.
p = np.round(rng.random(40) ** 3, 2)
want |= {'p': p, 'bh': q_values(p, p >= 0, 'fdr_bh'), 'by': q_values(p, p >= 0, 'fdr_by')}
with open(f'{OUT}/want.safetensors', 'wb') as f:
    f.write(save({k: np.ascontiguousarray(v, np.float64) for k, v in want.items()}))
