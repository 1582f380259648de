"""Hold bs-embed against transformers and timm at the real sizes.

usage: dinov2.py [--models s,b,l,g] [--sizes 224,518] [--math f32,bf16]
                 [--libraries transformers,timm] BS-EMBED

Models of random weights are written as folders, pictures as files; Pillow and
torchvision prepare the pictures for the reference, bs-embed reads the files.
Every line of the table must hold: f32 within 2e-4 and cosine 0.99999 of every
token, bf16 cosine 0.9995.
"""
import argparse
import glob
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile

import numpy as np
import timm
import torch
import torchvision.transforms as T
import transformers
from PIL import Image
from safetensors.torch import save_file

from bs_stream import records

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f'{ROOT}/golden')
from dinov2_random import randomise  # noqa: E402

WIDTHS = {'s': (384, 12, 6, 'small'), 'b': (768, 12, 12, 'base'),
          'l': (1024, 24, 16, 'large'), 'g': (1536, 40, 24, 'giant')}
BARS = {'f32': (2e-4, 0.99999), 'bf16': (float('inf'), 0.9995)}


def pictures(count):
    """(name, bytes) of the sample pictures, and of one made here."""
    y, x = np.mgrid[0:333, 0:500]
    rng = np.random.default_rng(7)
    planes = [127 + 80 * np.sin(x * a + y * b) for a, b in rng.uniform(0, .2, (3, 2))]
    noisy = np.stack(planes, -1) + rng.normal(0, 20, (333, 500, 3))
    out = io.BytesIO()
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(out, 'PNG')
    made = [('made.png', out.getvalue())]
    for path in sorted(glob.glob(f'{ROOT}/sample/*/*.jpg')):
        with open(path, 'rb') as f:
            made.append((os.path.basename(path), f.read()))
    return made[:count]


def write_tar(path, files):
    with tarfile.open(path, 'w', format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def prepared(files, size):
    prepare = T.Compose([
        T.Resize(size * 8 // 7, T.InterpolationMode.BICUBIC), T.CenterCrop(size),
        T.ToTensor(),
        T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
    return torch.stack([prepare(Image.open(io.BytesIO(data)).convert('RGB'))
                        for _, data in files])


def transformers_model(width, registers, folder):
    hidden, layers, heads, _ = WIDTHS[width]
    kind = 'Dinov2WithRegisters' if registers else 'Dinov2'
    config = getattr(transformers, kind + 'Config')(
        hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
        patch_size=14, image_size=518, use_swiglu_ffn=width == 'g')
    model = getattr(transformers, kind + 'Model')(config)
    randomise(model, 1).save_pretrained(folder)
    return lambda x: model(x).last_hidden_state


def timm_model(width, registers, folder):
    name = f'vit_{WIDTHS[width][3]}_patch14_{"reg4_" if registers else ""}dinov2'
    model = timm.create_model(name, num_classes=0, dynamic_img_size=True)
    randomise(model, 2)
    os.makedirs(folder)
    save_file(model.state_dict(), f'{folder}/model.safetensors')
    with open(f'{folder}/config.json', 'w') as f:
        json.dump({'architecture': name, 'pretrained_cfg': {
            k: model.pretrained_cfg[k] for k in ('mean', 'std')}}, f)
    return model.forward_features


def compare(label, got, want, math):
    if got.shape != want.shape:
        print(f'{label:42s} shape {got.shape}, not {want.shape}  FAILED')
        return False
    a, b = got.astype(np.float64), want.astype(np.float64)
    worst = np.abs(a - b).max()
    cosine = ((a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))).min()
    bar, least = BARS[math]
    good = bool(worst <= bar and cosine >= least)  # NaN fails
    print(f'{label:42s} {worst:10.2e} {cosine:12.8f} {np.abs(b).mean():8.3f}'
          f'  {"ok" if good else "FAILED"}', flush=True)
    return good


def check(args, make, library, width, registers, work):
    """One model at every size and math."""
    folder = f'{work}/{library}-{width}-{registers}'
    good = True
    run = make(width, registers, folder)
    for size in args.sizes:
        files = pictures(3 if size < 400 else 1)
        write_tar(f'{work}/in.tar', files)
        with torch.inference_mode():
            want = run(prepared(files, size)).numpy()
        for math in args.math:
            done = subprocess.run(
                [args.embed, '-m', folder, '--dtype=f32', f'--math={math}',
                 f'--size={size}', f'{work}/in.tar'],
                check=True, stdout=subprocess.PIPE)
            name = f'{library} vit-{width}{"-reg" if registers else ""}'
            got = np.stack([arrays['x'] for _, _, arrays in records(done.stdout)])
            good &= compare(f'{name} {size} {math}', got, want, math)
    for name in os.listdir(folder):
        os.remove(f'{folder}/{name}')
    return good


def words(text):
    return text.split(',')


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--models', type=words, default=['s', 'b', 'l'])
    p.add_argument('--sizes', type=lambda s: [int(n) for n in words(s)],
                   default=[224, 518])
    p.add_argument('--math', type=words, default=['f32', 'bf16'])
    p.add_argument('--libraries', type=words, default=['transformers', 'timm'])
    p.add_argument('embed')
    args = p.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    makers = {'transformers': transformers_model, 'timm': timm_model}
    print(f'torch {torch.__version__}, transformers {transformers.__version__}, '
          f'timm {timm.__version__}')
    print(f'{"model":42s} {"max abs":>10s} {"cosine":>12s} {"mean |x|":>8s}')
    good = True
    with tempfile.TemporaryDirectory() as work:
        for width in args.models:
            for library in args.libraries:
                for registers in (False, True):
                    good &= check(args, makers[library], library, width,
                                  registers, work)
    return 0 if good else 1


sys.exit(main())
