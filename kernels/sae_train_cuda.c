/*
 * sae_train_cuda.c - tokens on their way through a training step and sums over
 * all of them, on the CUDA device: sae_train.cu; and the table of operations.
 * What was summed by chunks is added up here, in order, as on the CPU.
 */
#include "kernels/sae_train_cuda.h"
#include "kernels/sae_train_table.h"

#include "common/mem.h"

#include <math.h>

/* Room for n doubles in the slot of sums. */
static int
room_for_sums(struct bs_cuda *c, double **sums, size_t n)
{
    size_t bytes;

    if (!bs_mul(n, sizeof **sums, &bytes))
        return bs_err_memory(&c->dev.err, "sums", SIZE_MAX);
    return bs_cuda_scratch(c, BS_SCRATCH_SUMS, sums, bytes);
}

/* The sum of n doubles of the device, in order. */
static int
add_up(struct bs_cuda *c, const double *sums, size_t n, double *out)
{
    double *host = bs_alloc_array(n, sizeof *host);
    size_t i;
    int r;

    if (host == NULL)
        return bs_err_memory(&c->dev.err, "sums", n * sizeof *host);
    r = bs_cuda_get(&c->dev, host, sums, n * sizeof *host);
    *out = 0;
    for (i = 0; r == 0 && i < n; i++)
        *out += host[i];
    bs_free(host);
    return r;
}

/* ---- tokens ----------------------------------------------------------------
 */

/* Mean and spread, from the sums of the chunks of rows; behind these there is
 * room for the mean, and for a sum a chunk. */
static int
get_moments(struct bs_cuda *c, const float *x, size_t m, size_t width,
            double *sums, double *mean, double *spread)
{
    size_t chunks = bs_blocks(m, BS_SUM_ROWS);
    double *at = sums + chunks * width, *squares = at + width;
    const struct bs_train_mean_args means = {sums, chunks, m, width, at};
    const struct bs_train_spread_args spreads = {x, at, m, width, squares};
    const struct bs_grid columns = {bs_blocks(width, BS_EACH_THREADS), 1,
                                    BS_EACH_THREADS, 0};
    const struct bs_grid rows = {bs_blocks(chunks, BS_ROW_WARPS), 1,
                                 BS_ROW_THREADS, 0};
    int r = BS_LAUNCH(c, train_mean, columns, means);

    if (r == 0)
        r = BS_LAUNCH(c, train_spread, rows, spreads);
    if (r == 0)
        r = bs_cuda_get(&c->dev, mean, at, width * sizeof *mean);
    return r < 0 ? r : add_up(c, squares, chunks, spread);
}

static int
cuda_tokens(struct bs_dev *d, const float *x, const float *centre, size_t m,
            size_t width, enum bs_math math, float *out, double *mean,
            double *spread)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    struct bs_train_tokens_args args = {.x = x,
                                        .centre = centre,
                                        .out = out,
                                        .m = m,
                                        .width = width,
                                        .narrow = math == BS_MATH_BF16};
    size_t chunks = bs_blocks(m, BS_SUM_ROWS), i;
    const struct bs_grid grid = bs_cuda_each(chunks, width, &args.row_blocks);
    int r = 0;

    if (mean != NULL)
        *spread = 0;
    for (i = 0; mean != NULL && m == 0 && i < width; i++)
        mean[i] = (double)NAN;
    if (m == 0 || width == 0)
        return 0;
    if (mean != NULL)
        r = room_for_sums(c, &args.sums, (chunks + 1) * width + chunks);
    if (r == 0)
        r = BS_LAUNCH(c, train_tokens, grid, args);
    return r < 0 || mean == NULL
               ? r
               : get_moments(c, x, m, width, args.sums, mean, spread);
}

static int
cuda_residual(struct bs_dev *d, const float *x, float *y, size_t n,
              double *squares)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    struct bs_train_residual_args args = {.x = x, .y = y, .n = n};
    size_t pieces = bs_blocks(n, BS_SUM_PIECE);
    const struct bs_grid grid = {bs_blocks(pieces, BS_ROW_WARPS), 1,
                                 BS_ROW_THREADS, 0};
    int r;

    *squares = 0;
    if (n == 0)
        return 0;
    r = room_for_sums(c, &args.sums, pieces);
    if (r == 0)
        r = BS_LAUNCH(c, train_residual, grid, args);
    return r < 0 ? r : add_up(c, args.sums, pieces, squares);
}

/* ---- rows ------------------------------------------------------------------
 */

static int
cuda_row_sum(struct bs_dev *d, const float *x, size_t rows, size_t cols,
             const float *coef, double *out)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    struct bs_row_sum_args args = {.x = x, .rows = rows, .cols = cols};
    const struct bs_grid grid = {bs_blocks(cols, 32), 1, BS_ROW_SUM_THREADS, 0};
    int r;

    if (cols == 0)
        return 0;
    r = bs_cuda_words(c, BS_SCRATCH_VECTORS, &args.coef, coef, rows);
    if (r == 0)
        r = room_for_sums(c, &args.out, cols);
    if (r == 0)
        r = BS_LAUNCH(c, row_sum, grid, args);
    return r < 0 ? r : bs_cuda_get(d, out, args.out, cols * sizeof *out);
}

/*
 * The tiles on and above the diagonal are shared out; where they are few, each
 * is cut into parts of the rows.  That depends on the shape only, as the sums
 * do.
 */
#define GRAM_BLOCKS 256
#define GRAM_ROWS 1024 /* at least in a part */

static size_t
gram_parts(const struct bs_gram_args *a, size_t blocks)
{
    size_t parts = bs_blocks(GRAM_BLOCKS, blocks);
    size_t most = bs_blocks(a->rows, GRAM_ROWS);

    return parts < most ? parts : most;
}

static int
cuda_gram(struct bs_dev *d, const float *x, size_t rows, size_t cols,
          const float *coef, const float *mean, double *out)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    struct bs_gram_args args = {.x = x, .rows = rows, .cols = cols};
    struct bs_gram_fold_args fold = {.cols = cols};
    struct bs_grid grid = {0, 0, BS_GRAM_THREADS, 0};
    struct bs_grid each = bs_cuda_each(cols, cols, &fold.row_blocks);
    size_t square, n;
    int r;

    if (cols == 0)
        return 0;
    args.tiles = (unsigned)bs_blocks(cols, BS_GRAM_SIDE);
    grid.x = (size_t)args.tiles * (args.tiles + 1) / 2;
    grid.y = fold.parts = gram_parts(&args, grid.x);
    if (grid.y > 0)
        args.part_rows =
            BS_ROUND_UP(bs_blocks(rows, grid.y), (size_t)BS_GRAM_RUN);
    if (!bs_mul(cols, cols, &square) || !bs_mul(square, grid.y + 1, &n))
        return bs_err_memory(&d->err, "sums", SIZE_MAX);
    r = room_for_sums(c, &args.sums, n);
    fold.sums = args.sums;
    fold.out = args.sums + grid.y * square;
    if (r == 0)
        r = bs_cuda_words(c, BS_SCRATCH_VECTORS, &args.coef, coef, rows);
    if (r == 0)
        r = bs_cuda_words(c, BS_SCRATCH_SLOT, &args.mean, mean, cols);
    if (r == 0 && grid.y > 0)
        r = BS_LAUNCH(c, gram, grid, args);
    if (r == 0)
        r = BS_LAUNCH(c, gram_fold, each, fold);
    return r < 0 ? r : bs_cuda_get(d, out, fold.out, square * sizeof *out);
}

/* ---- table -----------------------------------------------------------------
 */

/* Its memory is out of the host's reach. */
static const void *
cuda_host(struct bs_dev *d, const struct bs_mem *m)
{
    (void)d;
    (void)m;
    return NULL;
}

const struct bs_train_ops bs_cuda_train_ops = {
    .host = cuda_host,
    .encoder_reserve = bs_cuda_encoder_reserve,
    .encoder_fill = bs_cuda_encoder_fill,
    .tokens = cuda_tokens,
    .residual = cuda_residual,
    .row_sum = cuda_row_sum,
    .gram = cuda_gram,
    .copy_rows = bs_cuda_copy_rows,
    .group = bs_cuda_group,
    .groups_free = bs_cuda_groups_free,
    .group_dots = bs_cuda_group_dots,
    .group_sum = bs_cuda_group_sum,
    .tangent = bs_cuda_tangent,
    .norm_gradient = bs_cuda_norm_gradient,
    .adam = bs_cuda_adam,
    .project = bs_cuda_project,
};
