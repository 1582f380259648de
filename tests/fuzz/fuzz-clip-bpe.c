/*
 * fuzz-clip-bpe.c - CLIP's tokenizer: text of any kind, or, with bytes 0xff
 * between them, hostile files: vocabulary, merges, configuration, special
 * tokens, added tokens, text.
 */
#include "formats/clip_bpe.h"
#include "tests/fuzz/target.h"

static void
add(struct bs_buf *b, const void *data, size_t len)
{
    struct bs_err e = {0};

    must(bs_buf_add(b, data, len, &e) == 0);
}

static void
check_text(const struct bs_clip_bpe *t, const char *text, size_t len)
{
    size_t limit = bs_clip_bpe_limit(t), tokens = 0, i;
    int32_t *ids = bs_alloc_array(limit, sizeof *ids);
    struct bs_err e = {0};
    int r;

    must(ids != NULL);
    r = bs_clip_bpe_encode(t, text, len, ids, &tokens, &e);
    must(r == 0 || (r == -BS_EX_DATA && e.text[0] != '\0'));
    for (i = 0; i < limit && r == 0; i++)
        must(ids[i] >= 0 && (size_t)ids[i] < bs_clip_bpe_ids(t));
    must(r < 0 || ids[tokens + 2 < limit ? tokens + 1 : limit - 1] ==
                      bs_clip_bpe_end(t));
    bs_free(ids);
}

static void
check_files(const uint8_t *data, size_t len, enum bs_clip_rules rules)
{
    struct bs_clip_bpe_files files = {0};
    struct bs_buf text = {0},
                  *piece[] = {&files.vocab,   &files.merges, &files.config,
                              &files.special, &files.added,  &text};
    struct bs_clip_bpe *t;
    struct bs_err e = {0};
    size_t i, k = 0;
    int r;

    for (i = 0; i < len; i++)
        if (data[i] == 0xff && k + 1 < BS_LEN(piece))
            k++;
        else
            add(piece[k], data + i, 1);
    r = bs_clip_bpe_open(&t, &files, rules, &e);
    must(r == 0 || (r == -BS_EX_DATA && t == NULL && e.text[0] != '\0'));
    if (r == 0)
        check_text(t, (const char *)text.data, text.len);
    bs_clip_bpe_close(t);
    for (i = 0; i < BS_LEN(piece); i++)
        bs_buf_release(piece[i]);
}

/* A tokenizer of few symbols, opened once. */
static const struct bs_clip_bpe *
plain(enum bs_clip_rules rules)
{
    static const char vocab[] =
        "{\"!\":0,\"a</w>\":1,\"aa\":2,\"<|startoftext|>\":3,"
        "\"<|endoftext|>\":4,\"aa</w>\":5}";
    static const char merges[] = "#version\na a\na a</w>\naa aa\nc c</w>\n";
    static const char config[] = "{\"pad_token\":\"!\",\"model_max_length\":9}";
    static struct bs_clip_bpe *t[2];
    struct bs_clip_bpe_files files = {0};
    struct bs_err e = {0};

    if (t[rules] != NULL)
        return t[rules];
    add(&files.vocab, vocab, sizeof vocab - 1);
    add(&files.merges, merges, sizeof merges - 1);
    add(&files.config, config, sizeof config - 1);
    must(bs_clip_bpe_open(&t[rules], &files, rules, &e) == 0);
    bs_buf_release(&files.vocab);
    bs_buf_release(&files.merges);
    bs_buf_release(&files.config);
    return t[rules];
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    enum bs_clip_rules rules;

    for (rules = BS_CLIP_SLOW; rules <= BS_CLIP_FAST; rules++)
        if (len > 0 && memchr(data, 0xff, len) != NULL)
            check_files(data, len, rules);
        else
            check_text(plain(rules), (const char *)data, len);
    return 0;
}
