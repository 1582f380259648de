#!/usr/bin/env python3
"""Convert an autoencoder that PyTorch saved (.pth, .pt) to safetensors, for 'bs-sae import'.

usage: pth2safetensors.py MODEL.pth OUT.safetensors

A file of torch.save is a zip archive of a pickle and of the tensors' bytes.  A pickle may name any function
and have it called, so it is not loaded with Python's own unpickler: here a name becomes an empty class that
keeps what it is given, and only a list, a dict, a set or a tensor is ever made.  Nothing of the model's own code is
imported or run, neither PyTorch nor the program that saved the file is needed, only NumPy, and tensors go from
file to file without being held in memory.

What it takes: a state dict (also under 'state_dict'), or a whole object, as the released RA-SAE is one
(DataParallel around a BatchTopKSAE of overcomplete).  Tensors keep the names of the state dict.  What is no
tensor but decides what the model computes becomes metadata: class, top_k, running_threshold, delta,
normalization (overcomplete), activation and k (OpenAI).
"""
import collections
import json
import mmap
import os
import pickle
import struct
import sys
import zipfile

import numpy as np

# Storage class of PyTorch: (type in safetensors, NumPy's type of the same size)
TYPES = {'FloatStorage': ('F32', '<f4'), 'DoubleStorage': ('F64', '<f8'), 'HalfStorage': ('F16', '<f2'),
         'BFloat16Storage': ('BF16', '<u2'), 'LongStorage': ('I64', '<i8'), 'IntStorage': ('I32', '<i4'),
         'ShortStorage': ('I16', '<i2'), 'CharStorage': ('I8', 'i1'), 'ByteStorage': ('U8', 'u1'),
         'BoolStorage': ('BOOL', 'u1')}


class Wrong(Exception):
    pass


class Stub:
    """Stands for any class or function of a pickle; keeps what it is given, does nothing."""

    def __new__(cls, *args, **kwargs):
        return super().__new__(cls)

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                self.__dict__.update(part)

    def __setitem__(self, key, value):
        pass

    def append(self, value):
        pass

    def extend(self, values):
        pass

    def add(self, value):
        pass


class Tensor:
    def __init__(self, storage, offset, shape, stride):
        self.storage, self.offset, self.shape, self.stride = storage, offset, tuple(shape), tuple(stride)

    def array(self):
        """The values, where they lie in the file, dense or not."""
        data = self.storage.data
        if min((*self.shape, *self.stride, self.offset), default=0) < 0:
            raise Wrong('a tensor of negative size')
        size = int(np.prod(self.shape, dtype=object)) if self.shape else 1
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.stride))
        if size > 0 and last >= len(data):
            raise Wrong('a tensor reaches beyond its storage')
        if size == 0:
            return np.empty(self.shape, data.dtype)
        return np.lib.stride_tricks.as_strided(data[self.offset:], self.shape,
                                               [s * data.itemsize for s in self.stride])


Storage = collections.namedtuple('Storage', 'type data')


def tensor(storage, offset, shape, stride, *_):
    if not isinstance(storage, Storage):
        raise Wrong('a tensor without storage')
    return Tensor(storage, offset, shape, stride)


def parameter(data, *_):
    return data


class Unpickler(pickle.Unpickler):
    SAFE = {('collections', 'OrderedDict'): collections.OrderedDict,
            ('__builtin__', 'set'): set, ('builtins', 'set'): set,
            ('torch._utils', '_rebuild_tensor_v2'): tensor,
            ('torch._utils', '_rebuild_parameter'): parameter,
            ('torch._utils', '_rebuild_parameter_with_state'): parameter}

    def __init__(self, file, storage):
        super().__init__(file)
        self.storage = storage

    def find_class(self, module, name):
        return self.SAFE.get((module, name)) or type(name, (Stub,), {})

    def persistent_load(self, saved):
        if not (isinstance(saved, tuple) and len(saved) >= 3 and saved[0] == 'storage'):
            raise Wrong('an unknown kind of reference')
        return self.storage(saved[1].__name__, str(saved[2]))


def load(path):
    """The object that was saved; its tensors lie in the mapped file."""
    with open(path, 'rb') as f:
        mapped = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
    if not zipfile.is_zipfile(path):
        raise Wrong('no zip archive: save it again with PyTorch 1.6 or newer')
    archive = zipfile.ZipFile(path)
    pickles = [n for n in archive.namelist() if n.endswith('/data.pkl')]
    if len(pickles) != 1:
        raise Wrong('no archive of torch.save')
    base = pickles[0][:-len('data.pkl')]

    def storage(kind, key):
        if kind not in TYPES:
            raise Wrong(f'tensors of the type {kind}')
        name, dtype = TYPES[kind]
        info = archive.getinfo(f'{base}data/{key}')
        if info.compress_type != zipfile.ZIP_STORED:
            raise Wrong('a compressed archive')
        # The local header's name and extra field may be longer than the directory's.
        lengths = struct.unpack_from('<HH', mapped, info.header_offset + 26)
        at = info.header_offset + 30 + sum(lengths)
        if at + info.file_size > len(mapped):
            raise Wrong('the file is cut')
        return Storage(name, np.frombuffer(mapped, dtype, info.file_size // np.dtype(dtype).itemsize, at))

    return Unpickler(archive.open(pickles[0]), storage).load()


def walk(module, prefix, tensors):
    """The tensors of a module and of those within it, under their names in its state dict."""
    state = vars(module)
    absent = state.get('_non_persistent_buffers_set')
    absent = absent if isinstance(absent, set) else ()
    for kind in '_parameters', '_buffers':
        for name, value in (state.get(kind) or {}).items():
            if isinstance(value, Tensor) and not (kind == '_buffers' and name in absent):
                tensors[prefix + name] = value
    for name, child in (state.get('_modules') or {}).items():
        if isinstance(child, Stub):
            walk(child, f'{prefix}{name}.', tensors)


def number(value):
    """A number that may have been saved as a tensor of one value."""
    if isinstance(value, Tensor):
        value = value.array().reshape(-1)[0].item()
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def attributes(module, meta):
    """What the autoencoder's object knows beside its tensors."""
    state = vars(module)
    parts = state.get('_modules') or {}
    if 'dictionary' not in parts:
        for child in parts.values():
            if isinstance(child, Stub):
                attributes(child, meta)
        return
    meta['class'] = type(module).__name__
    inner = vars(parts['dictionary'])
    for source, name in (state, 'top_k'), (state, 'running_threshold'), (inner, 'delta'):
        value = number(source.get(name))
        if value is not None:
            meta[name] = repr(value)
    rule = inner.get('normalization')
    if isinstance(rule, type) and rule.__name__.startswith('normalize_'):
        meta['normalization'] = rule.__name__[len('normalize_'):]


def contents(saved):
    """({name: tensor}, metadata)"""
    tensors, meta = {}, {}
    if isinstance(saved, Stub):
        walk(saved, '', tensors)
        attributes(saved, meta)
    elif isinstance(saved, dict):
        if isinstance(saved.get('state_dict'), dict):
            saved = saved['state_dict']
        tensors = {n: v for n, v in saved.items() if isinstance(n, str) and isinstance(v, Tensor)}
        if isinstance(saved.get('activation'), str):
            meta['activation'] = saved['activation']
        inner = saved.get('activation_state_dict')
        if isinstance(inner, dict) and isinstance(inner.get('k'), int):
            meta['k'] = str(inner['k'])
    if not tensors:
        raise Wrong('no tensors in it')
    return tensors, meta


def write(path, tensors, meta):
    spec, end = {'__metadata__': meta} if meta else {}, 0
    for name in sorted(tensors):
        t = tensors[name]
        size = int(np.prod(t.shape, dtype=object)) * t.storage.data.itemsize
        spec[name] = {'dtype': t.storage.type, 'shape': list(t.shape), 'data_offsets': [end, end + size]}
        end += size
    text = json.dumps(spec, sort_keys=True, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    with open(path + '.tmp', 'wb') as f:
        f.write(struct.pack('<Q', len(text)) + text)
        for name in sorted(tensors):
            a = tensors[name].array()
            rows = a if a.ndim else a.reshape(1)
            step = max(1, (1 << 26) // max(1, rows[:1].nbytes))
            for i in range(0, len(rows), step):
                f.write(np.ascontiguousarray(rows[i:i + step]).data)
    os.replace(path + '.tmp', path)


def main(args):
    if len(args) != 2:
        print(__doc__.split('\n')[2], file=sys.stderr)
        return 64
    try:
        tensors, meta = contents(load(args[0]))
        write(args[1], tensors, meta)
    except (OSError, Wrong, KeyError, ValueError, TypeError, AttributeError, IndexError, EOFError, struct.error,
            pickle.UnpicklingError, zipfile.BadZipFile) as e:
        print(f'pth2safetensors.py: cannot convert {args[0]!r}: {e}', file=sys.stderr)
        return 65
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
