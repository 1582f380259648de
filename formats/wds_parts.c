/*
 * wds_parts.c - see wds_parts.h: what the members of a record mean.
 */
#include "formats/wds_parts.h"

#include <strings.h>

#include "formats/json.h"
#include "formats/npy.h"

enum { TEXT_MAX = 1 << 20 };

void
bs_wds_clear(struct bs_wds_parts *p, size_t max_record)
{
    size_t i;

    bs_doc_release(&p->doc);
    for (i = 0; i < p->parts; i++)
        bs_doc_release(&p->inner[i]);
    p->parts = 0;
    p->left = max_record;
}

void
bs_wds_release(struct bs_wds_parts *p)
{
    size_t i;

    bs_wds_clear(p, 0);
    for (i = 0; i < BS_WDS_PARTS_MAX; i++)
        bs_buf_release(&p->part[i]);
}

/* ---- names ----------------------------------------------------------------
 */

static bool
is_last(const char *ext, const char *name)
{
    const char *dot = strrchr(ext, '.');

    return strcasecmp(dot != NULL ? dot + 1 : ext, name) == 0;
}

/* Copy of ext without its last part; "" where it is the only one. */
static int
first_part(const char *ext, char name[BS_DOC_NAME_MAX + 1], struct bs_err *e)
{
    const char *dot = strrchr(ext, '.');
    size_t len = dot != NULL ? (size_t)(dot - ext) : 0;

    if (len > BS_DOC_NAME_MAX)
        return bs_err_set(e, BS_EX_DATA, "name '%s' is too long", ext);
    memcpy(name, ext, len);
    name[len] = '\0';
    return 0;
}

/* ---- members ---------------------------------------------------------------
 */

int
bs_wds_load(struct bs_wds_parts *p, size_t limit, struct bs_buf **part,
            struct bs_err *e)
{
    int r;

    *part = &p->part[p->parts % BS_WDS_PARTS_MAX];
    if (p->parts == BS_WDS_PARTS_MAX)
        return bs_err_set(e, BS_EX_DATA, "more than %d members in a record",
                          BS_WDS_PARTS_MAX);
    if (limit > p->left)
        limit = p->left;
    p->parts++;
    (*part)->len = 0;
    r = bs_archive_data(p->archive, limit, *part, e);
    if (r > 0)
        return bs_err_set(e, BS_EX_DATA, "larger than %zu bytes", limit);
    p->left -= (*part)->len;
    return r;
}

static int
put_new(struct bs_wds_parts *p, const char *name, enum bs_dtype dtype,
        unsigned rank, const uint64_t *shape, const void *data,
        struct bs_err *e)
{
    if (bs_doc_tensor(&p->doc, name) != NULL)
        return bs_err_set(e, BS_EX_DATA, "a second tensor '%s'", name);
    return bs_doc_put(&p->doc, name, dtype, rank, shape, data, e);
}

/* The name of an encoded image's tensor, by its extensions; the format's part
 * in lower case, "jpeg" as "jpg". */
static int
add_image(struct bs_wds_parts *p, const char *ext, const char *format,
          struct bs_err *e)
{
    char name[BS_DOC_NAME_MAX + 1];
    int r = first_part(ext, name, e);
    size_t len = strlen(name);
    struct bs_buf *part;
    uint64_t shape[1];

    if (r == 0 && len + strlen(format) + 2 > sizeof name)
        r = bs_err_set(e, BS_EX_DATA, "name '%s' is too long", ext);
    if (r < 0)
        return r;
    snprintf(name + len, sizeof name - len, "%s%s", len > 0 ? "." : "", format);
    r = bs_wds_load(p, SIZE_MAX, &part, e);
    if (r < 0)
        return r;
    shape[0] = part->len;
    return put_new(p, name, BS_DTYPE_U8, 1, shape, part->data, e);
}

static int
add_npy(struct bs_wds_parts *p, const char *ext, struct bs_err *e)
{
    char name[BS_DOC_NAME_MAX + 1];
    struct bs_npy npy;
    struct bs_buf *part;
    int r = first_part(ext, name, e);

    if (r < 0)
        return r;
    r = bs_wds_load(p, SIZE_MAX, &part, e);
    if (r == 0)
        r = bs_npy_parse(&npy, part->data, part->len, e);
    if (r < 0)
        return r;
    return put_new(p, *name != '\0' ? name : "x", npy.dtype, npy.rank,
                   npy.shape, part->data + npy.header, e);
}

static int
add_safetensors(struct bs_wds_parts *p, struct bs_err *e)
{
    struct bs_doc_limits limits = bs_doc_limits_record;
    struct bs_doc *inner = &p->inner[p->parts % BS_WDS_PARTS_MAX];
    struct bs_buf *part;
    int r = bs_wds_load(p, SIZE_MAX, &part, e);
    size_t i;

    limits.align = 1; /* it was written by anybody */
    if (r == 0)
        r = bs_doc_parse(inner, part->data, part->len, &limits, e);
    for (i = 0; r == 0 && i < inner->tensors; i++) {
        const struct bs_tensor *t = &inner->tensor[i];

        r = put_new(p, t->name, t->dtype, t->rank, t->shape, t->data, e);
    }
    return r;
}

/* Text of the member, ended by a NUL; *text lies in the part. */
static int
load_text(struct bs_wds_parts *p, const char **text, size_t *len,
          struct bs_err *e)
{
    struct bs_buf *part;
    int r = bs_wds_load(p, TEXT_MAX, &part, e);

    if (r == 0)
        r = bs_buf_add(part, "", 1, e);
    if (r < 0)
        return r;
    *text = (const char *)part->data;
    *len = part->len - 1;
    if (strlen(*text) != *len)
        return bs_err_set(e, BS_EX_DATA, "NUL in a text");
    return 0;
}

/* Set metadata that is not there yet: the exact JSON goes before texts. */
static int
set_new(struct bs_wds_parts *p, const char *name, const char *value,
        struct bs_err *e)
{
    if (bs_doc_meta(&p->doc, name) != NULL)
        return 0;
    return bs_doc_set(&p->doc, name, value, e);
}

/* A text without the line's end that editors put there. */
static int
add_text(struct bs_wds_parts *p, const char *ext, struct bs_err *e)
{
    char name[BS_DOC_NAME_MAX + 1];
    const char *text;
    size_t len;
    char *copy;
    int r = first_part(ext, name, e);

    if (r == 0)
        r = load_text(p, &text, &len, e);
    if (r < 0)
        return r;
    if (*name == '\0')
        memcpy(name, is_last(ext, "cls") ? "cls" : "caption",
               is_last(ext, "cls") ? 4 : 8);
    if (len > 0 && text[len - 1] == '\n')
        len--;
    if (len > 0 && text[len - 1] == '\r')
        len--;
    copy = bs_alloc(len + 1);
    if (copy == NULL)
        return bs_err_memory(e, "text", len);
    memcpy(copy, text, len);
    copy[len] = '\0';
    r = set_new(p, name, copy, e);
    bs_free(copy);
    return r;
}

/* A value as metadata: a string as it is, no value for null, else JSON. */
static int
set_json(struct bs_wds_parts *p, const char *name, const struct bs_json *v,
         struct bs_err *e)
{
    struct bs_buf text = {0};
    int r;

    /* whoever wrote "key" meant his own; ours is the member's name */
    if (strcmp(name, "key") == 0 || v->type == BS_JSON_NULL)
        return 0;
    if (v->type == BS_JSON_STRING)
        return bs_doc_set(&p->doc, name, v->text, e);
    r = bs_json_write(&text, v, e);
    if (r == 0)
        r = bs_buf_add(&text, "", 1, e);
    if (r == 0)
        r = bs_doc_set(&p->doc, name, (const char *)text.data, e);
    bs_buf_release(&text);
    return r;
}

static int
add_json(struct bs_wds_parts *p, const char *ext, struct bs_err *e)
{
    char name[BS_DOC_NAME_MAX + 1];
    const struct bs_json *root, *c;
    struct bs_json_doc *json = NULL;
    const char *text;
    size_t len;
    int r = first_part(ext, name, e);

    if (r == 0)
        r = load_text(p, &text, &len, e);
    if (r == 0)
        r = bs_json_parse(&json, text, len, BS_JSON_NONFINITE, e);
    if (r < 0)
        return r;
    root = bs_json_root(json);
    if (*name != '\0')
        r = set_json(p, name, root, e);
    else if (root->type != BS_JSON_OBJECT)
        r = bs_err_set(e, BS_EX_DATA, "not a JSON object");
    else
        for (c = root->child; c != NULL && r == 0; c = c->next)
            r = set_json(p, c->key, c, e);
    bs_json_free(json);
    return r;
}

int
bs_wds_add(struct bs_wds_parts *p, const char *ext, struct bs_err *e)
{
    static const char *const images[][2] = {
        {"jpg", "jpg"}, {"jpeg", "jpg"}, {"png", "png"}, {"webp", "webp"}};
    size_t i;
    int r;

    for (i = 0; i < BS_LEN(images); i++)
        if (is_last(ext, images[i][0])) {
            r = add_image(p, ext, images[i][1], e);
            return r < 0 ? r : 1;
        }
    if (is_last(ext, "npy"))
        r = add_npy(p, ext, e);
    else if (strcasecmp(ext, "safetensors") == 0)
        r = add_safetensors(p, e);
    else if (is_last(ext, "json"))
        r = add_json(p, ext, e);
    else if (is_last(ext, "txt") || strcasecmp(ext, "cls") == 0)
        r = add_text(p, ext, e);
    else
        return 0;
    return r < 0 ? r : 1;
}
