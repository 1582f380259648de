/*
 * rank_top_file.c - see rank_top.h: lists of a part, written and merged.
 *
 * A record a side, its key real or gen.  Tensors: ptr U32 [concepts + 1], the
 * places of each concept; score and other F64 and image U32 [places]; and of
 * the images, in the order in which the places name them: key_ptr U64
 * [images + 1] in key U8, caption_ptr U64 [images + 1] in caption U8.
 */
#include <math.h>

#include "cmd/models/rank_top.h"
#include "common/num.h"
#include "formats/utf8.h"

/* ---- writing -------------------------------------------------------------
 */

/* The tensors of one side. */
struct side {
    struct bs_buf ptr, score, other, image;
    struct bs_buf key_ptr, key, caption_ptr, caption;
    uint32_t *number; /* [images of the tops]: number here plus 1, or 0 */
    uint32_t images;
};

static void
side_release(struct side *s)
{
    bs_buf_release(&s->ptr);
    bs_buf_release(&s->score);
    bs_buf_release(&s->other);
    bs_buf_release(&s->image);
    bs_buf_release(&s->key_ptr);
    bs_buf_release(&s->key);
    bs_buf_release(&s->caption_ptr);
    bs_buf_release(&s->caption);
    bs_free(s->number);
}

/* Append a text, and where it ends. */
static int
add_text(struct bs_buf *ptr, struct bs_buf *text, const char *s,
         struct bs_err *e)
{
    uint64_t end = text->len + strlen(s);
    int r = bs_buf_str(text, s, e);

    return r < 0 ? r : bs_buf_add(ptr, &end, sizeof end, e);
}

static int
add_place(struct side *s, const struct bs_tops *t, const struct bs_top *top,
          struct bs_err *e)
{
    uint32_t image;
    int r = 0;

    if (s->number[top->image] == 0) {
        s->number[top->image] = ++s->images;
        r = add_text(&s->key_ptr, &s->key, bs_tops_key(t, top->image), e);
        if (r == 0)
            r = add_text(&s->caption_ptr, &s->caption,
                         bs_tops_caption(t, top->image), e);
    }
    image = s->number[top->image] - 1;
    if (r == 0)
        r = bs_buf_add(&s->score, &top->score, sizeof top->score, e);
    if (r == 0)
        r = bs_buf_add(&s->other, &top->other, sizeof top->other, e);
    return r < 0 ? r : bs_buf_add(&s->image, &image, sizeof image, e);
}

/* All places of a side, and where each concept's end. */
static int
gather(struct side *s, const struct bs_tops *t, enum bs_side side,
       struct bs_err *e)
{
    static const uint64_t none = 0;
    uint32_t places = 0;
    size_t list, i;
    int r = bs_buf_add(&s->ptr, &places, sizeof places, e);

    if (r == 0)
        r = bs_buf_add(&s->key_ptr, &none, sizeof none, e);
    if (r == 0)
        r = bs_buf_add(&s->caption_ptr, &none, sizeof none, e);
    for (list = 0; list < t->lists && r == 0; list++) {
        const struct bs_top *top = t->top[side] + list * t->places;

        for (i = 0; i < t->count[side][list] && r == 0; i++)
            r = add_place(s, t, &top[i], e);
        places += t->count[side][list];
        if (r == 0)
            r = bs_buf_add(&s->ptr, &places, sizeof places, e);
    }
    return r;
}

static int
put(struct bs_doc *rec, const char *name, enum bs_dtype dtype,
    const struct bs_buf *b, struct bs_err *e)
{
    uint64_t n = b->len / bs_dtype_size(dtype);

    return bs_doc_put(rec, name, dtype, 1, &n, b->data, e);
}

static int
build(struct bs_doc *rec, const struct side *s, const char *key,
      struct bs_err *e)
{
    int r = bs_doc_set(rec, "key", key, e);

    if (r == 0)
        r = bs_doc_set(rec, "table", "top", e);
    if (r == 0)
        r = put(rec, "ptr", BS_DTYPE_U32, &s->ptr, e);
    if (r == 0)
        r = put(rec, "score", BS_DTYPE_F64, &s->score, e);
    if (r == 0)
        r = put(rec, "other", BS_DTYPE_F64, &s->other, e);
    if (r == 0)
        r = put(rec, "image", BS_DTYPE_U32, &s->image, e);
    if (r == 0)
        r = put(rec, "key_ptr", BS_DTYPE_U64, &s->key_ptr, e);
    if (r == 0)
        r = put(rec, "key", BS_DTYPE_U8, &s->key, e);
    if (r == 0)
        r = put(rec, "caption_ptr", BS_DTYPE_U64, &s->caption_ptr, e);
    return r < 0 ? r : put(rec, "caption", BS_DTYPE_U8, &s->caption, e);
}

static int
write_side(const struct bs_tops *t, enum bs_side side, bs_tops_record_fn *fn,
           void *arg, struct bs_err *e)
{
    struct side s = {.number = bs_alloc_array(t->keys.count, sizeof *s.number)};
    struct bs_doc rec = {0};
    int r = s.number != NULL ? gather(&s, t, side, e)
                             : bs_err_memory(e, "images", t->keys.count);

    if (r == 0)
        r = build(&rec, &s, bs_side_names[side], e);
    if (r == 0)
        r = fn(arg, &rec, e);
    bs_doc_release(&rec);
    side_release(&s);
    return r;
}

int
bs_tops_write(const struct bs_tops *t, bs_tops_record_fn *fn, void *arg,
              struct bs_err *e)
{
    int r = write_side(t, BS_SIDE_REAL, fn, arg, e);

    return r < 0 ? r : write_side(t, BS_SIDE_GEN, fn, arg, e);
}

int
bs_tops_describe(const struct bs_tops *t, struct bs_doc *head, struct bs_err *e)
{
    int r = bs_doc_set(head, "partial", "1", e);

    if (r == 0)
        r = bs_doc_setf(head, "concepts", e, "%ju", (uintmax_t)t->concepts);
    if (r == 0)
        r = bs_doc_setf(head, "places", e, "%zu", t->places);
    if (r == 0 && t->head.model[0] != '\0')
        r = bs_doc_setf(head, "bs.model", e, "{\"sha256\":\"%s\"}",
                        t->head.model);
    return r;
}

/* ---- merging -------------------------------------------------------------
 */

/* A record as it came, checked. */
struct part {
    const uint32_t *ptr, *image;
    const double *score, *other;
    const uint64_t *key_ptr, *caption_ptr;
    const char *key, *caption;
    size_t places, images;
};

static size_t
length_of(const struct bs_doc *rec, const char *name)
{
    const struct bs_tensor *t = bs_doc_tensor(rec, name);

    return t != NULL && t->rank == 1 ? (size_t)t->shape[0] : 0;
}

/* A tensor that must be there. */
static const void *
get(const struct bs_doc *rec, const char *name, enum bs_dtype dtype, size_t n,
    struct bs_err *e)
{
    bool wrong = e->code != 0;
    const void *data =
        wrong ? NULL : bs_rank_values(rec, name, dtype, n, &wrong, e);

    if (data == NULL && !wrong)
        (void)bs_err_set(e, BS_EX_DATA, "'%s' is missing", name);
    return data;
}

/* Do the offsets ascend from 0 to the end? */
static bool
ascends(const uint64_t *ptr, size_t n, uint64_t end)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (ptr[i] > ptr[i + 1])
            return false;
    return ptr[0] == 0 && ptr[n] == end;
}

static int
read_part(struct part *p, const struct bs_doc *rec, uint32_t concepts,
          struct bs_err *e)
{
    size_t keys = length_of(rec, "key"), captions = length_of(rec, "caption");

    p->places = length_of(rec, "score");
    p->images = length_of(rec, "key_ptr");
    p->images -= p->images > 0;
    p->ptr = get(rec, "ptr", BS_DTYPE_U32, (size_t)concepts + 1, e);
    p->score = get(rec, "score", BS_DTYPE_F64, p->places, e);
    p->other = get(rec, "other", BS_DTYPE_F64, p->places, e);
    p->image = get(rec, "image", BS_DTYPE_U32, p->places, e);
    p->key_ptr = get(rec, "key_ptr", BS_DTYPE_U64, p->images + 1, e);
    p->caption_ptr = get(rec, "caption_ptr", BS_DTYPE_U64, p->images + 1, e);
    p->key = get(rec, "key", BS_DTYPE_U8, keys, e);
    p->caption = get(rec, "caption", BS_DTYPE_U8, captions, e);
    if (e->code != 0)
        return -e->code;
    if (!ascends(p->key_ptr, p->images, keys) ||
        !ascends(p->caption_ptr, p->images, captions))
        return bs_err_set(e, BS_EX_DATA, "keys or captions do not fit");
    return 0;
}

/* len bytes as a text: UTF-8 without NUL, in `out`. */
static int
copy_text(struct bs_buf *out, const char *s, size_t len, struct bs_err *e)
{
    size_t at = 0, n;
    int r;

    while (at < len && s[at] != '\0' &&
           (n = bs_utf8_length(s + at, len - at)) > 0)
        at += n;
    if (at < len)
        return bs_err_set(e, BS_EX_DATA, "a key or caption is no text");
    out->len = 0;
    r = bs_buf_add(out, s, len, e);
    return r < 0 ? r : bs_buf_add(out, "", 1, e);
}

struct merging {
    struct bs_tops *tops;
    struct bs_buf key, caption;
};

static int
merge_place(struct merging *m, const struct part *p, enum bs_side side,
            size_t list, size_t i, struct bs_err *e)
{
    uint32_t image = p->image[i];
    int r;

    if (image >= p->images || !(p->score[i] > 0) || isinf(p->score[i]) ||
        p->other[i] < 0 || isinf(p->other[i]))
        return bs_err_set(e, BS_EX_DATA,
                          "place %zu: image %ju, scores %g and %g", i,
                          (uintmax_t)image, p->score[i], p->other[i]);
    r = copy_text(&m->key, p->key + p->key_ptr[image],
                  (size_t)(p->key_ptr[image + 1] - p->key_ptr[image]), e);
    if (r == 0)
        r = copy_text(
            &m->caption, p->caption + p->caption_ptr[image],
            (size_t)(p->caption_ptr[image + 1] - p->caption_ptr[image]), e);
    if (r == 0 && !bs_key_valid((const char *)m->key.data))
        r = bs_err_set(e, BS_EX_DATA, "place %zu: no valid key", i);
    if (r < 0)
        return r;
    r = bs_tops_offer(m->tops, side, list, (const char *)m->key.data,
                      (const char *)m->caption.data, p->score[i], p->other[i],
                      e);
    return r < 0 ? bs_err_prefix(e, "'%s'", (const char *)m->key.data) : 0;
}

static int
merge_record(struct merging *m, const struct bs_doc *rec, struct bs_err *e)
{
    struct bs_tops *t = m->tops;
    const char *key = bs_doc_meta(rec, "key");
    enum bs_side side = BS_SIDE_REAL;
    struct part p = {0};
    size_t list, i;
    int r;

    while (side < BS_SIDES && strcmp(key, bs_side_names[side]) != 0)
        side++;
    if (side == BS_SIDES)
        return bs_err_set(e, BS_EX_DATA, "is no list of images");
    r = read_part(&p, rec, t->concepts, e);
    for (list = 0; list < t->lists && r == 0; list++) {
        uint32_t k = t->concept[list];

        if (p.ptr[k] > p.ptr[k + 1] || p.ptr[k + 1] > p.places)
            r = bs_err_set(e, BS_EX_DATA, "concept %ju: places %ju to %ju",
                           (uintmax_t)k, (uintmax_t)p.ptr[k],
                           (uintmax_t)p.ptr[k + 1]);
        for (i = p.ptr[k]; r == 0 && i < p.ptr[k + 1]; i++)
            r = merge_place(m, &p, side, list, i, e);
    }
    return r;
}

static int
merge_head(struct merging *m, const struct bs_doc *head, struct bs_err *e)
{
    struct bs_tops *t = m->tops;
    const char *kind = bs_doc_meta(head, "bs.kind");
    const char *concepts = bs_doc_meta(head, "concepts");
    const char *places = bs_doc_meta(head, "places");
    struct bs_codes_head h = {0};
    uint64_t n, room;
    int r;

    if (kind == NULL || strcmp(kind, BS_TOPS_KIND) != 0)
        return bs_err_set(e, BS_EX_DATA,
                          "holds records of kind '%.40s', not parts of "
                          "bs-rank",
                          kind != NULL ? kind : "unknown");
    if (concepts == NULL || places == NULL ||
        bs_num_u64(concepts, 1, BS_CODES_CONCEPTS_MAX, &n) != NULL ||
        bs_num_u64(places, 1, BS_TOP_MAX, &room) != NULL)
        return bs_err_set(e, BS_EX_DATA,
                          "its head says no 'concepts' and 'places'");
    if (room < t->places)
        return bs_err_set(e, BS_EX_DATA,
                          "has the top %ju of each concept, not %zu",
                          (uintmax_t)room, t->places);
    r = bs_rank_dictionary(h.model, head, e);
    h.concepts = (uint32_t)n;
    if (r == 0)
        r = bs_codes_same(&t->head, &h, e);
    if (r == 0 && t->head.model[0] == '\0')
        t->head = h;
    return r;
}

static int
merge_item(void *arg, int item, const struct bs_doc *doc, struct bs_err *e)
{
    if (item == BS_ITEM_HEAD)
        return merge_head(arg, doc, e);
    return item == BS_ITEM_RECORD ? merge_record(arg, doc, e) : 0;
}

int
bs_tops_merge(struct bs_tops *t, const char *path,
              const struct bs_rank_input *in, struct bs_err *e)
{
    struct merging m = {.tops = t};
    int r = bs_rank_scan(path, in, merge_item, &m, e);

    bs_buf_release(&m.key);
    bs_buf_release(&m.caption);
    return r;
}
