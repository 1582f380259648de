/*
 * sae_encode_cuda.c - sparse codes on the CUDA device: gemm.cu screens, in
 * bf16, a chunk of rows after another, so that the scores of a chunk stay in
 * the second-level cache; sae_encode.cu says why no product is missed.
 */
#include "kernels/sae_encode_cuda.h"
#include "kernels/sae_cpu.h"

#include "common/mem.h"

#include <float.h>
#include <math.h>

#define HALF_WARPS (BS_SAE_THREADS / 16)

/* ---- scores ----------------------------------------------------------------
 */

/* A call: its scratch memory, and the chunk of rows at hand. */
struct call {
    struct bs_cuda *c;
    const struct bs_dev_encode *a;
    const struct cuda_encoder *e;
    struct bs_sae_size *size; /* of its rows */
    uint32_t *flags;          /* the first bad row; how many hits */
    float *scores;
    const float *bound; /* what scores get added */
    float most_bound;
    size_t chunk, first, rows;
};

static int
start(struct call *call, struct bs_dev *d, const struct bs_dev_encode *a)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    const struct cuda_encoder *e = (const struct cuda_encoder *)a->enc;
    size_t n = e->head.n, bytes;
    int r;

    *call = (struct call){.c = c, .a = a, .e = e, .bound = e->bias.p};
    call->most_bound = 2 * e->most_bias;
    call->chunk = n > 0 ? c->scores_bytes / sizeof(float) / n : a->m;
    call->chunk -= call->chunk % BS_GEMM_ROWS;
    if (call->chunk < BS_GEMM_ROWS)
        call->chunk = BS_GEMM_ROWS;
    if (call->chunk > a->m)
        call->chunk = a->m;
    if (call->chunk > UINT16_MAX)
        call->chunk = UINT16_MAX;
    if (!bs_mul(call->chunk, n, &bytes) ||
        !bs_mul(bytes, sizeof(float), &bytes))
        return bs_err_memory(&d->err, "scores", SIZE_MAX);
    r = bs_cuda_scratch(c, BS_SCRATCH_SCORES, &call->scores, bytes);
    if (r == 0)
        r = bs_cuda_scratch(c, BS_SCRATCH_ROWS, &call->size,
                            a->m * sizeof *call->size);
    if (r == 0)
        r = bs_cuda_scratch(c, BS_SCRATCH_FLAGS, &call->flags,
                            2 * sizeof *call->flags);
    return r < 0 ? r
                 : bs_cuda_measure(c, a->x, a->ldx, a->m, e->head.k, call->size,
                                   call->flags);
}

/* The next chunk's scores; false after the last, or on an error. */
static bool
next_chunk(struct call *call, int *r)
{
    const struct bs_dev_encode *a = call->a;
    struct bs_dev_gemm gemm = {
        .w = call->e->screen,
        .ldx = a->ldx,
        .y = call->scores,
        .ldy = call->e->head.n,
        .bias = call->bound,
        .epilogue = BS_EPI_NONE,
    };

    call->first += call->rows;
    call->rows =
        a->m - call->first < call->chunk ? a->m - call->first : call->chunk;
    if (*r < 0 || call->rows == 0 || call->e->head.n == 0)
        return false;
    gemm.x = a->x + call->first * a->ldx;
    gemm.m = call->rows;
    *r = bs_cuda_gemm(&call->c->dev, &gemm);
    return *r == 0;
}

static struct bs_sae_scores
scores_of(const struct call *call)
{
    const struct cuda_encoder *e = call->e;

    return (struct bs_sae_scores){
        .at = call->scores,
        .n = e->head.n,
        .x = call->a->x + call->first * call->a->ldx,
        .ldx = call->a->ldx,
        .k = e->head.k,
        .w = e->w.p,
        .bias = e->bias.p,
        .bound = call->bound,
        .row = call->size + call->first,
        .atom = e->size.p,
        .exact = e->exact,
        .slack = ((float)e->head.k + 64) * 0x1p-21f,
        .most_norm = e->most_norm,
        .most_rest = e->most_rest,
        .most_bound = call->most_bound,
    };
}

/* Wait for what is queued; an error where a row of x is not finite. */
static int
check_rows(struct call *call)
{
    uint32_t bad;
    int r = bs_cuda_get(&call->c->dev, &bad, call->flags, sizeof bad);

    if (r == 0 && bad != UINT32_MAX)
        r = bs_err_set(&call->c->dev.err, BS_EX_DATA,
                       "encode: row %u has a value that is not finite",
                       (unsigned)bad);
    return r;
}

/* ---- the largest of each row -----------------------------------------------
 */

int
bs_cuda_encode_topk(struct bs_dev *d, const struct bs_dev_encode *a)
{
    struct call call;
    int r = start(&call, d, a);

    while (next_chunk(&call, &r)) {
        const struct bs_sae_pick_args args = {
            .s = scores_of(&call),
            .top = a->top,
            .idx = a->idx + call.first * a->top,
            .val = a->val + call.first * a->top,
        };
        const struct bs_grid grid = {call.rows, 1, BS_SAE_THREADS, 0};

        r = BS_LAUNCH(call.c, sae_pick, grid, args);
    }
    return r < 0 ? r : check_rows(&call);
}

/* ---- hits ------------------------------------------------------------------
 */

/* How many hits reach the cut; up to `room` of them in their slot. */
static int
collect(struct call *call, float cut, bool low, size_t room, uint32_t *count)
{
    struct bs_sae_collect_args args = {
        .s = scores_of(call),
        .first = call->first,
        .cut = cut,
        .low = low,
        .room = room,
        .count = call->flags + 1,
    };
    const struct bs_grid grid = {bs_blocks(args.s.n, BS_SAE_THREADS),
                                 call->rows, BS_SAE_THREADS, 0};
    int r = bs_cuda_scratch(call->c, BS_SCRATCH_HITS, &args.hits,
                            room * sizeof *args.hits);

    if (r == 0)
        r = bs_cuda_fill(call->c, args.count, 0, sizeof *args.count);
    if (r == 0)
        r = BS_LAUNCH(call->c, sae_collect, grid, args);
    return r < 0 ? r
                 : bs_cuda_get(&call->c->dev, count, args.count, sizeof *count);
}

/* The first n hits of the slot become known. */
static int
know(struct call *call, size_t n)
{
    struct bs_sae_know_args args = {
        .x = call->a->x,
        .ldx = call->a->ldx,
        .k = call->e->head.k,
        .w = call->e->w.p,
        .bias = call->e->bias.p,
        .n = n,
    };
    const struct bs_grid grid = {bs_blocks(n, HALF_WARPS), 1, BS_SAE_THREADS,
                                 0};
    int r = bs_cuda_scratch(call->c, BS_SCRATCH_HITS, &args.hits,
                            n * sizeof *args.hits);

    return r < 0 || n == 0 ? r : BS_LAUNCH(call->c, sae_know, grid, args);
}

/* Add the first n hits of the slot to a list. */
static int
fetch(struct call *call, struct bs_hits *to, size_t n)
{
    struct bs_hit *hits;
    int r = bs_cuda_scratch(call->c, BS_SCRATCH_HITS, &hits, n * sizeof *hits);

    if (n == 0)
        return r;
    while (r == 0 && to->room - to->n < n)
        if (!bs_hits_grow(to))
            r = bs_err_memory(&call->c->dev.err, "codes", n * sizeof *hits);
    if (r == 0)
        r = bs_cuda_get(&call->c->dev, to->at + to->n, hits, n * sizeof *hits);
    if (r == 0)
        to->n += n;
    return r;
}

/* All hits of the chunk that reach the cut, in their slot. */
static int
collect_all(struct call *call, float cut, uint32_t *n)
{
    size_t room = call->c->hits_room;
    int r = collect(call, cut, false, room, n);

    return r < 0 || *n <= room ? r : collect(call, cut, false, *n, n);
}

/* ---- what passes a threshold -----------------------------------------------
 */

/* What is added to a product, less the threshold. */
static int
put_bounds(struct call *call)
{
    const float *bias = call->e->host_bias, *tau = call->a->tau;
    size_t n = call->e->head.n, j;
    float *bound = bs_alloc_array(n, sizeof *bound), most = 0;
    void *to;
    int r;

    if (bound == NULL)
        return bs_err_memory(&call->c->dev.err, "thresholds",
                             n * sizeof *bound);
    for (j = 0; j < n; j++) {
        bound[j] = bias[j] - (tau[j] > 0 ? tau[j] : 0);
        most = fmaxf(most, fabsf(bias[j]) + fabsf(bound[j]));
    }
    r = bs_cuda_scratch(call->c, BS_SCRATCH_BOUND, &to, n * sizeof *bound);
    if (r == 0)
        r = bs_cuda_put(&call->c->dev, to, bound, n * sizeof *bound);
    call->bound = to;
    call->most_bound = most;
    bs_free(bound);
    return r;
}

/* Keep those of the list from `first` on that pass. */
static void
filter(const struct bs_dev_encode *a, struct bs_hits *h, size_t first)
{
    size_t i, n = first;

    for (i = first; i < h->n; i++) {
        float pre = h->at[i].high, tau = a->tau[h->at[i].idx];

        if (pre > 0 && (a->strict ? pre > tau : pre >= tau))
            h->at[n++] = h->at[i];
    }
    h->n = n;
}

int
bs_cuda_encode_threshold(struct bs_dev *d, const struct bs_dev_encode *a,
                         struct bs_ragged *out)
{
    struct bs_hits all = {0};
    struct call call;
    int r = start(&call, d, a);

    if (r == 0)
        r = check_rows(&call);
    if (r == 0)
        r = put_bounds(&call);
    while (next_chunk(&call, &r)) {
        size_t before = all.n;
        uint32_t n;

        r = collect_all(&call, 0, &n);
        if (r == 0)
            r = know(&call, n);
        if (r == 0)
            r = fetch(&call, &all, n);
        filter(a, &all, before);
        if (r == 0 && all.n > a->limit)
            r = bs_err_set(&d->err, BS_EX_DATA,
                           "encode: more than %zu values pass", a->limit);
    }
    if (r == 0)
        r = bs_hits_ragged(&all, a->m, out, &d->err);
    bs_hits_release(&all);
    return r;
}

/* ---- the largest of all rows -----------------------------------------------
 */

/* The highest cut that `top` lower bounds of the chunk reach, bit by bit; not
 * less than `cut`. */
static int
raise_cut(struct call *call, float *cut)
{
    uint32_t found = 0, count;
    float value;
    int bit, r = 0;

    for (bit = 30; r == 0 && bit >= 8; bit--) {
        uint32_t bits = found | (uint32_t)1 << bit;

        if (bits > 0x7f800000)
            continue;
        memcpy(&value, &bits, sizeof value);
        r = collect(call, value, true, 0, &count);
        if (r == 0 && count >= call->a->top)
            found = bits;
    }
    memcpy(&value, &found, sizeof value);
    *cut = fmaxf(*cut, value);
    return r;
}

/* The hits of the chunk; more than there is room for raise the cut first. */
static int
collect_batch(struct call *call, struct bs_hits *all, float *cut)
{
    size_t top = call->a->top, room = call->c->hits_room;
    size_t most = top < room / 2 ? room : 2 * top;
    uint32_t n;
    int r = collect_all(call, *cut, &n);

    if (r == 0 && n > most) {
        r = raise_cut(call, cut);
        if (r == 0)
            r = collect_all(call, *cut, &n);
    }
    if (r == 0)
        r = fetch(call, all, n);
    if (r == 0 && all->n > most) {
        *cut = fmaxf(*cut, bs_hits_cut(all, top));
        bs_hits_drop(all, *cut);
    }
    return r;
}

/* The `top` largest of all hits, with those that equal the least of them. */
static int
cut_batch(struct call *call, struct bs_hits *all, float *least)
{
    size_t top = call->a->top, n;
    void *hits;
    int r;

    bs_hits_drop(all, bs_hits_cut(all, top));
    n = all->n;
    r = bs_cuda_scratch(call->c, BS_SCRATCH_HITS, &hits, n * sizeof *all->at);
    if (r == 0)
        r = bs_cuda_put(&call->c->dev, hits, all->at, n * sizeof *all->at);
    if (r == 0)
        r = know(call, n);
    all->n = 0;
    if (r == 0)
        r = fetch(call, all, n);
    *least = bs_hits_cut(all, top);
    bs_hits_drop(all, *least > 0 ? *least : FLT_TRUE_MIN);
    return r;
}

int
bs_cuda_encode_batch(struct bs_dev *d, const struct bs_dev_encode *a,
                     struct bs_ragged *out, float *threshold)
{
    struct bs_hits all = {0};
    struct call call;
    float cut = 0;
    int r = start(&call, d, a);

    if (r == 0)
        r = check_rows(&call);
    while (next_chunk(&call, &r))
        r = collect_batch(&call, &all, &cut);
    if (r == 0)
        r = cut_batch(&call, &all, threshold);
    if (r == 0)
        r = bs_hits_ragged(&all, a->m, out, &d->err);
    bs_hits_release(&all);
    return r;
}
