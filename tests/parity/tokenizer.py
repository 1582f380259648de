#!/usr/bin/env python3
"""Hold CLIP's tokenizer against transformers, on the real vocabulary.

    tokenizer.py build/release/tests/parity/tokens

With transformers up to 4.x the slow rules are compared, from 5.0 on the fast
ones.  The vocabulary is the one that the package open_clip ships, written as
the hub's folders have it; special tokens are those of Stable Diffusion 1 and 2.
"""
import argparse
import os
import random
import struct
import subprocess
import sys
import tempfile
import unicodedata

import transformers

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f'{ROOT}/golden')
from clip_bpe_folder import END, real_merges, write_folder  # noqa: E402

SLOW = int(transformers.__version__.split('.')[0]) < 5


def normal_alike(c):
    """Whether the fast tokenizers know the normal form of a character: theirs
    is older than 14.0."""
    from tokenizers import normalizers
    nfc = normalizers.NFC()
    return all(nfc.normalize_str(text) == unicodedata.normalize('NFC', text)
               for text in (c + '\u0334', unicodedata.normalize('NFD', c)))


def known_characters():
    """Characters whose properties every version since agrees on: all of 14.0,
    or those of 3.2 where Python has another version."""
    data = unicodedata if unicodedata.unidata_version == '14.0.0' \
        else unicodedata.ucd_3_2_0
    known = [chr(c) for c in range(0x110000) if not 0xd800 <= c < 0xe000
             and (data.category(chr(c)) != 'Cn'
                  or (SLOW and data is unicodedata))]
    if SLOW:
        return known
    alike = [c for c in known if normal_alike(c)]
    print(f'{len(known) - len(alike)} of {len(known)} characters left out: '
          'their normal form is newer than the library')
    return alike


WORDS = '''a photo of the red cat, dog's don't WE'LL I'm they've he'd you're it's
4k 1080p 35mm f/1.8 (masterpiece:1.2) [b&w] "quoted" naïve café Ångström
Straße ΟΔΥΣΣΕΥΣ ΑΣ. Привет мир こんにちは 世界 東京タワー 한국어 안녕하세요 مرحبا
שלום नमस्ते สวัสดี ไทย Tiếng Việt İstanbul ıslak ﬁne ﬃ ǅ ỲǴ 👩‍👩‍👧‍👦 🇩🇪 ❤️ 👍🏽 ½ ² Ⅷ
<|startoftext|> <|endoftext|> <|STARTOFTEXT|> <|EndOfText|> <|ſtartoftext|>
'S 'ſ 'LL ’s !!! ?! ... --- ___ </w> \\ \t ￼ \ufffd \u200b \u00ad \ufeff'''
WORDS = WORDS.split(' ')


def random_texts(count, characters):
    rng = random.Random(1)
    marks = [c for c in characters if unicodedata.combining(c)]
    pools = [characters, marks, WORDS, WORDS, WORDS,
             [chr(c) for c in range(32, 127)], list("'stdmrevl <|>!\n\t"),
             [chr(c) for c in range(0x3400, 0x9fff, 7)],
             [chr(c) for c in range(0x1100, 0x1200)],
             [chr(c) for c in range(0xa0, 0x600)]]
    for _ in range(count):
        pool = rng.sample(pools, rng.randint(1, 3))
        glue = rng.choice(['', ' ', ' ', '  '])
        yield glue.join(rng.choice(rng.choice(pool))
                        for _ in range(rng.choice([1, 3, 10, 30, 90])))


def ours(driver, folder, texts, limit):
    data = b''.join(struct.pack('<I', len(b)) + b
                    for b in (t.encode() for t in texts))
    got = subprocess.run([driver, folder, 'slow' if SLOW else 'fast'],
                         input=data, stdout=subprocess.PIPE, check=True).stdout
    size = 4 * (limit + 1)
    if len(got) != size * len(texts):
        sys.exit(f'{driver}: {len(got) // size} answers of {len(texts)}')
    return [list(struct.unpack_from(f'<{limit}i', got, size * i + 4))
            for i in range(len(texts))]


def compare(driver, scratch, merges, pad, limit, texts):
    folder = os.path.join(scratch, f'{"sd2" if pad == "!" else "sd1"}-{limit}')
    write_folder(folder, merges, pad, limit)
    tokenizer = transformers.CLIPTokenizer.from_pretrained(folder)
    got = ours(driver, folder, texts, limit)
    bad = 0
    for text, ids in zip(texts, got):
        want = tokenizer(text, padding='max_length', max_length=limit,
                         truncation=True).input_ids
        if ids == want:
            continue
        bad += 1
        if bad <= 5:
            at = next(i for i in range(limit) if ids[i] != want[i])
            print(f'  {text!a}: token {at}: {ids[at:at + 8]}, not '
                  f'{want[at:at + 8]}')
    print(f'transformers {transformers.__version__} '
          f'({"slow" if SLOW else "fast"}), pad {pad}, {limit} tokens: '
          f'{len(texts)} texts, {bad} differ', flush=True)
    return bad


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--texts', type=int, default=10000)
    parser.add_argument('driver')
    args = parser.parse_args()
    characters = known_characters()
    texts = ['', ' ', *random_texts(args.texts, characters)]
    texts += ['word ' * 10000, 'a' * 20000, '\u0301\u0316' * 5000]
    each = [' '.join(f'a{c}B' for c in characters[i:i + 10])
            for i in range(0, len(characters), 10)]
    merges = real_merges()
    with tempfile.TemporaryDirectory() as scratch:
        bad = compare(args.driver, scratch, merges, END, 77, texts)
        bad += compare(args.driver, scratch, merges, '!', 77, texts)
        bad += compare(args.driver, scratch, merges, END, 2000, texts)
        bad += compare(args.driver, scratch, merges, '!', 100, each)
    return bad > 0


if __name__ == '__main__':
    sys.exit(main())
