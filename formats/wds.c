/*
 * wds.c - see wds.h: reading.  wds_write.c writes.
 *
 * A record is complete when a member of another key comes; a key that comes
 * back later would be half a record twice, and is an error.  Memory: one
 * record, and every key.
 */
#include "formats/wds.h"

#include "formats/digest.h"
#include "formats/json.h"
#include "formats/keyset.h"
#include "formats/stream.h"
#include "formats/wds_parts.h"

enum { HASH_CHARS = 16 };

struct bs_wds {
    struct bs_archive *archive;
    size_t max_record;
    struct bs_member member; /* the one in hand */
    bool pending;            /* it is not used yet */
    bool finished;           /* there are no more */
    bool ended;
    enum { OUTSIDE, INSIDE } segment; /* of __bs__/head and __bs__/end */
    uint64_t ignored;

    struct bs_wds_parts parts; /* the head, record or end, as lent */
    bool open;                 /* a record is being collected */
    bool used;                 /* and one of its members meant something */
    char *origin; /* its path as the archive has it, up to the dot */
    size_t origin_len;
    char key[BS_WDS_KEY_SIZE];
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

/* ---- records ---------------------------------------------------------------
 */

/* Forget the record. */
static void
clear(struct bs_wds *w)
{
    bs_wds_clear(&w->parts, w->max_record);
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
        r = bs_doc_set(&w->parts.doc, "key", w->key, e);
    if (r == 0 && !same && is_text(w->origin))
        r = bs_doc_set(&w->parts.doc, "orig_key", w->origin, e);
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
    r = bs_wds_load(&w->parts, SIZE_MAX, &part, e);
    if (r == 0)
        r = bs_doc_parse(&w->parts.doc, part->data, part->len,
                         &bs_doc_limits_head, e);
    if (r == 0 && bs_doc_meta(&w->parts.doc, mark) == NULL)
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
        r = bs_wds_add(&w->parts, ext, e);
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

    *doc = &w->parts.doc;
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
        if (r < 0 && strncmp(e->text, "member ", 7) != 0)
            bs_err_prefix(e, "member '%.200s'", w->member.name);
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
    w->archive = w->parts.archive = archive;
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
    if (w == NULL)
        return;
    bs_wds_release(&w->parts);
    bs_keyset_release(&w->seen);
    bs_free(w->origin);
    bs_archive_close(w->archive);
    bs_free(w);
}
