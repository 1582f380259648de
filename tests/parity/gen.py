"""Hold the networks of bs-gen against diffusers and transformers at full size.

usage: gen.py [--models sd15,sd21,vae,text1,text2,safety] [--size 64x64]
              [--math f32,bf16] [--threads N] NETWORKS

Random weights; two images with texts of their own at two timesteps.  Every line
must hold: predictions, the residual updates of all transformers, decoded images,
contexts of texts and cosines of concepts within 1e-4 of the largest value in
f32; with --math bf16 a cosine of at least 0.999.
"""
import argparse
import os
import sys
import tempfile

import numpy as np
import torch

from networks import Program, channels_last, make, set_threads
from gen_random import randn, trace_updates

FAILED = []


def compare(what, got, want, math):
    want = want.numpy().ravel()
    off = float(np.abs(got - want).max() / np.abs(want).max())
    cosine = float(got.astype(np.float64) @ want.astype(np.float64) /
                   np.linalg.norm(got.astype(np.float64)) /
                   np.linalg.norm(want.astype(np.float64)))
    good = off <= 1e-4 if math == 'f32' else cosine >= 0.999
    if not good:
        FAILED.append(what)
    print(f'{"ok  " if good else "FAIL"} {what}: off by {off:.2e}, '
          f'cosine {cosine:.8f}', flush=True)


def check_unet(args, name, work):
    model = make(name)
    model.save_pretrained(work)
    height, width = args.size
    x = randn((2, 4, height, width), 5)
    text = randn((2, 77, model.config.cross_attention_dim), 6)
    steps = [981, 1]
    want, updates = [], []
    for t in steps:
        traced, handles = trace_updates(model)
        want.append(channels_last(model(x, torch.tensor(t), text).sample))
        updates.append({k: channels_last(v) for k, v in traced.items()})
        for handle in handles:
            handle.remove()
    del model
    for math in args.math:
        program = Program(args.networks, 'unet', work, {
            'latents': channels_last(x), 'text': text,
            'steps': torch.tensor(steps, dtype=torch.float32)}, math,
            args.threads)
        for i, t in enumerate(steps):
            compare(f'{name} {math}, t = {t}', program.ask(i)[1], want[i],
                    math)
        for block, update in updates[0].items():
            compare(f'{name} {math}, {block}', program.ask(f'0 {block}')[1],
                    update, math)
        program.close()


def check_vae(args, work):
    model = make('vae')
    model.save_pretrained(work)
    x = randn((1, 4, *args.size), 7)
    want = channels_last(model.decode(x / model.config.scaling_factor).sample)
    del model
    for math in args.math:
        program = Program(args.networks, 'vae', work,
                          {'latents': channels_last(x)}, math, args.threads)
        compare(f'vae {math}', program.ask(0)[1], want, math)
        program.close()


def check_text(args, name, work):
    model = make(name)
    model.save_pretrained(work)
    ids = torch.randint(0, 49406, (3, 77),
                        generator=torch.Generator().manual_seed(8))
    want = model(ids).last_hidden_state
    del model
    for math in args.math:
        program = Program(args.networks, 'text', work,
                          {'ids': ids.to(torch.int32)}, math, args.threads)
        compare(f'{name} {math}', program.ask(0)[1], want, math)
        program.close()


def check_safety(args, work):
    model = make('safety')
    model.save_pretrained(work)
    rgb = torch.randint(0, 256, (2, 224, 224, 3), dtype=torch.uint8,
                        generator=torch.Generator().manual_seed(9))
    mean = torch.tensor([.48145466, .4578275, .40821073])
    std = torch.tensor([.26862954, .26130258, .27577711])
    pixels = ((rgb / 255 - mean) / std).permute(0, 3, 1, 2)
    unit = torch.nn.functional.normalize
    vector = unit(model.visual_projection(model.vision_model(pixels)[1]))
    want = torch.cat([vector @ unit(model.special_care_embeds).T,
                      vector @ unit(model.concept_embeds).T], 1)
    del model
    for math in args.math:
        program = Program(args.networks, 'safety', work, {'rgb': rgb}, math,
                          args.threads)
        for i in range(2):
            compare(f'safety {math}, image {i}',
                    program.ask(i, np.float64)[1], want[i], math)
        program.close()


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--models', type=lambda s: s.split(','),
                   default=['text1', 'text2', 'safety', 'vae', 'sd15', 'sd21'])
    p.add_argument('--size', type=lambda s: tuple(map(int, s.split('x'))),
                   default=(64, 64), help='of the latents, HEIGHTxWIDTH')
    p.add_argument('--math', type=lambda s: s.split(','), default=['f32'])
    p.add_argument('--threads', type=int,
                   default=len(os.sched_getaffinity(0)))
    p.add_argument('networks')
    args = p.parse_args()
    set_threads(args.threads)
    for name in args.models:
        with tempfile.TemporaryDirectory() as work:
            if name == 'vae':
                check_vae(args, work)
            elif name.startswith('text'):
                check_text(args, name, work)
            elif name == 'safety':
                check_safety(args, work)
            else:
                check_unet(args, name, work)
    sys.exit(f'{len(FAILED)} lines failed' if FAILED else 0)


main()
