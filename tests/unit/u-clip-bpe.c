/*
 * u-clip-bpe.c - CLIP's tokenizer against the ids that transformers gave, and
 * damaged files; lower case and normal form of hard cases.
 */
#include "common/io.h"
#include "formats/clip_bpe.h"
#include "formats/json.h"
#include "formats/unicode.h"
#include "tests/unit/tap.h"

static void
load(struct bs_buf *text, const char *folder, const char *name)
{
    struct bs_err e = {0};
    char path[600];

    snprintf(path, sizeof path, "%s/tests/golden/clip-bpe/%s%s",
             getenv("BS_SRC"), folder, name);
    if (bs_read_file(path, 1 << 20, text, &e) < 0)
        printf("# %s\n", e.text);
}

static void
load_folder(struct bs_clip_bpe_files *files, const char *folder)
{
    load(&files->vocab, "sd1/", "vocab.json");
    load(&files->merges, "sd1/", "merges.txt");
    load(&files->config, folder, "/tokenizer_config.json");
    load(&files->special, folder, "/special_tokens_map.json");
}

static void
release(struct bs_clip_bpe_files *files)
{
    bs_buf_release(&files->vocab);
    bs_buf_release(&files->merges);
    bs_buf_release(&files->config);
    bs_buf_release(&files->special);
    bs_buf_release(&files->added);
}

/* ---- captions ------------------------------------------------------------ */

static bool
same(const struct bs_clip_bpe *t, const struct bs_json *line,
     const char *folder)
{
    const struct bs_json *want = bs_json_get(line, folder);
    const char *text = bs_json_get_string(line, "text");
    int32_t ids[40];
    size_t tokens, i = 0;
    struct bs_err e = {0};

    if (want == NULL || want->count != 40 || bs_clip_bpe_limit(t) != 40 ||
        bs_clip_bpe_encode(t, text, strlen(text), ids, &tokens, &e) < 0)
        return false;
    for (want = want->child; want != NULL; want = want->next, i++)
        if (want->number != ids[i]) {
            printf("# token %zu: %d, not %g\n", i, ids[i], want->number);
            return false;
        }
    return true;
}

static void
test_golden(const char *folder, enum bs_clip_rules rules, const char *name)
{
    struct bs_clip_bpe_files files = {0};
    struct bs_clip_bpe *t;
    struct bs_buf all = {0};
    struct bs_err e = {0};
    char *s, *end;

    load_folder(&files, folder);
    if (!ok(bs_clip_bpe_open(&t, &files, rules, &e) == 0, "%s, %s %s", folder,
            name, e.text))
        return;
    load(&all, name, "");
    for (s = (char *)all.data; (size_t)(s - (char *)all.data) < all.len;
         s = end + 1) {
        struct bs_json_doc *doc;

        end = memchr(s, '\n', all.len - (size_t)(s - (char *)all.data));
        if (bs_json_parse(&doc, s, (size_t)(end - s), 0, &e) == 0) {
            char quoted[60] = "";

            snprintf(quoted, sizeof quoted, "%.*s", (int)(end - s - 10), s);
            ok(same(t, bs_json_root(doc), folder), "%s, %s: %s", folder, name,
               quoted);
        }
        bs_json_free(doc);
    }
    ok(e.code == 0, "all lines of %s", name);
    bs_buf_release(&all);
    bs_clip_bpe_close(t);
    release(&files);
}

/* A text of a million characters takes no more than n log n. */
static void
test_long(void)
{
    static const char *const parts[] = {"a", "\xcc\x81\xcc\x96", "!", "t\xc3"};
    struct bs_clip_bpe_files files = {0};
    struct bs_clip_bpe *t;
    struct bs_err e = {0};
    struct bs_buf text = {0};
    int32_t ids[40];
    size_t tokens, i, k;

    load_folder(&files, "sd2");
    ok(bs_clip_bpe_open(&t, &files, BS_CLIP_SLOW, &e) == 0, "open");
    for (k = 0; k < BS_LEN(parts); k++) {
        int r = 0;

        text.len = 0;
        for (i = 0; i < 300000 && r == 0; i++)
            r = bs_buf_str(&text, parts[k], &e);
        r = bs_clip_bpe_encode(t, (char *)text.data, text.len, ids, &tokens,
                               &e);
        ok(k == 3 ? r == -BS_EX_DATA && strcmp(e.text, "byte 1: not UTF-8") == 0
                  : r == 0 && tokens > 38 && ids[39] == bs_clip_bpe_end(t),
           "300,000 times part %zu", k);
    }
    bs_buf_release(&text);
    bs_clip_bpe_close(t);
    release(&files);
}

/* ---- damaged files ------------------------------------------------------- */

static void
test_bad(void)
{
#define VOCAB "{\"<|startoftext|>\":0,\"<|endoftext|>\":1}"
    static const struct {
        const char *vocab, *merges, *config, *special, *added, *want;
    } cases[] = {
        {"", "", "", "", "", "'vocab.json' is empty"},
        {"[]", "", "", "", "", "'vocab.json': no object"},
        {"{\"a\":1", "", "", "", "",
         "'vocab.json': byte 6: no ',' or '}' in an object"},
        {"{\"a\":-1}", "", "", "", "",
         "'vocab.json': the id of 'a' is no whole number below 1048576"},
        {"{\"a\":99999999999}", "", "", "", "",
         "'vocab.json': the id of 'a' is no whole number below 1048576"},
        {"{\"a\":1}", "", "", "", "",
         "'bos_token' '<|startoftext|>' is not in the vocabulary"},
        {VOCAB, "#v\na b\nabc\n", "", "", "",
         "'merges.txt': line 3: not two symbols"},
        {VOCAB, "#v\na b c\n", "", "", "",
         "'merges.txt': line 2: not two symbols"},
        {VOCAB, "", "{\"pad_token\":\"<pad>\"}", "", "",
         "'pad_token' '<pad>' is not in the vocabulary"},
        {VOCAB, "", "{\"pad_token\":3}", "", "", "'pad_token' is no token"},
        {VOCAB, "", "", "{\"pad_token\":{\"content\":\"\"}}", "",
         "'pad_token' '' is not in the vocabulary"},
        {VOCAB, "", "{\"model_max_length\":1}", "", "",
         "'model_max_length' is below 2"},
        {VOCAB, "", "", "", "{\"<new>\":-2}",
         "'added_tokens.json': the id of '<new>' is no whole number below "
         "1048576"},
        {VOCAB, "", "{\"added_tokens_decoder\":{\"x\":{\"content\":\"a\"}}}",
         "", "", "'added_tokens_decoder' is not tokens by id"},
        {VOCAB, "",
         "{\"added_tokens_decoder\":{\"7\":{\"content\":\"a\","
         "\"single_word\":true}}}",
         "", "", "the token 'a' is for single words, which is not supported"},
    };
    size_t i;

    for (i = 0; i < BS_LEN(cases); i++) {
        struct bs_clip_bpe_files f = {0};
        struct bs_clip_bpe *t;
        struct bs_err e = {0};
        int r;

        if (bs_buf_str(&f.vocab, cases[i].vocab, &e) < 0 ||
            bs_buf_str(&f.merges, cases[i].merges, &e) < 0 ||
            bs_buf_str(&f.config, cases[i].config, &e) < 0 ||
            bs_buf_str(&f.special, cases[i].special, &e) < 0 ||
            bs_buf_str(&f.added, cases[i].added, &e) < 0)
            return;
        r = bs_clip_bpe_open(&t, &f, BS_CLIP_SLOW, &e);
        if (!ok(r == -BS_EX_DATA && t == NULL &&
                    strcmp(e.text, cases[i].want) == 0,
                "%s", cases[i].want))
            printf("# %s\n", e.text);
        bs_clip_bpe_close(t);
        release(&f);
    }
}

/* Tokens added later: by a list of their own, or in the configuration. */
static void
test_added(void)
{
    static const char *const config[] = {
        "{\"model_max_length\":6}",
        "{\"model_max_length\":6,\"added_tokens_decoder\":{\"9\":"
        "{\"content\":\"<cat>\",\"normalized\":true}}}"};
    static const char *const added[] = {"{\"<cat>\":9}", ""};
    static const char text[] = "?<cat>?";
    static const int32_t want[6] = {0, 1, 9, 1, 1, 1};
    size_t i, tokens;

    for (i = 0; i < 4; i++) {
        struct bs_clip_bpe_files f = {0};
        struct bs_clip_bpe *t;
        struct bs_err e = {0};
        int32_t ids[6];
        int r;

        if (bs_buf_str(&f.vocab, VOCAB, &e) < 0 ||
            bs_buf_str(&f.config, config[i & 1], &e) < 0 ||
            bs_buf_str(&f.added, added[i & 1], &e) < 0)
            return;
        r = bs_clip_bpe_open(&t, &f, i & 2 ? BS_CLIP_FAST : BS_CLIP_SLOW, &e);
        if (r == 0)
            r = bs_clip_bpe_encode(t, text, strlen(text), ids, &tokens, &e);
        ok(r == 0 && tokens == 3 && bs_clip_bpe_ids(t) == 10 &&
               memcmp(ids, want, sizeof want) == 0,
           "an added token, way %zu", i);
        bs_clip_bpe_close(t);
        release(&f);
    }
}

/* ---- characters ---------------------------------------------------------- */

static void
test_characters(void)
{
    /* Hangul, a mark between, an excluded composite, order of classes, a
     * starter between; then lower case: final sigma beside marks. */
    static const uint32_t nfc[][2][5] = {
        {{0x1112, 0x1161, 0x11ab}, {0xd55c}},
        {{0xac00, 0x11a7}, {0xac00, 0x11a7}},
        {{'a', 0x323, 0x302}, {0x1ead}},
        {{'a', 0x302, 0x323}, {0x1ead}},
        {{'a', 0x301, 0x300}, {0xe1, 0x300}},
        {{0x958}, {0x915, 0x93c}},
        {{0x212b, 0x2126}, {0xc5, 0x3a9}},
        {{0x344}, {0x308, 0x301}},
        {{'a', 0x5b0, 0x301, 0x94d}, {0xe1, 0x94d, 0x5b0}},
    };
    static const uint32_t low[][2][5] = {
        {{0x3a3}, {0x3c3}},
        {{'A', 0x3a3}, {'a', 0x3c2}},
        {{'A', 0x3a3, 0x301}, {'a', 0x3c2, 0x301}},
        {{'A', 0x301, 0x3a3, '.', 'B'}, {'a', 0x301, 0x3c3, '.', 'b'}},
        {{0x130, 0x1e9e}, {'i', 0x307, 0xdf}},
        {{0x1e900, 0x10a0, 0x13a0}, {0x1e922, 0x2d00, 0xab70}},
    };
    size_t i, n;

    for (i = 0; i < BS_LEN(nfc) + BS_LEN(low); i++) {
        bool second = i >= BS_LEN(nfc);
        const uint32_t(*c)[5] = second ? low[i - BS_LEN(nfc)] : nfc[i];
        struct bs_text32 t = {0}, u = {0};
        struct bs_err e = {0};
        int r = 0;

        for (n = 0; n < 5 && c[0][n] != 0 && r == 0; n++)
            r = bs_text32_put(&t, c[0][n], &e);
        if (r == 0)
            r = second ? bs_text32_lower(&u, t.at, t.len, &e)
                       : bs_text32_nfc(&t, &e);
        if (!second)
            u = t;
        for (n = 0; n < 5 && c[1][n] != 0; n++)
            ;
        ok(r == 0 && u.len == n &&
               memcmp(u.at, c[1], n * sizeof(uint32_t)) == 0,
           "%s of U+%04X...", second ? "lower case" : "normal form",
           (unsigned)c[0][0]);
        if (second)
            bs_text32_release(&t);
        bs_text32_release(&u);
    }
}

int
main(void)
{
    test_characters();
    test_golden("sd1", BS_CLIP_SLOW, "slow.jsonl");
    test_golden("sd2", BS_CLIP_SLOW, "slow.jsonl");
    test_golden("sd1", BS_CLIP_FAST, "fast.jsonl");
    test_golden("sd2", BS_CLIP_FAST, "fast.jsonl");
    test_long();
    test_added();
    test_bad();
    return tap_done();
}
