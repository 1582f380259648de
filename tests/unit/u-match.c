/*
 * u-match.c - matchings of dictionaries against those of all their pairs.
 */
#include "cmd/models/match.h"

#include <math.h>
#include <stdlib.h>

#include "cmd/models/match_pairs.h"
#include "common/mem.h"
#include "common/rng.h"
#include "tests/unit/tap.h"

static struct bs_dev *dev;
static struct bs_pool *pool;

/* The best mean over the complete graph. */
static double
best(const struct bs_atoms *rows, const struct bs_atoms *cols, bool magnitude)
{
    struct bs_match_pairs pairs = {.rows = rows, .cols = cols};
    struct bs_assign_graph g;
    struct bs_err e = {0};
    uint32_t *match = bs_alloc_array(rows->count, sizeof *match);
    int64_t *u = bs_alloc_array(rows->count, sizeof *u), sum = 0;
    int64_t *v = bs_alloc_array(cols->count, sizeof *v);
    bool solved;
    size_t i, j;

    for (i = 0; i < rows->count; i++) {
        match[i] = BS_ASSIGN_NONE;
        for (j = 0; j < cols->count; j++)
            if (bs_match_pairs_add(&pairs, (uint32_t)i, (uint32_t)j, &e) < 0)
                return NAN;
    }
    solved = bs_match_pairs_settle(&pairs, pool, &e) == 0 &&
             bs_match_pairs_graph(&pairs, magnitude, &g, &e) == 0;
    solved = solved && bs_assign(&g, match, u, v, &e) == 0;
    for (i = 0; i < rows->count && solved; i++) {
        int64_t cosine = bs_match_pairs_get(&pairs, (uint32_t)i, match[i]);

        sum += magnitude && cosine < 0 ? -cosine : cosine;
    }
    bs_match_graph_release(&g);
    bs_match_pairs_release(&pairs);
    bs_free(match);
    bs_free(u);
    bs_free(v);
    return solved ? (double)sum * BS_COSINE_UNIT / (double)rows->count : NAN;
}

/* Partners are a matching, and their cosines what they say. */
static bool
holds(const struct bs_matching *m, const struct bs_atoms *own,
      const struct bs_atoms *other, bool magnitude)
{
    size_t least = own->count < other->count ? own->count : other->count;
    bool *taken = bs_alloc_array(other->count, sizeof *taken), good = true;
    double sum = 0;
    size_t i, n = 0;

    for (i = 0; i < own->count && good; i++) {
        uint32_t j = m->partner[i];

        if (j == BS_MATCH_NONE) {
            good = isnan(m->cosine[i]);
            continue;
        }
        good = j < other->count && !taken[j] &&
               fabs(m->cosine[i] - bs_atoms_cosine(own, i, other, j)) <= 1e-10;
        taken[j] = true;
        sum += magnitude ? fabs(m->cosine[i]) : m->cosine[i];
        n++;
    }
    bs_free(taken);
    return good && n == least && fabs(sum / (double)n - m->mean) <= 1e-10;
}

/* What the lists are held against: all cosines. */
static bool
largest_hold(const struct bs_match *m, const struct bs_atoms *own,
             const struct bs_atoms *other)
{
    double all = -1, sum = 0;
    size_t i, j;

    for (i = 0; i < own->count; i++) {
        double most = -1;

        for (j = 0; j < other->count; j++)
            most = fmax(most, bs_atoms_cosine(own, i, other, j));
        all = fmax(all, most);
        sum += most;
    }
    return fabs(all - m->max) <= 1e-10 &&
           fabs(sum / (double)own->count - m->mean_own) <= 1e-10;
}

enum kind { NORMAL, HUBS, ZEROS, CLONES, OPPOSITE };
static const char *const kind_names[] = {"normal", "around a common direction",
                                         "many of length 0", "many alike",
                                         "the same, some of them opposite"};

static void
fill(float *w, size_t count, size_t width, enum kind kind, uint64_t seed)
{
    struct bs_rng rng;
    size_t i, c;

    bs_rng_init(&rng, kind == OPPOSITE ? 1 : seed, 9, 0);
    for (i = 0; i < count; i++) {
        double common = kind == HUBS ? 2 * fabs(bs_rng_normal(&rng)) : 0;
        bool same = kind == CLONES && i % 2 == 0;
        bool zero = kind == ZEROS && i % 3 > 0;
        /* Another order, and signs. */
        size_t to = kind == OPPOSITE && seed > 1 ? (i * 7 + 3) % count : i;
        double sign = kind == OPPOSITE && seed > 1 && i % 3 == 0 ? -1 : 1;

        for (c = 0; c < width; c++) {
            double x = bs_rng_normal(&rng) * (i % 4 == 3 ? 30 : 1);

            w[to * width + c] = zero   ? 0
                                : same ? (float)(c + 1)
                                       : (float)(sign * (x + common));
        }
    }
}

static void
match(size_t n, size_t k, size_t width, enum kind kind)
{
    /* Of clones the products in f32 leave open which is how good. */
    double most = kind == CLONES ? 1e-5 : 4 * BS_COSINE_UNIT;
    float *a = bs_alloc_array(n, width * sizeof *a);
    float *b = bs_alloc_array(k, width * sizeof *b);
    struct bs_match_options options = {{true, true}, NULL};
    struct bs_atoms own, other;
    struct bs_match m;
    struct bs_err e = {0};
    const struct bs_atoms *rows, *cols;
    bool matched;
    int i;

    fill(a, n, width, kind, 1);
    fill(b, k, width, kind, 2);
    matched = bs_atoms_open(&own, a, n, width, &e) == 0 &&
              bs_atoms_open(&other, b, k, width, &e) == 0 &&
              bs_match(&m, &own, &other, &options, dev, pool, &e) == 0;
    if (!ok(matched, "%zu and %zu atoms, %s: %u rounds%s", n, k,
            kind_names[kind], m.rounds, e.text))
        return;
    rows = n <= k ? &own : &other;
    cols = n <= k ? &other : &own;
    for (i = 0; i < BS_MATCH_KINDS; i++) {
        double want = best(rows, cols, i == BS_MATCH_SIGNED);

        ok(holds(&m.kind[i], &own, &other, i == BS_MATCH_SIGNED) &&
               fabs(m.kind[i].mean - want) <= m.kind[i].gap &&
               m.kind[i].gap <= most,
           "%s: %.6f, %.1e below the best at most", i == 0 ? "plain" : "signed",
           m.kind[i].mean, m.kind[i].gap);
    }
    ok(largest_hold(&m, &own, &other), "the largest cosines, %.6f on average",
       m.mean_own);
    bs_match_release(&m);
    bs_atoms_release(&own);
    bs_atoms_release(&other);
    bs_free(a);
    bs_free(b);
}

int
main(void)
{
    struct bs_err e = {0};
    int kind;

    if (bs_dev_open(&dev, "cpu", 2, &e) < 0 || bs_pool_open(&pool, 2, &e) < 0)
        return 1;
    match(1, 1, 3, NORMAL);
    match(1, 200, 3, NORMAL);
    match(5, 3, 1, NORMAL);
    for (kind = NORMAL; kind <= OPPOSITE; kind++) {
        match(150, 150, 12, (enum kind)kind);
        match(90, 140, 12, (enum kind)kind);
    }
    match(130, 70, 12, HUBS);
    bs_pool_close(pool);
    bs_dev_close(dev);
    return tap_done();
}
