/*
 * winograd_cpu.c - 3 x 3 convolution of stride 1 by Winograd's F(4 x 4, 3 x 3):
 * a quarter of the products of a direct one; see isa_winograd.h.
 *
 * The tiles of x are transformed once, a pass of them at a time, as many as the
 * last-level cache holds: 36 matrices [tiles, in], one for each position.  Then
 * a chunk of work is a panel of output channels by a range of tiles.  It
 * transforms its part of the weights as it needs them, six positions at a
 * time, so that they stay in the second-level cache: kept transformed, all
 * weights would take four times the memory.  The sums of a chunk are in
 * scratch memory, and go to y when they are complete.
 */
#include "kernels/conv_cpu.h"

#include "common/mem.h"

#define PASS_BYTES ((size_t)12 << 20) /* of transformed tiles */
#define PASS_TILES 64                 /* at least */
#define RANGE_TILES 240               /* of a chunk, at most; a multiple of mr */
#define BLOCK_K 640
#define INPUT_TILES 4 /* of a chunk of the transform of x */

struct job {
    struct bs_cpu *c;
    const struct bs_dev_conv2d *a;
    const struct bs_cpu_weight *w;
    size_t down, across, tiles; /* of an image; of all */
    size_t ldv, plane;  /* floats between tiles and between positions of v */
    float *zeros;       /* [in], a pixel of the padding */
    float *v;           /* [36][tiles of a pass][in] */
    size_t first, pass; /* tiles of the pass */
    size_t range, ranges;
    size_t block_k;
};

static size_t
divide_up(size_t n, size_t by)
{
    return n / by + (n % by != 0);
}

/* ---- tiles of x ------------------------------------------------------------
 */

/* Where the 36 pixels of a tile are; its corner is one pixel up and left of
 * its results. */
static void
find_pixels(const struct job *job, size_t tile, const float *pixel[36])
{
    const struct bs_dev_conv2d *a = job->a;
    size_t left = tile % job->across * 4, i, j;
    size_t top = tile / job->across % job->down * 4;
    size_t image = tile / job->across / job->down;
    size_t col[6]; /* of x, or SIZE_MAX */

    for (j = 0; j < 6; j++) {
        size_t at = left + j - 1; /* wraps where it is outside */

        col[j] = at < a->up_width ? at * a->width / a->up_width : SIZE_MAX;
    }
    for (i = 0; i < 6; i++) {
        size_t at = top + i - 1;
        const float *row = NULL;

        if (at < a->up_height)
            row = a->x + (image * a->height + at * a->height / a->up_height) *
                             a->width * a->ldx;
        for (j = 0; j < 6; j++)
            pixel[i * 6 + j] = row != NULL && col[j] != SIZE_MAX
                                   ? row + col[j] * a->ldx
                                   : job->zeros;
    }
}

static void
input_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct job *job = arg;
    size_t t = chunk * INPUT_TILES, end = t + INPUT_TILES;
    const float *pixel[36];

    (void)thread;
    for (; t < end && t < job->pass; t++) {
        find_pixels(job, job->first + t, pixel);
        job->c->isa->winograd_input(job->v + t * job->ldv, job->plane, pixel,
                                    job->a->w->shape.in);
    }
}

/* ---- products --------------------------------------------------------------
 */

/* A chunk's scratch: a block of transformed weights of six positions, and the
 * sums of all. */
struct part {
    size_t panel, tile, tiles;
    float *u; /* [6][block_k][nr] */
    float *m; /* [36][tiles][nr] */
};

static void
multiply(const struct job *job, const struct part *p, size_t k, size_t depth)
{
    const struct bs_isa *isa = job->c->isa;
    bool half = job->w->form == BS_CPU_BF16;
    size_t at = (p->panel * job->w->depth + k * 9) * isa->nr, i, j;
    size_t plane = job->block_k * isa->nr;
    const void *w = half ? (const void *)((uint16_t *)job->w->packed + at)
                         : (float *)job->w->packed + at;

    for (i = 0; i < 6; i++) {
        isa->winograd_weight(p->u, plane, w, half, depth, i);
        for (j = 0; j < 6; j++)
            isa->gemm(job->v + (i * 6 + j) * job->plane + p->tile * job->ldv +
                          k,
                      job->ldv, p->u + j * plane, depth,
                      p->m + (i * 6 + j) * p->tiles * isa->nr, p->tiles, k == 0,
                      NULL);
    }
}

static void
finish(const struct job *job, const struct part *p)
{
    const struct bs_dev_conv2d *a = job->a;
    size_t nr = job->c->isa->nr, channel = p->panel * nr, t;
    size_t left = a->w->shape.out - channel;
    struct bs_isa_tile to = {
        .channels = left < nr ? left : nr,
        .bias = a->bias != NULL ? a->bias + channel : NULL,
        .ldy = a->ldy,
        .y_row = a->out_width * a->ldy,
        .ldr = a->ldr,
        .residual_row = a->out_width * a->ldr,
    };

    for (t = 0; t < p->tiles; t++) {
        size_t tile = job->first + p->tile + t;
        size_t col = tile % job->across * 4;
        size_t row = tile / job->across % job->down * 4;
        size_t image = tile / job->across / job->down;
        size_t at = (image * a->out_height + row) * a->out_width + col;

        to.rows = a->out_height - row < 4 ? a->out_height - row : 4;
        to.cols = a->out_width - col < 4 ? a->out_width - col : 4;
        to.y = a->y + at * a->ldy + channel;
        if (a->residual != NULL)
            to.residual = a->residual + at * a->ldr + channel;
        job->c->isa->winograd_output(p->m + t * nr, p->tiles * nr, &to);
    }
}

static void
product_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct job *job = arg;
    size_t in = job->a->w->shape.in, nr = job->c->isa->nr, k;
    struct part p = {
        .panel = chunk / job->ranges,
        .tile = chunk % job->ranges * job->range,
        .u = job->c->scratch[thread],
    };

    p.tiles = job->pass - p.tile < job->range ? job->pass - p.tile : job->range;
    p.m = p.u + 6 * job->block_k * nr;
    for (k = 0; k < in; k += job->block_k)
        multiply(job, &p, k, in - k < job->block_k ? in - k : job->block_k);
    finish(job, &p);
}

/* ---- plan ------------------------------------------------------------------
 */

/* Ranges of tiles: large, as each transforms the weights anew, but enough for
 * the threads to share. */
static void
plan_ranges(struct job *job)
{
    size_t mr = job->c->isa->mr, wanted = 4 * (size_t)job->c->threads;

    job->ranges = divide_up(job->pass, RANGE_TILES);
    if (job->ranges * job->w->panels < wanted)
        job->ranges = divide_up(wanted, job->w->panels);
    job->range = BS_ROUND_UP(divide_up(job->pass, job->ranges), mr);
    job->ranges = divide_up(job->pass, job->range);
}

static int
plan(struct job *job)
{
    const struct bs_dev_conv2d *a = job->a;
    size_t in = a->w->shape.in, mr = job->c->isa->mr, passes, bytes;

    job->down = divide_up(a->out_height, 4);
    job->across = divide_up(a->out_width, 4);
    job->tiles = a->batch * job->down * job->across;
    /* Rows that are a power of two apart would share few places of a cache. */
    job->ldv = BS_ROUND_UP(in, 16) + 16;
    job->pass = PASS_BYTES / (36 * sizeof(float)) / job->ldv;
    if (job->pass < PASS_TILES)
        job->pass = PASS_TILES;
    passes = divide_up(job->tiles, job->pass);
    job->pass = BS_ROUND_UP(divide_up(job->tiles, passes), mr);
    job->plane = job->pass * job->ldv + 16;
    job->block_k = divide_up(in, divide_up(in, BLOCK_K));
    if (!bs_mul(36 * sizeof(float), job->plane, &bytes) ||
        !bs_add(bytes, job->ldv * sizeof(float), &bytes))
        return bs_err_memory(&job->c->dev.err, "convolution", SIZE_MAX);
    return bs_cpu_shared(job->c, bytes);
}

int
bs_cpu_winograd(struct bs_cpu *c, const struct bs_dev_conv2d *a)
{
    const struct bs_cpu_conv *w = (const struct bs_cpu_conv *)a->w;
    struct job job = {.c = c, .a = a, .w = (const struct bs_cpu_weight *)w->w};
    size_t nr = c->isa->nr, whole;
    int r = plan(&job);

    if (r < 0)
        return r;
    job.zeros = c->shared;
    job.v = job.zeros + job.ldv;
    memset(job.zeros, 0, job.ldv * sizeof(float));
    whole = job.pass;
    r = bs_cpu_scratch(c, (6 * job.block_k + 36 * RANGE_TILES) * nr *
                              sizeof(float));
    for (; job.first < job.tiles && r == 0; job.first += whole) {
        if (job.tiles - job.first < job.pass)
            job.pass = job.tiles - job.first;
        plan_ranges(&job);
        bs_pool_run(c->pool, divide_up(job.pass, INPUT_TILES), input_chunk,
                    &job);
        bs_pool_run(c->pool, job.w->panels * job.ranges, product_chunk, &job);
    }
    return r;
}
