/*
 * clip_bpe_own.h - the tables of a CLIP tokenizer.  Private to formats/.
 */
#ifndef BS_FORMATS_CLIP_BPE_OWN_H
#define BS_FORMATS_CLIP_BPE_OWN_H

#include "formats/arena.h"
#include "formats/clip_bpe.h"

/* Symbols a and b become one; of two that apply, the lower rank goes first. */
struct bs_clip_merge {
    uint32_t a, b; /* sorted by these */
    uint32_t rank, whole;
};

/* Text that counts as one token. */
struct bs_clip_special {
    const char *name;
    const uint32_t *text;
    size_t len;
    int32_t id;
    bool normalized; /* fast: looked for behind the clean-up, not before */
};

/*
 * A symbol is a string that a merge takes or gives, or a byte; it is known by
 * its place in the order of all symbols.
 */
struct bs_clip_bpe {
    enum bs_clip_rules rules;
    struct bs_arena arena;
    const char **symbol;
    int32_t *id; /* of a symbol; the unknown token's where it has none */
    size_t symbols;
    struct bs_clip_merge *merge;
    size_t merges;
    uint32_t byte[2][256]; /* symbol of a byte; [1]: at the end of a word */
    struct bs_clip_special *special;
    size_t specials;
    int32_t start, end, pad, unknown;
    int32_t start_literal, end_literal; /* ids of <|startoftext|> ... */
    size_t limit, ids;
};

#endif
