"""Make tests/golden/cooc: two small streams of codes, and what NumPy and SciPy say of their co-activation."""
import os
import sys

import numpy as np
from safetensors.numpy import save

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), 'parity')]
from bs_stream import write_stream  # noqa: E402
from cooc_reference import (MEASURES, alignment, changes, curve, gram, measures, partners, rows_of,  # noqa: E402
                            spectrum)
from energy_reference import random_codes  # noqa: E402

OUT = os.path.join(HERE, 'cooc')
CONCEPTS, RECORDS, TAU = 24, 30, [0, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1]
PARTNERS, SUPPORT, CHANGES, VECTORS = 5, 2, 20, 10
os.makedirs(OUT, exist_ok=True)
rng = np.random.default_rng(7)
keys = {n: [f'set/{i:03d}' for i in rng.permutation(RECORDS)] for n in ('real', 'gen')}
keys['gen'] = keys['gen'][:-2] + ['extra/1']
both = sorted(set(keys['real']) & set(keys['gen']))
codes = {}
for name, shift in (('real', 0), ('gen', 1)):
    idx, val = codes[name] = random_codes(rng, len(keys[name]), 10, 4, CONCEPTS, shift)
    write_stream(f'{OUT}/{name}.bs', {'bs.kind': 'code', 'concepts': str(CONCEPTS)},
                 [(key, {'grid': '3x3', 'prefix': '1'}, {'idx': idx[i], 'val': val[i]})
                  for i, key in enumerate(keys[name])])
want = {'tau': TAU}
lines = {}


def text(v):
    return '' if v is None else str(int(v)) if float(v) == int(v) and abs(v) < 2 ** 53 else repr(float(v))


def listed(name, columns, rows):
    lines.setdefault(name, ['stream\t' + columns.replace(' ', '\t')])
    lines[name] += ['\t'.join([row[0], *(v if isinstance(v, str) else text(v) for v in row[1:])]) for row in rows]


def lists(name, s, base):
    """The lines of bs-cooc --list, of tokens."""
    g, n, m = s['g'], s['n'], s['m']
    idx, _, base_value = partners(m['cosine'], n, SUPPORT, PARTNERS, base and base['m']['cosine'])
    listed('partners', 'concept rank partner cosine count lift jaccard base',
           [(name, i, r + 1, j, m['cosine'][i, j], n[i, j], m['lift'][i, j], m['jaccard'][i, j],
             base_value[i, r] if base else None) for i in range(CONCEPTS) for r, j in enumerate(idx[i]) if j >= 0])
    c = curve(g / s['rows'], TAU, base and base['g'] / base['rows'])
    more = ('shared', 'nonshared', 'jaccard', 'pairs_shared', 'pairs_nonshared', 'pairs_jaccard')
    listed('curve', 'tau l0 pairs ' + ' '.join(more),
           [(name, t, c['l0'][i], c['pairs'][i],
             *(None if not base else 'nan' if np.isnan(c[k][i]) else c[k][i] for k in more)) for i, t in enumerate(TAU)])
    listed('spectrum', 'rank value share',
           [(name, i + 1, v, v * s['rows'] / np.trace(g)) for i, v in enumerate(s['value'])])
    if base:
        cosine, angle, overlap = alignment(base['vector'], s['vector'])
        listed('alignment', 'rank angle overlap same best best_cosine',
               [(name, i + 1, angle[i], overlap[i], cosine[i, i], cosine[i].argmax() + 1, cosine[i].max())
                for i in range(len(angle))])
        for side, rows in zip(('lost', 'gained'),
                              changes(m['cosine'], n, base['m']['cosine'], base['n'], SUPPORT, CHANGES)):
            listed('changes', 'side rank i j cosine base_cosine count base_count',
                   [(name, side, r + 1, *row) for r, row in enumerate(rows)])


for granularity in ('token', 'image'):
    side = {}
    for name in ('real', 'gen'):
        at = [keys[name].index(k) for k in both]
        z = rows_of(codes[name][0][at], codes[name][1][at], CONCEPTS, granularity)
        g, n = gram(z)
        m = measures(g, n, len(z))
        value, vector = spectrum(g, len(z), VECTORS)
        side[name] = dict(rows=len(z), g=g, n=n, m=m, value=value, vector=vector)
        s, real, to = side[name], side['real'], f'{granularity}.{name}.'
        base = real if name == 'gen' else None
        want |= {to + 'sum': g, to + 'count': n, to + 'rows': [len(z)], to + 'mean': z.sum(0) / 2 ** 24 / len(z),
                 to + 'value': value, to + 'vector': vector}
        for k, v in curve(g / len(z), TAU, base and base['g'] / base['rows']).items():
            want[to + k] = v
        for k in MEASURES:
            want |= dict(zip((f'{to}{k}.idx', f'{to}{k}.value', f'{to}{k}.base'),
                             partners(m[k], n, SUPPORT, PARTNERS, base and base['m'][k])))
        if base:
            want |= dict(zip((to + 'lost', to + 'gained'),
                             changes(m['cosine'], n, base['m']['cosine'], base['n'], SUPPORT, CHANGES)))
            want |= dict(zip((to + 'alignment', to + 'angle', to + 'overlap'), alignment(base['vector'], vector)))
        if granularity == 'token':
            lists(name, s, base)
for name, rows in lines.items():
    with open(f'{OUT}/{name}.tsv', 'w') as f:
        f.write('\n'.join(rows) + '\n')

# What must be refused: values, and parts whose rows are not such as bs-cooc makes them.
HEAD = {'bs.kind': 'code', 'concepts': str(CONCEPTS)}
IDX = np.array([[3], [3]], np.uint16)
for name, val in (('nan', np.array([[1], [np.nan]], np.float16)), ('infinite', np.array([[np.inf], [1]], np.float16)),
                  ('large', np.array([[1], [65536]], np.float32)), ('sum', np.array([[40000], [40000]], np.float16))):
    write_stream(f'{OUT}/bad-{name}.bs', HEAD, [('set/000', {}, {'idx': IDX, 'val': val})])
write_stream(f'{OUT}/many.bs', HEAD | {'concepts': '4194304'},
             [('set/000', {}, {'idx': np.array([[4194303, 7]], np.uint32), 'val': np.array([[2, 1]], np.float16)})])
idx, val = codes['gen']
write_stream(f'{OUT}/early.bs', HEAD, [(k, {}, {'idx': idx[i], 'val': val[i]}) for i, k in enumerate(keys['gen'][:9])],
             status='partial')
PART = {'bs.kind': 'cooc', 'partial': '1', 'concepts': str(CONCEPTS), 'granularity': 'token', 'scope': 'all',
        'pool': 'sum', 'streams': '["real","gen"]'}


def part(name, columns, length, tokens='2', number='0', head=PART):
    entry = np.array([c << 40 | 1 << 24 for c in columns], np.uint64)
    write_stream(f'{OUT}/{name}.bs', head, [('set/000', {'table': 'rows', 'set': number, 'tokens': tokens},
                                             {'entry': entry, 'len': np.array(length, np.uint32)})])


part('bad-part-order', [5, 4], [2])
part('bad-part-range', [5, CONCEPTS], [2])
part('bad-part-len', [4, 5, 6], [2])
part('bad-part-empty', [4, 5], [2, 0])
part('bad-part-long', [4, 5], [1, 2])
part('bad-part-rows', [4, 5, 6], [1, 1, 1])
part('bad-part-set', [4, 5], [2], number='2')
part('bad-part-tokens', [4, 5], [2], tokens='0')
part('bad-part-pool', [4, 5], [2], head=PART | {'pool': 'median'})
part('bad-part-streams', [4, 5], [2], head=PART | {'streams': '["a/b"]'})
# Results that bs-cooc --list must refuse.
RESULT = {'bs.kind': 'cooc', 'concepts': '3', 'streams': '["real"]'}
FIRES = np.array([2, 2, 1], np.uint64)
CONCEPT = ('real/concept', {'table': 'concept', 'stream': 'real', 'rows': '4'},
           {'fires': FIRES, 'mean': np.ones(3), 'square': np.ones(3)})


def result(name, partner, value=(3, 1), meta={'table': 'partners', 'stream': 'real', 'measure': 'cosine'},
           concept=CONCEPT):
    idx = np.array([[partner], [0], [0]], np.uint32)
    write_stream(f'{OUT}/bad-list-{name}.bs', RESULT,
                 [concept, ('real/partners/cosine', meta, {'idx': idx, 'count': np.ones((3, 1), np.uint32),
                                                           'value': np.ones(value), 'sum': np.ones(value)})])


result('partner', 3)
result('shape', 1, value=(3, 2))
result('stream', 1, meta={'table': 'partners', 'measure': 'cosine'})
result('concepts', 1, concept=(CONCEPT[0], CONCEPT[1] | {'stream': 'gen'}, CONCEPT[2]))
result('fires', 1, concept=(*CONCEPT[:2], CONCEPT[2] | {'fires': FIRES[:2]}))
result('rows', 1, concept=(CONCEPT[0], {'table': 'concept', 'stream': 'real'}, CONCEPT[2]))
with open(f'{OUT}/want.safetensors', 'wb') as f:
    f.write(save({k: np.ascontiguousarray(v, np.float64) for k, v in want.items()}))
