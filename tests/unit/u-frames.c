/*
 * u-frames.c - hostile frames and documents against the reader: each limit at
 * and one over, each rule of bs-stream(5) broken by itself.
 */
#include "tests/unit/streams.h"
#include "tests/unit/tap.h"

#include <glob.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <zstd.h>

/* ---- documents by hand --------------------------------------------------- */

/* Append a document: JSON padded to the alignment, and n bytes of data. */
static void
add_doc(struct bs_buf *b, const char *json, size_t n)
{
    uint64_t len = BS_ROUND_UP(8 + strlen(json), (size_t)BS_ALIGN) - 8;
    struct bs_err e = {0};

    need(bs_buf_add(b, &len, 8, &e) == 0 && bs_buf_str(b, json, &e) == 0 &&
         bs_buf_fill(b, ' ', len - strlen(json), &e) == 0 &&
         bs_buf_fill(b, 7, n, &e) == 0);
}

#define HEAD "{\"__metadata__\":{\"bs.stream\":\"1\",\"bs.kind\":\"code\"}}"
#define RECORD "{\"__metadata__\":{\"key\":\"a\"}}"

/* A right end for the documents that are in b, of which n are records. */
static void
add_end(struct bs_buf *b, unsigned n)
{
    char json[200], hex[BS_HEX64_SIZE];

    bs_hex64(bs_xxh64(b->data, b->len, 0), hex);
    snprintf(json, sizeof json,
             "{\"__metadata__\":{\"bs.end\":\"1\",\"bs.hash\":\"%s\","
             "\"bs.records\":\"%u\",\"bs.status\":\"ok\"}}",
             hex, n);
    add_doc(b, json, 0);
}

/* Read what is in b as one frame; b is emptied. */
static struct summary
read_docs(struct bs_buf *b)
{
    struct bs_buf stream = {0};
    struct summary s;

    add_frame(&stream, b->data, b->len);
    s = read_bytes(stream.data, stream.len, 0, 0);
    bs_buf_release(&stream);
    b->len = 0;
    return s;
}

static void
test_states(void)
{
    static const struct {
        const char *docs[4], *error;
    } cases[] = {
        {{RECORD}, "head: a record before the head"},
        {{"{\"__metadata__\":{\"bs.end\":\"1\"}}"},
         "head: an end before the head"},
        {{"{}"}, "head: neither bs.stream nor bs.end nor key"},
        {{HEAD, "{\"__metadata__\":{\"a\":\"b\"}}"},
         "record 1: neither bs.stream nor bs.end nor key"},
        {{HEAD, RECORD, "{\"__metadata__\":{\"key\":\"\"}}"},
         "record 2: invalid key ''"},
        {{HEAD, "{\"__metadata__\":{\"key\":\"a/\"}}"}, "invalid key 'a/'"},
        {{HEAD, "{\"__metadata__\":{\"key\":\"a\",\"bs.end\":\"1\"}}"},
         "more than one of"},
        {{HEAD, RECORD, HEAD}, "another head, not the end, after 1 record"},
        {{"{\"__metadata__\":{\"bs.stream\":\"2\",\"bs.kind\":\"x\"}}"},
         "head: stream version '2', this program reads 1"},
        {{"{\"__metadata__\":{\"bs.stream\":\"1\"}}"}, "head: no bs.kind"},
        {{HEAD, "{\"__metadata__\":{\"bs.end\":\"1\"}}"},
         "end without count or hash after 0 records"},
        {{HEAD, RECORD,
          "{\"__metadata__\":{\"bs.end\":\"1\",\"bs.records\":\"2\","
          "\"bs.hash\":\"0000000000000000\",\"bs.status\":\"ok\"}}"},
         "end with another count after 1 record"},
        {{HEAD, RECORD,
          "{\"__metadata__\":{\"bs.end\":\"1\",\"bs.records\":\"1\","
          "\"bs.hash\":\"0000000000000000\",\"bs.status\":\"ok\"}}"},
         "end with another content hash after 1 record"},
        {{HEAD, RECORD}, "truncated after 1 record"},
        {{HEAD, "[1]"}, "record 1: header is no JSON object"},
        {{HEAD, "{\"__metadata__\":{\"key\":1}}"},
         "record 1: metadata 'key' is no string"},
    };
    struct bs_buf b = {0};
    struct summary s;
    size_t i, k;

    for (i = 0; i < BS_LEN(cases); i++) {
        for (k = 0; k < 4 && cases[i].docs[k] != NULL; k++)
            add_doc(&b, cases[i].docs[k], 0);
        s = read_docs(&b);
        ok(says(&s, BS_EX_DATA, cases[i].error), "%s", cases[i].error);
    }
    add_doc(&b, HEAD, 0);
    add_doc(&b, RECORD, 0);
    add_end(&b, 1);
    s = read_docs(&b);
    ok(s.code == 0 && s.records == 1, "nothing broken: all is well");
    bs_buf_release(&b);
}

/* A document that is larger than what is left of its frame. */
static void
test_across(void)
{
    struct bs_buf docs = {0}, stream = {0};
    struct summary s;

    add_doc(&docs, HEAD, 0);
    add_doc(&docs,
            "{\"__metadata__\":{\"key\":\"a\"},\"x\":{\"dtype\":\"U8\","
            "\"shape\":[100],\"data_offsets\":[0,100]}}",
            100);
    add_frame(&stream, docs.data, docs.len - 50);
    add_frame(&stream, docs.data + docs.len - 50, 50);
    s = read_bytes(stream.data, stream.len, 0, 0);
    ok(says(&s, BS_EX_DATA, "record 1: document is cut"),
       "a document in two frames");
    bs_buf_release(&docs);
    bs_buf_release(&stream);
}

/* Keys of 200 and 201 bytes; the longest JSON of a record and of a head, and 64
 * bytes more. */
static void
test_sizes(void)
{
    struct bs_buf b = {0};
    struct summary s;
    struct bs_err e = {0};
    char json[400];
    int over;

    for (over = 0; over < 2; over++) {
        snprintf(json, sizeof json, "{\"__metadata__\":{\"key\":\"%0*d\"}}",
                 200 + over, 0);
        add_doc(&b, HEAD, 0);
        add_doc(&b, json, 0);
        add_end(&b, 1);
        s = read_docs(&b);
        ok(over ? says(&s, BS_EX_DATA, "invalid key") : s.code == 0,
           "a key of %d bytes", 200 + over);
    }
    for (over = 0; over < 4; over++) {
        size_t limit = over < 2 ? 1 << 20 : 16 << 20, len, from;

        if (over < 2)
            add_doc(&b, HEAD, 0);
        from = b.len;
        add_doc(&b, over < 2 ? RECORD : HEAD, 0);
        /* the document's length is a multiple of 64, its JSON 8 less */
        len = (over & 1 ? limit + 56 : limit - 8);
        need(bs_buf_fill(&b, ' ', len - (b.len - from - 8), &e) == 0);
        memcpy(b.data + from, &len, 8);
        add_end(&b, over < 2);
        s = read_docs(&b);
        ok(over & 1 ? says(&s, BS_EX_DATA, "over the limit") : s.code == 0,
           "JSON of %zu bytes in a %s", len, over < 2 ? "record" : "head");
    }
    bs_buf_release(&b);
}

/* ---- frames -------------------------------------------------------------- */

static void
expect(const char *name, const uint8_t *data, size_t len, const char *error)
{
    struct summary s = read_bytes(data, len, 0, 1 << 28);

    ok(says(&s, BS_EX_DATA, error), "%s", name);
}

/* What zstd itself makes of n bytes, with one parameter changed. */
static void
expect_zstd(const char *name, ZSTD_cParameter parameter, int value,
            const char *error, size_t n)
{
    ZSTD_CCtx *z = ZSTD_createCCtx();
    size_t room = ZSTD_compressBound(n), len;
    uint8_t *plain = calloc(n, 1), *packed = malloc(room);

    need(z != NULL && plain != NULL && packed != NULL);
    need(!ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1)));
    need(!ZSTD_isError(ZSTD_CCtx_setParameter(z, parameter, value)));
    len = ZSTD_compress2(z, packed, room, plain, n);
    need(!ZSTD_isError(len));
    expect(name, packed, len, error);
    ZSTD_freeCCtx(z);
    free(plain);
    free(packed);
}

static void
test_headers(void)
{
    static const uint8_t magic[] = {0x28, 0xb5, 0x2f, 0xfd};
    static const struct {
        const char *name, *error;
        uint8_t rest[12]; /* descriptor, window, size, a last empty block */
    } cases[] = {
        {"a dictionary", "frame with a dictionary", {0x25, 0, 1, 1}},
        {"reserved bit", "reserved bits", {0x2c, 0, 1}},
        {"unused bit", "reserved bits", {0x34, 0, 1}},
        {"window of 8 MiB and an eighth", "window of more", {0x44, 0x69, 0, 0}},
        {"single segment of 8 MiB and a byte",
         "window of more",
         {0xa4, 1, 0, 0x80, 0}},
        {"reserved block type", "damaged block", {0x24, 0, 7, 0, 0}},
        {"block of 128 KiB and a byte",
         "damaged block",
         {0xa4, 0, 0, 4, 0, 9, 0, 0x10}},
        {"no block holds what the header says",
         "shorter than it says",
         {0x24, 200, 1, 0, 0, 0, 0, 0, 0}},
    };
    uint8_t frame[16];
    size_t i;

    for (i = 0; i < BS_LEN(cases); i++) {
        memcpy(frame, magic, 4);
        memcpy(frame + 4, cases[i].rest, 12);
        expect(cases[i].name, frame, sizeof frame, cases[i].error);
    }
    expect_zstd("no checksum", ZSTD_c_checksumFlag, 0, "without a checksum",
                100);
    expect_zstd("no content size", ZSTD_c_contentSizeFlag, 0,
                "without its content size", 1000);
    expect_zstd("a window of 16 MiB", ZSTD_c_windowLog, 24, "window of more",
                17 << 20);
}

/* A frame that claims 256 MiB and one byte, or goes on with empty blocks. */
static void
test_limits(void)
{
    static const uint8_t claim[] = {0x28, 0xb5, 0x2f, 0xfd, 0xc4, 0x38, 1,
                                    0,    0,    0x10, 0,    0,    0,    0};
    enum { LIMIT = 5 << 20, JSON = 64 + 128 + 128 }; /* head, record, end */
    struct bs_buf b = {0}, docs = {0};
    struct bs_err e = {0};
    struct summary s;
    char json[200];

    expect("a frame of more than the limit", claim, sizeof claim,
           "frame of 268435457 bytes is over the limit of 268435456");
    need(bs_buf_add(&b, claim, 4, &e) == 0 &&
         bs_buf_add(&b, "\x24\x01", 2, &e) == 0 &&
         bs_buf_fill(&b, 0, 300000, &e) == 0);
    expect("empty blocks without end", b.data, b.len,
           "longer than its content");
    b.len = 0;
    add_doc(&docs, HEAD, 0);
    snprintf(json, sizeof json,
             "{\"__metadata__\":{\"key\":\"a\"},\"x\":{\"dtype\":\"U8\","
             "\"shape\":[%d],\"data_offsets\":[0,%d]}}",
             LIMIT - JSON, LIMIT - JSON);
    add_doc(&docs, json, LIMIT - JSON);
    add_end(&docs, 1);
    need(docs.len == LIMIT);
    add_frame(&b, docs.data, docs.len);
    s = read_bytes(b.data, b.len, 0, LIMIT);
    ok(s.code == 0, "a frame of exactly the limit");
    s = read_bytes(b.data, b.len, 0, LIMIT - 1);
    ok(says(&s, BS_EX_DATA, "over the limit"), "a frame of one byte more");
    s = read_bytes(b.data, b.len, 0, 1);
    ok(says(&s, BS_EX_DATA, "over the limit of 4194304"),
       "no limit is less than 4 MiB");
    bs_buf_release(&b);
    bs_buf_release(&docs);
}

static void
test_skippable(void)
{
    static const char skip[] = "\x5f\x2a\x4d\x18\x05\0\0\0hello";
    struct bs_buf docs = {0}, b = {0};
    struct bs_err e = {0};
    struct summary s;
    uint32_t huge = 0xfffffff0;
    size_t head;

    add_doc(&docs, HEAD, 0);
    need(bs_buf_add(&b, skip, 13, &e) == 0);
    add_frame(&b, docs.data, docs.len);
    need(bs_buf_add(&b, skip, 13, &e) == 0);
    add_frame(&b, docs.data, 0);
    head = docs.len;
    add_end(&docs, 0);
    add_frame(&b, docs.data + head, docs.len - head);
    need(bs_buf_add(&b, skip, 13, &e) == 0);
    s = read_bytes(b.data, b.len, 0, 0);
    ok(s.code == 0 && s.ends == 1,
       "skippable and empty frames before, between and behind");
    s = read_bytes(b.data, b.len - 1, 0, 0);
    ok(says(&s, BS_EX_DATA, "truncated"), "a skippable frame that is cut");
    memcpy(b.data + b.len - 9, &huge, 4);
    s = read_bytes(b.data, b.len, 0, 0);
    ok(says(&s, BS_EX_DATA, "truncated"), "a skippable frame of 4 GiB, cut");
    bs_buf_release(&docs);
    bs_buf_release(&b);
}

/* What a frame claims must not cost memory before it came: read a claim of 1
 * GiB in a process that cannot have so much. */
static void
test_memory(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip("address space cannot be limited under a sanitizer");
#else
    /* 1 GiB; one last raw block of one byte; checksum */
    static const uint8_t claim[] = {0x28, 0xb5, 0x2f, 0xfd, 0xc4, 0x38, 0, 0,
                                    0,    0x40, 0,    0,    0,    0,    9, 0,
                                    0,    1,    0,    0,    0,    0};
    struct rlimit limit = {700 << 20, 700 << 20};
    struct summary s;
    int status;
    pid_t child;

    fflush(stdout);
    child = fork();
    need(child >= 0);
    if (child == 0) {
        need(setrlimit(RLIMIT_AS, &limit) == 0);
        s = read_bytes(claim, sizeof claim, 0, 0);
        _exit(says(&s, BS_EX_DATA, "shorter than it says") ? 0 : 1);
    }
    need(waitpid(child, &status, 0) == child);
    ok(status == 0, "a claim of 1 GiB takes no memory");
#endif
}

static void
test_aliens(void)
{
    static const struct {
        const char *bytes, *error;
    } cases[] = {
        {"P\0\0\0\0\0\0\0{\"x\":",
         "not a bs stream (uncompressed safetensors?)"},
        {"\x93NUMPY\1\0xxxxx", "not a bs stream (npy?)"},
        {"PK\3\4xxxxxxxxx", "not a bs stream (zip?)"},
        {"\x1f\x8b\x08xxxxxxxxxx", "not a bs stream (gzip?)"},
        {"url\tcaption\nxx", "not a bs stream (text?)"},
        {"(\xb5/x\1\1\1\1\1\1\1\1\1", "not a bs stream"},
    };
    uint8_t tar[600] = "photo.jpg";
    size_t i;

    for (i = 0; i < BS_LEN(cases); i++)
        expect(cases[i].error, (const uint8_t *)cases[i].bytes, 13,
               cases[i].error);
    memcpy(tar + 257, "ustar", 5);
    expect("a tar file", tar, sizeof tar, "not a bs stream (tar?)");
    expect("one byte", tar, 1, "not a bs stream");
}

/* tests/golden/make-bad-streams.py made them. */
static void
test_files(void)
{
    const char *src = getenv("BS_SRC");
    struct bs_buf bytes = {0};
    struct bs_err e = {0};
    char pattern[4096];
    glob_t found;
    size_t i;

    snprintf(pattern, sizeof pattern, "%s/tests/bad/stream-*.bs",
             src != NULL ? src : ".");
    need(glob(pattern, 0, NULL, &found) == 0);
    for (i = 0; i < found.gl_pathc; i++) {
        bytes.len = 0;
        need(bs_read_file(found.gl_pathv[i], 1 << 20, &bytes, &e) == 0);
        expect(strrchr(found.gl_pathv[i], '/') + 1, bytes.data, bytes.len, "");
    }
    globfree(&found);
    bs_buf_release(&bytes);
}

int
main(void)
{
    test_files();
    test_states();
    test_across();
    test_sizes();
    test_headers();
    test_limits();
    test_skippable();
    test_memory();
    test_aliens();
    return tap_done();
}
