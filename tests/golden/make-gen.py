#!/usr/bin/env python3
"""Make tests/golden/gen: tiny random UNets and a VAE in the layout of
diffusers, and what diffusers says of them.

Needs torch, diffusers, safetensors; run from the root of the source.  Every
configuration is odd in some way: heads of 2, 3 or 4 columns, sides that do not
halve evenly, levels with and without attention, two layers in a transformer.  expect.safetensors holds the
inputs ("in.*") and results of each model, images channels last.
"""
import os
import shutil
import sys

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gen_random import randn, randomise, trace_updates  # noqa: E402

OUT = 'tests/golden/gen'

# Stable Diffusion 1: heads of one number, 1 x 1 convolutions around attention.
SD1 = dict(block_out_channels=(8, 12), layers_per_block=1, sample_size=8,
           down_block_types=('CrossAttnDownBlock2D', 'DownBlock2D'),
           up_block_types=('UpBlock2D', 'CrossAttnUpBlock2D'),
           cross_attention_dim=14, attention_head_dim=4, norm_num_groups=4)
# Stable Diffusion 2: heads of a number of their own, matrices.
SD2 = dict(block_out_channels=(8, 12, 16), layers_per_block=1, sample_size=8,
           down_block_types=('CrossAttnDownBlock2D', 'CrossAttnDownBlock2D',
                             'DownBlock2D'),
           up_block_types=('UpBlock2D', 'CrossAttnUpBlock2D',
                           'CrossAttnUpBlock2D'),
           cross_attention_dim=12, attention_head_dim=(2, 3, 4),
           use_linear_projection=True, upcast_attention=True,
           norm_num_groups=4, in_channels=5, out_channels=3,
           transformer_layers_per_block=(1, 2, 1), norm_eps=1e-4)
VAE = dict(block_out_channels=(8, 12, 16), in_channels=3, out_channels=3,
           down_block_types=('DownEncoderBlock2D',) * 3,
           up_block_types=('UpDecoderBlock2D',) * 3, latent_channels=4,
           layers_per_block=1, norm_num_groups=4, scaling_factor=0.31)


def unet(name, config, seed, height, width, steps, tokens, dtype):
    """Save in dtype; the reference computes in f32 with what was saved."""
    model = randomise(UNet2DConditionModel(**config), seed).to(dtype)
    model.save_pretrained(f'{OUT}/{name}')
    model.float()
    x = randn((2, model.config.in_channels, height, width), seed + 1)
    text = randn((2, tokens, config['cross_attention_dim']), seed + 2)
    tensors = {'in.latents': x.permute(0, 2, 3, 1), 'in.text': text,
               'in.steps': torch.tensor(steps, dtype=torch.float32)}
    with torch.inference_mode():
        for i, t in enumerate(steps):
            updates, handles = trace_updates(model)
            out = model(x, torch.tensor(t), text).sample
            tensors[f'out.{i}'] = out.permute(0, 2, 3, 1)
            for handle in handles:
                handle.remove()
        for block, update in updates.items():
            tensors[f'update.{block}'] = update.permute(0, 2, 3, 1)
    save_file({k: v.contiguous().clone() for k, v in tensors.items()},
              f'{OUT}/{name}/expect.safetensors')


def vae():
    model = randomise(AutoencoderKL(**VAE), 31)
    names = [n for n in model.state_dict()
             if n.startswith('encoder') or n.startswith('quant')]
    x = randn((1, 4, 5, 6), 32)
    with torch.inference_mode():
        out = model.decode(x / model.config.scaling_factor).sample
    pixels = (out * 0.5 + 0.5).clamp(0, 1).permute(0, 2, 3, 1)
    pixels = pixels.contiguous().numpy()
    model.save_pretrained(f'{OUT}/vae')
    path = f'{OUT}/vae/diffusion_pytorch_model.safetensors'
    # nothing of the encoder; attention by its old names
    state = {n: v for n, v in model.state_dict().items() if n not in names}
    for new, old in (('to_q', 'query'), ('to_k', 'key'), ('to_v', 'value'),
                     ('to_out.0', 'proj_attn')):
        state = {n.replace(f'attentions.0.{new}.', f'attentions.0.{old}.'): v
                 for n, v in state.items()}
    save_file(state, path)
    save_file({'in.latents': x.permute(0, 2, 3, 1).contiguous().clone(),
               'out': out.permute(0, 2, 3, 1).contiguous().clone(),
               'bytes': torch.from_numpy(
                   (pixels * 255).round().astype('uint8').copy())},
              f'{OUT}/vae/expect.safetensors')


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    os.makedirs(OUT)
    unet('sd1', SD1, 11, 7, 6, (981, 1), 9, torch.float32)
    unet('sd2', SD2, 21, 9, 10, (500.25,), 77, torch.float16)
    vae()
    import diffusers
    print('torch', torch.__version__, 'diffusers', diffusers.__version__)


main()
