"""Make tests/golden/rank: what SciPy and statsmodels say of the numbers that tests/unit/u-rank-stats.c computes again
(stats.tsv: what, the input numbers, '=', the results); and small streams of energies and codes with the lists that
bs-rank must make of them, computed here by the definitions."""
import ctypes
import json
import os
import struct
import subprocess

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'rank')
rng = np.random.default_rng(3)
lines = []


def add(what, given, result):
    text = [' '.join(repr(float(v)) for v in numbers) for numbers in (given, result)]
    lines.append(f'{what} {text[0]} = {text[1]}')


for df in (1, 2, 9, 99, 9999):
    for t in (-3.5, -1e-3, 0, 0.7, 2, 12, 40):
        add('t', (t, df), (stats.t.sf(t, df),))
for p in (1e-12, 0.025, 0.5, 0.9, 0.975, 0.995, 1 - 1e-9):
    add('normal', (p,), (stats.norm.ppf(p),))

# statsmodels' test of pairs, given what bs-energy says of them: mean, standard error, number
for n, shift, bound in ((5, 0, 1), (40, 0.2, 0.5), (40, -0.2, 0.5), (400, 0.1, 0.2), (400, 0.3, 0.2)):
    a, b = rng.normal(size=n), rng.normal(shift, 1, size=n)
    d = b - a
    p = ttost_paired(b, a, -bound, bound)[0]
    add('tost', (d.mean(), d.std(ddof=1) / np.sqrt(n), n, bound), (p,))

for n in (1, 2, 7, 30):
    p = rng.uniform(size=n) ** 3
    p[n // 2] = p[0]
    add('bh', p, multipletests(p, method='fdr_bh')[1])

# x then y; then used, and r, lo, hi, p of Pearson and of Spearman
for n, mix, ties, level in ((2, 0.5, 0, 0.95), (3, 0.5, 0, 0.95), (4, 0.1, 0, 0.95), (12, -0.7, 1, 0.9),
                            (25, 0.9, 1, 0.99), (25, 1, 0, 0.95)):
    x = rng.normal(size=n)
    y = mix * x + (1 - abs(mix)) * rng.normal(size=n)
    if ties:
        x, y = np.round(x), np.round(y, 1)
        y[3] = np.nan
    keep = ~np.isnan(x + y)
    pearson = stats.pearsonr(x[keep], y[keep])
    spearman = stats.spearmanr(x[keep], y[keep])
    m = int(keep.sum())
    interval = pearson.confidence_interval(level)
    rho = spearman.statistic
    if m > 3 and abs(rho) < 1:
        half = stats.norm.ppf((1 + level) / 2) * np.sqrt((1 + rho**2 / 2) / (m - 3))
        lo, hi = np.tanh(np.arctanh(rho) + half * np.array([-1, 1]))
    else:
        lo, hi = (-1, 1) if m < 4 else (rho, rho)
    add('correlation', (level, *x, *y),
        (m, pearson.statistic, interval.low, interval.high, pearson.pvalue, rho, lo, hi,
         spearman.pvalue if m > 2 else 1))

os.makedirs(OUT, exist_ok=True)
with open(f'{OUT}/stats.tsv', 'w') as f:
    print(*lines, sep='\n', file=f)


# ---- streams of a small case, and what bs-rank must say of them ---------------------------------------------------

xxhash = ctypes.CDLL('libxxhash.so.0')
xxhash.XXH64.restype = ctypes.c_uint64
NAMES = {'float64': 'F64', 'float16': 'F16', 'uint64': 'U64', 'uint32': 'U32', 'uint16': 'U16', 'uint8': 'U8'}


def document(meta, arrays=()):
    spec, data, at = {'__metadata__': meta}, b'', 0
    for name, x in sorted(dict(arrays).items(), key=lambda item: (-item[1].itemsize, item[0])):
        spec[name] = {'dtype': NAMES[x.dtype.name], 'shape': list(x.shape), 'data_offsets': [at, at + x.nbytes]}
        at += x.nbytes
        data += x.tobytes()
    text = json.dumps(spec, separators=(',', ':')).encode()
    text += b' ' * (-(len(text) + 8) % 64)
    return struct.pack('<Q', len(text)) + text + data


def write(name, head, records):
    """A stream of one segment: records are (metadata, arrays)."""
    body = [document({'bs.stream': '1', **head})] + [document(*record) for record in records]
    whole = b''.join(body)
    end = {'bs.end': '1', 'bs.records': str(len(records)), 'bs.status': 'ok',
           'bs.hash': f'{xxhash.XXH64(whole, len(whole), 0):016x}'}
    with open(f'{OUT}/{name}.bs', 'wb') as out:
        for part in (whole, document(end)):
            out.write(subprocess.run(['zstd', '-qc', '-3', f'--stream-size={len(part)}'], input=part,
                                     stdout=subprocess.PIPE, check=True).stdout)


def table(name, columns, rows):
    def text(v):
        if isinstance(v, (float, np.floating)):
            v = float(v)
            return 'nan' if np.isnan(v) else next(t for t in (f'{v:.{d}g}' for d in (15, 16, 17)) if float(t) == v)
        return '' if v is None else str(v)

    with open(f'{OUT}/{name}.tsv', 'w') as out:
        for row in [columns, *rows]:
            print('\t'.join(text(v) for v in row), file=out)


# Relative differences of 12 concepts in three models: 0 and 1 wrong everywhere, 2 and 3 lacking in one (of 3 too little
# is known in the others), 4 overdone in one, 5 lacking in two, 7 dead, 8 significant nowhere, 9 on both sides.
K, N, T = 12, 400, 0.4
LABELS = ['sd15', 'sd21', 'kandinsky']
rel = np.array([[-.95, .92, -.93, -.94, .01, -.91, .2, np.nan, -.99, -.92, -.3, .1],
                [-.93, .95, .01, .02, -.02, -.95, -.1, np.nan, -.98, .93, -.2, .1],
                [-.97, .90, -.02, .03, .96, .02, .1, np.nan, -.97, .01, -.1, .3]])
rel_se = np.full((3, K), .02)
rel_se[:, 3] = .2
real = np.where(np.isnan(rel[0]), 0, rng.uniform(.1, 2, K))
concept = []
for m in range(3):
    gen = np.where(np.isnan(rel[m]), 0, real * (1 + rel[m]) / (1 - rel[m]))
    raw = gen - real
    delta = 1 / (1 + np.exp(-rel[m] / T))
    se = delta * (1 - delta) / T * rel_se[m]
    p = 2 * stats.norm.sf(np.abs(rel[m]) / rel_se[m])
    p[8], p[3] = .4, 1e-6
    known = ~np.isnan(p)
    q, q_by = np.full(K, np.nan), np.full(K, np.nan)
    q[known] = multipletests(p[known], method='fdr_bh')[1]
    q_by[known] = multipletests(p[known], method='fdr_by')[1]
    fires = np.where(np.isnan(rel[m]), 0, rng.integers(20, 300, K)).astype(np.uint64)
    fires[8] = 1
    concept.append(dict(
        real=real, gen=gen, raw=raw, rel=rel[m], raw_se=np.abs(raw) / 10 + .01, rel_se=rel_se[m], delta=delta,
        lo=delta - 1.96 * se, hi=delta + 1.96 * se, mcdiarmid=np.full(K, .2), bernstein=np.full(K, .1),
        boot_lo=delta - 2 * se, boot_hi=delta + 2 * se, p=p, q=q, q_by=q_by, p_max=np.minimum(1, p * K),
        real_tokens=fires * 9, gen_tokens=fires * 7, real_images=fires, gen_images=fires // 2))

KEYS = ['landscapes/balloons', 'landscapes/dunes', 'landscapes/mountains', 'landscapes/night', 'landscapes/sea',
        'still-life/flowers', 'still-life/fruits', 'textiles/kilim', 'textiles/knit', 'textiles/plaid', 'town/houses',
        'town/skyline']
pairs = []
for i, key in enumerate(KEYS):
    l2 = rng.uniform(1, 9, 3)
    if i in (3, 4):
        l2[0] = 5.0  # a tie, which the keys decide
    if i == 6:
        l2[1] = np.nan  # not in the second model
    top = rng.permuted(np.tile(np.arange(K, dtype=np.uint32), (3, 1)), axis=1)[:, :2]
    diff = -np.sort(-rng.uniform(0, 2, (3, 2)), axis=1) * rng.choice([-1, 1], (3, 2))
    pairs.append((key, f'caption of {key}', l2, np.where(np.isnan(l2), np.nan, .5 + l2 / 1e4), top, diff))

HEAD = {'bs.kind': 'energy', 'concepts': str(K), 'pool': 'sum', 'scope': 'all', 'form': 'relative',
        'temperature': str(T), 'interval': 'delta', 'level': '0.95', 'models': json.dumps(LABELS),
        'bs.model': json.dumps({'name': 'toy', 'sha256': 'a' * 64})}


def energies(name, head=None, models=(0, 1, 2), lacks=(), records=None):
    rows = [({'key': LABELS[m], 'table': 'concept', 'pairs': str(N), 'only_real': '3', 'only_gen': '2'},
             {k: v for k, v in concept[m].items() if k not in lacks}) for m in models]
    rows.append(({'key': 'null', 'table': 'null', 'split': '200'}, {'delta': np.full(K, .5)}))
    rows += [({'key': key, 'table': 'pair', 'caption': caption}, dict(l2=l2, mean=mean, top_idx=top, top_diff=diff))
             for key, caption, l2, mean, top, diff in pairs] if records is None else records
    write(name, {**HEAD, **(head or {})}, rows)


energies('energy')
energies('energy-one', {'models': '["sd15"]'}, (0,), records=[])
energies('energy-bare', {'models': '["sd15","sd21"]'}, (0, 1), records=[],
         lacks=('raw_se', 'rel_se', 'lo', 'hi', 'p', 'q', 'q_by', 'p_max', 'real_images', 'gen_images'))
energies('bad-missing-model', models=(0, 1))
energies('bad-partial', {'partial': '1'})
energies('bad-form', {'form': 'squared'})
energies('bad-lacks-delta', lacks=('delta',))
concept[1]['gen'] = concept[1]['gen'].copy()
good, concept[1]['gen'][5] = concept[1]['gen'][5], np.inf
energies('bad-infinite')
concept[1]['gen'][5] = good
energies('bad-pair', records=[({'key': 'x', 'table': 'pair'}, {'l2': np.zeros(2), 'mean': np.zeros(3)})])

# what must be listed, by the definitions
delta = np.array([c['delta'] for c in concept])
q = np.array([c['q'] for c in concept])


def first(rows, weight):
    return sorted(rows, key=lambda row: (-weight(row), row[0]))


def extreme(m, k):
    return abs(delta[m, k] - .5)


def select(m, test):
    return first([(k, LABELS[m]) for k in range(K) if test(m, k)], lambda row: extreme(m, row[0]))


table('suppressed', ['concept', 'model'], [row for m in range(3) for row in select(m, lambda m, k: delta[m, k] < .1)])
table('exaggerated-q', ['concept', 'model'],
      [row for m in range(3) for row in select(m, lambda m, k: delta[m, k] > .9 and q[m, k] <= .01)])
everywhere = []
for k in range(K):
    if (delta[:, k] < .1).all() or (delta[:, k] > .9).all():
        m = int(np.argmin(np.abs(delta[:, k] - .5)))
        everywhere.append((k, LABELS[m], *delta[:, k]))
table('universal', ['concept', 'model', *(f'delta@{label}' for label in LABELS)],
      first(everywhere, lambda row: extreme(LABELS.index(row[1]), row[0])))
specific = []
bound = T * np.log(.6 / .4)
for m in range(3):
    alone = [k for k in range(K) if (delta[m, k] < .1 or delta[m, k] > .9) and q[m, k] <= .05]
    others = [o for o in range(3) if o != m]
    p_eq = np.array([max(max(stats.t.sf((rel[o, k] + bound) / rel_se[o, k], N - 1),
                             stats.t.cdf((rel[o, k] - bound) / rel_se[o, k], N - 1)) for o in others) for k in alone])
    q_eq = multipletests(p_eq, method='fdr_bh')[1]
    specific += first([(k, LABELS[m], p_eq[i], q_eq[i]) for i, k in enumerate(alone) if q_eq[i] <= .05],
                      lambda row: extreme(m, row[0]))
table('specific', ['concept', 'model', 'p_eq', 'q_eq'], specific)
table('divergent', ['model', 'rank', 'key', 'l2'],
      [(label, i + 1, key, l2) for m, label in enumerate(LABELS) for i, (l2, key) in enumerate(
          sorted([(p[2][m], p[0]) for p in pairs if not np.isnan(p[2][m])], key=lambda x: (-x[0], x[1]))[:5])])
rows = []
for a in range(3):
    for b in range(a + 1, 3):
        keep = ~np.isnan(rel[a] + rel[b])
        result = stats.pearsonr(rel[a][keep], rel[b][keep])
        rank = stats.spearmanr(rel[a][keep], rel[b][keep])
        rows.append((LABELS[a], LABELS[b], int(keep.sum()), result.statistic, result.confidence_interval(.95).low,
                     result.pvalue, rank.statistic, rank.pvalue))
table('correlate', ['a', 'b', 'concepts', 'pearson', 'pearson_lo', 'pearson_p', 'spearman', 'spearman_p'], rows)

# codes: 2 tokens before 4 x 4 patches, 3 codes a token; the real side lacks one image, the generated side another
codes = {}
for side, missing in (('real', 'town/houses'), ('gen', 'textiles/knit')):
    records = []
    for key in KEYS:
        if key == missing:
            continue
        idx = np.sort(np.argsort(rng.random((18, K)), axis=1)[:, :3], axis=1).astype(np.uint16)
        val = -np.sort(-rng.choice(np.arange(1, 9) / 4, (18, 3)), axis=1).astype(np.float16)
        for t in range(18):  # equal values by index
            order = np.lexsort((idx[t], -val[t]))
            idx[t], val[t] = idx[t][order], val[t][order]
        if key == 'still-life/fruits':  # the same as the next one's: a tie of scores
            idx, val = records[-1][1]['idx'], records[-1][1]['val']
        records.append(({'key': key, 'grid': '4x4', 'prefix': '2', 'caption': f'caption of {key}'},
                        {'idx': idx, 'val': val}))
        dense = np.zeros((18, K))
        np.put_along_axis(dense, idx.astype(int), val.astype(float), axis=1)
        codes[side, key] = dense[2:].mean(axis=0)
    head = {'bs.kind': 'code', 'concepts': str(K), 'bs.model': json.dumps({'name': 'toy', 'sha256': 'a' * 64})}
    write(f'{side}.codes', head, records)
    if side == 'gen':
        write('other-dictionary.codes', {**head, 'bs.model': '{"sha256":"' + 'b' * 64 + '"}'}, records)
        write('other-concepts.codes', {**head, 'concepts': '13'}, records)
        write('many.codes', {**head, 'concepts': str(1 << 24)}, records[:1])
rows = []
for k, _ in select(0, lambda m, k: delta[m, k] < .1):
    for side, other in (('real', 'gen'), ('gen', 'real')):
        best = sorted([(-codes[s, key][k], key) for s, key in codes if s == side and codes[s, key][k] > 0])[:4]
        rows += [(k, 'sd15', side, i + 1, key, -score, codes[other, key][k] if (other, key) in codes else None,
                  f'caption of {key}') for i, (score, key) in enumerate(best)]
table('top', ['concept', 'model', 'side', 'rank', 'key', 'score', 'other', 'caption'], rows)


# ---- parts that are whole as streams and wrong as lists ----------------------------------------------------------

def part(name, key='real', **wrong):
    keys, captions = b'ab/c', 'caf\u00e9 one'.encode()
    good = dict(ptr=np.array([0, 1] + [2] * (K - 1), np.uint32), score=np.array([2.5, 1.5]), other=np.array([np.nan, 0]),
                image=np.array([0, 1], np.uint32), key_ptr=np.array([0, 1, 4], np.uint64),
                key=np.frombuffer(keys, np.uint8), caption_ptr=np.array([0, 0, 9], np.uint64),
                caption=np.frombuffer(captions, np.uint8))
    write(name, {'bs.kind': 'rank', 'partial': '1', 'concepts': str(K), 'places': '4'},
          [({'key': key, 'table': 'top'}, {k: v for k, v in {**good, **wrong}.items() if v is not None})])


part('part')
part('bad-part-key', key_ptr=np.array([0, 0, 4], np.uint64))
part('bad-part-caption', caption_ptr=np.array([0, 4, 9], np.uint64))
part('bad-part-image', image=np.array([0, 2], np.uint32))
part('bad-part-score', score=np.array([2.5, np.nan]))
part('bad-part-other', other=np.array([np.inf, 0]))
part('bad-part-ptr', ptr=np.array([0, 3] + [2] * (K - 1), np.uint32))
part('bad-part-ends', ptr=np.array([0] * K + [9], np.uint32))
part('bad-part-offsets', key_ptr=np.array([0, 5, 4], np.uint64))
part('bad-part-lacks', image=None)
part('bad-part-side', key='both')
part('bad-part-twice', image=np.array([1, 1], np.uint32), ptr=np.array([0, 2] + [2] * (K - 1), np.uint32))
