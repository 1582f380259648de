/*
 * sae_groups.c - see sae_groups.h.
 */
#include "kernels/sae_groups.h"

#include "common/mem.h"

static int
need_room(struct bs_group_sort *g, size_t places, size_t concepts,
          struct bs_err *e)
{
    if (g->token == NULL || places > g->room_places) {
        bs_free(g->token);
        bs_free(g->place);
        g->token = bs_alloc_array(places, sizeof *g->token);
        g->place = bs_alloc_array(places, sizeof *g->place);
        g->room_places = places;
    }
    if (g->counts == NULL || concepts > g->room_concepts) {
        bs_free(g->counts);
        bs_free(g->start);
        bs_free(g->head.atom);
        bs_free(g->head.size);
        g->counts = bs_alloc_array(concepts, sizeof *g->counts);
        g->start = bs_alloc_array(concepts + 1, sizeof *g->start);
        g->head.atom = bs_alloc_array(concepts, sizeof *g->head.atom);
        g->head.size = bs_alloc_array(concepts, sizeof *g->head.size);
        g->room_concepts = concepts;
    }
    if (g->token == NULL || g->place == NULL || g->counts == NULL ||
        g->start == NULL || g->head.atom == NULL || g->head.size == NULL)
        return bs_err_memory(e, "codes", places * sizeof *g->token);
    return 0;
}

/* Counting sort: counts become where the next code of a concept goes. */
static void
sort_codes(struct bs_group_sort *g, const struct bs_code_rows *codes,
           size_t concepts)
{
    size_t i, j, n = 0, sum = 0;

    memset(g->counts, 0, concepts * sizeof *g->counts);
    for (i = 0; i < g->head.places; i++)
        if (codes->idx[i] != BS_CODE_NONE)
            g->counts[codes->idx[i]]++;
    for (j = 0; j < concepts; j++) {
        uint32_t count = g->counts[j];

        g->counts[j] = (uint32_t)sum;
        if (count == 0)
            continue;
        g->head.atom[n] = (uint32_t)j;
        g->head.size[n] = count;
        g->start[n++] = (uint32_t)sum;
        sum += count;
    }
    g->start[n] = (uint32_t)sum;
    g->head.n = n;
    for (i = 0; i < codes->m; i++) {
        size_t first = codes->ptr != NULL ? codes->ptr[i] : i * codes->top;
        size_t end =
            codes->ptr != NULL ? codes->ptr[i + 1] : first + codes->top;

        for (; first < end; first++) {
            uint32_t at;

            if (codes->idx[first] == BS_CODE_NONE)
                continue;
            at = g->counts[codes->idx[first]]++;
            g->token[at] = (uint32_t)i;
            g->place[at] = (uint32_t)first;
        }
    }
}

int
bs_group_codes(struct bs_group_sort *g, const struct bs_code_rows *codes,
               size_t concepts, struct bs_err *e)
{
    size_t places =
        codes->ptr != NULL ? codes->ptr[codes->m] : codes->m * codes->top;
    int r;

    if (places >= UINT32_MAX || codes->m >= UINT32_MAX)
        return bs_err_set(e, BS_EX_SOFTWARE, "group: %zu codes", places);
    r = need_room(g, places, concepts, e);
    if (r < 0)
        return r;
    g->head.places = places;
    g->head.tokens = codes->m;
    sort_codes(g, codes, concepts);
    return 0;
}

void
bs_group_release(struct bs_group_sort *g)
{
    bs_free(g->head.atom);
    bs_free(g->head.size);
    bs_free(g->start);
    bs_free(g->token);
    bs_free(g->place);
    bs_free(g->counts);
}
