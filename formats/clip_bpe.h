/*
 * clip_bpe.h - CLIP's tokenizer: captions to token ids, as transformers'
 * CLIPTokenizer gives them.
 *
 * A byte-level BPE over lower-case words; the end of a word is part of its last
 * symbol ("</w>").  transformers has had two tokenizers under the one name, and
 * they differ on all but plain captions:
 *   slow  up to 4.x, in Python, where ftfy is not installed: control, format
 *         and unassigned characters are dropped, CJK characters stand apart,
 *         a final sigma is told apart
 *   fast  CLIPTokenizerFast, and CLIPTokenizer from 5.0 on: none of that
 * With ftfy installed the slow one first repairs the text; that is not done
 * here.
 *
 * A special token in the text counts as that token, even where it looks like
 * nothing special: the pad token of Stable Diffusion 2 is "!", so "wow!!" ends
 * in two pad tokens, in both libraries.
 *
 * Source: transformers 4.51.3 and 5.24.0, equal on all characters of Unicode
 * 14.0 and on random strings (tests/parity/tokenizer.py); but for 99 characters
 * of Unicode 13 and 14 whose normal form the fast one does not know yet.
 */
#ifndef BS_FORMATS_CLIP_BPE_H
#define BS_FORMATS_CLIP_BPE_H

#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"

struct bs_clip_bpe;

enum bs_clip_rules { BS_CLIP_SLOW, BS_CLIP_FAST };

/* The files of a tokenizer folder; an empty one is not there. */
struct bs_clip_bpe_files {
    struct bs_buf vocab;   /* vocab.json: needed */
    struct bs_buf merges;  /* merges.txt: needed */
    struct bs_buf config;  /* tokenizer_config.json */
    struct bs_buf special; /* special_tokens_map.json */
    struct bs_buf added;   /* added_tokens.json */
};

/*
 * Build a tokenizer.  The files may go afterwards.  -BS_EX_DATA, with the name
 * of the file, for one that is damaged, and for special tokens that the
 * vocabulary lacks.
 */
int bs_clip_bpe_open(struct bs_clip_bpe **out,
                     const struct bs_clip_bpe_files *files,
                     enum bs_clip_rules rules, struct bs_err *e) BS_CHECKED;
void bs_clip_bpe_close(struct bs_clip_bpe *t);

/* Ids of one caption (model_max_length; 77 where no limit is given), and one
 * more than the largest id that can come out. */
size_t bs_clip_bpe_limit(const struct bs_clip_bpe *t);
size_t bs_clip_bpe_ids(const struct bs_clip_bpe *t);
/* The id behind a caption: where the encoder's pooled output is taken. */
int32_t bs_clip_bpe_end(const struct bs_clip_bpe *t);

/*
 * Encode len bytes of UTF-8: start, at most limit - 2 tokens, end, and pad
 * tokens up to the limit.  *tokens is how many the text has, which may be more;
 * what is too long is cut.  -BS_EX_DATA where it is not UTF-8.  May run on
 * several threads at once.  Time O(n log n) for any text.
 */
int bs_clip_bpe_encode(const struct bs_clip_bpe *t, const char *text,
                       size_t len, int32_t *ids, size_t *tokens,
                       struct bs_err *e) BS_CHECKED;

#endif
