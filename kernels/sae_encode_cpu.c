/*
 * sae_encode_cpu.c - the largest of each row.  A row's cut is the `top`-th
 * largest lower bound that it has met.
 */
#include "kernels/sae_cpu.h"

#include <math.h>

static struct bs_picks *
picks_of(struct bs_scan *s, size_t i)
{
    return (void *)(s->memory + i * s->job->room);
}

static void
start_picks(struct bs_scan *s, size_t i)
{
    struct bs_picks *p = picks_of(s, i);

    bs_picks_init(p, s->job->a->top, (char *)p + BS_ALIGN);
}

/* A list that is full of what may be among the top becomes known; only equals
 * can still fill it. */
static void
make_room(struct bs_scan *s, struct bs_picks *p)
{
    size_t top = s->job->a->top;

    if (bs_picks_room(p, top))
        return;
    bs_scan_pres(s, p->at, p->n);
    bs_picks_again(p, top);
    p->overflow = !bs_picks_room(p, top);
}

/* Known hits come in order of index: an equal one loses against those. */
static float
topk_hit(struct bs_scan *s, size_t i, const struct bs_hit *hit)
{
    size_t top = s->job->a->top;
    struct bs_picks *p = picks_of(s, i);

    if (s->row[i].known && p->lows >= top && hit->low <= p->cut)
        return p->cut;
    make_room(s, p);
    if (p->overflow)
        return INFINITY;
    bs_picks_add(p, top, hit);
    return p->cut;
}

/* What may be among the top, on its way to the cache. */
static void
fetch_picks(struct bs_scan *s, size_t i)
{
    struct bs_picks *p = picks_of(s, i);
    struct bs_hits all = {.at = p->at, .n = p->n};

    bs_hits_drop(&all, p->cut);
    p->n = all.n;
    bs_scan_fetch(s, p->at, p->n);
}

/* It becomes known; returns how many are positive. */
static size_t
know_picks(struct bs_scan *s, size_t i)
{
    struct bs_picks *p = picks_of(s, i);
    size_t j, n = 0;

    bs_scan_pres(s, p->at, p->n);
    for (j = 0; j < p->n; j++)
        if (p->at[j].high > 0)
            p->at[n++] = p->at[j];
    return n;
}

static void
topk_finish(struct bs_scan *s)
{
    const struct bs_dev_encode *a = s->job->a;
    size_t i, j, n;

    for (i = 0; i < s->rows; i++)
        if (picks_of(s, i)->overflow) {
            start_picks(s, i);
            bs_scan_known(s, i);
        }
    fetch_picks(s, 0);
    for (i = 0; i < s->rows; i++) {
        struct bs_picks *p = picks_of(s, i);
        uint32_t *idx = a->idx + (s->first + i) * a->top;
        float *val = a->val + (s->first + i) * a->top;

        if (i + 1 < s->rows)
            fetch_picks(s, i + 1);
        n = know_picks(s, i);
        bs_hits_sort(p->at, n);
        for (j = 0; j < a->top; j++) {
            idx[j] = j < n ? p->at[j].idx : BS_CODE_NONE;
            val[j] = j < n ? p->at[j].high : 0;
        }
    }
}

int
bs_cpu_encode_topk(struct bs_dev *d, const struct bs_dev_encode *a)
{
    const struct cpu_encoder *e = (const struct cpu_encoder *)a->enc;
    struct bs_scan_job job = {
        .c = (struct bs_cpu *)d,
        .a = a,
        .e = e,
        .bound = e->bound,
        .start = start_picks,
        .hit = topk_hit,
        .finish = topk_finish,
        .room = BS_ALIGN + bs_picks_bytes(a->top),
    };

    return bs_cpu_scan(&job);
}
