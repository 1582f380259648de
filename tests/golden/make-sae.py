"""Make tests/golden/sae: tiny autoencoders of overcomplete, their codes and what they decode to."""
import os
import sys

import numpy as np
from safetensors.numpy import save_file

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sae_reference import codes, make, ragged, write_model  # noqa: E402

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'sae')
os.makedirs(OUT, exist_ok=True)
for kind, seed in (('topk', 1), ('batchtopk', 2), ('layernorm', 3)):
    sae, arrays, meta = make(kind, 40, 19, 4, 0.83, seed)
    x = np.random.default_rng(seed).standard_normal((23, 19)).astype(np.float32)
    z, y = codes(sae, x)
    ptr, idx, val = ragged(z)
    write_model(f'{OUT}/{kind}.safetensors', arrays, meta)
    save_file({'x': x, 'ptr': ptr, 'idx': idx, 'val': val, 'y': y}, f'{OUT}/{kind}-case.safetensors')
    print(kind, len(idx) / len(x), 'codes a token')

# One for the features of tests/golden/dinov2/registers, for examples and pipelines.
sae, arrays, meta = make('layernorm', 300, 24, 4, 1.5, 4)
write_model(f'{OUT}/registers.safetensors', arrays, meta)
