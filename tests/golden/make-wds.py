#!/usr/bin/env python3
"""Make the tar and npy files of tests/golden/{wds,npy} and tests/bad, and the seeds of the fuzzers.

Needs numpy, Pillow, webdataset, xxhash and zstandard; run it from the root of the source.
"""
import gzip
import io
import json
import os
import struct
import tarfile

import numpy as np
import webdataset as wds
import xxhash
import zstandard
from PIL import Image

GOLD, NPY, BAD = 'tests/golden/wds', 'tests/golden/npy', 'tests/bad'
rng = np.random.default_rng(7)


def picture(kind):
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (4, 4, 3), dtype='u1')).save(out, kind)
    return out.getvalue()


def npy(array, version=(1, 0)):
    out = io.BytesIO()
    np.lib.format.write_array(out, array, version=version)
    return out.getvalue()


def tar(members, format=tarfile.USTAR_FORMAT, end=True):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=format) as t:
        for name, data in members:
            info = tarfile.TarInfo(name)
            if data is None:
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(data)
            t.addfile(info, io.BytesIO(data or b''))
    data = out.getvalue().rstrip(b'\0')
    data += bytes(-len(data) % 512)
    return data + (bytes(1024) if end else b'')


def save(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as f:
        f.write(data)


# ---- what webdataset writes --------------------------------------------------

path = f'{GOLD}/webdataset.tar'
with wds.TarWriter(path, mtime=0, user='bs', group='bs') as t:
    for i in range(3):
        t.write({'__key__': f'000/{i:06d}', 'jpg': picture('JPEG'), 'cls': i, 'txt': f'caption {i}\n',
                 'json': {'url': f'http://example.org/{i}', 'width': 4, 'tags': ['a', {'b': None}], 'none': None},
                 'emb.npy': np.arange(4, dtype='f4') * i})

# ---- what tar allows ---------------------------------------------------------

text = lambda key, value='x': (f'{key}.txt', value.encode())
long = '/'.join(['folder'] * 30) + '/name'
samples = [text('a', 'one'), ('a.json', b'{"n": 1}'), text('b', 'two')]
save(f'{GOLD}/pax.tar', tar([text('caf\u00e9/\u732b', 'cat'), text(long, 'long')], tarfile.PAX_FORMAT))
save(f'{GOLD}/gnu.tar', tar([text('caf\u00e9/\u732b', 'cat'), text(long, 'long')], tarfile.GNU_FORMAT))
save(f'{GOLD}/concatenated.tar', tar(samples) + tar([text('c', 'three')]))
save(f'{GOLD}/names.tar', tar([
    ('./', None), ('./d/', None), text('./d/e', 'dots before'), ('d/v1.2.txt', b'more dots'), ('.hidden.txt', b'no'),
    ('noext', b'no'), ('__meta__/x.txt', b'no'), ('__x__', b'no'), ('d/f.JPG', picture('JPEG')), ('d/f.JSON', b'{}'),
    ('d/g.left.png', picture('PNG')), ('d/g.right.png', picture('PNG')), ('d/g.en.txt', b'english\r\n'),
    ('d/h.webp', picture('WEBP')), ('d/h.mp4', b'no'), ('d/only.bin', b'no')]))
save(f'{GOLD}/plain.tar', tar(samples))
save(f'{GOLD}/plain.tar.gz', gzip.compress(tar(samples), mtime=0))
save(f'{GOLD}/plain.tar.zst', zstandard.ZstdCompressor(write_checksum=True).compress(tar(samples)))
inner = json.dumps({'__metadata__': {'format': 'pt'},
                    'w': {'dtype': 'BF16', 'shape': [2, 2], 'data_offsets': [0, 8]},
                    'odd name/1': {'dtype': 'U8', 'shape': [1], 'data_offsets': [8, 9]}}).encode()
save(f'{GOLD}/safetensors.tar', tar([
    ('a.safetensors', struct.pack('<Q', len(inner)) + inner + np.array([0x3f80, 0x3fc0, 0xc000, 0x4040], '<u2').tobytes() + b'\7')]))



def document(meta, tensors={}):
    """A safetensors document as bs-stream(5) wants it."""
    spec, data = {'__metadata__': dict(sorted(meta.items()))} if meta else {}, b''
    for name, array in tensors.items():
        spec[name] = {'dtype': 'F32', 'shape': list(array.shape), 'data_offsets': [len(data), len(data) + array.nbytes]}
        data += array.tobytes()
    text = json.dumps(spec, separators=(',', ':')).encode()
    text += b' ' * (-(len(text) + 8) % 64)
    return struct.pack('<Q', len(text)) + text + data


arrays = [np.arange(4, dtype='f4').reshape(2, 2) + i for i in range(2)]
head = document({'bs.stream': '1', 'bs.kind': 'feature'})
hash = xxhash.xxh64(head + b''.join(document({'key': f'{i:06d}'}, {'x': a}) for i, a in enumerate(arrays))).hexdigest()
save(f'{GOLD}/bs.tar', tar(
    [('__bs__/head', head)] +
    [member for i, a in enumerate(arrays) for member in ((f'{i:06d}.x.npy', npy(a)), (f'{i:06d}.json', b'{}'))] +
    [('__bs__/end', document({'bs.end': '1', 'bs.records': '2', 'bs.hash': hash, 'bs.status': 'ok'}))], end=False))

# ---- one defect each ---------------------------------------------------------

array = npy(np.arange(6, dtype='f4').reshape(2, 3))
bad = {
    'apart': tar([text('a'), text('b'), ('a.json', b'{}')]),
    'collision': tar([text('a b'), text('a+b')]),
    'cut-between': tar(samples, end=False),
    'cut-inside': tar([text('a', 'x' * 600)])[:1000],
    'end-alone': tar([('__bs__/end', b''), text('a')]),
    'head-no-document': tar([('__bs__/head', b'no'), text('a')]),
    'json-list': tar([('a.json', b'[1]')]),
    'json-twice': tar([('a.json', b'{"n": 1, "n": 2}')]),
    'json-wrong': tar([('a.json', b'{"n": ')]),
    'npy-cut': tar([('a.x.npy', array[:-1])]),
    'same-tensor': tar([('a.x.npy', array), ('a.x.npy', array)]),
    'text-latin1': tar([('a.txt', b'caf\xe9')]),
    'text-nul': tar([('a.txt', b'a\0b')]),
    'tensors-cut': tar([('a.safetensors', struct.pack('<Q', len(inner)) + inner)]),
    'empty': bytes(1024),
    'gzip-cut.gz': gzip.compress(tar([text(str(i), str(rng.integers(1e9))) for i in range(20)]), mtime=0)[:-20],
}
for name, data in bad.items():
    save(f'{BAD}/tar-{name}' + ('' if '.' in name else '.tar'), data)

header = lambda text, version=b'\1\0', size='<H': (
    b'\x93NUMPY' + version + struct.pack(size, len(text)) + text)
good = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n"
bad = {
    'big-endian': npy(np.arange(3, dtype='>f4')),
    'complex': npy(np.zeros(2, dtype='c8')),
    'cut': array[:-1],
    'cut-header': array[:40],
    'fortran': npy(np.asfortranarray(np.zeros((2, 3), dtype='f4'))),
    'four-dimensions': npy(np.zeros((1, 1, 1, 1), dtype='f4')),
    'huge': header(good.replace(b'(2,)', b'(4611686018427387904,4)')),
    'key-missing': header(good.replace(b"'fortran_order': False, ", b'')),
    'key-twice': header(good.replace(b"'shape'", b"'descr': '<f4', 'shape'")),
    'key-unknown': header(good.replace(b"'shape'", b"'more': 1, 'shape'")),
    'longer': array + b'\0',
    'negative': header(good.replace(b'(2,)', b'(-2,)')) + bytes(8),
    'no-comma': header(good.replace(b'(2,)', b'(2)')) + bytes(8),
    'object': npy(np.array([None], dtype=object)),
    'scalar': npy(np.float32(1)),
    'structured': npy(np.zeros(2, dtype=[('a', 'f4')])),
    'unicode': npy(np.array(['a'])),
    'version': header(good, b'\4\0', '<I') + bytes(8),
    'wide': header(b'(' * 300),
}
for name, data in bad.items():
    save(f'{BAD}/npy-{name}.npy', data)

# ---- every type and shape ----------------------------------------------------

for kind in ('b1', 'u1', 'i1', 'u2', 'i2', 'u4', 'i4', 'u8', 'i8', 'f2', 'f4', 'f8'):
    save(f'{NPY}/{kind}.npy', npy(rng.integers(0, 2, (2, 3)).astype(kind)))
for rank in range(6):
    save(f'{NPY}/rank{rank}.npy', npy(np.arange(2 ** rank, dtype='i2').reshape((2,) * rank)))
save(f'{NPY}/features.npy', npy(rng.standard_normal((20, 3, 4)).astype('f4')))
save(f'{NPY}/empty.npy', npy(np.zeros((0, 3), dtype='f4')))
save(f'{NPY}/version2.npy', npy(np.arange(3, dtype='f4'), (2, 0)))
save(f'{NPY}/version3.npy', npy(np.arange(3, dtype='f4'), (3, 0)))
save(f'{NPY}/python2.npy', header(good.replace(b'(2,)', b'(2L,)')) + bytes(8))
