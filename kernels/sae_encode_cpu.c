/*
 * sae_encode_cpu.c - sparse codes of rows.
 */
#include "kernels/sae_cpu.h"

#include "common/mem.h"

#define LANES 16
#define CHUNK_ROWS 8

struct cpu_encoder {
    struct bs_encoder head;
    float *w;    /* [n, k] */
    float *bias; /* [n] */
};

/* ---- packing ---------------------------------------------------------------
 */

static bool
all_finite(const float *x, size_t n)
{
    uint32_t worst = 0, bits;
    size_t i;

    for (i = 0; i < n; i++) {
        memcpy(&bits, x + i, sizeof bits);
        bits &= 0x7fffffff;
        worst = bits > worst ? bits : worst;
    }
    return worst < 0x7f800000;
}

static int
fill_encoder(struct bs_cpu *c, struct cpu_encoder *e, const float *w,
             const float *bias)
{
    size_t n = e->head.n, k = e->head.k, i;

    for (i = 0; i < n; i++)
        if (!all_finite(w + i * k, k) ||
            (bias != NULL && !all_finite(bias + i, 1)))
            return bs_err_set(&c->dev.err, BS_EX_DATA,
                              "encoder: row %zu has a value that is not finite",
                              i);
    e->w = bs_alloc(n * k * sizeof *w);
    e->bias = bs_alloc_array(n, sizeof *bias);
    if (e->w == NULL || e->bias == NULL)
        return bs_err_memory(&c->dev.err, "encoder", n * k * sizeof *w);
    memcpy(e->w, w, n * k * sizeof *w);
    if (bias != NULL)
        memcpy(e->bias, bias, n * sizeof *bias);
    return 0;
}

int
bs_cpu_encoder(struct bs_dev *d, struct bs_encoder **out, const float *w,
               const float *bias, size_t n, size_t k, enum bs_screen screen)
{
    struct cpu_encoder *e = bs_alloc_array(1, sizeof *e);
    int r;

    (void)screen;
    if (e == NULL)
        return bs_err_memory(&d->err, "encoder", sizeof *e);
    e->head.n = n;
    e->head.k = k;
    r = fill_encoder((struct bs_cpu *)d, e, w, bias);
    if (r < 0) {
        bs_cpu_encoder_free(d, &e->head);
        return r;
    }
    *out = &e->head;
    return 0;
}

void
bs_cpu_encoder_free(struct bs_dev *d, struct bs_encoder *encoder)
{
    struct cpu_encoder *e = (struct cpu_encoder *)encoder;

    (void)d;
    bs_free(e->w);
    bs_free(e->bias);
    bs_free(e);
}

/* ---- the pre-activation ----------------------------------------------------
 */

/* As sae.h defines it: 16 partial sums of rounded products, folded in halves,
 * then the bias. */
static float
pre_of(const struct cpu_encoder *e, const float *x, size_t j)
{
    const float *w = e->w + j * e->head.k;
    size_t k = e->head.k, i, l, half;
    float sum[LANES] = {0};

    for (i = 0; i + LANES <= k; i += LANES)
        for (l = 0; l < LANES; l++)
            sum[l] += x[i + l] * w[i + l];
    for (l = 0; i + l < k; l++)
        sum[l] += x[i + l] * w[i + l];
    for (half = LANES / 2; half > 0; half /= 2)
        for (l = 0; l < half; l++)
            sum[l] += sum[l + half];
    return sum[0] + e->bias[j];
}

/* ---- a call ----------------------------------------------------------------
 */

struct encode_job {
    struct bs_cpu *c;
    const struct bs_dev_encode *a;
    const struct cpu_encoder *e;
    struct bs_hits *hits; /* one list a thread */
    bool batch;
};

static int
check_finite(struct bs_cpu *c, const struct bs_dev_encode *a)
{
    size_t i;

    for (i = 0; i < a->m; i++)
        if (!all_finite(a->x + i * a->ldx, a->enc->k))
            return bs_err_set(&c->dev.err, BS_EX_DATA,
                              "encode: row %zu has a value that is not finite",
                              i);
    return 0;
}

static void
put_row(const struct bs_dev_encode *a, size_t row, const struct bs_hit *at,
        size_t n)
{
    uint32_t *idx = a->idx + row * a->top;
    float *val = a->val + row * a->top;
    size_t i;

    for (i = 0; i < a->top; i++) {
        idx[i] = i < n ? at[i].idx : BS_CODE_NONE;
        val[i] = i < n ? at[i].high : 0;
    }
}

static void
topk_row(const struct encode_job *job, size_t row, void *memory)
{
    const struct bs_dev_encode *a = job->a;
    const float *x = a->x + row * a->ldx;
    struct bs_picks p;
    float cut = 0;
    size_t j;

    bs_picks_init(&p, a->top, memory);
    for (j = 0; j < job->e->head.n; j++) {
        float pre = pre_of(job->e, x, j);

        if (pre > cut)
            cut = bs_picks_add(&p, a->top, (uint32_t)j, pre, pre);
    }
    bs_hits_sort(p.at, p.n);
    put_row(a, row, p.at, p.n);
}

static void
topk_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct encode_job *job = arg;
    size_t i = chunk * CHUNK_ROWS, m = job->a->m;
    size_t end = m - i < CHUNK_ROWS ? m : i + CHUNK_ROWS;

    for (; i < end; i++)
        topk_row(job, i, job->c->scratch[thread]);
}

static size_t
chunks_of(size_t m)
{
    return m / CHUNK_ROWS + (m % CHUNK_ROWS != 0);
}

int
bs_cpu_encode_topk(struct bs_dev *d, const struct bs_dev_encode *a)
{
    struct bs_cpu *c = (struct bs_cpu *)d;
    struct encode_job job = {c, a, (const struct cpu_encoder *)a->enc, NULL,
                             false};
    int r = check_finite(c, a);

    if (r == 0)
        r = bs_cpu_scratch(c, bs_picks_bytes(a->top));
    if (r == 0)
        bs_pool_run(c->pool, chunks_of(a->m), topk_chunk, &job);
    return r;
}

/* ---- codes of any length ---------------------------------------------------
 */

static void
ragged_row(const struct encode_job *job, size_t row, struct bs_hits *h,
           float *cut)
{
    const struct bs_dev_encode *a = job->a;
    const float *x = a->x + row * a->ldx;
    size_t j;

    for (j = 0; j < job->e->head.n && !h->failed; j++) {
        float pre = pre_of(job->e, x, j);
        struct bs_hit hit = {pre, pre, (uint32_t)row, (uint32_t)j};

        if (!(pre > 0) || pre < *cut)
            continue;
        if (!job->batch && !(a->strict ? pre > a->tau[j] : pre >= a->tau[j]))
            continue;
        if (job->batch && h->n == h->room && h->n > a->top) {
            *cut = bs_hits_cut(h, a->top);
            bs_hits_drop(h, *cut);
        }
        if (!job->batch && h->n > a->limit)
            return;
        bs_hits_add(h, &hit);
    }
}

static void
ragged_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct encode_job *job = arg;
    size_t i = chunk * CHUNK_ROWS, m = job->a->m;
    size_t end = m - i < CHUNK_ROWS ? m : i + CHUNK_ROWS;
    float cut = 0;

    for (; i < end; i++)
        ragged_row(job, i, &job->hits[thread], &cut);
}

static int
ragged_room(struct bs_err *e, struct bs_ragged *out, size_t rows, size_t n)
{
    if (n >= UINT32_MAX)
        return bs_err_set(e, BS_EX_DATA, "encode: %zu values in a code", n);
    if (rows >= out->room_rows || out->ptr == NULL) {
        bs_free(out->ptr);
        out->ptr = bs_alloc_array(rows + 1, sizeof *out->ptr);
        out->room_rows = out->ptr != NULL ? rows + 1 : 0;
    }
    if (n > out->room || out->idx == NULL || out->val == NULL) {
        bs_free(out->idx);
        bs_free(out->val);
        out->idx = bs_alloc_array(n, sizeof *out->idx);
        out->val = bs_alloc_array(n, sizeof *out->val);
        out->room = out->idx != NULL && out->val != NULL ? n : 0;
    }
    if (out->ptr == NULL || out->idx == NULL || out->val == NULL) {
        bs_ragged_release(out);
        return bs_err_memory(e, "codes", n * sizeof *out->idx);
    }
    return 0;
}

/* All hits in one list, those of a row together, in the order of a code. */
static int
gather(const struct encode_job *job, struct bs_hits *all)
{
    struct bs_err *e = &job->c->dev.err;
    size_t limit = job->batch ? SIZE_MAX : job->a->limit, i;
    unsigned t;

    for (t = 0; t < job->c->threads; t++) {
        for (i = 0; i < job->hits[t].n && !all->failed; i++)
            bs_hits_add(all, &job->hits[t].at[i]);
        if (job->hits[t].failed || all->failed)
            return bs_err_memory(e, "codes", all->n * sizeof *all->at);
        if (all->n > limit)
            return bs_err_set(e, BS_EX_DATA,
                              "encode: more than %zu values pass", limit);
    }
    return 0;
}

static int
to_ragged(struct bs_err *e, const struct bs_hits *all, size_t m,
          struct bs_ragged *out)
{
    int r = ragged_room(e, out, m, all->n);
    struct bs_hit *sorted = bs_alloc_array(all->n, sizeof *sorted);
    size_t i;

    if (r == 0 && sorted == NULL)
        r = bs_err_memory(e, "codes", all->n * sizeof *sorted);
    if (r < 0) {
        bs_free(sorted);
        return r;
    }
    memset(out->ptr, 0, (m + 1) * sizeof *out->ptr);
    for (i = 0; i < all->n; i++)
        out->ptr[all->at[i].row + 1]++;
    for (i = 0; i < m; i++)
        out->ptr[i + 1] += out->ptr[i];
    for (i = 0; i < all->n; i++)
        sorted[out->ptr[all->at[i].row]++] = all->at[i];
    for (i = m; i > 0; i--)
        out->ptr[i] = out->ptr[i - 1];
    out->ptr[0] = 0;
    for (i = 0; i < m; i++)
        bs_hits_sort(sorted + out->ptr[i], out->ptr[i + 1] - out->ptr[i]);
    for (i = 0; i < all->n; i++) {
        out->idx[i] = sorted[i].idx;
        out->val[i] = sorted[i].high;
    }
    out->rows = m;
    bs_free(sorted);
    return 0;
}

static int
encode_ragged(struct encode_job *job, struct bs_ragged *out, float *threshold)
{
    struct bs_cpu *c = job->c;
    struct bs_hits all = {0};
    unsigned t;
    int r = check_finite(c, job->a);

    if (r < 0)
        return r;
    job->hits = bs_alloc_array(c->threads, sizeof *job->hits);
    if (job->hits == NULL)
        return bs_err_memory(&c->dev.err, "codes", sizeof *job->hits);
    bs_pool_run(c->pool, chunks_of(job->a->m), ragged_chunk, job);
    r = gather(job, &all);
    if (r == 0 && job->batch) {
        *threshold = bs_hits_cut(&all, job->a->top);
        bs_hits_drop(&all, *threshold);
    }
    if (r == 0)
        r = to_ragged(&c->dev.err, &all, job->a->m, out);
    bs_hits_release(&all);
    for (t = 0; t < c->threads; t++)
        bs_hits_release(&job->hits[t]);
    bs_free(job->hits);
    return r;
}

int
bs_cpu_encode_threshold(struct bs_dev *d, const struct bs_dev_encode *a,
                        struct bs_ragged *out)
{
    struct encode_job job = {(struct bs_cpu *)d, a,
                             (const struct cpu_encoder *)a->enc, NULL, false};

    return encode_ragged(&job, out, NULL);
}

int
bs_cpu_encode_batch(struct bs_dev *d, const struct bs_dev_encode *a,
                    struct bs_ragged *out, float *threshold)
{
    struct encode_job job = {(struct bs_cpu *)d, a,
                             (const struct cpu_encoder *)a->enc, NULL, true};

    return encode_ragged(&job, out, threshold);
}
