"""Random autoencoders of sparsify, SAELens, OpenAI and overcomplete, as those programs write them.

For make-sae-import.py (small golden cases) and tests/parity/sae_io.py (larger, and back again).

sparsify and SAELens import whole training stacks for one class each; what that class does not touch is
replaced by empty modules here, so that neither needs to be installed with its dependencies.
OpenAI's program is on no package index: its file is built as its train.py writes it.
"""
import functools
import importlib
import importlib.util
import json
import os
import sys
import types

import numpy as np
import torch
from overcomplete.sae import BatchTopKSAE, JumpSAE, TopKSAE
from overcomplete.sae.archetypal_dictionary import RelaxedArchetypalDictionary
from safetensors.torch import load_file, save_file


class Anything(types.ModuleType):
    """A module that has every name; calling one gives None."""

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return type(name, (torch.nn.Identity,), {'setup': lambda self: None})


def stub(*names):
    for name in names:
        if name not in sys.modules:
            sys.modules[name] = Anything(name)
            sys.modules[name].__path__ = []


def package(name):
    """The package without what its __init__ imports."""
    base = importlib.util.find_spec(name)
    module = types.ModuleType(name)
    module.__path__ = list(base.submodule_search_locations)
    sys.modules[name] = module
    return module


@functools.cache
def sparsify():
    os.environ['SPARSIFY_DISABLE_TRITON'] = '1'
    stub('accelerate', 'accelerate.utils', 'transformers')
    package('sparsify')
    return (importlib.import_module('sparsify.sparse_coder').SparseCoder,
            importlib.import_module('sparsify.config').SparseCoderConfig)


@functools.cache
def saelens():
    stub('transformer_lens', 'transformer_lens.hook_points', 'transformer_lens.HookedTransformer', 'datasets',
         'simple_parsing')
    for sub in ('sae_lens.config', 'sae_lens.loading.pretrained_saes_directory',
                'sae_lens.loading.pretrained_sae_loaders', 'sae_lens.registry'):
        stub(sub)
    package('sae_lens').__version__ = '6.54.12'
    for sub in ('sae_lens.saes', 'sae_lens.loading'):
        module = types.ModuleType(sub)
        module.__path__ = [os.path.join(sys.modules['sae_lens'].__path__[0], *sub.split('.')[1:])]
        sys.modules[sub] = module
    return (importlib.import_module('sae_lens.saes.topk_sae'),
            importlib.import_module('sae_lens.saes.jumprelu_sae'),
            importlib.import_module('sae_lens.saes.standard_sae'))


if importlib.util.find_spec('simple_parsing') is None:
    stub('simple_parsing')


def randomise(module, seed, scale=1.0):
    """Weights that leave no bias and no gain trivial."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            noise = torch.randn(p.shape, generator=g)
            p.copy_(noise * scale / p.shape[-1] ** 0.5 if p.ndim == 2 else p + 0.2 * noise)


# ---- each: write to path, return (function of tokens to reconstructions, options of the import) ----

def make_sparsify(path, concepts, width, k, seed):
    coder, config = sparsify()
    sae = coder(width, config(num_latents=concepts, k=k))
    randomise(sae, seed)
    sae.save_to_disk(path)
    return lambda x: sae(x).sae_out, []


def load_sparsify(path):
    sae = sparsify()[0].load_from_disk(path)
    return lambda x: sae(x).sae_out


def lens_class(kind):
    topk, jump, standard = saelens()
    return {'topk': (topk.TopKSAE, topk.TopKSAEConfig), 'jumprelu': (jump.JumpReLUSAE, jump.JumpReLUSAEConfig),
            'standard': (standard.StandardSAE, standard.StandardSAEConfig)}[kind]


def make_saelens(path, concepts, width, k, seed, kind='topk', centred=True, rescaled=False):
    cls, config = lens_class(kind)
    extra = {'k': k, 'rescale_acts_by_decoder_norm': rescaled} if kind == 'topk' else {}
    sae = cls(config(d_in=width, d_sae=concepts, apply_b_dec_to_input=centred, **extra))
    randomise(sae, seed, 1.5)
    if kind == 'jumprelu':
        with torch.no_grad():
            sae.threshold += 0.6
    sae.save_model(path)
    return lambda x: sae(x), []


def load_saelens(path):
    with open(f'{path}/cfg.json') as f:
        cfg = json.load(f)
    cls, config = lens_class(cfg['architecture'])
    names = config.__dataclass_fields__
    sae = cls(config(**{n: v for n, v in cfg.items() if n in names and n != 'metadata'}))
    sae.load_state_dict(load_file(f'{path}/sae_weights.safetensors'))
    return lambda x: sae(x)


def openai_forward(state, k):
    def forward(x):
        pre = (x - state['pre_bias']) @ state['encoder.weight'].T + state['latent_bias']
        top = torch.topk(pre, k)
        codes = torch.zeros_like(pre).scatter(-1, top.indices, torch.relu(top.values))
        return codes @ state['decoder.weight'].T + state['pre_bias']
    return forward


def make_openai(path, concepts, width, k, seed):
    g = torch.Generator().manual_seed(seed)
    state = {'encoder.weight': torch.randn(concepts, width, generator=g) / width ** 0.5,
             'decoder.weight': torch.randn(width, concepts, generator=g),
             'pre_bias': 0.3 * torch.randn(width, generator=g),
             'latent_bias': 0.2 * torch.randn(concepts, generator=g),
             'stats_last_nonzero': torch.zeros(concepts, dtype=torch.int64)}
    save_file(state, path)
    return openai_forward(state, k), ['-k', str(k)]


def load_openai(path, k):
    return openai_forward(load_file(path), k)


def archetypal(sae, concepts, width, points, seed):
    """A relaxed archetypal dictionary that is projected and clamped only when it is used."""
    g = torch.Generator().manual_seed(seed)
    sae.dictionary = RelaxedArchetypalDictionary(width, concepts, 3 * torch.randn(points, width, generator=g), delta=0.7)
    with torch.no_grad():
        sae.dictionary.W.copy_(torch.randn(concepts, points, generator=g))
        sae.dictionary.Relax.copy_(0.25 * torch.randn(concepts, width, generator=g))
        sae.dictionary.multiplier.fill_(0.3)


def make_overcomplete(path, concepts, width, k, seed, cls='topk', norm='linear', points=0, prefix='', attributes=True,
                      tied=False):
    torch.manual_seed(seed)
    classes = {'topk': TopKSAE, 'batchtopk': BatchTopKSAE, 'jump': JumpSAE}
    extra = {} if cls == 'jump' else {'top_k': k}
    sae = classes[cls](width, concepts, encoder_module=norm, **extra)
    meta, options = {}, []
    randomise(sae, seed)
    if points:
        archetypal(sae, concepts, width, points, seed)
    if tied:
        sae.tied(bias=True)
        randomise(sae.encoder, seed + 1)
    for module in sae.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            g = torch.Generator().manual_seed(seed + 2)
            module.running_mean.copy_(0.3 * torch.randn(concepts, generator=g))
            module.running_var.copy_(0.5 + torch.rand(concepts, generator=g))
    state = {prefix + n: t.detach().clone().contiguous() for n, t in sae.state_dict().items()}
    if cls == 'batchtopk':
        sae.running_threshold = 0.829
        options += [] if attributes else ['--tau', '0.829']
        meta['running_threshold'] = '0.829'
    elif cls == 'topk':
        options += [] if attributes else ['-k', str(k)]
        meta['top_k'] = str(k)
    if points:
        options += [] if attributes else ['--delta', '0.7']
        meta['delta'] = '0.7'
    save_file(state, path, metadata={'class': type(sae).__name__, **meta} if attributes else None)
    sae = sae.eval()
    return lambda x: sae.decode(sae.encode(x)[1]), options


def load_overcomplete(path, meta, norm):
    state = load_file(path)
    concepts, width = state['encoder.final_block.0.weight'].shape
    cls = {'TopKSAE': TopKSAE, 'BatchTopKSAE': BatchTopKSAE, 'JumpSAE': JumpSAE}[meta['class']]
    extra = {'top_k': int(meta['top_k'])} if 'top_k' in meta else {}
    sae = cls(width, concepts, encoder_module=norm, **extra)
    if 'dictionary.C' in state:
        sae.dictionary = RelaxedArchetypalDictionary(width, concepts, state['dictionary.C'], delta=float(meta['delta']))
    else:
        sae.dictionary.normalization = sae.dictionary.NORMALIZATIONS[meta['normalization']]
    sae.load_state_dict(state)
    if 'running_threshold' in meta:
        sae.running_threshold = float(meta['running_threshold'])
    sae = sae.eval()
    return lambda x: sae.decode(sae.encode(x)[1])


def tokens(count, width, seed):
    return np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)
