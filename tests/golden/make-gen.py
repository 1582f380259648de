#!/usr/bin/env python3
"""Make tests/golden/gen: tiny random networks in the layout of diffusers, and
what diffusers and transformers say of them.

Needs torch, diffusers, transformers, safetensors; run from the root of the
source.  Every configuration is odd in some way: heads of 2, 3 or 4 columns,
sides that do not halve evenly, levels with and without attention, two layers in
a transformer.  expect.safetensors holds the inputs ("in.*") and results of each
model, images channels last.  The folder pipeline is a whole model: its UNet and
VAE are those of sd1 and vae, its tokenizer is that of clip-bpe.
"""
import json
import os
import shutil
import sys

import numpy as np
import torch
from diffusers import (AutoencoderKL, DDIMScheduler, DPMSolverMultistepScheduler,
                       EulerDiscreteScheduler, PNDMScheduler,
                       StableDiffusionPipeline, UNet2DConditionModel,
                       UniPCMultistepScheduler)
from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
from safetensors.torch import load_file, save_file
from transformers import (CLIPConfig, CLIPImageProcessor, CLIPTextConfig,
                          CLIPTextModel)

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


def text_encoder(name, config, seed, dtype, old_names):
    """Save in dtype; transformers before 5 had a prefix."""
    model = randomise(CLIPTextModel(CLIPTextConfig(
        bos_token_id=0, eos_token_id=1, **config)), seed).to(dtype)
    model.save_pretrained(f'{OUT}/{name}')
    if old_names:
        path = f'{OUT}/{name}/model.safetensors'
        state = {f'text_model.{k}': v for k, v in load_file(path).items()}
        places = config['max_position_embeddings']
        state['text_model.embeddings.position_ids'] = torch.arange(places)[None]
        save_file(state, path)
    model.float()
    ids = torch.randint(0, config['vocab_size'],
                        (3, config['max_position_embeddings']),
                        generator=torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        out = model(ids).last_hidden_state
    save_file({'in.ids': ids.to(torch.int32), 'out': out.contiguous().clone()},
              f'{OUT}/{name}/expect.safetensors')
    return model


# ---- a whole pipeline --------------------------------------------------------

CAPTIONS = ['a red fox in the snow', 'Two cups of coffee, on a table']
SEEDS = [7, 123456789012]
SCHEDULERS = [  # name, class, changes of the configuration, arguments
    ('pndm', PNDMScheduler, {}, dict(num_inference_steps=6)),
    ('ddim', DDIMScheduler, {}, dict(num_inference_steps=5)),
    ('eta', DDIMScheduler, {}, dict(num_inference_steps=4, eta=0.7)),
    ('v', DDIMScheduler, dict(prediction_type='v_prediction'),
     dict(num_inference_steps=5)),
    ('dpm', DPMSolverMultistepScheduler, {}, dict(num_inference_steps=6)),
    ('sde', DPMSolverMultistepScheduler,
     dict(algorithm_type='sde-dpmsolver++'), dict(num_inference_steps=4)),
    ('euler', EulerDiscreteScheduler, {}, dict(num_inference_steps=5)),
    ('unipc', UniPCMultistepScheduler, {}, dict(num_inference_steps=6)),
    ('plain', DDIMScheduler, {},
     dict(num_inference_steps=3, guidance_scale=1.0)),
    ('wide', DDIMScheduler, {},
     dict(num_inference_steps=2, height=24, width=40, negative_prompt=['blurry'] * 2,
          guidance_scale=3.0)),
]


def generators():
    return [torch.Generator().manual_seed(s) for s in SEEDS]


def set_thresholds(checker, cosines):
    """Thresholds that the first image is far below, and the second above with
    one concept, but only with the help of a special one."""
    special, other = cosines
    with torch.no_grad():
        checker.special_care_embeds_weights.copy_(special.max(0).values + 0.1)
        checker.concept_embeds_weights.copy_(other.max(0).values + 0.1)
        i = int((special[1] - special[0]).argmax())
        checker.special_care_embeds_weights[i] = (
            special[0, i] + special[1, i]) / 2
        j = int((other[1] - other[0]).argmax())
        checker.concept_embeds_weights[j] = other[1, j] + 0.005


def cosines_of(checker, pixels):
    with torch.inference_mode():
        vector = checker.visual_projection(checker.vision_model(pixels)[1])
        unit = torch.nn.functional.normalize
        return [unit(vector) @ unit(c).T for c in
                (checker.special_care_embeds, checker.concept_embeds)]


# ---- taps and interventions -------------------------------------------------

BLOCK = 'mid_block.attentions.0'  # of 4 x 4 places and 12 channels
STEERS = {  # as in gen_steer.h
    'quadrant': dict(block=BLOCK, steps='0-2', sae='sae.safetensors',
                     concepts=[3, 8], beta=6.5, region='top-left'),
    'global': dict(block=BLOCK, steps='all', sae='sae.safetensors',
                   concepts=[5], beta=0.75),
    'mask': dict(block=BLOCK, steps='1,3-4', sae='sae.safetensors',
                 concepts=[0, 8, 11], beta=1.25, norm='none', inside='set',
                 outside='keep', side='both',
                 region=[[0, 1, 1], [1, 0, 1]]),
}


def make_sae(path):
    arrays = {'enc_w': randn((20, 12), 71) * 0.3, 'enc_b': randn((20,), 72) * .1,
              'pre_b': randn((12,), 73) * .1, 'dec_w': randn((20, 12), 74) * .3,
              'dec_b': randn((12,), 75) * .1}
    save_file(arrays, path, {'bs.sae': '1', 'select': 'topk', 'k': '4'})
    return arrays


def steered(x, spec, sae):
    """An update [places, 12], changed."""
    z = torch.relu((x - sae['pre_b']) @ sae['enc_w'].T + sae['enc_b'])
    top = z.topk(4, dim=1)
    z = torch.zeros_like(z).scatter(1, top.indices, top.values)
    length = z.norm(dim=1)
    region = spec.get('region', 'all')
    norm = spec.get('norm', 'norm' if region == 'all' else 'share')
    beta = spec['beta'] * {'share': length / length.sum(), 'norm': length,
                           'none': torch.ones_like(length)}[norm]
    grid = torch.ones(4, 4, dtype=torch.bool)
    if region == 'top-left':
        grid[2:] = grid[:, 2:] = False
    elif region != 'all':
        mask = torch.tensor(region, dtype=torch.bool)
        rows = torch.arange(4) * mask.shape[0] // 4
        columns = torch.arange(4) * mask.shape[1] // 4
        grid = mask[rows][:, columns]
    inside = grid.reshape(-1)
    for c in spec['concepts']:
        by = beta - (z[:, c] if spec.get('inside') == 'set' else 0)
        out = 0 * beta if spec.get('outside') == 'keep' else -z[:, c]
        x = x + torch.where(inside, by, out)[:, None] * sae['dec_w'][c]
    return x


def numbers(text):
    if text == 'all':
        return range(100)
    parts = [p.split('-') for p in text.split(',')]
    return [i for p in parts for i in range(int(p[0]), int(p[-1]) + 1)]


def run_hooked(pipe, spec, sae, steps):
    """Latents of a run with an intervention, and the block's updates before it:
    [step, image, place, channel] of both sides."""
    kept, module = [], dict(pipe.unet.named_modules())[BLOCK]

    def hook(_, args, kwargs, output):
        x = args[0] if args else kwargs['hidden_states']
        update = (output[0] - x).permute(0, 2, 3, 1)
        rows = update.reshape(len(update), -1, update.shape[-1])
        step, images = len(kept), len(rows) // 2
        kept.append(rows)
        if spec is None or step not in numbers(spec['steps']):
            return output
        side = spec.get('side', 'cond')
        changed = torch.stack([
            steered(r, spec, sae) if side == 'both' or
            (i < images) == (side == 'uncond') else r
            for i, r in enumerate(rows)])
        return (x + changed.reshape(update.shape).permute(0, 3, 1, 2),)

    handle = module.register_forward_hook(hook, with_kwargs=True)
    latents = pipe(CAPTIONS, generator=generators(), num_inference_steps=steps,
                   output_type='latent').images
    handle.remove()
    return latents, torch.stack(kept)


def steer(pipe):
    folder = f'{OUT}/steer'
    os.makedirs(folder)
    sae = make_sae(f'{folder}/sae.safetensors')
    expect = {}
    latents, updates = run_hooked(pipe, None, sae, 5)
    expect['uncond'], expect['cond'] = updates.chunk(2, dim=1)
    for name, spec in STEERS.items():
        with open(f'{folder}/{name}.json', 'w') as f:
            json.dump(spec, f)
            f.write('\n')
        expect[name], _ = run_hooked(pipe, spec, sae, 5)
        print(name, float((expect[name] - latents).abs().max()))
    save_file({k: v.contiguous().clone() for k, v in expect.items()},
              f'{folder}/expect.safetensors')


def pipeline():
    folder = f'{OUT}/pipeline'
    os.makedirs(folder)
    os.symlink('../sd1', f'{folder}/unet')
    os.symlink('../vae', f'{folder}/vae')
    os.symlink('../text1', f'{folder}/text_encoder')
    os.symlink('../../clip-bpe/sd1', f'{folder}/tokenizer')
    PNDMScheduler(beta_start=0.00085, beta_end=0.012,
                  beta_schedule='scaled_linear', skip_prk_steps=True,
                  steps_offset=1).save_pretrained(f'{folder}/scheduler')
    checker = randomise(StableDiffusionSafetyChecker(CLIPConfig(
        vision_config=dict(hidden_size=12, intermediate_size=20,
                           num_hidden_layers=2, num_attention_heads=3,
                           image_size=17, patch_size=5),
        projection_dim=10)), 61)
    with torch.no_grad():
        checker.special_care_embeds.copy_(randn((3, 10), 62))
        checker.concept_embeds.copy_(randn((17, 10), 63))
    CLIPImageProcessor(size={'shortest_edge': 17},
                       crop_size={'height': 17, 'width': 17}).save_pretrained(
                           f'{folder}/feature_extractor')
    with open(f'{folder}/model_index.json', 'w') as f:
        json.dump({
            '_class_name': 'StableDiffusionPipeline',
            'feature_extractor': ['transformers', 'CLIPImageProcessor'],
            'requires_safety_checker': True,
            'safety_checker': ['stable_diffusion',
                               'StableDiffusionSafetyChecker'],
            'scheduler': ['diffusers', 'PNDMScheduler'],
            'text_encoder': ['transformers', 'CLIPTextModel'],
            'tokenizer': ['transformers', 'CLIPTokenizer'],
            'unet': ['diffusers', 'UNet2DConditionModel'],
            'vae': ['diffusers', 'AutoencoderKL']}, f, indent=1)
        f.write('\n')
    pipe = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipe.set_progress_bar_config(disable=True)
    config = pipe.scheduler.config
    expect = {}
    for name, cls, changes, arguments in SCHEDULERS:
        # not pipe.scheduler = ...: the pipeline would not see to clip_sample
        pipe = StableDiffusionPipeline(**{
            **pipe.components,
            'scheduler': cls.from_config({**config, **changes})},
            requires_safety_checker=False)
        pipe.set_progress_bar_config(disable=True)
        latents = pipe(CAPTIONS, generator=generators(), output_type='latent',
                       **arguments).images
        images = pipe(CAPTIONS, generator=generators(), output_type='np',
                      **arguments).images
        expect[f'{name}.latents'] = latents
        expect[f'{name}.rgb'] = torch.from_numpy(
            (images * 255).round().astype(np.uint8))
    # One generator for all, a call for each.
    pipe = StableDiffusionPipeline(
        **{**pipe.components, 'scheduler': DDIMScheduler.from_config(config)},
        requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(SEEDS[0])
    expect['one.latents'] = torch.cat([
        pipe(c, generator=generator, num_inference_steps=2, eta=1.0,
             output_type='latent').images for c in CAPTIONS])
    steer(pipe)
    # What the checker sees is bytes.
    seen = pipe.feature_extractor(list(expect['pndm.rgb'].numpy()),
                                  return_tensors='pt').pixel_values
    cosines = cosines_of(checker, seen)
    set_thresholds(checker, cosines)
    checker.save_pretrained(f'{folder}/safety_checker')
    flagged = checker(images=np.zeros((2, 4, 4, 3)), clip_input=seen)[1]
    expect['cosines'] = torch.cat(cosines, 1)
    expect['flagged'] = torch.tensor([int(f) for f in flagged],
                                     dtype=torch.uint8)
    print('flagged', flagged)
    save_file({k: v.contiguous().clone() for k, v in expect.items()},
              f'{folder}/expect.safetensors')


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    os.makedirs(OUT)
    unet('sd1', SD1, 11, 7, 6, (981, 1), 9, torch.float32)
    unet('sd2', SD2, 21, 9, 10, (500.25,), 77, torch.float16)
    vae()
    text_encoder('text1', dict(
        hidden_size=14, num_attention_heads=2, num_hidden_layers=2,
        intermediate_size=50, vocab_size=len(json.load(
            open('tests/golden/clip-bpe/sd1/vocab.json'))),
        max_position_embeddings=77), 41, torch.float32, True)
    text_encoder('text2', dict(
        hidden_size=12, num_attention_heads=4, num_hidden_layers=3,
        intermediate_size=30, vocab_size=19, max_position_embeddings=11,
        hidden_act='gelu', layer_norm_eps=1e-4), 51, torch.float16, False)
    pipeline()
    import diffusers
    import transformers
    print('torch', torch.__version__, 'diffusers', diffusers.__version__,
          'transformers', transformers.__version__)


main()
