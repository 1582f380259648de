"""Random autoencoders of overcomplete, with their model files and codes.

For make-sae.py (small golden cases) and tests/parity/sae.py (real sizes).
"""
import json

import numpy as np
import torch
from overcomplete.sae import BatchTopKSAE, TopKSAE
from safetensors.numpy import save


def randomise(sae, seed):
    """Weights that leave no bias and no gain trivial."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in sae.parameters():
            noise = torch.randn(p.shape, generator=g)
            if p.ndim == 2:
                p.copy_(noise / p.shape[1] ** 0.5)
            else:
                p.copy_(p + 0.2 * noise)


def make(kind, concepts, width, k, tau, seed):
    """(autoencoder of overcomplete, arrays and metadata of its model file)"""
    torch.manual_seed(seed)
    if kind == 'topk':
        sae = TopKSAE(width, concepts, top_k=k)
        meta = {'select': 'topk', 'k': str(k)}
    else:
        sae = BatchTopKSAE(width, concepts, top_k=k,
                           encoder_module='mlp_ln_1' if kind == 'layernorm' else 'linear')
        sae.running_threshold = tau
        meta = {'select': 'threshold', 'tau': f'{tau:.9g}'}
    randomise(sae, seed)
    sae = sae.eval()
    state = {n: t.detach().numpy().astype(np.float32) for n, t in sae.state_dict().items()}
    names = {'encoder.final_block.0.weight': 'enc_w', 'encoder.final_block.0.bias': 'enc_b',
             'encoder.final_block.1.weight': 'ln_g', 'encoder.final_block.1.bias': 'ln_b'}
    arrays = {ours: np.ascontiguousarray(state[theirs])
              for theirs, ours in names.items() if theirs in state}
    arrays['dec_w'] = np.ascontiguousarray(sae.get_dictionary().detach().numpy())
    return sae, arrays, {'bs.sae': '1', 'name': kind} | meta


def codes(sae, x):
    """(dense codes, decoded) of float tokens x."""
    with torch.no_grad():
        z = sae.encode(torch.from_numpy(x))[1]
        return z.numpy(), sae.decode(z).numpy()


def ragged(z):
    """ptr, idx, val of dense codes, by value descending, then index."""
    ptr, idx, val = [0], [], []
    for row in z:
        on = np.flatnonzero(row > 0)
        on = on[np.argsort(-row[on], kind='stable')]
        idx.append(on)
        val.append(row[on])
        ptr.append(ptr[-1] + len(on))
    return (np.array(ptr, np.uint32), np.concatenate(idx).astype(np.uint32),
            np.concatenate(val).astype(np.float32))


def write_model(path, arrays, meta):
    """The library's file, its header in sorted order: the library's own order differs from run to run."""
    data = save(arrays, metadata=meta)
    size = int.from_bytes(data[:8], 'little')
    text = json.dumps(json.loads(data[8:8 + size]), sort_keys=True, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as f:
        f.write(len(text).to_bytes(8, 'little') + text + data[8 + size:])
