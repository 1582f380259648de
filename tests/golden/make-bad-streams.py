#!/usr/bin/env python3
"""Write tests/bad/stream-*.bs: one defect a file.  Needs the zstd command.

    python3 tests/golden/make-bad-streams.py tests/bad
"""
import json
import os
import struct
import subprocess
import sys

folder = sys.argv[1]
golden = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'stream')


def frame(data, *options):
    return subprocess.run(['zstd', '-qc', '-1', f'--stream-size={len(data)}', *options],
                          input=data, stdout=subprocess.PIPE, check=True).stdout


def document(spec, data=b'', align=64):
    text = json.dumps(spec, separators=(',', ':')).encode() if isinstance(spec, dict) else spec
    text += b' ' * (-(len(text) + 8) % align)
    return struct.pack('<Q', len(text)) + text + data


def head(**more):
    return document({'__metadata__': {'bs.stream': '1', 'bs.kind': 'code', **more}})


def end(records, **more):
    return document({'__metadata__': {'bs.end': '1', 'bs.records': str(records),
                                      'bs.hash': '0' * 16, 'bs.status': 'ok', **more}})


def tensor(shape, begin, stop, dtype='U8'):
    return {'dtype': dtype, 'shape': shape, 'data_offsets': [begin, stop]}


def record(key='a', data=b'', **tensors):
    return document({'__metadata__': {'key': key}, **tensors}, data)


with open(os.path.join(golden, 'code.bs'), 'rb') as f:
    good = f.read()
one = record(x=tensor([4], 0, 4), data=b'1234')

files = {
    'empty': b'',
    'cut-in-frame': good[:100],
    'cut-behind-head': frame(head()),
    'cut-behind-record': frame(head()) + frame(one),
    'garbage-behind-end': good + b'x',
    'flipped-bit': good[:200] + bytes([good[200] ^ 4]) + good[201:],
    'wrong-count': frame(head()) + frame(one) + frame(end(2)),
    'wrong-hash': frame(head()) + frame(one) + frame(end(1)),
    'version-2': frame(document({'__metadata__': {'bs.stream': '2', 'bs.kind': 'code'}})),
    'no-kind': frame(document({'__metadata__': {'bs.stream': '1'}})),
    'no-head': frame(one),
    'no-mark': frame(head()) + frame(document({'__metadata__': {'a': 'b'}})),
    'two-marks': frame(document({'__metadata__': {'bs.stream': '1', 'bs.kind': 'x', 'key': 'a'}})),
    'wrong-key': frame(head()) + frame(record('../a')),
    'two-heads': frame(head()) + frame(head()),
    'no-checksum': frame(head(), '--no-check'),
    'no-content-size': frame(head(), '--no-content-size'),
    'wide-window': frame(b'\0' * (9 << 20), '--zstd=wlog=24'),
    'huge-claim': bytes.fromhex('28b52ffdc438000000400000000009000001') + b'\0' * 4,
    'not-zstd': head() + one,
    'text': b'url\tcaption\n',
    'hole': frame(head()) + frame(record(x=tensor([4], 4, 8), data=b'12345678')),
    'overlap': frame(head()) + frame(record(x=tensor([4], 0, 4), y=tensor([4], 2, 6), data=b'123456')),
    'overflow': frame(head()) + frame(record(x=tensor([1 << 48, 1 << 48], 0, 4), data=b'1234')),
    'negative': frame(head()) + frame(record(x=tensor([-4], 0, 4), data=b'1234')),
    'unaligned': frame(head()) + frame(record(x=tensor([1], 0, 1), y=tensor([1], 1, 5, 'F32'), data=b'12345')),
    'twice': frame(head()) + frame(document(b'{"__metadata__":{"key":"a","key":"b"}}')),
    'deep': frame(document(b'{"a":' * 70)),
    'long-header': frame(struct.pack('<Q', 1 << 62) + b'{' + b' ' * 100),
    'across-frames': frame(head() + one[:-2]) + frame(one[-2:]),
}
for name, data in files.items():
    with open(os.path.join(folder, f'stream-{name}.bs'), 'wb') as f:
        f.write(data)
