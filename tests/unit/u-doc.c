/*
 * u-doc.c - safetensors documents: what is accepted, what is refused, what is
 * written.
 */
#include "formats/doc.h"
#include "tests/unit/tap.h"

/* A document of this JSON, padded to `align`, and n bytes of data. */
static void
make(struct bs_buf *b, const char *json, size_t n, size_t align)
{
    size_t head = 8 + strlen(json);
    uint64_t len = BS_ROUND_UP(head, align) - 8;
    struct bs_err e = {0};

    b->len = 0;
    if (bs_buf_add(b, &len, 8, &e) < 0 || bs_buf_str(b, json, &e) < 0 ||
        bs_buf_fill(b, ' ', len + 8 - head, &e) < 0 ||
        bs_buf_fill(b, 3, n, &e) < 0)
        printf("Bail out! %s\n", e.text);
}

static int
parse(const char *json, size_t n, size_t align,
      const struct bs_doc_limits *limits, struct bs_err *e)
{
    struct bs_doc doc = {0};
    struct bs_buf b = {0};
    int r;

    *e = (struct bs_err){0};
    make(&b, json, n, align);
    r = bs_doc_parse(&doc, b.data, b.len, limits, e);
    bs_doc_release(&doc);
    bs_buf_release(&b);
    return r;
}

#define X(shape, from, to)                                                 \
    "\"x\":{\"dtype\":\"F16\",\"shape\":" shape ",\"data_offsets\":[" from \
    "," to "]}"

static void
test_bad(void)
{
    static const struct {
        const char *json;
        size_t bytes;
        const char *error;
    } cases[] = {
        {"{" X("[2]", "0", "4") "}", 3, "document is cut"},
        {"{" X("[2]", "0", "4") "}", 5, "1 bytes after the last tensor"},
        {"{" X("[2]", "0", "5") "}", 5, "tensor 'x': data_offsets do not fit"},
        {"{" X("[2]", "4", "0") "}", 4, "data_offsets do not fit"},
        {"{" X("[2]", "2", "6") "}", 6, "tensor 'x': data before it is unused"},
        {"{" X("[2]", "0", "4") ",\"y\":{\"dtype\":\"U8\",\"shape\":[2],"
                                "\"data_offsets\":[3,5]}}",
         5, "tensor 'y': overlaps"},
        {"{" X("[2]", "0", "4") ",\"y\":{\"dtype\":\"U8\",\"shape\":[2],"
                                "\"data_offsets\":[5,7]}}",
         7, "tensor 'y': data before it is unused"},
        {"{" X("[2]", "0", "4") "," X("[2]", "4", "8") "}", 8,
         "duplicate key 'x'"},
        {"{" X("[-2]", "0", "4") "}", 4, "dimension is not a plain integer"},
        {"{" X("[2.0]", "0", "4") "}", 4, "dimension is not a plain integer"},
        {"{" X("[2e0]", "0", "4") "}", 4, "dimension is not a plain integer"},
        {"{" X("[\"2\"]", "0", "4") "}", 4, "not a plain integer"},
        {"{" X("[281474976710657]", "0", "4") "}", 4, "not a plain integer"},
        {"{" X("[281474976710656,281474976710656]", "0", "4") "}", 4,
         "tensor 'x': too large"},
        {"{" X("[1,1,1,1,1,1,1,1,1]", "0", "2") "}", 2,
         "more than 8 dimensions"},
        {"{" X("2", "0", "4") "}", 4, "no shape"},
        {"{" X("[2]", "-0", "4") "}", 4, "data_offset is not a plain integer"},
        {"{\"x\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0]}}", 4,
         "no data_offsets"},
        {"{\"x\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4,4]}}",
         4, "no data_offsets"},
        {"{\"x\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4],"
         "\"a\":0}}",
         4, "wants exactly"},
        {"{\"x\":{\"dtype\":\"F16\",\"shape\":[2],\"offsets\":[0,4]}}", 4,
         "no data_offsets"},
        {"{\"x\":{\"dtype\":\"F15\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4,
         "type 'F15' is not known"},
        {"{\"x\":{\"dtype\":5,\"shape\":[2],\"data_offsets\":[0,4]}}", 4,
         "no dtype"},
        {"{\"x\":[]}", 0, "tensor 'x': not an object"},
        {"{\"__metadata__\":[]}", 0, "__metadata__ is not an object"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "metadata 'a' is no string"},
        {"{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", 0, "duplicate key 'a'"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "duplicate key"},
        {" {}", 0, "header is no JSON object"},
        {"{}x", 0, "header: byte 2: text after the value"},
    };
    struct bs_err e;
    size_t i;

    for (i = 0; i < BS_LEN(cases); i++) {
        int r = parse(cases[i].json, cases[i].bytes, BS_ALIGN,
                      &bs_doc_limits_record, &e);

        if (!ok(r == -BS_EX_DATA && strstr(e.text, cases[i].error) != NULL,
                "refused: %s", cases[i].error))
            printf("# %d '%s'\n", r, e.text);
    }
}

static void
test_good(void)
{
    static const struct {
        const char *json;
        size_t bytes;
    } cases[] = {
        {"{}", 0},
        {"{\"__metadata__\":{}}", 0},
        {"{\"__metadata__\":{\"key\":\"a\"}}", 0},
        {"{" X("[2]", "0", "4") "}", 4},
        {"{" X("[]", "0", "2") "}", 2},
        {"{" X("[0]", "0", "0") "}", 0},
        {"{" X("[281474976710656,281474976710656,281474976710656,0]", "0",
               "0") "}",
         0},
        {"{" X("[1,1,1,1,1,1,1,1]", "0", "2") "}", 2},
        {"{\"y\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[4,5]},"
         "\"z\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[4,4]},"
         "\"__metadata__\":{\"key\":\"a\"}," X("[2]", "0", "4") "}",
         5},
    };
    struct bs_err e;
    size_t i;

    for (i = 0; i < BS_LEN(cases); i++) {
        int r = parse(cases[i].json, cases[i].bytes, BS_ALIGN,
                      &bs_doc_limits_record, &e);

        /* a product that overflows is no tensor, even with a 0 in it */
        if (i == 6)
            ok(r == -BS_EX_DATA, "refused: %s", e.text);
        else if (!ok(r == 0, "taken: %s", cases[i].json))
            printf("# %s\n", e.text);
    }
}

/* Alignment is asked for in streams and not in files. */
static void
test_align(void)
{
    static const char two[] =
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
        "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[1,5]}}";
    struct bs_err e;

    ok(parse("{}", 0, 8, &bs_doc_limits_record, &e) == -BS_EX_DATA &&
           strstr(e.text, "multiple of 64") != NULL,
       "a record's data at a multiple of 8");
    ok(parse("{}", 0, 8, &bs_doc_limits_file, &e) == 0, "a file's");
    ok(parse("{ }", 0, 1, &bs_doc_limits_file, &e) == 0,
       "a file's at any byte");
    ok(parse(two, 5, BS_ALIGN, &bs_doc_limits_record, &e) == -BS_EX_DATA &&
           strstr(e.text, "tensor 'b': data is not aligned") != NULL,
       "a record's tensor between its elements");
    ok(parse(two, 5, 8, &bs_doc_limits_file, &e) == 0, "a file's");
}

/* ---- limits -------------------------------------------------------------- */

/* n tensors of no bytes, the names of width digits; or n metadata entries. */
static int
parse_many(unsigned n, int width, bool meta)
{
    struct bs_buf json = {0};
    struct bs_err e = {0};
    unsigned i;
    int r = bs_buf_str(&json, meta ? "{\"__metadata__\":{" : "{", &e);

    for (i = 0; r == 0 && i < n; i++)
        r = bs_buf_printf(&json, &e,
                          meta ? "%s\"%0*u\":\"\""
                               : "%s\"%0*u\":{\"dtype\":\"U8\",\"shape\":[0],"
                                 "\"data_offsets\":[0,0]}",
                          i > 0 ? "," : "", width, i);
    if (r == 0)
        r = bs_buf_add(&json, meta ? "}}" : "}", meta ? 3 : 2, &e);
    if (r == 0)
        r = parse((const char *)json.data, 0, BS_ALIGN, &bs_doc_limits_head,
                  &e);
    bs_buf_release(&json);
    return r;
}

static void
test_limits(void)
{
    static const char big[] = "{\"x\":{\"dtype\":\"U8\",\"shape\":[%llu],"
                              "\"data_offsets\":[0,%llu]}}";
    unsigned long long n;
    struct bs_buf b = {0};
    struct bs_err e = {0};
    char json[200];
    size_t used;
    int over;

    ok(parse_many(256, 1, false) == 0, "256 tensors");
    ok(parse_many(257, 1, false) == -BS_EX_DATA, "257 tensors");
    ok(parse_many(1, 128, false) == 0, "a name of 128 bytes");
    ok(parse_many(1, 129, false) == -BS_EX_DATA, "a name of 129 bytes");
    ok(parse_many(65536, 1, true) == 0, "65536 metadata entries");
    ok(parse_many(65537, 1, true) == -BS_EX_DATA, "65537 metadata entries");
    for (over = 0; over < 2; over++) {
        n = (1 << 30) - 128 + (unsigned)over;
        snprintf(json, sizeof json, big, n, n);
        make(&b, json, 0, 128);
        ok(bs_doc_measure(b.data, b.len, &bs_doc_limits_record, &used, &e) ==
               (over ? -BS_EX_DATA : 1),
           "a document of 1 GiB%s", over ? " and a byte" : "");
    }
    ok(bs_doc_measure(b.data, 7, &bs_doc_limits_file, &used, &e) == 0 &&
           used == 8,
       "7 bytes are too few to measure");
    ok(bs_doc_measure(b.data, 20, &bs_doc_limits_file, &used, &e) == 0 &&
           used == b.len,
       "20 bytes ask for the JSON");
    bs_buf_release(&b);
}

/* A model with many tensors. */
static void
test_many(void)
{
    struct bs_buf json = {0};
    struct bs_err e = {0};
    unsigned i, n = 20000;
    int r = bs_buf_str(&json, "{", &e);

    for (i = 0; r == 0 && i < n; i++)
        r = bs_buf_printf(&json, &e,
                          "%s\"layer.%u\":{\"dtype\":\"F32\",\"shape\":[1],"
                          "\"data_offsets\":[%u,%u]}",
                          i > 0 ? "," : "", i, (n - i - 1) * 4, (n - i) * 4);
    if (r == 0)
        r = bs_buf_add(&json, "}", 2, &e);
    if (r == 0)
        r = parse((const char *)json.data, (size_t)n * 4, 8,
                  &bs_doc_limits_file, &e);
    ok(r == 0, "20,000 tensors in the order of their data backwards");
    bs_buf_release(&json);
}

/* ---- building ------------------------------------------------------------ */

static void
test_build(void)
{
    static const uint8_t bytes[3] = {1, 2, 3};
    static const float floats[2] = {1, 2};
    static const char want[] =
        "{\"__metadata__\":{\"a\":\"2\",\"b\":\"\\\"\",\"c\":\"x7\"},"
        "\"f\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
        "\"b\":{\"dtype\":\"U8\",\"shape\":[3,1],\"data_offsets\":[8,11]}}";
    const uint64_t shape[2] = {3, 1}, two = 2;
    struct bs_doc doc = {0}, again = {0};
    struct bs_buf out = {0};
    struct bs_err e = {0};
    uint64_t json;

    ok(bs_doc_set(&doc, "b", "\"", &e) == 0 &&
           bs_doc_set(&doc, "a", "1", &e) == 0 &&
           bs_doc_set(&doc, "d", "1", &e) == 0 &&
           bs_doc_setf(&doc, "c", &e, "x%d", 7) == 0 &&
           bs_doc_set(&doc, "a", "2", &e) == 0 &&
           bs_doc_set(&doc, "d", NULL, &e) == 0 &&
           bs_doc_set(&doc, "none", NULL, &e) == 0 &&
           bs_doc_put(&doc, "b", BS_DTYPE_U8, 1, &two, bytes, &e) == 0 &&
           bs_doc_put(&doc, "f", BS_DTYPE_F32, 1, &two, floats, &e) == 0 &&
           bs_doc_put(&doc, "b", BS_DTYPE_U8, 2, shape, bytes, &e) == 0,
       "built");
    ok(bs_doc_write(&doc, &out, &e) == 0, "written");
    memcpy(&json, out.data, 8);
    ok((8 + json) % BS_ALIGN == 0 && out.len == 8 + json + 11 &&
           memcmp(out.data + 8, want, sizeof want - 1) == 0 &&
           memcmp(out.data + 8 + json, floats, 8) == 0 &&
           memcmp(out.data + 8 + json + 8, bytes, 3) == 0,
       "sorted, padded, largest elements first");
    ok(bs_doc_parse(&again, out.data, out.len, &bs_doc_limits_record, &e) == 0,
       "parsed again");
    ok(strcmp(bs_doc_meta(&again, "b"), "\"") == 0 &&
           bs_doc_meta(&again, "d") == NULL &&
           bs_doc_tensor(&again, "b")->shape[0] == 3 &&
           bs_doc_tensor(&again, "x") == NULL &&
           memcmp(bs_doc_tensor(&again, "f")->data, floats, 8) == 0,
       "the same content");
    ok(bs_doc_set(&again, "a", "changed", &e) == 0 &&
           bs_doc_set(&again, "new", "1", &e) == 0 && again.metas == 4 &&
           strcmp(again.meta[3].name, "new") == 0,
       "a parsed document can be changed");
    ok(bs_doc_set(&doc, "x", "\xff", &e) == -BS_EX_DATA &&
           strcmp(e.text, "metadata 'x': invalid UTF-8") == 0,
       "metadata is UTF-8");
    e = (struct bs_err){0};
    ok(bs_doc_put(&doc, "__metadata__", BS_DTYPE_U8, 1, &two, bytes, &e) ==
           -BS_EX_SOFTWARE,
       "no tensor is called __metadata__");
    bs_doc_release(&doc);
    bs_doc_release(&again);
    bs_buf_release(&out);
}

static void
test_keys(void)
{
    static const char *const good[] = {"a", "a/b", "A-Z_0/9", "-", "a/b/c"};
    static const char *const bad[] = {"",     "/",           "/a",  "a/",
                                      "a//b", "a.b",         "a b", "a\n",
                                      "..",   "caf\303\251", "a\\b"};
    char key[202];
    size_t i;

    for (i = 0; i < BS_LEN(good); i++)
        ok(bs_key_valid(good[i]), "a key: %s", good[i]);
    for (i = 0; i < BS_LEN(bad); i++)
        ok(!bs_key_valid(bad[i]), "no key: case %zu", i);
    memset(key, 'k', sizeof key);
    key[201] = '\0';
    ok(!bs_key_valid(key), "201 bytes");
    key[200] = '\0';
    ok(bs_key_valid(key), "200 bytes");
}

int
main(void)
{
    test_bad();
    test_good();
    test_align();
    test_limits();
    test_many();
    test_build();
    test_keys();
    return tap_done();
}
