#!/usr/bin/env python3
"""Train tests/painter/dinov2: a tiny model in the DINOv2-with-registers layout.

usage: train_dino.py [options] PAINTER OUT

PAINTER is the program that 'make demo' builds.  Its pictures, of another world
than those of the demo and the tests, are all that is learned from: no caption,
no factor.  Some patches of a picture, up to most, are masked; the last token of
each patch, seen or not, must say by a linear map what the patch looks like,
and the CLS token what the whole picture does: as in masked feature prediction
(Wei and others, "Masked feature prediction for self-supervised visual
pre-training", 2022), but that the tokens of seen patches are asked as well.
What a patch looks like is computed from its pixels: how much of each of some
colours it has (the centres of a k-means over pixels), how much contrast in
each orientation, how fine it is, and which of some typical textures (the
centres of a k-means over those numbers) it is most like.  The patch embedding
starts as the principal components of the patches, all of the same variance.

Two runs with the same options give the same model on the same machine.  The
default takes a quarter of an hour of one core.  Needs torch, transformers,
Pillow, NumPy, safetensors.
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

SIZE, PATCH, WIDTH, LAYERS, HEADS, REGISTERS = 112, 14, 80, 4, 4, 4
GRID = SIZE // PATCH
PATCHES = GRID * GRID
COLOURS, ORIENTATIONS, WORDS = 24, 8, 64
MASKED = 0.8  # at most this share of a picture's patches
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


# ---- what patches look like -------------------------------------------------

def kmeans(x, count, rounds=30):
    """Centres of x [n, d]: [count, d]."""
    centre = x[torch.randperm(len(x))[:count]]
    for _ in range(rounds):
        nearest = torch.cdist(x, centre).argmin(1)
        for i in range(count):
            if (nearest == i).any():
                centre[i] = x[nearest == i].mean(0)
    return centre


def palette(data):
    """Colours: centres of pixels."""
    pixels = data[:500].permute(0, 2, 3, 1).reshape(-1, 3)[::97].float()
    return kmeans(pixels, COLOURS)


def as_patches(x):
    """[n, c, SIZE, SIZE] to [n, PATCHES, c, PATCH * PATCH]."""
    x = x.reshape(len(x), -1, GRID, PATCH, GRID, PATCH)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(len(x), PATCHES, -1,
                                               PATCH * PATCH)


def colours_of(x, colours):
    """How much of each colour is in each patch: [n, PATCHES, COLOURS]."""
    pixels = as_patches(x).transpose(2, 3).float()
    nearest = torch.cdist(pixels.flatten(0, 2), colours).argmin(1)
    bag = torch.zeros(len(x), PATCHES, COLOURS)
    nearest = nearest.reshape(len(x), PATCHES, -1)
    bag.scatter_add_(2, nearest, torch.ones(nearest.shape))
    return (bag / (PATCH * PATCH)).sqrt()


def contrast_of(x):
    """How much contrast is in each patch: [n, PATCHES, ORIENTATIONS + 3], in
    each orientation, and to the mean about each pixel, of three sizes."""
    grey = F.pad(x.float().mean(1, keepdim=True) / 255, (1, 1, 1, 1),
                 'replicate')
    dx = grey[:, :, 1:-1, 2:] - grey[:, :, 1:-1, :-2]
    dy = grey[:, :, 2:, 1:-1] - grey[:, :, :-2, 1:-1]
    size = (dx * dx + dy * dy).sqrt()
    angle = torch.atan2(dy, dx) * (ORIENTATIONS / math.pi) % ORIENTATIONS
    low, part = angle.long() % ORIENTATIONS, angle % 1
    edges = torch.zeros(len(x), ORIENTATIONS, SIZE, SIZE)
    edges.scatter_add_(1, low, size * (1 - part))
    edges.scatter_add_(1, (low + 1) % ORIENTATIONS, size * part)
    fine = [F.avg_pool2d(grey, 2 * r + 1, 1, r) - grey for r in (1, 2, 4)]
    fine = torch.cat(fine, 1)[:, :, 1:-1, 1:-1].abs()
    return as_patches(torch.cat([edges, fine], 1)).mean(3).add(1e-3).log()


def standard(x):
    return (x - x.mean((0, 1))) / x.std((0, 1))


def looks(data):
    """What the patches of all pictures look like: F16 [n, PATCHES, d]."""
    colours = palette(data)
    bag = torch.cat([colours_of(x, colours) for x in data.split(100)])
    contrast = standard(torch.cat([contrast_of(x) for x in data.split(100)]))
    words = kmeans(contrast[:500].flatten(0, 1), WORDS)
    nearest = torch.cat([torch.cdist(x.flatten(0, 1), words).argmin(1)
                         for x in contrast.split(100)])
    texture = F.one_hot(nearest, WORDS).reshape(*contrast.shape[:2], WORDS)
    return torch.cat([standard(bag).half(), contrast.half(),
                      standard(texture.half().float()).half()], 2)


# ---- the model --------------------------------------------------------------

def whiten(embed, data):
    """Start the patch embedding as principal components of equal variance."""
    x = F.unfold(normalise(data[:2000]), PATCH, stride=PATCH)
    x = x.transpose(1, 2).reshape(-1, 3 * PATCH * PATCH)[::4]
    mean = x.mean(0)
    value, vector = torch.linalg.eigh((x - mean).T @ (x - mean) / len(x))
    weight = (vector / value.clamp(min=1e-6).sqrt()).flip(1)[:, :WIDTH].T / 2
    embed.weight.copy_(weight.reshape(embed.weight.shape))
    embed.bias.copy_(-weight @ mean)


def new_model(data):
    model = Dinov2WithRegistersModel(Dinov2WithRegistersConfig(
        hidden_size=WIDTH, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, mlp_ratio=4, image_size=SIZE,
        patch_size=PATCH, num_register_tokens=REGISTERS, layerscale_value=1.0))
    with torch.no_grad():
        whiten(model.embeddings.patch_embeddings.projection, data)
    for name, p in model.encoder.named_parameters():
        if p.ndim == 2:
            nn.init.xavier_uniform_(p)
    return model


def train(data, want, a, log):
    """data: U8 [n, 3, SIZE, SIZE]; want: [n, PATCHES, d]."""
    model, average = new_model(data), None
    patch_head = nn.Linear(WIDTH, want.shape[2])
    cls_head = nn.Linear(WIDTH, 2 * want.shape[2])
    params = [*model.parameters(), *patch_head.parameters(),
              *cls_head.parameters()]
    optimiser = torch.optim.AdamW(
        [{'params': [p for p in params if p.ndim > 1], 'weight_decay': 0.05},
         {'params': [p for p in params if p.ndim < 2], 'weight_decay': 0.0}],
        a.rate, (0.9, 0.95))
    start, sums = time.process_time(), np.zeros(3)
    for step in range(a.steps):
        done = step / a.steps
        for group in optimiser.param_groups:
            group['lr'] = a.rate * min(1, (done + 0.001) / 0.05) * (
                0.5 + 0.5 * math.cos(math.pi * done))
        i = torch.randint(0, len(data), (a.batch,))
        mask = torch.rand(a.batch, PATCHES) < MASKED * torch.rand(a.batch, 1)
        out = model(normalise(data[i]), bool_masked_pos=mask).last_hidden_state
        patch = want[i].float()
        error = (patch_head(out[:, 1 + REGISTERS:]) - patch).square().mean(2)
        whole = torch.cat([patch.mean(1), patch.std(1)], 1)
        losses = (error[mask].mean(), error[~mask].mean(),
                  F.mse_loss(cls_head(out[:, 0]), whole))
        optimiser.zero_grad()
        sum(losses).backward()
        nn.utils.clip_grad_norm_(params, 1.0)
        optimiser.step()
        if average is None:
            average = copy.deepcopy(model).requires_grad_(False)
        with torch.no_grad():
            for t, p in zip(average.parameters(), model.parameters()):
                t.lerp_(p, 0.01)
        sums += [loss.item() for loss in losses]
        if (step + 1) % 100 == 0:
            print(f'step {step + 1} of {a.steps}: error of masked patches '
                  '%.4f, of seen ones %.4f, of pictures %.4f'
                  % tuple(sums / 100), file=log, flush=True)
            print(f'{step + 1}: {time.process_time() - start:.0f} s of CPU',
                  flush=True)
            sums[:] = 0
        if (step + 1) % 500 == 0:
            copy.deepcopy(average).half().save_pretrained(a.out)
    return average


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--steps', type=int, default=4000)
    p.add_argument('--batch', type=int, default=48)
    p.add_argument('--rate', type=float, default=2e-3)
    p.add_argument('--pictures', type=int, default=12000)
    p.add_argument('painter')
    p.add_argument('out')
    a = p.parse_args()
    torch.manual_seed(1)
    os.makedirs(a.out, exist_ok=True)
    data = pictures(a.painter, WORLD, a.pictures)
    want = looks(data)
    with open(os.path.join(a.out, 'train.log'), 'w') as log:
        print(json.dumps({k: v for k, v in vars(a).items()
                          if k not in ('painter', 'out')}), file=log,
              flush=True)
        model = train(data, want, a, log)
    model.half().save_pretrained(a.out)


if __name__ == '__main__':
    main()
