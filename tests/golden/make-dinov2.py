#!/usr/bin/env python3
"""Make tests/golden/dinov2: tiny models in the real layouts, pictures, and what
transformers and timm say of them.

Needs torch, torchvision, transformers, timm, Pillow, safetensors; run from the
root of the source.  pixels.safetensors holds, per size S, the pictures
after resize and crop ("S", U8 [2, S, S, 3]); each model's expect.safetensors
their features ("S", F32 [2, tokens, width]).
"""
import json
import os
import shutil
import sys

import numpy as np
import timm
import torch
import torchvision.transforms as T
from PIL import Image
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer
from transformers import (Dinov2Config, Dinov2ForImageClassification,
                          Dinov2Model, Dinov2WithRegistersConfig,
                          Dinov2WithRegistersModel)

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from dinov2_random import randomise  # noqa: E402

OUT = 'tests/golden/dinov2'
SIZES = (42, 70, 84)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TINY = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=2,
            mlp_ratio=2, patch_size=14, image_size=70)


def pictures():
    """Two pictures that compress well and have edges, colours, odd sizes."""
    os.makedirs(f'{OUT}/images')
    for name, (w, h), seed in (('a', (97, 71), 1), ('b', (64, 120), 2)):
        rng = np.random.default_rng(seed)
        small = rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)
        picture = Image.fromarray(small).resize((w, h), Image.BILINEAR)
        picture.paste(tuple(rng.integers(0, 256, 3)), (w // 3, h // 2, w - 9, h))
        picture.save(f'{OUT}/images/{name}.png', optimize=True)
    return [Image.open(f'{OUT}/images/{name}.png').convert('RGB')
            for name in 'ab']


def inputs(images, size):
    """The pictures as torchvision prepares them: bytes, and floats."""
    crop = T.Compose([T.Resize(size * 8 // 7, T.InterpolationMode.BICUBIC),
                      T.CenterCrop(size)])
    finish = T.Compose([T.ToTensor(), T.Normalize(MEAN, STD)])
    cropped = [crop(image) for image in images]
    pixels = torch.from_numpy(np.stack([np.asarray(c) for c in cropped]))
    return pixels, torch.stack([finish(c) for c in cropped])


def expect(folder, images, run):
    with torch.inference_mode():
        save_file({str(size): run(inputs(images, size)[1]).contiguous().clone()
                   for size in SIZES}, f'{folder}/expect.safetensors')


def hf(name, model, images, dtype, **save):
    """Save in dtype; the reference computes in f32 with what was saved."""
    folder = f'{OUT}/{name}'
    model.to(dtype).save_pretrained(folder, **save)
    model.float()
    base = getattr(model, 'dinov2', model)
    expect(folder, images, lambda x: base(x).last_hidden_state)


def timm_folder(name, images):
    folder = f'{OUT}/{name}'
    args = dict(img_size=70, patch_size=14, embed_dim=24, depth=2, num_heads=2,
                mlp_ratio=2, init_values=1e-5, reg_tokens=3,
                no_embed_class=True, dynamic_img_size=True, num_classes=0)
    model = randomise(VisionTransformer(**args), 4).half()
    os.makedirs(folder)
    save_file(model.state_dict(), f'{folder}/model.safetensors')
    with open(f'{folder}/config.json', 'w') as f:
        json.dump({'architecture': 'vit_small_patch14_reg4_dinov2',
                   'num_classes': 0, 'num_features': 24, 'model_args': args,
                   'pretrained_cfg': {'input_size': [3, 70, 70], 'mean': MEAN,
                                      'std': STD}}, f, indent=2)
    model.float()
    expect(folder, images, model.forward_features)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    images = pictures()
    save_file({str(size): inputs(images, size)[0].contiguous()
               for size in SIZES}, f'{OUT}/pixels.safetensors')
    hf('registers', randomise(Dinov2WithRegistersModel(
        Dinov2WithRegistersConfig(**TINY, num_register_tokens=4)), 1), images,
       torch.float32)
    hf('plain', randomise(Dinov2ForImageClassification(
        Dinov2Config(**TINY, qkv_bias=False)), 2), images, torch.bfloat16)
    hf('giant', randomise(Dinov2Model(Dinov2Config(
        **{**TINY, 'hidden_size': 32, 'num_hidden_layers': 1},
        use_swiglu_ffn=True)), 3), images, torch.float16, max_shard_size='30KB')
    timm_folder('timm', images)
    print('torch', torch.__version__, 'timm', timm.__version__)


main()
