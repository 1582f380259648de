/*
 * rank_pairs.c - see rank_pairs.h.
 */
#include "cmd/models/rank_pairs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int
by_key(const struct bs_distant *x, const struct bs_distant *y)
{
    int c = strcmp(x->key, y->key);

    return c != 0 ? c : x->pair < y->pair ? -1 : x->pair > y->pair;
}

static int
far_first(const void *a, const void *b)
{
    const struct bs_distant *x = a, *y = b;

    return x->l2 != y->l2 ? (x->l2 > y->l2 ? -1 : 1) : by_key(x, y);
}

static int
near_first(const void *a, const void *b)
{
    const struct bs_distant *x = a, *y = b;

    return x->l2 != y->l2 ? (x->l2 < y->l2 ? -1 : 1) : by_key(x, y);
}

int
bs_rank_distances(struct bs_distant **out, size_t *count,
                  const struct bs_rank_energy *en, size_t model,
                  const struct bs_rank_options *o, bool identical,
                  struct bs_err *e)
{
    const double *l2 = (const double *)(const void *)en->pairs.l2.data;
    struct bs_distant *d = bs_alloc_array(en->pairs.count, sizeof *d);
    size_t n = 0, i;

    *out = d;
    if (d == NULL)
        return bs_err_memory(e, "pairs", en->pairs.count);
    for (i = 0; i < en->pairs.count; i++)
        if (!isnan(l2[i * en->models + model]))
            d[n++] = (struct bs_distant){l2[i * en->models + model],
                                         bs_rank_pair_key(en, i), i};
    qsort(d, n, sizeof *d, identical ? near_first : far_first);
    *count = n < o->limit ? n : (size_t)o->limit;
    return 0;
}
