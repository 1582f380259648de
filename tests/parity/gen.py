"""Hold the networks of bs-gen against diffusers and transformers at full size.

usage: gen.py [--models sd15,sd21,vae,text1,text2,safety,image512]
              [--size 64x64] [--math f32,bf16] [--threads N] [--steps 50]
              [--folder FOLDER] NETWORKS [BS-GEN]

Random weights; two images with texts of their own at two timesteps.  Every line
must hold: predictions, the residual updates of all transformers, decoded images,
contexts of texts and cosines of concepts within 1e-4 of the largest value in
f32; with --math bf16 a cosine of at least 0.999.

imageN is a whole image of N x N pixels by BS-GEN and by StableDiffusionPipeline,
from the same folder (sd_folder.py's), caption and seed, by PNDM with a guidance
of 7.5: in f32 its bytes are the same to a PSNR of more than 50 dB.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from diffusers import StableDiffusionPipeline

from bs_stream import records
from networks import Program, channels_last, make, set_threads
from sd_folder import write_pipeline
from gen_random import randn, trace_updates

FAILED = []
CAPTION, SEED = 'a red fox in the snow, oil on canvas', 20250615


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


def generate(args, folder, side, math):
    """What bs-gen makes of a caption: bytes and latents, channels first."""
    line = json.dumps({'text': CAPTION, 'seed': SEED}) + '\n'
    out = subprocess.run(
        [args.bs_gen, '-m', folder, '-q', f'--size={side}', f'--math={math}',
         f'--steps={args.steps}', '--seed-mode=record', '--safety=keep',
         '--format=rgb', '--latents', f'--threads={args.threads}'],
        input=line.encode(), check=True, stdout=subprocess.PIPE).stdout
    _, _, arrays = records(out)[0]
    return arrays['rgb'], arrays['latents']


def check_image(args, side, folder):
    start = time.perf_counter()
    made = {math: generate(args, folder, side, math) for math in args.math}
    print(f'# bs-gen: {time.perf_counter() - start:.0f} s', flush=True)
    start = time.perf_counter()
    pipe = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipe.set_progress_bar_config(disable=True)
    latents = pipe(CAPTION, height=side, width=side,
                   num_inference_steps=args.steps, guidance_scale=7.5,
                   generator=torch.Generator().manual_seed(SEED),
                   output_type='latent').images
    image = pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample[0]
    want = ((image / 2 + 0.5).clamp(0, 1).permute(1, 2, 0) * 255).round()
    want = want.numpy().astype(np.uint8)
    print(f'# diffusers: {time.perf_counter() - start:.0f} s; bytes from '
          f'{want.min()} to {want.max()}, standard deviation {want.std():.1f}, '
          f'{np.isin(want, (0, 255)).mean():.1%} of them at an end', flush=True)
    for math, (rgb, ours) in made.items():
        off = rgb.astype(np.int32) - want
        psnr = 10 * np.log10(255 ** 2 / max((off ** 2).mean(), 1e-12))
        far = np.abs(ours - latents[0].numpy()).max() / latents.abs().max()
        good = psnr > 50 or math != 'f32'
        if not good:
            FAILED.append(f'image{side}')
        print(f'{"ok  " if good else "FAIL"} image of {side} pixels, '
              f'{args.steps} steps, {math}: PSNR {psnr:.2f} dB, '
              f'{np.count_nonzero(off)} of {off.size} bytes differ, by '
              f'{np.abs(off).max()} at most; latents off by {far:.2e}',
              flush=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--models', type=lambda s: s.split(','),
                   default=['text1', 'text2', 'safety', 'vae', 'sd15', 'sd21'])
    p.add_argument('--size', type=lambda s: tuple(map(int, s.split('x'))),
                   default=(64, 64), help='of the latents, HEIGHTxWIDTH')
    p.add_argument('--math', type=lambda s: s.split(','), default=['f32'])
    p.add_argument('--threads', type=int,
                   default=len(os.sched_getaffinity(0)))
    p.add_argument('--steps', type=int, default=50, help='of an image')
    p.add_argument('--folder', help='of imageN: written where it is not there')
    p.add_argument('networks')
    p.add_argument('bs_gen', nargs='?')
    args = p.parse_args()
    if any(m.startswith('image') for m in args.models) and not args.bs_gen:
        p.error('a whole image wants the path of bs-gen')
    set_threads(args.threads)
    for name in args.models:
        with tempfile.TemporaryDirectory() as work:
            if name == 'vae':
                check_vae(args, work)
            elif name.startswith('text'):
                check_text(args, name, work)
            elif name == 'safety':
                check_safety(args, work)
            elif name.startswith('image'):
                folder = args.folder or work
                if not os.path.exists(f'{folder}/model_index.json'):
                    write_pipeline(folder, safety=False)
                check_image(args, int(name[5:]), folder)
            else:
                check_unet(args, name, work)
    sys.exit(f'{len(FAILED)} lines failed' if FAILED else 0)


main()
