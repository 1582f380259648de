/*
 * Model files: single, sharded, and all the ways in which a folder can be
 * wrong.
 */
#include "formats/safetensors.h"
#include "tests/unit/scratch.h"

static void
drop(const char *name)
{
    char path[300];

    unlink(at(path, name));
}

/* A weight file of up to three tensors of four floats each. */
static void
build(struct bs_buf *out, const char *a, const char *b, const char *c)
{
    static const float values[4] = {1, 2, 3, 4};
    const char *names[] = {a, b, c};
    uint64_t shape[2] = {2, 2};
    struct bs_doc doc = {0};
    struct bs_err e = {0};
    size_t i;
    int r = 0;

    for (i = 0; i < BS_LEN(names) && r == 0; i++)
        if (names[i] != NULL)
            r = bs_doc_put(&doc, names[i], BS_DTYPE_F32, 2, shape, values, &e);
    if (r == 0)
        r = bs_doc_write(&doc, out, &e);
    if (r < 0)
        printf("# %s\n", e.text);
    bs_doc_release(&doc);
}

static void
weights(const char *name, const char *a, const char *b, const char *c)
{
    struct bs_buf buf = {0};

    build(&buf, a, b, c);
    write_bytes(name, buf.data, buf.len);
    bs_buf_release(&buf);
}

/* Open the folder (or a file in it): the status, and the message in `text`. */
static int
try(const char *name, char text[500])
{
    struct bs_safetensors *s = NULL;
    struct bs_err e = {0};
    char path[300];
    int r = bs_safetensors_open(&s, at(path, name), &e);

    snprintf(text, 500, "%s", e.text);
    bs_safetensors_close(s);
    return r;
}

/* Opening must fail with `code` and a message that holds every word. */
static void
refused(const char *what, const char *name, int code, const char *word,
        const char *also)
{
    char text[500];
    int r = try(name, text);

    ok(r == -code && strstr(text, word) != NULL && strstr(text, also) != NULL,
       "%s: %d, %s", what, -r, text);
}

static void
test_single(void)
{
    struct bs_safetensors *s = NULL;
    struct bs_err e = {0};
    char path[300], hex[BS_SHA256_HEX_SIZE], again[BS_SHA256_HEX_SIZE];
    char want[BS_SHA256_HEX_SIZE], lines[300];
    struct bs_buf text = {0}, file = {0};
    const struct bs_tensor *t;

    weights("model.safetensors", "b", "a", "c");
    write_text("config.json", "{}");
    ok(bs_safetensors_open(&s, work, &e) == 0, "a folder opens %s", e.text);
    ok(bs_safetensors_count(s) == 3 &&
           strcmp(bs_safetensors_at(s, 0)->name, "a") == 0 &&
           strcmp(bs_safetensors_at(s, 2)->name, "c") == 0,
       "tensors come in the order of their names");
    t = bs_safetensors_find(s, "b");
    ok(t != NULL && t->rank == 2 && t->bytes == 16, "one is found by name");
    ok(bs_safetensors_find(s, "bb") == NULL, "one is not");
    ok(bs_safetensors_text(s, "none.json", &text, &e) == 0 && text.len == 0,
       "a text that is not there");
    ok(bs_safetensors_digest(s, hex, &e) == 0, "digest");
    ok(bs_safetensors_text(s, "config.json", &text, &e) == 1 && text.len == 2,
       "a text that is there");
    ok(bs_safetensors_digest(s, again, &e) == 0 && strcmp(hex, again) != 0,
       "it counts in the digest");
    build(&file, "b", "a", "c");
    bs_sha256("{}", 2, want);
    snprintf(lines, sizeof lines, "%s  config.json\n", want);
    bs_sha256(file.data, file.len, want);
    snprintf(lines + strlen(lines), sizeof lines - strlen(lines),
             "%s  model.safetensors\n", want);
    bs_sha256(lines, strlen(lines), want);
    ok(strcmp(again, want) == 0, "the digest is that of sha256sum's lines");
    bs_safetensors_close(s);
    ok(bs_safetensors_open(&s, at(path, "model.safetensors"), &e) == 0 &&
           bs_safetensors_text(s, "config.json", &text, &e) == 1,
       "a file opens, and its neighbour");
    bs_safetensors_close(s);
    bs_safetensors_close(NULL);
    bs_buf_release(&text);
    bs_buf_release(&file);
}

static void
test_cut(void)
{
    struct bs_buf file = {0};
    char text[500];
    size_t len;
    int bad = 0;

    build(&file, "a", "b", NULL);
    for (len = 0; len < file.len; len++) {
        write_bytes("cut.safetensors", file.data, len);
        bad += try("cut.safetensors", text) != -BS_EX_DATA ||
               strstr(text, "cut.safetensors") == NULL;
    }
    ok(bad == 0, "a file cut at any byte is refused by name: %s", text);
    write_bytes("cut.safetensors", file.data, file.len);
    ok(try("cut.safetensors", text) == 0, "whole, it is not");
    bs_buf_release(&file);
    drop("cut.safetensors");
}

static void
test_shards(void)
{
    static const char index[] = "model.safetensors.index.json";
    char text[500];

    drop("model.safetensors");
    refused("an empty folder", "", BS_EX_NOINPUT, "no 'model.safetensors'", "");
    write_text("pytorch_model.bin", "x");
    refused("a folder of pickles", "", BS_EX_NOINPUT, "pickle", "");
    weights("one.safetensors", "a", "b", NULL);
    weights("two.safetensors", "c", NULL, NULL);
    write_text(index,
               "{\"metadata\":{},\"weight_map\":{\"a\":\"one.safetensors\""
               ",\"b\":\"one.safetensors\",\"c\":\"two.safetensors\"}}");
    ok(try("", text) == 0, "two shards open %s", text);
    write_text(index, "{\"weight_map\":{\"a\":\"three.safetensors\"}}");
    refused("a shard that is missing", "", BS_EX_DATA, "three.safetensors",
            "No such file");
    write_text(index, "{\"weight_map\":{\"a\":\"two.safetensors\"}}");
    refused("a tensor that its shard lacks", "", BS_EX_DATA, "tensor 'a'",
            "'two.safetensors'");
    write_text(index, "{\"weight_map\":{\"a\":\"one.safetensors\",\"c\":"
                      "\"one.safetensors\",\"b\":\"two.safetensors\"}}");
    refused("a tensor in another shard", "", BS_EX_DATA, "tensor 'c'", "");
    weights("two.safetensors", "a", "c", NULL);
    write_text(index, "{\"weight_map\":{\"a\":\"one.safetensors\",\"c\":"
                      "\"two.safetensors\"}}");
    refused("a tensor in two shards", "", BS_EX_DATA, "tensor 'a'",
            "and in 'two.safetensors'");
    write_text(index, "{\"weight_map\":{\"a\":\"../one.safetensors\"}}");
    refused("a way out of the folder", "", BS_EX_DATA, "plain file name", "");
    write_text(index, "{\"weight_map\":{\"a\":\"..\"}}");
    refused("the folder above", "", BS_EX_DATA, "plain file name", "");
    write_text(index, "{\"weight_map\":{\"a\":3}}");
    refused("a shard that is a number", "", BS_EX_DATA, "plain file name", "");
    write_text(index, "{\"weight_map\":{}}");
    refused("an empty map", "", BS_EX_DATA, "weight_map", "");
    write_text(index, "[]");
    refused("a map that is a list", "", BS_EX_DATA, "weight_map", "");
    write_text(index, "{\"weight_map\":{\"a\":");
    refused("a map that is cut", "", BS_EX_DATA, index, "byte");
    drop(index);
    drop("one.safetensors");
    drop("two.safetensors");
    drop("pytorch_model.bin");
}

static void
test_odd_files(void)
{
    char path[300];

    refused("nothing", "nothing", BS_EX_NOINPUT, "nothing", "No such file");
    if (mkfifo(at(path, "fifo"), 0600) == 0)
        refused("a FIFO", "fifo", BS_EX_NOINPUT, "no regular file", "");
    drop("fifo");
    if (mkdir(at(path, "model.safetensors"), 0700) == 0)
        refused("a folder for weights", "", BS_EX_NOINPUT, "no regular file",
                "");
    rmdir(path);
    write_text("model.safetensors", "not a model at all, but long enough");
    refused("text for weights", "", BS_EX_DATA, "model.safetensors", "");
    drop("model.safetensors");
}

/* Megabytes of mapped files that the process holds, or -1. */
static long
file_memory(void)
{
    FILE *f = fopen("/proc/self/status", "re");
    char line[200];
    long kb = -1;

    while (f != NULL && kb < 0 && fgets(line, sizeof line, f) != NULL)
        sscanf(line, "RssFile: %ld", &kb);
    if (f != NULL)
        fclose(f);
    return kb < 0 ? -1 : kb / 1024;
}

static uint64_t
sum_of(const struct bs_tensor *t)
{
    const uint8_t *b = t->data;
    uint64_t sum = 0;
    size_t i;

    for (i = 0; i < t->bytes; i++)
        sum = sum * 31 + b[i];
    return sum;
}

/* A large model is not held in memory by who reads it. */
static void
test_memory(void)
{
    enum { MB = 24 };
    uint64_t shape[1] = {(uint64_t)MB << 20}, sum;
    uint8_t *values = bs_alloc((size_t)shape[0]);
    struct bs_safetensors *s = NULL;
    const struct bs_tensor *t;
    struct bs_doc doc = {0};
    struct bs_buf buf = {0};
    struct bs_err e = {0};
    char path[300], hex[BS_SHA256_HEX_SIZE];
    long before, read, after;
    size_t i;

    for (i = 0; values != NULL && i < shape[0]; i++)
        values[i] = (uint8_t)(i * 2654435761u >> 13);
    if (values == NULL ||
        bs_doc_put(&doc, "x", BS_DTYPE_U8, 1, shape, values, &e) < 0 ||
        bs_doc_write(&doc, &buf, &e) < 0)
        printf("# %s\n", e.text);
    write_bytes("large.safetensors", buf.data, buf.len);
    bs_buf_release(&buf);
    bs_doc_release(&doc);
    bs_free(values);
    ok(bs_safetensors_open(&s, at(path, "large.safetensors"), &e) == 0,
       "a large file opens %s", e.text);
    before = file_memory();
    t = bs_safetensors_find(s, "x");
    sum = sum_of(t);
    read = file_memory();
    bs_safetensors_forget(t);
    after = file_memory();
    if (before < 0 || read < before + MB / 2)
        ok(1, "memory that is given back # SKIP no RssFile here");
    else
        ok(after < before + MB / 4,
           "%ld MB of files in memory, %ld when one was read, %ld when it was "
           "given back",
           before, read, after);
    ok(sum_of(t) == sum, "what was given back is still there");
    bs_safetensors_forget(t);
    ok(bs_safetensors_digest(s, hex, &e) == 0, "digest %s", e.text);
    ok(before < 0 || file_memory() < before + MB * 3 / 4,
       "a digest does not hold the file");
    bs_safetensors_close(s);
    drop("large.safetensors");
}

int
main(void)
{
    scratch_open();
    test_single();
    test_cut();
    test_shards();
    test_odd_files();
    test_memory();
    scratch_close();
    return tap_done();
}
