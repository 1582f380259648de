/*
 * config.c - see config.h.
 */
#include "cmd/models/config.h"

int
bs_config_read(struct bs_json_doc **json, struct bs_safetensors *files,
               const char *name, struct bs_err *e)
{
    struct bs_buf text = {0};
    int r = bs_safetensors_text(files, name, &text, e);

    if (r > 0) {
        r = bs_json_parse(json, (const char *)text.data, text.len,
                          BS_JSON_NONFINITE, e);
        r = r < 0 ? r : 1;
    }
    bs_buf_release(&text);
    return r;
}

const struct bs_json *
bs_config_get(const struct bs_json *v, const char *key)
{
    const struct bs_json *member = bs_json_get(v, key);

    return member != NULL && member->type == BS_JSON_NULL ? NULL : member;
}

int
bs_config_size(const struct bs_json *v, const char *key, size_t otherwise,
               size_t max, size_t *out, struct bs_err *e)
{
    uint64_t n = otherwise;

    if (bs_config_get(v, key) != NULL &&
        (!bs_json_get_u64(v, key, max, &n) || n == 0))
        return bs_err_set(e, BS_EX_DATA,
                          "'%s' is no whole number from 1 to %zu", key, max);
    *out = (size_t)n;
    return 0;
}

int
bs_config_side(const struct bs_json *v, const char *key, size_t otherwise,
               size_t max, size_t *out, struct bs_err *e)
{
    const struct bs_json *pair = bs_config_get(v, key);
    uint64_t a, b;

    if (pair == NULL || pair->type != BS_JSON_ARRAY)
        return bs_config_size(v, key, otherwise, max, out, e);
    if (pair->count != 2 || !bs_json_u64(pair->child, max, &a) ||
        !bs_json_u64(pair->child->next, max, &b) || a != b || a == 0)
        return bs_err_set(e, BS_EX_DATA,
                          "'%s' is no pair of equal numbers from 1 to %zu", key,
                          max);
    *out = (size_t)a;
    return 0;
}

int
bs_config_sizes(const struct bs_json *v, const char *key, size_t otherwise,
                size_t max, size_t *out, size_t count, struct bs_err *e)
{
    const struct bs_json *list = bs_config_get(v, key), *c;
    uint64_t n;
    size_t i = 0;
    int r;

    if (list == NULL || list->type != BS_JSON_ARRAY) {
        r = bs_config_size(v, key, otherwise, max, out, e);
        for (i = 1; i < count && r == 0; i++)
            out[i] = out[0];
        return r;
    }
    for (c = list->child; c != NULL && list->count == count; c = c->next) {
        if (!bs_json_u64(c, max, &n) || n == 0)
            break;
        out[i++] = (size_t)n;
    }
    if (i < count)
        return bs_err_set(e, BS_EX_DATA,
                          "'%s' is no list of %zu whole numbers from 1 to %zu",
                          key, count, max);
    return 0;
}

int
bs_config_real(const struct bs_json *v, const char *key, double otherwise,
               double max, double *out, struct bs_err *e)
{
    *out = otherwise;
    if (bs_config_get(v, key) != NULL &&
        (!bs_json_get_number(v, key, out) || !(*out > 0 && *out <= max)))
        return bs_err_set(e, BS_EX_DATA, "'%s' is no number up to %g", key,
                          max);
    return 0;
}

int
bs_config_bool(const struct bs_json *v, const char *key, bool otherwise,
               bool *out, struct bs_err *e)
{
    const struct bs_json *b = bs_config_get(v, key);

    *out = otherwise;
    if (b == NULL)
        return 0;
    if (b->type != BS_JSON_BOOL)
        return bs_err_set(e, BS_EX_DATA, "'%s' is neither true nor false", key);
    *out = b->truth;
    return 0;
}

int
bs_config_only_word(const struct bs_json *v, const char *key, const char *word,
                    struct bs_err *e)
{
    const struct bs_json *m = bs_config_get(v, key);

    if (m == NULL || (m->type == BS_JSON_STRING && strcmp(m->text, word) == 0))
        return 0;
    return bs_err_set(e, BS_EX_DATA, "'%s' is not '%s', which alone is known",
                      key, word);
}

int
bs_config_only_number(const struct bs_json *v, const char *key, double number,
                      struct bs_err *e)
{
    const struct bs_json *m = bs_config_get(v, key);

    if (m == NULL || (m->type == BS_JSON_NUMBER && m->number == number))
        return 0;
    return bs_err_set(e, BS_EX_DATA, "'%s' is not %g, which alone is known",
                      key, number);
}

int
bs_config_only_bool(const struct bs_json *v, const char *key, bool truth,
                    struct bs_err *e)
{
    const struct bs_json *m = bs_config_get(v, key);

    if (m == NULL || (m->type == BS_JSON_BOOL && m->truth == truth))
        return 0;
    return bs_err_set(e, BS_EX_DATA, "'%s' is not %s, which alone is known",
                      key, truth ? "true" : "false");
}

int
bs_config_only_null(const struct bs_json *v, const char *key, struct bs_err *e)
{
    if (bs_config_get(v, key) == NULL)
        return 0;
    return bs_err_set(e, BS_EX_DATA, "'%s' is set, which is not known", key);
}
