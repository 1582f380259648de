/*
 * u-gather.c - keys, the bytes of records, and that a sample is uniform.
 */
#include "cmd/models/gather.h"
#include "cmd/models/keys.h"
#include "common/io.h"
#include "tests/unit/tap.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *
sample_folder(char *path, size_t room)
{
    const char *src = getenv("BS_SRC");

    snprintf(path, room, "%s/tests/sample", src != NULL ? src : ".");
    return path;
}

static void
test_keys(void)
{
    static const struct {
        const char *name, *want;
    } cases[] = {
        {"a", "a"},          {"a b", "a_b"},       {"a-b", "a-b"},
        {"a b", "a_b-2"},    {"a+b", "a_b-3"},     {"./a//c/.", "a/c"},
        {"/etc/x", "etc/x"}, {"..", "__"},         {"", "_"},
        {"///", "_-2"},      {"a_b-4", "a_b-4"},   {"a%b", "a_b-5"},
        {"a", "a-2"},        {"\303\244", "__-2"},
    };
    struct bs_arena arena = {0};
    struct bs_tally taken = {0};
    struct bs_err e = {0};
    const char *key, *long_key;
    char name[300];
    size_t i;

    for (i = 0; i < BS_LEN(cases); i++) {
        int r = bs_key_make(&key, &arena, "", cases[i].name,
                            strlen(cases[i].name), &taken, &e);

        ok(r == 0 && strcmp(key, cases[i].want) == 0 && bs_key_valid(key),
           "key of '%s': %s", cases[i].name, key);
    }
    memset(name, 'n', sizeof name);
    ok(bs_key_make(&long_key, &arena, "p/", name, 300, &taken, &e) == 0 &&
           strlen(long_key) == 200 && bs_key_valid(long_key),
       "a long name is cut");
    ok(bs_key_make(&key, &arena, "p/", name, 300, &taken, &e) == 0 &&
           strlen(key) == 200 && bs_key_valid(key) &&
           strcmp(key, long_key) != 0,
       "and unique");
    ok(strcmp(bs_text_repair(&arena, "a\0\xc3\xa4\xff\xed\xa0\x80", 8),
              "a\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
              "\xef\xbf\xbd") == 0,
       "text is repaired");
    ok(bs_stem_length("a/b.c.JPEG") == 5 && bs_stem_length("a.jpg/b") == 7 &&
           bs_stem_length(".jpg") == 4 && bs_stem_length("x.txt") == 5,
       "extensions");
    bs_tally_release(&taken);
    bs_arena_release(&arena);
}

/* The record's bytes are the file's. */
static bool
is_original(const char *root, const struct bs_found *f)
{
    const struct bs_tensor *t = f->doc.tensors == 1 ? f->doc.tensor : NULL;
    struct bs_buf b = {0};
    struct bs_err e = {0};
    char path[4200];
    bool same;

    snprintf(path, sizeof path, "%s/%s", root, f->src);
    same = t != NULL && bs_read_file(path, 1 << 25, &b, &e) == 0 &&
           b.len == t->bytes && memcmp(b.data, t->data, b.len) == 0;
    bs_buf_release(&b);
    return same;
}

static void
test_records(unsigned threads)
{
    struct bs_gather_options o = {.threads = threads};
    char root[4096];
    const char *path = sample_folder(root, sizeof root);
    const struct bs_found *f;
    struct bs_gather *g = NULL;
    struct bs_err e = {0};
    size_t count = 0, good = 0, captions = 0;

    ok(bs_gather_open(&g, &path, 1, &o, &e) == 0, "%u threads: open", threads);
    while (bs_gather_next(g, &f, &e) > 0) {
        good += f->status == BS_GATHER_OK && f->index == count &&
                is_original(root, f);
        captions += bs_doc_meta(&f->doc, "caption") != NULL;
        count++;
    }
    ok(e.code == 0 && count > 5 && good == count && captions == count,
       "%u threads: %zu records with their bytes and captions", threads, count);
    bs_gather_close(g);
    ok(bs_gather_open(&g, &path, 1, &o, &e) == 0 &&
           bs_gather_next(g, &f, &e) == 1,
       "%u threads: closed in the middle", threads);
    bs_gather_close(g);
}

/* Sums over many seeds how often each candidate is in a sample of 3. */
static void
test_uniform(void)
{
    enum { SEEDS = 400, DRAWN = 3, MOST = 64 };
    char root[4096];
    const char *path = sample_folder(root, sizeof root);
    struct bs_gather_options o = {.no_decode = true, .sample = DRAWN};
    double times[MOST] = {0}, chi = 0, expected;
    const struct bs_found *f;
    struct bs_err e = {0};
    size_t i, candidates = 0;

    for (o.seed = 0; o.seed < SEEDS; o.seed++) {
        struct bs_gather *g = NULL;

        if (bs_gather_open(&g, &path, 1, &o, &e) < 0)
            break;
        while (bs_gather_next(g, &f, &e) > 0) {
            if (f->index < MOST)
                times[f->index]++;
            if (f->index >= candidates)
                candidates = (size_t)f->index + 1;
        }
        bs_gather_close(g);
    }
    expected = candidates > 0 ? SEEDS * DRAWN / (double)candidates : 1;
    for (i = 0; i < candidates && i < MOST; i++)
        chi += (times[i] - expected) * (times[i] - expected) / expected;
    /* mean and spread of chi square with that many degrees of freedom */
    ok(e.code == 0 && candidates > DRAWN && candidates < MOST &&
           chi < (double)candidates + 5 * sqrt(2.0 * (double)candidates),
       "sample: uniform over %zu candidates, chi square %.1f", candidates, chi);
}

static void
test_errors(void)
{
    struct bs_gather_options o = {.key_prefix = "a b"};
    const char *path = "/nowhere";
    struct bs_gather *g;
    struct bs_err e = {0};

    ok(bs_gather_open(&g, &path, 1, &o, &e) == -BS_EX_USAGE && g == NULL,
       "a bad prefix: %s", e.text);
    o.key_prefix = NULL;
    e = (struct bs_err){0};
    ok(bs_gather_open(&g, &path, 1, &o, &e) == -BS_EX_NOINPUT && g == NULL,
       "no source: %s", e.text);
    bs_gather_close(NULL);
}

/* The params of some options are these. */
static void
check_params(const struct bs_gather_options *o, uint64_t limit, uint64_t shard,
             uint64_t shards, const char *want)
{
    struct bs_buf b = {0};
    struct bs_err e = {0};
    int r = bs_gather_params(o, limit, shard, shards, &b, &e);

    ok(r == 0 && strcmp((char *)b.data, want) == 0, "params: %s", want);
    bs_buf_release(&b);
}

static void
test_params(void)
{
    struct bs_gather_options o = {0};

    check_params(&o, UINT64_MAX, 0, 0, "{}");
    o.dedupe = o.no_captions = true;
    o.max_bytes = 7;
    o.key_prefix = "a/";
    check_params(&o, 9, 1, 3,
                 "{\"captions\":false,\"dedupe\":true,\"key_prefix\":\"a/\","
                 "\"limit\":9,\"max_bytes\":7,\"shard\":\"1/3\"}");
}

int
main(void)
{
    test_keys();
    test_records(1);
    test_records(3);
    test_uniform();
    test_errors();
    test_params();
    return tap_done();
}
