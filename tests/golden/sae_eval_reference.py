"""The metrics of bs-sae eval by overcomplete, SciPy and NumPy.

For make-sae-eval.py (a small golden case) and tests/parity/sae_eval.py (real sizes).  Metrics that overcomplete has
are its own, on float64 of the tokens, codes and reconstructions that it makes in float32.
"""
import numpy as np
import torch
from overcomplete import metrics
from scipy.optimize import linear_sum_assignment


def tokens(count, width, rng):
    """Correlated, with a common offset and a few columns far larger than the others, as features have."""
    x = rng.standard_normal((count, width)) + rng.standard_normal((count, 1)) * np.linspace(0, 1, width)
    x[:, 3 % width] *= 8
    x[:, 5 % width] += 6
    return x.astype(np.float32)


def of_features(x, z, y, dictionary):
    """Metrics of tokens x, codes z and reconstructions y, float32 arrays."""
    x, z, y, dictionary = (torch.from_numpy(np.asarray(a)).double() for a in (x, z, y, dictionary))
    e, n = x - y, len(x)
    around = ((x - x.mean(0)) ** 2).sum()
    fires = z > 0
    return {
        'tokens': n,
        'r2': 1 - (e ** 2).sum() / around,
        'r2_global': metrics.r2_score(x, y),
        'fvu': (e ** 2).sum() / around,
        'explained_variance': (1 - e.var(0) / (x.var(0) + 1e-8)).mean(),
        'mse': (e ** 2).mean(),
        'normalized_mse': ((e ** 2).sum(1) / (x ** 2).sum(1)).mean(),
        'avg_l2': metrics.avg_l2_loss(x, y),
        'avg_l1': metrics.avg_l1_loss(x, y),
        'relative_avg_l2': metrics.relative_avg_l2_loss(x, y),
        'relative_avg_l1': metrics.relative_avg_l1_loss(x, y),
        'cosine': torch.nn.functional.cosine_similarity(x, y).nan_to_num(0).mean(),
        'l2_ratio': (y.norm(dim=1) / (x.norm(dim=1) + 1e-6)).mean(),
        'l0': metrics.l0(z) * z.shape[1],
        'l0_share': metrics.l0(z),
        'l1': metrics.l1(z, 1).mean(),
        'hoyer': metrics.hoyer(z).mean(),
        'kappa_4': metrics.kappa_4(z).mean(),
        'empty': (~fires.any(1)).double().mean(),
        'alive': fires.any(0).sum(),
        'dead': metrics.dead_codes(z).mean(),
        'energy': metrics.energy_of_codes(z, dictionary).numpy(),
    }


def coactivation(z, dictionary, spectral=True):
    """Metrics of Z^T Z; z and the dictionary as float64 arrays."""
    z, d = np.asarray(z, np.float64), np.asarray(dictionary, np.float64)
    g = z.T @ z
    off = g - np.diag(np.diag(g))
    negative = np.maximum(-(g * (d @ d.T)), 0)
    found = {
        'pairs': np.count_nonzero(off) // 2,
        'connectivity': 1 - np.count_nonzero(g) / g.size,
        'max_correlation': metrics.codes_correlation_matrix(torch.from_numpy(z))[0],
        'interference_frobenius': np.linalg.norm(negative),
    }
    if spectral:
        found['interference_spectral'] = np.linalg.norm(negative, 2)
    return found


def of_dictionary(d):
    d = np.asarray(d, np.float64)
    s = np.linalg.svd(d, compute_uv=False)
    share = s[s > 1e-7 * s[0]] / s.sum()
    norm = np.linalg.norm(d, axis=1)
    unit = d / norm[:, None]
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, 0)
    return {
        'concepts': d.shape[0], 'width': d.shape[1],
        'norm_min': norm.min(), 'norm_mean': norm.mean(), 'norm_max': norm.max(), 'zero_atoms': 0,
        'stable_rank': (s ** 2).sum() / s[0] ** 2,
        'effective_rank': np.exp(-(share * np.log(share)).sum()),
        'coherence': np.abs(cosines).max(),
    }


def ood(d, x):
    unit = [np.asarray(a, np.float64) / np.linalg.norm(np.asarray(a, np.float64), axis=1, keepdims=True)
            for a in (d, x)]
    return 1 - (unit[0] @ unit[1].T).max(1).mean()


def match(own, other):
    """Metrics of two dictionaries, by all their cosines."""
    own, other = (np.asarray(a, np.float64) / np.linalg.norm(np.asarray(a, np.float64), axis=1, keepdims=True)
                  for a in (own, other))
    c = own @ other.T
    plain = c[linear_sum_assignment(-c)]
    signed = np.abs(c)[linear_sum_assignment(-np.abs(c))]
    return {'stability': plain.mean(), 'stability_signed': signed.mean(), 'max_cosine': c.max(),
            'mean_max_cosine': c.max(1).mean(), 'mean_max_cosine_other': c.max(0).mean()}


def hungarian(own, other):
    """The stability as overcomplete has it."""
    own, other = (torch.from_numpy(np.asarray(a)).double() for a in (own, other))
    return 1 - metrics.cosine_hungarian_loss(own, other) / len(own)
