/*
 * cooc_spectrum.c - see cooc_spectrum.h.
 */
#include "cmd/models/cooc_spectrum.h"

#include <math.h>
#include <string.h>

#include "cmd/models/codes.h"
#include "common/mem.h"
#include "common/stop.h"
#include "kernels/angles.h"

enum { PARTS = 16, PARTS_BYTES = 1 << 27, LINES = 1024 };

/* y = G x / N: each part of the records has a panel of its own, and the panels
 * are added in their order. */
struct product {
    const struct bs_cooc_set *set;
    struct bs_pool *pool;
    bs_gram_fn *gram;
    size_t concepts, parts;
    size_t *first;          /* [parts + 1]: places of records */
    double *panel;          /* [parts][concepts][BS_PANEL] */
    struct bs_buf *scratch; /* [threads] */
    struct bs_err *err;     /* [parts] */
    double factor;
    const double *x;
    double *y;
};

/* As many as have a panel in PARTS_BYTES. */
static size_t
parts_of(uint32_t concepts)
{
    size_t parts = PARTS_BYTES / ((size_t)concepts * BS_PANEL * sizeof(double));

    return parts > PARTS ? PARTS : parts > 0 ? parts : 1;
}

size_t
bs_cooc_spectrum_bytes(uint32_t concepts, size_t wanted)
{
    size_t bytes = bs_krylov_bytes(concepts, wanted), results;

    if (wanted > concepts)
        wanted = concepts;
    if (!bs_mul((size_t)concepts * sizeof(double), wanted, &results) ||
        !bs_add(bytes, results, &bytes) ||
        !bs_add(bytes,
                parts_of(concepts) * concepts * BS_PANEL * sizeof(double),
                &bytes))
        return SIZE_MAX;
    return bytes;
}

static void
multiply_part(void *arg, size_t part, unsigned thread)
{
    struct product *p = arg;
    double *y = p->panel + part * p->concepts * BS_PANEL;
    struct bs_cooc_rows rows;
    size_t i;

    memset(y, 0, p->concepts * BS_PANEL * sizeof *y);
    for (i = p->first[part]; i < p->first[part + 1]; i++) {
        if (bs_cooc_set_get(p->set, i, &rows, &p->scratch[thread],
                            &p->err[part]) < 0)
            return;
        p->gram(rows.entry, rows.len, rows.rows, p->x, y);
    }
}

static void
add_lines(void *arg, size_t chunk, unsigned thread)
{
    struct product *p = arg;
    size_t from = chunk * LINES * BS_PANEL, to = from + LINES * BS_PANEL;
    size_t all = p->concepts * BS_PANEL, part, i;

    (void)thread;
    if (to > all)
        to = all;
    memcpy(p->y + from, p->panel + from, (to - from) * sizeof *p->y);
    for (part = 1; part < p->parts; part++)
        for (i = from; i < to; i++)
            p->y[i] += p->panel[part * all + i];
    for (i = from; i < to; i++)
        p->y[i] *= p->factor;
}

static int
multiply(void *arg, const double *x, double *y, struct bs_err *e)
{
    struct product *p = arg;
    size_t i;

    if (bs_stop_wanted())
        return bs_err_set(e, BS_EX_TEMPFAIL, "ended early: %s",
                          bs_stop_reason());
    p->x = x;
    p->y = y;
    bs_pool_run(p->pool, p->parts, multiply_part, p);
    for (i = 0; i < p->parts; i++)
        if (p->err[i].code != 0) {
            *e = p->err[i];
            return -e->code;
        }
    bs_pool_run(p->pool, (p->concepts + LINES - 1) / LINES, add_lines, p);
    return 0;
}

/* Parts of about as many entries each. */
static void
share_out(struct product *p)
{
    uint64_t share = p->set->entries / p->parts + 1, seen = 0;
    size_t i, part = 0;

    for (i = 0; i < p->set->count; i++) {
        while (seen >= part * share)
            p->first[part++] = i;
        seen += bs_cooc_set_entries(p->set, i);
    }
    while (part <= p->parts)
        p->first[part++] = p->set->count;
}

static int
open_product(struct product *p, struct bs_err *e)
{
    size_t threads = bs_pool_threads(p->pool);
    size_t bytes = p->concepts * BS_PANEL * sizeof *p->panel;

    p->gram = bs_gram_here(e);
    if (p->gram == NULL)
        return -e->code;
    p->parts = parts_of((uint32_t)p->concepts);
    p->factor = BS_CODES_UNIT * BS_CODES_UNIT / (double)p->set->rows;
    p->first = bs_alloc_array(p->parts + 1, sizeof *p->first);
    p->panel = bs_alloc_array(p->parts, bytes);
    p->scratch = bs_alloc_array(threads, sizeof *p->scratch);
    p->err = bs_alloc_array(p->parts, sizeof *p->err);
    if (p->first == NULL || p->panel == NULL || p->scratch == NULL ||
        p->err == NULL)
        return bs_err_memory(e, "eigenvectors", p->parts * bytes);
    share_out(p);
    return 0;
}

static void
close_product(struct product *p)
{
    size_t i;

    for (i = 0; p->scratch != NULL && i < bs_pool_threads(p->pool); i++)
        bs_buf_release(&p->scratch[i]);
    bs_free(p->first);
    bs_free(p->panel);
    bs_free(p->scratch);
    bs_free(p->err);
}

int
bs_cooc_spectrum(struct bs_krylov *k, const struct bs_cooc_set *set,
                 uint32_t concepts, size_t wanted, double tolerance,
                 struct bs_pool *pool, struct bs_err *e)
{
    struct product p = {.set = set, .pool = pool, .concepts = concepts};
    int r = open_product(&p, e);

    *k = (struct bs_krylov){
        .n = concepts, .wanted = wanted, .tolerance = tolerance};
    if (r == 0)
        r = bs_krylov_solve(k, multiply, &p, pool, e);
    close_product(&p);
    return r;
}

/* ---- alignment -----------------------------------------------------------
 */

/* Of the first 1, 2, ... vectors: the sum of the squared products of the first
 * n with the first n is that of the squared cosines of their angles. */
static void
overlaps(struct bs_cooc_alignment *x, size_t least)
{
    double sum = 0;
    size_t n, i;

    for (n = 0; n < least; n++) {
        for (i = 0; i < n; i++) {
            double row = x->cosine[n * x->b + i];
            double column = x->cosine[i * x->b + n];

            sum += row * row + column * column;
        }
        sum += x->cosine[n * x->b + n] * x->cosine[n * x->b + n];
        x->overlap[n] = sum / (double)(n + 1);
    }
}

int
bs_cooc_align(struct bs_cooc_alignment *x, const struct bs_krylov *base,
              const struct bs_krylov *set, struct bs_err *e)
{
    size_t least = base->found < set->found ? base->found : set->found, i;
    int r;

    *x = (struct bs_cooc_alignment){.a = base->found, .b = set->found};
    x->cosine = bs_alloc_array(x->a * x->b, sizeof *x->cosine);
    x->angle = bs_alloc_array(least, sizeof *x->angle);
    x->overlap = bs_alloc_array(least, sizeof *x->overlap);
    if (x->cosine == NULL || x->angle == NULL || x->overlap == NULL)
        return bs_err_memory(e, "alignment", x->a * x->b);
    r = bs_principal_angles(base->vector, x->a, set->vector, x->b, base->n,
                            x->angle, x->cosine, e);
    for (i = 0; i < x->a * x->b && r == 0; i++)
        x->cosine[i] = fabs(x->cosine[i]);
    if (r == 0)
        overlaps(x, least);
    return r;
}

void
bs_cooc_alignment_release(struct bs_cooc_alignment *x)
{
    bs_free(x->cosine);
    bs_free(x->angle);
    bs_free(x->overlap);
    *x = (struct bs_cooc_alignment){0};
}
