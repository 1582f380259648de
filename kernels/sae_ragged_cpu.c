/*
 * sae_ragged_cpu.c - codes of any length: what passes each concept's threshold,
 * and the largest of a whole batch.
 */
#include "kernels/sae_cpu.h"

#include "common/mem.h"

#include <float.h>

/* The cut is shared, as the bits of a positive float: what lies below one
 * thread's `top` lower bounds is not among the largest of all. */
struct ragged {
    struct bs_hits *hits; /* one list a thread */
    _Atomic uint32_t cut;
};

/* ---- hits ------------------------------------------------------------------
 */

static float
threshold_hit(struct bs_scan *s, size_t i, const struct bs_hit *hit)
{
    const struct bs_dev_encode *a = s->job->a;
    struct bs_hits *h = &((struct ragged *)s->job->state)->hits[s->thread];
    float pre = bs_scan_pre(s, i, hit), tau = a->tau[hit->idx];
    struct bs_hit known = {pre, pre, hit->row, hit->idx};

    if (pre > 0 && (a->strict ? pre > tau : pre >= tau) && h->n <= a->limit)
        bs_hits_add(h, &known);
    return 0;
}

static float
raise_cut(struct ragged *g, float to)
{
    uint32_t bits, now = atomic_load(&g->cut);
    float cut;

    memcpy(&bits, &to, sizeof bits);
    while (bits > now && !atomic_compare_exchange_weak(&g->cut, &now, bits))
        ;
    bits = bits > now ? bits : now;
    memcpy(&cut, &bits, sizeof cut);
    return cut;
}

/* A full list is thinned out, and grows where that does not help. */
static float
batch_hit(struct bs_scan *s, size_t i, const struct bs_hit *hit)
{
    struct ragged *g = s->job->state;
    struct bs_hits *h = &g->hits[s->thread];
    size_t top = s->job->a->top;
    float cut = raise_cut(g, 0);

    (void)i;
    if (hit->high < cut)
        return cut;
    if (h->n == h->room && h->n / 2 >= top) {
        cut = raise_cut(g, bs_hits_cut(h, top));
        bs_hits_drop(h, cut);
        if (h->n > h->room / 4 * 3)
            bs_hits_grow(h);
    }
    bs_hits_add(h, hit);
    return cut;
}

/* ---- from hits to codes ----------------------------------------------------
 */

/* Room for a result; what it held is lost. */
static int
need_room(struct bs_err *e, struct bs_ragged *out, size_t rows, size_t n)
{
    if (n >= UINT32_MAX)
        return bs_err_set(e, BS_EX_DATA, "encode: %zu values in a call", n);
    if (out->ptr == NULL || rows > out->room_rows) {
        bs_free(out->ptr);
        out->ptr = bs_alloc_array(rows + 1, sizeof *out->ptr);
        out->room_rows = rows;
    }
    if (out->idx == NULL || out->val == NULL || n > out->room) {
        bs_free(out->idx);
        bs_free(out->val);
        out->idx = bs_alloc_array(n, sizeof *out->idx);
        out->val = bs_alloc_array(n, sizeof *out->val);
        out->room = n;
    }
    if (out->ptr == NULL || out->idx == NULL || out->val == NULL) {
        bs_ragged_release(out);
        return bs_err_memory(e, "codes", n * sizeof *out->idx);
    }
    return 0;
}

/* Counting sort by row, then each row by value. */
static void
order(struct bs_hit *to, const struct bs_hits *h, uint32_t *ptr, size_t m)
{
    size_t i;

    memset(ptr, 0, (m + 1) * sizeof *ptr);
    for (i = 0; i < h->n; i++)
        ptr[h->at[i].row + 1]++;
    for (i = 0; i < m; i++)
        ptr[i + 1] += ptr[i];
    for (i = 0; i < h->n; i++)
        to[ptr[h->at[i].row]++] = h->at[i];
    memmove(ptr + 1, ptr, m * sizeof *ptr);
    ptr[0] = 0;
    for (i = 0; i < m; i++)
        bs_hits_sort(to + ptr[i], ptr[i + 1] - ptr[i]);
}

int
bs_hits_ragged(const struct bs_hits *h, size_t m, struct bs_ragged *out,
               struct bs_err *e)
{
    struct bs_hit *sorted = bs_alloc_array(h->n, sizeof *sorted);
    size_t i;
    int r;

    if (sorted == NULL)
        return bs_err_memory(e, "codes", h->n * sizeof *sorted);
    r = need_room(e, out, m, h->n);
    if (r == 0) {
        order(sorted, h, out->ptr, m);
        for (i = 0; i < h->n; i++) {
            out->idx[i] = sorted[i].idx;
            out->val[i] = sorted[i].high;
        }
        out->rows = m;
    }
    bs_free(sorted);
    return r;
}

/* ---- calls -----------------------------------------------------------------
 */

/* Run a scan; the hits of all threads, in one list. */
static int
collect(struct bs_scan_job *job, struct bs_hits *all)
{
    struct bs_cpu *c = job->c;
    struct ragged g = {.hits = bs_alloc_array(c->threads, sizeof *g.hits)};
    bool failed = false;
    unsigned t;
    size_t i;
    int r;

    if (g.hits == NULL)
        return bs_err_memory(&c->dev.err, "codes", sizeof *g.hits);
    job->state = &g;
    r = bs_cpu_scan(job);
    for (t = 0; t < c->threads; t++) {
        failed |= g.hits[t].failed;
        for (i = 0; r == 0 && !failed && i < g.hits[t].n; i++)
            bs_hits_add(all, &g.hits[t].at[i]);
        failed |= all->failed;
        bs_hits_release(&g.hits[t]);
    }
    bs_free(g.hits);
    if (r == 0 && failed)
        r = bs_err_memory(&c->dev.err, "codes", all->n * sizeof *all->at);
    return r;
}

/* What is added to a product, at most, less the threshold. */
static float *
bounds_of(const struct bs_scan_job *job)
{
    const struct cpu_encoder *e = job->e;
    size_t columns = e->panels * job->c->isa->nr, j;
    float *bound = bs_alloc_array(columns, sizeof *bound);

    if (bound == NULL)
        return NULL;
    for (j = 0; j < columns; j++) {
        float tau = j < e->head.n && job->a->tau[j] > 0 ? job->a->tau[j] : 0;

        bound[j] =
            bs_float_up((double)e->bound[j] - (double)tau * (1 - 0x1p-20));
    }
    return bound;
}

int
bs_cpu_encode_threshold(struct bs_dev *d, const struct bs_dev_encode *a,
                        struct bs_ragged *out)
{
    struct bs_scan_job job = {
        .c = (struct bs_cpu *)d,
        .a = a,
        .e = (const struct cpu_encoder *)a->enc,
        .hit = threshold_hit,
    };
    struct bs_hits all = {0};
    float *bound = bounds_of(&job);
    int r;

    if (bound == NULL)
        return bs_err_memory(&d->err, "thresholds", a->enc->n * sizeof *bound);
    job.bound = bound;
    r = collect(&job, &all);
    if (r == 0 && all.n > a->limit)
        r = bs_err_set(&d->err, BS_EX_DATA, "encode: more than %zu values pass",
                       a->limit);
    if (r == 0)
        r = bs_hits_ragged(&all, a->m, out, &d->err);
    bs_hits_release(&all);
    bs_free(bound);
    return r;
}

#define CHUNK_HITS 256

struct know_job {
    const struct bs_scan_job *job;
    struct bs_hits *all;
};

static void
know_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct know_job *k = arg;
    const struct bs_dev_encode *a = k->job->a;
    size_t i = chunk * CHUNK_HITS, n = k->all->n;
    size_t end = n - i < CHUNK_HITS ? n : i + CHUNK_HITS;

    (void)thread;
    for (; i < end; i++) {
        struct bs_hit *hit = &k->all->at[i];

        if (hit->low < hit->high)
            hit->high =
                bs_cpu_pre(k->job->e, a->x + hit->row * a->ldx, hit->idx);
        hit->low = hit->high;
    }
}

/* The `top` largest of all hits, with those that equal the least of them. */
static float
cut_batch(const struct bs_scan_job *job, struct bs_hits *all)
{
    struct know_job know = {job, all};
    size_t top = job->a->top;
    float least;

    bs_hits_drop(all, bs_hits_cut(all, top));
    atomic_fetch_add(&job->c->rescored, all->n);
    bs_pool_run(job->c->pool, all->n / CHUNK_HITS + (all->n % CHUNK_HITS != 0),
                know_chunk, &know);
    least = bs_hits_cut(all, top);
    bs_hits_drop(all, least > 0 ? least : FLT_TRUE_MIN);
    return least;
}

int
bs_cpu_encode_batch(struct bs_dev *d, const struct bs_dev_encode *a,
                    struct bs_ragged *out, float *threshold)
{
    const struct cpu_encoder *e = (const struct cpu_encoder *)a->enc;
    struct bs_scan_job job = {
        .c = (struct bs_cpu *)d,
        .a = a,
        .e = e,
        .bound = e->bound,
        .hit = batch_hit,
    };
    struct bs_hits all = {0};
    int r = collect(&job, &all);

    if (r == 0) {
        *threshold = cut_batch(&job, &all);
        r = bs_hits_ragged(&all, a->m, out, &d->err);
    }
    bs_hits_release(&all);
    return r;
}
