/*
 * keys.c - see keys.h.
 */
#include "cmd/models/keys.h"

#include <strings.h>

#include "formats/digest.h"
#include "formats/json.h"
#include "formats/stream.h"

size_t
bs_stem_length(const char *path)
{
    static const char *const known[] = {
        "jpg", "jpeg", "jpe",  "jfif", "png",  "apng", "webp", "gif",
        "bmp", "tif",  "tiff", "avif", "heic", "heif", "jxl",  "jp2"};
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    size_t i;

    if (dot == NULL || dot <= name)
        return strlen(path);
    for (i = 0; i < BS_LEN(known); i++)
        if (strcasecmp(dot + 1, known[i]) == 0)
            return (size_t)(dot - path);
    return strlen(path);
}

bool
bs_is_picture_name(const char *path)
{
    return path[bs_stem_length(path)] == '.';
}

static bool
is_key_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* Append the component of n bytes at s to the key of *len bytes. */
static void
add_component(char *key, size_t *len, size_t start, const char *s, size_t n)
{
    size_t i;

    if (n == 0 || (n == 1 && *s == '.'))
        return;
    if (*len > start)
        key[(*len)++] = '/';
    for (i = 0; i < n; i++)
        key[(*len)++] = is_key_byte(s[i]) ? s[i] : '_';
}

/* Write the key of a name to `key`, which has room for it; its length. */
static size_t
safe_key(char *key, const char *prefix, const char *name, size_t len)
{
    size_t start = strlen(prefix), n = start, from = 0, i;

    memcpy(key, prefix, start);
    for (i = 0; i <= len; i++) {
        if (i < len && name[i] != '/')
            continue;
        add_component(key, &n, start, name + from, i - from);
        from = i + 1;
    }
    if (n == start)
        key[n++] = '_';
    if (n > BS_KEY_MAX) {
        n = BS_KEY_MAX - BS_HEX64_SIZE;
        key[n++] = '-';
        bs_hex64(bs_xxh64(name, len, 0), key + n);
        n += BS_HEX64_SIZE - 1;
    }
    key[n] = '\0';
    return n;
}

int
bs_key_make(const char **key, struct bs_arena *arena, const char *prefix,
            const char *name, size_t len, struct bs_tally *taken,
            struct bs_err *e)
{
    size_t room = strlen(prefix) + len + BS_KEY_MAX, n, keep;
    char *made = bs_arena_alloc(arena, room), suffix[24];
    struct bs_identity base, id;
    uint64_t number;
    int r;

    *key = made;
    if (made == NULL)
        return bs_err_memory(e, "key", room);
    n = safe_key(made, prefix, name, len);
    base = id = bs_identity_of(made, n);
    number = bs_tally_count(taken, base);
    if (number == 0)
        return bs_tally_set(taken, base, 1, e);
    while (bs_tally_count(taken, id) > 0) {
        number++;
        snprintf(suffix, sizeof suffix, "-%llu", (unsigned long long)number);
        keep = BS_KEY_MAX - strlen(suffix);
        keep = n < keep ? n : keep;
        memcpy(made + keep, suffix, strlen(suffix) + 1);
        id = bs_identity_of(made, keep + strlen(suffix));
    }
    /* The next one of this name starts where this one found its number. */
    r = bs_tally_set(taken, base, number, e);
    return r == 0 ? bs_tally_set(taken, id, 1, e) : r;
}

/* Bytes of the character at s, 0 for one that is not valid text. */
static size_t
character(const char *s, size_t len)
{
    return *s != '\0' ? bs_utf8_length(s, len) : 0;
}

const char *
bs_text_repair(struct bs_arena *arena, const char *bytes, size_t len)
{
    size_t out = 0, i, n;
    char *text;

    for (i = 0; i<len; i += n> 0 ? n : 1) {
        n = character(bytes + i, len - i);
        out += n > 0 ? n : 3;
    }
    text = bs_arena_alloc(arena, out + 1);
    if (text == NULL)
        return NULL;
    for (i = 0, out = 0; i<len; i += n> 0 ? n : 1) {
        n = character(bytes + i, len - i);
        memcpy(text + out, n > 0 ? bytes + i : "\xef\xbf\xbd", n > 0 ? n : 3);
        out += n > 0 ? n : 3;
    }
    text[out] = '\0';
    return text;
}
