/*
 * gemm_cpu.c - y = epilogue(x w^T + bias) on packed weights.
 *
 * A weight [n, k] lies in panels of nr rows of w: f32 or bf16 [panel][k][nr],
 * or, where the processor multiplies bf16, pairs [panel][k / 2][nr][2].  A
 * chunk of work is a block of rows by a run of panels.  It goes over k in
 * blocks: of such a block, the rows of x stay in the second-level cache, while
 * the parts of the panels pass by; the sums are in scratch memory.  The blocks
 * depend on k alone, and each is summed from zero, so the order of a sum is
 * the same in every call, and rounding errors grow with the block, not with k.
 */
#include "kernels/gemm_cpu.h"

#include "common/mem.h"

#include <sys/mman.h>

/* Of a chunk, at most. */
#define BLOCK_K 768
#define BLOCK_ROWS 144
#define BLOCK_COLS 256

#define RUN_TILES 4 /* of rows, between two visits to y */

/* Weights up to this stay in the last-level cache from one block of rows to
 * the next. */
#define CACHED_BYTES ((size_t)12 << 20)

/* ---- packing ---------------------------------------------------------------
 */

struct pack_job {
    struct bs_cpu *c;
    struct bs_cpu_weight *w;
    const char *from;
    enum bs_dtype type;
};

/* Large blocks on huge pages where the system has them: a panel walks through
 * memory faster than the address translation of small pages follows. */
void *
bs_cpu_alloc_large(size_t bytes)
{
    const size_t huge = (size_t)2 << 20;
    void *p;

    if (bytes < 2 * huge || bytes > SIZE_MAX - huge)
        return bs_alloc(bytes);
    p = aligned_alloc(huge, BS_ROUND_UP(bytes, huge));
    if (p != NULL)
        madvise(p, BS_ROUND_UP(bytes, huge), MADV_HUGEPAGE);
    return p;
}

void
bs_cpu_pack_pairs(uint16_t *out, const float *in, size_t k, size_t nr)
{
    size_t i, j;

    for (i = 0; i < k; i++)
        for (j = 0; j < nr; j++)
            out[(i / 2 * nr + j) * 2 + i % 2] =
                bs_bf16_from_f32(in[i * nr + j]);
    if (k % 2 != 0)
        for (j = 0; j < nr; j++)
            out[(k / 2 * nr + j) * 2 + 1] = 0;
}

/* One chunk is one panel.  Scratch: nr rows of k as they come, then as f32,
 * then packed f32. */
static void
pack_panel(void *arg, size_t panel, unsigned thread)
{
    const struct pack_job *job = arg;
    struct bs_cpu_weight *w = job->w;
    const struct bs_isa *isa = job->c->isa;
    size_t nr = isa->nr, k = w->head.k, first = panel * nr;
    size_t cols = w->head.n - first < nr ? w->head.n - first : nr;
    size_t size = bs_dtype_size(job->type);
    float *raw = job->c->scratch[thread];
    float *wide = raw + BS_ROUND_UP(nr * k, 16);
    float *packed = w->form == BS_CPU_F32 ? (float *)w->packed + panel * nr * k
                                          : wide + BS_ROUND_UP(nr * k, 16);

    memcpy(raw, job->from + first * k * size, cols * k * size);
    bs_to_f32(wide, job->type, raw, cols * k);
    isa->pack(packed, wide, k, cols, k);
    if (w->form == BS_CPU_BF16)
        isa->narrow((uint16_t *)w->packed + panel * nr * k, packed, nr * k);
    if (w->form == BS_CPU_BF16_PAIRS)
        bs_cpu_pack_pairs((uint16_t *)w->packed + panel * nr * w->depth, packed,
                          k, nr);
}

static int
fill_weight(struct bs_cpu *c, struct bs_cpu_weight *w, const void *from,
            enum bs_dtype type)
{
    struct pack_job job = {c, w, from, type};
    size_t element = w->form == BS_CPU_F32 ? sizeof(float) : sizeof(uint16_t);
    size_t bytes, row;
    int r;

    w->panels = w->head.n / c->isa->nr + (w->head.n % c->isa->nr != 0);
    w->depth =
        w->form == BS_CPU_BF16_PAIRS ? w->head.k + w->head.k % 2 : w->head.k;
    if (!bs_mul(w->panels * c->isa->nr, w->depth, &bytes) ||
        !bs_mul(bytes, element, &bytes) ||
        !bs_mul(3 * sizeof(float) * c->isa->nr, w->head.k + 16, &row))
        return bs_err_memory(&c->dev.err, "weight", SIZE_MAX);
    w->packed = bs_cpu_alloc_large(bytes);
    if (w->packed == NULL)
        return bs_err_memory(&c->dev.err, "weight", bytes);
    r = bs_cpu_scratch(c, row);
    if (r == 0)
        bs_pool_run(c->pool, w->panels, pack_panel, &job);
    return r;
}

int
bs_cpu_pack(struct bs_cpu *c, struct bs_weight **out, const void *from,
            enum bs_dtype type, size_t n, size_t k, enum bs_cpu_form form)
{
    struct bs_cpu_weight *w = bs_alloc_array(1, sizeof *w);
    int r;

    if (w == NULL)
        return bs_err_memory(&c->dev.err, "weight", sizeof *w);
    w->head.n = n;
    w->head.k = k;
    w->form = form;
    r = fill_weight(c, w, from, type);
    if (r < 0) {
        bs_cpu_weight_free(&c->dev, &w->head);
        return r;
    }
    *out = &w->head;
    return 0;
}

int
bs_cpu_weight(struct bs_dev *d, struct bs_weight **out, const void *from,
              enum bs_dtype type, size_t n, size_t k, enum bs_math math)
{
    struct bs_cpu *c = (struct bs_cpu *)d;

    return bs_cpu_pack(c, out, from, type, n, k,
                       math != BS_MATH_BF16        ? BS_CPU_F32
                       : c->isa->gemm_bf16 != NULL ? BS_CPU_BF16_PAIRS
                                                   : BS_CPU_BF16);
}

void
bs_cpu_weight_free(struct bs_dev *d, struct bs_weight *weight)
{
    struct bs_cpu_weight *w = (struct bs_cpu_weight *)weight;

    (void)d;
    bs_free(w->packed);
    bs_free(w);
}

/* ---- multiplication --------------------------------------------------------
 */

struct gemm_job {
    struct bs_cpu *c;
    const struct bs_cpu_product *a;
    const struct bs_cpu_weight *w;
    struct bs_isa_epilogue epilogue;
    size_t block_k;
    size_t rows, row_blocks;     /* of a chunk; how many */
    size_t panels, panel_blocks; /* of a chunk; how many */
    bool rows_first;             /* neighbouring chunks share panels */
};

/* A chunk: its part of the matrices, and its scratch. */
struct part {
    size_t row, rows, panel, panels;
    const float *x; /* of the block of k */
    size_t ldx;
    float *sums;      /* [panels][rows][nr] */
    float *wide;      /* [block_k][nr], a panel's part from bf16 */
    float *given;     /* [rows][block_k], the rows of x if they are given */
    uint16_t *narrow; /* [rows][block_k], the rows of x as bf16 */
};

static size_t
divide_up(size_t n, size_t by)
{
    return n / by + (n % by != 0);
}

/* Blocks of nearly equal size, at most BLOCK_K; even, for pairs. */
static size_t
block_of(size_t k)
{
    size_t blocks = divide_up(k, BLOCK_K);
    size_t size = k > 0 ? divide_up(k, blocks) : 2;

    return size + size % 2;
}

/* Split m rows by `panels` panels into chunks, at least four a thread where
 * that leaves them large enough. */
static void
plan(struct gemm_job *job)
{
    size_t mr = job->c->isa->mr, nr = job->c->isa->nr, m = job->a->m;
    size_t panels = job->w->panels, wanted = 4 * (size_t)job->c->threads;
    size_t least = 4 < panels ? 4 : panels;

    job->row_blocks = divide_up(m, BLOCK_ROWS);
    job->rows = BS_ROUND_UP(divide_up(m, job->row_blocks), mr);
    job->row_blocks = divide_up(m, job->rows);
    job->panel_blocks = divide_up(panels, BLOCK_COLS / nr);
    if (job->row_blocks * job->panel_blocks < wanted)
        job->panel_blocks = divide_up(wanted, job->row_blocks);
    job->panels = divide_up(panels, job->panel_blocks);
    if (job->panels < least)
        job->panels = least;
    job->panel_blocks = divide_up(panels, job->panels);
    job->rows_first =
        job->w->panels * nr * job->w->depth > CACHED_BYTES / sizeof(float);
}

/* Columns k..k+depth-1 of the rows of x. */
static void
take_rows(const struct gemm_job *job, struct part *p, size_t k, size_t depth)
{
    const struct bs_cpu_product *a = job->a;
    size_t here = a->w->k - k < depth ? a->w->k - k : depth, i;

    if (a->rows == NULL) {
        p->x = a->x + p->row * a->ldx + k;
        p->ldx = a->ldx;
    } else {
        a->rows(a->arg, p->given, job->block_k, p->row, p->rows, k, here);
        p->x = p->given;
        p->ldx = job->block_k;
    }
    if (job->w->form != BS_CPU_BF16_PAIRS)
        return;
    for (i = 0; i < p->rows; i++) {
        uint16_t *row = p->narrow + i * job->block_k;

        job->c->isa->narrow(row, p->x + i * p->ldx, here);
        if (here < depth)
            row[here] = 0;
    }
}

/* The sums of rows first..first+rows-1 and of panel j are complete: to y. */
static void
finish(const struct gemm_job *job, const struct part *p, size_t j, size_t first,
       size_t rows)
{
    const struct bs_cpu_product *a = job->a;
    size_t nr = job->c->isa->nr, col = (p->panel + j) * nr;
    size_t row = p->row + first;

    job->c->isa->epilogue(
        &job->epilogue, col, p->sums + (j * p->rows + first) * nr,
        a->residual != NULL ? a->residual + row * a->ldr + col : NULL, a->ldr,
        a->y + row * a->ldy + col, a->ldy, rows,
        a->w->n - col < nr ? a->w->n - col : nr);
}

/* Add the products of `depth` columns of x from k on to the sums of panel j;
 * after the last of them, runs of rows are finished as they come, so that the
 * way of y to memory is hidden behind the products of the next. */
static void
multiply_panel(const struct gemm_job *job, const struct part *p, size_t j,
               size_t k, size_t depth)
{
    const struct bs_isa *isa = job->c->isa;
    size_t at = ((p->panel + j) * job->w->depth + k) * isa->nr, i;
    const float *full = (const float *)job->w->packed + at;
    const uint16_t *half = (const uint16_t *)job->w->packed + at;
    size_t next = job->w->form == BS_CPU_F32 ? job->w->depth * isa->nr : 0;
    bool last = k + depth == job->w->depth;

    if (job->w->form == BS_CPU_BF16) {
        isa->widen(p->wide, half, depth * isa->nr);
        full = p->wide;
    }
    for (i = 0; i < p->rows; i += RUN_TILES * isa->mr) {
        size_t left = p->rows - i;
        size_t rows = left < RUN_TILES * isa->mr ? left : RUN_TILES * isa->mr;
        float *sums = p->sums + (j * p->rows + i) * isa->nr;

        if (job->w->form == BS_CPU_BF16_PAIRS)
            isa->gemm_bf16(p->narrow + i * job->block_k, job->block_k, half,
                           depth, sums, rows, k == 0);
        else
            isa->gemm(p->x + i * p->ldx, p->ldx, full, depth, sums, rows,
                      k == 0, i == 0 ? full + next : full);
        if (last)
            finish(job, p, j, i, rows);
    }
}

static void
gemm_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct gemm_job *job = arg;
    const struct bs_cpu_product *a = job->a;
    const struct bs_isa *isa = job->c->isa;
    size_t rb =
        job->rows_first ? chunk % job->row_blocks : chunk / job->panel_blocks;
    size_t pb =
        job->rows_first ? chunk / job->row_blocks : chunk % job->panel_blocks;
    size_t k = 0, j;
    struct part p = {.row = rb * job->rows, .panel = pb * job->panels};

    p.rows = a->m - p.row < job->rows ? a->m - p.row : job->rows;
    p.panels = job->w->panels - p.panel < job->panels ? job->w->panels - p.panel
                                                      : job->panels;
    p.sums = job->c->scratch[thread];
    p.wide = p.sums + job->rows * job->panels * isa->nr;
    p.given = p.wide + job->block_k * isa->nr;
    p.narrow = (uint16_t *)(p.given +
                            (a->rows != NULL ? job->rows : 0) * job->block_k);
    do {
        size_t left = job->w->depth - k;
        size_t depth = left < job->block_k ? left : job->block_k;

        take_rows(job, &p, k, depth);
        for (j = 0; j < p.panels; j++)
            multiply_panel(job, &p, j, k, depth);
        k += depth;
    } while (k < job->w->depth);
}

int
bs_cpu_multiply(struct bs_cpu *c, const struct bs_cpu_product *a)
{
    struct gemm_job job = {
        .c = c,
        .a = a,
        .w = (const struct bs_cpu_weight *)a->w,
        .epilogue = {a->bias, a->scale, (int)a->epilogue},
        .block_k = block_of(((const struct bs_cpu_weight *)a->w)->depth),
    };
    size_t sums, row;
    int r;

    plan(&job);
    sums = job.rows * job.panels * c->isa->nr * sizeof(float);
    row = job.block_k *
          (sizeof(uint16_t) + (a->rows != NULL ? sizeof(float) : 0));
    r = bs_cpu_scratch(c, sums + job.block_k * c->isa->nr * sizeof(float) +
                              job.rows * row);
    if (r == 0)
        bs_pool_run(c->pool, job.row_blocks * job.panel_blocks, gemm_chunk,
                    &job);
    return r;
}

int
bs_cpu_gemm(struct bs_dev *d, const struct bs_dev_gemm *a)
{
    struct bs_cpu_product p = {
        .w = a->w,
        .m = a->m,
        .x = a->x,
        .ldx = a->ldx,
        .y = a->y,
        .ldy = a->ldy,
        .bias = a->bias,
        .epilogue = a->epilogue,
        .scale = a->scale,
        .residual = a->y,
        .ldr = a->ldy,
    };

    return bs_cpu_multiply((struct bs_cpu *)d, &p);
}
