/*
 * attention_cpu.c - softmax(q k^T / sqrt(dim)) v without a queries x keys
 * matrix.
 *
 * A chunk of work is a run of blocks of queries of one head.  All is done
 * transposed: a panel of nr queries is the packed matrix of a gemm whose rows
 * are keys, so scores come as [keys][nr], with a query in each column.  Their
 * softmax works on whole vectors of columns, and what it leaves is, as it lies,
 * the packed matrix of the second gemm, whose rows are the columns of the
 * values.  Neither a head's width nor the number of keys is rounded up.
 *
 * A block of queries, several panels, goes over blocks of keys; the scores of a
 * panel and a block stay in the first-level cache.  The blocks of keys depend
 * on their number alone.  Scores are base-2 logarithms: the factor log2 e is in
 * the scale of the queries.
 */
#include "kernels/cpu.h"

#include "common/mem.h"

#include <float.h>
#include <math.h>

#define BLOCK_QUERIES 96
#define BLOCK_KEYS 256 /* at most */

struct job {
    struct bs_cpu *c;
    const struct bs_dev_attention *a;
    bool pairs; /* products in bf16 */
    float scale;
    size_t block_keys;
    size_t panels;    /* of queries, in a block */
    size_t blocks;    /* of queries, in a head */
    size_t run, runs; /* blocks of a chunk; chunks of a head */
};

/* A thread's scratch; the 16-bit ones only for `pairs`. */
struct room {
    float *keys;        /* [keys][dim] */
    float *values;      /* [dim][keys] */
    float *query;       /* [panels][dim][nr], scaled */
    float *scores;      /* [block_keys][nr], then their weights */
    float *sums;        /* [panels][dim][nr] */
    float *max, *total; /* [panels][nr] */
    float *shrink;      /* [nr] */
    uint16_t *keys16, *values16, *query16, *prob16;
};

static size_t
divide_up(size_t n, size_t by)
{
    return n / by + (n % by != 0);
}

static size_t
even(size_t n)
{
    return n + n % 2;
}

/* Takes parts from a block of memory, or, where `base` is NULL, only counts. */
struct bump {
    char *base;
    size_t used;
    bool overflow;
};

static void *
take(struct bump *b, size_t rows, size_t cols, size_t size)
{
    char *p = b->base != NULL ? b->base + b->used : NULL;
    size_t n;

    if (!bs_mul(rows, cols, &n) || !bs_mul(n, size, &n) ||
        !bs_add(n, BS_ALIGN - 1, &n) ||
        !bs_add(b->used, n / BS_ALIGN * BS_ALIGN, &b->used))
        b->overflow = true;
    return p;
}

static void
lay_out(const struct job *job, struct room *room, struct bump *b)
{
    size_t nr = job->c->isa->nr, dim = job->a->dim, keys = job->a->keys;
    size_t columns = job->panels * nr, full = sizeof(float);
    size_t half = job->pairs ? sizeof(uint16_t) : 0;

    room->keys = take(b, keys, dim, full);
    room->values = take(b, dim, keys, full);
    room->query = take(b, columns, dim, full);
    room->scores = take(b, job->block_keys, nr, full);
    room->sums = take(b, columns, dim, full);
    room->max = take(b, columns, 1, full);
    room->total = take(b, columns, 1, full);
    room->shrink = take(b, nr, 1, full);
    room->keys16 = take(b, keys, even(dim), half);
    room->values16 = take(b, dim, even(keys), half);
    room->query16 = take(b, columns, even(dim), half);
    room->prob16 = take(b, even(job->block_keys), nr, half);
}

/* ---- operands --------------------------------------------------------------
 */

/* Rows of f32, `ld` apart, to bf16, an even number a row. */
static void
narrow_rows(const struct bs_isa *isa, uint16_t *out, const float *in, size_t ld,
            size_t rows, size_t cols)
{
    size_t i;

    for (i = 0; i < rows; i++, in += ld, out += even(cols)) {
        isa->narrow(out, in, cols);
        if (cols % 2 != 0)
            out[cols] = 0;
    }
}

/* out[i][j] = in[j][i], a strip of 16 rows of `in` at a time. */
static void
transpose(float *out, size_t ldo, const float *in, size_t ldi, size_t rows,
          size_t cols)
{
    size_t first, i, j;

    for (first = 0; first < rows; first += 16) {
        size_t end = rows - first < 16 ? rows : first + 16;

        for (i = 0; i < cols; i++)
            for (j = first; j < end; j++)
                out[i * ldo + j] = in[j * ldi + i];
    }
}

static void
take_head(const struct job *job, const struct room *room, const float *k,
          const float *v)
{
    const struct bs_dev_attention *a = job->a;
    const struct bs_isa *isa = job->c->isa;

    transpose(room->values, a->keys, v, a->ldv, a->keys, a->dim);
    if (!job->pairs) {
        isa->scale(room->keys, a->dim, k, a->ldk, a->keys, a->dim, 1);
        return;
    }
    narrow_rows(isa, room->keys16, k, a->ldk, a->keys, a->dim);
    narrow_rows(isa, room->values16, room->values, a->keys, a->dim, a->keys);
}

static void
take_queries(const struct job *job, const struct room *room, const float *q,
             size_t rows)
{
    const struct bs_isa *isa = job->c->isa;
    size_t nr = isa->nr, dim = job->a->dim, panels = divide_up(rows, nr), i;

    isa->pack(room->query, q, job->a->ldq, rows, dim);
    isa->scale(room->query, dim, room->query, dim, panels * nr, dim,
               job->scale);
    for (i = 0; i < panels && job->pairs; i++)
        bs_cpu_pack_pairs(room->query16 + i * even(dim) * nr,
                          room->query + i * dim * nr, dim, nr);
    /* Not -infinity: the difference of two such would be NaN. */
    for (i = 0; i < panels * nr; i++) {
        room->max[i] = -FLT_MAX;
        room->total[i] = 0;
    }
}

/* ---- a panel of queries by a block of keys --------------------------------
 */

static void
score(const struct job *job, const struct room *room, size_t panel, size_t key,
      size_t keys)
{
    const struct bs_isa *isa = job->c->isa;
    size_t dim = job->a->dim;

    if (job->pairs)
        isa->gemm_bf16(room->keys16 + key * even(dim), even(dim),
                       room->query16 + panel * even(dim) * isa->nr, even(dim),
                       room->scores, keys, true);
    else
        isa->gemm(room->keys + key * dim, dim,
                  room->query + panel * dim * isa->nr, dim, room->scores, keys,
                  true, NULL);
}

/* The first column's query is `query`: no column sees the keys behind its own.
 */
static void
mask(const struct job *job, const struct room *room, size_t query, size_t key,
     size_t keys)
{
    size_t nr = job->c->isa->nr, i, j;

    for (i = query + 1 > key ? query + 1 - key : 0; i < keys; i++) {
        size_t blind = key + i - query < nr ? key + i - query : nr;

        for (j = 0; j < blind; j++)
            room->scores[i * nr + j] = -INFINITY;
    }
}

static void
weigh(const struct job *job, const struct room *room, size_t panel, size_t key,
      size_t keys)
{
    const struct bs_isa *isa = job->c->isa;
    size_t nr = isa->nr, dim = job->a->dim, all = job->a->keys;
    float *sums = room->sums + panel * dim * nr;

    isa->softmax(room->scores, keys, room->max + panel * nr,
                 room->total + panel * nr, room->shrink);
    if (key > 0)
        isa->scale_columns(sums, dim, room->shrink);
    if (job->pairs) {
        isa->narrow_pairs(room->prob16, room->scores, keys);
        isa->gemm_bf16(room->values16 + key, even(all), room->prob16,
                       even(keys), sums, dim, key == 0);
    } else {
        isa->gemm(room->values + key, all, room->scores, keys, sums, dim,
                  key == 0, NULL);
    }
}

static void
give_rows(const struct job *job, const struct room *room, size_t panel,
          float *out, size_t rows)
{
    size_t nr = job->c->isa->nr, dim = job->a->dim, i, j;
    const float *sums = room->sums + panel * dim * nr;

    for (j = 0; j < rows; j++) {
        float inverse = 1 / room->total[panel * nr + j];

        for (i = 0; i < dim; i++)
            out[j * job->a->ldo + i] = sums[i * nr + j] * inverse;
    }
}

/* ---- a head ----------------------------------------------------------------
 */

/* Queries first..end-1 of a head, whose results go to out. */
static void
attend(const struct job *job, const struct room *room, size_t first, size_t end,
       float *out)
{
    const struct bs_dev_attention *a = job->a;
    size_t nr = job->c->isa->nr, panels = divide_up(end - first, nr), key, p;

    for (key = 0; key < a->keys; key += job->block_keys)
        for (p = 0; p < panels; p++) {
            size_t query = first + p * nr, all = a->keys, keys;

            if (a->causal)
                all = end - query < nr ? end : query + nr;
            if (key >= all)
                continue;
            keys = all - key < job->block_keys ? all - key : job->block_keys;
            score(job, room, p, key, keys);
            if (a->causal)
                mask(job, room, query, key, keys);
            weigh(job, room, p, key, keys);
        }
    for (p = 0; p < panels; p++) {
        size_t left = end - first - p * nr;

        give_rows(job, room, p, out + p * nr * a->ldo, left < nr ? left : nr);
    }
}

static void
attention_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct job *job = arg;
    const struct bs_dev_attention *a = job->a;
    size_t image = chunk / job->runs / a->heads, block;
    size_t column = chunk / job->runs % a->heads * a->dim;
    size_t size = job->panels * job->c->isa->nr;
    size_t last = (chunk % job->runs + 1) * job->run;
    const float *q = a->q + image * a->queries * a->ldq + column;
    float *out = a->out + image * a->queries * a->ldo + column;
    struct bump bump = {job->c->scratch[thread], 0, false};
    struct room room;

    lay_out(job, &room, &bump);
    take_head(job, &room, a->k + image * a->keys * a->ldk + column,
              a->v + image * a->keys * a->ldv + column);
    if (last > job->blocks)
        last = job->blocks;
    for (block = chunk % job->runs * job->run; block < last; block++) {
        size_t first = block * size, left = a->queries - first;
        size_t rows = left < size ? left : size;

        take_queries(job, &room, q + first * a->ldq, rows);
        attend(job, &room, first, first + rows, out + first * a->ldo);
    }
}

/* Blocks of keys of nearly equal size, even for pairs; whole heads to the
 * threads where there are enough of them, else runs of blocks of queries. */
static void
plan(struct job *job)
{
    const struct bs_dev_attention *a = job->a;
    size_t nr = job->c->isa->nr, threads = job->c->threads;
    size_t heads = a->batch * a->heads, blocks = divide_up(a->keys, BLOCK_KEYS);

    job->block_keys = even(divide_up(a->keys, blocks));
    job->panels = divide_up(BLOCK_QUERIES, nr);
    if (job->panels > divide_up(a->queries, nr))
        job->panels = divide_up(a->queries, nr);
    job->blocks = divide_up(a->queries, job->panels * nr);
    job->runs = threads == 1 || heads >= 4 * threads
                    ? 1
                    : divide_up(4 * threads, heads);
    job->run = divide_up(job->blocks, job->runs);
    job->runs = divide_up(job->blocks, job->run);
}

int
bs_cpu_attention(struct bs_dev *d, const struct bs_dev_attention *a)
{
    struct bs_cpu *c = (struct bs_cpu *)d;
    struct job job = {
        .c = c,
        .a = a,
        .pairs = a->math == BS_MATH_BF16 && c->isa->gemm_bf16 != NULL,
        .scale = (float)(1.4426950408889634 / sqrt((double)a->dim)),
    };
    struct bump bump = {NULL, 0, false};
    struct room room;
    int r;

    plan(&job);
    lay_out(&job, &room, &bump);
    if (bump.overflow)
        return bs_err_memory(&d->err, "attention", SIZE_MAX);
    r = bs_cpu_scratch(c, bump.used);
    if (r == 0)
        bs_pool_run(c->pool, a->batch * a->heads * job.runs, attention_chunk,
                    &job);
    return r;
}
