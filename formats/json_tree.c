/*
 * json_tree.c - see json.h: what looks at a parsed text and writes it again.
 */
#include "formats/json.h"

/* ---- access -------------------------------------------------------------- */

const struct bs_json *
bs_json_get(const struct bs_json *v, const char *key)
{
    const struct bs_json *c;

    if (v == NULL || v->type != BS_JSON_OBJECT)
        return NULL;
    for (c = v->child; c != NULL; c = c->next)
        if (strcmp(c->key, key) == 0)
            return c;
    return NULL;
}

bool
bs_json_u64(const struct bs_json *v, uint64_t max, uint64_t *out)
{
    uint64_t n = 0;
    const char *s;

    if (v == NULL || v->type != BS_JSON_NUMBER)
        return false;
    for (s = v->text; *s != '\0'; s++)
        if (*s < '0' || *s > '9' || __builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*s - '0'), &n))
            return false;
    if (n > max)
        return false;
    *out = n;
    return true;
}

bool
bs_json_get_u64(const struct bs_json *v, const char *key, uint64_t max,
                uint64_t *out)
{
    return bs_json_u64(bs_json_get(v, key), max, out);
}

bool
bs_json_get_number(const struct bs_json *v, const char *key, double *out)
{
    const struct bs_json *c = bs_json_get(v, key);

    if (c == NULL || c->type != BS_JSON_NUMBER)
        return false;
    *out = c->number;
    return true;
}

const char *
bs_json_get_string(const struct bs_json *v, const char *key)
{
    const struct bs_json *c = bs_json_get(v, key);

    return c != NULL && c->type == BS_JSON_STRING ? c->text : NULL;
}

static int
by_key(const void *a, const void *b)
{
    const struct bs_json *const *x = a, *const *y = b;

    return strcmp((*x)->key, (*y)->key);
}

const struct bs_json **
bs_json_sorted(const struct bs_json *v)
{
    const struct bs_json **list = bs_alloc_array(v->count, sizeof *list), *c;
    size_t n = 0;

    if (list == NULL)
        return NULL;
    for (c = v->child; c != NULL; c = c->next)
        list[n++] = c;
    qsort(list, n, sizeof *list, by_key);
    return list;
}

/* ---- writing ------------------------------------------------------------- */

static int
quote_escaped(struct bs_buf *b, char c, struct bs_err *e)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *found = memchr(from, c, sizeof from - 1);

    if (found != NULL)
        return bs_buf_printf(b, e, "\\%c", to[found - from]);
    return bs_buf_printf(b, e, "\\u%04x", (unsigned)(unsigned char)c);
}

int
bs_json_quote(struct bs_buf *b, const char *s, struct bs_err *e)
{
    int r = bs_buf_add(b, "\"", 1, e);
    size_t left = strlen(s);

    while (r == 0 && left > 0) {
        const char *from = s;
        size_t n;

        /* what needs no escape goes in one piece */
        while (left > 0 && (unsigned char)*s >= 0x20 && *s != '"' &&
               *s != '\\') {
            n = bs_utf8_length(s, left);
            if (n == 0)
                return bs_err_set(e, BS_EX_DATA, "invalid UTF-8 in a string");
            s += n;
            left -= n;
        }
        r = bs_buf_add(b, from, (size_t)(s - from), e);
        if (r == 0 && left > 0) {
            r = quote_escaped(b, *s++, e);
            left--;
        }
    }
    return r < 0 ? r : bs_buf_add(b, "\"", 1, e);
}

static int
write_array(struct bs_buf *b, const struct bs_json *v, struct bs_err *e)
{
    int r = bs_buf_add(b, "[", 1, e);
    const struct bs_json *c;

    for (c = v->child; r == 0 && c != NULL; c = c->next) {
        if (c != v->child)
            r = bs_buf_add(b, ",", 1, e);
        if (r == 0)
            r = bs_json_write(b, c, e);
    }
    return r < 0 ? r : bs_buf_add(b, "]", 1, e);
}

static int
write_object(struct bs_buf *b, const struct bs_json *v, struct bs_err *e)
{
    const struct bs_json **list = bs_json_sorted(v);
    int r = list != NULL ? bs_buf_add(b, "{", 1, e)
                         : bs_err_memory(e, "JSON", v->count * sizeof *list);
    size_t i;

    for (i = 0; r == 0 && i < v->count; i++) {
        if (i > 0)
            r = bs_buf_add(b, ",", 1, e);
        if (r == 0)
            r = bs_json_quote(b, list[i]->key, e);
        if (r == 0)
            r = bs_buf_add(b, ":", 1, e);
        if (r == 0)
            r = bs_json_write(b, list[i], e);
    }
    bs_free(list);
    return r < 0 ? r : bs_buf_add(b, "}", 1, e);
}

int
bs_json_write(struct bs_buf *b, const struct bs_json *v, struct bs_err *e)
{
    switch (v->type) {
    case BS_JSON_NULL:
        return bs_buf_add(b, "null", 4, e);
    case BS_JSON_BOOL:
        return bs_buf_str(b, v->truth ? "true" : "false", e);
    case BS_JSON_NUMBER:
        return bs_buf_str(b, v->text, e);
    case BS_JSON_STRING:
        return bs_json_quote(b, v->text, e);
    case BS_JSON_ARRAY:
        return write_array(b, v, e);
    case BS_JSON_OBJECT:
        return write_object(b, v, e);
    }
    return bs_err_set(e, BS_EX_SOFTWARE, "no JSON type %d", (int)v->type);
}
