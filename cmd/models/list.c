/*
 * list.c - candidates from the rows of a list: see candidate.h.
 */
#include <strings.h>

#include "cmd/models/candidate.h"

static const char *const path_names[] = {"url", "path", "file", "image",
                                         "filename"};
static const char *const caption_names[] = {"caption", "text"};

struct bs_list {
    struct bs_candidates *all;
    struct bs_plain *plain;
    struct bs_table *table;
    const char *base;
    const char *path_column;    /* NULL in JSON lines: each row's own */
    const char *caption_column; /* the same, or there is none */
    bool json, named;           /* columns have names */
};

/* The first of the names that the list may have, or NULL. */
static const char *
pick(const struct bs_table *t, const char *const *name, size_t names)
{
    size_t i;

    for (i = 0; i < names; i++)
        if (bs_table_has(t, name[i]))
            return name[i];
    return NULL;
}

/* Which columns hold the path and the caption. */
static int
choose_columns(struct bs_list *l, const struct bs_gather_options *o,
               struct bs_err *e)
{
    struct bs_table *t = l->table;
    bool plain = bs_table_format(t) == BS_TABLE_LINES;

    l->json = bs_table_format(t) == BS_TABLE_JSONL;
    l->named = l->json || !bs_table_has(t, "1");
    l->path_column = o->path_column;
    l->caption_column = o->caption_column;
    if (l->path_column != NULL && !bs_table_has(t, l->path_column))
        return bs_err_set(e, BS_EX_DATA, "no column '%s'", l->path_column);
    if (l->caption_column != NULL && !bs_table_has(t, l->caption_column))
        return bs_err_set(e, BS_EX_DATA, "no column '%s'", l->caption_column);
    if (l->json)
        return 0;
    if (l->path_column == NULL)
        l->path_column = pick(t, path_names, BS_LEN(path_names));
    if (l->path_column == NULL && !l->named)
        l->path_column = "1";
    if (l->path_column == NULL)
        return bs_err_set(e, BS_EX_DATA,
                          "no column url, path, file, image or filename");
    if (l->caption_column == NULL)
        l->caption_column = pick(t, caption_names, BS_LEN(caption_names));
    if (l->caption_column == NULL && !l->named && !plain)
        l->caption_column = "2";
    return 0;
}

int
bs_list_open(struct bs_list **out, struct bs_candidates *all,
             struct bs_plain *plain, enum bs_table_format format,
             const char *base, const struct bs_gather_options *options,
             struct bs_err *e)
{
    const char *known[BS_LEN(path_names) + 3] = {0};
    struct bs_list *l = bs_alloc_array(1, sizeof *l);
    size_t n = BS_LEN(path_names);
    int r;

    *out = NULL;
    if (l == NULL)
        return bs_err_memory(e, "list", sizeof *l);
    memcpy(known, path_names, sizeof path_names);
    if (options->path_column != NULL)
        known[n++] = options->path_column;
    if (options->caption_column != NULL)
        known[n++] = options->caption_column;
    l->all = all;
    l->plain = plain;
    l->base = base;
    r = bs_table_open(&l->table, plain, format, known, e);
    if (r == 0)
        r = choose_columns(l, options, e);
    if (r < 0) {
        bs_list_close(l);
        return r;
    }
    *out = l;
    return 0;
}

/* Length of the scheme before "://", 0 for a path. */
static size_t
scheme_length(const char *path)
{
    size_t n = strspn(path, "abcdefghijklmnopqrstuvwxyz"
                            "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");

    return strncmp(path + n, "://", 3) == 0 ? n : 0;
}

static bool
is_network(const char *path)
{
    size_t n = scheme_length(path);

    return (n == 4 && strncasecmp(path, "http", 4) == 0) ||
           (n == 5 && strncasecmp(path, "https", 5) == 0);
}

/* Columns that say something else of the picture become metadata. */
static int
take_extra(struct bs_candidate *c, const struct bs_row *row,
           const struct bs_cell *path, const struct bs_cell *caption,
           struct bs_err *e)
{
    const struct bs_cell *cell;
    size_t i, bytes = 0;
    struct bs_pair *p;

    c->extra = bs_arena_alloc(&c->arena, row->cells * sizeof *c->extra);
    if (c->extra == NULL)
        return bs_err_memory(e, "metadata", row->cells * sizeof *c->extra);
    for (i = 0; i < row->cells; i++) {
        cell = &row->cell[i];
        if (cell == path || cell == caption ||
            strcasecmp(cell->name, "key") == 0 || cell->value[0] == '\0')
            continue;
        bytes += strlen(cell->name) + strlen(cell->value);
        if (bytes > BS_EXTRA_MAX)
            return bs_candidate_refuse(c, BS_GATHER_BAD_METADATA,
                                       "row is longer than 64 KiB", e);
        p = &c->extra[c->extras++];
        p->name = bs_text_repair(&c->arena, cell->name, strlen(cell->name));
        p->value = bs_text_repair(&c->arena, cell->value, strlen(cell->value));
        if (p->name == NULL || p->value == NULL)
            return bs_err_memory(e, "metadata", bytes);
    }
    return 0;
}

static int
take_caption(struct bs_candidate *c, const struct bs_cell *cell,
             struct bs_err *e)
{
    size_t len = strlen(cell->value);

    if (len > BS_CAPTION_MAX)
        return bs_candidate_refuse(c, BS_GATHER_BAD_METADATA,
                                   "caption is longer than 64 KiB", e);
    c->caption = bs_text_repair(&c->arena, cell->value, len);
    return c->caption != NULL ? 0 : bs_err_memory(e, "caption", len);
}

/* Where the picture lies. */
static int
take_path(struct bs_candidate *c, const char *base, const char *path,
          struct bs_err *e)
{
    size_t from = *path != '/' ? strlen(base) : 0, len = strlen(path);
    char *text;

    if (len == 0)
        return bs_candidate_refuse(c, BS_GATHER_INVALID_URL, "row has no path",
                                   e);
    if (len > BS_PATH_MAX)
        return bs_candidate_refuse(c, BS_GATHER_INVALID_URL,
                                   "path is longer than 4096 bytes", e);
    if (scheme_length(path) > 0)
        return bs_candidate_refuse(c, BS_GATHER_INVALID_URL,
                                   "neither a path nor http", e);
    text = bs_arena_alloc(&c->arena, from + len + 1);
    if (text == NULL)
        return bs_err_memory(e, "path", from + len + 1);
    memcpy(text, base, from);
    memcpy(text + from, path, len + 1);
    c->path = text;
    return 0;
}

static int
fill(struct bs_list *l, struct bs_candidate *c, const struct bs_row *row,
     const struct bs_cell *path, struct bs_err *e)
{
    const struct bs_cell *caption = bs_row_find(
        row, l->caption_column, caption_names,
        l->json || l->caption_column != NULL ? BS_LEN(caption_names) : 0);
    int r = take_path(c, l->base, path != NULL ? path->value : "", e);

    c->beside = caption == NULL;
    if (r == 0 && caption != NULL)
        r = take_caption(c, caption, e);
    return r == 0 && l->named ? take_extra(c, row, path, caption, e) : r;
}

int
bs_list_next(struct bs_list *l, struct bs_candidate **out, struct bs_err *e)
{
    const struct bs_cell *path;
    const struct bs_row *row;
    const char *src, *key;
    int r = bs_table_next(l->table, &row, e);

    if (r <= 0)
        return r;
    path = bs_row_find(row, l->path_column, path_names, BS_LEN(path_names));
    src = path != NULL ? path->value : "";
    if (is_network(src))
        return bs_err_set(e, BS_EX_UNAVAIL,
                          "line %llu: '%.200s': network sources are not built "
                          "in",
                          (unsigned long long)row->line, src);
    key = bs_row_get(row, "key");
    r = key != NULL && *key != '\0'
            ? bs_candidates_admit(l->all, key, strlen(key), src, out, e)
            : bs_candidates_admit(l->all, src, bs_stem_length(src), src, out,
                                  e);
    if (r > 0 && fill(l, *out, row, path, e) < 0)
        r = -e->code;
    /* One that is not wanted is no end: the caller asks again. */
    return r < 0 ? r : 1;
}

void
bs_list_close(struct bs_list *l)
{
    if (l == NULL)
        return;
    bs_table_close(l->table);
    bs_plain_close(l->plain);
    bs_free(l);
}
