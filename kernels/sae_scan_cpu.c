/*
 * sae_scan_cpu.c - all products of rows and atoms, tile by tile: none reaches
 * memory but those that may belong to a code.
 *
 * A chunk of rows stays in the second-level cache, a panel of atoms in the
 * first, and all atoms pass by once.  Where too many products pass the coarse
 * screen, the fine one screens the next atoms.
 *
 * Why no product is missed.  With x = x' + r and w = w' + s, x' and w' in whole
 * numbers, |x.w - x'.w'| <= |r||w| + |x'||s| (Cauchy and Schwarz), where the
 * lengths are measured, not estimated; x'.w' is exact.  The sum in f32 that
 * sae.h defines is off by at most h u / (1 - h u) |x||w|, u = 2^-24, where h
 * counts the roundings that a product passes, and by 2^-149 for each product
 * that underflows.  A tile in f32 is bounded alike, with one rounding a column.
 * The bound is itself computed in f32: a margin of 2^-20 of each of its terms
 * covers the at most eight roundings on each one's way.
 */
#include "kernels/sae_cpu.h"

#include "common/mem.h"

#include <math.h>

#define LANES 16    /* partial sums of a product */
#define RUN_TILES 4 /* of rows, between two looks at the hits */
#define CHUNK_ROWS 192
#define CHUNK_BYTES ((size_t)288 << 10)
#define MARGIN 0x1p-20
#define MOST_DUE 256
#define FEW_COLUMNS 1024 /* until the cuts stand for something */
#define MOST_HITS 16     /* of so many coarse products one may be a hit */

/* ---- known products --------------------------------------------------------
 */

float
bs_cpu_pre(const struct cpu_encoder *e, const float *x, size_t j)
{
    return bs_cpu_dot(x, e->w + j * e->head.k, e->head.k) + e->bias[j];
}

float
bs_scan_pre(struct bs_scan *s, size_t i, const struct bs_hit *hit)
{
    if (hit->low == hit->high)
        return hit->high;
    s->rescored++;
    return bs_cpu_pre(s->job->e, s->row[i].x, hit->idx);
}

void
bs_scan_fetch(const struct bs_scan *s, const struct bs_hit *hit, size_t n)
{
    size_t k = s->job->e->head.k, j, c;

    for (j = 0; j < n; j++)
        if (hit[j].low < hit[j].high)
            for (c = 0; c < k; c += BS_ALIGN / sizeof(float))
                __builtin_prefetch(s->job->e->w + hit[j].idx * k + c, 0, 2);
}

/* Four at a time, of which none waits for another's sums. */
void
bs_scan_pres(struct bs_scan *s, struct bs_hit *hits, size_t n)
{
    const struct cpu_encoder *e = s->job->e;
    struct bs_hit *wait[4];
    const float *x[4], *w[4];
    float dot[4];
    size_t j, l, waiting = 0;

    for (j = 0; j < n; j++) {
        if (hits[j].low < hits[j].high) {
            x[waiting] = s->row[hits[j].row - s->first].x;
            w[waiting] = e->w + hits[j].idx * e->head.k;
            wait[waiting++] = &hits[j];
        }
        if (waiting == 0 || (waiting < 4 && j + 1 < n))
            continue;
        for (l = waiting; l < 4; l++) {
            x[l] = x[0];
            w[l] = w[0];
        }
        s->job->c->isa->dots(dot, x, w, e->head.k);
        for (l = 0; l < waiting; l++)
            wait[l]->low = wait[l]->high = dot[l] + e->bias[wait[l]->idx];
        s->rescored += waiting;
        waiting = 0;
    }
}

void
bs_scan_known(struct bs_scan *s, size_t i)
{
    struct bs_scan_row *row = &s->row[i];
    size_t n = s->job->e->head.n, j;

    row->known = true;
    row->cut = 0;
    s->rescored += n;
    for (j = 0; j < n; j++) {
        float pre = bs_cpu_pre(s->job->e, row->x, j);
        struct bs_hit hit = {pre, pre, (uint32_t)(s->first + i), (uint32_t)j};

        if (pre > 0 && pre >= row->cut)
            row->cut = s->job->hit(s, i, &hit);
    }
}

/* ---- rows ------------------------------------------------------------------
 */

static void
set_cut(struct bs_scan *s, size_t i, float cut)
{
    struct bs_scan_row *row = &s->row[i];
    double unit = row->unit;

    row->cut = cut;
    s->fine[i].cut = bs_float_down((double)cut * unit * (1 - MARGIN) -
                                   row->off * unit - 0x1p-100);
    s->coarse[i].cut = s->fine[i].cut;
}

/* The rounding error of a sum of the row with an atom of length 1. */
static double
rounding(const struct cpu_encoder *e, double norm)
{
    double k = (double)e->head.k;
    double h = (k / LANES + 8 + (e->whole ? 0 : k + 1)) * 0x1p-24;

    return h < 0.5 ? h / (1 - h) * norm : INFINITY;
}

static struct bs_isa_row
bounds_of(const struct bs_whole *size, double unit)
{
    return (struct bs_isa_row){
        .scale = (float)(size->scale * unit),
        .rest = bs_float_up((size->rest + size->norm * MARGIN) * unit *
                            (1 + MARGIN)),
        .norm = bs_float_up(size->held * unit * (1 + 2 * MARGIN)),
        .unit = (float)unit,
    };
}

static void
round_coarse(struct bs_scan *s, size_t i)
{
    const struct cpu_encoder *e = s->job->e;
    struct bs_scan_row *row = &s->row[i];
    uint8_t *bytes = s->bytes + i * e->coarse.depth;
    size_t j;

    bs_cpu_round_small(&row->coarse, s->small, s->turned, row->x, e->sign,
                       e->head.k, false);
    for (j = 0; j < e->coarse.depth; j++)
        bytes[j] = (uint8_t)(s->small[j] + BS_SMALL_ZERO);
    row->coarse.rest += rounding(e, row->coarse.norm);
}

static void
round_fine(struct bs_scan *s, size_t i)
{
    const struct cpu_encoder *e = s->job->e;
    struct bs_scan_row *row = &s->row[i];
    size_t depth = e->fine.depth;
    int16_t *q = s->q + i * depth;

    if (e->whole && depth > e->head.k)
        q[depth - 1] = 0;
    bs_cpu_round(&row->fine, e->whole ? q : NULL, row->x, e->head.k);
    if (!e->whole)
        row->fine = (struct bs_whole){1, row->fine.norm, row->fine.norm, 0};
    row->fine.rest += rounding(e, row->fine.norm);
}

/* What the first screen needs of the row. */
static void
start_row(struct bs_scan *s, size_t i)
{
    const struct cpu_encoder *e = s->job->e;
    const struct bs_dev_encode *a = s->job->a;
    struct bs_scan_row *row = &s->row[i];
    bool coarse = e->coarse.panels != NULL;
    const struct bs_whole *size = coarse ? &row->coarse : &row->fine;
    int exponent;

    row->x = a->x + (s->first + i) * a->ldx;
    if (coarse)
        round_coarse(s, i);
    else
        round_fine(s, i);
    row->off = (double)e->head.k * 0x1p-148;
    /* So long that a sum may overflow, or the bound. */
    row->known = !(size->norm * e->most_norm + e->most_bias < 0x1p126 &&
                   size->norm < 0x1p80 && e->most_norm < 0x1p80 &&
                   size->rest < INFINITY);
    row->unit = 1;
    if (size->norm > 0x1p-80 && !row->known) {
        frexp(size->norm, &exponent);
        row->unit = ldexp(1, -exponent);
    }
    (coarse ? s->coarse : s->fine)[i] = bounds_of(size, row->unit);
    set_cut(s, i, 0);
    if (row->known)
        s->fine[i].cut = s->coarse[i].cut = INFINITY;
    if (s->job->start != NULL)
        s->job->start(s, i);
}

/* What the fine screen needs of the rows, after the coarse one. */
static void
refine(struct bs_scan *s)
{
    size_t i;

    for (i = 0; i < s->rows; i++) {
        round_fine(s, i);
        s->fine[i] = bounds_of(&s->row[i].fine, s->row[i].unit);
        s->fine[i].cut = s->coarse[i].cut;
    }
    s->refined = true;
}

/* ---- hits ------------------------------------------------------------------
 */

/* The bounds again, both and in double. */
static struct bs_hit
hit_of(const struct bs_scan *s, size_t i, size_t j, bool coarse, double product)
{
    const struct cpu_encoder *e = s->job->e;
    const struct bs_scan_row *row = &s->row[i];
    const struct cpu_packed *w = coarse ? &e->coarse : &e->fine;
    const struct bs_whole *x = coarse ? &row->coarse : &row->fine;
    double bias = (double)e->bias[j];
    double dot = product * x->scale * (double)w->scale[j];
    double off = row->off + x->rest * (double)e->norm[j] +
                 x->held * (double)w->rest[j] + fabs(bias) * 0x1p-22;

    off += (fabs(dot) + fabs(bias) + off) * 0x1p-40;
    return (struct bs_hit){
        .low = bs_float_down(dot + bias - off),
        .high = bs_float_up(dot + bias + off),
        .row = (uint32_t)(s->first + i),
        .idx = (uint32_t)j,
    };
}

static void
pass_hit(struct bs_scan *s, const struct bs_hit *hit)
{
    size_t i = hit->row - s->first;
    float cut;

    if (hit->high < s->row[i].cut)
        return;
    cut = s->job->hit(s, i, hit);
    if (cut != s->row[i].cut)
        set_cut(s, i, cut);
}

/* The first n that are due become known, but for what fell below the cut. */
static void
settle(struct bs_scan *s, size_t n)
{
    size_t left = 0, j;

    for (j = 0; j < n; j++)
        if (s->due[j].high >= s->row[s->due[j].row - s->first].cut)
            s->due[left++] = s->due[j];
    bs_scan_pres(s, s->due, left);
    for (j = 0; j < left; j++)
        pass_hit(s, &s->due[j]);
    memmove(s->due, s->due + n, (s->n_due - n) * sizeof *s->due);
    s->n_due -= n;
}

/* Row i's hits among the atoms from `col` on; returns how many.  The lower
 * bound of a coarse one would hardly raise the cut: one that more likely than
 * not is above that shall be known, once its atom has come from memory. */
static size_t
take_hits(struct bs_scan *s, size_t i, bool coarse, const char *products,
          uint32_t bits, size_t col)
{
    const struct bs_scan_row *row = &s->row[i];
    size_t n = 0;

    for (; bits != 0; bits &= bits - 1, n++) {
        size_t lane = (size_t)__builtin_ctz(bits);
        int32_t whole;
        float real;
        struct bs_hit hit;

        if (row->known)
            continue;
        memcpy(&whole, products + lane * sizeof whole, sizeof whole);
        memcpy(&real, products + lane * sizeof real, sizeof real);
        hit = hit_of(s, i, col + lane, coarse,
                     s->job->e->whole ? (double)whole : (double)real);
        if (!coarse || hit.low / 2 + hit.high / 2 < row->cut) {
            pass_hit(s, &hit);
            continue;
        }
        if (s->n_due == MOST_DUE)
            settle(s, MOST_DUE);
        s->due[s->n_due++] = hit;
        bs_scan_fetch(s, &hit, 1);
    }
    return n;
}

/* The products of rows i..i+rows-1 of the chunk by a panel's atoms, screened;
 * false if there is no hit. */
static bool
screen_run(struct bs_scan *s, size_t panel, size_t i, size_t rows, bool coarse,
           uint32_t *hits)
{
    const struct bs_scan_job *job = s->job;
    const struct cpu_encoder *e = job->e;
    const struct bs_isa *isa = job->c->isa;
    const struct cpu_packed *w = coarse ? &e->coarse : &e->fine;
    const struct bs_isa_atoms atoms = {w->scale, e->norm, w->rest, job->bound};
    const char *at = w->panels + panel * w->panel_size;
    const char *next =
        panel + 1 == e->panels || i > 0 ? at : at + w->panel_size;

    if (coarse)
        isa->gemm_bytes(s->bytes + i * w->depth, w->depth, at, w->depth,
                        s->tile, rows, next);
    else if (e->whole)
        isa->gemm_whole(s->q + i * w->depth, w->depth, (const void *)at,
                        w->depth, s->tile, rows, (const void *)next);
    else
        isa->gemm(s->row[i].x, job->a->ldx, (const void *)at, w->depth, s->tile,
                  rows, true, (const void *)next);
    return isa->screen(hits, s->tile, e->whole, &atoms, panel * isa->nr,
                       (coarse ? s->coarse : s->fine) + i, rows);
}

/* Returns how many hits there were. */
static size_t
scan_run(struct bs_scan *s, size_t panel, size_t i, size_t rows, bool coarse)
{
    size_t nr = s->job->c->isa->nr, n = 0, j;
    const char *products = s->tile;
    uint32_t hits[RUN_TILES * 16];

    if (!screen_run(s, panel, i, rows, coarse, hits))
        return 0;
    for (j = 0; j < rows; j++, products += nr * sizeof(float))
        n += take_hits(s, i + j, coarse, products, hits[j], panel * nr);
    return n;
}

/* ---- a call ----------------------------------------------------------------
 */

/* The chunk by all atoms.  The coarse screen is left, for twice as long each
 * time, where it lets too much pass. */
static void
scan_rows(struct bs_scan *s)
{
    const struct bs_scan_job *job = s->job;
    const struct cpu_encoder *e = job->e;
    size_t run = RUN_TILES * job->c->isa->mr, nr = job->c->isa->nr, panel, i;
    size_t coarse_from = e->coarse.panels != NULL ? 0 : e->panels, wait = 1;

    for (panel = 0; panel < e->panels; panel++) {
        bool coarse = panel >= coarse_from;
        size_t hits = 0, due = s->n_due;

        if (!coarse && e->coarse.panels != NULL && !s->refined)
            refine(s);
        for (i = 0; i < s->rows; i += run)
            hits += scan_run(s, panel, i, s->rows - i < run ? s->rows - i : run,
                             coarse);
        if (coarse && panel * nr >= FEW_COLUMNS &&
            hits > s->rows * nr / MOST_HITS)
            coarse_from = panel + (wait *= 2);
        settle(s, due < s->n_due ? due : s->n_due);
    }
    settle(s, s->n_due);
}

static void *
part(char *memory, size_t *at, size_t count, size_t size)
{
    char *p = memory != NULL ? memory + *at : NULL;

    *at += BS_ROUND_UP(count * size, BS_ALIGN);
    return p;
}

/* Give a chunk its parts of a thread's memory, or nothing of NULL; returns the
 * size of all.  Rows of such width are in memory: no product overflows. */
static size_t
share(struct bs_scan *s, char *memory)
{
    const struct bs_scan_job *job = s->job;
    const struct bs_isa *isa = job->c->isa;
    size_t fine = job->e->whole ? job->e->fine.depth : 0, n = 0;
    size_t coarse = job->e->coarse.panels != NULL ? job->e->coarse.depth : 0;
    size_t rows = job->rows;

    s->tile = part(memory, &n, RUN_TILES * isa->mr * isa->nr, sizeof(float));
    s->row = part(memory, &n, rows, sizeof *s->row);
    s->fine = part(memory, &n, rows, sizeof *s->fine);
    s->coarse = part(memory, &n, rows, sizeof *s->coarse);
    s->turned = part(memory, &n, coarse, sizeof *s->turned);
    s->small = part(memory, &n, coarse, sizeof *s->small);
    s->bytes = part(memory, &n, rows * coarse, sizeof *s->bytes);
    s->q = part(memory, &n, rows * fine, sizeof *s->q);
    s->due = part(memory, &n, MOST_DUE, sizeof *s->due);
    s->memory = part(memory, &n, rows, job->room);
    return n;
}

static void
scan_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct bs_scan_job *job = arg;
    struct bs_scan s = {
        .job = job, .thread = thread, .first = chunk * job->rows};
    size_t i;

    s.rows = job->a->m - s.first < job->rows ? job->a->m - s.first : job->rows;
    share(&s, job->c->scratch[thread]);
    for (i = 0; i < s.rows; i++)
        start_row(&s, i);
    scan_rows(&s);
    for (i = 0; i < s.rows; i++)
        if (s.row[i].known)
            bs_scan_known(&s, i);
    if (job->finish != NULL)
        job->finish(&s);
    atomic_fetch_add(&job->c->rescored, s.rescored);
}

/* Chunks of nearly equal size, as many a thread where they stay large. */
static void
plan(struct bs_scan_job *job)
{
    size_t mr = job->c->isa->mr, m = job->a->m, threads = job->c->threads;
    size_t most = CHUNK_BYTES / sizeof(int16_t) / (job->e->fine.depth + 1);

    most = most > CHUNK_ROWS ? CHUNK_ROWS : most < mr ? mr : most;
    job->chunks = m / most + (m % most != 0);
    job->chunks = BS_ROUND_UP(job->chunks, threads);
    job->rows = BS_ROUND_UP(m / job->chunks + (m % job->chunks != 0), mr);
    job->chunks = m / job->rows + (m % job->rows != 0);
}

int
bs_cpu_scan(struct bs_scan_job *job)
{
    const struct bs_dev_encode *a = job->a;
    struct bs_err *err = &job->c->dev.err;
    struct bs_scan s = {.job = job};
    int r = bs_cpu_check_finite(err, "encode", a->x, a->ldx, a->m, a->enc->k);

    if (r < 0 || a->m == 0)
        return r;
    plan(job);
    r = bs_cpu_scratch(job->c, share(&s, NULL));
    if (r == 0)
        bs_pool_run(job->c->pool, job->chunks, scan_chunk, job);
    return r;
}
