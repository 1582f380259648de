/*
 * u-cooc.c - a case worked by hand; the golden case of NumPy and SciPy; sums
 * that need 128 bits; memory, file, ranges and threads; rows of parts.
 */
#include "cmd/models/cooc_input.h"
#include "cmd/models/cooc_run.h"
#include "cmd/models/cooc_spectrum.h"
#include "common/mem.h"
#include "common/rng.h"
#include "common/stop.h"
#include "formats/safetensors.h"
#include "kernels/gram.h"
#include "tests/unit/tap.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static struct bs_pool *pool;
static char root[900];

static bool
every(void *command, const char *key)
{
    (void)command;
    (void)key;
    return true;
}

static void *
need(void *p)
{
    if (p == NULL)
        exit(1);
    return p;
}

static int
near(double got, double want, double tolerance)
{
    if (isnan(want))
        return isnan(got);
    return fabs(got - want) <= tolerance * fmax(1, fabs(want));
}

/* ---- G as a whole --------------------------------------------------------
 */

/* What bs_cooc_run gives of n sets, G made dense. */
struct whole {
    size_t n;
    uint32_t concepts;
    struct bs_cooc_margin *margin;
    struct bs_cooc_table *table;
    double *sum, *count; /* [n][concepts][concepts], the upper triangle */
    uint32_t last;       /* concept, and set, given last */
    size_t last_set;
    int in_order;
};

static int
take_row(void *arg, size_t set, uint32_t concept,
         const struct bs_cooc_pair *pair, size_t n, struct bs_err *e)
{
    struct whole *w = arg;
    size_t i, at = (set * w->concepts + concept) * w->concepts;

    (void)e;
    w->in_order &=
        concept > w->last || (concept == w->last && set >= w->last_set);
    w->last = concept;
    w->last_set = set;
    for (i = 0; i < n; i++) {
        w->in_order &= pair[i].concept >= concept &&
                       (i == 0 || pair[i].concept > pair[i - 1].concept);
        w->sum[at + pair[i].concept] = pair[i].sum;
        w->count[at + pair[i].concept] = pair[i].count;
    }
    return 0;
}

static int
count_whole(struct whole *w, const struct bs_cooc_set *sets, size_t n,
            struct bs_cooc_config *config, unsigned threads, size_t memory,
            struct bs_err *e)
{
    size_t square = (size_t)config->concepts * config->concepts;
    int r;

    *w = (struct whole){.n = n, .concepts = config->concepts, .in_order = 1};
    w->margin = need(bs_alloc_array(n, sizeof *w->margin));
    w->table = need(bs_alloc_array(n, sizeof *w->table));
    w->sum = need(bs_alloc_array(n * square, sizeof *w->sum));
    w->count = need(bs_alloc_array(n * square, sizeof *w->count));
    bs_cooc_config_taus(config);
    r = bs_cooc_margins(w->margin, sets, n, config->concepts, pool, e);
    return r < 0 ? r
                 : bs_cooc_run(w->table, sets, w->margin, n, config, threads,
                               memory, take_row, w, e);
}

static void
whole_release(struct whole *w)
{
    size_t s;

    for (s = 0; s < w->n; s++) {
        bs_cooc_margin_release(&w->margin[s]);
        bs_cooc_table_release(&w->table[s]);
    }
    bs_free(w->margin);
    bs_free(w->table);
    bs_free(w->sum);
    bs_free(w->count);
}

/* Entries above threshold t, whole matrix and i < j. */
static void
above(const struct bs_cooc_hist *h, size_t t, size_t taus, double *l0,
      double *pairs)
{
    *l0 = *pairs = 0;
    for (t++; t <= taus; t++) {
        *pairs += (double)h->pairs[t];
        *l0 += 2 * (double)h->pairs[t] + (double)h->diagonal[t];
    }
}

/* ---- by hand -------------------------------------------------------------
 */

static void
add(struct bs_cooc_set *set, struct bs_cooc_store *store, const char *key,
    uint32_t tokens, const uint64_t *entry, const uint32_t *len, uint32_t rows)
{
    struct bs_cooc_rows r = {
        .tokens = tokens, .rows = rows, .entry = entry, .len = len};
    struct bs_err e = {0};
    uint32_t i;

    for (i = 0; i < rows; i++)
        r.entries += len[i];
    if (bs_cooc_set_add(set, store, key, &r, &e) < 0) {
        ok(0, "add: %s", e.text);
        exit(1);
    }
}

/*
 * Four tokens: (1, 2, 0), (1/2, 0, 0), (0, 2, 1) and none.  G is 1.25 2 0 / 2 8
 * 2 / 0 2 1; concepts fire in 2, 2 and 1 tokens.
 */
static void
by_hand(size_t budget)
{
    static const uint32_t len[] = {2, 1, 2};
    const uint64_t one = (uint64_t)1 << 24;
    const uint64_t entry[] = {bs_gram_entry(0, one), bs_gram_entry(1, 2 * one),
                              bs_gram_entry(0, one / 2),
                              bs_gram_entry(1, 2 * one), bs_gram_entry(2, one)};
    struct bs_cooc_store store = {.budget = budget};
    struct bs_cooc_set set = {0};
    struct bs_cooc_config c = {.concepts = 3,
                               .tau = {0, 0.25, 0.3, 2},
                               .taus = 4,
                               .partners = 2,
                               .support = 1};
    struct bs_cooc_side side = {4, NULL};
    struct bs_krylov k = {0};
    struct whole w;
    struct bs_err e = {0};
    double l0, pairs;
    int bad;

    add(&set, &store, "b", 2, entry, len, 2);
    add(&set, &store, "a", 2, entry + 3, len + 2, 1);
    bad = bs_cooc_sets_order(&set, 1, true, &e);
    bad |= bs_cooc_sets_check(&set, 1, &e);
    bad |= count_whole(&w, &set, 1, &c, 1, 1 << 20, &e);
    bad |= bs_cooc_spectrum(&k, &set, 3, 3, 1e-9, pool, &e);
    if (!ok(bad == 0 && set.rows == 4 && set.count == 2 &&
                strcmp(bs_cooc_set_key(&set, 0), "a") == 0,
            "by hand, %zu bytes of memory %s", budget, e.text))
        return;
    ok(w.in_order && w.sum[0] == 1.25 && w.sum[1] == 2 && w.sum[2] == 0 &&
           w.sum[4] == 8 && w.sum[5] == 2 && w.sum[8] == 1 && w.sum[3] == 0,
       "sums: %g %g %g %g %g", w.sum[0], w.sum[1], w.sum[4], w.sum[5],
       w.sum[8]);
    ok(w.count[0] == 2 && w.count[1] == 1 && w.count[4] == 2 &&
           w.count[5] == 1 && w.count[8] == 1,
       "counts");
    ok(w.margin[0].fires[0] == 2 && w.margin[0].sum[0] == 1.5 &&
           w.margin[0].sum[1] == 4 && w.margin[0].square[1] == 8,
       "margins");
    above(&w.table[0].hists.own, 0, 4, &l0, &pairs);
    ok(l0 == 7 && pairs == 2, "7 entries above 0, 2 of them pairs");
    above(&w.table[0].hists.own, 1, 4, &l0, &pairs);
    ok(l0 == 6 && pairs == 2, "1/4 is not above 1/4");
    above(&w.table[0].hists.own, 2, 4, &l0, &pairs);
    ok(l0 == 6 && pairs == 2, "5/16 is above 0.3");
    above(&w.table[0].hists.own, 3, 4, &l0, &pairs);
    ok(l0 == 0, "nothing is above 2");
    side.margin = &w.margin[0];
    ok(w.table[0].partners[BS_COOC_COSINE].idx[2] == 2 &&
           w.table[0].partners[BS_COOC_COSINE].idx[3] == 0 &&
           near(w.table[0].partners[BS_COOC_COSINE].value[2], 2 / sqrt(8),
                1e-15) &&
           near(w.table[0].partners[BS_COOC_COSINE].value[3], 2 / sqrt(10),
                1e-15),
       "partners of 1 by cosine: 2, 0");
    ok(w.table[0].partners[BS_COOC_LIFT].value[2] == 2 &&
           w.table[0].partners[BS_COOC_LIFT].value[3] == 1 &&
           w.table[0].partners[BS_COOC_JACCARD].value[2] == 0.5 &&
           near(w.table[0].partners[BS_COOC_JACCARD].value[3], 1.0 / 3, 1e-15),
       "their lift 2 and 1, jaccard 1/2 and 1/3");
    ok(w.table[0].partners[BS_COOC_COUNT].idx[2] == 0 &&
           w.table[0].partners[BS_COOC_COUNT].idx[3] == 2 &&
           w.table[0].partners[BS_COOC_COUNT].idx[1] == UINT32_MAX,
       "equal counts by index; 0 has one partner");
    ok(bs_cooc_value(&side, BS_COOC_COSINE, 1,
                     &(struct bs_cooc_pair){1, 2, 8}) == 1,
       "cosine with itself is 1");
    /* trace 10.25/4; det of G is 1.25 (8 - 4) - 2 2 1 = 1 */
    ok(k.found == 3 &&
           near(k.value[0] + k.value[1] + k.value[2], 10.25 / 4, 1e-14) &&
           near(k.value[0] * k.value[1] * k.value[2], 1.0 / 64, 1e-13),
       "eigenvalues: their sum and product");
    bs_krylov_release(&k);
    whole_release(&w);
    bs_cooc_set_release(&set);
    bs_cooc_store_close(&store);
}

/* 1000 rows of two values just below 65536: 2^80 each, 90 bits in all. */
static void
large_values(void)
{
    enum { ROWS = 1000 };
    static uint64_t entry[2 * ROWS];
    static uint32_t len[ROWS];
    const uint64_t x = BS_GRAM_VALUE_MAX - 4, y = BS_GRAM_VALUE_MAX;
    struct bs_cooc_store store = {.budget = 1 << 30};
    struct bs_cooc_set set = {0};
    struct bs_cooc_config c = {.concepts = 2, .taus = 1, .support = 1};
    struct whole w;
    struct bs_err e = {0};
    __extension__ unsigned __int128 want = (unsigned __int128)x * y * ROWS;
    size_t i;
    int bad;

    for (i = 0; i < ROWS; i++) {
        entry[2 * i] = bs_gram_entry(0, x);
        entry[2 * i + 1] = bs_gram_entry(1, y);
        len[i] = 2;
    }
    add(&set, &store, "a", ROWS, entry, len, ROWS);
    bad = bs_cooc_sets_order(&set, 1, true, &e);
    bad |= count_whole(&w, &set, 1, &c, 1, 1 << 20, &e);
    ok(bad == 0 && w.sum[1] == (double)want * 0x1p-48 && w.count[1] == ROWS,
       "a sum of 90 bits, rounded once: %.17g", w.sum[1]);
    whole_release(&w);
    bs_cooc_set_release(&set);
}

/* ---- sets ----------------------------------------------------------------
 */

enum { CONCEPTS = 300, RECORDS = 70, TOKENS = 50 };

/* Random rows; concept 7 fires nearly always, and a row of an image is long. */
static void
random_set(struct bs_cooc_set *set, struct bs_cooc_store *store, uint64_t seed,
           size_t most, bool backwards)
{
    static uint64_t entry[TOKENS * CONCEPTS];
    static uint32_t len[TOKENS];
    char key[20];
    size_t i;

    for (i = 0; i < RECORDS; i++) {
        size_t record = backwards ? RECORDS - 1 - i : i, n = 0;
        struct bs_rng rng;
        uint32_t k, rows = 0, t;

        bs_rng_init(&rng, seed, record, 0);
        for (t = 0; t < TOKENS; t++) {
            size_t first = n;

            for (k = 0; k < CONCEPTS && n - first < most; k++)
                if (bs_rng_below(&rng, CONCEPTS) < most / (1 + k / 100) ||
                    (k == 7 && bs_rng_below(&rng, 10) > 0))
                    entry[n++] = bs_gram_entry(k, bs_rng_below(&rng, 1 << 27));
            if (n > first)
                len[rows++] = (uint32_t)(n - first);
        }
        snprintf(key, sizeof key, "r/%zu", record);
        add(set, store, key, TOKENS, entry, len, rows);
    }
}

static int
same_tables(const struct whole *a, const struct whole *b,
            const struct bs_cooc_config *c)
{
    size_t square = a->n * c->concepts * c->concepts, s, m;
    size_t places = c->concepts * c->partners;
    int same = memcmp(a->sum, b->sum, square * sizeof *a->sum) == 0 &&
               memcmp(a->count, b->count, square * sizeof *a->count) == 0;

    for (s = 0; s < a->n; s++) {
        const struct bs_cooc_table *x = &a->table[s], *y = &b->table[s];

        for (m = 0; m < BS_COOC_MEASURES; m++)
            same &= memcmp(x->partners[m].idx, y->partners[m].idx,
                           places * sizeof *x->partners[m].idx) == 0 &&
                    memcmp(x->partners[m].value, y->partners[m].value,
                           places * sizeof *x->partners[m].value) == 0;
        same &= memcmp(x->hists.shared.pairs, y->hists.shared.pairs,
                       (c->taus + 1) * sizeof *x->hists.own.pairs) == 0;
        same &= x->lost.n == y->lost.n && x->gained.n == y->gained.n;
        same &= s == 0 || memcmp(x->lost.list, y->lost.list,
                                 x->lost.n * sizeof *x->lost.list) == 0;
    }
    return same;
}

/* Whatever the order, the memory (2^15 words a counter and a concept that needs
 * more, rows in the file) and the threads: the same. */
static void
invariance(size_t most)
{
    struct bs_cooc_store roomy = {.budget = 1 << 30}, tight = {.budget = 0};
    struct bs_cooc_set a[2] = {{0}}, b[2] = {{0}};
    struct bs_cooc_config c = {.concepts = CONCEPTS,
                               .tau = {0, 0.01, 1},
                               .taus = 3,
                               .partners = 4,
                               .changes = 30,
                               .support = 2};
    struct bs_krylov ka = {0}, kb = {0};
    struct bs_pool *many;
    struct whole w, v;
    struct bs_err e = {0};
    int bad = bs_pool_open(&many, 3, &e), i;

    for (i = 0; i < 2; i++) {
        random_set(&a[i], &roomy, (uint64_t)i, most, false);
        random_set(&b[i], &tight, (uint64_t)i, most, true);
    }
    bad |= bs_cooc_sets_order(a, 2, true, &e);
    bad |= bs_cooc_sets_order(b, 2, true, &e);
    bad |= count_whole(&w, a, 2, &c, 1, 1 << 30, &e);
    bad |= count_whole(&v, b, 2, &c, 4, 1 << 20, &e);
    bad |= bs_cooc_spectrum(&ka, &a[1], CONCEPTS, 20, 1e-9, pool, &e);
    bad |= bs_cooc_spectrum(&kb, &b[1], CONCEPTS, 20, 1e-9, many, &e);
    ok(bad == 0 && tight.spooled && !roomy.spooled && same_tables(&w, &v, &c),
       "rows of %zu: any order, memory, threads %s", most, e.text);
    ok(bad == 0 && ka.found == 20 && kb.found == 20 &&
           memcmp(ka.vector, kb.vector, 20 * CONCEPTS * sizeof(double)) == 0,
       "their spectra, too");
    ok(v.margin[0].words[7] > 1 << 15 || most < 20,
       "with a concept that has no bucket: %ju words",
       (uintmax_t)v.margin[0].words[7]);
    bs_krylov_release(&ka);
    bs_krylov_release(&kb);
    whole_release(&w);
    whole_release(&v);
    for (i = 0; i < 2; i++) {
        bs_cooc_set_release(&a[i]);
        bs_cooc_set_release(&b[i]);
    }
    bs_cooc_store_close(&tight);
    bs_pool_close(many);
}

static void
pairing(void)
{
    static const uint32_t len[] = {1};
    const uint64_t entry[] = {bs_gram_entry(0, 5)};
    struct bs_cooc_store store = {.budget = 1 << 30};
    struct bs_cooc_set set[2] = {{0}};
    struct bs_cooc_rows rows = {1, 1, 1, entry, len};
    struct bs_err e = {0};
    size_t i;

    add(&set[0], &store, "c", 3, entry, len, 1);
    add(&set[0], &store, "a", 2, entry, len, 1);
    add(&set[1], &store, "b", 1, entry, len, 1);
    add(&set[1], &store, "c", 7, entry, len, 0);
    ok(bs_cooc_set_add(&set[0], &store, "c", &rows, &e) == -BS_EX_DATA,
       "a key twice: %s", e.text);
    memset(&e, 0, sizeof e);
    ok(bs_cooc_sets_order(set, 2, true, &e) == 0 && set[0].count == 1 &&
           set[0].rows == 3 && set[1].rows == 7 && set[1].entries == 0 &&
           strcmp(bs_cooc_set_key(&set[1], 0), "c") == 0 &&
           bs_cooc_sets_check(set, 2, &e) == 0,
       "only c is paired");
    for (i = 0; i < 2; i++) {
        bs_free(set[i].order);
        set[i].order = NULL;
        set[i].count = 0;
        set[i].rows = set[i].entries = 0;
    }
    ok(bs_cooc_sets_order(set, 2, false, &e) == 0 && set[0].count == 2 &&
           set[0].rows == 5 && set[1].rows == 8,
       "unpaired, all count");
    bs_cooc_set_release(&set[0]);
    bs_cooc_set_release(&set[1]);
    memset(&e, 0, sizeof e);
    add(&set[0], &store, "x", 1, entry, len, 1);
    add(&set[1], &store, "y", 1, entry, len, 1);
    ok(bs_cooc_sets_order(set, 2, true, &e) == 0 &&
           bs_cooc_sets_check(set, 2, &e) == -BS_EX_DATA,
       "nothing is paired: %s", e.text);
    bs_cooc_set_release(&set[0]);
    bs_cooc_set_release(&set[1]);
    memset(&e, 0, sizeof e);
    ok(bs_cooc_sets_check(set, 1, &e) == -BS_EX_DATA, "nothing at all: %s",
       e.text);
}

/* ---- the golden case -----------------------------------------------------
 */

struct golden {
    struct bs_safetensors *want;
    char prefix[40];
    int good;
};

/* Value i of a tensor of the golden case. */
static double
value_of(struct golden *g, const char *name, size_t i)
{
    char whole[80];
    const struct bs_tensor *t;
    double v;

    snprintf(whole, sizeof whole, "%s%s", g->prefix, name);
    t = bs_safetensors_find(g->want, whole);
    if (t == NULL || (i + 1) * sizeof v > t->bytes) {
        printf("# no %s[%zu]\n", whole, i);
        g->good = 0;
        return NAN;
    }
    memcpy(&v, (const char *)t->data + i * sizeof v, sizeof v);
    return v;
}

static void
hold(struct golden *g, const char *name, size_t i, double got, double tolerance)
{
    double want = value_of(g, name, i);

    if (near(got, want, tolerance))
        return;
    printf("# %s%s[%zu] is %.17g, wanted %.17g\n", g->prefix, name, i, got,
           want);
    g->good = 0;
}

static void
hold_curve(struct golden *g, const struct bs_cooc_hists *h, size_t taus,
           bool base)
{
    size_t t;

    for (t = 0; t < taus; t++) {
        double l0, pairs;

        above(&h->own, t, taus, &l0, &pairs);
        hold(g, "l0", t, l0, 0);
        hold(g, "pairs", t, pairs, 0);
        above(&h->shared, t, taus, &l0, &pairs);
        if (!base)
            hold(g, "shared", t, l0, 0);
        if (!base)
            hold(g, "pairs_shared", t, pairs, 0);
    }
}

static void
hold_partners(struct golden *g, const struct bs_cooc_table *t, size_t n,
              bool base)
{
    size_t m, i;
    char name[40];

    for (m = 0; m < BS_COOC_MEASURES; m++)
        for (i = 0; i < n; i++) {
            const struct bs_cooc_partners *p = &t->partners[m];

            snprintf(name, sizeof name, "%s.idx", bs_cooc_measure_names[m]);
            hold(g, name, i, p->idx[i] == UINT32_MAX ? -1 : (double)p->idx[i],
                 0);
            snprintf(name, sizeof name, "%s.value", bs_cooc_measure_names[m]);
            hold(g, name, i, p->value[i], 1e-15);
            snprintf(name, sizeof name, "%s.base", bs_cooc_measure_names[m]);
            if (!base)
                hold(g, name, i, p->base[i], 1e-15);
        }
}

static void
hold_changes(struct golden *g, const char *name,
             const struct bs_cooc_changes *c)
{
    size_t i;

    for (i = 0; i < c->n; i++) {
        hold(g, name, 6 * i, c->list[i].i, 0);
        hold(g, name, 6 * i + 1, c->list[i].j, 0);
        hold(g, name, 6 * i + 2, c->list[i].cosine, 1e-15);
        hold(g, name, 6 * i + 3, c->list[i].base_cosine, 1e-15);
        hold(g, name, 6 * i + 4, c->list[i].count, 0);
        hold(g, name, 6 * i + 5, c->list[i].base_count, 0);
    }
    g->good &= c->n == 20;
}

/* Values, and vectors but for the sign. */
static void
hold_spectrum(struct golden *g, const struct bs_krylov *k)
{
    size_t i, j;

    for (i = 0; i < k->found; i++) {
        double dot = 0;

        hold(g, "value", i, k->value[i], 1e-12);
        for (j = 0; j < k->n; j++)
            dot +=
                k->vector[i * k->n + j] * value_of(g, "vector", i * k->n + j);
        g->good &= near(fabs(dot), 1, 1e-10);
    }
    g->good &= k->found == 10;
}

static void
hold_alignment(struct golden *g, const struct bs_cooc_alignment *x)
{
    size_t i;

    for (i = 0; i < x->a * x->b; i++)
        hold(g, "alignment", i, x->cosine[i], 1e-9);
    for (i = 0; i < 10; i++) {
        hold(g, "angle", i, x->angle[i], 1e-9);
        hold(g, "overlap", i, x->overlap[i], 1e-9);
    }
}

static int
read_golden(struct bs_cooc_input *in, size_t number, const char *name,
            struct bs_err *e)
{
    struct bs_source *s;
    char path[1000];
    int r;

    snprintf(path, sizeof path, "%s/tests/golden/cooc/%s.bs", root, name);
    r = bs_source_open(&s, path, 0, 0, e);
    if (r == 0) {
        r = bs_cooc_read_codes(in, number, s, e);
        bs_source_close(s);
    }
    return r < 0 ? r : 0;
}

static void
hold_stream(struct golden *g, const struct whole *w, size_t s, size_t places)
{
    size_t k = w->concepts, i, j;

    for (i = 0; i < k; i++) {
        hold(g, "mean", i, w->margin[s].sum[i] / value_of(g, "rows", 0), 1e-15);
        for (j = i; j < k; j++) {
            hold(g, "sum", i * k + j, w->sum[(s * k + i) * k + j], 0);
            hold(g, "count", i * k + j, w->count[(s * k + i) * k + j], 0);
        }
    }
    hold_partners(g, &w->table[s], k * places, s == 0);
}

static void
golden(enum bs_cooc_grain grain)
{
    static const char *const names[] = {"real", "gen"};
    struct bs_cooc_input in = {.grain = grain,
                               .streams = 2,
                               .store = {.budget = 1 << 20},
                               .wanted = every};
    struct bs_cooc_config c = {.tau = {0, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1},
                               .taus = 8,
                               .partners = 5,
                               .changes = 20,
                               .support = 2};
    struct bs_krylov k[2] = {{0}};
    struct bs_cooc_alignment x = {0};
    struct golden g = {.good = 1};
    struct whole w = {0};
    struct bs_err e = {0};
    char path[1000];
    size_t s;
    int bad = 0;

    snprintf(path, sizeof path, "%s/tests/golden/cooc/want.safetensors", root);
    bad |= bs_safetensors_open(&g.want, path, &e) < 0;
    for (s = 0; s < 2; s++)
        bad |= read_golden(&in, s, names[s], &e);
    c.concepts = in.origin.head.concepts;
    bad |= bs_cooc_sets_order(in.set, 2, true, &e);
    bad |= count_whole(&w, in.set, 2, &c, 2, 1 << 20, &e);
    for (s = 0; s < 2; s++)
        bad |=
            bs_cooc_spectrum(&k[s], &in.set[s], c.concepts, 10, 1e-9, pool, &e);
    bad |= bs_cooc_align(&x, &k[0], &k[1], &e);
    if (ok(bad == 0, "golden case, %ss %s", bs_cooc_grain_names[grain],
           e.text)) {
        for (s = 0; s < 2; s++) {
            snprintf(g.prefix, sizeof g.prefix, "%s.%s.",
                     bs_cooc_grain_names[grain], names[s]);
            hold_stream(&g, &w, s, c.partners);
            hold_curve(&g, &w.table[s].hists, c.taus, s == 0);
            hold_spectrum(&g, &k[s]);
        }
        hold_changes(&g, "lost", &w.table[1].lost);
        hold_changes(&g, "gained", &w.table[1].gained);
        hold_alignment(&g, &x);
        ok(g.good && w.in_order, "golden case, %ss: every table",
           bs_cooc_grain_names[grain]);
    }
    bs_safetensors_close(g.want);
    bs_cooc_alignment_release(&x);
    bs_krylov_release(&k[0]);
    bs_krylov_release(&k[1]);
    whole_release(&w);
    bs_cooc_input_release(&in);
}

/* Asked to stop while counting, and between two products. */
static void
stopped(void)
{
    struct bs_cooc_store store = {.budget = 1 << 30};
    struct bs_cooc_set set = {0};
    struct bs_cooc_config c = {.concepts = CONCEPTS, .support = 1};
    struct bs_krylov k = {0};
    struct whole w;
    struct bs_err e = {0};

    random_set(&set, &store, 1, 6, false);
    bs_stop_install(0);
    raise(SIGTERM);
    ok(bs_cooc_sets_order(&set, 1, true, &e) == 0 &&
           count_whole(&w, &set, 1, &c, 2, 1 << 20, &e) == -BS_EX_TEMPFAIL &&
           strstr(e.text, "SIGTERM") != NULL,
       "counting: %s", e.text);
    memset(&e, 0, sizeof e);
    ok(bs_cooc_spectrum(&k, &set, CONCEPTS, 5, 1e-9, pool, &e) ==
           -BS_EX_TEMPFAIL,
       "multiplying: %s", e.text);
    bs_krylov_release(&k);
    whole_release(&w);
    bs_cooc_set_release(&set);
}

int
main(void)
{
    const char *src = getenv("BS_SRC");
    struct bs_err e = {0};

    snprintf(root, sizeof root, "%s", src != NULL ? src : ".");
    if (bs_pool_open(&pool, 1, &e) < 0)
        return 1;
    by_hand(1 << 30);
    by_hand(0);
    large_values();
    invariance(6);
    invariance(40);
    pairing();
    golden(BS_COOC_TOKEN);
    golden(BS_COOC_IMAGE);
    stopped();
    bs_pool_close(pool);
    return tap_done();
}
