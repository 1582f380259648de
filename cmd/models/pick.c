/*
 * pick.c - see pick.h.
 */
#include "cmd/models/pick.h"

#include "common/io.h"
#include "formats/digest.h"

#define KEYS_FILE_MAX ((size_t)4 << 30)

bool
bs_pick_is_all(const struct bs_pick_options *o)
{
    return o->from == 0 && o->to == UINT64_MAX && o->keys == NULL &&
           o->keys_file == NULL && o->where == NULL && o->shard_count <= 1;
}

/* Add the keys between the separators; a line may end in CR LF. */
static int
add_keys(struct bs_pick *p, const char *text, size_t len, char separator,
         struct bs_err *e)
{
    char key[BS_DOC_NAME_MAX * 2];
    const char *end = text + len, *next;
    int r = 0;

    for (; text < end && r >= 0; text = next + 1) {
        size_t n;

        next = memchr(text, separator, (size_t)(end - text));
        if (next == NULL)
            next = end;
        n = (size_t)(next - text);
        if (n > 0 && separator == '\n' && text[n - 1] == '\r')
            n--;
        if (n == 0)
            continue;
        if (n >= sizeof key)
            return bs_err_set(e, BS_EX_DATA, "'%.40s...' is no key", text);
        memcpy(key, text, n);
        key[n] = '\0';
        if (!bs_key_valid(key))
            return bs_err_set(e, BS_EX_DATA, "'%s' is no key", key);
        r = bs_keyset_add(&p->keys, key, p->keys.count, e);
    }
    return r < 0 ? r : 0;
}

static int
load_keys(struct bs_pick *p, struct bs_err *e)
{
    const char *path = p->options.keys_file;
    struct bs_buf text = {0};
    int r = 0;

    if (p->options.keys != NULL)
        r = add_keys(p, p->options.keys, strlen(p->options.keys), ',', e);
    if (r == 0 && path != NULL) {
        r = bs_read_file(path, KEYS_FILE_MAX, &text, e);
        if (r == 0 &&
            add_keys(p, (const char *)text.data, text.len, '\n', e) < 0)
            r = bs_err_prefix(e, "cannot read '%s'", path);
        bs_buf_release(&text);
    }
    if (r < 0)
        return r;
    p->missing = p->keys.count;
    p->found = bs_alloc_array(p->keys.count, 1);
    return p->found != NULL ? 0 : bs_err_memory(e, "keys", p->keys.count);
}

static int
parse_where(struct bs_pick *p, struct bs_err *e)
{
    const char *equals = strchr(p->options.where, '=');

    if (equals == NULL || equals == p->options.where)
        return bs_err_set(e, BS_EX_USAGE, "'%s' is not name=value",
                          p->options.where);
    p->name = bs_strdup(p->options.where);
    if (p->name == NULL)
        return bs_err_memory(e, "option", strlen(p->options.where));
    p->name[equals - p->options.where] = '\0';
    p->value = equals + 1;
    return 0;
}

int
bs_pick_init(struct bs_pick *p, const struct bs_pick_options *options,
             struct bs_err *e)
{
    int r = 0;

    p->options = *options;
    if (options->where != NULL)
        r = parse_where(p, e);
    return r < 0 ? r : load_keys(p, e);
}

static bool
has_key(struct bs_pick *p, const char *key)
{
    uint64_t number;

    if (p->options.keys == NULL && p->options.keys_file == NULL)
        return true;
    if (!bs_keyset_find(&p->keys, key, &number))
        return false;
    p->missing -= p->found[number] == 0;
    p->found[number] = 1;
    return true;
}

static bool
in_shard(const struct bs_pick *p, const char *key)
{
    uint64_t count = p->options.shard_count;

    return count <= 1 ||
           bs_xxh64(key, strlen(key), 0) % count == p->options.shard_index;
}

enum bs_picked
bs_pick_take(struct bs_pick *p, const struct bs_doc *rec)
{
    const char *key = bs_doc_meta(rec, "key");
    uint64_t at = p->position++;

    if (at >= p->options.to)
        return BS_PICKED_DONE;
    if (at < p->options.from || !has_key(p, key) || !in_shard(p, key))
        return BS_PICKED_NOT;
    if (p->name != NULL) {
        const char *value = bs_doc_meta(rec, p->name);

        if (value == NULL || strcmp(value, p->value) != 0)
            return BS_PICKED_NOT;
    }
    return BS_PICKED;
}

size_t
bs_pick_missing(const struct bs_pick *p)
{
    return p->missing;
}

void
bs_pick_release(struct bs_pick *p)
{
    bs_keyset_release(&p->keys);
    bs_free(p->found);
    bs_free(p->name);
    *p = (struct bs_pick){0};
}
