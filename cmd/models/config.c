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

int
bs_config_network(struct bs_safetensors *files, bs_config_fn *fn, void *arg,
                  struct bs_err *e)
{
    const char *path = bs_safetensors_path(files);
    struct bs_json_doc *json = NULL;
    int r = bs_config_read(&json, files, "config.json", e);

    if (r == 0)
        return bs_err_set(e, BS_EX_NOINPUT,
                          "no 'config.json' beside the weights of '%s'", path);
    if (r > 0)
        r = fn(arg, bs_json_root(json), e);
    bs_json_free(json);
    return r < 0 ? bs_err_prefix(e, "'config.json' of '%s'", path) : 0;
}

static const struct bs_json *
member(const struct bs_json *v, const char *key)
{
    const struct bs_json *c = bs_json_get(v, key);

    return c == NULL || c->type == BS_JSON_NULL ? NULL : c;
}

bool
bs_config_has(const struct bs_json *v, const char *key)
{
    return member(v, key) != NULL;
}

int
bs_config_size(const struct bs_json *v, const char *key, size_t otherwise,
               size_t min, size_t max, size_t *out, struct bs_err *e)
{
    const struct bs_json *c = member(v, key);
    uint64_t n = otherwise;

    if (c != NULL && (!bs_json_u64(c, max, &n) || n < min))
        return bs_err_set(e, BS_EX_DATA,
                          "'%s' is no whole number from %zu to %zu", key, min,
                          max);
    *out = (size_t)n;
    return 0;
}

int
bs_config_side(const struct bs_json *v, const char *key, size_t otherwise,
               size_t min, size_t max, size_t *out, struct bs_err *e)
{
    const struct bs_json *pair = member(v, key);
    uint64_t a, b;

    if (pair == NULL || pair->type != BS_JSON_ARRAY)
        return bs_config_size(v, key, otherwise, min, max, out, e);
    if (pair->count != 2 || !bs_json_u64(pair->child, max, &a) ||
        !bs_json_u64(pair->child->next, max, &b) || a != b || a < min)
        return bs_err_set(e, BS_EX_DATA,
                          "'%s' is no pair of equal numbers from %zu to %zu",
                          key, min, max);
    *out = (size_t)a;
    return 0;
}

int
bs_config_sizes(const struct bs_json *v, const char *key, size_t otherwise,
                size_t min, size_t max, size_t *out, size_t count,
                struct bs_err *e)
{
    const struct bs_json *list = member(v, key), *c;
    uint64_t n;
    size_t i = 0;
    int r;

    if (list == NULL || list->type != BS_JSON_ARRAY) {
        r = bs_config_size(v, key, otherwise, min, max, out, e);
        for (i = 1; i < count && r == 0; i++)
            out[i] = out[0];
        return r;
    }
    for (c = list->child; c != NULL && list->count == count; c = c->next) {
        if (!bs_json_u64(c, max, &n) || n < min)
            break;
        out[i++] = (size_t)n;
    }
    if (i < count)
        return bs_err_set(e, BS_EX_DATA,
                          "'%s' is no list of %zu whole numbers from %zu to "
                          "%zu",
                          key, count, min, max);
    return 0;
}

int
bs_config_real(const struct bs_json *v, const char *key, double otherwise,
               double min, double max, double *out, struct bs_err *e)
{
    const struct bs_json *c = member(v, key);

    *out = c != NULL ? c->number : otherwise;
    if (c != NULL &&
        (c->type != BS_JSON_NUMBER || !(c->number >= min && c->number <= max)))
        return bs_err_set(e, BS_EX_DATA, "'%s' is no number from %g to %g", key,
                          min, max);
    return 0;
}

int
bs_config_bool(const struct bs_json *v, const char *key, bool otherwise,
               bool *out, struct bs_err *e)
{
    const struct bs_json *c = member(v, key);

    *out = c != NULL ? c->truth : otherwise;
    if (c != NULL && c->type != BS_JSON_BOOL)
        return bs_err_set(e, BS_EX_DATA, "'%s' is neither true nor false", key);
    return 0;
}

int
bs_config_word(const struct bs_json *v, const char *key,
               const char *const *words, size_t count, size_t otherwise,
               size_t *out, struct bs_err *e)
{
    const struct bs_json *c = member(v, key);
    char list[200] = "";
    size_t i, n = 0;

    *out = otherwise;
    if (c == NULL)
        return 0;
    for (i = 0; i < count; i++) {
        if (c->type == BS_JSON_STRING && strcmp(c->text, words[i]) == 0) {
            *out = i;
            return 0;
        }
        if (n < sizeof list)
            n += (size_t)snprintf(list + n, sizeof list - n, "%s'%s'",
                                  i == 0           ? ""
                                  : i + 1 == count ? " or "
                                                   : ", ",
                                  words[i]);
    }
    return bs_err_set(e, BS_EX_DATA, "'%s' is '%.40s', not %s", key,
                      c->type == BS_JSON_STRING ? c->text : "no text", list);
}

int
bs_config_unset(const struct bs_json *v, const char *key, struct bs_err *e)
{
    const struct bs_json *c = member(v, key);

    if (c == NULL || (c->type == BS_JSON_BOOL && !c->truth) ||
        (c->type == BS_JSON_ARRAY && c->count == 0))
        return 0;
    return bs_err_set(e, BS_EX_DATA, "'%s' is not supported", key);
}
