/*
 * json.c - see json.h.  Recursive descent to a fixed depth; time is linear but
 * for the check of duplicate keys, which sorts the keys of a large object.
 */
#include "formats/json.h"

#include "formats/arena.h"
#include "formats/utf8.h"

enum { FEW_KEYS = 8, EXACT_DIGITS = 15 };

struct bs_json_doc {
    struct bs_arena arena;
    struct bs_json *root;
};

struct parser {
    const char *text;
    size_t at, len;
    size_t values; /* that may still come */
    unsigned flags;
    unsigned depth;
    struct bs_arena *arena;
    struct bs_err *e;
};

static int parse_value(struct parser *p, struct bs_json *v);

static int
fail(struct parser *p, const char *what)
{
    return bs_err_set(p->e, BS_EX_DATA, "byte %zu: %s", p->at, what);
}

static void *
take(struct parser *p, size_t bytes)
{
    void *memory = bs_arena_alloc(p->arena, bytes);

    if (memory == NULL)
        bs_err_memory(p->e, "JSON", bytes);
    return memory;
}

/* The byte at the cursor, or -1 at the end. */
static int
peek(const struct parser *p)
{
    return p->at < p->len ? (unsigned char)p->text[p->at] : -1;
}

static void
skip_space(struct parser *p)
{
    while (p->at < p->len) {
        char c = p->text[p->at];

        if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
            return;
        p->at++;
    }
}

/* ---- strings ------------------------------------------------------------- */

/* Four hexadecimal digits; -1 if they are not there. */
static int32_t
hex4(struct parser *p)
{
    int32_t v = 0;
    int i;

    if (p->len - p->at < 4)
        return -1;
    for (i = 0; i < 4; i++) {
        char c = p->text[p->at + (size_t)i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;

        if (digit < 0)
            return -1;
        v = v * 16 + digit;
    }
    p->at += 4;
    return v;
}

/* After "\u": one code point, of a surrogate pair both halves. */
static int
parse_unicode(struct parser *p, char **out)
{
    int32_t high = hex4(p), low;

    if (high < 0)
        return fail(p, "wrong \\u escape");
    if (high == 0)
        return fail(p, "NUL in a string");
    if (high >= 0xdc00 && high < 0xe000)
        return fail(p, "lone surrogate");
    if (high >= 0xd800 && high < 0xdc00) {
        if (p->len - p->at < 2 || memcmp(p->text + p->at, "\\u", 2) != 0)
            return fail(p, "lone surrogate");
        p->at += 2;
        low = hex4(p);
        if (low < 0xdc00 || low >= 0xe000)
            return fail(p, "lone surrogate");
        high = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    }
    *out += bs_utf8_put(*out, (uint32_t)high);
    return 0;
}

static int
parse_escape(struct parser *p, char **out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    int c = peek(p);
    const char *found;

    if (c == 'u') {
        p->at++;
        return parse_unicode(p, out);
    }
    found = c > 0 ? memchr(from, c, sizeof from - 1) : NULL;
    if (found == NULL)
        return fail(p, "wrong escape");
    *(*out)++ = to[found - from];
    p->at++;
    return 0;
}

/* Where the string that starts at the cursor may end: at the first quote that
 * no backslash escapes.  Bounds the memory for it. */
static size_t
string_end(const struct parser *p)
{
    size_t i = p->at;

    while (i < p->len && p->text[i] != '"')
        i += p->text[i] == '\\' ? 2 : 1;
    return i;
}

/* After the opening quote.  No escape is shorter than what it stands for. */
static int
parse_string(struct parser *p, const char **text)
{
    size_t end = string_end(p);
    char *out;
    int r = 0;

    if (end >= p->len) {
        p->at = p->len;
        return fail(p, "string without an end");
    }
    out = take(p, end - p->at + 1);
    if (out == NULL)
        return -BS_EX_OSERR;
    *text = out;
    while (r == 0 && p->at < end) {
        unsigned char c = (unsigned char)p->text[p->at];

        if (c == '\\') {
            p->at++;
            r = parse_escape(p, &out);
        } else if (c < 0x20) {
            r = fail(p, c == 0 ? "NUL in a string"
                               : "control character in a string");
        } else if (c < 0x80) {
            *out++ = (char)c;
            p->at++;
        } else {
            size_t n = bs_utf8_length(p->text + p->at, end - p->at);

            if (n == 0)
                return fail(p, "invalid UTF-8");
            memcpy(out, p->text + p->at, n);
            out += n;
            p->at += n;
        }
    }
    *out = '\0';
    p->at = end + 1;
    return r;
}

/* ---- numbers and words --------------------------------------------------- */

static size_t
skip_digits(struct parser *p)
{
    size_t from = p->at;

    while (p->at < p->len && p->text[p->at] >= '0' && p->text[p->at] <= '9')
        p->at++;
    return p->at - from;
}

/* Passes over a number; false where it is not spelled as RFC 8259 asks. */
static bool
scan_number(struct parser *p, bool *integer)
{
    size_t first;

    *integer = true;
    if (peek(p) == '-')
        p->at++;
    first = p->at;
    if (skip_digits(p) == 0)
        return false;
    if (p->text[first] == '0' && p->at - first > 1)
        return false;
    if (peek(p) == '.') {
        *integer = false;
        p->at++;
        if (skip_digits(p) == 0)
            return false;
    }
    if (peek(p) == 'e' || peek(p) == 'E') {
        *integer = false;
        p->at++;
        if (peek(p) == '+' || peek(p) == '-')
            p->at++;
        if (skip_digits(p) == 0)
            return false;
    }
    return true;
}

static double
small_integer(const char *s)
{
    bool minus = *s == '-';
    double v = 0;

    for (s += minus; *s != '\0'; s++)
        v = v * 10 + (*s - '0');
    return minus ? -v : v;
}

static int
parse_number(struct parser *p, struct bs_json *v)
{
    size_t from = p->at;
    char *spelled;
    bool integer;

    if (!scan_number(p, &integer))
        return fail(p, "not a number");
    spelled = bs_arena_text(p->arena, p->text + from, p->at - from);
    if (spelled == NULL)
        return bs_err_memory(p->e, "JSON", p->at - from);
    v->type = BS_JSON_NUMBER;
    v->text = spelled;
    v->number = integer && p->at - from <= EXACT_DIGITS ? small_integer(spelled)
                                                        : strtod(spelled, NULL);
    if (!(v->number - v->number == 0) && !(p->flags & BS_JSON_NONFINITE)) {
        p->at = from;
        return fail(p, "number too large");
    }
    return 0;
}

static int
parse_word(struct parser *p, struct bs_json *v)
{
    static const struct {
        const char *word;
        enum bs_json_type type;
        bool truth;
        double number;
        unsigned flag;
    } words[] = {
        {"null", BS_JSON_NULL, false, 0, 0},
        {"true", BS_JSON_BOOL, true, 0, 0},
        {"false", BS_JSON_BOOL, false, 0, 0},
        {"NaN", BS_JSON_NUMBER, false, __builtin_nan(""), BS_JSON_NONFINITE},
        {"Infinity", BS_JSON_NUMBER, false, __builtin_inf(), BS_JSON_NONFINITE},
        {"-Infinity", BS_JSON_NUMBER, false, -__builtin_inf(),
         BS_JSON_NONFINITE},
    };
    size_t i, n;

    for (i = 0; i < BS_LEN(words); i++) {
        n = strlen(words[i].word);
        if (p->len - p->at < n ||
            memcmp(p->text + p->at, words[i].word, n) != 0 ||
            (words[i].flag & p->flags) != words[i].flag)
            continue;
        v->type = words[i].type;
        v->truth = words[i].truth;
        v->number = words[i].number;
        v->text = v->type == BS_JSON_NUMBER ? words[i].word : NULL;
        p->at += n;
        return 0;
    }
    return peek(p) == '-' ? parse_number(p, v) : fail(p, "not a JSON value");
}

/* ---- arrays and objects -------------------------------------------------- */

/* A key that v has twice, or NULL. */
static const char *
twice_of_few(const struct bs_json *v)
{
    const struct bs_json *a, *b;

    for (a = v->child; a != NULL; a = a->next)
        for (b = a->next; b != NULL; b = b->next)
            if (strcmp(a->key, b->key) == 0)
                return a->key;
    return NULL;
}

static const char *
twice_of_many(const struct bs_json *const *sorted, size_t n)
{
    size_t i;

    for (i = 1; i < n; i++)
        if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
            return sorted[i]->key;
    return NULL;
}

/* The cursor is at the object's end. */
static int
check_keys(struct parser *p, const struct bs_json *v)
{
    const struct bs_json **list;
    const char *twice;

    if (v->count <= FEW_KEYS) {
        twice = twice_of_few(v);
    } else {
        list = bs_json_sorted(v);
        if (list == NULL)
            return bs_err_memory(p->e, "JSON", v->count * sizeof *list);
        twice = twice_of_many(list, v->count);
        bs_free(list);
    }
    if (twice == NULL)
        return 0;
    return bs_err_set(p->e, BS_EX_DATA, "byte %zu: duplicate key '%.128s'",
                      p->at, twice);
}

static int
parse_key(struct parser *p, const char **key)
{
    int r;

    if (peek(p) != '"')
        return fail(p, "no key");
    p->at++;
    r = parse_string(p, key);
    if (r < 0)
        return r;
    skip_space(p);
    if (peek(p) != ':')
        return fail(p, "no ':' after a key");
    p->at++;
    skip_space(p);
    return 0;
}

/* One member of v, appended at *tail. */
static int
parse_member(struct parser *p, struct bs_json *v, struct bs_json ***tail)
{
    struct bs_json *child = take(p, sizeof *child);
    int r = 0;

    if (child == NULL)
        return -BS_EX_OSERR;
    *child = (struct bs_json){0};
    if (v->type == BS_JSON_OBJECT)
        r = parse_key(p, &child->key);
    if (r == 0)
        r = parse_value(p, child);
    if (r < 0)
        return r;
    **tail = child;
    *tail = &child->next;
    v->count++;
    skip_space(p);
    return 0;
}

/* After the opening bracket. */
static int
parse_members(struct parser *p, struct bs_json *v, int close)
{
    struct bs_json **tail = &v->child;
    int r;

    if (p->depth == BS_JSON_DEPTH)
        return fail(p, "nested too deeply");
    p->depth++;
    skip_space(p);
    if (peek(p) != close) {
        for (;;) {
            r = parse_member(p, v, &tail);
            if (r < 0)
                return r;
            if (peek(p) != ',')
                break;
            p->at++;
            skip_space(p);
        }
        if (peek(p) != close)
            return fail(p, close == ']' ? "no ',' or ']' in an array"
                                        : "no ',' or '}' in an object");
    }
    p->depth--;
    r = v->type == BS_JSON_OBJECT ? check_keys(p, v) : 0;
    p->at++;
    return r;
}

static int
parse_value(struct parser *p, struct bs_json *v)
{
    int c = peek(p);

    if (p->values == 0)
        return fail(p, "too many values");
    p->values--;
    if (c == '"') {
        p->at++;
        v->type = BS_JSON_STRING;
        return parse_string(p, &v->text);
    }
    if (c == '{' || c == '[') {
        p->at++;
        v->type = c == '{' ? BS_JSON_OBJECT : BS_JSON_ARRAY;
        return parse_members(p, v, c == '{' ? '}' : ']');
    }
    if (c >= '0' && c <= '9')
        return parse_number(p, v);
    if (c < 0)
        return fail(p, "text ends early");
    return parse_word(p, v);
}

int
bs_json_parse_max(struct bs_json_doc **doc, const char *text, size_t len,
                  unsigned flags, size_t values, struct bs_err *e)
{
    struct bs_json_doc *d = bs_alloc_array(1, sizeof *d);
    struct parser p = {
        .text = text, .len = len, .values = values, .flags = flags, .e = e};
    int r;

    *doc = NULL;
    if (d == NULL)
        return bs_err_memory(e, "JSON", sizeof *d);
    p.arena = &d->arena;
    d->root = take(&p, sizeof *d->root);
    if (d->root == NULL) {
        bs_json_free(d);
        return -BS_EX_OSERR;
    }
    *d->root = (struct bs_json){0};
    skip_space(&p);
    r = parse_value(&p, d->root);
    if (r == 0) {
        skip_space(&p);
        if (p.at < p.len)
            r = fail(&p, "text after the value");
    }
    if (r < 0)
        bs_json_free(d);
    else
        *doc = d;
    return r;
}

int
bs_json_parse(struct bs_json_doc **doc, const char *text, size_t len,
              unsigned flags, struct bs_err *e)
{
    return bs_json_parse_max(doc, text, len, flags, SIZE_MAX, e);
}

const struct bs_json *
bs_json_root(const struct bs_json_doc *doc)
{
    return doc->root;
}

void
bs_json_free(struct bs_json_doc *doc)
{
    if (doc == NULL)
        return;
    bs_arena_release(&doc->arena);
    bs_free(doc);
}
