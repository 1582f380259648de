#!/usr/bin/env python3
"""Say how well a model's features separate the factors of the painter's scenes.

usage: probe_dino.py PAINTER MODEL

For each factor a linear probe (logistic regression) is fitted to the features of
3000 pictures and judged by the area under the ROC curve (AUC) on 1500 of
another world; neither world is that of the training.  Columns: share of the
pictures that have the factor, AUC from the CLS token, from the mean of the
patch tokens, and, for comparison, from the picture's own 8 x 8 pixels.

tests/painter/dinov2/probe.log is what it says of the committed model.  Needs
torch, transformers, Pillow, NumPy, safetensors.
"""
import os
import sys
import tempfile

import torch
import torch.nn.functional as F
from transformers import Dinov2WithRegistersModel

from train_dino import normalise, pictures


def labelled(painter, seed, count):
    """Pictures, names of the factors, BOOL [count, factors]."""
    with tempfile.TemporaryDirectory() as folder:
        truth = os.path.join(folder, 'truth.tsv')
        x = pictures(painter, seed, count, f'--truth={truth}')
        with open(truth) as f:
            rows = [line.rstrip('\n').split('\t') for line in f]
    single = [i for i, name in enumerate(rows[0]) if i > 1 and '+' not in name]
    has = torch.tensor([[row[i] == '1' for i in single] for row in rows[1:]])
    return x, [rows[0][i] for i in single], has


@torch.inference_mode()
def features(model, x):
    """Three F32 [n, width]: CLS, mean of the patches, pixels."""
    cls, mean = [], []
    for batch in x.split(100):
        h = model(normalise(batch)).last_hidden_state
        cls.append(h[:, 0])
        mean.append(h[:, 1 + model.config.num_register_tokens:].mean(1))
    small = F.adaptive_avg_pool2d(normalise(x), 8).flatten(1)
    return torch.cat(cls), torch.cat(mean), small


def fit(x, y, penalty=1e-3):
    """Weights [width + 1, factors] of a logistic regression for each."""
    w = torch.zeros(x.shape[1] + 1, y.shape[1], requires_grad=True)
    best = torch.optim.LBFGS([w], max_iter=150, line_search_fn='strong_wolfe')

    def closure():
        best.zero_grad()
        loss = F.binary_cross_entropy_with_logits(x @ w[:-1] + w[-1], y)
        loss = loss + penalty * (w[:-1] ** 2).sum() / y.shape[1]
        loss.backward()
        return loss
    best.step(closure)
    return w.detach()


def auc(score, has):
    rank = score.argsort().argsort().double() + 1
    pos = int(has.sum())
    neg = len(has) - pos
    return float((rank[has].sum() - pos * (pos + 1) / 2) / (pos * neg))


def probe(train_x, train_y, test_x, test_y):
    mean, std = train_x.mean(0), train_x.std(0) + 1e-6
    w = fit((train_x - mean) / std, train_y.float())
    score = (test_x - mean) / std @ w[:-1] + w[-1]
    return [auc(score[:, i], test_y[:, i]) for i in range(score.shape[1])]


def main():
    painter, folder = sys.argv[1:]
    model = Dinov2WithRegistersModel.from_pretrained(folder).float().eval()
    x, names, y = labelled(painter, 2000, 3000)
    test_x, _, test_y = labelled(painter, 2001, 1500)
    columns = [probe(a, y, b, test_y) for a, b in
               zip(features(model, x), features(model, test_x))]
    print('factor\tshare\tcls\tpatches\tpixels')
    for i, name in enumerate(names):
        print(f'{name}\t{test_y[:, i].float().mean():.2f}\t'
              + '\t'.join(f'{c[i]:.3f}' for c in columns))
    print('mean\t\t' + '\t'.join(f'{sum(c) / len(c):.3f}' for c in columns))


main()
