"""Make the sample pictures of this folder.

usage: make-sample.py

Twelve small pictures, drawn by arithmetic from fixed seeds, with a caption
beside each: input for 'make demo' and for the examples in the manual pages.
Made with Pillow 13 and NumPy 2.
"""
import json
import os

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

HERE = os.path.dirname(os.path.abspath(__file__))
W, H = 480, 360
S = 2  # drawn this much larger, then reduced
Y, X = np.mgrid[0:H * S, 0:W * S].astype(np.float64)
X, Y = X / (W * S), Y / (H * S)


def smooth(rng, cells, shape=None):
    """Noise with values about 0, `cells` bumps across."""
    rows, cols = shape or (max(2, cells * 3 // 4), cells)
    small = rng.normal(0, 60, (rows + 1, cols + 1)) + 128
    image = Image.fromarray(np.clip(small, 0, 255).astype(np.uint8))
    big = image.resize((W * S, H * S), Image.Resampling.BICUBIC)
    return np.asarray(big, np.float64) / 128 - 1


def clouds(rng, cells=4, octaves=5, shape=None):
    total = np.zeros_like(X)
    for i in range(octaves):
        size = shape and (shape[0] << i, shape[1] << i)
        total += smooth(rng, cells << i, size) / 2**i
    return total


def ridge(rng, rough, octaves=7):
    """A skyline: a height about 0 for every column."""
    x = np.linspace(0, 1, W * S)
    line = np.zeros(W * S)
    for i in range(octaves):
        f = 2**i * 1.7
        line += np.sin(2 * np.pi * (f * x + rng.random())) * rough**i
    return line / 3


def blend(image, colour, mask):
    mask = np.clip(mask, 0, 1)[..., None]
    return image * (1 - mask) + np.asarray(colour, np.float64) * mask


def gradient(*stops):
    """Sky colours from top to bottom: (height, colour), ..."""
    at = [s[0] for s in stops]
    return np.stack([np.interp(Y, at, [s[1][c] for s in stops])
                     for c in range(3)], -1)


def disc(x, y, r, soft=0.002):
    """1 inside a circle, soft at the edge; r in heights."""
    d = np.hypot((X - x) * W / H, Y - y)
    return np.clip((r - d) / soft + 0.5, 0, 1)


def glow(x, y, r):
    d = np.hypot((X - x) * W / H, Y - y)
    return np.exp(-(d / r)**2)


def finish(image, grain=0.0, rng=None):
    if grain:
        image = image + rng.normal(0, grain, image.shape[:2])[..., None]
    image = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    return image.resize((W, H), Image.Resampling.LANCZOS)


def mountains(rng):
    image = gradient((0, (52, 60, 110)), (0.3, (190, 110, 120)),
                     (0.5, (250, 180, 110)), (0.62, (255, 225, 170)))
    image = blend(image, (255, 170, 120),
                  0.6 * np.clip(clouds(rng, 3, 5, (12, 3)), 0, 1) * (Y < 0.5))
    image = blend(image, (255, 240, 190), 0.7 * glow(0.64, 0.45, 0.25))
    image = blend(image, (255, 250, 225), disc(0.64, 0.45, 0.05))
    for i, colour in enumerate(((168, 120, 132), (118, 86, 116),
                                (70, 60, 94), (34, 36, 64))):
        line = 0.5 + 0.08 * i + ridge(rng, 0.58) * (0.14 - 0.015 * i)
        image = blend(image, colour, (Y - line[None, :]) * H * S)
    # The lake mirrors what is above it.
    shore = int(0.82 * H * S)
    rows = np.arange(H * S - shore)
    waves = (np.sin(rows / 3.0) * 3).astype(int)
    mirrored = image[np.clip(shore - 1 - rows * 2 + waves, 0, shore - 1)]
    image[shore:] = mirrored * 0.72 + np.array((20, 24, 50)) * 0.28
    return finish(image, 2, rng)


def night(rng):
    image = gradient((0, (8, 12, 34)), (0.7, (26, 48, 88)), (1, (40, 70, 110)))
    for height, wave, strength in ((0.44, 5, 0.8), (0.3, 8, 0.45)):
        above = height + 0.07 * np.sin(X * wave + 1) + \
            0.03 * np.sin(X * 2.3 * wave) - Y
        rays = 0.55 + 0.3 * np.sin(X * 90 + 4 * np.sin(X * 11)) + \
            0.15 * np.sin(X * 213)
        light = np.exp(-np.clip(above, 0, 1) * 8) * \
            np.clip(above / 0.09 + 0.5, 0, 1)**2
        image = blend(image, (70, 225, 150), strength * rays * light)
    for _ in range(260):
        x, y, bright = rng.random(), rng.random() * 0.7, rng.random()
        r = int(1 + bright * 2)
        image[int(y * H * S):int(y * H * S) + r,
              int(x * W * S):int(x * W * S) + r] = 150 + 105 * bright
    image = blend(image, (240, 240, 220), disc(0.78, 0.2, 0.07))
    for i, colour in enumerate(((18, 34, 58), (12, 22, 40), (5, 10, 18))):
        line = 0.72 + 0.09 * i + ridge(rng, 0.45) * 0.06
        if i == 2:  # firs
            line = line - 0.05 * np.abs(((np.linspace(0, 24, W * S) +
                                          ridge(rng, 0.6)) % 1) * 2 - 1)**1.5
        image = blend(image, colour, (Y - line[None, :]) * H * S)
    return finish(image, 1.5, rng)


def sea(rng):
    image = gradient((0, (90, 160, 220)), (0.55, (200, 226, 240)))
    puffs = np.clip(clouds(rng, 3, 6, (6, 4)) * 1.5, 0, 1)
    image = blend(image, (255, 255, 255), puffs * (Y < 0.54))
    depth = np.clip((Y - 0.55) / 0.45, 0, 1)
    water = np.stack([np.interp(depth, [0, 1], c) for c in
                      ((110, 10), (185, 80), (200, 130))], -1)
    crest = np.sin(np.sqrt(depth + 0.003) * 120 + 4 * smooth(rng, 24) +
                   np.sin(X * 30) * depth)
    water = blend(water, (225, 245, 245), np.clip(crest - 0.55, 0, 1) *
                  (0.3 + depth))
    image = np.where((Y > 0.55)[..., None], water, image)
    picture = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for x, y, size, sail in ((250, 420, 90, (250, 245, 235)),
                             (560, 455, 150, (235, 90, 70)),
                             (800, 405, 50, (250, 220, 120))):
        draw.polygon([(x, y - size), (x, y - 8), (x + size * .55, y - 8)],
                     sail)
        draw.polygon([(x - 6, y - size * .85), (x - 6, y - 8),
                      (x - size * .4, y - 8)], (255, 255, 250))
        draw.polygon([(x - size * .5, y), (x + size * .6, y),
                      (x + size * .4, y + size * .18),
                      (x - size * .35, y + size * .18)], (96, 56, 40))
        draw.line([(x - 2, y), (x - 2, y - size * 1.05)], (80, 60, 50), 4)
    return picture.resize((W, H), Image.Resampling.LANCZOS)


def dunes(rng):
    image = gradient((0, (70, 140, 205)), (0.5, (238, 214, 180)))
    image = blend(image, (255, 250, 230), disc(0.2, 0.16, 0.045, 0.02))
    for i in range(5):
        line = 0.42 + 0.11 * i + (np.sin(np.linspace(0, 5 + i, W * S) +
                                         rng.random() * 7) * 0.05)
        lit = np.array((232 - 12 * i, 168 - 14 * i, 96 - 10 * i))
        shade = np.gradient(line)[None, :] * 500 + 0.5
        below = np.clip((Y - line[None, :]) * H * S, 0, 1)
        sand = lit * (0.7 + 0.3 * np.clip(shade, 0, 1))[..., None]
        ripple = np.sin((Y - line[None, :]) * (500 - 60 * i) + X * 20)
        sand = sand + 5 * ripple[..., None]
        image = image * (1 - below[..., None]) + sand * below[..., None]
    return finish(image, 3, rng)


def balloons(rng):
    image = gradient((0, (100, 170, 230)), (1, (235, 240, 235)))
    image = blend(image, (255, 255, 255),
                  np.clip(clouds(rng, 3, 6, (5, 4)) * 1.2, 0, 1) * 0.9)
    for x, y, r, colours in (
            (0.3, 0.36, 0.2, ((214, 48, 49), (253, 203, 110))),
            (0.68, 0.28, 0.13, ((9, 132, 227), (250, 250, 250))),
            (0.8, 0.62, 0.08, ((0, 184, 148), (255, 234, 167))),
            (0.12, 0.75, 0.06, ((108, 92, 231), (250, 177, 160)))):
        u, v = (X - x) * W / H / r, (Y - y) / r
        width = np.where(v < 0, np.sqrt(np.clip(1 - v * v, 0, 1)),
                         1 - 0.62 * np.clip(v / 1.25, 0, 1)**1.6)
        inside = (np.abs(u) < width) & (v > -1) & (v < 1.25)
        angle = np.arcsin(np.clip(u / np.maximum(width, 1e-6), -1, 1))
        stripe = (np.floor(angle / np.pi * 8) % 2)[..., None]
        cloth = np.array(colours[0]) * stripe + \
            np.array(colours[1]) * (1 - stripe)
        cloth = cloth * (0.72 + 0.28 * np.cos(angle + 0.6))[..., None]
        image = np.where(inside[..., None], cloth, image)
        for side in (-0.25, 0.25):
            rope = (np.abs(u - side) < 0.025) & (v >= 1.2) & (v < 1.6)
            image = np.where(rope[..., None], (90, 70, 60), image)
        basket = (np.abs(u) < 0.3) & (v >= 1.58) & (v < 1.95)
        weave = 20 * np.sin(u * 60) * np.sin(v * 60)
        image = np.where(basket[..., None],
                         np.array((150, 104, 62)) + weave[..., None], image)
    return finish(image)


def houses(rng):
    picture = Image.new('RGB', (W * S, H * S), (150, 205, 235))
    draw = ImageDraw.Draw(picture)
    for x in range(0, 960, 240):
        draw.ellipse([x + 20, 60, x + 140, 110], (255, 255, 255))
        draw.ellipse([x + 70, 40, x + 190, 108], (255, 255, 255))
    walls = [(231, 111, 81), (244, 162, 97), (233, 196, 106), (42, 157, 143),
             (120, 160, 200), (205, 120, 150)]
    x = 10
    for colour in walls:
        width, top = 150, int(rng.integers(220, 330))
        draw.polygon([(x - 8, top), (x + width / 2, top - 100),
                      (x + width + 4, top)], (140, 62, 52))
        draw.rectangle([x + 108, top - 95, x + 126, top - 30], (120, 80, 70))
        draw.rectangle([x, top, x + width - 4, 620], colour)
        for row in range(top + 30, 470, 85):
            for column in (x + 22, x + 86):
                draw.rectangle([column, row, column + 40, row + 52],
                               (250, 250, 245))
                draw.rectangle([column + 5, row + 5, column + 35, row + 47],
                               (88, 124, 148))
                draw.line([column + 20, row, column + 20, row + 50],
                          (250, 250, 245), 4)
        draw.rectangle([x + 54, 520, x + 96, 620], (92, 56, 44))
        draw.ellipse([x + 84, 568, x + 91, 575], (240, 210, 110))
        x += 158
    draw.rectangle([0, 620, 960, 720], (128, 128, 132))
    for x in range(0, 960, 120):
        draw.rectangle([x, 664, x + 60, 674], (240, 240, 235))
    return picture.resize((W, H), Image.Resampling.LANCZOS)


def skyline(rng):
    image = gradient((0, (24, 20, 60)), (0.6, (120, 60, 110)),
                     (0.8, (235, 130, 110)))
    picture = Image.fromarray(image.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for layer, colour in enumerate(((66, 46, 90), (38, 30, 62), (18, 16, 36))):
        x = -30
        while x < W * S:
            width = int(rng.integers(50, 110))
            top = int(rng.integers(180, 420)) + layer * 80
            draw.rectangle([x, top, x + width, 720], colour)
            if rng.random() < 0.3:
                draw.line([x + width / 2, top, x + width / 2, top - 60],
                          colour, 5)
            for wy in range(top + 14, 700, 26):
                for wx in range(x + 10, x + width - 12, 20):
                    if layer and rng.random() < 0.4:
                        draw.rectangle([wx, wy, wx + 9, wy + 13],
                                       (255, 215, 130))
            x += width + int(rng.integers(0, 12))
    return picture.resize((W, H), Image.Resampling.LANCZOS)


def wood(rng, dark, light):
    rings = np.sin((Y + 0.02 * smooth(rng, 6)) * 130 + 2 * smooth(rng, 3)) + \
        0.5 * smooth(rng, 8, (160, 3))
    t = np.clip(rings * 0.25 + 0.5, 0, 1)[..., None]
    return np.array(dark) * (1 - t) + np.array(light) * t


def ball(image, x, y, r, colour, rng, rough=0.0):
    """A lit sphere with its shadow."""
    u, v = (X - x) * W / H / r, (Y - y) / r
    shadow = np.exp(-((u - 0.35)**2 / 1.5 + ((v - 0.95) / 0.3)**2))
    image = image * (1 - 0.6 * shadow)[..., None]
    d = u * u + v * v
    z = np.sqrt(np.clip(1 - d, 0, 1))
    light = np.clip(-0.45 * u - 0.6 * v + 0.66 * z, 0, 1)
    skin = np.array(colour) * (0.28 + 0.8 * light)[..., None]
    if rough:
        skin = skin + (smooth(rng, 150) * rough * z)[..., None]
    skin = skin + (170 * light**24)[..., None]
    edge = np.clip((1 - np.sqrt(d)) * r * H * S, 0, 1)[..., None]
    return image * (1 - edge) + skin * edge


def fruits(rng):
    image = gradient((0, (96, 80, 70)), (0.5, (150, 128, 108)))
    table = wood(rng, (112, 70, 40), (176, 120, 74))
    image = np.where((Y > 0.5)[..., None], table, image)
    for x, y, r, colour, rough in (
            (0.3, 0.46, 0.14, (196, 30, 40), 0), (0.5, 0.5, 0.15,
                                                   (240, 140, 30), 10),
            (0.71, 0.47, 0.145, (120, 170, 50), 0),
            (0.4, 0.68, 0.12, (245, 200, 60), 6),
            (0.62, 0.7, 0.13, (205, 44, 60), 0)):
        image = ball(image, x, y, r, colour, rng, rough)
    for i in range(9):
        image = ball(image, 0.16 + 0.045 * (i % 3) + 0.02 * (i // 3),
                     0.66 + 0.05 * (i // 3), 0.04, (80, 40, 110), rng)
    return finish(image, 2, rng)


def flowers(rng):
    image = gradient((0, (222, 214, 196)), (0.75, (204, 190, 168)))
    image = np.where((Y > 0.76)[..., None],
                     wood(rng, (150, 110, 76), (196, 156, 116)), image)
    image = image * (1 - 0.4 * np.exp(-((X - 0.56)**2 / 0.012 +
                                        (Y - 0.87)**2 / 0.0008)))[..., None]
    picture = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    heads = [(300, 210), (400, 120), (480, 230), (570, 130), (660, 220),
             (360, 320), (590, 310)]
    for x, y in heads:
        draw.line([(480, 460), ((480 + x) // 2 + 10, (460 + y) // 2), (x, y)],
                  (70, 120, 60), 7)
    colours = [(226, 88, 110), (250, 190, 70), (150, 110, 200)]
    for i, (x, y) in enumerate(heads):
        for k in range(8):
            angle = k * np.pi / 4 + i
            px, py = x + 34 * np.cos(angle), y + 34 * np.sin(angle)
            draw.ellipse([px - 24, py - 24, px + 24, py + 24], colours[i % 3])
        draw.ellipse([x - 20, y - 20, x + 20, y + 20], (255, 226, 120))
    vase = np.asarray(picture, np.float64)
    v = np.clip((Y - 0.6) / 0.28, 0, 1)
    half = 0.05 + 0.075 * np.sin(np.pi * v * 0.9 + 0.25)
    u = (X - 0.5) / half
    inside = (np.abs(u) < 1) & (Y > 0.6) & (Y < 0.88)
    shade = 0.45 + 0.55 * np.sqrt(np.clip(1 - (u + 0.3)**2 * 0.7, 0, 1))
    band = (np.abs(v - 0.45) < 0.1)[..., None]
    glaze = np.where(band, (236, 230, 214), (58, 110, 150)) * shade[..., None]
    return finish(np.where(inside[..., None], glaze, vase))


def plaid(rng):
    tartan = [(20, 60, 44), (20, 60, 44), (160, 28, 40), (20, 60, 44),
              (16, 30, 70), (16, 30, 70), (230, 200, 90), (16, 30, 70)]
    widths = [40, 24, 18, 24, 40, 20, 5, 20]
    sett = np.concatenate([np.tile(c, (w, 1)) for c, w in zip(tartan, widths)])
    columns = sett[np.arange(W) % len(sett)][None, :, :]
    rows = sett[np.arange(H) % len(sett)][:, None, :]
    y, x = np.mgrid[0:H, 0:W]
    twill = ((x + y) // 2 % 2 == 0)[..., None]
    cloth = np.where(twill, columns, rows).astype(np.uint8)
    return Image.fromarray(cloth).quantize(16).convert('P')


def kilim(rng):
    colours = [(150, 40, 36), (226, 170, 70), (36, 58, 88), (238, 226, 200),
               (60, 100, 80)]
    y, x = np.mgrid[0:H // 4, 0:W // 4]
    tile = np.abs((x + 12) % 24 - 12) + np.abs((y + 12) % 30 - 15)
    index = tile // 4 % 5
    band = (y // 15) % 6
    zigzag = (np.abs(x % 12 - 6) + y) // 3 % 2
    index = np.where(band == 5, 1 + 2 * zigzag, index)
    index = np.where(y % 90 < 2, 2, index)
    cloth = np.array(colours, np.uint8)[index]
    return Image.fromarray(cloth.repeat(4, 0).repeat(4, 1)).quantize(8)


def knit(rng):
    y, x = np.mgrid[0:H * S, 0:W * S].astype(np.float64)
    column, row = x / 24, y / 20
    lean = np.abs(column % 1 - 0.5) * 2
    strand = (row + lean * 0.7) % 1
    light = 0.55 + 0.45 * np.sin(np.pi * strand) * (0.6 + 0.4 * lean)
    light = light * (0.92 + 0.08 * smooth(rng, 120))
    stripe = np.floor((row + lean * 0.7) / 6).astype(int) % 3
    colours = np.array(((196, 208, 196), (90, 120, 140), (204, 120, 96)))
    return finish(colours[stripe] * light[..., None])


PICTURES = [
    (mountains, 'landscapes/mountains.jpg',
     'a sunset over layered mountains, mirrored in a lake'),
    (night, 'landscapes/night.webp',
     'northern lights and a full moon above a dark fir forest'),
    (sea, 'landscapes/sea.jpg', 'three sailing boats on a blue sea'),
    (dunes, 'landscapes/dunes.jpg', 'sand dunes under a clear sky'),
    (balloons, 'landscapes/balloons.webp',
     'four striped hot air balloons among white clouds'),
    (houses, 'town/houses.png', 'a row of colourful houses along a street'),
    (skyline, 'town/skyline.jpg',
     'a city skyline at dusk with lit windows'),
    (fruits, 'still-life/fruits.jpg',
     'apples, an orange, a lemon and grapes on a wooden table'),
    (flowers, 'still-life/flowers.jpg',
     'a bouquet of flowers in a blue ceramic vase'),
    (plaid, 'textiles/plaid.png', 'a green, blue and red tartan cloth'),
    (kilim, 'textiles/kilim.png', 'a woven carpet with a diamond pattern'),
    (knit, 'textiles/knit.webp',
     'a striped knitted blanket in grey, blue and orange'),
]


def main():
    for seed, (draw, name, caption) in enumerate(PICTURES):
        path = os.path.join(HERE, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        image = draw(np.random.default_rng(seed))
        if name.endswith('.png'):
            image.save(path, optimize=True)
        else:
            image.save(path, quality=80)
        stem = path.rsplit('.', 1)[0]
        if draw is skyline:
            with open(stem + '.json', 'w') as f:
                json.dump({'caption': caption}, f)
                f.write('\n')
        else:
            with open(stem + '.txt', 'w') as f:
                f.write(caption + '\n')


if __name__ == '__main__':
    main()
