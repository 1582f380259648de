/*
 * u-tokens.c - the source of tokens and the feed of batches: which tokens come
 * in which order, what is refused, and that a feed can be put anywhere again.
 */
#include "cmd/models/token_feed.h"

#include <math.h>

#include "tests/unit/streams.h"
#include "tests/unit/tap.h"

enum { WIDTH = 4, FILES_MAX = 4 };

static char path[FILES_MAX][64];
static const char *paths[FILES_MAX];

/* ---- files -----------------------------------------------------------------
 */

/* A record of `tokens` tokens; token i of all is (i, i + 0.5, 1, 0). */
static void
write_record(struct bs_writer *w, const char *key, unsigned *next,
             unsigned tokens, enum bs_dtype dtype, const char *prefix)
{
    uint64_t shape[2] = {tokens, WIDTH};
    float *x = calloc(tokens * WIDTH + 1, sizeof *x);
    void *raw = calloc(tokens * WIDTH + 1, sizeof(float));
    struct bs_doc rec = {0};
    struct bs_err e = {0};
    unsigned i;

    need(x != NULL && raw != NULL);
    for (i = 0; i < tokens; i++, ++*next) {
        x[i * WIDTH] = (float)*next;
        x[i * WIDTH + 1] = (float)*next + 0.5f;
        x[i * WIDTH + 2] = 1;
    }
    bs_from_f32(raw, dtype, x, tokens * WIDTH);
    set(&rec, "key", key);
    set(&rec, "prefix", prefix);
    need(bs_doc_put(&rec, "x", dtype, 2, shape, raw, &e) == 0);
    need(bs_writer_record(w, &rec) == 0);
    bs_doc_release(&rec);
    free(x);
    free(raw);
}

/* File `n`: segments of records of five tokens, numbered on from `first`. */
static unsigned
write_file(int n, unsigned first, unsigned segments, unsigned records,
           enum bs_dtype dtype)
{
    int fd = memfd_create("tokens", 0);
    struct bs_doc head = {0};
    struct bs_writer *w;
    struct bs_err e = {0};
    char key[40];
    unsigned s, i;

    snprintf(path[n], sizeof path[n], "/dev/fd/%d", fd);
    paths[n] = path[n];
    set(&head, "bs.kind", "feature");
    need(fd >= 0 && bs_writer_open(&w, fd, "test", 0, &e) == 0);
    for (s = 0; s < segments; s++) {
        need(bs_writer_head(w, &head) == 0);
        for (i = 0; i < records; i++) {
            snprintf(key, sizeof key, "%d/%u/%u", n, s, i);
            write_record(w, key, &first, 5, dtype, "2");
        }
        need(bs_writer_end(w, NULL, NULL) == 0);
    }
    need(bs_writer_close(w, &e) == 0);
    bs_doc_release(&head);
    return first;
}

static struct bs_token_source *
open_source(size_t files, enum bs_token_choice choice)
{
    struct bs_token_options o = {
        .path = paths, .paths = files, .choice = choice, .limit = UINT64_MAX};
    struct bs_token_source *s;
    struct bs_err e = {0};

    need(bs_token_source_open(&s, &o, &e) == 0);
    return s;
}

/* Read a pass; the numbers of its tokens in `out`, whose end is returned, or
 * the error. */
static int
read_pass(struct bs_token_source *s, unsigned *out, struct bs_err *e)
{
    struct bs_token_run run;
    float x[64 * 9];
    int r, n = 0;
    size_t i;

    while ((r = bs_token_source_next(s, &run, e)) == BS_TOKENS_RUN) {
        need(run.width <= 9 && run.tokens <= 64);
        bs_to_f32(x, run.dtype, run.data, run.tokens * run.width);
        for (i = 0; i < run.tokens; i++)
            out[n++] = (unsigned)x[i * run.width];
    }
    return r < 0 ? r : n;
}

static bool
counts_up(const unsigned *out, int n, unsigned from)
{
    int i;

    for (i = 0; i < n; i++)
        if (out[i] != from + (unsigned)i)
            return false;
    return true;
}

static bool
fails(int r, const struct bs_err *e, const char *text)
{
    bool good = r == -BS_EX_DATA && strstr(e->text, text) != NULL;

    if (!good)
        printf("# got %d '%s', wanted '%s'\n", r, e->text, text);
    return good;
}

/* ---- the source ------------------------------------------------------------
 */

static void
test_passes(void)
{
    static unsigned out[1000];
    struct bs_token_source *s;
    struct bs_err e = {0};
    struct bs_buf list = {0}, parents = {0};
    unsigned next = write_file(0, 0, 1, 6, BS_DTYPE_F16);
    int n;

    next = write_file(1, next, 2, 3, BS_DTYPE_BF16);
    (void)write_file(2, next, 1, 2, BS_DTYPE_F32);
    s = open_source(3, BS_TOKENS_ALL);
    n = read_pass(s, out, &e);
    ok(n == 70 && counts_up(out, n, 0) && bs_token_source_tokens(s) == 70,
       "all tokens of three files of three types, in order");
    ok(bs_token_source_segments(s) == 4 && bs_token_source_width(s) == WIDTH,
       "their segments and their width");
    bs_token_source_rewind(s);
    n = read_pass(s, out, &e);
    ok(n == 70 && counts_up(out, n, 0) && bs_token_source_segments(s) == 4,
       "once more the same");
    need(bs_token_source_list(s, 4, &list, &e) == 0 &&
         bs_token_source_parents(s, 4, &parents, &e) == 0);
    ok(strstr((char *)parents.data, "\"hash\"") != NULL &&
           strncmp((char *)parents.data, "[{", 2) == 0,
       "parents with content ids");
    bs_token_source_close(s);

    s = open_source(3, BS_TOKENS_ALL);
    ok(bs_token_source_expect(s, (char *)list.data, (char *)parents.data, &e) ==
               0 &&
           read_pass(s, out, &e) == 70,
       "what was expected comes");
    bs_token_source_rewind(s);
    list.len = parents.len = 0;
    bs_token_source_close(s);

    s = open_source(2, BS_TOKENS_ALL);
    list.len = 0;
    need(read_pass(s, out, &e) == 60 &&
         bs_token_source_list(s, 3, &list, &e) == 0);
    bs_token_source_close(s);
    s = open_source(3, BS_TOKENS_ALL);
    need(bs_token_source_expect(s, (char *)list.data, "[]", &e) == 0);
    ok(read_pass(s, out, &e) == 70, "more may come than was expected");
    bs_token_source_close(s);
    s = open_source(1, BS_TOKENS_ALL);
    need(bs_token_source_expect(s, (char *)list.data, "[]", &e) == 0);
    ok(fails(read_pass(s, out, &e), &e, "1 segments, not the 3 of the checkp"),
       "less may not");
    bs_token_source_close(s);
    paths[0] = path[1];
    e = (struct bs_err){0};
    s = open_source(1, BS_TOKENS_ALL);
    need(bs_token_source_expect(s, (char *)list.data, "[]", &e) == 0);
    ok(fails(read_pass(s, out, &e), &e, "not what the checkpoint was made"),
       "another file may not");
    bs_token_source_close(s);
    e = (struct bs_err){0};
    s = open_source(1, BS_TOKENS_ALL);
    ok(fails(bs_token_source_expect(s, "[{\"hash\":\"x\"}]", "", &e), &e,
             "list"),
       "a list that is none");
    bs_token_source_close(s);
    bs_buf_release(&list);
    bs_buf_release(&parents);
}

static void
test_choice(void)
{
    static unsigned out[1000];
    struct bs_token_source *s;
    struct bs_err e = {0};
    int n;

    (void)write_file(0, 0, 1, 3, BS_DTYPE_F16);
    s = open_source(1, BS_TOKENS_PATCH);
    n = read_pass(s, out, &e);
    ok(n == 9 && out[0] == 2 && out[2] == 4 && out[3] == 7 && out[8] == 14,
       "patch: what follows the prefix");
    bs_token_source_close(s);
    s = open_source(1, BS_TOKENS_CLS);
    n = read_pass(s, out, &e);
    ok(n == 3 && out[0] == 0 && out[1] == 5 && out[2] == 10, "cls: the first");
    bs_token_source_close(s);
}

/* A stream of one record as it should not be. */
static int
read_odd(enum bs_dtype dtype, unsigned rank, uint64_t width, const char *prefix,
         float value, enum bs_token_choice choice, struct bs_err *e)
{
    static unsigned out[1000];
    uint64_t shape[2] = {2, width};
    int fd = memfd_create("odd", 0), r;
    float x[2 * 9] = {0};
    uint64_t raw[18];
    struct bs_doc head = {0}, rec = {0};
    struct bs_token_source *s;
    struct bs_writer *w;

    x[width + 1] = value; /* token 1 */
    if (dtype == BS_DTYPE_I32)
        memset(raw, 0, sizeof raw);
    else
        bs_from_f32(raw, dtype, x, 2 * width);
    if (rank == 1)
        shape[0] = 2 * width;
    snprintf(path[0], sizeof path[0], "/dev/fd/%d", fd);
    paths[0] = path[0];
    set(&head, "bs.kind", "feature");
    set(&rec, "key", "odd");
    if (prefix != NULL)
        set(&rec, "prefix", prefix);
    need(bs_doc_put(&rec, "x", dtype, rank, shape, raw, e) == 0);
    need(bs_writer_open(&w, fd, "test", 0, e) == 0 &&
         bs_writer_head(w, &head) == 0 && bs_writer_record(w, &rec) == 0 &&
         bs_writer_end(w, NULL, NULL) == 0 && bs_writer_close(w, e) == 0);
    bs_doc_release(&head);
    bs_doc_release(&rec);
    s = open_source(1, choice);
    r = read_pass(s, out, e);
    bs_token_source_close(s);
    close(fd);
    return r;
}

static void
test_odd(void)
{
    static const enum bs_dtype types[] = {BS_DTYPE_F16, BS_DTYPE_BF16,
                                          BS_DTYPE_F32};
    static const float bad[] = {INFINITY, -INFINITY, NAN};
    struct bs_err e = {0};
    size_t i, j;

    for (i = 0; i < BS_LEN(types); i++) {
        e = (struct bs_err){0};
        ok(read_odd(types[i], 2, 9, NULL, 65504, BS_TOKENS_ALL, &e) == 2,
           "%s: large values are fine", bs_dtype_name(types[i]));
        for (j = 0; j < BS_LEN(bad); j++) {
            e = (struct bs_err){0};
            ok(fails(read_odd(types[i], 2, 9, NULL, bad[j], BS_TOKENS_ALL, &e),
                     &e, "record 'odd': token 1 holds a value that is not fin"),
               "%s: %f is refused", bs_dtype_name(types[i]), (double)bad[j]);
        }
    }
    e = (struct bs_err){0};
    ok(fails(read_odd(BS_DTYPE_F32, 1, 9, NULL, 0, BS_TOKENS_ALL, &e), &e,
             "x is not [tokens, width]"),
       "one dimension is refused");
    e = (struct bs_err){0};
    ok(fails(read_odd(BS_DTYPE_I32, 2, 9, NULL, 0, BS_TOKENS_ALL, &e), &e,
             "x is I32"),
       "whole numbers are refused");
    e = (struct bs_err){0};
    ok(fails(read_odd(BS_DTYPE_F32, 2, 9, NULL, 0, BS_TOKENS_PATCH, &e), &e,
             "'prefix'"),
       "patches of what has no prefix");
    e = (struct bs_err){0};
    ok(fails(read_odd(BS_DTYPE_F32, 2, 9, "3", 0, BS_TOKENS_PATCH, &e), &e,
             "'prefix'"),
       "a prefix longer than the record");
    e = (struct bs_err){0};
    ok(fails(read_odd(BS_DTYPE_F32, 2, 9, "0", 0, BS_TOKENS_CLS, &e), &e,
             "no CLS token"),
       "the class token where there is none");
    e = (struct bs_err){0};
    ok(read_odd(BS_DTYPE_F32, 2, 9, "2", 0, BS_TOKENS_PATCH, &e) == 0,
       "a record without patches has no tokens");
}

static void
test_widths(void)
{
    struct bs_buf narrow = {0};
    static unsigned out[1000];
    struct bs_token_source *s;
    struct bs_err e = {0};
    int fd;

    (void)write_file(0, 0, 1, 3, BS_DTYPE_F16);
    make_stream(&narrow, "feature", 0, 2, 3, "ok");
    fd = memory_file(narrow.data, narrow.len);
    snprintf(path[1], sizeof path[1], "/dev/fd/%d", fd);
    paths[1] = path[1];
    s = open_source(2, BS_TOKENS_ALL);
    ok(fails(read_pass(s, out, &e), &e, "record 'k0': features of width 3, bu"),
       "two widths");
    bs_token_source_close(s);
    bs_buf_release(&narrow);
    make_stream(&narrow, "code", 0, 2, 3, "ok");
    close(fd);
    fd = memory_file(narrow.data, narrow.len);
    snprintf(path[0], sizeof path[0], "/dev/fd/%d", fd);
    e = (struct bs_err){0};
    s = open_source(1, BS_TOKENS_ALL);
    ok(fails(read_pass(s, out, &e), &e, "kind 'code', not 'feature'"),
       "codes are no features");
    bs_token_source_close(s);
    bs_buf_release(&narrow);
    close(fd);
}

/* ---- the feed --------------------------------------------------------------
 */

enum { BATCH = 8, TOKENS = 70 }; /* eight batches a pass, six tokens over */

static struct bs_feed *
open_feed(struct bs_token_source *s, size_t capacity, bool ordered,
          uint64_t passes, uint64_t batches)
{
    struct bs_feed_options o = {.batch = BATCH,
                                .capacity = capacity,
                                .ordered = ordered,
                                .seed = 5,
                                .name = "test",
                                .passes = passes,
                                .batches = batches};
    struct bs_feed *f;
    struct bs_err e = {0};

    need(bs_feed_open(&f, &o, s, &e) == 0);
    return f;
}

/* The tokens of all batches, and where the feed was behind each. */
static int
drain(struct bs_feed *f, unsigned *out, struct bs_feed_position *at)
{
    struct bs_feed_position after;
    struct bs_err e = {0};
    const float *x;
    int n = 0, i;

    while (bs_feed_next(f, &x, &after, &e) == BS_TOKENS_RUN) {
        for (i = 0; i < BATCH; i++)
            out[n * BATCH + i] = (unsigned)x[i * WIDTH];
        at[n++] = after;
    }
    return e.code == 0 && bs_feed_next(f, &x, &after, &e) == BS_TOKENS_END ? n
                                                                           : -1;
}

static void
write_three(void)
{
    unsigned next = write_file(0, 0, 1, 6, BS_DTYPE_F16);

    next = write_file(1, next, 2, 3, BS_DTYPE_F16);
    (void)write_file(2, next, 1, 2, BS_DTYPE_F16);
}

/* No token twice in a pass, each pass of another order. */
static void
test_batches(size_t capacity, bool ordered)
{
    static unsigned out[100 * BATCH], once[TOKENS];
    static struct bs_feed_position at[100];
    struct bs_token_source *s = open_source(3, BS_TOKENS_ALL);
    struct bs_feed *f = open_feed(s, capacity, ordered, 3, UINT64_MAX);
    int n = drain(f, out, at), i;
    bool good = n == 24;

    for (i = 0; i < n * BATCH; i++) {
        if (i % (8 * BATCH) == 0)
            memset(once, 0, sizeof once);
        good = good && out[i] < TOKENS && once[out[i]]++ == 0;
    }
    ok(good, "capacity %zu: three passes of whole batches", capacity);
    ok((memcmp(out, out + 8 * BATCH, 8 * BATCH * sizeof *out) == 0) == ordered,
       "capacity %zu: %s", capacity,
       ordered ? "each pass alike" : "no pass like the other");
    if (ordered)
        ok(counts_up(out, 8 * BATCH, 0), "in the order of the input");
    bs_feed_close(f);
    bs_token_source_close(s);
}

/* From behind any batch the others come as they did. */
static void
test_seek(size_t capacity, bool ordered)
{
    static unsigned all[100 * BATCH], rest[100 * BATCH];
    static struct bs_feed_position at[100], again[100];
    struct bs_token_source *s = open_source(3, BS_TOKENS_ALL);
    struct bs_feed *f = open_feed(s, capacity, ordered, 3, 20);
    struct bs_err e = {0};
    int n = drain(f, all, at), i;
    unsigned good = 0;

    need(n == 20);
    bs_feed_close(f);
    bs_token_source_close(s);
    for (i = 0; i < n; i++) {
        int left;

        s = open_source(3, BS_TOKENS_ALL);
        f = open_feed(s, capacity, ordered, 3, (uint64_t)(19 - i));
        need(bs_feed_seek(f, &at[i], &e) == BS_TOKENS_RUN);
        left = drain(f, rest, again);
        good += left == 19 - i &&
                memcmp(rest, all + (i + 1) * BATCH,
                       (size_t)left * BATCH * sizeof *rest) == 0 &&
                (left == 0 || (again[left - 1].hash == at[n - 1].hash &&
                               again[left - 1].read == at[n - 1].read &&
                               again[left - 1].taken == at[n - 1].taken));
        bs_feed_close(f);
        bs_token_source_close(s);
    }
    ok(good == 20, "capacity %zu%s: gone on with behind any batch", capacity,
       ordered ? ", in order" : "");
}

static void
test_seek_wrong(void)
{
    struct bs_feed_position to = {.taken = 16, .read = 46, .hash = 1};
    struct bs_token_source *s = open_source(3, BS_TOKENS_ALL);
    struct bs_feed *f = open_feed(s, 30, false, 1, UINT64_MAX);
    struct bs_err e = {0};

    ok(fails(bs_feed_seek(f, &to, &e), &e, "tokens differ"), "other tokens");
    bs_feed_close(f);
    bs_token_source_close(s);
    s = open_source(1, BS_TOKENS_ALL);
    f = open_feed(s, 30, false, 1, UINT64_MAX);
    to.taken = 64;
    e = (struct bs_err){0};
    ok(fails(bs_feed_seek(f, &to, &e), &e, "ends after 30 tokens"),
       "fewer tokens");
    bs_feed_close(f);
    bs_token_source_close(s);
}

static void
test_sample(void)
{
    struct bs_token_source *s = open_source(3, BS_TOKENS_ALL);
    struct bs_feed *f = open_feed(s, 30, false, 1, UINT64_MAX), *g;
    static unsigned a[100 * BATCH], b[100 * BATCH];
    static struct bs_feed_position at[100];
    float x[10 * WIDTH];
    struct bs_err e = {0};
    int n, i;
    bool good;

    good = bs_feed_fill(f, &e) == BS_TOKENS_RUN && bs_feed_count(f) == 30;
    bs_feed_sample(f, x, 10);
    for (i = 0; i < 10; i++)
        good = good && x[i * WIDTH] == (float)(3 * i);
    ok(good, "a sample, evenly from what the buffer holds");
    n = drain(f, a, at);
    bs_feed_close(f);
    bs_token_source_rewind(s);
    g = open_feed(s, 30, false, 1, UINT64_MAX);
    ok(n == 8 && drain(g, b, at) == 8 && memcmp(a, b, sizeof a) == 0,
       "it changes nothing");
    bs_feed_close(g);
    bs_token_source_close(s);
}

static void
test_few(void)
{
    struct bs_token_source *s;
    struct bs_feed_position after;
    struct bs_feed *f;
    struct bs_err e = {0};
    const float *x;
    int r;

    (void)write_file(0, 0, 1, 1, BS_DTYPE_F16);
    s = open_source(1, BS_TOKENS_ALL);
    f = open_feed(s, 30, false, 2, UINT64_MAX);
    r = bs_feed_next(f, &x, &after, &e);
    ok(fails(r, &e, "5 tokens, fewer than a batch of 8"), "less than a batch");
    bs_feed_close(f);
    bs_token_source_close(s);
    (void)write_file(0, 0, 1, 0, BS_DTYPE_F16);
    e = (struct bs_err){0};
    s = open_source(1, BS_TOKENS_ALL);
    f = open_feed(s, 30, false, 2, UINT64_MAX);
    ok(fails(bs_feed_fill(f, &e), &e, "no tokens"), "no tokens: no sample");
    e = (struct bs_err){0};
    r = bs_feed_next(f, &x, &after, &e);
    ok(fails(r, &e, "0 tokens"), "no tokens: no batch");
    bs_feed_close(f);
    bs_token_source_close(s);
}

int
main(void)
{
    test_passes();
    test_choice();
    test_odd();
    test_widths();
    write_three();
    test_batches(BATCH, true);
    test_batches(BATCH, false);
    test_batches(33, false);
    test_batches(1000, false);
    test_seek(BATCH, true);
    test_seek(BATCH, false);
    test_seek(33, false);
    test_seek(1000, false);
    test_seek_wrong();
    test_sample();
    test_few();
    return tap_done();
}
