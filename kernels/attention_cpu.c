/*
 * attention_cpu.c - softmax(q k^T / sqrt(dim)) v without a tokens x tokens
 * matrix.
 *
 * A chunk of work is a run of blocks of queries of one head.  Its keys and
 * values are packed like weights of a gemm; then each block of queries goes
 * over blocks of keys: scores, their running softmax, and the weighted sum of
 * the values, all in scratch memory that fits the second-level cache.  The
 * blocks of keys depend on their number alone.  Scores are base-2 logarithms:
 * the factor log2 e is in the scale of the queries.
 */
#include "kernels/cpu.h"

#include "common/mem.h"

#include <float.h>
#include <math.h>

#define TILES 8        /* of queries in a block */
#define BLOCK_KEYS 512 /* at most */

struct job {
    struct bs_cpu *c;
    const struct bs_dev_attention *a;
    bool pairs; /* products in bf16 */
    float scale;
    size_t block_keys;           /* a multiple of nr */
    size_t queries;              /* of a block */
    size_t blocks;               /* of them, in a head */
    size_t run, runs;            /* blocks of a chunk; chunks of a head */
    size_t key_panels, v_panels; /* of nr keys; of nr columns */
};

/* A thread's scratch; the 16-bit ones only for `pairs`. */
struct room {
    float *keys;                 /* [key_panels][dim][nr] */
    float *values;               /* [v_panels][keys][nr] */
    float *query;                /* [queries][dim], scaled */
    float *scores;               /* [block_keys / nr][queries][nr] */
    float *prob;                 /* [queries][block_keys] */
    float *sums;                 /* [v_panels][queries][nr] */
    float *max, *total, *shrink; /* [queries] */
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
    size_t nr = job->c->isa->nr, dim = job->a->dim;
    size_t q = job->queries, keys = job->key_panels * nr;
    size_t columns = job->v_panels * nr, full = sizeof(float);
    size_t half = job->pairs ? sizeof(uint16_t) : 0;

    room->keys = take(b, keys, dim, full);
    room->values = take(b, job->a->keys, columns, full);
    room->query = take(b, q, dim, full);
    room->scores = take(b, q, job->block_keys, full);
    room->prob = take(b, q, job->block_keys, full);
    room->sums = take(b, q, columns, full);
    room->max = take(b, q, 1, full);
    room->total = take(b, q, 1, full);
    room->shrink = take(b, q, 1, full);
    room->keys16 = take(b, keys, even(dim), half);
    room->values16 = take(b, even(job->a->keys), columns, half);
    room->query16 = take(b, q, even(dim), half);
    room->prob16 = take(b, q, job->block_keys, half);
}

/* Values as the weight [columns, tokens] of the second product. */
static void
pack_values(const struct job *job, const struct room *room, const float *v)
{
    const struct bs_isa *isa = job->c->isa;
    size_t nr = isa->nr, dim = job->a->dim, keys = job->a->keys, p;

    for (p = 0; p < job->v_panels; p++) {
        size_t cols = dim - p * nr < nr ? dim - p * nr : nr;
        float *out = room->values + p * keys * nr;

        if (cols < nr)
            memset(out, 0, keys * nr * sizeof *out);
        isa->scale(out, nr, v + p * nr, job->a->ldv, keys, cols, 1);
    }
}

static void
pack_head(const struct job *job, const struct room *room, const float *k,
          const float *v)
{
    const struct bs_dev_attention *a = job->a;
    const struct bs_isa *isa = job->c->isa;
    size_t nr = isa->nr, p;

    isa->pack(room->keys, k, a->ldk, a->keys, a->dim);
    pack_values(job, room, v);
    if (!job->pairs)
        return;
    for (p = 0; p < job->key_panels; p++)
        bs_cpu_pack_pairs(room->keys16 + p * even(a->dim) * nr,
                          room->keys + p * a->dim * nr, a->dim, nr);
    for (p = 0; p < job->v_panels; p++)
        bs_cpu_pack_pairs(room->values16 + p * even(a->keys) * nr,
                          room->values + p * a->keys * nr, a->keys, nr);
}

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

static void
take_queries(const struct job *job, const struct room *room, const float *q,
             size_t rows)
{
    size_t dim = job->a->dim, i;

    job->c->isa->scale(room->query, dim, q, job->a->ldq, rows, dim, job->scale);
    if (job->pairs)
        narrow_rows(job->c->isa, room->query16, room->query, dim, rows, dim);
    /* Not -infinity: the difference of two such would be NaN. */
    for (i = 0; i < rows; i++) {
        room->max[i] = -FLT_MAX;
        room->total[i] = 0;
    }
    memset(room->sums, 0,
           job->v_panels * rows * job->c->isa->nr * sizeof(float));
}

static void
score(const struct job *job, const struct room *room, size_t rows, size_t key,
      size_t keys)
{
    const struct bs_isa *isa = job->c->isa;
    size_t nr = isa->nr, dim = job->a->dim, p;

    for (p = 0; p < divide_up(keys, nr); p++) {
        float *out = room->scores + p * rows * nr;
        size_t panel = key / nr + p;

        if (job->pairs)
            isa->gemm_bf16(room->query16, even(dim),
                           room->keys16 + panel * even(dim) * nr, even(dim),
                           out, rows, true);
        else
            isa->gemm(room->query, dim, room->keys + panel * dim * nr, dim, out,
                      rows, true, room->keys + (panel + 1) * dim * nr);
    }
}

/* What was summed before shrinks to the new maximum. */
static void
shrink_sums(const struct job *job, const struct room *room, size_t rows)
{
    size_t nr = job->c->isa->nr, p, i;

    for (p = 0; p < job->v_panels; p++)
        for (i = 0; i < rows; i++) {
            float *row = room->sums + (p * rows + i) * nr;

            if (room->shrink[i] != 1)
                job->c->isa->scale(row, nr, row, nr, 1, nr, room->shrink[i]);
        }
}

/* How many of `keys` keys from `key` on the query sees. */
static size_t
seen(const struct job *job, size_t query, size_t key, size_t keys)
{
    size_t until = query + 1;

    if (!job->a->causal || until >= key + keys)
        return keys;
    return until > key ? until - key : 0;
}

/* `first` is the number of the first of the queries. */
static void
weigh(const struct job *job, const struct room *room, size_t first, size_t rows,
      size_t key, size_t keys)
{
    const struct bs_isa *isa = job->c->isa;
    size_t nr = isa->nr, all = job->a->keys, p, i;

    for (i = 0; i < rows; i++) {
        float *prob = room->prob + i * job->block_keys;
        size_t some = seen(job, first + i, key, keys);

        room->shrink[i] = isa->softmax(prob, room->scores + i * nr, rows * nr,
                                       some, &room->max[i], &room->total[i]);
        memset(prob + some, 0, (keys - some) * sizeof *prob);
    }
    if (key > 0)
        shrink_sums(job, room, rows);
    if (job->pairs)
        narrow_rows(isa, room->prob16, room->prob, job->block_keys, rows, keys);
    for (p = 0; p < job->v_panels; p++) {
        float *out = room->sums + p * rows * nr;

        if (job->pairs)
            isa->gemm_bf16(room->prob16, even(keys),
                           room->values16 + (p * even(all) + key) * nr,
                           even(keys), out, rows, false);
        else
            isa->gemm(room->prob, job->block_keys,
                      room->values + (p * all + key) * nr, keys, out, rows,
                      false, room->values + ((p + 1) * all + key) * nr);
    }
}

static void
give_rows(const struct job *job, const struct room *room, float *out,
          size_t rows)
{
    size_t nr = job->c->isa->nr, dim = job->a->dim;
    size_t ld = job->a->ldo, i, p;

    for (i = 0; i < rows; i++)
        for (p = 0; p < job->v_panels; p++)
            job->c->isa->scale(
                out + i * ld + p * nr, ld, room->sums + (p * rows + i) * nr, nr,
                1, dim - p * nr < nr ? dim - p * nr : nr, 1 / room->total[i]);
}

static void
attention_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct job *job = arg;
    const struct bs_dev_attention *a = job->a;
    size_t image = chunk / job->runs / a->heads, block, key;
    size_t column = chunk / job->runs % a->heads * a->dim;
    size_t last = (chunk % job->runs + 1) * job->run;
    const float *q = a->q + image * a->queries * a->ldq + column;
    const float *k = a->k + image * a->keys * a->ldk + column;
    const float *v = a->v + image * a->keys * a->ldv + column;
    float *out = a->out + image * a->queries * a->ldo + column;
    struct bump bump = {job->c->scratch[thread], 0, false};
    struct room room;

    lay_out(job, &room, &bump);
    pack_head(job, &room, k, v);
    if (last > job->blocks)
        last = job->blocks;
    for (block = chunk % job->runs * job->run; block < last; block++) {
        size_t first = block * job->queries, end = first + job->queries;
        size_t all = a->keys;

        if (end > a->queries)
            end = a->queries;
        if (a->causal)
            all = end;
        take_queries(job, &room, q + first * a->ldq, end - first);
        for (key = 0; key < all; key += job->block_keys) {
            size_t keys = all - key;

            if (keys > job->block_keys)
                keys = job->block_keys;
            score(job, &room, end - first, key, keys);
            weigh(job, &room, first, end - first, key, keys);
        }
        give_rows(job, &room, out + first * a->ldo, end - first);
    }
}

/* Blocks of keys of nearly equal size; whole heads to the threads where there
 * are enough of them, else runs of blocks of queries. */
static void
plan(struct job *job)
{
    const struct bs_dev_attention *a = job->a;
    size_t mr = job->c->isa->mr, nr = job->c->isa->nr;
    size_t heads = a->batch * a->heads, threads = job->c->threads;
    size_t blocks = divide_up(a->keys, BLOCK_KEYS);

    job->block_keys = BS_ROUND_UP(divide_up(a->keys, blocks), nr);
    job->queries = TILES * mr;
    if (job->queries > a->queries)
        job->queries = a->queries;
    job->blocks = divide_up(a->queries, job->queries);
    job->runs = threads == 1 || heads >= 4 * threads
                    ? 1
                    : divide_up(4 * threads, heads);
    job->run = divide_up(job->blocks, job->runs);
    job->runs = divide_up(job->blocks, job->run);
    job->key_panels = divide_up(a->keys, nr);
    job->v_panels = divide_up(a->dim, nr);
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
