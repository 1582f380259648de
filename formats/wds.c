/*
 * wds.c - see wds.h: reading.  wds_write.c writes.
 *
 * A record is complete when a member of another key comes; a key that comes
 * back later would be half a record twice, and is an error.  Memory: one
 * record, and every key.
 */
#include "formats/wds.h"

#include <strings.h>

#include "formats/digest.h"
#include "formats/json.h"
#include "formats/keyset.h"
#include "formats/npy.h"
#include "formats/stream.h"

enum {
    PARTS_MAX = BS_DOC_TENSORS_MAX, /* members of a record */
    TEXT_MAX = 1 << 20,
    HASH_CHARS = 16
};

struct bs_wds {
    struct bs_archive *archive;
    size_t max_record, left; /* bytes that the record may still take */
    struct bs_member member; /* the one in hand */
    bool pending;            /* it is not used yet */
    bool finished;           /* there are no more */
    bool ended;
    enum { OUTSIDE, INSIDE } segment; /* of __bs__/head and __bs__/end */
    uint64_t ignored;

    struct bs_doc doc; /* head, record or end, as lent */
    bool open;         /* a record is being collected */
    bool used;         /* and one of its members meant something */
    char *origin;      /* its path as the archive has it, up to the dot */
    size_t origin_len;
    char key[BS_WDS_KEY_SIZE];
    struct bs_buf part[PARTS_MAX];  /* contents that doc borrows */
    struct bs_doc inner[PARTS_MAX]; /* parsed safetensors members */
    size_t parts;
    struct bs_keyset seen;
};

/* ---- names ----------------------------------------------------------------
 */

bool
bs_wds_key(const char *name, size_t len, char key[BS_WDS_KEY_SIZE])
{
    char hash[BS_HEX64_SIZE];
    size_t i, n = 0;
    bool same = true;

    for (i = 0; i < len && n < BS_WDS_KEY_SIZE; i++) {
        unsigned char c = (unsigned char)name[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    (c >= '0' && c <= '9') || c == '_' || c == '-';

        if (word || (c == '/' && n > 0 && key[n - 1] != '/')) {
            key[n++] = (char)c;
            continue;
        }
        same = false;
        if (c != '/')
            key[n++] = '_';
    }
    if (n == BS_WDS_KEY_SIZE) {
        bs_hex64(bs_xxh64(name, len, 0), hash);
        n = BS_WDS_KEY_SIZE - 1;
        key[n - HASH_CHARS - 1] = '-';
        memcpy(key + n - HASH_CHARS, hash, HASH_CHARS);
        same = false;
    }
    if (n > 0 && key[n - 1] == '/') {
        n--;
        same = false;
    }
    if (n == 0) {
        key[n++] = '_';
        same = false;
    }
    key[n] = '\0';
    return same;
}

/* Without "./" in front, which says nothing. */
static const char *
strip(const char *name)
{
    while (name[0] == '.' && name[1] == '/')
        for (name += 2; *name == '/'; name++)
            ;
    return name;
}

/* "__x__" or "__x__/...": not data. */
static bool
is_control(const char *name)
{
    size_t len = strcspn(name, "/");

    return len >= 4 && memcmp(name, "__", 2) == 0 &&
           memcmp(name + len - 2, "__", 2) == 0;
}

/* The extensions behind the first dot of the last component, or NULL where
 * there is no name before it or nothing behind. */
static const char *
extension(const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *base = slash != NULL ? slash + 1 : name;
    const char *dot = strchr(base, '.');

    return dot != NULL && dot > base && dot[1] != '\0' ? dot + 1 : NULL;
}

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

/* The member's contents in a part of their own. */
static int
load(struct bs_wds *w, size_t limit, struct bs_buf **part, struct bs_err *e)
{
    int r;

    *part = &w->part[w->parts % PARTS_MAX];
    if (w->parts == PARTS_MAX)
        return bs_err_set(e, BS_EX_DATA, "more than %d members in a record",
                          PARTS_MAX);
    if (limit > w->left)
        limit = w->left;
    w->parts++;
    (*part)->len = 0;
    r = bs_archive_data(w->archive, limit, *part, e);
    if (r > 0)
        return bs_err_set(e, BS_EX_DATA, "larger than %zu bytes", limit);
    w->left -= (*part)->len;
    return r;
}

static int
put_new(struct bs_wds *w, const char *name, enum bs_dtype dtype, unsigned rank,
        const uint64_t *shape, const void *data, struct bs_err *e)
{
    if (bs_doc_tensor(&w->doc, name) != NULL)
        return bs_err_set(e, BS_EX_DATA, "a second tensor '%s'", name);
    return bs_doc_put(&w->doc, name, dtype, rank, shape, data, e);
}

/* The name of an encoded image's tensor, by its extensions; the format's part
 * in lower case, "jpeg" as "jpg". */
static int
add_image(struct bs_wds *w, const char *ext, const char *format,
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
    r = load(w, SIZE_MAX, &part, e);
    if (r < 0)
        return r;
    shape[0] = part->len;
    return put_new(w, name, BS_DTYPE_U8, 1, shape, part->data, e);
}

static int
add_npy(struct bs_wds *w, const char *ext, struct bs_err *e)
{
    char name[BS_DOC_NAME_MAX + 1];
    struct bs_npy npy;
    struct bs_buf *part;
    int r = first_part(ext, name, e);

    if (r < 0)
        return r;
    r = load(w, SIZE_MAX, &part, e);
    if (r == 0)
        r = bs_npy_parse(&npy, part->data, part->len, e);
    if (r < 0)
        return r;
    return put_new(w, *name != '\0' ? name : "x", npy.dtype, npy.rank,
                   npy.shape, part->data + npy.header, e);
}

static int
add_safetensors(struct bs_wds *w, struct bs_err *e)
{
    struct bs_doc_limits limits = bs_doc_limits_record;
    struct bs_doc *inner = &w->inner[w->parts % PARTS_MAX];
    struct bs_buf *part;
    int r = load(w, SIZE_MAX, &part, e);
    size_t i;

    limits.align = 1; /* it was written by anybody */
    if (r == 0)
        r = bs_doc_parse(inner, part->data, part->len, &limits, e);
    for (i = 0; r == 0 && i < inner->tensors; i++) {
        const struct bs_tensor *t = &inner->tensor[i];

        r = put_new(w, t->name, t->dtype, t->rank, t->shape, t->data, e);
    }
    return r;
}

/* Text of the member, ended by a NUL; *text lies in the part. */
static int
load_text(struct bs_wds *w, const char **text, size_t *len, struct bs_err *e)
{
    struct bs_buf *part;
    int r = load(w, TEXT_MAX, &part, e);

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
set_new(struct bs_wds *w, const char *name, const char *value, struct bs_err *e)
{
    if (bs_doc_meta(&w->doc, name) != NULL)
        return 0;
    return bs_doc_set(&w->doc, name, value, e);
}

/* A text without the line's end that editors put there. */
static int
add_text(struct bs_wds *w, const char *ext, struct bs_err *e)
{
    char name[BS_DOC_NAME_MAX + 1];
    const char *text;
    size_t len;
    char *copy;
    int r = first_part(ext, name, e);

    if (r == 0)
        r = load_text(w, &text, &len, e);
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
    r = set_new(w, name, copy, e);
    bs_free(copy);
    return r;
}

/* A value as metadata: a string as it is, no value for null, else JSON. */
static int
set_json(struct bs_wds *w, const char *name, const struct bs_json *v,
         struct bs_err *e)
{
    struct bs_buf text = {0};
    int r;

    /* whoever wrote "key" meant his own; ours is the member's name */
    if (strcmp(name, "key") == 0 || v->type == BS_JSON_NULL)
        return 0;
    if (v->type == BS_JSON_STRING)
        return bs_doc_set(&w->doc, name, v->text, e);
    r = bs_json_write(&text, v, e);
    if (r == 0)
        r = bs_buf_add(&text, "", 1, e);
    if (r == 0)
        r = bs_doc_set(&w->doc, name, (const char *)text.data, e);
    bs_buf_release(&text);
    return r;
}

static int
add_json(struct bs_wds *w, const char *ext, struct bs_err *e)
{
    char name[BS_DOC_NAME_MAX + 1];
    const struct bs_json *root, *c;
    struct bs_json_doc *json = NULL;
    const char *text;
    size_t len;
    int r = first_part(ext, name, e);

    if (r == 0)
        r = load_text(w, &text, &len, e);
    if (r == 0)
        r = bs_json_parse(&json, text, len, BS_JSON_NONFINITE, e);
    if (r < 0)
        return r;
    root = bs_json_root(json);
    if (*name != '\0')
        r = set_json(w, name, root, e);
    else if (root->type != BS_JSON_OBJECT)
        r = bs_err_set(e, BS_EX_DATA, "not a JSON object");
    else
        for (c = root->child; c != NULL && r == 0; c = c->next)
            r = set_json(w, c->key, c, e);
    bs_json_free(json);
    return r;
}

/* Add the member to the record: 1, or 0 if it means nothing. */
static int
add_member(struct bs_wds *w, const char *ext, struct bs_err *e)
{
    static const char *const images[][2] = {
        {"jpg", "jpg"}, {"jpeg", "jpg"}, {"png", "png"}, {"webp", "webp"}};
    size_t i;
    int r;

    for (i = 0; i < BS_LEN(images); i++)
        if (is_last(ext, images[i][0])) {
            r = add_image(w, ext, images[i][1], e);
            return r < 0 ? r : 1;
        }
    if (is_last(ext, "npy"))
        r = add_npy(w, ext, e);
    else if (strcasecmp(ext, "safetensors") == 0)
        r = add_safetensors(w, e);
    else if (is_last(ext, "json"))
        r = add_json(w, ext, e);
    else if (is_last(ext, "txt") || strcasecmp(ext, "cls") == 0)
        r = add_text(w, ext, e);
    else
        return 0;
    return r < 0 ? r : 1;
}

/* ---- records ---------------------------------------------------------------
 */

/* Forget the record, keep the memory of its parts. */
static void
clear(struct bs_wds *w)
{
    size_t i;

    bs_doc_release(&w->doc);
    for (i = 0; i < w->parts; i++)
        bs_doc_release(&w->inner[i]);
    w->parts = 0;
    w->left = w->max_record;
    w->open = w->used = false;
}

/* Metadata is UTF-8; a name may be anything. */
static bool
is_text(const char *s)
{
    size_t len = strlen(s), n;

    for (; len > 0; s += n, len -= n) {
        n = bs_utf8_length(s, len);
        if (n == 0)
            return false;
    }
    return true;
}

/* Start the record whose members are called name[0..len). */
static int
begin(struct bs_wds *w, const char *name, size_t len, struct bs_err *e)
{
    bool same = bs_wds_key(name, len, w->key);
    int r;

    bs_free(w->origin);
    w->origin_len = len;
    w->origin = bs_alloc(len + 1);
    if (w->origin == NULL)
        return bs_err_memory(e, "member's name", len);
    memcpy(w->origin, name, len);
    w->origin[len] = '\0';
    r = bs_keyset_add(&w->seen, w->key, 0, e);
    if (r == 0)
        r = bs_err_set(e, BS_EX_DATA,
                       "the record '%s' was already complete: its members "
                       "must stand together%s",
                       w->key, same ? "" : ", and names must differ as keys");
    if (r > 0)
        r = bs_doc_set(&w->doc, "key", w->key, e);
    if (r == 0 && !same && is_text(w->origin))
        r = bs_doc_set(&w->doc, "orig_key", w->origin, e);
    w->open = r == 0;
    return r;
}

/* A control member's document becomes w->doc. */
static int
load_control(struct bs_wds *w, const char *mark, struct bs_err *e)
{
    struct bs_buf *part;
    int r;

    clear(w);
    r = load(w, SIZE_MAX, &part, e);
    if (r == 0)
        r = bs_doc_parse(&w->doc, part->data, part->len, &bs_doc_limits_head,
                         e);
    if (r == 0 && bs_doc_meta(&w->doc, mark) == NULL)
        r = bs_err_set(e, BS_EX_DATA, "lacks '%s'", mark);
    return r;
}

static int
take_head(struct bs_wds *w, struct bs_err *e)
{
    if (w->segment == INSIDE)
        return bs_err_set(e, BS_EX_DATA, "the segment before has no end");
    w->segment = INSIDE;
    bs_keyset_release(&w->seen);
    return load_control(w, "bs.stream", e);
}

static int
take_end(struct bs_wds *w, struct bs_err *e)
{
    if (w->segment == OUTSIDE)
        return bs_err_set(e, BS_EX_DATA, "end of a segment without a head");
    w->segment = OUTSIDE;
    bs_keyset_release(&w->seen);
    return load_control(w, "bs.end", e);
}

/*
 * Use the member in hand.  Returns an enum bs_item if something is complete (a
 * record, before the member is used), 0 if not.
 */
static int
use(struct bs_wds *w, struct bs_err *e)
{
    const char *name = strip(w->member.name), *ext = extension(name);
    bool head = strcmp(name, "__bs__/head") == 0;
    bool end = strcmp(name, "__bs__/end") == 0;
    size_t len;
    int r;

    if ((head || end) && w->open && w->used)
        return BS_ITEM_RECORD;
    if (head || end) {
        r = head ? take_head(w, e) : take_end(w, e);
        w->pending = false;
        return r < 0 ? r : head ? BS_ITEM_HEAD : BS_ITEM_END;
    }
    if (is_control(name) || ext == NULL) {
        w->ignored += !is_control(name);
        w->pending = false;
        return 0;
    }
    len = (size_t)(ext - 1 - name);
    if (w->open &&
        (len != w->origin_len || memcmp(name, w->origin, len) != 0)) {
        if (w->used)
            return BS_ITEM_RECORD;
        clear(w);
    }
    r = w->open ? 0 : begin(w, name, len, e);
    if (r == 0)
        r = add_member(w, ext, e);
    if (r < 0)
        return r;
    w->ignored += r == 0;
    w->used = w->used || r > 0;
    w->pending = false;
    return 0;
}

/* The archive is at its end. */
static int
finish(struct bs_wds *w, struct bs_err *e)
{
    w->ended = bs_archive_ended(w->archive);
    if (w->open && w->used)
        return BS_ITEM_RECORD;
    if (w->segment == INSIDE)
        return bs_err_set(e, BS_EX_DATA, "archive stops before '__bs__/end'");
    return BS_ITEM_EOF;
}

int
bs_wds_next(struct bs_wds *w, struct bs_doc **doc, struct bs_err *e)
{
    int r = 0;

    *doc = &w->doc;
    clear(w);
    while (r == 0) {
        if (!w->pending && !w->finished) {
            r = bs_archive_next(w->archive, &w->member, e);
            if (r < 0)
                return r;
            w->pending = r > 0;
            w->finished = r == 0;
        }
        if (w->finished)
            return finish(w, e);
        r = use(w, e);
        if (r < 0)
            return bs_err_prefix(e, "member '%s'", w->member.name);
    }
    return r;
}

/* ---- life ------------------------------------------------------------------
 */

int
bs_wds_open(struct bs_wds **out, struct bs_archive *archive, size_t max_record,
            struct bs_err *e)
{
    struct bs_wds *w = bs_alloc_array(1, sizeof *w);

    *out = w;
    if (w == NULL) {
        bs_archive_close(archive);
        return bs_err_memory(e, "archive", sizeof *w);
    }
    w->archive = archive;
    w->max_record = max_record;
    return 0;
}

uint64_t
bs_wds_ignored(const struct bs_wds *w)
{
    return w->ignored;
}

bool
bs_wds_ended(const struct bs_wds *w)
{
    return w->ended;
}

void
bs_wds_close(struct bs_wds *w)
{
    size_t i;

    if (w == NULL)
        return;
    clear(w);
    for (i = 0; i < PARTS_MAX; i++)
        bs_buf_release(&w->part[i]);
    bs_keyset_release(&w->seen);
    bs_free(w->origin);
    bs_archive_close(w->archive);
    bs_free(w);
}
