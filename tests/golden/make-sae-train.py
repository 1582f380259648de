"""Make tests/golden/sae-train: training steps of overcomplete, and of OpenAI's and sparsify's rules.

A case is a model to start from (CASE.safetensors), the tokens of all steps (tokens.safetensors, the same
for all cases), and what comes out (CASE-case.safetensors): a row a step of loss, reconstruction, auxiliary
term, gradient norm, r2 about one mean and codes a token; the codes of the last step; the last weights.
"""
import os
import sys

import numpy as np
import torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sae_reference import ragged, write_model  # noqa: E402
from sae_train_reference import build, case, model_meta, snapshot, tokens, train  # noqa: E402

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'sae-train')
SIZE = dict(concepts=53, width=19, batch=27, steps=14, points=45, k=4, warmup=4, aux_k=9)
CASES = {
    'topk': {},
    'plain': dict(dictionary='plain', clip=0.0, decay=0.0),
    'clip': dict(dictionary='plain', clip=0.01, eps=1e-3),
    'batchtopk': dict(select='batchtopk'),
    'archetypal': dict(dictionary='archetypal', aux_kind='reanimate', aux=0.1),
    'fixed': dict(dictionary='archetypal', select='batchtopk', multiplier=0, delta=0.05),
    'layernorm': dict(layer_norm=1),
    'layernorm-dead': dict(layer_norm=1, dictionary='archetypal', select='batchtopk', k=1,
                           aux_kind='reanimate-sum', aux=1e-3),
    'reanimate': dict(aux_kind='reanimate-sum', aux=1e-2, k=1),
    'unit': dict(dictionary='unit', pre_bias=1, loss='fvu', rate=2e-2),
    'auxk': dict(dictionary='unit', pre_bias=1, loss='fvu', aux_kind='auxk', aux=1 / 32, dead_tokens=54, k=1),
    'slow': dict(dictionary='plain', beta1=0.4, beta2=0.99, eps=1e-6),
}

os.makedirs(OUT, exist_ok=True)
torch.set_num_threads(1)
for name, options in CASES.items():
    o = case(**(SIZE | options))
    x = tokens(o, o['steps'] * o['batch'])
    write_model(f'{OUT}/tokens.safetensors', {'x': x.numpy()}, {})
    model = build(o)
    arrays = snapshot(model)
    write_model(f'{OUT}/{name}.safetensors', {n: a for n, a in arrays.items() if n != 'ra_m'}, model_meta(o, arrays))
    rows, tau, codes = train(model, o, x, keep=[o['steps'] - 1])
    ptr, idx, val = ragged(codes[o['steps'] - 1])
    out = {'steps': rows.astype(np.float64), 'ptr': ptr, 'idx': idx, 'val': val, 'tau': np.float32([tau])}
    out |= {n: a.reshape(-1) if a.ndim == 0 else a for n, a in snapshot(model).items() if n != 'ra_c'}
    write_model(f'{OUT}/{name}-case.safetensors', out, {n: str(v) for n, v in o.items()})
    dead = len(set(range(o['concepts'])) - set(idx.tolist()))
    print(f'{name:15} loss {rows[0, 0]:.4f} -> {rows[-1, 0]:.4f}, aux {rows[-1, 2]:.4f}, norm {rows[-1, 3]:.3f}, '
          f'r2 {rows[-1, 4]:.3f}, {dead} without a code')
