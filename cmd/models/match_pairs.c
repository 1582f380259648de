/*
 * match_pairs.c - see match_pairs.h.
 */
#include "cmd/models/match_pairs.h"

#include <math.h>
#include <stdlib.h>

enum { CHUNK = 1024 /* pairs that a thread computes at once */ };

static uint64_t
key_of(uint32_t row, uint32_t col)
{
    return (uint64_t)row << 32 | col;
}

int
bs_match_pairs_add(struct bs_match_pairs *p, uint32_t row, uint32_t col,
                   struct bs_err *e)
{
    uint64_t key = key_of(row, col);

    return bs_buf_add(&p->fresh, &key, sizeof key, e);
}

int64_t
bs_match_cosine(const struct bs_atoms *rows, uint32_t row,
                const struct bs_atoms *cols, uint32_t col)
{
    return 2 * llround(bs_atoms_cosine(rows, row, cols, col) /
                       (2 * BS_COSINE_UNIT));
}

static int
compare_keys(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* Sort what was added and drop what is known or comes twice; how many are
 * left. */
static size_t
sort_fresh(struct bs_match_pairs *p)
{
    uint64_t *fresh = (uint64_t *)(void *)p->fresh.data;
    size_t n = p->fresh.len / sizeof *fresh, kept = 0, known = 0, i;

    qsort(fresh, n, sizeof *fresh, compare_keys);
    for (i = 0; i < n; i++) {
        while (known < p->count && p->key[known] < fresh[i])
            known++;
        if ((known < p->count && p->key[known] == fresh[i]) ||
            (kept > 0 && fresh[kept - 1] == fresh[i]))
            continue;
        fresh[kept++] = fresh[i];
    }
    return kept;
}

struct cosines {
    const struct bs_match_pairs *p;
    const uint64_t *key;
    int64_t *cosine;
    size_t n;
};

static void
compute_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct cosines *c = arg;
    size_t i = chunk * CHUNK, end = c->n - i < CHUNK ? c->n : i + CHUNK;

    (void)thread;
    for (; i < end; i++)
        c->cosine[i] = bs_match_cosine(c->p->rows, (uint32_t)(c->key[i] >> 32),
                                       c->p->cols, (uint32_t)c->key[i]);
}

/* Move the n new ones between the known ones, from behind. */
static void
merge(struct bs_match_pairs *p, const uint64_t *key, const int64_t *cosine,
      size_t n)
{
    size_t known = p->count, to = known + n;

    p->count = to;
    while (n > 0) {
        bool take = known == 0 || key[n - 1] > p->key[known - 1];

        to--;
        p->key[to] = take ? key[n - 1] : p->key[known - 1];
        p->cosine[to] = take ? cosine[n - 1] : p->cosine[known - 1];
        if (take)
            n--;
        else
            known--;
    }
}

/* Room for n more. */
static int
grow(struct bs_match_pairs *p, size_t n, struct bs_err *e)
{
    uint64_t *key = bs_alloc_array(p->count + n, sizeof *key);
    int64_t *cosine = bs_alloc_array(p->count + n, sizeof *cosine);

    if (key == NULL || cosine == NULL) {
        bs_free(key);
        bs_free(cosine);
        return bs_err_memory(e, "candidates", (p->count + n) * sizeof *key);
    }
    if (p->count > 0) {
        memcpy(key, p->key, p->count * sizeof *key);
        memcpy(cosine, p->cosine, p->count * sizeof *cosine);
    }
    bs_free(p->key);
    bs_free(p->cosine);
    p->key = key;
    p->cosine = cosine;
    return 0;
}

int
bs_match_pairs_settle(struct bs_match_pairs *p, struct bs_pool *pool,
                      struct bs_err *e)
{
    struct cosines c = {.p = p, .n = sort_fresh(p)};
    int r;

    c.key = (const uint64_t *)(const void *)p->fresh.data;
    c.cosine = bs_alloc_array(c.n, sizeof *c.cosine);
    r = c.cosine == NULL ? bs_err_memory(e, "candidates", c.n)
                         : grow(p, c.n, e);
    if (r == 0) {
        bs_pool_run(pool, c.n / CHUNK + (c.n % CHUNK != 0), compute_chunk, &c);
        merge(p, c.key, c.cosine, c.n);
        p->fresh.len = 0;
    }
    bs_free(c.cosine);
    return r;
}

int64_t
bs_match_pairs_get(const struct bs_match_pairs *p, uint32_t row, uint32_t col)
{
    uint64_t key = key_of(row, col);
    const uint64_t *at =
        bsearch(&key, p->key, p->count, sizeof *p->key, compare_keys);

    return p->cosine[at - p->key];
}

void
bs_match_pairs_release(struct bs_match_pairs *p)
{
    bs_free(p->key);
    bs_free(p->cosine);
    bs_buf_release(&p->fresh);
    *p = (struct bs_match_pairs){0};
}

/* ---- as a graph -----------------------------------------------------------
 */

int
bs_match_pairs_graph(const struct bs_match_pairs *p, bool magnitude,
                     struct bs_assign_graph *g, struct bs_err *e)
{
    size_t *ptr = bs_alloc_array(p->rows->count + 1, sizeof *ptr), i;
    uint32_t *col = bs_alloc_array(p->count, sizeof *col);
    int64_t *weight = bs_alloc_array(p->count, sizeof *weight);

    *g = (struct bs_assign_graph){p->rows->count, p->cols->count, ptr, col,
                                  weight};
    if (ptr == NULL || col == NULL || weight == NULL) {
        bs_match_graph_release(g);
        return bs_err_memory(e, "candidates", p->count * sizeof *weight);
    }
    for (i = 0; i < p->count; i++) {
        int64_t cosine = p->cosine[i];

        ptr[(p->key[i] >> 32) + 1]++;
        col[i] = (uint32_t)p->key[i];
        weight[i] = magnitude && cosine < 0 ? -cosine : cosine;
    }
    for (i = 0; i < g->rows; i++)
        ptr[i + 1] += ptr[i];
    return 0;
}

void
bs_match_graph_release(struct bs_assign_graph *g)
{
    bs_free(g->ptr);
    bs_free(g->col);
    bs_free(g->weight);
    *g = (struct bs_assign_graph){0};
}
