#!/usr/bin/env python3
"""Train tests/painter/dinov2: a tiny model in the DINOv2-with-registers layout.

usage: train_dino.py [--steps N] PAINTER OUT

PAINTER is the program that 'make demo' builds.  Its pictures of other worlds than
those of the demo and the tests are all that the model sees: no caption, no
factor.  Two crops of each picture, of each a part of the patches (as masked
autoencoders do); what is asked is

  - the pixels of the patches that were not seen, from a small decoder;
  - that the CLS token and the mean of the patches of the two crops agree, but
    vary over pictures, in every direction (variance, invariance, covariance).

Needs torch, transformers, Pillow, NumPy, safetensors.
"""
import argparse
import copy
import io
import json
import math
import os
import subprocess
import tarfile
import time

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from transformers import Dinov2WithRegistersConfig, Dinov2WithRegistersModel

SIZE, PATCH, WIDTH = 112, 14, 96
GRID = SIZE // PATCH
PATCHES, SEEN = GRID * GRID, 24
MEAN = torch.tensor([0.485, 0.456, 0.406])
STD = torch.tensor([0.229, 0.224, 0.225])
WORLD = 1000  # --seed of the pictures that are trained on


def pictures(painter, seed, count, *options):
    """U8 [count, 3, SIZE, SIZE]."""
    out = np.empty((count, 3, SIZE, SIZE), np.uint8)
    run = subprocess.run([painter, f'--seed={seed}', f'--count={count}',
                          *options], check=True, stdout=subprocess.PIPE)
    i = 0
    with tarfile.open(fileobj=io.BytesIO(run.stdout)) as tar:
        for member in tar:
            if member.name.endswith('.jpg'):
                image = Image.open(tar.extractfile(member)).convert('RGB')
                out[i] = np.asarray(image).transpose(2, 0, 1)
                i += 1
    assert i == count
    return torch.from_numpy(out)


def normalise(x):
    return (x.float() / 255 - MEAN[:, None, None]) / STD[:, None, None]


def crops(x, low):
    """A random square of each picture, at least `low` of its side, mirrored
    half of the time, in slightly other light."""
    n = len(x)
    side = torch.rand(n) * (1 - low) + low
    shift = (torch.rand(n, 2) * 2 - 1) * (1 - side)[:, None]
    flip = torch.randint(0, 2, (n,)) * 2 - 1
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = side * flip, side
    theta[:, :, 2] = shift
    grid = F.affine_grid(theta, (n, 3, SIZE, SIZE), align_corners=False)
    return F.grid_sample(normalise(x), grid, padding_mode='reflection',
                         align_corners=False)


def patches(x):
    """[n, 3, SIZE, SIZE] to [n, PATCHES, 3 * PATCH * PATCH]."""
    return F.unfold(x, PATCH, stride=PATCH).transpose(1, 2)


class Decoder(nn.Module):
    """From the tokens of the patches that were seen to all others."""

    def __init__(self, width=64, layers=1):
        super().__init__()
        self.enter = nn.Linear(WIDTH, width)
        self.mask = nn.Parameter(torch.zeros(width))
        self.place = nn.Parameter(torch.randn(PATCHES, width) * 0.02)
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(
            width, 2, 4 * width, 0, 'gelu', batch_first=True, norm_first=True)
            for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.pixels = nn.Linear(width, 3 * PATCH * PATCH)

    def forward(self, seen, where):
        n = len(seen)
        x = self.mask.expand(n, PATCHES, -1)
        x = x.scatter(1, where[..., None].expand(-1, -1, x.shape[-1]),
                      self.enter(seen)) + self.place
        for layer in self.layers:
            x = layer(x)
        return self.pixels(self.norm(x))


def encode(model, x, where=None):
    """The model's last hidden state, of the patches `where` only; the layers
    are the library's own."""
    e = model.embeddings
    place = e.position_embeddings
    tokens = e.patch_embeddings(x) + place[:, 1:]
    if where is not None:
        tokens = tokens.gather(1, where[..., None].expand(-1, -1, WIDTH))
    n = len(x)
    tokens = torch.cat([(e.cls_token + place[:, :1]).expand(n, -1, -1),
                        e.register_tokens.expand(n, -1, -1), tokens], 1)
    for layer in model.encoder.layer:
        tokens = layer(tokens)
        tokens = tokens[0] if isinstance(tokens, tuple) else tokens
    return model.layernorm(tokens)


def vicreg(a, b):
    """Variance, invariance, covariance of two [n, width]."""
    loss = 25 * F.mse_loss(a, b)
    for z in (a, b):
        z = z - z.mean(0)
        loss = loss + 12.5 * F.relu(1 - (z.var(0) + 1e-4).sqrt()).mean()
        cov = z.T @ z / (len(z) - 1)
        off = cov - torch.diag(cov.diag())
        loss = loss + (off ** 2).sum() / z.shape[1] / 2
    return loss


def new_model():
    config = Dinov2WithRegistersConfig(
        hidden_size=WIDTH, num_hidden_layers=5, num_attention_heads=3,
        mlp_ratio=4, image_size=SIZE, patch_size=PATCH, num_register_tokens=4,
        layerscale_value=1.0)
    return Dinov2WithRegistersModel(config)


def view_loss(model, decoder, x):
    """Of one crop: CLS token beside the mean of the patches, error of the
    pixels."""
    order = torch.rand(len(x), PATCHES).argsort(1)
    where, hidden = order[:, :SEEN], order[:, SEEN:, None]
    want = patches(x)
    hidden = hidden.expand(-1, -1, want.shape[-1])
    out = encode(model, x, where)
    got = decoder(out[:, 5:], where)
    return (torch.cat([out[:, 0], out[:, 5:].mean(1)], 1),
            F.mse_loss(got.gather(1, hidden), want.gather(1, hidden)))


def train(data, a, log):
    model, decoder = new_model(), Decoder()
    project = nn.Sequential(nn.Linear(2 * WIDTH, 384), nn.BatchNorm1d(384),
                            nn.ReLU(), nn.Linear(384, 384))
    average = copy.deepcopy(model).requires_grad_(False)
    params = [*model.parameters(), *decoder.parameters(),
              *project.parameters()]
    groups = [{'params': [p for p in params if p.ndim > 1],
               'weight_decay': 0.05},
              {'params': [p for p in params if p.ndim < 2],
               'weight_decay': 0.0}]
    optimiser = torch.optim.AdamW(groups, a.rate, (0.9, 0.95))
    start, sums = time.time(), np.zeros(2)
    for step in range(a.steps):
        done = max(step / a.steps, (time.time() - start) / 60 / a.minutes)
        if done >= 1:
            break
        for group in optimiser.param_groups:
            group['lr'] = a.rate * min(1, (done + 0.001) / 0.05) * (
                0.5 + 0.5 * math.cos(math.pi * done))
        x = data[torch.randint(0, len(data), (a.batch,))]
        whole_a, pixel_a = view_loss(model, decoder, crops(x, 0.6))
        whole_b, pixel_b = view_loss(model, decoder, crops(x, 0.6))
        agree = vicreg(project(whole_a), project(whole_b))
        loss = pixel_a + pixel_b + 0.02 * agree
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(params, 1.0)
        optimiser.step()
        with torch.no_grad():
            for t, p in zip(average.parameters(), model.parameters()):
                t.lerp_(p, 0.01)
        sums += [(pixel_a + pixel_b).item() / 2, agree.item()]
        if (step + 1) % 100 == 0:
            print(f'step {step + 1} of {a.steps}: pixels %.4f '
                  'agreement %.3f' % tuple(sums / 100), file=log, flush=True)
            sums[:] = 0
            print(f'{time.time() - start:.0f} s', flush=True)
        if (step + 1) % 250 == 0:
            copy.deepcopy(average).half().save_pretrained(a.out)
    return average


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--steps', type=int, default=3000)
    p.add_argument('--minutes', type=float, default=60, help='if sooner')
    p.add_argument('--batch', type=int, default=64)
    p.add_argument('--rate', type=float, default=2e-3)
    p.add_argument('--pictures', type=int, default=16000)
    p.add_argument('painter')
    p.add_argument('out')
    a = p.parse_args()
    torch.manual_seed(1)
    os.makedirs(a.out, exist_ok=True)
    data = pictures(a.painter, WORLD, a.pictures)
    with open(os.path.join(a.out, 'train.log'), 'w') as log:
        print(json.dumps({k: v for k, v in vars(a).items()
                          if k not in ('painter', 'out')}), file=log)
        model = train(data, a, log)
    model.half().save_pretrained(a.out)


if __name__ == '__main__':
    main()
