/*
 * sink_split.c - see sink.h: one output as several.
 */
#include "cmd/models/sink.h"

#include "formats/digest.h"

struct split {
    struct bs_sink base;
    struct bs_sink **part;
    char **name; /* of the parts, who borrow it */
    size_t parts, room;
};

static int
split_head(struct bs_sink *base, const struct bs_doc *head, struct bs_err *e)
{
    struct split *s = (struct split *)base;
    int r = 0;
    size_t i;

    for (i = 0; i < s->parts && r == 0; i++)
        r = s->part[i]->class->head(s->part[i], head, e);
    return r;
}

static int
split_record(struct bs_sink *base, const struct bs_sunk *rec, struct bs_err *e)
{
    struct split *s = (struct split *)base;
    const char *key = bs_doc_meta(rec->doc, "key");
    size_t i = (size_t)(bs_xxh64(key, strlen(key), 0) % s->parts);

    return s->part[i]->class->record(s->part[i], rec, e);
}

static int
split_end(struct bs_sink *base, const struct bs_doc *end, struct bs_err *e)
{
    struct split *s = (struct split *)base;
    int r = 0;
    size_t i;

    for (i = 0; i < s->parts && r == 0; i++)
        r = s->part[i]->class->end(s->part[i], end, e);
    return r;
}

/* After the first part that fails the others go. */
static int
split_close(struct bs_sink *base, bool keep, struct bs_err *e)
{
    struct split *s = (struct split *)base;
    int r = 0;
    size_t i;

    for (i = 0; i < s->parts; i++)
        if (s->part[i]->class->close(s->part[i], keep && r == 0, e) < 0)
            r = -e->code;
    for (i = 0; s->name != NULL && i < s->room; i++)
        bs_free(s->name[i]);
    bs_free(s->name);
    bs_free(s->part);
    bs_free(s);
    return r;
}

int
bs_sink_split(struct bs_sink **out, size_t parts, bs_sink_part_fn *part,
              void *arg, struct bs_err *e)
{
    static const struct bs_sink_class class = {split_head, split_record,
                                               split_end, split_close};
    struct split *s = bs_alloc_array(1, sizeof *s);
    int r = 0;

    *out = NULL;
    if (s == NULL)
        return bs_err_memory(e, "output", sizeof *s);
    s->base.class = &class;
    s->part = bs_alloc_array(parts, sizeof *s->part);
    s->name = bs_alloc_array(parts, sizeof *s->name);
    s->room = parts;
    if (s->part == NULL || s->name == NULL)
        r = bs_err_memory(e, "output", parts * sizeof *s->part);
    for (; r == 0 && s->parts < parts; s->parts += r == 0)
        r = part(arg, s->parts, &s->name[s->parts], &s->part[s->parts], e);
    if (r < 0) {
        split_close(&s->base, false, e);
        return r;
    }
    *out = &s->base;
    return 0;
}
