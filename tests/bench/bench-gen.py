"""Seconds of a network of bs-gen and of PyTorch (diffusers), in one run.

usage: bench-gen.py [--rows unet,vae] [--size 64x64] [--batch 2] [--threads N]
                    [--rounds 3] [--math f32,bf16] NETWORKS

Stable Diffusion 1.5 at full size, random weights: a forward pass of the UNet
(with guidance an image is a batch of 2) and a decoded image.  PyTorch computes
in f32, channels first and channels last.  All take turns in every round and the
best of each counts, so that a busy machine slows none of them alone.
"""
import argparse
import os
import sys
import tempfile
import time

import torch

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [f'{ROOT}/parity', f'{ROOT}/golden']
from networks import Program, channels_last, make, set_threads  # noqa: E402
from gen_random import randn  # noqa: E402


def timed(fn):
    start = time.perf_counter()
    fn()
    return time.perf_counter() - start


def row(args, name, work):
    model = make('sd15' if name == 'unet' else 'vae')
    batch = args.batch if name == 'unet' else 1
    x = randn((batch, 4, *args.size), 5)
    inputs = {'latents': channels_last(x)}
    if name == 'unet':
        text = randn((batch, 77, 768), 6)
        inputs.update(text=text, steps=torch.tensor([501.]))

    model.save_pretrained(work)
    ours = {math: Program(args.networks, name, work, inputs, math,
                          args.threads) for math in args.math}

    def peer(x):
        if name == 'unet':
            return model(x, torch.tensor(501), text)
        return model.decode(x)

    best = {}
    for _ in range(args.rounds):
        for form in (torch.contiguous_format, torch.channels_last):
            model.to(memory_format=form)
            like = x.to(memory_format=form)
            key = 'torch' if form == torch.contiguous_format else 'torch, nhwc'
            best[key] = min(best.get(key, 1e9), timed(lambda: peer(like)))
        for math, program in ours.items():
            best[math] = min(best.get(math, 1e9), program.ask(0)[0])
    for program in ours.values():
        program.close()
    fastest = min(v for k, v in best.items() if k.startswith('torch'))
    for key, seconds in best.items():
        ratio = '' if key.startswith('torch') else \
            f'   {fastest / seconds:.2f} x torch'
        print(f'{name} {args.size[0]}x{args.size[1]} batch {batch}  '
              f'{key:12} {seconds:8.2f} s{ratio}', flush=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--rows', type=lambda s: s.split(','),
                   default=['unet', 'vae'])
    p.add_argument('--size', type=lambda s: tuple(map(int, s.split('x'))),
                   default=(64, 64), help='of the latents, HEIGHTxWIDTH')
    p.add_argument('--batch', type=int, default=2)
    p.add_argument('--threads', type=int,
                   default=len(os.sched_getaffinity(0)))
    p.add_argument('--rounds', type=int, default=3)
    p.add_argument('--math', type=lambda s: s.split(','), default=['f32'])
    p.add_argument('networks')
    args = p.parse_args()
    set_threads(args.threads)
    for name in args.rows:
        with tempfile.TemporaryDirectory() as work:
            row(args, name, work)


main()
