"""A folder of Stable Diffusion 1.5 as the hub has it, at full size: random
weights, the real vocabulary.

usage: sd_folder.py FOLDER      (4.3 GB; with the safety checker 5.5 GB)
"""
import json
import os
import sys

from diffusers import PNDMScheduler
from transformers import CLIPImageProcessor

from networks import make

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f'{ROOT}/golden')
from clip_bpe_folder import END, real_merges, write_folder  # noqa: E402

PARTS = {'unet': ('sd15', 'diffusers', 'UNet2DConditionModel'),
         'vae': ('vae', 'diffusers', 'AutoencoderKL'),
         'text_encoder': ('text1', 'transformers', 'CLIPTextModel'),
         'safety_checker': ('safety', 'stable_diffusion',
                            'StableDiffusionSafetyChecker')}


def write_pipeline(folder, safety=True):
    index = {'_class_name': 'StableDiffusionPipeline',
             'scheduler': ['diffusers', 'PNDMScheduler'],
             'tokenizer': ['transformers', 'CLIPTokenizer'],
             'feature_extractor': ['transformers', 'CLIPImageProcessor'],
             'safety_checker': [None, None], 'requires_safety_checker': safety}
    for part, (name, library, cls) in PARTS.items():
        if part == 'safety_checker' and not safety:
            continue
        make(name).save_pretrained(f'{folder}/{part}')
        index[part] = [library, cls]
    write_folder(f'{folder}/tokenizer', real_merges(), END, 77)
    PNDMScheduler(beta_start=0.00085, beta_end=0.012,
                  beta_schedule='scaled_linear', skip_prk_steps=True,
                  steps_offset=1).save_pretrained(f'{folder}/scheduler')
    CLIPImageProcessor(
        size={'shortest_edge': 224},
        crop_size={'height': 224, 'width': 224}).save_pretrained(
            f'{folder}/feature_extractor')
    with open(f'{folder}/model_index.json', 'w') as f:
        json.dump(index, f, indent=1)


if __name__ == '__main__':
    write_pipeline(sys.argv[1])
