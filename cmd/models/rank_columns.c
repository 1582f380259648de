/*
 * rank_columns.c - which columns a report shows; see rank_report.h.
 */
#include "cmd/models/rank_report.h"

/* Append a column; its name is filled in later, when the text stays put. */
static int
add(struct bs_buf *picks, int column, int model, struct bs_err *e)
{
    struct bs_pick_column pick = {column, model};

    return bs_buf_add(picks, &pick, sizeof pick, e);
}

static int
unknown(const struct bs_column *known, const char *name, size_t len,
        struct bs_err *e)
{
    struct bs_buf list = {0};
    size_t i;
    int r = 0;

    for (i = 0; known[i].name != NULL && r == 0; i++)
        r = bs_buf_printf(&list, e, "%s%s", i > 0 ? ", " : "", known[i].name);
    if (r == 0)
        r = bs_err_set(e, BS_EX_USAGE, "unknown column '%.*s'; known are %.*s",
                       (int)(len < 60 ? len : 60), name, (int)list.len,
                       (const char *)list.data);
    bs_buf_release(&list);
    return r;
}

/* "name" or "name@label" of len bytes. */
static int
add_named(struct bs_buf *picks, const struct bs_column *known, const char *name,
          size_t len, const char *const *label, size_t labels, struct bs_err *e)
{
    const char *at = memchr(name, '@', len);
    size_t base = at != NULL ? (size_t)(at - name) : len, i, m;

    for (i = 0; known[i].name != NULL; i++)
        if (strlen(known[i].name) == base &&
            memcmp(known[i].name, name, base) == 0)
            break;
    if (known[i].name == NULL || (at != NULL && !known[i].each))
        return unknown(known, name, len, e);
    if (at == NULL)
        return add(picks, (int)i, -1, e);
    for (m = 0; m < labels; m++)
        if (strlen(label[m]) == len - base - 1 &&
            memcmp(label[m], at + 1, len - base - 1) == 0)
            return add(picks, (int)i, (int)m, e);
    return bs_err_set(e, BS_EX_USAGE, "column '%.*s': no such model",
                      (int)(len < 60 ? len : 60), name);
}

static int
add_asked(struct bs_buf *picks, const struct bs_column *known,
          const char *asked, const char *const *label, size_t labels,
          struct bs_err *e)
{
    int r = 0;

    while (r == 0) {
        size_t len = strcspn(asked, ",");

        r = add_named(picks, known, asked, len, label, labels, e);
        if (asked[len] == '\0')
            break;
        asked += len + 1;
    }
    return r;
}

static int
add_usual(struct bs_buf *picks, const struct bs_column *known,
          const char *each_of, size_t labels, struct bs_err *e)
{
    size_t i, m;
    int r = 0;

    for (i = 0; known[i].name != NULL && r == 0; i++)
        if (known[i].usual)
            r = add(picks, (int)i, -1, e);
    for (i = 0; each_of != NULL && known[i].name != NULL; i++)
        if (strcmp(known[i].name, each_of) == 0)
            for (m = 0; m < labels && r == 0; m++)
                r = add(picks, (int)i, (int)m, e);
    return r;
}

/* The names, one behind the other in one piece of memory. */
static int
set_names(struct bs_columns *c, const struct bs_column *known,
          const char *const *label, struct bs_err *e)
{
    struct bs_buf text = {0};
    size_t i, at = 0;
    int r = 0;

    for (i = 0; i < c->count && r == 0; i++) {
        r = bs_buf_str(&text, known[c->pick[i].column].name, e);
        if (r == 0 && c->pick[i].model >= 0)
            r = bs_buf_printf(&text, e, "@%s", label[c->pick[i].model]);
        if (r == 0)
            r = bs_buf_add(&text, "", 1, e);
    }
    c->text = (char *)text.data;
    for (i = 0; i < c->count && r == 0; i++) {
        c->name[i] = c->text + at;
        at += strlen(c->name[i]) + 1;
    }
    return r;
}

int
bs_columns_choose(struct bs_columns *c, const struct bs_column *known,
                  const char *asked, const char *each_of,
                  const char *const *label, size_t labels, struct bs_err *e)
{
    struct bs_buf picks = {0};
    int r = asked != NULL ? add_asked(&picks, known, asked, label, labels, e)
                          : add_usual(&picks, known, each_of, labels, e);

    *c = (struct bs_columns){.pick = (void *)picks.data,
                             .count = picks.len / sizeof *c->pick};
    if (r < 0)
        return r;
    c->name = bs_alloc_array(c->count, sizeof *c->name);
    if (c->name == NULL)
        return bs_err_memory(e, "columns", c->count);
    return set_names(c, known, label, e);
}

void
bs_columns_release(struct bs_columns *c)
{
    bs_free(c->pick);
    bs_free((void *)c->name);
    bs_free(c->text);
    *c = (struct bs_columns){0};
}
