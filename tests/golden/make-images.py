"""Make tests/golden/images and tests/bad/image-*.

usage: make-images.py

Small pictures of every kind, each beside the pixels that Pillow's
convert("RGB") gives (NAME.ppm); lanczos-NAME.ppm and the like are Pillow's
resizes of the generator in k-resize.c.  Made with Debian 12's python3-pil
(Pillow 9.4, libjpeg-turbo 2.1.5, libwebp 1.2.4); encode-*.jpg depend on that
libjpeg, everything else is the same with Pillow 13.
"""
import io
import os
import struct
import sys

import numpy as np
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'parity'))
from images import chunk, jpegs, noise, png, save, webps  # noqa: E402

GOLD = os.path.join(HERE, 'images')
BAD = os.path.join(HERE, '..', 'bad')


def write(folder, name, data):
    with open(os.path.join(folder, name), 'wb') as f:
        f.write(data)


def ppm(image):
    return save(image.convert('RGB'), format='PPM')


def picture(name, data):
    write(GOLD, name, data)
    image = Image.open(io.BytesIO(data))
    write(GOLD, name.rsplit('.', 1)[0] + '.ppm', ppm(image))


def pictures(rng):
    wanted = {
        'jpeg-L-0-0-17x31': 'grey.jpg', 'jpeg-RGB-0-0-17x31': 'rgb-444.jpg',
        'jpeg-RGB-0-1-17x31': 'rgb-422.jpg',
        'jpeg-RGB-0-2-17x31': 'rgb-420.jpg',
        'jpeg-RGB-1-2-17x31': 'progressive.jpg',
        'jpeg-CMYK-0-0-17x31': 'cmyk.jpg', 'jpeg-RGB-exif-7x3': 'exif.jpg',
        'jpeg-rgb-named': 'named-rgb.jpg',
        'jpeg-adobe-rgb-0': 'adobe-rgb.jpg',
        'jpeg-adobe-cmyk-2': 'ycck.jpg', 'webp-RGB-lossy-7x3': 'lossy.webp',
        'webp-RGBA-lossy-16x16': 'lossy-alpha.webp',
        'webp-RGB-lossless-16x16': 'lossless.webp',
        'webp-RGBA-exact-7x3': 'alpha.webp', 'webp-exif': 'exif-webp.webp',
    }
    for source in (jpegs, webps):
        for name, data in source(rng):
            if name in wanted:
                picture(wanted[name], data)
    for depth, colour, name in (
            (1, 0, 'grey1'), (2, 0, 'grey2'), (4, 0, 'grey4'),
            (8, 0, 'grey8'), (16, 0, 'grey16'), (8, 2, 'rgb8'),
            (16, 2, 'rgb16'), (1, 3, 'palette1'), (2, 3, 'palette2'),
            (4, 3, 'palette4'), (8, 3, 'palette8'), (8, 4, 'greya8'),
            (16, 4, 'greya16'), (8, 6, 'rgba8'), (16, 6, 'rgba16')):
        picture(name + '.png', png(rng, 11, 9, depth, colour, False))
        if name in ('grey1', 'grey16', 'palette4', 'rgb8', 'rgba16'):
            picture(name + '-interlaced.png',
                    png(rng, 11, 9, depth, colour, True))
    extra = chunk(b'gAMA', struct.pack('>I', 100000))
    extra += chunk(b'tRNS', b'\0\7\0\1\0\2') + chunk(b'tEXt', b'Title\0x')
    picture('gamma.png', png(rng, 11, 9, 8, 2, False, extra))
    # One frame of an animation, smaller than its canvas.
    frame = save(Image.fromarray(noise(rng, 6, 8, 3)), format='WEBP')[12:]
    place = bytes([1, 0, 0, 2, 0, 0, 7, 0, 0, 5, 0, 0, 100, 0, 0, 0])
    body = b'ANMF' + struct.pack('<I', 16 + len(frame)) + place + frame
    body = b'ANIM' + struct.pack('<IIH', 6, 0, 0) + body
    canvas = bytes([0x02, 0, 0, 0, 11, 0, 0, 12, 0, 0])
    body = b'WEBPVP8X' + struct.pack('<I', 10) + canvas + body
    picture('one-frame.webp', b'RIFF' + struct.pack('<I', len(body)) + body)


def random_bytes(n):
    """The generator of k-resize.c."""
    state, out = 1, bytearray()
    for _ in range(n):
        state = (state * 1664525 + 1013904223) & 0xffffffff
        out.append(state >> 24)
    return bytes(out)


def resizes():
    filters = {'bicubic': 3, 'bilinear': 2, 'lanczos': 1}
    for width, height, out in ((40, 30, (16, 12)), (9, 7, (20, 15)),
                               (1, 1, (5, 5)), (13, 50, (13, 20)),
                               (50, 13, (20, 13)), (31, 33, (30, 37))):
        image = Image.frombytes('RGB', (width, height),
                                random_bytes(width * height * 3))
        for name, number in filters.items():
            write(GOLD, f'{name}-{width}x{height}-{out[0]}x{out[1]}.ppm',
                  ppm(image.resize(out, number)))


def encodes(rng):
    image = Image.fromarray(noise(rng, 37, 53, 3))
    write(GOLD, 'encode.ppm', ppm(image))
    for quality in (1, 75, 100):
        write(GOLD, f'encode-{quality}.jpg',
              save(image, format='JPEG', quality=quality))


def bad(rng):
    frames = [Image.fromarray(noise(rng, 9, 7, 3)) for _ in range(2)]
    for name in ('gif', 'png', 'webp'):
        write(BAD, f'image-animated.{name}',
              save(frames[0], format=name.upper(), save_all=True,
                   append_images=frames[1:]))
    for name in ('gif', 'bmp', 'tiff'):
        write(BAD, f'image-still.{name}',
              save(frames[0], format=name.upper()))
    good = png(rng, 11, 9, 8, 2, False)
    at = good.rindex(b'IEND') - 8
    write(BAD, 'image-crc.png',
          good[:at] + bytes([good[at] ^ 1]) + good[at + 1:])
    at = good.index(b'IDAT') + 4
    write(BAD, 'image-bits.png', good[:at] + b'\xff' + good[at + 1:])
    write(BAD, 'image-cut.png', good[:at + 9])
    huge = struct.pack('>IIBBBBB', 2**31 - 1, 2**31 - 1, 16, 6, 0, 0, 0)
    write(BAD, 'image-huge.png', good[:8] + chunk(b'IHDR', huge) + good[33:])
    rows = struct.pack('>IIBBBBB', 11, 10, 8, 2, 0, 0, 0)
    write(BAD, 'image-row-missing.png',
          good[:8] + chunk(b'IHDR', rows) + good[33:])
    write(BAD, 'image-zero.png', good[:8] + chunk(
        b'IHDR', struct.pack('>IIBBBBB', 0, 9, 8, 2, 0, 0, 0)) + good[33:])
    palette = png(rng, 11, 9, 8, 3, False)
    at = palette.index(b'PLTE') - 4
    write(BAD, 'image-no-palette.png',
          palette[:at] + palette[at + 12 + 768:])
    rgb = Image.fromarray(noise(rng, 33, 21, 3))
    jpeg = save(rgb, format='JPEG')
    write(BAD, 'image-cut.jpg', jpeg[:len(jpeg) * 2 // 3])
    write(BAD, 'image-header-cut.jpg', jpeg[:100])
    at = jpeg.index(b'\xff\xc0')
    write(BAD, 'image-12bit.jpg', jpeg[:at + 4] + b'\x0c' + jpeg[at + 5:])
    write(BAD, 'image-no-height.jpg',
          jpeg[:at + 5] + b'\0\0' + jpeg[at + 7:])
    write(BAD, 'image-huge.jpg',
          jpeg[:at + 5] + b'\xff\xdc\xff\xdc' + jpeg[at + 9:])
    write(BAD, 'image-no-tables.jpg',
          jpeg[:jpeg.index(b'\xff\xdb')] + jpeg[at:])
    many = save(rgb, format='JPEG', progressive=True)
    last = many.rindex(b'\xff\xda')
    write(BAD, 'image-scans.jpg', many[:-2] + many[last:-2] * 510 +
          b'\xff\xd9')
    webp = save(rgb, format='WEBP')
    write(BAD, 'image-cut.webp', webp[:len(webp) // 2])
    write(BAD, 'image-bits.webp', webp[:30] + b'\xff' * 40 + webp[70:])
    write(BAD, 'image-text.jpg', b'<html>not found</html>\n')


def main():
    os.makedirs(GOLD, exist_ok=True)
    pictures(np.random.default_rng(3))
    resizes()
    encodes(np.random.default_rng(4))
    bad(np.random.default_rng(5))


if __name__ == '__main__':
    main()
