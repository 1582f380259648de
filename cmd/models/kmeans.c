/*
 * kmeans.c - see kmeans.h.
 *
 * The nearest centroid c has the largest x . c - |c|^2 / 2: the first code of
 * an encoder with c for rows and -|c|^2 / 2 for a bias, screened as codes are.
 * Codes are positive, so a column (lift, 1) is added: with l the length of the
 * shortest centroid, lift > l |x| + l^2 / 2 leaves the largest above 0.
 */
#include "cmd/models/kmeans.h"

#include "common/mem.h"
#include "common/rng.h"
#include "kernels/sae_train_ops.h"

#include <math.h>

#define BLOCK 256 /* seeds between two looks at all tokens */

/* An encoder of centroids. */
struct table {
    struct bs_encoder *enc;
    size_t room;
    float *rows, *bias; /* [n, width + 1], [n] */
    struct bs_mem w, b; /* the same on the device */
    double shortest, longest;
};

struct bs_kmeans {
    size_t points, width;
    struct bs_dev *dev;
    struct bs_rng rng;
    float *c;        /* [points, width] */
    uint64_t *count; /* [points]: tokens so far */
    struct table all, block;

    size_t room;                     /* tokens */
    float *rows;                     /* [m, width + 1] */
    double *length, *square, *until; /* [m]: |x|; D^2; its running sum */
    uint32_t *near;                  /* [m] */
    float *val;                      /* [m] */
    struct bs_mem x, idx, best;      /* rows, near and val on the device */
    struct bs_groups *groups;
    struct bs_mem coef, sums; /* [m]: ones; [groups, width + 1] */
    float *sum;               /* the same */
    size_t sum_room;
};

/* ---- opening ---------------------------------------------------------------
 */

static int
failed(const struct bs_kmeans *k, struct bs_err *e)
{
    *e = *bs_dev_error(k->dev);
    return -e->code;
}

static int
room_for(struct bs_kmeans *k, struct bs_mem *m, size_t rows, size_t cols,
         struct bs_err *e)
{
    size_t bytes;

    if (!bs_mul(rows, cols, &bytes) || !bs_mul(bytes, sizeof(float), &bytes))
        return bs_err_memory(e, "k-means", SIZE_MAX);
    if (m->p != NULL && bytes <= m->bytes)
        return 0;
    bs_dev_free(k->dev, m);
    return bs_dev_alloc(k->dev, m, bytes) < 0 ? failed(k, e) : 0;
}

static int
open_table(struct bs_kmeans *k, struct table *t, size_t n, struct bs_err *e)
{
    size_t cols = k->width + 1;
    int r = room_for(k, &t->w, n, cols, e);

    t->room = n;
    if (r == 0)
        r = room_for(k, &t->b, n, 1, e);
    t->rows = bs_alloc_array(n, cols * sizeof *t->rows);
    t->bias = bs_alloc_array(n, sizeof *t->bias);
    if (r == 0 && (t->rows == NULL || t->bias == NULL))
        r = bs_err_memory(e, "k-means", n * cols * sizeof *t->rows);
    if (r == 0 &&
        bs_dev_encoder_reserve(k->dev, &t->enc, n, cols, BS_SCREEN_AUTO) < 0)
        r = failed(k, e);
    return r;
}

int
bs_kmeans_open(struct bs_kmeans **out, size_t points, size_t width,
               uint64_t seed, struct bs_dev *dev, struct bs_err *e)
{
    struct bs_kmeans *k;
    int r;

    *out = NULL;
    if (points == 0 || points >= UINT32_MAX || width == 0 ||
        width >= UINT32_MAX)
        return bs_err_set(e, BS_EX_USAGE, "k-means: %zu points of width %zu",
                          points, width);
    k = bs_alloc_array(1, sizeof *k);
    if (k == NULL)
        return bs_err_memory(e, "k-means", sizeof *k);
    k->points = points;
    k->width = width;
    k->dev = dev;
    bs_rng_init(&k->rng, seed, bs_rng_name("k-means"), 0);
    k->c = bs_alloc_array(points, width * sizeof *k->c);
    k->count = bs_alloc_array(points, sizeof *k->count);
    r = k->c == NULL || k->count == NULL
            ? bs_err_memory(e, "k-means", points * width * sizeof *k->c)
            : 0;
    if (r == 0)
        r = open_table(k, &k->all, points, e);
    if (r == 0)
        r = open_table(k, &k->block, points < BLOCK ? points : BLOCK, e);
    if (r < 0)
        bs_kmeans_close(k);
    else
        *out = k;
    return r;
}

static void
close_table(struct bs_kmeans *k, struct table *t)
{
    bs_dev_encoder_free(k->dev, t->enc);
    bs_dev_free(k->dev, &t->w);
    bs_dev_free(k->dev, &t->b);
    bs_free(t->rows);
    bs_free(t->bias);
}

static void
drop_tokens(struct bs_kmeans *k)
{
    bs_dev_free(k->dev, &k->x);
    bs_dev_free(k->dev, &k->idx);
    bs_dev_free(k->dev, &k->best);
    bs_free(k->rows);
    bs_free(k->length);
    bs_free(k->square);
    bs_free(k->until);
    bs_free(k->near);
    bs_free(k->val);
    k->rows = k->val = NULL;
    k->length = k->square = k->until = NULL;
    k->near = NULL;
    k->room = 0;
}

void
bs_kmeans_close(struct bs_kmeans *k)
{
    if (k == NULL)
        return;
    close_table(k, &k->all);
    close_table(k, &k->block);
    drop_tokens(k);
    bs_dev_groups_free(k->dev, k->groups);
    bs_dev_free(k->dev, &k->coef);
    bs_dev_free(k->dev, &k->sums);
    bs_free(k->sum);
    bs_free(k->c);
    bs_free(k->count);
    bs_free(k);
}

/* ---- nearest ---------------------------------------------------------------
 */

static double
squares(const float *x, size_t n)
{
    double sum = 0;
    size_t i;

    for (i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

static double
distance(const float *a, const float *b, size_t n)
{
    double lane[8] = {0};
    size_t i, l;

    for (i = 0; i + 8 <= n; i += 8)
        for (l = 0; l < 8; l++) {
            double off = (double)a[i + l] - (double)b[i + l];

            lane[l] += off * off;
        }
    for (l = 0; i + l < n; l++) {
        double off = (double)a[i + l] - (double)b[i + l];

        lane[l] += off * off;
    }
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
           ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

static int
fill_table(struct bs_kmeans *k, struct table *t, const float *c, size_t n,
           struct bs_err *e)
{
    const struct bs_encoder_rows from = {
        .w = &t->w, .bias = &t->b, .width = k->width + 1, .n = n};
    size_t cols = k->width + 1, j;

    t->shortest = INFINITY;
    t->longest = 0;
    for (j = 0; j < n; j++) {
        double square = squares(c + j * k->width, k->width);

        memcpy(t->rows + j * cols, c + j * k->width,
               k->width * sizeof *t->rows);
        t->rows[j * cols + k->width] = 1;
        t->bias[j] = (float)(-square / 2);
        t->shortest = fmin(t->shortest, sqrt(square));
        t->longest = fmax(t->longest, sqrt(square));
    }
    if (bs_dev_put(k->dev, &t->w, 0, t->rows, n * cols * sizeof *t->rows) < 0 ||
        bs_dev_put(k->dev, &t->b, 0, t->bias, n * sizeof *t->bias) < 0 ||
        bs_dev_encoder_fill(k->dev, t->enc, &from) < 0)
        return failed(k, e);
    return 0;
}

static int
token_room(struct bs_kmeans *k, size_t m, struct bs_err *e)
{
    size_t cols = k->width + 1;
    int r;

    if (m <= k->room)
        return 0;
    drop_tokens(k);
    r = room_for(k, &k->x, m, cols, e);
    if (r == 0)
        r = room_for(k, &k->idx, m, 1, e);
    if (r == 0)
        r = room_for(k, &k->best, m, 1, e);
    k->rows = bs_alloc_array(m, cols * sizeof *k->rows);
    k->length = bs_alloc_array(m, sizeof *k->length);
    k->square = bs_alloc_array(m, sizeof *k->square);
    k->until = bs_alloc_array(m, sizeof *k->until);
    k->near = bs_alloc_array(m, sizeof *k->near);
    k->val = bs_alloc_array(m, sizeof *k->val);
    if (r == 0 && (k->rows == NULL || k->length == NULL || k->square == NULL ||
                   k->until == NULL || k->near == NULL || k->val == NULL))
        r = bs_err_memory(e, "k-means", m * cols * sizeof *k->rows);
    if (r == 0)
        k->room = m;
    return r;
}

static int
take_tokens(struct bs_kmeans *k, const float *x, size_t m, struct bs_err *e)
{
    size_t i;
    int r;

    if (m == 0 || m >= UINT32_MAX)
        return bs_err_set(e, BS_EX_DATA, "k-means: %zu tokens", m);
    r = token_room(k, m, e);
    for (i = 0; r == 0 && i < m; i++) {
        double square = squares(x + i * k->width, k->width);

        if (!(square < 1e30))
            return bs_err_set(e, BS_EX_DATA,
                              "k-means: token %zu is not finite, or too long",
                              i);
        memcpy(k->rows + i * (k->width + 1), x + i * k->width,
               k->width * sizeof *x);
        k->length[i] = sqrt(square);
    }
    return r;
}

static double
lift(const struct bs_kmeans *k, const struct table *t, size_t i)
{
    double least = t->shortest * k->length[i] + t->shortest * t->shortest / 2;

    return (double)(float)(1.01 * least + 1e-30);
}

/* k->near and k->val of all tokens. */
static int
find_nearest(struct bs_kmeans *k, const struct table *t, size_t m,
             struct bs_err *e)
{
    size_t cols = k->width + 1, i;

    for (i = 0; i < m; i++)
        k->rows[i * cols + k->width] = (float)lift(k, t, i);
    if (bs_dev_put(k->dev, &k->x, 0, k->rows, m * cols * sizeof *k->rows) < 0 ||
        bs_dev_encode_topk(k->dev, t->enc, &k->x, cols, m, 1, &k->idx,
                           &k->best) < 0 ||
        bs_dev_get(k->dev, k->near, &k->idx, 0, m * sizeof *k->near) < 0 ||
        bs_dev_get(k->dev, k->val, &k->best, 0, m * sizeof *k->val) < 0)
        return failed(k, e);
    for (i = 0; i < m; i++)
        if (k->near[i] == BS_CODE_NONE)
            return bs_err_set(e, BS_EX_DATA,
                              "k-means: token %zu is near no centroid", i);
    return 0;
}

/* ---- seeding ---------------------------------------------------------------
 */

/* A token, by its share of D^2 when the running sums were made. */
static size_t
draw(struct bs_kmeans *k, size_t m)
{
    double at = bs_rng_f64(&k->rng) * k->until[m - 1];
    size_t low = 0, high = m - 1;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (k->until[mid] > at)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

/*
 * Seeds from n on, at most BLOCK; returns how many there are then.  Drawn by
 * D^2 of before, a token is taken with the share of it that the seeds of this
 * block leave: so each is drawn by D^2 of all seeds before it.  A block ends
 * where it refuses more than it takes.
 */
static size_t
draw_block(struct bs_kmeans *k, const float *x, size_t m, size_t n)
{
    size_t first = n, end = n + k->block.room, refused = 0, j;

    end = end < k->points ? end : k->points;
    while (n < end && refused < 16 + (n - first)) {
        const float *token = x + draw(k, m) * k->width;
        size_t i = (size_t)(token - x) / k->width;
        double left = k->square[i];

        for (j = first; j < n && left > 0; j++)
            left = fmin(left, distance(token, k->c + j * k->width, k->width));
        if (bs_rng_f64(&k->rng) * k->square[i] < left)
            memcpy(k->c + n++ * k->width, token, k->width * sizeof *token);
        else
            refused++;
    }
    return n;
}

/* D^2 with seeds first..n-1 and its running sums.  Where the product says that
 * none is nearer, by more than it can be off, the distance is not computed. */
static int
look_at_all(struct bs_kmeans *k, const float *x, size_t m, size_t first,
            size_t n, struct bs_err *e)
{
    const float *c = k->c + first * k->width;
    double sum = 0;
    size_t i;
    int r = 0;

    if (n > first)
        r = fill_table(k, &k->block, c, n - first, e);
    if (r == 0 && n > first)
        r = find_nearest(k, &k->block, m, e);
    for (i = 0; r == 0 && i < m; i++) {
        double size = k->length[i] * k->length[i];
        double off = 1e-5 * (size + k->block.longest * k->block.longest);
        double near = size - 2 * ((double)k->val[i] - lift(k, &k->block, i));

        if (n > first && near - off < k->square[i])
            k->square[i] = fmin(k->square[i],
                                distance(x + i * k->width,
                                         c + k->near[i] * k->width, k->width));
        sum += k->square[i];
        k->until[i] = sum;
    }
    return r;
}

int
bs_kmeans_seed(struct bs_kmeans *k, const float *x, size_t m, struct bs_err *e)
{
    size_t n = 1, first = 0, i;
    int r = take_tokens(k, x, m, e);

    if (r < 0)
        return r;
    memset(k->count, 0, k->points * sizeof *k->count);
    i = (size_t)bs_rng_below(&k->rng, m);
    memcpy(k->c, x + i * k->width, k->width * sizeof *x);
    for (i = 0; i < m; i++)
        k->square[i] = INFINITY;
    while (n < k->points) {
        r = look_at_all(k, x, m, first, n, e);
        if (r < 0)
            return r;
        if (!(k->until[m - 1] > 0))
            return bs_err_set(e, BS_EX_DATA,
                              "k-means: %zu different tokens of %zu, %zu "
                              "points",
                              n, m, k->points);
        first = n;
        n = draw_block(k, x, m, n);
    }
    return 0;
}

/* ---- a step ----------------------------------------------------------------
 */

/* The sum of each centroid's tokens, [groups, width + 1]. */
static int
sum_tokens(struct bs_kmeans *k, size_t m, struct bs_err *e)
{
    const struct bs_code_rows codes = {m, 1, NULL, k->near, k->val};
    size_t cols = k->width + 1, n, i;
    int r = room_for(k, &k->coef, m, 1, e);

    for (i = 0; i < m; i++)
        k->val[i] = 1;
    if (r == 0 &&
        (bs_dev_put(k->dev, &k->coef, 0, k->val, m * sizeof *k->val) < 0 ||
         bs_dev_group(k->dev, &k->groups, &codes, k->points) < 0))
        r = failed(k, e);
    if (r < 0)
        return r;
    n = k->groups->n;
    r = room_for(k, &k->sums, n, cols, e);
    if (r == 0 && n > k->sum_room) {
        bs_free(k->sum);
        k->sum = bs_alloc_array(n, cols * sizeof *k->sum);
        k->sum_room = k->sum != NULL ? n : 0;
        if (k->sum == NULL)
            r = bs_err_memory(e, "k-means", n * cols * sizeof *k->sum);
    }
    if (r == 0 && (bs_dev_group_sum(k->dev, k->groups, &k->coef, &k->x, cols, 1,
                                    0, &k->sums, NULL) < 0 ||
                   bs_dev_get(k->dev, k->sum, &k->sums, 0,
                              n * cols * sizeof *k->sum) < 0))
        r = failed(k, e);
    return r;
}

int
bs_kmeans_step(struct bs_kmeans *k, const float *x, size_t m, double *inertia,
               struct bs_err *e)
{
    size_t cols = k->width + 1, i, c;
    int r = take_tokens(k, x, m, e);

    if (r == 0)
        r = fill_table(k, &k->all, k->c, k->points, e);
    if (r == 0)
        r = find_nearest(k, &k->all, m, e);
    if (r < 0)
        return r;
    if (inertia != NULL) {
        *inertia = 0;
        for (i = 0; i < m; i++)
            *inertia += distance(x + i * k->width, k->c + k->near[i] * k->width,
                                 k->width) /
                        (double)m;
    }
    r = sum_tokens(k, m, e);
    /* What a rate of 1 / count comes to, token by token: the mean. */
    for (i = 0; r == 0 && i < k->groups->n; i++) {
        size_t j = k->groups->atom[i];
        double before = (double)k->count[j], size = k->groups->size[i];
        float *at = k->c + j * k->width;

        for (c = 0; c < k->width; c++)
            at[c] = (float)((before * (double)at[c] +
                             (double)k->sum[i * cols + c]) /
                            (before + size));
        k->count[j] += k->groups->size[i];
    }
    return r;
}

const float *
bs_kmeans_centroids(const struct bs_kmeans *k)
{
    return k->c;
}
