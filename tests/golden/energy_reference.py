"""The statistics of bs-energy, by NumPy, SciPy and statsmodels, dense and plain.

For make-energy.py (the golden case) and tests/parity/energy.py (larger ones).
"""
import numpy as np
from scipy import special, stats
from statsmodels.stats.multitest import multipletests


def random_codes(rng, records, tokens, k, concepts, shift):
    """(idx U16 [records, tokens, k], val F16): descending values, unused places last; `shift` moves concepts."""
    weight = rng.pareto(1.2, concepts) + 0.02
    weight[::7] *= np.exp(shift * rng.standard_normal(len(weight[::7])))
    weight[concepts - 3:] = 0
    weight /= weight.sum()
    idx = np.full((records, tokens, k), 65535, np.uint16)
    val = np.zeros((records, tokens, k), np.float16)
    for r in range(records):
        own = rng.dirichlet(0.05 * concepts * weight[:concepts - 3] + 1e-3)
        for t in range(tokens):
            n = rng.integers(0, k + 1)
            on = rng.choice(concepts - 3, n, replace=False, p=own) if (own > 0).sum() >= n else []
            v = np.abs(rng.standard_normal(len(on))).astype(np.float16) + np.float16(0.01)
            order = np.lexsort((on, -v)) if len(on) else []
            idx[r, t, :len(on)] = np.array(on, np.int64)[order]
            val[r, t, :len(on)] = v[order]
    return idx, val


def pooled(idx, val, concepts, pool, first):
    """Energies [records, concepts] and fires, of tokens from `first` on."""
    records, tokens, k = idx.shape
    z = np.zeros((records, tokens, concepts))
    r, t, p = np.nonzero(val > 0)
    z[r, t, idx[r, t, p]] = val[r, t, p].astype(np.float64)
    z = z[:, first:]
    energy = {'sum': z.sum(1), 'mean': z.mean(1), 'max': z.max(1)}[pool]
    return energy, (z > 0).sum(1)


def delta_of(form, x, y, T):
    f = y - x if form == 'raw' else (y - x) / (y + x)
    return special.expit(f / T)


def concept_table(x, y, form, T, interval, level):
    """Columns for energies x, y [pairs, concepts]."""
    n = len(x)
    with np.errstate(invalid='ignore', divide='ignore'):
        A, B = x.mean(0), y.mean(0)
        d = y - x
        raw, rel = B - A, (B - A) / (A + B)
        raw_se = d.std(0, ddof=1) / np.sqrt(n)
        g = 2 * (A * y - B * x) / (A + B) ** 2
        rel_se = np.sqrt((g ** 2).sum(0) / (n - 1) / n)
        delta = delta_of(form, A, B, T)
        z = stats.norm.ppf((1 + level) / 2)
        f, se = (raw, raw_se) if form == 'raw' else (rel, rel_se)
        limit = np.inf if form == 'raw' else 1
        lo = special.expit(np.clip(f - z * se, -limit, limit) / T)
        hi = special.expit(np.clip(f + z * se, -limit, limit) / T)
        R = np.maximum(x.max(0), y.max(0))
        alpha = 1 - level
        if form == 'raw':
            mcdiarmid = R / T * np.sqrt(np.log(2 / alpha) / (8 * n))
            l = np.log(3 / alpha)
            bernstein = (np.sqrt(2 * d.var(0) * l / n) + 3 * 2 * R * l / n) / (4 * T)
        else:
            def half(hx, hy):
                low = delta_of(form, A + hx, np.maximum(B - hy, 0), T)
                high = delta_of(form, np.maximum(A - hx, 0), B + hy, T)
                return np.maximum(delta - low, high - delta)
            h = R * np.sqrt(np.log(4 / alpha) / (2 * n))
            mcdiarmid = half(h, h)
            l = np.log(6 / alpha)
            bernstein = half(np.sqrt(2 * x.var(0) * l / n) + 3 * R * l / n,
                             np.sqrt(2 * y.var(0) * l / n) + 3 * R * l / n)
        if interval in ('mcdiarmid', 'bernstein'):
            w = mcdiarmid if interval == 'mcdiarmid' else bernstein
            lo, hi = np.clip(delta - w, 0, 1), np.clip(delta + w, 0, 1)
    return dict(real=A, gen=B, raw=raw, rel=rel, raw_se=raw_se, rel_se=rel_se, delta=delta, lo=lo, hi=hi,
                mcdiarmid=mcdiarmid, bernstein=bernstein)


def exact_p(d, most=14):
    """Two-sided sign-flip p of columns with at most `most` differences that are not 0; NaN for others."""
    p = np.full(d.shape[1], np.nan)
    for k in range(d.shape[1]):
        v = d[:, k][d[:, k] != 0]
        if len(v) == 0:
            p[k] = 1
        elif len(v) <= most:
            signs = 1 - 2 * ((np.arange(1 << len(v))[:, None] >> np.arange(len(v))) & 1)
            # Values are multiples of 2^-24: the sums are exact.
            p[k] = np.mean(np.abs(signs @ v) >= np.abs(v.sum()))
    return p


def q_values(p, tested, method):
    q = np.ones(len(p))
    if tested.any():
        q[tested] = multipletests(p[tested], method=method)[1]
    return q


def contrast(x, ya, yb, form, T, level):
    """delta_a - delta_b with its standard error, over pairs that all three have."""
    n = len(x)
    with np.errstate(invalid='ignore', divide='ignore'):
        influence, delta = [], []
        for y in (ya, yb):
            A, B = x.mean(0), y.mean(0)
            de = delta_of(form, A, B, T)
            g = y - x - (B - A) if form == 'raw' else 2 * (A * y - B * x) / (A + B) ** 2
            influence.append(de * (1 - de) / T * g)
            delta.append(de)
        h = influence[0] - influence[1]
        se = np.sqrt((h ** 2).sum(0) / (n - 1) / n)
        z = stats.norm.ppf((1 + level) / 2)
        diff = delta[0] - delta[1]
    return dict(difference=diff, se=se, lo=diff - z * se, hi=diff + z * se)


def pair_rows(x, y, top):
    d = y - x
    l2 = np.sqrt((d ** 2).sum(1))
    mean = special.expit(d / 0.8).mean(1)
    order = np.lexsort((np.broadcast_to(np.arange(d.shape[1]), d.shape), -np.abs(d)), axis=1)[:, :top]
    return l2, mean, order, np.take_along_axis(d, order, 1)
