/*
 * wds_write.c - see wds.h: a record as members.
 */
#include "formats/wds.h"

#include "formats/json.h"
#include "formats/npy.h"

struct out {
    bs_wds_put_fn *put;
    void *arg;
    const char *key;
    struct bs_buf name, contents;
};

/* Put the member KEY.EXT, or KEY.EXT.TAIL. */
static int
put_as(struct out *o, const char *ext, const char *tail, const void *data,
       size_t len, struct bs_err *e)
{
    int r;

    o->name.len = 0;
    r = bs_buf_printf(&o->name, e, "%s.%s%s%s", o->key, ext,
                      tail != NULL ? "." : "", tail != NULL ? tail : "");
    if (r < 0)
        return r;
    return o->put(o->arg, (const char *)o->name.data, data, len, e);
}

/* An encoded image is a file as it is: jpg, left.jpg. */
static bool
is_image(const struct bs_tensor *t)
{
    const char *dot = strrchr(t->name, '.');
    const char *last = dot != NULL ? dot + 1 : t->name;

    return t->dtype == BS_DTYPE_U8 && t->rank == 1 && dot != t->name &&
           (strcmp(last, "jpg") == 0 || strcmp(last, "png") == 0 ||
            strcmp(last, "webp") == 0);
}

/* The name survives as part of a file's name. */
static bool
is_plain_name(const char *name)
{
    const char *s;

    for (s = name; *s != '\0'; s++)
        if (!(*s >= 'a' && *s <= 'z') && !(*s >= 'A' && *s <= 'Z') &&
            !(*s >= '0' && *s <= '9') && *s != '_' && *s != '-' && *s != '.')
            return false;
    return s != name;
}

static int
put_npy(struct out *o, const struct bs_tensor *t, struct bs_err *e)
{
    int r;

    o->contents.len = 0;
    r = bs_npy_write_header(&o->contents, t->dtype, t->rank, t->shape, e);
    if (r == 0)
        r = bs_buf_add(&o->contents, t->data, t->bytes, e);
    if (r < 0)
        return r;
    return put_as(o, t->name, "npy", o->contents.data, o->contents.len, e);
}

/* Tensors without a member of their own share one. */
static int
put_tensors(struct out *o, const struct bs_doc *rec, struct bs_err *e)
{
    struct bs_doc rest = {0};
    int r = 0;
    size_t i;

    for (i = 0; i < rec->tensors && r == 0; i++) {
        const struct bs_tensor *t = &rec->tensor[i];

        if (is_plain_name(t->name) && is_image(t))
            r = put_as(o, t->name, NULL, t->data, t->bytes, e);
        else if (is_plain_name(t->name) && bs_npy_has(t->dtype))
            r = put_npy(o, t, e);
        else
            r = bs_doc_put(&rest, t->name, t->dtype, t->rank, t->shape, t->data,
                           e);
    }
    o->contents.len = 0;
    if (r == 0 && rest.tensors > 0)
        r = bs_doc_write(&rest, &o->contents, e);
    if (r == 0 && rest.tensors > 0)
        r = put_as(o, "safetensors", NULL, o->contents.data, o->contents.len,
                   e);
    bs_doc_release(&rest);
    return r;
}

/* All metadata but the key, which the names carry. */
static int
put_json(struct out *o, const struct bs_doc *rec, struct bs_err *e)
{
    const char *comma = "{";
    size_t i;
    int r = 0;

    o->contents.len = 0;
    for (i = 0; i < rec->metas && r == 0; i++) {
        if (strcmp(rec->meta[i].name, "key") == 0)
            continue;
        r = bs_buf_str(&o->contents, comma, e);
        if (r == 0)
            r = bs_json_quote(&o->contents, rec->meta[i].name, e);
        if (r == 0)
            r = bs_buf_str(&o->contents, ":", e);
        if (r == 0)
            r = bs_json_quote(&o->contents, rec->meta[i].value, e);
        comma = ",";
    }
    if (r == 0)
        r = bs_buf_str(&o->contents, *comma == '{' ? "{}" : "}", e);
    if (r < 0)
        return r;
    return put_as(o, "json", NULL, o->contents.data, o->contents.len, e);
}

int
bs_wds_write(const struct bs_doc *rec, bs_wds_put_fn *put, void *arg,
             struct bs_err *e)
{
    struct out o = {.put = put, .arg = arg, .key = bs_doc_meta(rec, "key")};
    const char *caption = bs_doc_meta(rec, "caption");
    int r;

    if (o.key == NULL)
        return bs_err_set(e, BS_EX_DATA, "record without a key");
    r = put_tensors(&o, rec, e);
    if (r == 0 && caption != NULL)
        r = put_as(&o, "txt", NULL, caption, strlen(caption), e);
    if (r == 0)
        r = put_json(&o, rec, e);
    bs_buf_release(&o.name);
    bs_buf_release(&o.contents);
    return r;
}
