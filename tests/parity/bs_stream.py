"""The records of a bs stream, for the scripts that hold bs against its references."""
import itertools
import json
import struct
import subprocess

import numpy as np

DTYPE = dict(F64='<f8', F32='<f4', F16='<f2', BF16='<u2', I64='<i8', U64='<u8', I32='<i4', U32='<u4',
             I16='<i2', U16='<u2', I8='i1', U8='u1', BOOL='?')


def records(stream):
    """[(key, metadata, {name: array})] of the bytes of a stream; EOFError where it does not prove its end."""
    raw = subprocess.run(['zstd', '-dcq'], input=stream, check=True, stdout=subprocess.PIPE).stdout
    found, at, ended = [], 0, False
    while at < len(raw):
        size, = struct.unpack_from('<Q', raw, at)
        spec = json.loads(raw[at + 8:at + 8 + size])
        at += 8 + size
        meta = spec.pop('__metadata__', {})
        ended = 'bs.end' in meta
        arrays = {}
        for name, t in spec.items():
            a, b = t['data_offsets']
            arrays[name] = np.frombuffer(raw[at + a:at + b], DTYPE[t['dtype']]).reshape(t['shape'])
        at += max((t['data_offsets'][1] for t in spec.values()), default=0)
        if 'key' in meta:
            found.append((meta.pop('key'), meta, arrays))
    if not ended:
        raise EOFError('the stream did not prove its end')
    return found


def _document(meta, arrays):
    """A safetensors document, its data at a multiple of 64 bytes."""
    names = {np.dtype(v): k for k, v in DTYPE.items() if k != 'BF16'}
    spec, at, data = {'__metadata__': meta}, 0, b''
    for name, a in sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0])):
        a = np.ascontiguousarray(a)
        spec[name] = {'dtype': names[a.dtype], 'shape': list(a.shape), 'data_offsets': [at, at + a.nbytes]}
        data += a.tobytes()
        at += a.nbytes
    text = json.dumps(spec, separators=(',', ':')).encode()
    text += b' ' * (-(8 + len(text)) % 64)
    return struct.pack('<Q', len(text)) + text + data


def write_stream(path, head, records, status='ok'):
    """A stream of one segment: head metadata; records (key, metadata, {name: array})."""
    import xxhash
    hashed = xxhash.xxh64()
    count = 0
    with open(f'{path}.raw', 'wb') as f:
        for key, meta, arrays in itertools.chain([(None, {'bs.stream': '1'} | head, {})], records):
            doc = _document(meta if key is None else meta | {'key': key}, arrays)
            hashed.update(doc)
            f.write(doc)
            count += key is not None
        f.write(_document({'bs.end': '1', 'bs.records': str(count), 'bs.hash': f'{hashed.intdigest():016x}',
                           'bs.status': status}, {}))
    subprocess.run(['zstd', '-1', '-q', '-f', '--rm', '-o', path, f'{path}.raw'], check=True)
