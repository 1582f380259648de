/*
 * join.c - see join.h.
 */
#include "cmd/models/join.h"

#include "cmd/models/lineage.h"
#include "cmd/models/source.h"
#include "formats/segment.h"

struct place {
    uint64_t at, len; /* in the spool */
    bool used;
};

/* ---- reading the second input ---------------------------------------------
 */

static int
put_aside(struct bs_join *j, const struct bs_source *s,
          const struct bs_doc *rec, struct bs_err *e)
{
    const char *key = bs_doc_meta(rec, "key");
    struct place place = {0};
    size_t len;
    const uint8_t *bytes = bs_source_bytes(s, &len);
    int r = bs_keyset_add(&j->keys, key, j->keys.count, e);

    if (r == 0)
        r = bs_err_set(e, BS_EX_DATA, "key '%s' comes twice", key);
    if (r > 0)
        r = bs_spool_add(&j->spool, bytes, len, &place.at, e);
    place.len = len;
    return r < 0 ? r : bs_buf_add(&j->place, &place, sizeof place, e);
}

/* One item of the input; `head` is that of its segment. */
static int
take_item(struct bs_join *j, struct bs_source *s, int item,
          const struct bs_doc *doc, struct bs_kept *head, struct bs_err *e)
{
    const uint8_t *bytes;
    size_t len;

    switch (item) {
    case BS_ITEM_HEAD:
        bytes = bs_source_bytes(s, &len);
        return bs_keep(head, bytes, len, e);
    case BS_ITEM_RECORD:
        return put_aside(j, s, doc, e);
    default:
        return bs_stream_parent(&j->parents, &head->doc, bs_source_hash(s), e);
    }
}

int
bs_join_load(struct bs_join *j, const char *path, unsigned flags,
             size_t max_record, const char *prefix, struct bs_err *e)
{
    struct bs_kept head = {{0}, {0}};
    struct bs_source *s = NULL;
    const struct bs_doc *doc;
    int r, item;

    j->prefix = prefix;
    j->spool.fd = -1;
    r = bs_spool_open(&j->spool, e);
    if (r == 0)
        r = bs_source_open(&s, path, flags, max_record, e);
    if (r < 0)
        return r;
    while (r == 0 && (item = bs_source_next(s, &doc)) != BS_ITEM_EOF) {
        if (item < 0)
            *e = *bs_source_error(s);
        r = item < 0 ? item : take_item(j, s, item, doc, &head, e);
        if (r < 0)
            bs_err_prefix(e, "cannot read '%s'", bs_source_name(s));
    }
    bs_kept_release(&head);
    bs_source_close(s);
    return r;
}

/* ---- joining --------------------------------------------------------------
 */

static bool
same_tensor(const struct bs_tensor *a, const struct bs_tensor *b)
{
    return a->dtype == b->dtype && a->rank == b->rank && a->bytes == b->bytes &&
           memcmp(a->shape, b->shape, a->rank * sizeof *a->shape) == 0 &&
           (a->bytes == 0 || memcmp(a->data, b->data, a->bytes) == 0);
}

/* The name for a thing of the partner's whose own name is taken. */
static int
other_name(const struct bs_join *j, const char *what, const char *name,
           struct bs_buf *made, struct bs_err *e)
{
    if (j->prefix == NULL)
        return bs_err_set(e, BS_EX_DATA,
                          "%s '%.100s' differs, and no prefix was given", what,
                          name);
    made->len = 0;
    return bs_buf_printf(made, e, "%s%s", j->prefix, name) < 0 ||
                   bs_buf_add(made, "", 1, e) < 0
               ? -e->code
               : 0;
}

static int
add_meta(struct bs_join *j, struct bs_doc *made, const struct bs_pair *pair,
         struct bs_buf *name, struct bs_err *e)
{
    const char *as = pair->name, *there = bs_doc_meta(made, as);
    int r;

    if (there != NULL && strcmp(there, pair->value) == 0)
        return 0;
    if (there != NULL) {
        r = other_name(j, "metadata", as, name, e);
        if (r < 0)
            return r;
        as = (const char *)name->data;
        if (bs_doc_meta(made, as) != NULL)
            return bs_err_set(e, BS_EX_DATA, "metadata '%.100s' is taken", as);
    }
    return bs_doc_set(made, as, pair->value, e);
}

static int
add_tensor(struct bs_join *j, struct bs_doc *made, const struct bs_tensor *t,
           struct bs_buf *name, struct bs_err *e)
{
    const struct bs_tensor *there = bs_doc_tensor(made, t->name);
    const char *as = t->name;
    int r;

    if (there != NULL && same_tensor(there, t))
        return 0;
    if (there != NULL) {
        r = other_name(j, "tensor", as, name, e);
        if (r < 0)
            return r;
        as = (const char *)name->data;
        if (bs_doc_tensor(made, as) != NULL)
            return bs_err_set(e, BS_EX_DATA, "tensor '%.100s' is taken", as);
    }
    return bs_doc_put(made, as, t->dtype, t->rank, t->shape, t->data, e);
}

/* Add all that the partner has to the copy of the record. */
static int
add_partner(struct bs_join *j, struct bs_doc *made, struct bs_err *e)
{
    struct bs_buf name = {0};
    size_t i;
    int r = 0;

    for (i = 0; i < j->partner.metas && r == 0; i++)
        r = add_meta(j, made, &j->partner.meta[i], &name, e);
    for (i = 0; i < j->partner.tensors && r == 0; i++)
        r = add_tensor(j, made, &j->partner.tensor[i], &name, e);
    bs_buf_release(&name);
    return r;
}

int
bs_join_make(struct bs_join *j, const struct bs_doc *rec, struct bs_doc *made,
             struct bs_err *e)
{
    const char *key = bs_doc_meta(rec, "key");
    struct place place;
    uint64_t number;
    int r;

    if (!bs_keyset_find(&j->keys, key, &number)) {
        j->unpaired++;
        return 0;
    }
    memcpy(&place, j->place.data + number * sizeof place, sizeof place);
    j->used += !place.used;
    place.used = true;
    memcpy(j->place.data + number * sizeof place, &place, sizeof place);
    bs_doc_release(&j->partner);
    r = bs_spool_get(&j->spool, place.at, (size_t)place.len, &j->bytes, e);
    if (r == 0)
        r = bs_doc_parse(&j->partner, j->bytes.data, j->bytes.len,
                         &bs_doc_limits_record, e);
    if (r == 0)
        r = bs_doc_copy(made, rec, e);
    if (r == 0)
        r = add_partner(j, made, e);
    if (r < 0) {
        bs_doc_release(made);
        return bs_err_prefix(e, "key '%s'", key);
    }
    return 1;
}

uint64_t
bs_join_unused(const struct bs_join *j)
{
    return j->keys.count - j->used;
}

void
bs_join_release(struct bs_join *j)
{
    bs_spool_close(&j->spool);
    bs_keyset_release(&j->keys);
    bs_buf_release(&j->place);
    bs_doc_release(&j->partner);
    bs_buf_release(&j->bytes);
    bs_doc_release(&j->parents);
}
