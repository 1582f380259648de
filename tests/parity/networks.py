"""Full-size networks of Stable Diffusion with random weights, as diffusers
makes them, and the program networks that computes them here."""
import os
import subprocess
import sys

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPTextConfig, CLIPTextModel

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f'{ROOT}/golden')
from gen_random import randomise  # noqa: E402

SD15 = dict(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
SD21 = dict(sample_size=96, cross_attention_dim=1024,
            attention_head_dim=(5, 10, 20, 20), use_linear_projection=True,
            upcast_attention=True)
VAE = dict(block_out_channels=(128, 256, 512, 512),
           down_block_types=('DownEncoderBlock2D',) * 4,
           up_block_types=('UpDecoderBlock2D',) * 4, layers_per_block=2,
           sample_size=512)
# ViT-L/14; OpenCLIP-H without its last layer, as the folder of 2.1 has it
TEXTS = dict(
    text1=dict(hidden_size=768, num_attention_heads=12, num_hidden_layers=12,
               intermediate_size=3072),
    text2=dict(hidden_size=1024, num_attention_heads=16, num_hidden_layers=23,
               intermediate_size=4096, hidden_act='gelu'))
SAFETY = dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24,
              num_attention_heads=16, patch_size=14, image_size=224)


def make(name):
    if name in TEXTS:
        return randomise(CLIPTextModel(CLIPTextConfig(**TEXTS[name])), 4)
    if name == 'safety':
        model = randomise(StableDiffusionSafetyChecker(CLIPConfig(
            vision_config=SAFETY, projection_dim=768)), 5)
        with torch.no_grad():
            model.special_care_embeds.normal_()
            model.concept_embeds.normal_()
        return model
    if name == 'vae':
        return randomise(AutoencoderKL(**VAE), 3)
    return randomise(UNet2DConditionModel(**{'sd15': SD15, 'sd21': SD21}[name]),
                     {'sd15': 1, 'sd21': 2}[name])


class Program:
    """`networks` with a model and inputs: tensors by name, images channels
    last."""

    def __init__(self, path, kind, folder, inputs, math, threads):
        save_file({k: v.contiguous() for k, v in inputs.items()},
                  f'{folder}/inputs.safetensors')
        stem = 'diffusion_pytorch_model' if kind in ('unet', 'vae') else 'model'
        self.process = subprocess.Popen(
            [path, kind, f'{folder}/{stem}.safetensors',
             f'{folder}/inputs.safetensors', math, str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, request, dtype=np.float32):
        """Seconds, and the result as a flat array."""
        self.process.stdin.write(f'{request}\n'.encode())
        self.process.stdin.flush()
        seconds, size = self.process.stdout.readline().split()
        data = self.process.stdout.read(int(size))
        return float(seconds), np.frombuffer(data, dtype)

    def close(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            raise SystemExit('networks failed')


def channels_last(x):
    return x.permute(0, 2, 3, 1).contiguous()


def set_threads(threads):
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
