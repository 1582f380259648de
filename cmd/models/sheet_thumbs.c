/*
 * sheet_thumbs.c - see sheet_thumbs.h.
 */
#include "cmd/models/sheet_thumbs.h"

#include "cmd/models/preprocess.h"

int
bs_thumbs_ask(struct bs_thumbs *t, const char *key, struct bs_err *e)
{
    int r = bs_keyset_add(&t->keys, key, t->keys.count, e);

    return r < 0 ? r : 0;
}

static int
make_room(struct bs_thumbs *t, size_t most, struct bs_err *e)
{
    size_t bytes;

    if (!bs_mul(t->keys.count, t->side * t->side * 3, &bytes))
        bytes = SIZE_MAX;
    if (bytes > most)
        return bs_err_set(e, BS_EX_USAGE,
                          "%zu pictures of %zu pixels a side take %zu bytes, "
                          "more than '--memory': list fewer concepts or images",
                          t->keys.count, t->side, bytes);
    t->rgb = bs_alloc(bytes);
    t->state = bs_alloc_array(t->keys.count, 1);
    return t->rgb != NULL && t->state != NULL
               ? 0
               : bs_err_memory(e, "pictures", bytes);
}

static int
take_record(struct bs_thumbs *t, const struct bs_doc *rec, struct bs_err *e)
{
    const struct bs_preprocess usual = {8, 7};
    const struct bs_preprocess *sight = t->sight.size > 0 ? &t->sight : &usual;
    const struct bs_preprocess centre = {t->side * sight->resize / sight->size,
                                         t->side};
    enum bs_image_status status = BS_IMAGE_NOT_IMAGE;
    struct bs_tensor image;
    struct bs_err bad = {0};
    uint64_t i;

    if (!bs_keyset_find(&t->keys, bs_doc_meta(rec, "key"), &i))
        return 0;
    if (bs_preprocess_find(rec, &image))
        status = bs_preprocess_run(&centre, &image,
                                   t->rgb + i * t->side * t->side * 3, &bad);
    if (bad.code == BS_EX_OSERR) {
        *e = bad;
        return -BS_EX_OSERR;
    }
    t->state[i] = status == BS_IMAGE_OK ? BS_THUMB_OK : BS_THUMB_BAD;
    return 0;
}

static int
on_item(void *arg, int item, const struct bs_doc *doc, struct bs_err *e)
{
    const char *kind;

    if (item == BS_ITEM_RECORD)
        return take_record(arg, doc, e);
    kind = item == BS_ITEM_HEAD ? bs_doc_meta(doc, "bs.kind") : NULL;
    if (kind != NULL && strcmp(kind, "image") != 0)
        return bs_err_set(e, BS_EX_DATA,
                          "holds records of kind '%.40s', not 'image'", kind);
    return 0;
}

int
bs_thumbs_load(struct bs_thumbs *t, const char *path,
               const struct bs_rank_input *in, struct bs_err *e)
{
    size_t i;
    int r = make_room(t, in->max_record, e);

    if (r == 0)
        r = bs_rank_scan(path, in, on_item, t, e);
    for (i = 0; r == 0 && i < t->keys.count; i++) {
        t->bad += t->state[i] == BS_THUMB_BAD;
        t->absent += t->state[i] == BS_THUMB_ABSENT;
    }
    return r;
}

enum bs_thumb_state
bs_thumbs_get(const struct bs_thumbs *t, const char *key, const uint8_t **rgb)
{
    uint64_t i;

    if (!bs_keyset_find(&t->keys, key, &i))
        return BS_THUMB_ABSENT;
    *rgb = t->rgb + i * t->side * t->side * 3;
    return (enum bs_thumb_state)t->state[i];
}

void
bs_thumbs_release(struct bs_thumbs *t)
{
    bs_keyset_release(&t->keys);
    bs_free(t->state);
    bs_free(t->rgb);
    *t = (struct bs_thumbs){0};
}
