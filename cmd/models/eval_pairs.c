/*
 * eval_pairs.c - see eval_pairs.h.
 *
 * Codes wait until there are many.  Then every concept that fires among them
 * spreads its row into an array, adds to it the products with what fires in the
 * same tokens, and gathers it again (Gustavson 1978).
 */
#include "cmd/models/eval_pairs.h"

#include <math.h>
#include <stdatomic.h>

#include "common/mem.h"

enum {
    WAITING = 1 << 21, /* codes, at most */
    CHUNK = 16,        /* concepts that a thread works on at once */
    PAIR_BYTES = sizeof(double) + sizeof(uint32_t)
};

/* A thread's row, spread out. */
struct bs_pair_scratch {
    double *sum;     /* [concepts], 0 between rows */
    uint64_t *marks; /* a bit a column that is there */
};

/* ---- rows -----------------------------------------------------------------
 */

static void
spread(struct bs_pair_scratch *s, const struct bs_pair_row *row)
{
    size_t i;

    for (i = 0; i < row->n; i++) {
        s->sum[row->col[i]] = row->sum[i];
        s->marks[row->col[i] / 64] |= (uint64_t)1 << row->col[i] % 64;
    }
}

/* Add the products of concept k's codes with those from k on of their tokens.
 */
static void
add_products(const struct bs_eval_pairs *p, struct bs_pair_scratch *s,
             uint32_t k)
{
    uint32_t at, i;

    for (at = p->first[k]; at < p->first[k + 1]; at++) {
        uint32_t code = p->at[at], token = p->token[code];
        double z = (double)p->val[code];

        for (i = p->ptr[token]; i < p->ptr[token + 1]; i++) {
            uint32_t col = p->idx[i];

            if (col < k)
                continue;
            s->sum[col] += z * (double)p->val[i];
            s->marks[col / 64] |= (uint64_t)1 << col % 64;
        }
    }
}

static size_t
marked(const struct bs_pair_scratch *s, size_t concepts)
{
    size_t words = (concepts + 63) / 64, n = 0, w;

    for (w = 0; w < words; w++)
        n += (size_t)__builtin_popcountll(s->marks[w]);
    return n;
}

/* The marked columns to a row of room for them, or nowhere; cleared. */
static void
gather(struct bs_pair_scratch *s, size_t concepts, struct bs_pair_row *row)
{
    size_t words = (concepts + 63) / 64, n = 0, w;

    for (w = 0; w < words; w++) {
        uint64_t left = s->marks[w];

        for (; left != 0; left &= left - 1, n++) {
            size_t k = 64 * w + (size_t)__builtin_ctzll(left);

            if (row->sum != NULL) {
                row->col[n] = (uint32_t)k;
                row->sum[n] = s->sum[k];
            }
            s->sum[k] = 0;
        }
        s->marks[w] = 0;
    }
}

static bool
row_open(struct bs_pair_row *row, size_t n)
{
    row->n = n;
    row->sum = bs_alloc(n * PAIR_BYTES);
    row->col = (uint32_t *)(void *)(row->sum + n);
    return row->sum != NULL;
}

/* ---- adding what waits ----------------------------------------------------
 */

struct fold {
    struct bs_eval_pairs *p;
    _Atomic uint64_t bytes; /* of all rows, as far as they are made */
    atomic_bool no_memory;
};

static void
fold_row(struct fold *f, struct bs_pair_scratch *s, uint32_t k)
{
    struct bs_eval_pairs *p = f->p;
    struct bs_pair_row row = {0}, *old = &p->row[k];
    size_t n;

    spread(s, old);
    add_products(p, s, k);
    n = marked(s, p->concepts);
    if (atomic_fetch_add(&f->bytes, (n - old->n) * PAIR_BYTES) +
                (n - old->n) * PAIR_BYTES <=
            p->memory &&
        !row_open(&row, n))
        atomic_store(&f->no_memory, true);
    gather(s, p->concepts, &row);
    bs_free(old->sum);
    *old = row;
}

static void
fold_chunk(void *arg, size_t chunk, unsigned thread)
{
    struct fold *f = arg;
    struct bs_eval_pairs *p = f->p;
    size_t k = chunk * CHUNK;
    size_t end = p->concepts - k < CHUNK ? p->concepts : k + CHUNK;

    for (; k < end && !atomic_load(&f->no_memory) &&
           atomic_load(&f->bytes) <= p->memory;
         k++)
        if (p->first[k + 1] > p->first[k])
            fold_row(f, &p->scratch[thread], (uint32_t)k);
}

/* Sort the codes that wait by concept, those of one in their order. */
static void
sort_codes(struct bs_eval_pairs *p)
{
    size_t k, i;

    for (k = 0; k <= p->concepts + 1; k++)
        p->first[k] = 0;
    for (i = 0; i < p->codes; i++)
        p->first[p->idx[i] + 2]++;
    for (k = 2; k <= p->concepts + 1; k++)
        p->first[k] += p->first[k - 1];
    for (i = 0; i < p->codes; i++)
        p->at[p->first[p->idx[i] + 1]++] = (uint32_t)i;
}

static void
drop_rows(struct bs_eval_pairs *p)
{
    size_t k;

    for (k = 0; k < p->concepts && p->row != NULL; k++) {
        bs_free(p->row[k].sum);
        p->row[k] = (struct bs_pair_row){0};
    }
}

int
bs_eval_pairs_finish(struct bs_eval_pairs *p, struct bs_err *e)
{
    struct fold f = {.p = p};
    uint64_t bytes = 0;
    size_t k;

    if (p->full || p->codes == 0)
        return 0;
    for (k = 0; k < p->concepts; k++)
        bytes += p->row[k].n * PAIR_BYTES;
    atomic_init(&f.bytes, bytes);
    atomic_init(&f.no_memory, false);
    sort_codes(p);
    bs_pool_run(p->pool, (p->concepts + CHUNK - 1) / CHUNK, fold_chunk, &f);
    p->codes = p->tokens = 0;
    if (atomic_load(&f.no_memory))
        return bs_err_memory(e, "pairs of concepts", atomic_load(&f.bytes));
    p->full = atomic_load(&f.bytes) > p->memory;
    if (p->full)
        drop_rows(p);
    return 0;
}

/* ---- taking codes ---------------------------------------------------------
 */

int
bs_eval_pairs_add(struct bs_eval_pairs *p, const struct bs_ragged *codes,
                  struct bs_err *e)
{
    size_t t, i;

    for (t = 0; t < codes->rows && !p->full; t++) {
        size_t n = codes->ptr[t + 1] - codes->ptr[t];
        const uint32_t *idx = codes->idx + codes->ptr[t];

        if (p->codes + n > p->room && bs_eval_pairs_finish(p, e) < 0)
            return -e->code;
        if (n == 0 || p->full)
            continue;
        memcpy(p->idx + p->codes, idx, n * sizeof *idx);
        memcpy(p->val + p->codes, codes->val + codes->ptr[t],
               n * sizeof *p->val);
        for (i = 0; i < n; i++)
            p->token[p->codes + i] = (uint32_t)p->tokens;
        p->codes += n;
        p->ptr[++p->tokens] = (uint32_t)p->codes;
    }
    return 0;
}

int
bs_eval_pairs_open(struct bs_eval_pairs *p, size_t concepts, uint64_t memory,
                   struct bs_pool *pool, struct bs_err *e)
{
    unsigned threads = bs_pool_threads(pool), i;

    *p = (struct bs_eval_pairs){
        .concepts = concepts, .memory = memory, .pool = pool};
    /* A token has at most as many codes as there are concepts. */
    p->room = concepts > WAITING ? concepts : WAITING;
    p->row = bs_alloc_array(concepts, sizeof *p->row);
    p->ptr = bs_alloc_array(p->room + 1, sizeof *p->ptr);
    p->idx = bs_alloc_array(p->room, sizeof *p->idx);
    p->token = bs_alloc_array(p->room, sizeof *p->token);
    p->val = bs_alloc_array(p->room, sizeof *p->val);
    p->at = bs_alloc_array(p->room, sizeof *p->at);
    p->first = bs_alloc_array(concepts + 2, sizeof *p->first);
    p->scratch = bs_alloc_array(threads, sizeof *p->scratch);
    if (p->row == NULL || p->ptr == NULL || p->idx == NULL ||
        p->token == NULL || p->val == NULL || p->at == NULL ||
        p->first == NULL || p->scratch == NULL)
        return bs_err_memory(e, "codes", p->room * 4 * sizeof *p->idx);
    for (i = 0; i < threads; i++) {
        struct bs_pair_scratch *s = &p->scratch[i];

        s->sum = bs_alloc_array(concepts, sizeof *s->sum);
        s->marks = bs_alloc_array((concepts + 63) / 64, sizeof *s->marks);
        if (s->sum == NULL || s->marks == NULL)
            return bs_err_memory(e, "pairs", concepts * sizeof *s->sum);
    }
    return 0;
}

void
bs_eval_pairs_release(struct bs_eval_pairs *p)
{
    unsigned i, threads = p->scratch != NULL ? bs_pool_threads(p->pool) : 0;

    for (i = 0; i < threads; i++) {
        bs_free(p->scratch[i].sum);
        bs_free(p->scratch[i].marks);
    }
    drop_rows(p);
    bs_free(p->row);
    bs_free(p->ptr);
    bs_free(p->idx);
    bs_free(p->token);
    bs_free(p->val);
    bs_free(p->at);
    bs_free(p->first);
    bs_free(p->scratch);
    *p = (struct bs_eval_pairs){0};
}

/* ---- metrics --------------------------------------------------------------
 */

/* The correlations of codes over tokens, of which the largest is sought. */
struct correlation {
    const struct bs_eval_pairs *p;
    double tokens;
    const double *mean, *deviation; /* [concepts] */
    double *most;                   /* [concepts]: of a row */
};

/* A chunk's concepts with all behind them.  Those that never fire together are
 * correlated too, negatively. */
static void
correlate_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct correlation *c = arg;
    double *sum = c->p->scratch[thread].sum;
    size_t k = chunk * CHUNK, concepts = c->p->concepts, i;
    size_t end = concepts - k < CHUNK ? concepts : k + CHUNK;

    for (; k < end; k++) {
        const struct bs_pair_row *row = &c->p->row[k];
        double most = 0;

        for (i = 0; i < row->n; i++)
            sum[row->col[i]] = row->sum[i];
        for (i = k + 1; i < concepts; i++) {
            double covariance = (sum[i] / c->tokens - c->mean[k] * c->mean[i]) *
                                (c->tokens / (c->tokens - 1));

            most = fmax(most, fabs(covariance) /
                                  (c->deviation[k] * c->deviation[i] + 1e-6));
        }
        c->most[k] = most;
        for (i = 0; i < row->n; i++)
            sum[row->col[i]] = 0;
    }
}

static int
largest_correlation(const struct bs_eval_pairs *p,
                    const struct bs_eval_sums *sums, double *largest,
                    struct bs_err *e)
{
    size_t concepts = p->concepts, k;
    double tokens = (double)sums->tokens, *mean, *deviation, *most;
    int r = 0;

    mean = bs_alloc_array(concepts, sizeof *mean);
    deviation = bs_alloc_array(concepts, sizeof *deviation);
    most = bs_alloc_array(concepts, sizeof *most);
    if (mean == NULL || deviation == NULL || most == NULL)
        r = bs_err_memory(e, "correlations", concepts * sizeof *mean);
    for (k = 0; k < concepts && r == 0; k++) {
        const struct bs_pair_row *row = &p->row[k];
        double squares = row->n > 0 && row->col[0] == k ? row->sum[0] : 0;

        mean[k] = sums->concept[k].sum / tokens;
        deviation[k] = sqrt(fmax(0, squares / tokens - mean[k] * mean[k]) *
                            (tokens / (tokens - 1)));
    }
    if (r == 0) {
        struct correlation c = {p, tokens, mean, deviation, most};

        bs_pool_run(p->pool, (concepts + CHUNK - 1) / CHUNK, correlate_chunk,
                    &c);
        *largest = sums->tokens > 1 && concepts > 1 ? 0 : NAN;
        for (k = 0; k < concepts && !isnan(*largest); k++)
            *largest = fmax(*largest, most[k]);
    }
    bs_free(mean);
    bs_free(deviation);
    bs_free(most);
    return r;
}

int
bs_eval_pairs_metrics(const struct bs_eval_pairs *p,
                      const struct bs_eval_sums *sums, bool correlated,
                      struct bs_cell cell[BS_METRICS], struct bs_err *e)
{
    uint64_t pairs = 0, alone = 0;
    double concepts = (double)p->concepts, largest = NAN;
    size_t k;

    if (p->full)
        return 0;
    for (k = 0; k < p->concepts; k++) {
        bool self = p->row[k].n > 0 && p->row[k].col[0] == k;

        alone += self;
        pairs += p->row[k].n - self;
    }
    bs_metric_count(cell, BS_M_PAIRS, pairs);
    bs_metric_real(cell, BS_M_CONNECTIVITY,
                   1 - (2 * (double)pairs + (double)alone) / concepts /
                           concepts);
    if (!correlated)
        return 0;
    if (largest_correlation(p, sums, &largest, e) < 0)
        return -e->code;
    bs_metric_real(cell, BS_M_MAX_CORRELATION, largest);
    return 0;
}
