/*
 * rank_top.c - see rank_top.h: the lists.
 */
#include "cmd/models/rank_top.h"

#include <math.h>

const char *const bs_side_names[BS_SIDES] = {"real", "gen"};

/* ---- opening -------------------------------------------------------------
 */

static int
make_lists(struct bs_tops *t, struct bs_err *e)
{
    size_t places;
    int side;

    if (!bs_mul(t->lists, t->places, &places))
        places = SIZE_MAX;
    for (side = 0; side < BS_SIDES; side++) {
        t->top[side] = bs_alloc_array(places, sizeof *t->top[side]);
        t->count[side] = bs_alloc_array(t->lists, sizeof *t->count[side]);
        if (t->top[side] == NULL || t->count[side] == NULL)
            return bs_err_memory(e, "top lists", places);
    }
    return 0;
}

int
bs_tops_init(struct bs_tops *t, uint32_t concepts, const uint32_t *list,
             size_t n, size_t places, struct bs_err *e)
{
    size_t i;

    t->concepts = concepts;
    t->places = places;
    t->lists = list != NULL ? n : concepts;
    t->concept = bs_alloc_array(t->lists, sizeof *t->concept);
    t->list_of = bs_alloc_array(concepts, sizeof *t->list_of);
    t->sum = bs_alloc_array(concepts, sizeof *t->sum);
    if (t->concept == NULL || t->list_of == NULL || t->sum == NULL)
        return bs_err_memory(e, "top lists", concepts);
    for (i = 0; i < concepts; i++)
        t->list_of[i] = (uint32_t)t->lists;
    for (i = 0; i < t->lists; i++) {
        t->concept[i] = list != NULL ? list[i] : (uint32_t)i;
        t->list_of[t->concept[i]] = (uint32_t)i;
    }
    return make_lists(t, e);
}

void
bs_tops_release(struct bs_tops *t)
{
    int side;

    bs_free(t->concept);
    bs_free(t->list_of);
    for (side = 0; side < BS_SIDES; side++) {
        bs_free(t->top[side]);
        bs_free(t->count[side]);
    }
    bs_buf_release(&t->heat);
    bs_buf_release(&t->values);
    bs_keyset_release(&t->keys);
    bs_buf_release(&t->at);
    bs_buf_release(&t->text);
    bs_free(t->sum);
    bs_codes_release(&t->codes);
    bs_doc_release(&t->segment);
    bs_doc_release(&t->parents);
    *t = (struct bs_tops){0};
}

/* ---- images --------------------------------------------------------------
 */

static const size_t *
places_of(const struct bs_tops *t, uint32_t image)
{
    return (const size_t *)(const void *)t->at.data + 2 * (size_t)image;
}

const char *
bs_tops_key(const struct bs_tops *t, uint32_t image)
{
    return (const char *)t->text.data + places_of(t, image)[0];
}

const char *
bs_tops_caption(const struct bs_tops *t, uint32_t image)
{
    return (const char *)t->text.data + places_of(t, image)[1];
}

static int
add_text(struct bs_tops *t, const char *s, struct bs_err *e)
{
    size_t at = t->text.len;
    int r = bs_buf_add(&t->at, &at, sizeof at, e);

    return r < 0 ? r : bs_buf_add(&t->text, s, strlen(s) + 1, e);
}

/* The number of an image's key; a new one with its caption. */
static int
number_of(struct bs_tops *t, const char *key, const char *caption,
          uint32_t *image, struct bs_err *e)
{
    uint64_t number;
    int r;

    if (bs_keyset_find(&t->keys, key, &number)) {
        *image = (uint32_t)number;
        return 0;
    }
    if (t->keys.count >= INT32_MAX)
        return bs_err_set(e, BS_EX_DATA, "too many images");
    *image = (uint32_t)t->keys.count;
    r = bs_keyset_add(&t->keys, key, *image, e);
    if (r > 0)
        r = add_text(t, key, e);
    return r < 0 ? r : add_text(t, caption != NULL ? caption : "", e);
}

/* ---- places --------------------------------------------------------------
 */

/* Does (score, key) come before the place? */
static bool
before(const struct bs_tops *t, double score, const char *key,
       const struct bs_top *top)
{
    if (score != top->score)
        return score > top->score;
    return strcmp(key, bs_tops_key(t, top->image)) < 0;
}

int
bs_tops_offer(struct bs_tops *t, enum bs_side side, size_t list,
              const char *key, const char *caption, double score, double other,
              struct bs_err *e)
{
    struct bs_top *top = t->top[side] + list * t->places;
    uint32_t *count = &t->count[side][list], image = 0;
    size_t at = *count, i;
    int r;

    while (at > 0 && before(t, score, key, &top[at - 1]))
        at--;
    if (at == t->places)
        return 0;
    r = number_of(t, key, caption, &image, e);
    if (r < 0)
        return r;
    for (i = 0; i < *count; i++)
        if (top[i].image == image)
            return bs_err_set(e, BS_EX_DATA, "the key comes twice");
    *count += *count < t->places;
    memmove(top + at + 1, top + at, (*count - at - 1) * sizeof *top);
    top[at] = (struct bs_top){.score = score,
                              .other = other,
                              .image = image,
                              .heat = {BS_TOP_NO_HEAT, BS_TOP_NO_HEAT}};
    return 0;
}
