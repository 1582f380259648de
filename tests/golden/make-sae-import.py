"""Make tests/golden/sae-import: tiny autoencoders as other programs write them, and what they reconstruct."""
import glob
import json
import os
import shutil
import sys

import torch
from safetensors.numpy import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import sae_foreign as foreign  # noqa: E402

OUT = os.path.join(HERE, 'sae-import')
CONCEPTS, WIDTH, K = 24, 7, 3
CASES = {
    'sparsify': (foreign.make_sparsify, {}),
    'saelens-topk': (foreign.make_saelens, {'rescaled': True, 'centred': False}),
    'saelens-jumprelu': (foreign.make_saelens, {'kind': 'jumprelu'}),
    'saelens-standard': (foreign.make_saelens, {'kind': 'standard'}),
    'openai.safetensors': (foreign.make_openai, {}),
    'topk.safetensors': (foreign.make_overcomplete, {}),
    'released.safetensors': (foreign.make_overcomplete,
                             {'cls': 'batchtopk', 'norm': 'mlp_ln_1', 'points': 29, 'prefix': 'module.',
                              'attributes': False}),
    'batchnorm.safetensors': (foreign.make_overcomplete, {'cls': 'batchtopk', 'norm': 'mlp_bn_1'}),
    'jump.safetensors': (foreign.make_overcomplete, {'cls': 'jump'}),
    'tied.safetensors': (foreign.make_overcomplete, {'tied': True}),
}


def settle(path):
    """The header in sorted order: the library's own order differs from run to run."""
    with open(path, 'rb') as f:
        data = f.read()
    size = int.from_bytes(data[:8], 'little')
    text = json.dumps(json.loads(data[8:8 + size]), sort_keys=True, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as f:
        f.write(len(text).to_bytes(8, 'little') + text + data[8 + size:])


shutil.rmtree(OUT, ignore_errors=True)
os.makedirs(OUT)
x = foreign.tokens(40, WIDTH, 1)
want = {'x': x}
for seed, (name, (make, extra)) in enumerate(CASES.items()):
    forward, options = make(f'{OUT}/{name}', CONCEPTS, WIDTH, K, seed, **extra)
    with torch.no_grad():
        want[name.split('.')[0]] = forward(torch.from_numpy(x)).numpy()
    print(name, *options)
save_file(want, f'{OUT}/want.safetensors')
for path in glob.glob(f'{OUT}/**/*.safetensors', recursive=True):
    settle(path)

# A whole object, as the released autoencoder is one, for the converter of the pickle.
torch.manual_seed(1)
sae = foreign.BatchTopKSAE(WIDTH, CONCEPTS, top_k=K, encoder_module='mlp_ln_1')
foreign.archetypal(sae, CONCEPTS, WIDTH, 29, 2)
torch.save(torch.nn.DataParallel(sae), f'{OUT}/object.pth')
