/*
 * sight.c - see sight.h.
 */
#include "cmd/models/sight.h"

#include "formats/json.h"

/* What is taken from a head: pixels, and times that an image is larger than
 * what is seen of it. */
enum { SIGHT_MAX = 1 << 20, SIGHT_WIDEST = 8 };

/* From the first parent whose parameters say it; a parent before its own. */
static bool
find_sight(struct bs_preprocess *to, const struct bs_json *parents)
{
    const struct bs_json *at, *params;
    uint64_t resize, size;

    for (at = parents != NULL ? parents->child : NULL; at != NULL;
         at = at->next) {
        params = bs_json_get(at, "params");
        if (bs_json_get_u64(params, "resize", SIGHT_MAX, &resize) &&
            bs_json_get_u64(params, "size", SIGHT_MAX, &size) && size > 0 &&
            resize >= size && resize <= SIGHT_WIDEST * size) {
            *to = (struct bs_preprocess){(size_t)resize, (size_t)size};
            return true;
        }
        if (find_sight(to, bs_json_get(at, "parents")))
            return true;
    }
    return false;
}

void
bs_sight_find(struct bs_preprocess *to, const struct bs_doc *head)
{
    const char *text = bs_doc_meta(head, "bs.parents");
    struct bs_json_doc *json = NULL;
    struct bs_err e = {0};

    if (text == NULL || bs_json_parse(&json, text, strlen(text), 0, &e) < 0)
        return;
    (void)find_sight(to, bs_json_root(json));
    bs_json_free(json);
}
