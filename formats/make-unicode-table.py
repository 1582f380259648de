#!/usr/bin/env python3
"""Print formats/unicode_table.c: what Python's unicodedata and str know.

    python3.11 formats/make-unicode-table.py > formats/unicode_table.c

The version is pinned because ids of captions must not depend on the machine.
"""
import sys
import unicodedata

VERSION = '14.0.0'
LETTER, NUMBER, OTHER, SPACE, CASED, IGNORABLE = (1 << i for i in range(6))
HANGUL = range(0xac00, 0xac00 + 11172)


def flags(c):
    """The properties of a code point; those of case by what str.lower does
    with a capital sigma behind it, which is final behind a cased letter."""
    category = unicodedata.category(chr(c))
    found = {'L': LETTER, 'N': NUMBER, 'C': OTHER}.get(category[0], 0)
    if category == 'Zs':
        found |= SPACE
    if (chr(c) + 'Σ').lower().endswith('ς'):
        found |= CASED
    elif ('A' + chr(c) + 'Σ').lower().endswith('ς'):
        found |= IGNORABLE
    return found


def runs(value, last=0x110000):
    """(first, value) wherever the value changes."""
    before = None
    for c in range(last):
        now = value(c)
        if now != before:
            yield c, now
        before = now


def lower():
    """[first, last, step, distance] of the letters with a lower case."""
    table = []
    for c in range(0x110000):
        low = chr(c).lower()
        if len(low) > 1:
            assert c == 0x130
            continue
        if ord(low) == c:
            continue
        distance = ord(low) - c
        if table:
            row = table[-1]
            step = c - row[1]
            if row[3] == distance and step in (1, 2) and \
                    (row[2] == step or row[0] == row[1]):
                row[1], row[2] = c, step
                continue
        table.append([c, c, 1, distance])
    return table


def decompositions():
    """(whole, first, second or 0, whether first + second compose)."""
    for c in range(0x110000):
        text = unicodedata.decomposition(chr(c))
        if not text or text.startswith('<') or c in HANGUL:
            continue
        parts = [int(part, 16) for part in text.split()] + [0]
        pair = chr(parts[0]) + chr(parts[1])
        composes = parts[1] != 0 and \
            unicodedata.normalize('NFC', pair) == chr(c)
        yield c, parts[0], parts[1], composes


def table(kind, name, cells):
    print(f'\nconst {kind} {name}[] = {{')
    line = '   '
    for cell in cells:
        if len(line) + len(cell) + 2 > 80:
            print(line)
            line = '   '
        line += ' ' + cell + ','
    print(line)
    print('};')
    print(f'const size_t {name}_count = BS_LEN({name});')


def main():
    if unicodedata.unidata_version != VERSION:
        sys.exit(f'this Python has Unicode {unicodedata.unidata_version}, '
                 f'not {VERSION}')
    print(f'''/*
 * unicode_table.c - properties of the characters of Unicode {VERSION}.
 *
 * Made by formats/make-unicode-table.py; not to be edited.
 */
/* clang-format off */
#include "formats/unicode_own.h"''')
    table('uint32_t', 'bs_unicode_runs',
          (f'0x{c << 8 | f:x}' for c, f in runs(flags)))
    table('uint32_t', 'bs_unicode_classes',
          (f'0x{c << 8 | k:x}' for c, k in
           runs(lambda c: unicodedata.combining(chr(c)))))
    table('struct bs_unicode_lower', 'bs_unicode_lower',
          (f'{{0x{a:x}, 0x{b:x}, {step}, {d}}}' for a, b, step, d in lower()))
    pairs = list(decompositions())
    table('struct bs_unicode_pair', 'bs_unicode_pairs',
          (f'{{0x{c:x}, 0x{a:x}, 0x{b:x}}}' for c, a, b, _ in pairs))
    # Places in the table above, in the order of (first, second).
    table('uint16_t', 'bs_unicode_composites',
          (str(i) for _, _, i in sorted(
              (a, b, i) for i, (_, a, b, composes) in enumerate(pairs)
              if composes)))


main()
