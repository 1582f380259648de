"""Training steps of overcomplete's autoencoders, and of those of OpenAI and sparsify in plain torch.

For make-sae-train.py (small golden cases) and tests/parity/sae_train.py (real sizes).  A case is a
dictionary of options, named as in cmd/models/sae_trainer.h.
"""
import math

import numpy as np
import torch
from overcomplete.sae import BatchTopKSAE, RATopKSAE, TopKSAE
from overcomplete.sae.archetypal_dictionary import RelaxedArchetypalDictionary
from overcomplete.sae.losses import reanimation_regularizer

DEFAULTS = dict(concepts=70, width=24, batch=33, steps=20, select='topk', k=4, enc_bias=1, layer_norm=0, pre_bias=0,
                dictionary='l2', delta=0.3, multiplier=1, points=60, loss='mse', aux_kind='none', aux=0.1, aux_k=16,
                dead_tokens=50, ema=0.9, warmup=5, rate=5e-3, rate_end=1e-4, beta1=0.9, beta2=0.999, eps=1e-8,
                decay=1e-2, clip=1.0, seed=1)


def case(**options):
    assert set(options) <= set(DEFAULTS)
    return DEFAULTS | options


def rates(o):
    """overcomplete's CosineScheduler, in double."""
    rise = np.linspace(0, o['rate'], o['warmup'])
    i = np.arange(o['steps'] - o['warmup'])
    fall = o['rate_end'] + 0.5 * (o['rate'] - o['rate_end']) * (1 + np.cos(np.pi * i / len(i)))
    return np.concatenate([rise, fall])


def tokens(o, rows):
    """Sparse sums of more directions than there are columns, off centre, with noise."""
    g = torch.Generator().manual_seed(o['seed'])
    d = torch.randn(2 * o['width'], o['width'], generator=g)
    z = torch.relu(torch.randn(rows, 2 * o['width'], generator=g) - 1.2)
    return z @ d / o['width'] ** 0.5 + 0.3 * torch.randn(o['width'], generator=g) + \
        0.05 * torch.randn(rows, o['width'], generator=g)


class Plain(torch.nn.Module):
    """As OpenAI and sparsify train it: relu, top k, one bias before and behind, AuxK of arXiv 2406.04093."""

    def __init__(self, o):
        super().__init__()
        self.o = o
        self.enc_w = torch.nn.Parameter(torch.empty(o['concepts'], o['width']))
        self.enc_b = torch.nn.Parameter(torch.empty(o['concepts']))
        self.dec_w = torch.nn.Parameter(torch.empty(o['concepts'], o['width']))
        self.bias = torch.nn.Parameter(torch.empty(o['width']))
        self.fired = torch.zeros(o['concepts'], dtype=torch.long)
        self.seen = 0
        for p in self.parameters():
            torch.nn.init.normal_(p, std=o['width'] ** -0.5)

    def forward(self, x):
        if self.o['dictionary'] == 'unit':
            with torch.no_grad():
                self.dec_w.data = self.dec_w / (self.dec_w.norm(dim=1, keepdim=True) + 1e-8)
        pre = (x - self.bias) @ self.enc_w.T + self.enc_b
        top = torch.topk(torch.relu(pre), self.o['k'], dim=1)
        z = torch.zeros_like(pre).scatter(1, top.indices, top.values)
        return pre, z, z @ self.dec_w + self.bias

    def loss(self, x, pre, z, y):
        self.seen += len(x)
        self.fired[(z > 0).any(0)] = self.seen
        unit = (x - x.mean(0)).square().sum() if self.o['loss'] == 'fvu' else x.numel()
        rec = (x - y).square().sum() / unit
        aux = torch.zeros(())
        dead = self.seen - self.fired >= self.o['dead_tokens']
        if self.o['aux_kind'] == 'auxk' and dead.any():
            error = (x - y).detach()
            top = torch.topk(torch.relu(torch.where(dead, pre, torch.tensor(-math.inf))),
                             min(self.o['aux_k'], int(dead.sum())), dim=1)
            other = torch.zeros_like(pre).scatter(1, top.indices, top.values)
            aux = (error - other @ self.dec_w).square().sum() / unit
        return rec, aux

    def project_gradient(self):
        if self.o['dictionary'] == 'unit':
            g = self.dec_w.grad
            g -= (g * self.dec_w).sum(1, keepdim=True) * self.dec_w

    def arrays(self):
        dec = self.dec_w.detach()
        if self.o['dictionary'] == 'unit':
            dec = dec / (dec.norm(dim=1, keepdim=True) + 1e-8)
        return dict(enc_w=self.enc_w, enc_b=self.enc_b, dec_w=dec, pre_b=self.bias, dec_b=self.bias)


class Overcomplete(torch.nn.Module):
    def __init__(self, o, points):
        super().__init__()
        self.o = o
        torch.manual_seed(o['seed'])
        kind = dict(encoder_module='mlp_ln_1' if o['layer_norm'] else 'linear')
        if o['dictionary'] != 'archetypal':
            kind['dictionary_params'] = dict(normalization={'l2': 'l2', 'plain': 'identity'}[o['dictionary']])
        total = o['k'] * (o['batch'] if o['select'] == 'batchtopk' else 1)
        sort = BatchTopKSAE if o['select'] == 'batchtopk' else TopKSAE
        if o['dictionary'] == 'archetypal':
            self.sae = RATopKSAE(o['width'], o['concepts'], points, top_k=total, delta=o['delta'],
                                 use_multiplier=bool(o['multiplier']), **kind)
            if o['select'] == 'batchtopk':
                base = BatchTopKSAE(o['width'], o['concepts'], top_k=total, threshold_momentum=o['ema'], **kind)
                base.dictionary = RelaxedArchetypalDictionary(o['width'], o['concepts'], points, o['delta'],
                                                              bool(o['multiplier']))
                self.sae = base
        else:
            self.sae = sort(o['width'], o['concepts'], top_k=total, **kind)
            if o['select'] == 'batchtopk':
                self.sae.threshold_momentum = o['ema']
        if o['layer_norm']:  # gains and shifts that are not trivial
            norm = self.sae.encoder.final_block[1]
            with torch.no_grad():
                norm.weight += 0.2 * torch.randn(o['concepts'])
                norm.bias += 0.2 * torch.randn(o['concepts'])
        self.sae.train()

    def forward(self, x):
        return self.sae(x)

    def loss(self, x, pre, z, y):
        assert self.o['loss'] == 'mse'
        rec = (x - y).square().mean()
        if self.o['aux_kind'] == 'reanimate-sum':
            return rec, reanimation_regularizer(x, y, pre, z, self.sae.get_dictionary(), penalty=1)
        if self.o['aux_kind'] == 'reanimate':
            return rec, -(pre * (z.sum(0) == 0).float()).mean()
        self.sae.get_dictionary()
        return rec, torch.zeros(())

    def project_gradient(self):
        pass

    def arrays(self):
        linear = self.sae.encoder.final_block[0]
        out = dict(enc_w=linear.weight, enc_b=linear.bias, dec_w=self.sae.get_dictionary())
        if self.o['layer_norm']:
            norm = self.sae.encoder.final_block[1]
            out |= dict(ln_g=norm.weight, ln_b=norm.bias)
        if self.o['dictionary'] == 'archetypal':
            d = self.sae.dictionary
            out |= dict(ra_c=d.C, ra_w=d.W, ra_relax=d.Relax, ra_m=d.multiplier)
        return out


def snapshot(model):
    return {name: np.array(a.detach().numpy(), np.float32) for name, a in model.arrays().items()}


def build(o):
    torch.manual_seed(o['seed'])
    points = tokens(o | {'seed': o['seed'] + 100}, o['points'])
    points -= points.mean(0)  # in all directions: rows of W get to have many entries
    return Plain(o) if o['pre_bias'] else Overcomplete(o, points)


def model_meta(o, arrays):
    meta = {'bs.sae': '1', 'name': 'sae', 'select': o['select'], 'k': str(o['k']), 'tau': '0'}
    if o['layer_norm']:
        meta['ln_eps'] = '1e-05'
    if o['dictionary'] == 'archetypal':
        meta |= {'ra_m': f'{float(arrays["ra_m"]):.9g}', 'ra_delta': f'{o["delta"]:.9g}'}
    return meta


def train(model, o, x, keep=()):
    """Losses and gradient norms of all steps over the rows of x; codes of the steps in `keep`."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=o['rate'], betas=(o['beta1'], o['beta2']), eps=o['eps'],
                                  weight_decay=o['decay'])
    rows, codes = [], {}
    for i, rate in enumerate(rates(o)):
        batch = x[i * o['batch']:(i + 1) * o['batch']]
        optimizer.param_groups[0]['lr'] = float(rate)
        optimizer.zero_grad()
        pre, z, y = model(batch)
        rec, aux = model.loss(batch, pre, z, y)
        (rec + o['aux'] * aux).backward()
        model.project_gradient()
        # clip_grad_norm_, but for its norm: of millions of values, summed in f32, that is off by 1e-4 and more.
        norm = sum(p.grad.double().square().sum() for p in model.parameters()).sqrt().float()
        if o['clip'] > 0:
            torch.nn.utils.clip_grads_with_norm_(model.parameters(), o['clip'], norm)
        optimizer.step()
        r2_all = 1 - (batch - y).square().mean() / ((batch - batch.mean()).square().mean() + 1e-6)
        rows.append([rec.item() + o['aux'] * aux.item(), rec.item(), aux.item(), norm.item(), r2_all.item(),
                     (z > 0).sum().item() / len(batch)])
        if i in keep:
            codes[i] = z.detach().numpy()
    tau = getattr(getattr(model, 'sae', None), 'running_threshold', None)
    return np.array(rows), 0.0 if tau is None else float(tau), codes
