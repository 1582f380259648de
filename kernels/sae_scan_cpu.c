/*
 * sae_scan_cpu.c - all products of rows and atoms, tile by tile: none reaches
 * memory but those that may belong to a code.
 *
 * A chunk of rows stays in the second-level cache, a panel of atoms in the
 * first, and all atoms pass by once.
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

/* ---- a product as it is defined --------------------------------------------
 */

float
bs_cpu_dot(const float *x, const float *w, size_t k)
{
    size_t i, l, half;
    float sum[LANES] = {0};

    for (i = 0; i + LANES <= k; i += LANES)
        for (l = 0; l < LANES; l++)
            sum[l] += x[i + l] * w[i + l];
    for (l = 0; i + l < k; l++)
        sum[l] += x[i + l] * w[i + l];
    for (half = LANES / 2; half > 0; half /= 2)
        for (l = 0; l < half; l++)
            sum[l] += sum[l + half];
    return sum[0];
}

float
bs_cpu_pre(const struct cpu_encoder *e, const float *x, size_t j)
{
    return bs_cpu_dot(x, e->w + j * e->head.k, e->head.k) + e->bias[j];
}

float
bs_scan_pre(struct bs_scan *s, size_t i, const struct bs_hit *hit)
{
    if (s->row[i].known)
        return hit->high;
    s->rescored++;
    return bs_cpu_pre(s->job->e, s->row[i].x, hit->idx);
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
    double unit = (double)s->bounds[i].unit;

    row->cut = cut;
    s->bounds[i].cut = bs_float_down((double)cut * unit * (1 - MARGIN) -
                                     row->off * unit - 0x1p-100);
}

/* The rounding error of a sum of the row with an atom of length 1. */
static double
rounding(const struct cpu_encoder *e, double norm)
{
    double k = (double)e->head.k;
    double h = (k / LANES + 8 + (e->whole ? 0 : k + 1)) * 0x1p-24;

    return h < 0.5 ? h / (1 - h) * norm : INFINITY;
}

static void
start_row(struct bs_scan *s, size_t i)
{
    const struct cpu_encoder *e = s->job->e;
    const struct bs_dev_encode *a = s->job->a;
    struct bs_scan_row *row = &s->row[i];
    struct bs_whole *size = &row->size;
    double unit = 1;
    int exponent;

    row->x = a->x + (s->first + i) * a->ldx;
    if (e->whole && e->depth > e->head.k)
        s->q[(i + 1) * e->depth - 1] = 0;
    bs_cpu_round(size, e->whole ? s->q + i * e->depth : NULL, row->x,
                 e->head.k);
    if (!e->whole)
        *size = (struct bs_whole){1, size->norm, size->norm, 0};
    size->rest += rounding(e, size->norm);
    row->off = (double)e->head.k * 0x1p-148;
    /* So long that a sum may overflow, or the bound. */
    row->known = !(size->norm * e->most_norm + e->most_bias < 0x1p126 &&
                   size->norm < 0x1p80 && e->most_norm < 0x1p80 &&
                   size->rest < INFINITY);
    if (size->norm > 0x1p-80 && !row->known) {
        frexp(size->norm, &exponent);
        unit = ldexp(1, -exponent);
    }
    s->bounds[i] = (struct bs_isa_row){
        .scale = (float)(size->scale * unit),
        .rest = bs_float_up((size->rest + size->norm * MARGIN) * unit *
                            (1 + MARGIN)),
        .norm = bs_float_up(size->held * unit * (1 + 2 * MARGIN)),
        .unit = (float)unit,
    };
    set_cut(s, i, 0);
    if (row->known)
        s->bounds[i].cut = INFINITY;
    if (s->job->start != NULL)
        s->job->start(s, i);
}

/* ---- hits ------------------------------------------------------------------
 */

/* The bounds again, both and in double. */
static struct bs_hit
hit_of(const struct bs_scan *s, size_t i, size_t j, double product)
{
    const struct cpu_encoder *e = s->job->e;
    const struct bs_scan_row *row = &s->row[i];
    double bias = (double)e->bias[j];
    double dot = product * row->size.scale * (double)e->scale[j];
    double off = row->off + row->size.rest * (double)e->norm[j] +
                 row->size.held * (double)e->rest[j] + fabs(bias) * 0x1p-22;

    off += (fabs(dot) + fabs(bias) + off) * 0x1p-40;
    return (struct bs_hit){
        .low = bs_float_down(dot + bias - off),
        .high = bs_float_up(dot + bias + off),
        .row = (uint32_t)(s->first + i),
        .idx = (uint32_t)j,
    };
}

static void
take_hits(struct bs_scan *s, size_t i, const char *products, uint32_t bits,
          size_t col)
{
    for (; bits != 0; bits &= bits - 1) {
        size_t lane = (size_t)__builtin_ctz(bits);
        int32_t whole;
        float real;
        struct bs_hit hit;

        memcpy(&whole, products + lane * sizeof whole, sizeof whole);
        memcpy(&real, products + lane * sizeof real, sizeof real);
        hit = hit_of(s, i, col + lane,
                     s->job->e->whole ? (double)whole : (double)real);
        if (hit.high >= s->row[i].cut && !s->row[i].known)
            set_cut(s, i, s->job->hit(s, i, &hit));
    }
}

/* Rows i..i+rows-1 of the chunk by a panel's atoms. */
static void
scan_run(struct bs_scan *s, size_t panel, size_t i, size_t rows)
{
    const struct bs_scan_job *job = s->job;
    const struct cpu_encoder *e = job->e;
    const struct bs_isa *isa = job->c->isa;
    const struct bs_isa_atoms atoms = {e->scale, e->norm, e->rest, job->bound};
    size_t at = panel * isa->nr * e->depth, next = isa->nr * e->depth, j;
    uint32_t hits[RUN_TILES * 16];

    if (panel + 1 == e->panels || i > 0)
        next = 0;
    if (e->whole)
        isa->gemm_whole(s->q + i * e->depth, e->depth,
                        (const int16_t *)e->packed + at, e->depth, s->tile,
                        rows, (const int16_t *)e->packed + at + next);
    else
        isa->gemm(s->row[i].x, job->a->ldx, (const float *)e->packed + at,
                  e->depth, s->tile, rows, true,
                  (const float *)e->packed + at + next);
    if (!isa->screen(hits, s->tile, e->whole, &atoms, panel * isa->nr,
                     s->bounds + i, rows))
        return;
    for (j = 0; j < rows; j++)
        take_hits(s, i + j, (const char *)s->tile + j * isa->nr * sizeof(float),
                  hits[j], panel * isa->nr);
}

/* ---- a call ----------------------------------------------------------------
 */

static void
scan_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct bs_scan_job *job = arg;
    size_t run = RUN_TILES * job->c->isa->mr, panel, i;
    char *memory = job->c->scratch[thread];
    struct bs_scan s = {
        .job = job, .thread = thread, .first = chunk * job->rows};

    s.rows = job->a->m - s.first < job->rows ? job->a->m - s.first : job->rows;
    s.tile = memory;
    s.row = (void *)(memory += BS_ROUND_UP(
                         run * job->c->isa->nr * sizeof(float), BS_ALIGN));
    s.bounds =
        (void *)(memory += BS_ROUND_UP(job->rows * sizeof *s.row, BS_ALIGN));
    s.q =
        (void *)(memory += BS_ROUND_UP(job->rows * sizeof *s.bounds, BS_ALIGN));
    s.memory = memory;
    if (job->e->whole)
        s.memory +=
            BS_ROUND_UP(job->rows * job->e->depth * sizeof *s.q, BS_ALIGN);
    for (i = 0; i < s.rows; i++)
        start_row(&s, i);
    for (panel = 0; panel < job->e->panels; panel++)
        for (i = 0; i < s.rows; i += run)
            scan_run(&s, panel, i, s.rows - i < run ? s.rows - i : run);
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
    size_t most = CHUNK_BYTES / sizeof(int16_t) / (job->e->depth + 1);

    most = most > CHUNK_ROWS ? CHUNK_ROWS : most < mr ? mr : most;
    job->chunks = m / most + (m % most != 0);
    job->chunks = BS_ROUND_UP(job->chunks, threads);
    job->rows = BS_ROUND_UP(m / job->chunks + (m % job->chunks != 0), mr);
    job->chunks = m / job->rows + (m % job->rows != 0);
}

static size_t
scratch_bytes(const struct bs_scan_job *job)
{
    const struct bs_isa *isa = job->c->isa;
    size_t row = job->e->depth, n;

    if (!bs_mul(row, sizeof(int16_t), &row) ||
        !bs_add(row, sizeof(struct bs_scan_row) + sizeof(struct bs_isa_row),
                &row) ||
        !bs_add(row, job->room, &row) || !bs_mul(row, job->rows, &n) ||
        !bs_add(n, RUN_TILES * isa->mr * isa->nr * sizeof(float) + 4 * BS_ALIGN,
                &n))
        return SIZE_MAX;
    return n;
}

int
bs_cpu_scan(struct bs_scan_job *job)
{
    const struct bs_dev_encode *a = job->a;
    struct bs_err *err = &job->c->dev.err;
    int r = bs_cpu_check_finite(err, "encode", a->x, a->ldx, a->m, a->enc->k);

    if (r < 0 || a->m == 0)
        return r;
    plan(job);
    r = bs_cpu_scratch(job->c, scratch_bytes(job));
    if (r == 0)
        bs_pool_run(job->c->pool, job->chunks, scan_chunk, job);
    return r;
}
