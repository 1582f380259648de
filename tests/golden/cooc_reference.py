"""Co-activation by NumPy and SciPy, dense and plain: what bs-cooc must say.

For make-cooc.py (the golden case) and tests/parity/cooc.py (larger ones).
"""
import numpy as np
from scipy import linalg

UNIT = 2.0 ** -24  # the smallest F16: every code is a multiple of it
MEASURES = ('cosine', 'count', 'lift', 'jaccard')


def token_rows(idx, val, concepts, first=0, last=None):
    """Z [tokens of all records, concepts] in units, int64."""
    idx, val = idx[:, first:last], val[:, first:last]
    z = np.zeros((*idx.shape[:2], concepts), np.int64)
    r, t, p = np.nonzero(val > 0)
    z[r, t, idx[r, t, p]] = np.rint(val[r, t, p].astype(np.float64) / UNIT).astype(np.int64)
    return z


def rows_of(idx, val, concepts, granularity, pool='sum', first=0, last=None):
    z = token_rows(idx, val, concepts, first, last)
    if granularity == 'token':
        return z.reshape(-1, concepts)
    return z.sum(1) if pool == 'sum' else z.max(1)


def gram(z):
    """Z^T Z of int64 units below 2^40, exactly, then each element rounded once; and counts."""
    high, low = z >> 20, z & (2 ** 20 - 1)
    cross = high.T @ low
    parts = [x.astype(object) for x in (high.T @ high, cross + cross.T, low.T @ low)]
    whole = (parts[0] << 40) + (parts[1] << 20) + parts[2]
    on = (z > 0).astype(np.int64)
    return whole.astype(np.float64) * UNIT * UNIT, on.T @ on


def measures(g, n, rows):
    fires, square = np.diag(n).astype(float), np.diag(g)
    with np.errstate(invalid='ignore', divide='ignore'):
        m = dict(cosine=np.minimum(g / np.sqrt(square[:, None] * square), 1), count=n.astype(float),
                 lift=n * float(rows) / (fires[:, None] * fires), jaccard=n / (fires[:, None] + fires - n))
    return {k: np.where(n > 0, v, 0) for k, v in m.items()}


def curve(values, tau, base=None):
    """Entries of the matrix above each threshold, and of those the baseline's."""
    upper = np.triu(np.ones(values.shape, bool), 1)
    out = {k: np.zeros(len(tau)) for k in ('l0', 'pairs', 'shared', 'pairs_shared', 'nonshared', 'jaccard',
                                           'pairs_nonshared', 'pairs_jaccard')}
    for i, t in enumerate(tau):
        own = values > t
        out['l0'][i], out['pairs'][i] = own.sum(), (own & upper).sum()
        if base is None:
            continue
        for prefix, where in (('', True), ('pairs_', upper)):
            a, b = own & where, (base > t) & where
            both, either = (a & b).sum(), (a | b).sum()
            out[prefix + 'shared'][i] = both
            out[prefix + 'nonshared'][i] = (a & ~b).sum() / a.sum() if a.any() else np.nan
            out[prefix + 'jaccard'][i] = both / either if either else np.nan
    return out


def partners(value, n, support, places, base=None):
    """idx, value, base value [concepts, places]; -1 and 0 where there are fewer."""
    k = len(n)
    idx, out, out_base = np.full((k, places), -1), np.zeros((k, places)), np.zeros((k, places))
    for i in range(k):
        j = np.flatnonzero((n[i] >= support) & (np.arange(k) != i))
        j = j[np.lexsort((j, -value[i, j]))][:places]
        idx[i, :len(j)], out[i, :len(j)] = j, value[i, j]
        if base is not None:
            out_base[i, :len(j)] = base[i, j]
    return idx, out, out_base


def changes(cosine, n, base_cosine, base_n, support, most):
    """Rows i, j, cosine, base_cosine, count, base_count: lost, gained."""
    on = (np.diag(n) >= support) & (np.diag(base_n) >= support)
    i, j = np.nonzero(np.triu((np.maximum(n, base_n) >= support) & on & on[:, None], 1))
    d = cosine[i, j] - base_cosine[i, j]
    out = []
    for side in (d < 0, d > 0):
        a, b = i[side], j[side]
        order = np.lexsort((b, a, -np.abs(d[side])))[:most]
        a, b = a[order], b[order]
        out.append(np.array([a, b, cosine[a, b], base_cosine[a, b], n[a, b], base_n[a, b]], float).T)
    return out


def spectrum(g, rows, wanted):
    """Eigenvalues of G / N, descending, those that are not 0; vectors as rows."""
    value, vector = linalg.eigh(g / rows)
    value, vector = value[::-1][:wanted], vector.T[::-1][:wanted]
    found = int((value > len(g) * np.finfo(float).eps * value[0]).sum())
    return value[:found], vector[:found]


def alignment(u, v):
    """|<u_a, v_b>|, principal angles ascending, mean squared cosines of the first 1, 2, ... vectors."""
    cosine = np.abs(u @ v.T)
    angle = linalg.subspace_angles(u.T, v.T)[::-1]
    overlap = [(cosine[:n, :n] ** 2).sum() / n for n in range(1, len(angle) + 1)]
    return cosine, angle, np.array(overlap)
