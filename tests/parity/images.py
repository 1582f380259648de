"""Hold image decoding, resizing, cropping and JPEG encoding against Pillow.

usage: images.py [--encode] [--seed N] PIXELS

PIXELS is tests/parity/pixels.c, built.  Runs with any Python that has Pillow
and, for Resize and CenterCrop, torchvision; every bit must be equal.  The
pictures are made here, from a fixed seed.  --encode compares encoded JPEG too:
use it where Pillow and PIXELS use the same libjpeg (Debian's python3-pil).
"""
import argparse
import io
import os
import re
import struct
import subprocess
import sys
import tempfile
import zlib

import numpy as np
import PIL
from PIL import Image, features

FILTERS = {'bicubic': 3, 'bilinear': 2, 'lanczos': 1}


class Pixels:
    """The program under test, asked over pipes."""

    def __init__(self, program):
        self.run = subprocess.Popen([program], stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE)

    def ask(self, *words):
        line = '\t'.join(str(w) for w in words) + '\n'
        self.run.stdin.write(line.encode())
        self.run.stdin.flush()
        return self.run.stdout.readline().decode().rstrip('\n')

    def image(self, *words):
        status, width, height, size = self.ask(*words).rsplit(' ', 3)
        data = self.run.stdout.read(int(size))
        return status, (int(width), int(height)), data


def noise(rng, height, width, channels):
    """Smooth shapes with some noise: every code path of a codec."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = []
    for _ in range(channels):
        a, b, c, d = rng.uniform(0.01, 0.6, 4)
        wave = np.sin(a * x + b * y) + np.cos(c * x - d * y)
        planes.append(127.5 + 60 * wave + rng.normal(0, 12, (height, width)))
    return np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)


def chunk(kind, body):
    return (struct.pack('>I', len(body)) + kind + body +
            struct.pack('>I', zlib.crc32(kind + body)))


PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4),
          (1, 0, 2, 2), (0, 1, 1, 2)]


def png(rng, width, height, depth, colour, interlaced, extra=b'',
        entries=None):
    """A PNG of random samples: any depth, colour type and row filter."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    bits = rng.integers(0, 2, (height, width, channels * depth), np.uint8)
    passes = PASSES if interlaced else [(0, 0, 1, 1)]
    raw = b''
    for x, y, dx, dy in passes:
        part = bits[y::dy, x::dx]
        if part.size:
            for row in part:
                packed = np.packbits(row.reshape(-1)).tobytes()
                raw += bytes([int(rng.integers(0, 5))]) + packed
    head = struct.pack('>IIBBBBB', width, height, depth, colour, 0, 0,
                       int(interlaced))
    out = b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + extra
    if colour == 3:
        entries = entries or 2**depth
        out += chunk(b'PLTE', rng.integers(0, 256, entries * 3,
                                           np.uint8).tobytes())
        out += chunk(b'tRNS', rng.integers(0, 256, entries,
                                           np.uint8).tobytes())
    data = zlib.compress(raw)
    half = len(data) // 2
    return (out + chunk(b'IDAT', data[:half]) + chunk(b'IDAT', data[half:]) +
            chunk(b'IEND', b''))


def pngs(rng):
    modes = [(1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (8, 2), (16, 2), (1, 3),
             (2, 3), (4, 3), (8, 3), (8, 4), (16, 4), (8, 6), (16, 6)]
    gamma = chunk(b'gAMA', struct.pack('>I', 100000))
    gamma += chunk(b'sRGB', b'\0') + chunk(b'tEXt', b'Title\0x')
    for depth, colour in modes:
        for interlaced in (False, True):
            for width, height in ((1, 1), (3, 7), (8, 8), (33, 17), (64, 5)):
                extra = gamma if width == 8 else b''
                yield (f'png-{depth}-{colour}-{interlaced:d}-{width}x{height}',
                       png(rng, width, height, depth, colour, interlaced,
                           extra))
    grey = chunk(b'tRNS', b'\0\7')
    colours = chunk(b'tRNS', b'\0\7\0\1\0\2')
    yield 'png-grey-trns', png(rng, 9, 9, 8, 0, False, grey)
    yield 'png-grey16-trns', png(rng, 9, 9, 16, 0, False, grey)
    yield 'png-rgb-trns', png(rng, 9, 9, 8, 2, False, colours)
    if version() >= 13:  # before, colours beyond the palette were grey
        yield 'png-palette-short', png(rng, 9, 9, 8, 3, False, b'', 100)


def version():
    return int(PIL.__version__.split('.')[0])


def save(image, **options):
    out = io.BytesIO()
    image.save(out, **options)
    return out.getvalue()


def jpegs(rng):
    for width, height in ((1, 1), (7, 3), (8, 8), (17, 31), (100, 63)):
        for mode in ('L', 'RGB', 'CMYK'):
            data = noise(rng, height, width, {'L': 1, 'RGB': 3, 'CMYK': 4}[mode])
            image = Image.fromarray(data.squeeze(-1) if mode == 'L' else data,
                                    mode if mode == 'CMYK' else None)
            for progressive in (False, True):
                for sampling in (0, 1, 2):
                    if mode != 'RGB' and sampling:
                        continue
                    yield (f'jpeg-{mode}-{progressive:d}-{sampling}-'
                           f'{width}x{height}',
                           save(image, format='JPEG', quality=85,
                                progressive=progressive, subsampling=sampling))
            yield (f'jpeg-{mode}-exif-{width}x{height}',
                   save(image, format='JPEG', quality=30, optimize=True,
                        exif=b'Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1'
                             b'\0\6\0\0\0\0\0\0'))
    rgb = save(Image.fromarray(noise(rng, 40, 50, 3)), format='JPEG',
               subsampling=0)
    # The component names R, G, B: no colour transform.
    plain = rgb.replace(b'\xff\xe0\0\x10JFIF', b'\xff\xe9\0\x10JFIF')
    for marker in (b'\xff\xc0', b'\xff\xda'):
        at = plain.index(marker) + (10 if marker == b'\xff\xc0' else 5)
        step = 3 if marker == b'\xff\xc0' else 2
        named = bytearray(plain)
        for i, name in enumerate(b'RGB'):
            named[at + i * step] = name
        plain = bytes(named)
    yield 'jpeg-rgb-named', plain
    for transform in (0, 1, 2):
        adobe = b'\xff\xee\0\x0eAdobe\0\x64\0\0\0\0' + bytes([transform])
        bare = rgb[:2] + adobe + rgb[20:]
        yield f'jpeg-adobe-rgb-{transform}', bare
        ink = Image.fromarray(noise(rng, 33, 41, 4), 'CMYK')
        cmyk = save(ink, format='JPEG')
        at = cmyk.index(b'Adobe') + 11
        yield (f'jpeg-adobe-cmyk-{transform}',
               cmyk[:at] + bytes([transform]) + cmyk[at + 1:])


def webps(rng):
    for width, height in ((1, 1), (7, 3), (16, 16), (33, 65), (120, 77)):
        for mode, channels in (('RGB', 3), ('RGBA', 4)):
            image = Image.fromarray(noise(rng, height, width, channels))
            for name, options in (('lossy', dict(quality=70)),
                                  ('lossless', dict(lossless=True)),
                                  ('exact', dict(lossless=True, exact=True)),
                                  ('sharp', dict(quality=95, method=6))):
                yield (f'webp-{mode}-{name}-{width}x{height}',
                       save(image, format='WEBP', **options))
    image = Image.fromarray(noise(rng, 20, 30, 3))
    yield 'webp-exif', save(image, format='WEBP', exif=b'Exif\0\0MM\0*')


def shapes(rng):
    """At least 200 odd ones: squares, strips, one pixel, prime, large."""
    fixed = [(1, 1), (1, 2), (2, 1), (1, 97), (97, 1), (3, 3), (256, 256),
             (256, 300), (300, 256), (257, 255), (255, 257), (97, 4001),
             (4001, 97), (2000, 1501), (640, 480), (480, 640), (224, 224),
             (512, 256), (256, 513), (1023, 769)]
    for size in fixed:
        yield size
    for _ in range(200):
        yield tuple(int(v) for v in np.exp(rng.uniform(0, np.log(900), 2)))


def damaged(rng, sources, count):
    """Files with flipped bits, changed bytes, holes and cut ends."""
    files = [item for source in sources for item in source(rng)
             if len(item[1]) < 4000]
    for i in range(count):
        name, data = files[int(rng.integers(len(files)))]
        data = bytearray(data)
        for _ in range(int(rng.integers(1, 4))):
            at = int(rng.integers(len(data)))
            way = int(rng.integers(4))
            if way == 0:
                data[at] ^= 1 << int(rng.integers(8))
            elif way == 1:
                data[at] = int(rng.choice([0, 1, 0x7f, 0x80, 0xfe, 0xff]))
            elif way == 2:
                del data[at:at + int(rng.integers(1, 20))]
            else:
                del data[at:]
            if not data:
                break
        yield f'{name} damaged {i}', bytes(data)


class Report:
    def __init__(self):
        self.cases, self.bytes, self.bad, self.tall = {}, {}, 0, 0

    def same(self, what, name, got, want):
        self.cases[what] = self.cases.get(what, 0) + 1
        self.bytes[what] = self.bytes.get(what, 0) + len(want[-1])
        if got != want:
            self.bad += 1
            print(f'differs: {what} {name}: {got[:-1]} {want[:-1]}, '
                  f'{differing(got[-1], want[-1])} bytes', file=sys.stderr)


def resized(image, size, number):
    """Pillow's resize, the horizontal pass first.

    Up to version 12 that is its order.  Version 13 runs the vertical pass first
    where the height loses more than twice the pixels that the width loses:
    there the two passes are asked for one by one.
    """
    width, height = image.size
    if height > size[1] and height - size[1] > 2 * (width - size[0]):
        image = image.resize((size[0], height), number)
    return image.resize(size, number)


def differing(got, want):
    if len(got) != len(want):
        return f'{len(got)} and {len(want)}'
    a, b = np.frombuffer(got, np.uint8), np.frombuffer(want, np.uint8)
    return int(np.count_nonzero(a != b))


def main():
    parse = argparse.ArgumentParser()
    parse.add_argument('pixels')
    parse.add_argument('--encode', action='store_true')
    parse.add_argument('--seed', type=int, default=1)
    parse.add_argument('--damage', type=int, default=0)
    parse.add_argument('--keep')
    args = parse.parse_args()
    try:
        from torchvision import transforms
    except ImportError:
        transforms = None
    rng, report = np.random.default_rng(args.seed), Report()
    pixels = Pixels(args.pixels)
    folder = tempfile.TemporaryDirectory()
    path = os.path.join(folder.name, 'image')

    def store(data):
        with open(path, 'wb') as f:
            f.write(data)

    for source in (jpegs, pngs, webps):
        for name, data in source(rng):
            store(data)
            image = Image.open(path).convert('RGB')
            report.same('decode ' + source.__name__, name,
                        pixels.image('decode', path),
                        ('ok', image.size, image.tobytes()))

    for width, height in shapes(rng):
        image = Image.fromarray(noise(rng, height, width, 3))
        store(save(image, format='PNG', compress_level=1))
        for name, number in FILTERS.items():
            if transforms and number != 1 and max(width, height) < 3000:
                for shorter, crop in ((256, 224), (224, 224), (61, 60)):
                    if shorter * max(width, height) // min(width, height) > 20000:
                        continue
                    fit = transforms.Resize(shorter, number)(image)
                    if height > 2 * width:  # see resized()
                        fit = resized(image, fit.size, number)
                        report.tall += 1
                    want = transforms.CenterCrop(crop)(fit)
                    report.same('fit', f'{name} {width}x{height} {shorter}',
                                pixels.image('fit', path, name, shorter, crop),
                                ('ok', want.size, want.tobytes()))
            for size in ((256, 256), (width, 100), (31, height), (5, 3),
                         (width, height)):
                want = resized(image, size, number)
                report.same('resize', f'{name} {width}x{height} {size}',
                            pixels.image('resize', path, name, *size),
                            ('ok', want.size, want.tobytes()))
        if args.encode:
            for quality in (1, 50, 75, 90, 95, 100):
                report.same('encode', f'{width}x{height} q{quality}',
                            pixels.image('encode', path, quality)[::2],
                            ('ok', save(image, format='JPEG',
                                        quality=quality)))
    if args.damage:
        os.makedirs(args.keep or folder.name, exist_ok=True)
        outcomes = {}
        for source in (jpegs, pngs, webps):
            for name, data in damaged(rng, [source], args.damage):
                store(data)
                ours = pixels.image('decode', path)
                try:
                    image = Image.open(path)
                    if getattr(image, 'n_frames', 1) > 1:
                        continue
                    image = image.convert('RGB')
                    theirs = ('ok', image.size, image.tobytes())
                except Exception as e:
                    theirs = (type(e).__name__ + ' ' + str(e)[:60],)
                if ours == theirs:
                    what = 'both the same'
                elif ours[0] == theirs[0] == 'ok':
                    what = 'both, other pixels'
                    report.bad += 1
                elif ours[0] != 'ok' and theirs[0] != 'ok':
                    what = 'none'
                elif ours[0] == 'ok':
                    what = f'ours only: {theirs[0]}'
                else:
                    what = f'Pillow only: {ours[0]} {ours[2].decode()}'
                what = re.sub('[0-9]+', 'N', what)
                key = (source.__name__, what)
                outcomes[key] = outcomes.get(key, 0) + 1
                if args.keep and what[0] in 'oPb' and what != 'both the same':
                    with open(os.path.join(args.keep, name.replace(
                            ' ', '_')), 'wb') as f:
                        f.write(data)
        for key in sorted(outcomes):
            print('damaged %s: %6d %s' % (key[0], outcomes[key], key[1]))
    if transforms:
        from torchvision.transforms.functional import \
            _compute_resized_output_size
        for _ in range(20000):
            width, height = (int(v) for v in rng.integers(1, 5000, 2))
            shorter = int(rng.integers(1, 600))
            crop = int(rng.integers(1, shorter + 1))
            high, wide = _compute_resized_output_size((height, width),
                                                      [shorter])
            want = (f'{wide} {high} {round((wide - crop) / 2)} '
                    f'{round((high - crop) / 2)}')
            report.same('plan', f'{width} {height} {shorter} {crop}',
                        (pixels.ask('plan', width, height, shorter, crop), ''),
                        (want, ''))

    print(f'Pillow {PIL.__version__}, libjpeg-turbo '
          f'{features.version_feature("libjpeg_turbo")}, libwebp '
          f'{features.version_module("webp")}')
    for what in report.cases:
        print(f'{what}: {report.cases[what]} cases, {report.bytes[what]} bytes')
    if version() >= 13:
        print(f'{report.tall} of fit are taller than 1:2: held against '
              'horizontal, then vertical')
    print(f'{report.bad} cases differ')
    return report.bad > 0


if __name__ == '__main__':
    sys.exit(main())
