"""A DINOv2 model of real size with random weights, to be timed.

usage: vit.py SMALL OUT [HIDDEN LAYERS HEADS]

Takes the names, and what is not a size, from the model folder SMALL; ViT-B
unless named.  Needs nothing but Python.
"""
import array
import json
import os
import random
import re
import struct
import sys

small, out = sys.argv[1:3]
hidden, layers, heads = map(int, sys.argv[3:] or (768, 12, 12))
config = json.load(open(f'{small}/config.json'))
with open(f'{small}/model.safetensors', 'rb') as f:
    names = json.loads(f.read(struct.unpack('<Q', f.read(8))[0]))
side = 518
sizes = {config['hidden_size']: hidden,
         config['hidden_size'] * config['mlp_ratio']: 4 * hidden,
         (config['image_size'] // 14) ** 2 + 1: (side // 14) ** 2 + 1}
config.update(hidden_size=hidden, num_hidden_layers=layers,
              num_attention_heads=heads, mlp_ratio=4, image_size=side)

tensors, end = {}, 0
for name, t in names.items():
    layer = re.match(r'(encoder\.layer\.)(\d+)(\..*)', name)
    if name == '__metadata__' or layer and layer[2] != '0':
        continue
    shape = [sizes.get(n, n) for n in t['shape']]
    count = 4
    for n in shape:
        count *= n
    for i in range(layers if layer else 1):
        full = f'{layer[1]}{i}{layer[3]}' if layer else name
        tensors[full] = {'dtype': 'F32', 'shape': shape,
                         'data_offsets': [end, end + count]}
        end += count

random.seed(1)
block = array.array('f', (random.gauss(0, 0.02) for _ in range(1 << 18)))
block = block.tobytes()
os.makedirs(out, exist_ok=True)
json.dump(config, open(f'{out}/config.json', 'w'))
with open(f'{out}/model.safetensors', 'wb') as f:
    head = json.dumps(tensors).encode()
    head += b' ' * (-len(head) % 8)
    f.write(struct.pack('<Q', len(head)) + head)
    while end > 0:
        f.write(block[:end])
        end -= min(end, len(block))
