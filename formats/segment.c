/*
 * segment.c - see segment.h.
 */
#include "formats/segment.h"

#include <inttypes.h>

#include "formats/stream.h"

int
bs_doc_copy(struct bs_doc *to, const struct bs_doc *from, struct bs_err *e)
{
    size_t i;
    int r = 0;

    for (i = 0; i < from->metas && r == 0; i++)
        r = bs_doc_set(to, from->meta[i].name, from->meta[i].value, e);
    for (i = 0; i < from->tensors && r == 0; i++) {
        const struct bs_tensor *t = &from->tensor[i];

        r = bs_doc_put(to, t->name, t->dtype, t->rank, t->shape, t->data, e);
    }
    if (r < 0)
        bs_doc_release(to);
    return r;
}

/* s->doc and s->bytes become the canonical form of `from`. */
static int
canonical(struct bs_segment *s, const struct bs_doc *from,
          const struct bs_doc_limits *limits, struct bs_err *e)
{
    int r;

    bs_doc_release(&s->doc);
    s->bytes.len = 0;
    r = bs_doc_write(from, &s->bytes, e);
    if (r == 0)
        r = bs_doc_parse(&s->doc, s->bytes.data, s->bytes.len, limits, e);
    return r;
}

int
bs_segment_head(struct bs_segment *s, const struct bs_doc *from,
                const struct bs_doc **doc, struct bs_err *e)
{
    struct bs_doc head = {0};
    int r = bs_doc_copy(&head, from, e);

    if (r == 0)
        r = bs_doc_set(&head, "bs.stream", BS_STREAM_VERSION, e);
    if (r == 0)
        r = canonical(s, &head, &bs_doc_limits_head, e);
    bs_doc_release(&head);
    if (r < 0)
        return r;
    s->records = 0;
    bs_xxh64_init(&s->hash, 0);
    bs_xxh64_add(&s->hash, s->bytes.data, s->bytes.len);
    *doc = &s->doc;
    return 0;
}

int
bs_segment_record(struct bs_segment *s, const struct bs_doc *from,
                  const struct bs_doc **doc, struct bs_err *e)
{
    const char *key = bs_doc_meta(from, "key");
    int r;

    if (key == NULL || !bs_key_valid(key))
        return bs_err_set(e, BS_EX_DATA, "'%.200s' is not a valid key",
                          key != NULL ? key : "");
    r = canonical(s, from, &bs_doc_limits_record, e);
    if (r < 0)
        return bs_err_prefix(e, "key '%s'", key);
    s->records++;
    bs_xxh64_add(&s->hash, s->bytes.data, s->bytes.len);
    *doc = &s->doc;
    return 0;
}

/* What the end promised must be what came. */
static int
check_promise(const struct bs_doc *from, const char *name, const char *got,
              struct bs_err *e)
{
    const char *said = bs_doc_meta(from, name);

    if (said == NULL || strcmp(said, got) == 0)
        return 0;
    return bs_err_set(e, BS_EX_DATA, "%s is '%.40s', but the end says '%.40s'",
                      name + 3, got, said);
}

int
bs_segment_end(struct bs_segment *s, const struct bs_doc *from,
               const struct bs_doc **doc, struct bs_err *e)
{
    char records[24], hash[BS_HEX64_SIZE];
    struct bs_doc end = {0};
    int r = from != NULL ? bs_doc_copy(&end, from, e) : 0;

    snprintf(records, sizeof records, "%" PRIu64, s->records);
    bs_hex64(bs_xxh64_value(&s->hash), hash);
    if (r == 0)
        r = check_promise(&end, "bs.records", records, e);
    if (r == 0)
        r = check_promise(&end, "bs.hash", hash, e);
    if (r == 0 && bs_doc_meta(&end, "bs.status") == NULL)
        r = bs_doc_set(&end, "bs.status", "ok", e);
    if (r == 0)
        r = bs_doc_set(&end, "bs.end", BS_STREAM_VERSION, e);
    if (r == 0)
        r = bs_doc_set(&end, "bs.records", records, e);
    if (r == 0)
        r = bs_doc_set(&end, "bs.hash", hash, e);
    if (r == 0)
        r = canonical(s, &end, &bs_doc_limits_head, e);
    bs_doc_release(&end);
    *doc = &s->doc;
    return r;
}

void
bs_segment_release(struct bs_segment *s)
{
    bs_doc_release(&s->doc);
    bs_buf_release(&s->bytes);
    *s = (struct bs_segment){0};
}
