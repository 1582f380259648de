"""Make tests/golden/sae-eval: an autoencoder, tokens, two other dictionaries, and the metrics of all."""
import os
import sys

import numpy as np
from safetensors.numpy import save

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import sae_eval_reference as reference  # noqa: E402
from sae_reference import codes, make, write_model  # noqa: E402

OUT = os.path.join(HERE, 'sae-eval')
CONCEPTS, WIDTH, TOKENS, K = 120, 13, 70, 4
os.makedirs(OUT, exist_ok=True)
rng = np.random.default_rng(1)

sae, arrays, meta = make('topk', CONCEPTS, WIDTH, K, 0, 1)
write_model(f'{OUT}/model.safetensors', arrays, meta)
x = reference.tokens(TOKENS, WIDTH, rng)
with open(f'{OUT}/x.safetensors', 'wb') as f:
    f.write(save({'x': x}))
z, y = codes(sae, x)
want = reference.of_features(x, z, y, arrays['dec_w'])
energy = want.pop('energy')
want |= {'records': 1, 'ood': reference.ood(arrays['dec_w'], x)}
want |= reference.coactivation(z, arrays['dec_w'])
for norm in ('frobenius', 'spectral'):
    want[f'interference_{norm}_token'] = want[f'interference_{norm}'] / TOKENS
want |= reference.of_dictionary(arrays['dec_w'])
rows = [(name, '', float(value)) for name, value in want.items()]
for name, concepts in (('other', CONCEPTS), ('small', 90)):
    _, other, other_meta = make('topk', concepts, WIDTH, K, 0, 2)
    if name == 'other':  # some atoms come again, some turned round
        other['dec_w'][::2] = arrays['dec_w'][::2][::-1] + 0.1 * other['dec_w'][::2]
        other['dec_w'][::6] *= -1
    write_model(f'{OUT}/{name}.safetensors', other, other_meta)
    found = reference.match(arrays['dec_w'], other['dec_w'])
    if name == 'other':
        assert abs(found['stability'] - reference.hungarian(arrays['dec_w'], other['dec_w'])) < 1e-12
    rows += [(metric, f'{name}.safetensors', float(value)) for metric, value in found.items()]
with open(f'{OUT}/want.tsv', 'w') as f:
    f.writelines(f'{metric}\t{value!r}\t{against}\n' for metric, against, value in rows)
with open(f'{OUT}/concepts.tsv', 'w') as f:
    f.write('concept\tfires\tmean\tmax\tenergy\n')
    for k in range(CONCEPTS):
        f.write(f'{k}\t{(z[:, k] > 0).sum()}\t{z[:, k].astype(np.float64).mean():.9g}\t{z[:, k].max():.9g}'
                f'\t{energy[k]:.9g}\n')
