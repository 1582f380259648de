/*
 * visit.c - see visit.h.
 */
#include "cmd/models/visit.h"

#include "cmd/models/lineage.h"

static int
visit_head(struct bs_source *s, const struct bs_visit *v,
           const struct bs_doc *doc, struct bs_kept *head, struct bs_err *e)
{
    size_t len;
    const uint8_t *bytes = bs_source_bytes(s, &len);
    int r = bs_keep(head, bytes, len, e);

    return r < 0 ? r : v->head(v->arg, doc, e);
}

static int
visit_all(struct bs_source *s, const struct bs_visit *v, struct bs_kept *head,
          struct bs_err *e)
{
    const struct bs_doc *doc;
    int item, r = 0;

    while (r >= 0 && (item = bs_source_next(s, &doc)) != BS_ITEM_EOF) {
        if (item < 0) {
            *e = *bs_source_error(s);
            return item;
        }
        switch (item) {
        case BS_ITEM_STOP:
            return 0;
        case BS_ITEM_HEAD:
            r = visit_head(s, v, doc, head, e);
            break;
        case BS_ITEM_RECORD:
            r = v->record(v->arg, doc, e);
            if (r < 0)
                bs_err_prefix(e, "record '%s'", bs_doc_meta(doc, "key"));
            break;
        default:
            r = bs_stream_parent(v->parents, &head->doc, bs_source_hash(s), e);
        }
    }
    return r < 0 ? r : 1;
}

int
bs_visit(struct bs_source *s, const struct bs_visit *v, struct bs_err *e)
{
    struct bs_kept head = {{0}, {0}};
    int r = visit_all(s, v, &head, e);

    bs_kept_release(&head);
    return r;
}
