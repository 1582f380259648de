/*
 * eval_sums.c - see eval_sums.h.
 *
 * Formulas are those of overcomplete's metrics where it has them, with its
 * epsilon.
 */
#include "cmd/models/eval_sums.h"

#include <math.h>

#define EPSILON 1e-6

enum { CHUNK_TOKENS = 16, CHUNK_COLUMNS = 64 };

/* Of a column: the first x and residual, from which the others are measured;
 * sums and sums of squares. */
enum { X_FIRST, E_FIRST, X_SUM, X_SQUARES, E_SUM, E_SQUARES, COLUMN_SUMS };

/* Over tokens. */
enum {
    ERROR,       /* |e|^2 */
    NORMALIZED,  /* |e|^2 / |x|^2 */
    L2,          /* |e| */
    L1,          /* |e|_1 */
    RELATIVE_L2, /* |e| / (|x| + epsilon) */
    RELATIVE_L1, /* |e|_1 / (|x|_1 + epsilon) */
    COSINE,      /* of x and its reconstruction */
    L2_RATIO,    /* |y| / (|x| + epsilon) */
    CODE_L1,     /* |z|_1 */
    L1_L2,       /* |z|_1 / (|z| + epsilon) */
    KAPPA_4,     /* |z|_4^4 / (|z|^4 + epsilon) */
    TOKEN_SUMS
};

_Static_assert(TOKEN_SUMS <= BS_LEN(((struct bs_eval_sums *)0)->total),
               "room for the sums");

struct token {
    double sum[TOKEN_SUMS];
    bool nonzero; /* x has a length */
};

struct batch {
    struct bs_eval_sums *s;
    const float *x, *y;
    const struct bs_ragged *codes;
    size_t m;
    struct token *token;
};

/* ---- a token --------------------------------------------------------------
 */

static void
measure_token(struct token *t, const float *x, const float *y, size_t width)
{
    double ee = 0, xx = 0, yy = 0, xy = 0, e1 = 0, x1 = 0;
    size_t c;

    for (c = 0; c < width; c++) {
        double a = (double)x[c], b = (double)y[c], e = a - b;

        ee += e * e;
        xx += a * a;
        yy += b * b;
        xy += a * b;
        e1 += fabs(e);
        x1 += fabs(a);
    }
    t->nonzero = xx > 0;
    t->sum[ERROR] = ee;
    t->sum[NORMALIZED] = xx > 0 ? ee / xx : 0;
    t->sum[L2] = sqrt(ee);
    t->sum[L1] = e1;
    t->sum[RELATIVE_L2] = sqrt(ee) / (sqrt(xx) + EPSILON);
    t->sum[RELATIVE_L1] = e1 / (x1 + EPSILON);
    t->sum[COSINE] = xx > 0 && yy > 0 ? xy / sqrt(xx) / sqrt(yy) : 0;
    t->sum[L2_RATIO] = sqrt(yy) / (sqrt(xx) + EPSILON);
}

static void
measure_codes(struct token *t, const float *val, size_t n)
{
    double l1 = 0, l2 = 0, l4 = 0;
    size_t i;

    for (i = 0; i < n; i++) {
        double z = (double)val[i];

        l1 += z;
        l2 += z * z;
        l4 += z * z * z * z;
    }
    t->sum[CODE_L1] = l1;
    t->sum[L1_L2] = l1 / (sqrt(l2) + EPSILON);
    t->sum[KAPPA_4] = l4 / (l2 * l2 + EPSILON);
}

static void
measure_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct batch *b = arg;
    size_t width = b->s->width, i = chunk * CHUNK_TOKENS;
    size_t end = b->m - i < CHUNK_TOKENS ? b->m : i + CHUNK_TOKENS;

    (void)thread;
    for (; i < end; i++) {
        size_t first = b->codes->ptr[i];

        b->token[i] = (struct token){{0}, false};
        if (b->y != NULL)
            measure_token(&b->token[i], b->x + i * width, b->y + i * width,
                          width);
        measure_codes(&b->token[i], b->codes->val + first,
                      b->codes->ptr[i + 1] - first);
    }
}

/* ---- columns --------------------------------------------------------------
 */

static void
add_columns(void *arg, size_t chunk, unsigned thread)
{
    const struct batch *b = arg;
    size_t width = b->s->width, from = chunk * CHUNK_COLUMNS, i, c;
    size_t n = width - from < CHUNK_COLUMNS ? width - from : CHUNK_COLUMNS;
    double *sum = b->s->column + from;

    (void)thread;
    for (c = 0; c < n && b->s->tokens == 0; c++) {
        sum[X_FIRST * width + c] = (double)b->x[from + c];
        sum[E_FIRST * width + c] =
            (double)b->x[from + c] - (double)b->y[from + c];
    }
    for (i = 0; i < b->m; i++) {
        const float *x = b->x + i * width + from, *y = b->y + i * width + from;

        for (c = 0; c < n; c++) {
            double v = (double)x[c];
            double e = v - (double)y[c] - sum[E_FIRST * width + c];

            v -= sum[X_FIRST * width + c];
            sum[X_SUM * width + c] += v;
            sum[X_SQUARES * width + c] += v * v;
            sum[E_SUM * width + c] += e;
            sum[E_SQUARES * width + c] += e * e;
        }
    }
}

/* ---- a batch --------------------------------------------------------------
 */

static void
add_concepts(struct bs_eval_sums *s, const struct batch *b,
             const uint64_t *record)
{
    size_t i, k;

    for (i = 0; i < b->m; i++)
        for (k = b->codes->ptr[i]; k < b->codes->ptr[i + 1]; k++) {
            struct bs_concept_sums *c = &s->concept[b->codes->idx[k]];

            c->fires++;
            c->sum += (double)b->codes->val[k];
            c->most = fmaxf(c->most, b->codes->val[k]);
            c->records += c->last != record[i] + 1;
            c->last = record[i] + 1;
        }
}

int
bs_eval_sums_add(struct bs_eval_sums *s, const float *x, const float *y,
                 const struct bs_ragged *codes, const uint64_t *record,
                 size_t m, struct bs_pool *pool, struct bs_err *e)
{
    struct batch b = {.s = s, .x = x, .y = y, .codes = codes, .m = m};
    size_t i, k;

    if (m == 0)
        return 0;
    s->token.len = 0;
    if (bs_buf_reserve(&s->token, m * sizeof *b.token, e) < 0)
        return -e->code;
    b.token = (void *)s->token.data;
    bs_pool_run(pool, (m + CHUNK_TOKENS - 1) / CHUNK_TOKENS, measure_chunk, &b);
    for (i = 0; i < m; i++) {
        for (k = 0; k < TOKEN_SUMS; k++)
            s->total[k] += b.token[i].sum[k];
        s->nonzero += b.token[i].nonzero;
        s->none += codes->ptr[i + 1] == codes->ptr[i];
    }
    if (y != NULL)
        bs_pool_run(pool, (s->width + CHUNK_COLUMNS - 1) / CHUNK_COLUMNS,
                    add_columns, &b);
    add_concepts(s, &b, record);
    s->tokens += m;
    s->codes += codes->ptr[m];
    return 0;
}

int
bs_eval_sums_open(struct bs_eval_sums *s, size_t concepts, size_t width,
                  struct bs_err *e)
{
    *s = (struct bs_eval_sums){.concepts = concepts, .width = width};
    s->concept = bs_alloc_array(concepts, sizeof *s->concept);
    s->column = bs_alloc_array(width, COLUMN_SUMS * sizeof *s->column);
    return s->concept != NULL && s->column != NULL
               ? 0
               : bs_err_memory(e, "sums", concepts * sizeof *s->concept);
}

void
bs_eval_sums_release(struct bs_eval_sums *s)
{
    bs_free(s->concept);
    bs_free(s->column);
    bs_buf_release(&s->token);
    *s = (struct bs_eval_sums){0};
}

/* ---- metrics --------------------------------------------------------------
 */

/* The sum of squares of a column around its mean. */
static double
scatter(const struct bs_eval_sums *s, int sum, int squares, size_t c)
{
    double a = s->column[(size_t)sum * s->width + c];

    return s->column[(size_t)squares * s->width + c] -
           a * a / (double)s->tokens;
}

static double
mean_of_column(const struct bs_eval_sums *s, size_t c)
{
    return s->column[X_FIRST * s->width + c] +
           s->column[X_SUM * s->width + c] / (double)s->tokens;
}

/* The sum of squares around the columns' means; *mean: of all values; *apart:
 * the sum of squares of the columns' means around it. */
static double
total_scatter(const struct bs_eval_sums *s, double *apart)
{
    double around = 0, mean = 0;
    size_t c;

    for (c = 0; c < s->width; c++) {
        around += scatter(s, X_SUM, X_SQUARES, c);
        mean += mean_of_column(s, c) / (double)s->width;
    }
    *apart = 0;
    for (c = 0; c < s->width; c++) {
        double d = mean_of_column(s, c) - mean;

        *apart += d * d;
    }
    return around;
}

/* The mean over columns of 1 - var(e) / (var(x) + 1e-8), variances over n - 1.
 */
static double
explained_variance(const struct bs_eval_sums *s)
{
    double sum = 0, degrees = (double)s->tokens - 1;
    size_t c;

    for (c = 0; c < s->width; c++)
        sum += 1 - scatter(s, E_SUM, E_SQUARES, c) / degrees /
                       (scatter(s, X_SUM, X_SQUARES, c) / degrees + 1e-8);
    return s->tokens > 1 ? sum / (double)s->width : NAN;
}

static void
reconstruction(const struct bs_eval_sums *s, struct bs_cell *cell)
{
    const double *t = s->total;
    double n = (double)s->tokens, values = n * (double)s->width, apart;
    double around = total_scatter(s, &apart), long_ones = (double)s->nonzero;
    double all = around + n * apart;

    bs_metric_real(cell, BS_M_R2, 1 - t[ERROR] / around);
    bs_metric_real(cell, BS_M_R2_GLOBAL,
                   1 - t[ERROR] / values / (all / values + EPSILON));
    bs_metric_real(cell, BS_M_FVU, t[ERROR] / around);
    bs_metric_real(cell, BS_M_EXPLAINED_VARIANCE, explained_variance(s));
    bs_metric_real(cell, BS_M_MSE, t[ERROR] / values);
    bs_metric_real(cell, BS_M_NORMALIZED_MSE, t[NORMALIZED] / long_ones);
    bs_metric_real(cell, BS_M_AVG_L2, t[L2] / n);
    bs_metric_real(cell, BS_M_AVG_L1, t[L1] / n);
    bs_metric_real(cell, BS_M_RELATIVE_AVG_L2, t[RELATIVE_L2] / n);
    bs_metric_real(cell, BS_M_RELATIVE_AVG_L1, t[RELATIVE_L1] / n);
    bs_metric_real(cell, BS_M_COSINE, t[COSINE] / long_ones);
    bs_metric_real(cell, BS_M_L2_RATIO, t[L2_RATIO] / n);
}

static void
sparsity(const struct bs_eval_sums *s, struct bs_cell *cell)
{
    double n = (double)s->tokens, concepts = (double)s->concepts;
    double root = sqrt(concepts);
    uint64_t alive = 0;
    size_t i;

    for (i = 0; i < s->concepts; i++)
    alive += s->concept[i].fires > 0;
    bs_metric_real(cell, BS_M_L0, (double)s->codes / n);
    bs_metric_real(cell, BS_M_L0_SHARE, (double)s->codes / n / concepts);
    bs_metric_real(cell, BS_M_L1, s->total[CODE_L1] / n);
    bs_metric_real(cell, BS_M_HOYER, (root - s->total[L1_L2] / n) / (root - 1));
    bs_metric_real(cell, BS_M_KAPPA_4, s->total[KAPPA_4] / n);
    bs_metric_real(cell, BS_M_EMPTY, (double)s->none / n);
    bs_metric_count(cell, BS_M_ALIVE, alive);
    bs_metric_real(cell, BS_M_DEAD, 1 - (double)alive / concepts);
}

void
bs_eval_sums_metrics(const struct bs_eval_sums *s, bool decoded,
                     struct bs_cell cell[BS_METRICS])
{
    bs_metric_count(cell, BS_M_RECORDS, s->records);
    bs_metric_count(cell, BS_M_TOKENS, s->tokens);
    if (decoded)
        reconstruction(s, cell);
    sparsity(s, cell);
}
