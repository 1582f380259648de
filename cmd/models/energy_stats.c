/*
 * energy_stats.c - see energy_stats.h: pairs the records, has every concept's
 * statistics computed, block by block on all threads, and puts together what
 * regards all concepts: q-values and the family-wise p.
 */
#include "cmd/models/energy_stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/models/energy_concept.h"
#include "cmd/models/stats.h"
#include "common/rng.h"

const char *const bs_energy_form_names[] = {"relative", "raw", NULL};
const char *const bs_energy_interval_names[] = {"delta", "bootstrap",
                                                "bernstein", "mcdiarmid", NULL};
const char *const bs_energy_column_names[] = {
    "real",    "gen", "raw", "rel",       "raw_se",    "rel_se",
    "delta",   "lo",  "hi",  "mcdiarmid", "bernstein", "boot_lo",
    "boot_hi", "p",   "q",   "q_by",      "p_max",     NULL};
const char *const bs_energy_count_names[] = {"real_tokens", "gen_tokens",
                                             "real_images", "gen_images", NULL};
const char *const bs_contrast_column_names[] = {"difference", "se", "lo", "hi",
                                                "p",          "q",  NULL};

enum { BLOCK = 128 }; /* concepts at a time */

struct work {
    const struct bs_energy_config *config;
    const struct bs_energy_set *sets;
    struct bs_energy_result *result;
    size_t places;   /* real records, by key */
    size_t **common; /* [contrasts]: partner of both, or SIZE_MAX */
    bool *half;      /* [places]: the null's half */
    struct bs_flips flips;
    uint8_t *weight; /* [places, resamples] */
    double *weights; /* [models, resamples]: sums over the pairs */
    struct thread {
        struct bs_energy_scratch scratch;
        struct bs_energy_block *block; /* [1 + models] */
        struct bs_err err;
    } * thread;
    unsigned threads;
};

/* ---- room -----------------------------------------------------------------
 */

static int
make_tables(struct bs_energy_result *r, size_t concepts, size_t models,
            size_t places, struct bs_err *e)
{
    bool good;
    size_t m, i;

    r->models = models;
    r->contrasts = models * (models - 1) / 2;
    r->table = bs_alloc_array(models, sizeof *r->table);
    r->contrast = bs_alloc_array(r->contrasts, sizeof *r->contrast);
    r->null = bs_alloc_array(concepts, sizeof *r->null);
    good = r->table != NULL && r->contrast != NULL && r->null != NULL;
    for (m = 0; good && m < models; m++) {
        struct bs_energy_table *t = &r->table[m];

        t->partner = bs_alloc_array(places, sizeof *t->partner);
        good &= t->partner != NULL;
        for (i = 0; i < BS_E_COLUMNS; i++)
            good &= (t->column[i] = bs_alloc_array(concepts, 8)) != NULL;
        for (i = 0; i < BS_E_COUNTS; i++)
            good &= (t->count[i] = bs_alloc_array(concepts, 8)) != NULL;
    }
    for (m = 0; good && m < r->contrasts; m++)
        for (i = 0; i < BS_C_COLUMNS; i++)
            good &= (r->contrast[m].column[i] = bs_alloc_array(concepts, 8)) !=
                    NULL;
    return good ? 0 : bs_err_memory(e, "tables", concepts);
}

void
bs_energy_result_release(struct bs_energy_result *r)
{
    size_t m, i;

    for (m = 0; r->table != NULL && m < r->models; m++) {
        bs_free(r->table[m].partner);
        for (i = 0; i < BS_E_COLUMNS; i++)
            bs_free(r->table[m].column[i]);
        for (i = 0; i < BS_E_COUNTS; i++)
            bs_free(r->table[m].count[i]);
    }
    for (m = 0; r->contrast != NULL && m < r->contrasts; m++)
        for (i = 0; i < BS_C_COLUMNS; i++)
            bs_free(r->contrast[m].column[i]);
    bs_free(r->table);
    bs_free(r->contrast);
    bs_free(r->null);
    *r = (struct bs_energy_result){0};
}

static bool
make_pairs(struct bs_energy_pairs *p, size_t places)
{
    p->at = bs_alloc_array(places, sizeof *p->at);
    p->real = bs_alloc_array(places, sizeof *p->real);
    p->gen = bs_alloc_array(places, sizeof *p->gen);
    return p->at != NULL && p->real != NULL && p->gen != NULL;
}

static void
free_pairs(struct bs_energy_pairs *p)
{
    bs_free(p->at);
    bs_free(p->real);
    bs_free(p->gen);
}

static bool
make_thread(struct thread *t, const struct work *w)
{
    struct bs_energy_scratch *s = &t->scratch;
    size_t models = w->result->models;

    t->block = bs_alloc_array(1 + models, sizeof *t->block);
    s->at = bs_alloc_array(w->places, sizeof *s->at);
    s->diff = bs_alloc_array(w->places, sizeof *s->diff);
    s->sums = bs_alloc_array(w->flips.words * 64, sizeof *s->sums);
    s->resampled = bs_alloc_array(3 * w->config->bootstrap, sizeof(double));
    s->most = bs_alloc_array(models * w->flips.count, sizeof(double));
    return t->block != NULL && s->at != NULL && s->diff != NULL &&
           s->sums != NULL && s->resampled != NULL && s->most != NULL &&
           make_pairs(&s->pairs, w->places) &&
           make_pairs(&s->others, w->places) &&
           make_pairs(&s->between, w->places);
}

static void
free_work(struct work *w)
{
    unsigned i;
    size_t m;

    for (i = 0; w->thread != NULL && i < w->threads; i++) {
        struct thread *t = &w->thread[i];
        struct bs_energy_scratch *s = &t->scratch;

        for (m = 0; t->block != NULL && m <= w->result->models; m++)
            bs_energy_block_release(&t->block[m]);
        bs_free(t->block);
        bs_free(s->at);
        bs_free(s->diff);
        bs_free(s->sums);
        bs_free(s->resampled);
        bs_free(s->most);
        free_pairs(&s->pairs);
        free_pairs(&s->others);
        free_pairs(&s->between);
    }
    bs_free(w->thread);
    for (m = 0; w->common != NULL && m < w->result->contrasts; m++)
        bs_free(w->common[m]);
    bs_free(w->common);
    bs_free(w->half);
    bs_free(w->weight);
    bs_free(w->weights);
    bs_flips_release(&w->flips);
}

/* ---- pairing --------------------------------------------------------------
 */

/* Both sides are in order of keys. */
static int
pair_up(struct bs_energy_table *t, const struct bs_energy_set *real,
        const struct bs_energy_set *gen, struct bs_err *e)
{
    size_t i = 0, j = 0;

    while (i < real->records || j < gen->records) {
        int order;

        if (i == real->records || j == gen->records)
            order = i == real->records ? 1 : -1;
        else
            order = strcmp(bs_energy_set_key(real, real->order[i]),
                           bs_energy_set_key(gen, gen->order[j]));
        if (order <= 0)
            t->partner[i] = order == 0 ? gen->order[j] : SIZE_MAX;
        t->pairs += order == 0;
        t->only_real += order < 0;
        t->only_gen += order > 0;
        i += order <= 0;
        j += order >= 0;
    }
    if (t->pairs == 0)
        return bs_err_set(e, BS_EX_DATA,
                          "none of its %zu keys is among the %zu real ones",
                          gen->records, real->records);
    return 0;
}

/* The places that two generated streams have. */
static int
pair_contrasts(struct work *w, struct bs_err *e)
{
    struct bs_energy_result *r = w->result;
    size_t a, b, i, c = 0;

    w->common = bs_alloc_array(r->contrasts, sizeof *w->common);
    if (w->common == NULL)
        return bs_err_memory(e, "pairs", r->contrasts);
    for (a = 0; a < r->models; a++)
        for (b = a + 1; b < r->models; b++, c++) {
            const size_t *pa = r->table[a].partner, *pb = r->table[b].partner;

            r->contrast[c].a = a;
            r->contrast[c].b = b;
            w->common[c] = bs_alloc_array(w->places, sizeof **w->common);
            if (w->common[c] == NULL)
                return bs_err_memory(e, "pairs", w->places);
            for (i = 0; i < w->places; i++) {
                bool both = pa[i] != SIZE_MAX && pb[i] != SIZE_MAX;

                w->common[c][i] = both ? i : SIZE_MAX;
                r->contrast[c].pairs += both;
            }
        }
    return 0;
}

/* ---- random numbers by key ------------------------------------------------
 */

/* A Poisson variable of mean 1 from 16 bits: how many of the cumulative
 * probabilities, in 65536ths, they reach. */
static uint8_t
poisson(unsigned bits)
{
    static const uint16_t reach[] = {24109, 48219, 60273, 64291,
                                     65296, 65497, 65531, 65535};
    uint8_t n = 0;

    while (n < BS_LEN(reach) && bits >= reach[n])
        n++;
    return n;
}

static void
draw(void *arg, size_t place, unsigned thread)
{
    struct work *w = arg;
    const struct bs_energy_set *real = &w->sets[0];
    const char *key = bs_energy_set_key(real, real->order[place]);
    size_t n = w->config->bootstrap, b;
    struct bs_rng rng;
    uint64_t bits = 0;

    (void)thread;
    bs_flips_set(&w->flips, place, w->config->seed, key);
    w->half[place] = bs_flips_half(w->config->seed, key);
    /* Far behind the flips of the same key. */
    bs_rng_init(&rng, w->config->seed, bs_rng_name(key), (uint64_t)1 << 32);
    for (b = 0; b < n; b++, bits >>= 16) {
        if (b % 4 == 0)
            bits = bs_rng_u64(&rng);
        w->weight[place * n + b] = poisson(bits & 0xffff);
    }
}

/* The weights of a resample over the pairs of each stream. */
static void
sum_weights(struct work *w)
{
    size_t n = w->config->bootstrap, m, i, b;

    for (m = 0; m < w->result->models; m++)
        for (i = 0; i < w->places; i++)
            for (b = 0; w->result->table[m].partner[i] != SIZE_MAX && b < n;
                 b++)
                w->weights[m * n + b] += w->weight[i * n + b];
}

static int
draw_all(struct work *w, struct bs_pool *pool, struct bs_err *e)
{
    const struct bs_energy_config *c = w->config;
    size_t m, n = c->bootstrap, i;
    int r = bs_flips_make(&w->flips, w->places, c->permutations, e);

    if (r < 0)
        return r;
    w->half = bs_alloc_array(w->places, sizeof *w->half);
    w->weights = bs_alloc_array(w->result->models * n, sizeof *w->weights);
    if (bs_mul(w->places, n, &m))
        w->weight = bs_alloc_array(m, 1);
    if (w->half == NULL || w->weights == NULL || w->weight == NULL)
        return bs_err_memory(e, "resamples", w->places);
    bs_pool_run(pool, w->places, draw, w);
    sum_weights(w);
    for (i = 0; i < w->places; i++)
        w->result->half[w->half[i]]++;
    return 0;
}

/* ---- blocks of concepts ---------------------------------------------------
 */

static const struct bs_energy_entry *
entries(const struct bs_energy_block *b, uint32_t k, size_t *n)
{
    size_t i = k - b->from;

    *n = b->start[i + 1] - b->start[i];
    return b->entry + b->start[i];
}

/* Two streams, 0 the real one, of a concept over the places of `partner`. */
static int
merge(struct bs_energy_pairs *p, struct thread *t, size_t x, size_t y,
      uint32_t k, const size_t *partner)
{
    size_t nx, ny;
    const struct bs_energy_entry *ex = entries(&t->block[x], k, &nx);
    const struct bs_energy_entry *ey = entries(&t->block[y], k, &ny);

    if (bs_energy_merge(p, ex, nx, ey, ny, partner))
        return 0;
    return bs_err_set(&t->err, BS_EX_DATA,
                      "concept %ju: energies too large to be summed",
                      (uintmax_t)k);
}

/* Delta of one half of the real images against the other. */
static void
null_row(struct work *w, struct thread *t, uint32_t k)
{
    struct bs_energy_result *r = w->result;
    double sum[2] = {0, 0}, unit = bs_energy_unit(w->config->pooling);
    size_t n, i;
    const struct bs_energy_entry *entry = entries(&t->block[0], k, &n);

    for (i = 0; i < n; i++)
        sum[w->half[entry[i].at]] += (double)entry[i].energy * unit;
    for (i = 0; i < 2; i++)
        sum[i] /= (double)r->half[i]; /* none in it: NaN */
    r->null[k] = isnan(sum[0]) || isnan(sum[1])
                     ? NAN
                     : bs_energy_delta(w->config, sum[0], sum[1]);
}

static int
concept_rows(struct work *w, struct thread *t, uint32_t k)
{
    struct bs_energy_common common = {w->config, &w->flips, w->weight};
    struct bs_energy_result *r = w->result;
    struct bs_energy_scratch *s = &t->scratch;
    size_t m;
    int bad = 0;

    null_row(w, t, k);
    for (m = 0; m < r->models && bad == 0; m++) {
        struct bs_energy_table *table = &r->table[m];

        bad = merge(&s->pairs, t, 0, 1 + m, k, table->partner);
        if (bad == 0) /* kept until the flips of all are known */
            table->column[BS_E_P_MAX][k] = bs_energy_concept(
                table, k, s->most + m * w->flips.count, &common,
                w->weights + m * w->config->bootstrap, s);
    }
    for (m = 0; m < r->contrasts && bad == 0; m++) {
        struct bs_contrast_table *c = &r->contrast[m];

        bad = merge(&s->pairs, t, 0, 1 + c->a, k, w->common[m]);
        if (bad == 0)
            bad = merge(&s->others, t, 0, 1 + c->b, k, w->common[m]);
        if (bad == 0)
            bad = merge(&s->between, t, 1 + c->b, 1 + c->a, k, w->common[m]);
        if (bad == 0)
            bs_energy_contrast(c, k, &common, s);
    }
    return bad;
}

static void
run_block(void *arg, size_t chunk, unsigned thread)
{
    struct work *w = arg;
    struct thread *t = &w->thread[thread];
    uint32_t from = (uint32_t)chunk * BLOCK, to = w->config->concepts, k;
    size_t s;
    int r = t->err.code;

    if (to - from > BLOCK)
        to = from + BLOCK;
    for (s = 0; s <= w->result->models && r == 0; s++) {
        struct bs_energy_places p = {&w->sets[s],
                                     s == 0 ? w->sets[0].order
                                            : w->result->table[s - 1].partner,
                                     w->places};

        r = bs_energy_gather(&t->block[s], &p, from, to, &t->err);
    }
    for (k = from; k < to && r == 0; k++)
        r = concept_rows(w, t, k);
}

static int
run_blocks(struct work *w, struct bs_pool *pool, struct bs_err *e)
{
    unsigned i;

    w->threads = bs_pool_threads(pool);
    w->thread = bs_alloc_array(w->threads, sizeof *w->thread);
    if (w->thread == NULL)
        return bs_err_memory(e, "threads", w->threads);
    for (i = 0; i < w->threads; i++)
        if (!make_thread(&w->thread[i], w))
            return bs_err_memory(e, "pairs", w->places);
    bs_pool_run(pool, (w->config->concepts + BLOCK - 1) / BLOCK, run_block, w);
    for (i = 0; i < w->threads; i++)
        if (w->thread[i].err.code != 0) {
            *e = w->thread[i].err;
            return -e->code;
        }
    return 0;
}

/* ---- over all concepts ----------------------------------------------------
 */

/* The statistic that stands in p_max becomes the share of flips whose largest
 * is at least as large (Westfall and Young). */
static void
family_wise(struct work *w, size_t model, double *most)
{
    struct bs_energy_table *t = &w->result->table[model];
    size_t flips = w->flips.count, f, k, below;
    unsigned i;

    memset(most, 0, flips * sizeof *most);
    for (i = 0; i < w->threads; i++)
        for (f = 0; f < flips; f++)
            most[f] =
                fmax(most[f], w->thread[i].scratch.most[model * flips + f]);
    qsort(most, flips, sizeof *most, bs_compare_doubles);
    for (k = 0; k < w->config->concepts; k++) {
        double *p = &t->column[BS_E_P_MAX][k];
        size_t from = 0, to = flips;

        while (from < to) {
            size_t middle = from + (to - from) / 2;

            if (most[middle] < *p)
                from = middle + 1;
            else
                to = middle;
        }
        below = from;
        *p = *p < 0 ? 1 : (double)(1 + flips - below) / (double)(1 + flips);
    }
}

static int
correct(struct work *w, struct bs_err *e)
{
    const struct bs_energy_config *c = w->config;
    struct bs_energy_result *r = w->result;
    double *most = bs_alloc_array(w->flips.count, sizeof *most);
    bool *tested = bs_alloc_array(c->concepts, sizeof *tested);
    size_t m, k;
    int bad = most == NULL || tested == NULL
                  ? bs_err_memory(e, "tests", c->concepts)
                  : 0;

    for (m = 0; m < r->models && bad == 0; m++) {
        struct bs_energy_table *t = &r->table[m];

        for (k = 0; k < c->concepts; k++) {
            tested[k] = t->column[BS_E_P_MAX][k] >= 0;
            t->tested += tested[k];
        }
        family_wise(w, m, most);
        bad = bs_q_values(t->column[BS_E_Q], t->column[BS_E_P], tested,
                          c->concepts, BS_FDR_BH, e);
        if (bad == 0)
            bad = bs_q_values(t->column[BS_E_Q_BY], t->column[BS_E_P], tested,
                              c->concepts, BS_FDR_BY, e);
    }
    for (m = 0; m < r->contrasts && bad == 0; m++) {
        struct bs_contrast_table *t = &r->contrast[m];

        t->tested = 0;
        for (k = 0; k < c->concepts; k++) {
            const struct bs_energy_table *a = &r->table[t->a];
            const struct bs_energy_table *b = &r->table[t->b];

            tested[k] = a->count[BS_E_GEN_IMAGES][k] > 0 ||
                        b->count[BS_E_GEN_IMAGES][k] > 0;
            t->tested += tested[k];
        }
        bad = bs_q_values(t->column[BS_C_Q], t->column[BS_C_P], tested,
                          c->concepts, BS_FDR_BH, e);
    }
    bs_free(most);
    bs_free(tested);
    return bad;
}

int
bs_energy_compute(struct bs_energy_result *r,
                  const struct bs_energy_config *config,
                  const struct bs_energy_set *sets, size_t models,
                  struct bs_pool *pool, struct bs_err *e)
{
    struct work w = {
        .config = config, .sets = sets, .result = r, .places = sets[0].records};
    size_t m;
    int bad = make_tables(r, config->concepts, models, w.places, e);

    for (m = 0; m < models && bad == 0; m++)
        bad = pair_up(&r->table[m], &sets[0], &sets[1 + m], e);
    if (bad == 0)
        bad = pair_contrasts(&w, e);
    if (bad == 0)
        bad = draw_all(&w, pool, e);
    if (bad == 0)
        bad = run_blocks(&w, pool, e);
    if (bad == 0)
        bad = correct(&w, e);
    free_work(&w);
    return bad;
}
