#!/usr/bin/env python3
"""Make tests/golden/clip-bpe: a small vocabulary in the hub's layout, captions,
and the ids that transformers gives them.

Needs transformers, once a version below 5 (writes slow.jsonl) and once a later
one (fast.jsonl), on Python 3.11; run from the root of the source.
"""
import collections
import json
import os
import sys

import regex
import transformers

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from clip_bpe_folder import END, byte_characters, write_folder  # noqa: E402

OUT = 'tests/golden/clip-bpe'
LIMIT = 40
TEXT = '''a photo of the red cat and the dog on a street at night, a painting of a
woman in the rain, portrait of an old man, the theatre, other things, red
roses, a house by the sea, café society, naïve art, don't stop, we'll see, it's
they've you're i'm he'd 1920s poster, 4k photo, naïve café über straße ' '
привет мир москва мир こんにちは 世界 ΟΔΥΣΣΕΥΣ οδυσσευς cat cat photo photo'''
CAPTIONS = [
    '', ' ', 'a photo of a cat', 'A PHOTO OF A CAT!', 'Wow!!! the cat',
    "don't WE'LL it's 'S they'VE", "it'ſ a ſtreet", 'naïve café',
    'nai\u0308ve cafe\u0301 a\u030a\u0323', 'ΟΔΥΣΣΕΥΣ Σ ΑΣ. ΑΣ\u0301 ΑΣΒ',
    'İstanbul ISTANBUL ıslak', 'こんにちは世界, 中国 photo', '한국어 \u1112\u1161\u11ab',
    'a\u200bcat a\u00adcat a\ufeffcat a\x07cat', 'a\u00a0cat\u3000a\u2028cat\tdog',
    'a\u0345b \u0345', 'cat\ufffd\ue000\U000e0001dog', '👩\u200d👩\u200d👧 👍🏽 🇩🇪 ❤️',
    '½ ² Ⅷ ٣٤ 1920', 'a<|endoftext|>cat <|startoftext|>', '<|STARTOFTEXT|> cat',
    '<|EndOfText|>dog', '<|ſtartoftext|>', '</w> <w/>', '...?!,;:--__(cat:1.2)',
    'the ' * 60, 'a' * 300, '\u0301\u0316' * 20, '豈 \uf900 \U0002f800',
    '\U0001fae8 \u0378 new and none', '  spaces   everywhere  ',
]


def train(count):
    """The commonest pairs of the text, one after another, as BPE is made."""
    byte = byte_characters()
    words = collections.Counter(
        regex.findall(r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+",
                      TEXT.lower()))
    split = {w: [byte[b] for b in w.encode()] for w in words}
    for symbols in split.values():
        symbols[-1] += '</w>'
    merges = []
    while len(merges) < count:
        pairs = collections.Counter()
        for w, symbols in split.items():
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += words[w]
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(' '.join(best))
        for symbols in split.values():
            i = 0
            while i + 1 < len(symbols):
                if (symbols[i], symbols[i + 1]) == best:
                    symbols[i:i + 2] = [''.join(best)]
                i += 1
    return merges


def main():
    slow = int(transformers.__version__.split('.')[0]) < 5
    merges = train(300)
    answers = []
    for name, pad in (('sd1', END), ('sd2', '!')):
        write_folder(f'{OUT}/{name}', merges, pad, LIMIT)
        tokenizer = transformers.CLIPTokenizer.from_pretrained(f'{OUT}/{name}')
        answers.append([tokenizer(text, padding='max_length', truncation=True,
                                  max_length=LIMIT).input_ids
                        for text in CAPTIONS])
    for name in ('vocab.json', 'merges.txt'):  # those of sd1
        os.remove(f'{OUT}/sd2/{name}')
    with open(f'{OUT}/{"slow" if slow else "fast"}.jsonl', 'w',
              encoding='utf-8') as f:
        for text, sd1, sd2 in zip(CAPTIONS, *answers):
            f.write(json.dumps({'text': text, 'sd1': sd1, 'sd2': sd2}) + '\n')


main()
