/*
 * cooc_tables.c - see cooc_tables.h.
 */
#include "cmd/models/cooc_tables.h"

#include <math.h>
#include <string.h>

#include "common/mem.h"

static double
ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

double
bs_cooc_value(const struct bs_cooc_side *side, enum bs_cooc_measure measure,
              uint32_t i, const struct bs_cooc_pair *p)
{
    const struct bs_cooc_margin *m = side->margin;
    double n = (double)p->count;
    double ni = (double)m->fires[i], nj = (double)m->fires[p->concept];

    switch (measure) {
    case BS_COOC_COSINE: /* rounding must not make it more than 1 */
        return fmin(ratio(p->sum, sqrt(m->square[i] * m->square[p->concept])),
                    1);
    case BS_COOC_LIFT:
        return ratio(n * side->rows, ni * nj);
    case BS_COOC_JACCARD:
        return ratio(n, ni + nj - n);
    default:
        return n;
    }
}

/* ---- curves --------------------------------------------------------------
 */

static int
hist_init(struct bs_cooc_hist *h, size_t taus, struct bs_err *e)
{
    h->pairs = bs_alloc_array(taus + 1, sizeof *h->pairs);
    h->diagonal = bs_alloc_array(taus + 1, sizeof *h->diagonal);
    return h->pairs != NULL && h->diagonal != NULL
               ? 0
               : bs_err_memory(e, "curve", taus);
}

int
bs_cooc_hists_init(struct bs_cooc_hists *h, size_t taus, struct bs_err *e)
{
    int r = hist_init(&h->own, taus, e);

    return r < 0 ? r : hist_init(&h->shared, taus, e);
}

static void
hist_add(struct bs_cooc_hist *h, const struct bs_cooc_hist *x, size_t taus)
{
    size_t t;

    for (t = 0; t <= taus; t++) {
        h->pairs[t] += x->pairs[t];
        h->diagonal[t] += x->diagonal[t];
    }
}

void
bs_cooc_hists_add(struct bs_cooc_hists *h, const struct bs_cooc_hists *x,
                  size_t taus)
{
    hist_add(&h->own, &x->own, taus);
    hist_add(&h->shared, &x->shared, taus);
}

static void
hist_clear(struct bs_cooc_hist *h, size_t taus)
{
    memset(h->pairs, 0, (taus + 1) * sizeof *h->pairs);
    memset(h->diagonal, 0, (taus + 1) * sizeof *h->diagonal);
}

void
bs_cooc_hists_clear(struct bs_cooc_hists *h, size_t taus)
{
    hist_clear(&h->own, taus);
    hist_clear(&h->shared, taus);
}

void
bs_cooc_hists_release(struct bs_cooc_hists *h)
{
    bs_free(h->own.pairs);
    bs_free(h->own.diagonal);
    bs_free(h->shared.pairs);
    bs_free(h->shared.diagonal);
    *h = (struct bs_cooc_hists){0};
}

static double
curve_value(const struct bs_cooc_side *side, enum bs_cooc_curve curve,
            uint32_t i, const struct bs_cooc_pair *p)
{
    switch (curve) {
    case BS_CURVE_ENERGY:
        return p->sum / side->rows;
    case BS_CURVE_COUNT:
        return (double)p->count / side->rows;
    default:
        return bs_cooc_value(side, BS_COOC_COSINE, i, p);
    }
}

/* How many of n ascending thresholds are below v. */
static size_t
below(const double *tau, size_t n, double v)
{
    const double *at = tau;

    while (n > 0) {
        size_t half = n - n / 2;

        at += at[half - 1] < v ? half : 0;
        n /= 2;
    }
    return (size_t)(at - tau);
}

void
bs_cooc_config_taus(struct bs_cooc_config *c)
{
    size_t i;

    for (i = 1; i < 2047; i++)
        c->octave[i] =
            (uint16_t)below(c->tau, c->taus, ldexp(1, (int)i - 1023));
    c->octave[0] = 0;
    for (; i < BS_LEN(c->octave); i++)
        c->octave[i] = (uint16_t)c->taus;
}

/* The same for v >= 0 among all: those of its octave are looked at. */
static size_t
bin_of(const struct bs_cooc_config *c, double v)
{
    uint64_t bits;
    size_t octave, at;

    memcpy(&bits, &v, sizeof bits);
    octave = (size_t)(bits >> 52);
    at = c->octave[octave];
    return at + below(c->tau + at, c->octave[octave + 1] - at, v);
}

void
bs_cooc_bins(uint16_t *bin, struct bs_cooc_hist *hist,
             const struct bs_cooc_row *row, const struct bs_cooc_side *side,
             const struct bs_cooc_config *config)
{
    uint32_t i = row->concept;
    size_t at;

    for (at = bs_cooc_row_find(row, i); at < row->n; at++) {
        const struct bs_cooc_pair *p = &row->pair[at];
        size_t n = bin_of(config, curve_value(side, config->curve, i, p));

        bin[at] = (uint16_t)n;
        ++(p->concept == i ? hist->diagonal : hist->pairs)[n];
    }
}

/* ---- partners ------------------------------------------------------------
 */

int
bs_cooc_partners_init(struct bs_cooc_partners *p, uint32_t concepts,
                      size_t places, bool base, struct bs_err *e)
{
    size_t n;

    if (!bs_mul(concepts, places, &n))
        return bs_err_memory(e, "partners", concepts);
    p->idx = bs_alloc_array(n, sizeof *p->idx);
    p->count = bs_alloc_array(n, sizeof *p->count);
    p->value = bs_alloc_array(n, sizeof *p->value);
    p->sum = bs_alloc_array(n, sizeof *p->sum);
    p->base = base ? bs_alloc_array(n, sizeof *p->base) : NULL;
    if (p->idx == NULL || p->count == NULL || p->value == NULL ||
        p->sum == NULL || (base && p->base == NULL))
        return bs_err_memory(e, "partners", n);
    memset(p->idx, 0xff, n * sizeof *p->idx);
    return 0;
}

void
bs_cooc_partners_release(struct bs_cooc_partners *p)
{
    bs_free(p->idx);
    bs_free(p->count);
    bs_free(p->value);
    bs_free(p->sum);
    bs_free(p->base);
    *p = (struct bs_cooc_partners){0};
}

/* Put a pair in its place among the first n; one that comes later and is equal
 * stands behind. */
static size_t
insert(struct bs_cooc_partners *p, size_t first, size_t n, size_t places,
       double value, const struct bs_cooc_pair *pair)
{
    size_t at = first + n, last = first + places - 1;

    while (at > first && p->value[at - 1] < value) {
        if (at <= last) {
            p->idx[at] = p->idx[at - 1];
            p->count[at] = p->count[at - 1];
            p->value[at] = p->value[at - 1];
            p->sum[at] = p->sum[at - 1];
        }
        at--;
    }
    if (at > last)
        return n;
    p->idx[at] = pair->concept;
    p->count[at] = pair->count;
    p->value[at] = value;
    p->sum[at] = pair->sum;
    return n < places ? n + 1 : n;
}

static void
look_up(struct bs_cooc_partners *p, enum bs_cooc_measure measure, size_t first,
        size_t n, const struct bs_cooc_row *row,
        const struct bs_cooc_side *base)
{
    size_t k;

    for (k = first; k < first + n; k++) {
        size_t at = bs_cooc_row_find(row, p->idx[k]);

        if (at < row->n && row->pair[at].concept == p->idx[k])
            p->base[k] =
                bs_cooc_value(base, measure, row->concept, &row->pair[at]);
    }
}

void
bs_cooc_choose(struct bs_cooc_partners *p, const struct bs_cooc_row *row,
               const struct bs_cooc_side *side,
               const struct bs_cooc_row *base_row,
               const struct bs_cooc_side *base,
               const struct bs_cooc_config *config)
{
    size_t places = config->partners, n[BS_COOC_MEASURES] = {0}, at, m;
    size_t first = row->concept * places;

    for (at = 0; at < row->n; at++) {
        const struct bs_cooc_pair *pair = &row->pair[at];

        if (pair->count < config->support || pair->concept == row->concept)
            continue;
        for (m = 0; m < BS_COOC_MEASURES; m++)
            n[m] = insert(&p[m], first, n[m], places,
                          bs_cooc_value(side, (enum bs_cooc_measure)m,
                                        row->concept, pair),
                          pair);
    }
    for (m = 0; m < BS_COOC_MEASURES && base != NULL; m++)
        look_up(&p[m], (enum bs_cooc_measure)m, first, n[m], base_row, base);
}

/* ---- changes -------------------------------------------------------------
 */

int
bs_cooc_changes_init(struct bs_cooc_changes *c, size_t room, struct bs_err *e)
{
    *c = (struct bs_cooc_changes){.room = room};
    c->list = bs_alloc_array(room, sizeof *c->list);
    return c->list != NULL ? 0 : bs_err_memory(e, "pairs", room);
}

void
bs_cooc_changes_release(struct bs_cooc_changes *c)
{
    bs_free(c->list);
    *c = (struct bs_cooc_changes){0};
}

static bool
before(const struct bs_cooc_change *a, const struct bs_cooc_change *b)
{
    double x = fabs(a->cosine - a->base_cosine);
    double y = fabs(b->cosine - b->base_cosine);

    if (x != y)
        return x > y;
    return a->i != b->i ? a->i < b->i : a->j < b->j;
}

void
bs_cooc_changes_offer(struct bs_cooc_changes *c,
                      const struct bs_cooc_change *change)
{
    size_t from = 0, to = c->n;

    if (c->room == 0 || (c->n == c->room && !before(change, &c->list[to - 1])))
        return;
    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (before(&c->list[middle], change))
            from = middle + 1;
        else
            to = middle;
    }
    if (c->n < c->room)
        c->n++;
    memmove(c->list + from + 1, c->list + from,
            (c->n - 1 - from) * sizeof *c->list);
    c->list[from] = *change;
}

/* The pair as it is in both sets; NULL where one lacks it. */
static void
offer(struct bs_cooc_changes *lost, struct bs_cooc_changes *gained, uint32_t i,
      const struct bs_cooc_pair *old, const struct bs_cooc_side *base,
      const struct bs_cooc_pair *new, const struct bs_cooc_side *side,
      uint64_t support)
{
    struct bs_cooc_change c = {.i = i};

    c.j = old != NULL ? old->concept : new->concept;
    c.base_count = old != NULL ? old->count : 0;
    c.count = new != NULL ? new->count : 0;
    if ((c.base_count < support && c.count < support) ||
        base->margin->fires[i] < support || side->margin->fires[i] < support ||
        base->margin->fires[c.j] < support ||
        side->margin->fires[c.j] < support)
        return;
    if (old != NULL)
        c.base_cosine = bs_cooc_value(base, BS_COOC_COSINE, i, old);
    if (new != NULL)
        c.cosine = bs_cooc_value(side, BS_COOC_COSINE, i, new);
    if (c.cosine != c.base_cosine)
        bs_cooc_changes_offer(c.cosine < c.base_cosine ? lost : gained, &c);
}

void
bs_cooc_compare(struct bs_cooc_hist *shared, struct bs_cooc_changes *lost,
                struct bs_cooc_changes *gained,
                const struct bs_cooc_compared *base,
                const struct bs_cooc_compared *set,
                const struct bs_cooc_config *config)
{
    const struct bs_cooc_row *a = base->row, *b = set->row;
    uint32_t i = a->concept;
    size_t x = bs_cooc_row_find(a, i), y = bs_cooc_row_find(b, i);

    while (x < a->n || y < b->n) {
        bool left =
            y == b->n || (x < a->n && a->pair[x].concept <= b->pair[y].concept);
        bool right =
            x == a->n || (y < b->n && b->pair[y].concept <= a->pair[x].concept);
        const struct bs_cooc_pair *old = left ? &a->pair[x] : NULL;
        const struct bs_cooc_pair *new = right ? &b->pair[y] : NULL;
        bool diagonal = (left ? old : new)->concept == i;

        if (left && right) {
            uint16_t p = base->bin[x], q = set->bin[y];

            ++(diagonal ? shared->diagonal : shared->pairs)[p < q ? p : q];
        }
        if (!diagonal)
            offer(lost, gained, i, old, &base->side, new, &set->side,
                  config->support);
        x += left;
        y += right;
    }
}
