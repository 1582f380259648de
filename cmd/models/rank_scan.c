/*
 * rank_scan.c - see rank_scan.h.
 */
#include "cmd/models/rank_scan.h"

#include "common/stop.h"
#include "formats/json.h"

static int
stopped(struct bs_err *e)
{
    return bs_err_set(e, BS_EX_TEMPFAIL, "ended early: %s", bs_stop_reason());
}

static int
take(struct bs_source *s, int item, const struct bs_doc *doc,
     bs_rank_item_fn *fn, void *arg, struct bs_err *e)
{
    int r;

    if (item == BS_ITEM_STOP || bs_stop_wanted())
        return stopped(e);
    r = fn(arg, item, doc, e);
    if (r < 0 && item == BS_ITEM_RECORD)
        (void)bs_err_prefix(e, "record '%s'", bs_doc_meta(doc, "key"));
    return r < 0 ? bs_err_prefix(e, "'%s'", bs_source_name(s)) : 0;
}

int
bs_rank_scan(const char *path, const struct bs_rank_input *in,
             bs_rank_item_fn *fn, void *arg, struct bs_err *e)
{
    struct bs_source *s;
    const struct bs_doc *doc;
    int item, r = bs_source_open(&s, path, in->flags | BS_READER_STOP,
                                 in->max_record, e);

    if (r < 0)
        return r;
    while (r == 0 && (item = bs_source_next(s, &doc)) != BS_ITEM_EOF) {
        if (item < 0) {
            *e = *bs_source_error(s);
            r = bs_err_prefix(e, "cannot read '%s'", bs_source_name(s));
        } else {
            r = take(s, item, doc, fn, arg, e);
        }
    }
    bs_source_close(s);
    return r;
}

int
bs_rank_dictionary(char out[BS_RANK_SHA256], const struct bs_doc *head,
                   struct bs_err *e)
{
    const char *text = bs_doc_meta(head, "bs.model"), *sha256;
    struct bs_json_doc *json;

    out[0] = '\0';
    if (text == NULL)
        return 0;
    if (bs_json_parse(&json, text, strlen(text), 0, e) < 0)
        return bs_err_prefix(e, "bs.model");
    sha256 = bs_json_get_string(bs_json_root(json), "sha256");
    if (sha256 != NULL && strlen(sha256) < BS_RANK_SHA256)
        snprintf(out, BS_RANK_SHA256, "%s", sha256);
    bs_json_free(json);
    return 0;
}

const void *
bs_rank_values(const struct bs_doc *doc, const char *name, enum bs_dtype dtype,
               size_t n, bool *wrong, struct bs_err *e)
{
    const struct bs_tensor *t = bs_doc_tensor(doc, name);

    if (t == NULL)
        return NULL;
    if (t->dtype == dtype && t->rank == 1 && t->shape[0] == n)
        return t->data;
    (void)bs_err_set(e, BS_EX_DATA, "'%s' is not %s [%zu]", name,
                     bs_dtype_name(dtype), n);
    *wrong = true;
    return NULL;
}
