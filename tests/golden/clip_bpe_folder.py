"""Write a CLIP tokenizer's folder as the hub's Stable Diffusion folders have
it, for given merges."""
import gzip
import importlib.util
import json
import os

START, END = '<|startoftext|>', '<|endoftext|>'


def byte_characters():
    """GPT-2's characters for bytes, in the order of CLIP's vocabulary."""
    plain = [*range(33, 127), *range(0xa1, 0xad), *range(0xae, 0x100)]
    rest = [b for b in range(256) if b not in plain]
    return dict(zip([*plain, *rest],
                    [chr(b) for b in plain]
                    + [chr(256 + i) for i in range(len(rest))]))


def real_merges():
    """Those of CLIP's vocabulary, which the package open_clip ships."""
    spec = importlib.util.find_spec('open_clip')
    name = os.path.join(os.path.dirname(spec.origin),
                        'bpe_simple_vocab_16e6.txt.gz')
    with gzip.open(name, 'rt', encoding='utf-8') as f:
        return f.read().split('\n')[1:49152 - 256 - 2 + 1]


def write_folder(folder, merges, pad, limit):
    """merges: "A B" a line; pad: <|endoftext|> (Stable Diffusion 1) or "!"."""
    symbols = list(byte_characters().values())
    tokens = symbols + [s + '</w>' for s in symbols]
    tokens += [''.join(m.split()) for m in merges] + [START, END]
    special = {role: {'content': text, 'lstrip': False, 'normalized': True,
                      'rstrip': False, 'single_word': False}
               for role, text in (('bos_token', START), ('eos_token', END),
                                  ('unk_token', END))}
    config = dict(special, add_prefix_space=False, do_lower_case=True,
                  errors='replace', model_max_length=limit,
                  pad_token=END, tokenizer_class='CLIPTokenizer')
    for role in special:
        config[role] = dict(special[role], __type='AddedToken')
    os.makedirs(folder, exist_ok=True)
    for name, text in (
            ('vocab.json', json.dumps({t: i for i, t in enumerate(tokens)},
                                      ensure_ascii=False)),
            ('merges.txt', '\n'.join(['#version: 0.2', *merges]) + '\n'),
            ('tokenizer_config.json', json.dumps(config)),
            ('special_tokens_map.json',
             json.dumps(dict(special, pad_token=pad)))):
        with open(os.path.join(folder, name), 'w', encoding='utf-8') as f:
            f.write(text)
