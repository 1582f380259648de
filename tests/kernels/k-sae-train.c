/*
 * k-sae-train.c - what a training step does to tokens, codes and rows, bit for
 * bit that of plain loops in the order that sae_train_ops.h defines, on every
 * instruction set, any number of threads, and CUDA: all remainders, empty
 * input, unused places, hot atoms; and encoders filled again and again.
 */
#include "tests/kernels/compare.h"

#include "common/dtype.h"
#include "kernels/sae_train_ops.h"

/* Every so many-th of the cases below is run. */
static size_t every = 1, cases;

static bool
taken(void)
{
    return cases++ % every == 0;
}

static uint32_t
index_of(uint32_t *state, uint32_t n)
{
    uint32_t i = (uint32_t)(fabsf(random_of(state)) * (float)n);

    return i < n ? i : n - 1;
}

static float
plain_dot(const float *x, const float *w, size_t k)
{
    float sum[16] = {0};
    size_t c, half;

    for (c = 0; c < k; c++)
        sum[c % 16] += x[c] * w[c];
    for (half = 8; half > 0; half /= 2)
        for (c = 0; c < half; c++)
            sum[c] += sum[c + half];
    return sum[0];
}

static int
same(const struct floats *a, const float *want, size_t n)
{
    return n == 0 || memcmp(a->at, want, n * sizeof *want) == 0;
}

/* ---- tokens ----------------------------------------------------------------
 */

static double
fold(const double lane[8])
{
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
           ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

/* Sums of 64 rows, and these summed. */
static void
plain_moments(const float *x, size_t m, size_t width, double *mean,
              double *spread)
{
    size_t first, i, c;

    for (c = 0; c < width; c++) {
        mean[c] = 0;
        for (first = 0; first < m; first += 64) {
            double sum = 0;

            for (i = first; i < m && i < first + 64; i++)
                sum += (double)x[i * width + c];
            mean[c] += sum;
        }
        mean[c] /= (double)m;
    }
    *spread = 0;
    for (first = 0; first < m; first += 64) {
        double lane[8] = {0};

        for (i = first; i < m && i < first + 64; i++)
            for (c = 0; c < width; c++) {
                double off = (double)x[i * width + c] - mean[c];

                lane[c % 8] += off * off;
            }
        *spread += fold(lane);
    }
}

static int
tokens_good(struct bs_dev *d, size_t m, size_t width, bool centred,
            enum bs_math math)
{
    struct floats x = floats_of(m * width, 3, 1);
    struct floats centre = floats_of(width, 1, 2);
    struct floats out = floats_of(m * width, 1, 3);
    double *mean = need(bs_alloc_array(2 * width, sizeof *mean));
    double spread = 0, want;
    int good;
    size_t i;

    /* Sums of numbers of one size would be exact, in any order. */
    for (i = 0; i < m * width; i += 3)
        x.at[i] *= 1e12f;
    good = bs_dev_tokens(d, &x.mem, centred ? &centre.mem : NULL, m, width,
                         math, &out.mem, mean, &spread) == 0;
    plain_moments(x.at, m, width, mean + width, &want);
    if (m > 0)
        good &= memcmp(mean, mean + width, width * sizeof *mean) == 0 &&
                spread == want;
    for (i = 0; i < m * width; i++) {
        float v = centred ? x.at[i] - centre.at[i % width] : x.at[i];

        if (math == BS_MATH_BF16)
            v = bs_f32_from_bf16(bs_bf16_from_f32(v));
        good &= out.at[i] == v;
    }
    bs_free(mean);
    return floats_free(&x) & floats_free(&centre) & floats_free(&out) & good;
}

static int
residual_good(struct bs_dev *d, size_t n)
{
    struct floats x = floats_of(n, 1, 1), y = floats_of(n, 1, 2);
    float *want = need(bs_alloc_array(n, sizeof *want));
    double got = -1, again = -1, sum = 0;
    size_t first, i;
    int good;

    for (first = 0; first < n; first += 8192) {
        double lane[8] = {0};

        for (i = first; i < n && i < first + 8192; i++) {
            want[i] = x.at[i] - y.at[i];
            lane[(i - first) % 8] += (double)want[i] * (double)want[i];
        }
        sum += fold(lane);
    }
    good = bs_dev_residual(d, &x.mem, &y.mem, n, &got) == 0 && got == sum &&
           same(&y, want, n) && bs_dev_squares(d, &y.mem, n, &again) == 0 &&
           again == sum;
    bs_free(want);
    return floats_free(&x) & floats_free(&y) & good;
}

static int
row_sum_good(struct bs_dev *d, size_t rows, size_t cols, bool weighted)
{
    struct floats x = floats_of(rows * cols, 1, 1);
    struct floats coef = floats_of(rows, 1, 2);
    double *out = need(bs_alloc_array(cols, sizeof *out));
    size_t r, c;
    int good;

    for (r = 0; r < rows; r += 3)
        coef.at[r] = 0;
    good = bs_dev_row_sum(d, &x.mem, rows, cols, weighted ? coef.at : NULL,
                          out) == 0;
    for (c = 0; c < cols; c++) {
        double sum = 0;

        for (r = 0; r < rows; r++)
            sum += (weighted ? (double)coef.at[r] : 1) *
                   (double)x.at[r * cols + c];
        good &= out[c] == sum;
    }
    bs_free(out);
    return floats_free(&x) & floats_free(&coef) & good;
}

static void
test_tokens(struct bs_dev *d, const char *name)
{
    static const size_t ms[] = {0, 1, 63, 64, 65, 200};
    static const size_t widths[] = {1, 7, 31, 32, 33, 100};
    static const size_t ns[] = {0, 1, 7, 8191, 8192, 8193, 30000};
    size_t i, j;
    int good = 1, sums = 1;

    for (i = 0; i < BS_LEN(ms); i++)
        for (j = 0; j < BS_LEN(widths); j++) {
            if (!taken())
                continue;
            good &= tokens_good(d, ms[i], widths[j], false, BS_MATH_F32) &
                    tokens_good(d, ms[i], widths[j], true, BS_MATH_F32) &
                    tokens_good(d, ms[i], widths[j], true, BS_MATH_BF16);
            sums &= row_sum_good(d, ms[i], widths[j], false) &
                    row_sum_good(d, ms[i], widths[j], true);
        }
    ok(good, "%s: tokens, their mean and spread", name);
    ok(sums, "%s: sums of rows", name);
    good = 1;
    for (i = 0; i < BS_LEN(ns); i++)
        good &= residual_good(d, ns[i]);
    ok(good, "%s: residuals and squares", name);
}

/* ---- products of rows ------------------------------------------------------
 */

static int
gram_good(struct bs_dev *d, size_t rows, size_t cols, bool weighted, bool off)
{
    struct floats x = floats_of(rows * cols, 1, 1);
    struct floats coef = floats_of(rows, 1, 2), mean = floats_of(cols, 1, 3);
    double *out = need(bs_alloc_array(cols, cols * sizeof *out));
    size_t r, i, j;
    int good;

    good = bs_dev_gram(d, &x.mem, rows, cols, weighted ? coef.at : NULL,
                       off ? mean.at : NULL, out) == 0;
    for (i = 0; i < cols; i++)
        for (j = 0; j < cols; j++) {
            double sum = 0, size = 0;

            for (r = 0; r < rows; r++) {
                const float *row = x.at + r * cols;
                double a = (double)row[i] - (off ? (double)mean.at[i] : 0);
                double b = (double)row[j] - (off ? (double)mean.at[j] : 0);
                double product = (weighted ? (double)coef.at[r] : 1) * a * b;

                sum += product;
                size += fabs(product);
            }
            good &= near(out[i * cols + j], sum, 2e-6 * size) &&
                    out[i * cols + j] == out[j * cols + i];
        }
    bs_free(out);
    return floats_free(&x) & floats_free(&coef) & floats_free(&mean) & good;
}

static void
test_gram(struct bs_dev *d, const char *name)
{
    static const size_t rows[] = {0, 1, 127, 129, 1023, 1030};
    static const size_t cols[] = {1, 2, 15, 16, 17, 33, 70};
    size_t i, j;
    int good = 1;

    for (i = 0; i < BS_LEN(rows); i++)
        for (j = 0; j < BS_LEN(cols); j++)
            if (taken())
                good &= gram_good(d, rows[i], cols[j], i % 2 == 0, j % 2 == 0) &
                        gram_good(d, rows[i], cols[j], i % 2 != 0, j % 2 == 0);
    ok(good, "%s: products of rows with themselves", name);
}

/* ---- codes by atom ---------------------------------------------------------
 */

#define CONCEPTS 40

/* Codes of m tokens; most of the tokens have one of concept 7. */
struct codes {
    size_t m, places;
    uint32_t *idx, *ptr;
    struct floats val;
    struct bs_code_rows rows;
};

static struct codes
codes_of(size_t m, size_t top, bool ragged, uint32_t seed)
{
    struct codes c = {.m = m, .places = m * top};
    size_t i, j, n = 0;

    c.idx = need(bs_alloc_array(c.places, sizeof *c.idx));
    c.ptr = need(bs_alloc_array(m + 1, sizeof *c.ptr));
    c.val = floats_of(c.places, 1, seed);
    for (i = 0; i < m; i++) {
        size_t used = ragged ? i % (top + 1) : top;

        for (j = 0; j < used; j++) {
            size_t at = ragged ? n++ : i * top + j;

            c.idx[at] = j == 0 ? 7 : index_of(&seed, CONCEPTS);
            if (!ragged && (i + j) % 5 == 4)
                c.idx[at] = BS_CODE_NONE;
        }
        c.ptr[i + 1] = (uint32_t)n;
    }
    if (ragged)
        c.places = n;
    c.rows = (struct bs_code_rows){m, ragged ? 0 : top, ragged ? c.ptr : NULL,
                                   c.idx, c.val.at};
    return c;
}

static int
codes_free(struct codes *c)
{
    bs_free(c->idx);
    bs_free(c->ptr);
    return floats_free(&c->val);
}

static size_t
token_of(const struct codes *c, size_t place)
{
    size_t i = 0;

    if (c->rows.ptr == NULL)
        return place / c->rows.top;
    while (c->ptr[i + 1] <= place)
        i++;
    return i;
}

/* An atom's sum: 64 codes, these added to the rest. */
static void
plain_sum(const struct codes *c, size_t atom, const float *x, size_t width,
          float scale, float *out, float *total)
{
    float all = 0, part = 0;
    size_t n = 0, place, col;
    float *sum = need(bs_alloc_array(2 * width, sizeof *sum));
    float *run = sum + width;

    for (place = 0; place <= c->places; place++) {
        bool last = place == c->places;

        if (!last && c->idx[place] == atom) {
            const float *row = x + token_of(c, place) * width;

            for (col = 0; col < width; col++)
                run[col] += c->val.at[place] * row[col];
            part += c->val.at[place];
            n++;
        }
        if ((last && n > 0) || n == 64) {
            for (col = 0; col < width; col++) {
                sum[col] += run[col];
                run[col] = 0;
            }
            all += part;
            part = 0;
            n = 0;
        }
    }
    for (col = 0; col < width; col++)
        out[col] = scale * sum[col];
    *total = scale * all;
    bs_free(sum);
}

static int
groups_good(struct bs_dev *d, struct bs_groups **g, size_t m, size_t top,
            size_t width, bool ragged)
{
    struct codes c = codes_of(m, top, ragged, 9);
    struct floats x = floats_of(m * width, 1, 1);
    struct floats table = floats_of(CONCEPTS * width, 1, 2);
    struct floats dots = floats_of(c.places, 1, 3);
    struct floats sums = floats_of((CONCEPTS + 2) * width, 1, 4);
    struct floats total = floats_of(CONCEPTS + 2, 1, 5);
    float *want = need(bs_alloc_array(width, sizeof *want)), all;
    size_t i, n = 0;
    int good;

    good = bs_dev_group(d, g, &c.rows, CONCEPTS) == 0 &&
           bs_dev_group_dots(d, *g, &x.mem, &table.mem, CONCEPTS, width, -2,
                             &dots.mem) == 0 &&
           bs_dev_group_sum(d, *g, &c.val.mem, &x.mem, width, 0.3f, 2,
                            &sums.mem, &total.mem) == 0;
    for (i = 0; good && i < c.places; i++) {
        float dot = 0;

        if (c.idx[i] != BS_CODE_NONE)
            dot = -2 * plain_dot(x.at + token_of(&c, i) * width,
                                 table.at + c.idx[i] * width, width);
        good &= dots.at[i] == dot;
    }
    for (i = 0; good && i < CONCEPTS; i++) {
        size_t size = 0, place;

        for (place = 0; place < c.places; place++)
            size += c.idx[place] == i;
        if (size == 0)
            continue;
        plain_sum(&c, i, x.at, width, 0.3f, want, &all);
        good &= (*g)->atom[n] == i && (*g)->size[n] == size &&
                memcmp(sums.at + (n + 2) * width, want, width * sizeof *want) ==
                    0 &&
                total.at[n + 2] == all;
        n++;
    }
    good &= n == (*g)->n;
    bs_free(want);
    return codes_free(&c) & floats_free(&x) & floats_free(&table) &
           floats_free(&dots) & floats_free(&sums) & floats_free(&total) & good;
}

static void
test_groups(struct bs_dev *d, const char *name)
{
    static const size_t ms[] = {0, 1, 64, 65, 200};
    static const size_t widths[] = {1, 31, 32, 33, 70};
    struct bs_groups *g = NULL;
    size_t i, j, top;
    int good = 1;

    for (i = 0; i < BS_LEN(ms); i++)
        for (j = 0; j < BS_LEN(widths); j++)
            for (top = 1; top < 8; top += 3)
                if (taken())
                    good &= groups_good(d, &g, ms[i], top, widths[j], false) &
                            groups_good(d, &g, ms[i], top, widths[j], true);
    ok(good, "%s: codes by atom, products and sums", name);
    bs_dev_groups_free(d, g);
}

/* ---- rows ------------------------------------------------------------------
 */

static int
rows_good(struct bs_dev *d, size_t n, size_t width)
{
    struct floats table = floats_of(50 * width, 1, 1);
    struct floats part = floats_of(n * width, 1, 2);
    struct floats back = floats_of(50 * width, 1, 1);
    uint32_t *row = need(bs_alloc_array(n, sizeof *row));
    float *want = need(bs_alloc_array(n, width * sizeof *want));
    size_t i, c;
    int good;

    for (i = 0; i < n; i++)
        row[i] = (uint32_t)((i * 7 + 3) % 50);
    for (i = 0; i < n; i++) {
        const float *atom = table.at + row[i] * width;
        float along = plain_dot(part.at + i * width, atom, width);

        for (c = 0; c < width; c++)
            want[i * width + c] = part.at[i * width + c] - along * atom[c];
    }
    good = bs_dev_tangent(d, &part.mem, &table.mem, row, n, width) == 0 &&
           same(&part, want, n * width);
    good &= bs_dev_gather(d, &table.mem, width, row, n, &part.mem) == 0;
    for (i = 0; i < n * width; i++)
        good &= part.at[i] == table.at[row[i / width] * width + i % width];
    good &= bs_dev_scatter(d, &part.mem, 3, width, row, n, &back.mem) == 0;
    for (i = 0; i < n; i++)
        for (c = 0; c < width; c++)
            table.at[row[i] * width + c] *= 3;
    good &= same(&back, table.at, 50 * width);
    bs_free(row);
    bs_free(want);
    return floats_free(&table) & floats_free(&part) & floats_free(&back) & good;
}

static int
norm_good(struct bs_dev *d, size_t concepts, size_t width, bool pushed)
{
    struct floats grad = floats_of(concepts * width, 1, 1);
    struct floats sparse = floats_of(concepts * width, 1, 2);
    struct floats row = floats_of(2 * concepts, 1, 3);
    struct floats col = floats_of(3 * width, 1, 4);
    uint32_t *slot = need(bs_alloc_array(concepts, sizeof *slot));
    float *want = need(bs_alloc_array(concepts, width * sizeof *want));
    const struct bs_norm_gradient a = {
        .concepts = concepts,
        .width = width,
        .bias = pushed ? row.at : NULL,
        .along = col.at,
        .rest = col.at + width,
        .slot = slot,
        .sparse = &sparse.mem,
        .weight = pushed ? row.at + concepts : NULL,
        .common = pushed ? col.at + 2 * width : NULL};
    size_t j, c;
    uint32_t n = 0;
    int good;

    for (j = 0; j < concepts; j++)
        slot[j] = j % 3 == 1 ? n++ : BS_CODE_NONE;
    for (j = 0; j < concepts; j++)
        for (c = 0; c < width; c++) {
            float bias = pushed ? a.bias[j] : 0;
            float v = -(grad.at[j * width + c] + bias * a.along[c] + a.rest[c]);

            if (slot[j] != BS_CODE_NONE)
                v += sparse.at[slot[j] * width + c];
            else if (pushed)
                v += a.weight[j] * a.common[c];
            want[j * width + c] = v;
        }
    good = bs_dev_norm_gradient(d, &grad.mem, &a) == 0 &&
           same(&grad, want, concepts * width);
    bs_free(slot);
    bs_free(want);
    return floats_free(&grad) & floats_free(&sparse) & floats_free(&row) &
           floats_free(&col) & good;
}

static void
test_rows(struct bs_dev *d, const char *name)
{
    static const size_t ns[] = {0, 1, 15, 16, 17, 40};
    static const size_t widths[] = {1, 16, 33, 100};
    size_t i, j;
    int good = 1, norm = 1;

    for (i = 0; i < BS_LEN(ns); i++)
        for (j = 0; j < BS_LEN(widths); j++) {
            if (!taken())
                continue;
            good &= rows_good(d, ns[i], widths[j]);
            norm &= norm_good(d, ns[i], widths[j], false) &
                    norm_good(d, ns[i], widths[j], true);
        }
    ok(good, "%s: rows gathered, scattered, and made tangent", name);
    ok(norm, "%s: gradients under a layer norm", name);
}

/* ---- encoders that change --------------------------------------------------
 */

/* Codes by a filled encoder are those of one made of the same rows. */
static int
codes_same(struct bs_dev *d, const struct bs_encoder *enc, const float *w,
           const float *bias, size_t n, size_t k, enum bs_screen screen)
{
    enum { M = 50, TOP = 3 };
    struct floats x = floats_of(M * k, 1, 8), val[2] = {{0}};
    struct floats idx[2] = {{0}};
    struct bs_encoder *made;
    int i, good = bs_dev_encoder(d, &made, w, bias, n, k, screen) == 0;

    for (i = 0; i < 2; i++) {
        val[i] = floats_of(M * TOP, 1, 1);
        idx[i] = floats_of(M * TOP, 1, 1);
        good &= bs_dev_encode_topk(d, i == 0 ? enc : made, &x.mem, k, M, TOP,
                                   &idx[i].mem, &val[i].mem) == 0;
    }
    good &= memcmp(val[0].at, val[1].at, M * TOP * sizeof(float)) == 0 &&
            memcmp(idx[0].at, idx[1].at, M * TOP * sizeof(float)) == 0;
    bs_dev_encoder_free(d, made);
    for (i = 0; i < 2; i++)
        good &= floats_free(&val[i]) & floats_free(&idx[i]);
    return floats_free(&x) & good;
}

static void
test_encoder(struct bs_dev *d, const char *name, enum bs_screen screen)
{
    enum { N = 45, K = 21 };
    struct floats w = floats_of(N * K, 1, 1), bias = floats_of(N, 0.1f, 2);
    struct floats gain = floats_of(N, 1, 3), shift = floats_of(N, 1, 4);
    struct bs_encoder *enc = NULL, *wide = NULL;
    struct bs_encoder_rows from = {.w = &w.mem, .width = K, .n = N};
    float rows[N * (K + 3)], some[N];
    uint32_t list[] = {44, 3, 17, 18, 0, 9};
    size_t i, c;
    int good = bs_dev_encoder_reserve(d, &enc, N, K, screen) == 0 &&
               bs_dev_encoder_reserve(d, &wide, N, K + 3, screen) == 0;

    good &= bs_dev_encoder_fill(d, enc, &from) == 0 &&
            codes_same(d, enc, w.at, NULL, N, K, screen);
    from.bias = &bias.mem;
    good &= bs_dev_encoder_fill(d, enc, &from) == 0 &&
            codes_same(d, enc, w.at, bias.at, N, K, screen);
    ok(good, "%s: an encoder filled, and again", name);

    from.rows = list;
    from.n = BS_LEN(list);
    for (i = 0; i < from.n; i++) {
        memcpy(rows + i * K, w.at + list[i] * K, K * sizeof *rows);
        some[i] = bias.at[list[i]];
    }
    good = bs_dev_encoder_fill(d, enc, &from) == 0 &&
           codes_same(d, enc, rows, some, from.n, K, screen);
    ok(good, "%s: with some rows only", name);

    from.gain = &gain.mem;
    from.shift = &shift.mem;
    for (i = 0; i < from.n; i++) {
        float *row = rows + i * (K + 3);
        uint32_t j = list[i];

        for (c = 0; c < K; c++)
            row[c] = gain.at[j] * w.at[j * K + c];
        row[K] = gain.at[j] * bias.at[j];
        row[K + 1] = gain.at[j];
        row[K + 2] = shift.at[j];
    }
    good = bs_dev_encoder_fill(d, wide, &from) == 0 &&
           codes_same(d, wide, rows, NULL, from.n, K + 3, screen);
    ok(good, "%s: with a layer norm folded in", name);

    ok(bs_dev_encoder_fill(d, enc, &from) == -BS_EX_SOFTWARE,
       "%s: rows too long: %s", name, bs_dev_error(d)->text);
    d->err.code = 0;
    w.at[17 * K + 5] = NAN;
    from.gain = from.shift = NULL;
    ok(bs_dev_encoder_fill(d, enc, &from) == -BS_EX_DATA &&
           strstr(bs_dev_error(d)->text, "row 17 ") != NULL,
       "%s: a row that is not finite: %s", name, bs_dev_error(d)->text);
    d->err.code = 0;
    w.at[17 * K + 5] = 3e38f;
    w.at[17 * K + 6] = 3e38f;
    ok(bs_dev_encoder_fill(d, enc, &from) == 0,
       "%s: one that is only very long", name);
    bs_dev_encoder_free(d, enc);
    bs_dev_encoder_free(d, wide);
    ok(bs_dev_encoder_reserve(d, &enc, 4, K, screen) == 0 &&
           bs_dev_encoder_fill(d, enc, &from) == -BS_EX_SOFTWARE,
       "%s: more rows than room: %s", name, bs_dev_error(d)->text);
    d->err.code = 0;
    bs_dev_encoder_free(d, enc);
    ok(floats_free(&w) & floats_free(&bias) & floats_free(&gain) &
           floats_free(&shift),
       "%s: sentinels", name);
}

/* ---- bad calls -------------------------------------------------------------
 */

static void
test_bad(struct bs_dev *d)
{
    struct codes c = codes_of(6, 4, true, 1);
    struct floats x = floats_of(6 * 10, 1, 1), out = floats_of(20, 1, 2);
    struct bs_groups *g = NULL;
    uint32_t far = 6;

    c.idx[2] = CONCEPTS;
    ok(bs_dev_group(d, &g, &c.rows, CONCEPTS) == -BS_EX_DATA,
       "a concept that is not there: %s", bs_dev_error(d)->text);
    d->err.code = 0;
    c.idx[2] = CONCEPTS - 1;
    ok(bs_dev_group(d, &g, &c.rows, CONCEPTS) == 0 &&
           bs_dev_group_dots(d, g, &x.mem, &x.mem, 6, 10, 1, &out.mem) ==
               -BS_EX_SOFTWARE,
       "a table without it: %s", bs_dev_error(d)->text);
    d->err.code = 0;
    ok(bs_dev_group_sum(d, g, &c.val.mem, &x.mem, 10, 1, 0, &out.mem, NULL) ==
           -BS_EX_SOFTWARE,
       "no room for sums: %s", bs_dev_error(d)->text);
    d->err.code = 0;
    ok(bs_dev_gather(d, &x.mem, 10, &far, 1, &out.mem) == -BS_EX_SOFTWARE,
       "a row that is not there: %s", bs_dev_error(d)->text);
    d->err.code = 0;
    bs_dev_groups_free(d, g);
    ok(codes_free(&c) & floats_free(&x) & floats_free(&out), "sentinels");
}

/* These have no inner loops of an instruction set. */
static void
test_all(const struct bs_isa *isa, unsigned threads, const char *name)
{
    struct bs_dev *d = open_isa(isa, threads);

    test_tokens(d, name);
    test_groups(d, name);
    test_rows(d, name);
    if (threads == 1)
        test_bad(d);
    bs_dev_close(d);
}

int
main(void)
{
    struct bs_isa isa[DEVICES];
    size_t n = devices_to_test(isa), i;

    for (i = 0; i < n; i++) {
        struct bs_dev *d = open_isa(&isa[i], 2);

        every = case_step(&isa[i]);
        test_gram(d, isa[i].name);
        test_encoder(d, isa[i].name, BS_SCREEN_NONE);
        test_encoder(d, isa[i].name, BS_SCREEN_LOW);
        bs_dev_close(d);
        if (isa[i].name == bs_isa_cuda.name)
            test_all(&isa[i], 1, isa[i].name);
        every = 1;
    }
    if (isa[0].name != bs_isa_cuda.name) {
        test_all(&isa[0], 1, "a thread");
        test_all(&isa[0], 3, "three threads");
    }
    return tap_done();
}
