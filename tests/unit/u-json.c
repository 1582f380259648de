/*
 * u-json.c - the JSON reader and writer.
 */
#include "formats/json.h"
#include "tests/unit/tap.h"

/* Parse, write again; the text, or the error, is in `out`. */
static int
canonical(const char *text, size_t len, unsigned flags, char *out, size_t room)
{
    struct bs_json_doc *doc;
    struct bs_buf b = {0};
    struct bs_err e = {0};
    int r = bs_json_parse(&doc, text, len, flags, &e);

    if (r == 0)
        r = bs_json_write(&b, bs_json_root(doc), &e);
    if (r == 0)
        snprintf(out, room, "%.*s", (int)b.len, (const char *)b.data);
    else
        snprintf(out, room, "%s", e.text);
    bs_json_free(doc);
    bs_buf_release(&b);
    return r;
}

static void
test_good(void)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"null", "null"},
        {" true ", "true"},
        {"\t[\r\n1 , 2]", "[1,2]"},
        {"{\"b\":1,\"a\":{}}", "{\"a\":{},\"b\":1}"},
        {"[]", "[]"},
        {"-0", "-0"},
        {"1.50e+10", "1.50e+10"},
        {"123456789012345678901234567890", "123456789012345678901234567890"},
        {"\"\"", "\"\""},
        {"\"a\\u0041\\n\\/\"", "\"aA\\n/\""},
        {"\"\\u00e9\\u20ac\\ud83d\\ude00\"",
         "\"\303\251\342\202\254\360\237\230\200\""},
        {"\"\\u001f\\\\\\\"\"", "\"\\u001f\\\\\\\"\""},
        {"{\"\":0}", "{\"\":0}"},
    };
    char out[600];
    size_t i;

    for (i = 0; i < BS_LEN(cases); i++) {
        int r =
            canonical(cases[i].text, strlen(cases[i].text), 0, out, sizeof out);

        ok(r == 0 && strcmp(out, cases[i].want) == 0, "%s", cases[i].want);
    }
}

static void
test_bad(void)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", "byte 0: text ends early"},
        {"  ", "byte 2: text ends early"},
        {"[1,]", "byte 3: not a JSON value"},
        {"[1 2]", "byte 3: no ',' or ']' in an array"},
        {"[1", "byte 2: no ',' or ']' in an array"},
        {"{\"a\"}", "byte 4: no ':' after a key"},
        {"{a:1}", "byte 1: no key"},
        {"{\"a\":1,}", "byte 7: no key"},
        {"{\"a\":1]", "byte 6: no ',' or '}' in an object"},
        {"1 2", "byte 2: text after the value"},
        {"01", "not a number"},
        {"-", "not a number"},
        {"1.", "not a number"},
        {".5", "not a JSON value"},
        {"1e", "not a number"},
        {"+1", "not a JSON value"},
        {"1e999", "byte 0: number too large"},
        {"NaN", "not a JSON value"},
        {"-Infinity", "not a number"},
        {"nul", "not a JSON value"},
        {"'a'", "not a JSON value"},
        {"\"a", "string without an end"},
        {"\"a\\", "string without an end"},
        {"\"\\x\"", "wrong escape"},
        {"\"\\u12\"", "wrong \\u escape"},
        {"\"\\u0000\"", "NUL in a string"},
        {"\"\\ud800\"", "lone surrogate"},
        {"\"\\ud800\\u0041\"", "lone surrogate"},
        {"\"\\udc00\"", "lone surrogate"},
        {"\"\n\"", "control character in a string"},
        {"\"\xff\"", "invalid UTF-8"},
        {"\"\xc0\x80\"", "invalid UTF-8"},
        {"\"\xed\xa0\x80\"", "invalid UTF-8"},
        {"\"\xf4\x90\x80\x80\"", "invalid UTF-8"},
        {"\"\xe2\x82\"", "invalid UTF-8"},
        {"{\"a\":1,\"b\":2,\"a\":3}", "duplicate key 'a'"},
        {"{\"a\":1,\"\\u0061\":2}", "duplicate key 'a'"},
        {"[{\"a\":{\"b\":1,\"b\":1}}]", "duplicate key 'b'"},
        {"{\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0,\"h\":0,"
         "\"i\":0,\"d\":0}",
         "duplicate key 'd'"},
        {"/**/1", "not a JSON value"},
        {"\xef\xbb\xbf{}", "byte 0: not a JSON value"},
    };
    char out[600];
    size_t i;

    for (i = 0; i < BS_LEN(cases); i++) {
        int r =
            canonical(cases[i].text, strlen(cases[i].text), 0, out, sizeof out);

        if (!ok(r == -BS_EX_DATA && strstr(out, cases[i].want) != NULL,
                "refused %zu: %s", i, cases[i].want))
            printf("# %d '%s'\n", r, out);
    }
    ok(canonical("\"a\0b\"", 5, 0, out, sizeof out) == -BS_EX_DATA,
       "a NUL byte in a string");
}

static void
test_nonfinite(void)
{
    static const char text[] = "[NaN,Infinity,-Infinity,1e999,-1]";
    struct bs_json_doc *doc;
    struct bs_err e = {0};
    const struct bs_json *c;
    char out[600];

    ok(canonical(text, strlen(text), BS_JSON_NONFINITE, out, sizeof out) == 0 &&
           strcmp(out, text) == 0,
       "NaN and infinities where they are allowed");
    ok(bs_json_parse(&doc, text, strlen(text), BS_JSON_NONFINITE, &e) == 0,
       "parsed");
    c = bs_json_root(doc)->child;
    ok(c->number != c->number && c->next->number > 1e308 &&
           c->next->next->number < -1e308 &&
           c->next->next->next->number > 1e308 &&
           c->next->next->next->next->number == -1,
       "their values");
    bs_json_free(doc);
}

static void
test_depth(void)
{
    char text[2 * BS_JSON_DEPTH + 2], out[600];
    int over, r;

    for (over = 0; over < 2; over++) {
        size_t n = BS_JSON_DEPTH + (size_t)over;

        memset(text, '[', n);
        memset(text + n, ']', n);
        r = canonical(text, 2 * n, 0, out, sizeof out);
        ok(over ? r == -BS_EX_DATA && strstr(out, "nested too deeply") != NULL
                : r == 0,
           "depth %zu", n);
    }
}

static void
test_values(void)
{
    struct bs_json_doc *doc;
    struct bs_err e = {0};

    ok(bs_json_parse_max(&doc, "[1,2]", 5, 0, 3, &e) == 0, "3 values of 3");
    bs_json_free(doc);
    ok(bs_json_parse_max(&doc, "[1,2]", 5, 0, 2, &e) == -BS_EX_DATA &&
           doc == NULL,
       "3 values of 2: %s", e.text);
}

static void
test_access(void)
{
    static const char text[] =
        "{\"n\":18446744073709551615,\"s\":\"x\",\"d\":-1.5,\"z\":1.0,"
        "\"o\":18446744073709551616,\"m\":-0}";
    struct bs_json_doc *doc;
    const struct bs_json *root;
    struct bs_err e = {0};
    uint64_t n = 0;
    double d = 0;

    ok(bs_json_parse(&doc, text, strlen(text), 0, &e) == 0, "parsed");
    root = bs_json_root(doc);
    ok(root->count == 6, "six members");
    ok(bs_json_get_u64(root, "n", UINT64_MAX, &n) && n == UINT64_MAX,
       "the largest integer");
    ok(!bs_json_get_u64(root, "n", 5, &n), "more than the maximum");
    ok(!bs_json_get_u64(root, "o", UINT64_MAX, &n), "one more than it");
    ok(!bs_json_get_u64(root, "z", 9, &n) &&
           !bs_json_get_u64(root, "m", 9, &n) &&
           !bs_json_get_u64(root, "s", 9, &n) &&
           !bs_json_get_u64(root, "none", 9, &n),
       "what is no plain integer");
    ok(bs_json_get_number(root, "d", &d) && d == -1.5 &&
           !bs_json_get_number(root, "s", &d),
       "a number");
    ok(strcmp(bs_json_get_string(root, "s"), "x") == 0 &&
           bs_json_get_string(root, "d") == NULL &&
           bs_json_get(root->child, "x") == NULL &&
           bs_json_get(NULL, "x") == NULL,
       "a string");
    bs_json_free(doc);
}

/* A vocabulary: time must not grow with the square. */
static void
test_large(void)
{
    struct bs_buf b = {0};
    struct bs_json_doc *doc;
    struct bs_err e = {0};
    unsigned i, n = 200000;
    int r = bs_buf_str(&b, "{", &e);

    for (i = 0; r == 0 && i < n; i++)
        r = bs_buf_printf(&b, &e, "%s\"token%u\":%u", i > 0 ? "," : "", i, i);
    if (r == 0)
        r = bs_buf_str(&b, "}", &e);
    if (r == 0)
        r = bs_json_parse(&doc, (const char *)b.data, b.len, 0, &e);
    ok(r == 0 && bs_json_root(doc)->count == n, "an object of 200,000 members");
    bs_json_free(r == 0 ? doc : NULL);
    bs_buf_release(&b);
}

static void
test_quote(void)
{
    struct bs_buf b = {0};
    struct bs_err e = {0};

    ok(bs_json_quote(&b, "a\"\\\b\f\n\r\t\1\x7f\303\251", &e) == 0 &&
           b.len == 26 &&
           memcmp(b.data, "\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\x7f\303\251\"",
                  26) == 0,
       "quoted");
    ok(bs_json_quote(&b, "a\xff", &e) == -BS_EX_DATA, "not UTF-8");
    bs_buf_release(&b);
}

int
main(void)
{
    test_good();
    test_bad();
    test_nonfinite();
    test_depth();
    test_values();
    test_access();
    test_large();
    test_quote();
    return tap_done();
}
