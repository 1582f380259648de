/*
 * tokens.c - what tokenizer.py drives: `tokens FOLDER slow|fast` reads texts
 * from stdin, each a 32-bit length and bytes, and answers each with the number
 * of its tokens and the ids, 32 bits each.
 */
#include "common/io.h"
#include "formats/clip_bpe.h"

static int
load(struct bs_buf *text, const char *folder, const char *name, bool needed)
{
    struct bs_err e = {0};
    char path[4096];
    int r;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    r = bs_read_file(path, 1 << 26, text, &e);
    if (r == 0 || (r == -BS_EX_NOINPUT && !needed))
        return 0;
    fprintf(stderr, "tokens: %s\n", e.text);
    return 1;
}

static int
answer(const struct bs_clip_bpe *t)
{
    size_t limit = bs_clip_bpe_limit(t), tokens;
    int32_t *ids = bs_alloc_array(limit, sizeof *ids), count;
    struct bs_err e = {0};
    struct bs_buf text = {0};
    uint32_t len;

    while (ids != NULL && fread(&len, sizeof len, 1, stdin) == 1) {
        text.len = 0;
        if (bs_buf_reserve(&text, len + 1, &e) < 0 ||
            fread(text.data, 1, len, stdin) != len ||
            bs_clip_bpe_encode(t, (const char *)text.data, len, ids, &tokens,
                               &e) < 0)
            break;
        count = (int32_t)tokens;
        fwrite(&count, sizeof count, 1, stdout);
        fwrite(ids, sizeof *ids, limit, stdout);
    }
    if (e.code != 0)
        fprintf(stderr, "tokens: %s\n", e.text);
    bs_buf_release(&text);
    bs_free(ids);
    return e.code;
}

int
main(int argc, char **argv)
{
    struct bs_clip_bpe_files files = {0};
    struct bs_clip_bpe *t;
    struct bs_err e = {0};
    const char *folder = argc == 3 ? argv[1] : "";
    int r;

    if (load(&files.vocab, folder, "vocab.json", true) ||
        load(&files.merges, folder, "merges.txt", true) ||
        load(&files.config, folder, "tokenizer_config.json", false) ||
        load(&files.special, folder, "special_tokens_map.json", false) ||
        load(&files.added, folder, "added_tokens.json", false))
        return 1;
    r = bs_clip_bpe_open(
        &t, &files, strcmp(argv[2], "fast") == 0 ? BS_CLIP_FAST : BS_CLIP_SLOW,
        &e);
    bs_buf_release(&files.vocab);
    bs_buf_release(&files.merges);
    bs_buf_release(&files.config);
    bs_buf_release(&files.special);
    bs_buf_release(&files.added);
    if (r < 0) {
        fprintf(stderr, "tokens: %s\n", e.text);
        return -r;
    }
    r = answer(t);
    bs_clip_bpe_close(t);
    return r;
}
