/*
 * winograd_cpu.c - 3 x 3 convolution of stride 1 by Winograd's F(4 x 4, 3 x 3):
 * a quarter of the products of a direct one; see isa_winograd.h.
 *
 * The tiles of x are transformed once, a pass of them at a time, as many as the
 * last-level cache holds.  Then a chunk of work is a panel of output channels
 * by a range of tiles.  It goes over the input channels in blocks: transforms
 * the block's weights, multiplies at each of the 36 positions, and adds to the
 * sums of all; weights and sums stay in the second-level cache, and the tiles
 * pass by in the order in which they lie.  Weights are transformed as they are
 * needed: kept transformed, they would take four times the memory.
 */
#include "kernels/conv_cpu.h"

#include "common/mem.h"

#define PASS_BYTES ((size_t)3 << 20) /* of transformed tiles, for a thread */
#define PASS_TILES 60                /* at least */
#define RANGE_TILES 120              /* at most; a multiple of every mr */
#define BLOCK_K 80                   /* at most */
#define INPUT_TILES 4                /* of a chunk of the transform of x */

/* Between two positions: no power of two, which would share few places of a
 * cache. */
#define GAP 16

struct job {
    struct bs_cpu *c;
    const struct bs_dev_conv2d *a;
    const struct bs_cpu_weight *w;
    size_t down, across, tiles; /* of an image; of all */
    size_t block_k;             /* a multiple of 16 */
    size_t plane;               /* floats between positions of v */
    float *zeros;               /* [in], a pixel of the padding */
    float *v;           /* [blocks][36][tiles of a pass][block_k], with gaps */
    size_t first, pass; /* tiles of the pass */
    size_t range, ranges;
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
    size_t in = job->a->w->shape.in, t = chunk * INPUT_TILES, k;
    size_t end = t + INPUT_TILES;
    const float *pixel[36];

    (void)thread;
    for (; t < end && t < job->pass; t++) {
        float *v = job->v + t * job->block_k;

        find_pixels(job, job->first + t, pixel);
        for (k = 0; k < in; k += job->block_k, v += 36 * job->plane)
            job->c->isa->winograd_input(v, job->plane, pixel, k,
                                        in - k < job->block_k ? in - k
                                                              : job->block_k);
    }
}

/* ---- products --------------------------------------------------------------
 */

/* A chunk's scratch: a block of transformed weights, and the sums. */
struct part {
    size_t panel, tile, tiles;
    size_t u_plane, m_plane;
    float *u; /* [36][block_k][nr], with gaps */
    float *m; /* [36][tiles][nr], with gaps */
};

static void
multiply(const struct job *job, const struct part *p, size_t k, size_t depth)
{
    const struct bs_isa *isa = job->c->isa;
    bool half = job->w->form == BS_CPU_BF16;
    size_t at = (p->panel * job->w->depth + k * 9) * isa->nr, i;
    const void *w = half ? (const void *)((uint16_t *)job->w->packed + at)
                         : (float *)job->w->packed + at;
    const float *v =
        job->v + k / job->block_k * 36 * job->plane + p->tile * job->block_k;

    isa->winograd_weight(p->u, p->u_plane, w, half, depth);
    for (i = 0; i < 36; i++)
        isa->gemm(v + i * job->plane, job->block_k, p->u + i * p->u_plane,
                  depth, p->m + i * p->m_plane, p->tiles, k == 0, NULL);
}

/* The sums are complete: to y. */
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
        job->c->isa->winograd_output(p->m + t * nr, p->m_plane, &to);
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
        .u_plane = job->block_k * nr + GAP,
        .u = job->c->scratch[thread],
    };

    p.tiles = job->pass - p.tile < job->range ? job->pass - p.tile : job->range;
    p.m_plane = p.tiles * nr + GAP;
    p.m = p.u + 36 * p.u_plane;
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
    size_t in = a->w->shape.in, mr = job->c->isa->mr, passes, row, bytes;

    job->down = divide_up(a->out_height, 4);
    job->across = divide_up(a->out_width, 4);
    job->tiles = a->batch * job->down * job->across;
    job->block_k = BS_ROUND_UP(divide_up(in, divide_up(in, BLOCK_K)), 16);
    row = divide_up(in, job->block_k) * job->block_k;
    job->pass = PASS_BYTES * job->c->threads / (36 * sizeof(float)) / row;
    if (job->pass < PASS_TILES)
        job->pass = PASS_TILES;
    passes = divide_up(job->tiles, job->pass);
    job->pass = BS_ROUND_UP(divide_up(job->tiles, passes), mr);
    job->plane = job->pass * job->block_k + GAP;
    if (!bs_mul(36 * sizeof(float) * (row / job->block_k), job->plane,
                &bytes) ||
        !bs_add(bytes, row * sizeof(float), &bytes))
        return bs_err_memory(&job->c->dev.err, "convolution", SIZE_MAX);
    return bs_cpu_shared(job->c, bytes);
}

int
bs_cpu_winograd(struct bs_cpu *c, const struct bs_dev_conv2d *a)
{
    const struct bs_cpu_conv *w = (const struct bs_cpu_conv *)a->w;
    struct job job = {.c = c, .a = a, .w = (const struct bs_cpu_weight *)w->w};
    size_t nr = c->isa->nr, in = a->w->shape.in, whole;
    int r = plan(&job);

    if (r < 0)
        return r;
    job.zeros = c->shared;
    job.v = job.zeros + BS_ROUND_UP(in, (size_t)16);
    memset(job.zeros, 0, in * sizeof(float));
    whole = job.pass;
    r = bs_cpu_scratch(c, 36 * sizeof(float) *
                              ((job.block_k + RANGE_TILES) * nr + 2 * GAP));
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
