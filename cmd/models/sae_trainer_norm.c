/*
 * sae_trainer_norm.c - an encoder under a layer norm over the concepts.
 *
 * With u = w x + b, v = (u - mu) s, s = 1 / sqrt(var + eps), pre = gain v +
 * shift, and h = d loss / d pre, which is 0 but for the codes (and, where dead
 * concepts are pushed, the same for all of these): with g = gain h and, over
 * the K concepts, G = sum g / K and H = sum g v / K of each token,
 *
 *     d loss / d u = s (g - G - v H).
 *
 * Summed over tokens t, with k = H s^2,
 *
 *     d loss / d w_j = sum s g_j x - sum s G x - (sum k x x^T) w_j
 *                      - b_j sum k x + sum k mu x
 *     d loss / d b_j = the same with 1 for each x behind a sum:
 *                      sum s g_j - sum s G - (sum k x) w_j - b_j sum k
 *                      + sum k mu
 *
 * so that what is dense is one product of W with a [width, width] matrix.
 */
#include "cmd/models/sae_trainer_own.h"

#include "cmd/models/sae_norm.h"
#include "common/mem.h"

#include <math.h>

struct bs_trainer_norm {
    double eps;
    double *mean;                   /* [width + 1]: of rows (w, b) */
    double *cov;                    /* [width + 1, width + 1] */
    float *root;                    /* the same */
    size_t room;                    /* tokens */
    float *one, *product, *rows;    /* [m, width + 1], twice; [m, width + 3] */
    struct bs_mem in, out, wide;    /* the same on the device */
    double *mu, *s;                 /* [m] */
    double *g_sum, *gv_sum;         /* [m]: G and H */
    float *coef;                    /* [m] */
    float *gain, *bias;             /* [concepts]: of this step */
    double *shift_grad, *gain_grad; /* [concepts] */
    size_t codes;                   /* room of the next two */
    float *h, *u;
    double *along, *rest, *pushed; /* [width]: sums of k x; s G x - k mu x; s x
                                    */
    double along_1, rest_1, pushed_1, pushed_mu;
    float *vector; /* [3 * width] */
};

/* ---- opening ---------------------------------------------------------------
 */

int
bs_trainer_norm_open(struct bs_trainer *t, float eps, struct bs_err *e)
{
    struct bs_trainer_norm *l = bs_alloc_array(1, sizeof *l);
    size_t n = t->o.width + 1, k = t->o.concepts;

    t->layer_norm = l;
    if (l == NULL)
        return bs_err_memory(e, "layer norm", sizeof *l);
    l->eps = (double)eps;
    l->mean = bs_alloc_array(n, sizeof *l->mean);
    l->cov = bs_alloc_array(n, n * sizeof *l->cov);
    l->root = bs_alloc_array(n, n * sizeof *l->root);
    l->gain = bs_alloc_array(k, sizeof *l->gain);
    l->bias = bs_alloc_array(k, sizeof *l->bias);
    l->shift_grad = bs_alloc_array(k, sizeof *l->shift_grad);
    l->gain_grad = bs_alloc_array(k, sizeof *l->gain_grad);
    l->along = bs_alloc_array(n, sizeof *l->along);
    l->rest = bs_alloc_array(n, sizeof *l->rest);
    l->pushed = bs_alloc_array(n, sizeof *l->pushed);
    l->vector = bs_alloc_array(n, 3 * sizeof *l->vector);
    if (l->mean == NULL || l->cov == NULL || l->root == NULL ||
        l->gain == NULL || l->bias == NULL || l->shift_grad == NULL ||
        l->gain_grad == NULL || l->along == NULL || l->rest == NULL ||
        l->pushed == NULL || l->vector == NULL)
        return bs_err_memory(e, "layer norm", n * n * sizeof *l->cov);
    return 0;
}

static void
drop_room(struct bs_trainer *t)
{
    struct bs_trainer_norm *l = t->layer_norm;
    void *const all[] = {l->one, l->product, l->rows,   l->mu,
                         l->s,   l->g_sum,   l->gv_sum, l->coef};
    size_t i;

    for (i = 0; i < BS_LEN(all); i++)
        bs_free(all[i]);
    l->one = l->product = l->rows = l->coef = NULL;
    l->mu = l->s = l->g_sum = l->gv_sum = NULL;
    l->room = 0;
}

void
bs_trainer_norm_close(struct bs_trainer *t)
{
    struct bs_trainer_norm *l = t->layer_norm;
    size_t i;

    if (l == NULL)
        return;
    drop_room(t);
    bs_dev_free(t->dev, &l->in);
    bs_dev_free(t->dev, &l->out);
    bs_dev_free(t->dev, &l->wide);
    {
        void *const all[] = {l->mean, l->cov,        l->root,      l->gain,
                             l->bias, l->shift_grad, l->gain_grad, l->along,
                             l->rest, l->pushed,     l->vector,    l->h,
                             l->u};

        for (i = 0; i < BS_LEN(all); i++)
            bs_free(all[i]);
    }
    bs_free(l);
}

float
bs_trainer_norm_eps(const struct bs_trainer *t)
{
    return t->layer_norm != NULL ? (float)t->layer_norm->eps : 1e-5f;
}

static int
make_room(struct bs_trainer *t, struct bs_err *e)
{
    struct bs_trainer_norm *l = t->layer_norm;
    size_t m = t->m, n = t->o.width + 1;

    if (m <= l->room)
        return 0;
    drop_room(t);
    l->one = bs_alloc_array(m, n * sizeof *l->one);
    l->product = bs_alloc_array(m, n * sizeof *l->product);
    l->rows = bs_alloc_array(m, (n + 2) * sizeof *l->rows);
    l->mu = bs_alloc_array(m, sizeof *l->mu);
    l->s = bs_alloc_array(m, sizeof *l->s);
    l->g_sum = bs_alloc_array(m, sizeof *l->g_sum);
    l->gv_sum = bs_alloc_array(m, sizeof *l->gv_sum);
    l->coef = bs_alloc_array(m, sizeof *l->coef);
    if (l->one == NULL || l->product == NULL || l->rows == NULL ||
        l->mu == NULL || l->s == NULL || l->g_sum == NULL ||
        l->gv_sum == NULL || l->coef == NULL)
        return bs_err_memory(e, "tokens", m * n * sizeof *l->one);
    l->room = m;
    return 0;
}

/* ---- forward ---------------------------------------------------------------
 */

/* Mean and covariance of the rows (w, b). */
static int
row_moments(struct bs_trainer *t, struct bs_err *e)
{
    struct bs_trainer_norm *l = t->layer_norm;
    size_t width = t->o.width, n = width + 1, k = t->o.concepts, i, j;
    double *cross = t->sum, mean_b = 0, square = 0;
    float *mean = l->vector;

    if (bs_dev_row_sum(t->dev, t->in_w, k, width, NULL, l->mean) < 0)
        return bs_trainer_failed(t, e);
    for (i = 0; i < width; i++) {
        l->mean[i] /= (double)k;
        mean[i] = (float)l->mean[i];
    }
    for (j = 0; j < k; j++)
        mean_b += (double)l->bias[j] / (double)k;
    l->mean[width] = mean_b;
    for (j = 0; j < k; j++) {
        double off = (double)l->bias[j] - mean_b;

        t->host[j] = (float)off;
        square += off * off;
    }
    /* Into the upper left corner, then a row and a column more. */
    if (bs_dev_gram(t->dev, t->in_w, k, width, NULL, mean, l->cov) < 0 ||
        bs_dev_row_sum(t->dev, t->in_w, k, width, t->host, cross) < 0)
        return bs_trainer_failed(t, e);
    for (i = width; i-- > 0;)
        memmove(l->cov + i * n, l->cov + i * width, width * sizeof *l->cov);
    for (i = 0; i < width; i++)
        l->cov[i * n + width] = l->cov[width * n + i] = cross[i];
    l->cov[width * n + width] = square;
    for (i = 0; i < n * n; i++)
        l->cov[i] /= (double)k;
    return 0;
}

/* The product of (x, 1) with the root, in host memory. */
static int
root_products(struct bs_trainer *t, struct bs_err *e)
{
    struct bs_trainer_norm *l = t->layer_norm;
    size_t n = t->o.width + 1, i;
    struct bs_weight *root = NULL;
    int r;

    bs_norm_root(l->cov, n, 1e-9);
    for (i = 0; i < n * n; i++)
        l->root[i] = (float)l->cov[i];
    r = bs_trainer_put(t, &l->in, l->one, t->m * n, e);
    if (r == 0)
        r = bs_trainer_room(t, &l->out, t->m, n, e);
    if (r == 0 && (bs_dev_weight(t->dev, &root, l->root, BS_DTYPE_F32, n, n,
                                 BS_MATH_F32_OWN) < 0 ||
                   bs_dev_gemm(t->dev, root, &l->in, n, &l->out, n, t->m, NULL,
                               BS_EPI_NONE, NULL) < 0 ||
                   bs_dev_get(t->dev, l->product, &l->out, 0,
                              t->m * n * sizeof(float)) < 0))
        r = bs_trainer_failed(t, e);
    bs_dev_weight_free(t->dev, root);
    return r;
}

/* Tokens (x, 1), and what the norm multiplies and adds. */
static int
load(struct bs_trainer *t, struct bs_err *e)
{
    struct bs_trainer_norm *l = t->layer_norm;
    size_t width = t->o.width, bytes = t->o.concepts * sizeof(float), i;

    memset(l->bias, 0, bytes);
    if (bs_dev_get(t->dev, l->rows, t->in, 0, t->m * width * sizeof(float)) <
            0 ||
        bs_dev_get(t->dev, l->gain, &t->param[BS_PARAM_LN_G].at.p, 0, bytes) <
            0 ||
        (t->o.enc_bias &&
         bs_dev_get(t->dev, l->bias, &t->param[BS_PARAM_ENC_B].at.p, 0, bytes) <
             0))
        return bs_trainer_failed(t, e);
    for (i = 0; i < t->m; i++) {
        memcpy(l->one + i * (width + 1), l->rows + i * width,
               width * sizeof(float));
        l->one[i * (width + 1) + width] = 1;
    }
    return 0;
}

int
bs_trainer_norm_forward(struct bs_trainer *t, struct bs_err *e)
{
    struct bs_trainer_norm *l = t->layer_norm;
    size_t width = t->o.width, n = width + BS_NORM_EXTRA, i;
    int r = make_room(t, e);

    if (r == 0)
        r = load(t, e);
    if (r == 0)
        r = row_moments(t, e);
    if (r == 0)
        r = root_products(t, e);
    for (i = 0; r == 0 && i < t->m; i++)
        bs_norm_token(l->mean, l->one + i * (width + 1),
                      l->product + i * (width + 1), width, l->eps,
                      l->rows + i * n, &l->mu[i], &l->s[i]);
    if (r == 0)
        r = bs_trainer_put(t, &l->wide, l->rows, t->m * n, e);
    t->wide = &l->wide;
    t->wide_cols = n;
    return r;
}

/* ---- dead concepts ---------------------------------------------------------
 */

int
bs_trainer_norm_dead(struct bs_trainer *t, double *sum, struct bs_err *e)
{
    struct bs_trainer_norm *l = t->layer_norm;
    const struct bs_trainer_dead *d = &t->dead;
    size_t i;

    l->pushed_1 = l->pushed_mu = 0;
    for (i = 0; i < t->m; i++) {
        l->coef[i] = (float)l->s[i];
        l->pushed_1 += l->s[i];
        l->pushed_mu += l->s[i] * l->mu[i];
    }
    if (bs_dev_row_sum(t->dev, t->in, t->m, t->o.width, l->coef, l->pushed) < 0)
        return bs_trainer_failed(t, e);
    *sum =
        (double)t->m * d->shift + d->b * l->pushed_1 - d->gain * l->pushed_mu;
    for (i = 0; i < t->o.width; i++)
        *sum += d->w[i] * l->pushed[i];
    return 0;
}

/* What a push adds to G and H, and to the gradients of gain and shift. */
static int
push(struct bs_trainer *t, struct bs_err *e)
{
    struct bs_trainer_norm *l = t->layer_norm;
    const struct bs_trainer_dead *d = &t->dead;
    size_t width = t->o.width, i, j, c;
    float *w = t->host;
    int r = 0;

    for (i = 0; i < t->m; i++) {
        const float *x = l->one + i * (width + 1);
        double sum = d->b - l->mu[i] * d->gain;

        for (c = 0; c < width; c++)
            sum += d->w[c] * (double)x[c];
        l->g_sum[i] -= d->push * d->gain;
        l->gv_sum[i] -= d->push * l->s[i] * sum;
    }
    /* The sum over tokens of v_j: one product of W with the sum of s x. */
    for (c = 0; c < width; c++)
        l->vector[c] = (float)l->pushed[c];
    {
        struct bs_weight *one = NULL;

        if (bs_trainer_room(t, &t->grad_ln_g, t->o.concepts, 1, e) < 0)
            return -e->code;
        if (bs_dev_weight(t->dev, &one, l->vector, BS_DTYPE_F32, 1, width,
                          BS_MATH_F32_OWN) < 0 ||
            bs_dev_gemm(t->dev, one, t->in_w, width, &t->grad_ln_g, 1,
                        t->o.concepts, NULL, BS_EPI_NONE, NULL) < 0 ||
            bs_dev_get(t->dev, w, &t->grad_ln_g, 0, t->o.concepts * sizeof *w) <
                0)
            r = bs_trainer_failed(t, e);
        bs_dev_weight_free(t->dev, one);
    }
    for (j = 0; r == 0 && j < t->o.concepts; j++) {
        if (t->slot[j] != BS_CODE_NONE)
            continue;
        l->shift_grad[j] -= d->push * (double)t->m;
        l->gain_grad[j] -=
            d->push *
            ((double)w[j] + (double)l->bias[j] * l->pushed_1 - l->pushed_mu);
    }
    return r;
}

/* ---- backward --------------------------------------------------------------
 */

/* The codes' part of everything; c->weight becomes s g. */
static int
add_codes(struct bs_trainer *t, struct bs_trainer_codes *c, struct bs_err *e)
{
    struct bs_trainer_norm *l = t->layer_norm;
    size_t n = c->rows.ptr[t->m], i, at;
    int r = bs_trainer_room(t, &c->weight, n, 1, e);

    if (r == 0 && n > l->codes) {
        bs_free(l->h);
        bs_free(l->u);
        l->h = bs_alloc_array(n, sizeof *l->h);
        l->u = bs_alloc_array(n, sizeof *l->u);
        l->codes = n;
    }
    if (r == 0 && n > 0 && (l->h == NULL || l->u == NULL)) {
        l->codes = 0;
        r = bs_err_memory(e, "codes", n * sizeof *l->h);
    }
    if (r < 0)
        return r;
    if (bs_dev_group_dots(t->dev, c->groups, t->in, t->in_w, t->o.concepts,
                          t->o.width, 1, &c->weight) < 0 ||
        bs_dev_get(t->dev, l->u, &c->weight, 0, n * sizeof *l->u) < 0 ||
        bs_dev_get(t->dev, l->h, &c->dz, 0, n * sizeof *l->h) < 0)
        return bs_trainer_failed(t, e);
    for (i = 0; i < t->m; i++)
        for (at = c->rows.ptr[i]; at < c->rows.ptr[i + 1]; at++) {
            size_t j = c->rows.idx[at];
            double h = (double)l->h[at], g = (double)l->gain[j] * h;
            double u = (double)l->u[at] + (double)l->bias[j];
            double v = (u - l->mu[i]) * l->s[i];

            l->shift_grad[j] += h;
            l->gain_grad[j] += h * v;
            l->g_sum[i] += g;
            l->gv_sum[i] += g * v;
            l->u[at] = (float)(g * l->s[i]);
        }
    r = bs_trainer_put(t, &c->weight, l->u, n, e);
    if (r == 0 &&
        bs_dev_group_sum(t->dev, c->groups, &c->weight, t->in, t->o.width, 1,
                         c->first, &t->grad_enc, &t->total) < 0)
        r = bs_trainer_failed(t, e);
    return r;
}

/* The sums over tokens that all rows share: the matrix to l->cov. */
static int
token_sums(struct bs_trainer *t, struct bs_err *e)
{
    struct bs_trainer_norm *l = t->layer_norm;
    double k = (double)t->o.concepts;
    size_t width = t->o.width, i;

    l->along_1 = l->rest_1 = 0;
    for (i = 0; i < t->m; i++) {
        double kappa = l->gv_sum[i] / k * l->s[i] * l->s[i];
        double rest = l->s[i] * l->g_sum[i] / k - kappa * l->mu[i];

        l->along_1 += kappa;
        l->rest_1 += rest;
        l->g_sum[i] = rest;
        l->coef[i] = (float)kappa;
    }
    if (bs_dev_row_sum(t->dev, t->in, t->m, width, l->coef, l->along) < 0 ||
        bs_dev_gram(t->dev, t->in, t->m, width, l->coef, NULL, l->cov) < 0)
        return bs_trainer_failed(t, e);
    for (i = 0; i < t->m; i++)
        l->coef[i] = (float)l->g_sum[i];
    if (bs_dev_row_sum(t->dev, t->in, t->m, width, l->coef, l->rest) < 0)
        return bs_trainer_failed(t, e);
    return 0;
}

/* The product of W with a matrix [n, width] of the host. */
static int
multiply_rows(struct bs_trainer *t, const float *by, size_t n,
              struct bs_mem *out, struct bs_err *e)
{
    struct bs_weight *w = NULL;
    int r = bs_trainer_room(t, out, t->o.concepts, n, e);

    if (r == 0 && (bs_dev_weight(t->dev, &w, by, BS_DTYPE_F32, n, t->o.width,
                                 BS_MATH_F32_OWN) < 0 ||
                   bs_dev_gemm(t->dev, w, t->in_w, t->o.width, out, n,
                               t->o.concepts, NULL, BS_EPI_NONE, NULL) < 0))
        r = bs_trainer_failed(t, e);
    bs_dev_weight_free(t->dev, w);
    return r;
}

/* Of w: sparse rows less what is dense. */
static int
weight_gradient(struct bs_trainer *t, struct bs_err *e)
{
    struct bs_trainer_norm *l = t->layer_norm;
    size_t width = t->o.width, i, j;
    float *along = l->vector, *rest = along + width, *common = rest + width;
    struct bs_norm_gradient a = {
        .concepts = t->o.concepts,
        .width = width,
        .bias = l->bias,
        .along = along,
        .rest = rest,
        .slot = t->slot,
        .sparse = &t->grad_enc,
    };
    int r;

    for (i = 0; i < width * width; i++)
        l->root[i] = (float)l->cov[i];
    r = multiply_rows(t, l->root, width, &t->grad_dense, e);
    for (i = 0; i < width; i++) {
        along[i] = (float)l->along[i];
        rest[i] = (float)l->rest[i];
        common[i] = (float)l->pushed[i];
    }
    if (bs_trainer_pushes(t)) {
        for (j = 0; j < t->o.concepts; j++)
            t->host[j] = (float)(-t->dead.push * (double)l->gain[j]);
        a.weight = t->host;
        a.common = common;
    }
    if (r == 0 && bs_dev_norm_gradient(t->dev, &t->grad_dense, &a) < 0)
        r = bs_trainer_failed(t, e);
    return r;
}

/* Of b: t->row_grad. */
static int
offset_gradient(struct bs_trainer *t, struct bs_err *e)
{
    struct bs_trainer_norm *l = t->layer_norm;
    size_t k = t->o.concepts, j;
    double push = bs_trainer_pushes(t) ? t->dead.push * l->pushed_1 : 0;
    int r;

    for (j = 0; j < t->o.width; j++)
        l->vector[j] = (float)l->along[j];
    r = multiply_rows(t, l->vector, 1, &t->grad_b, e);
    if (r == 0 && (bs_dev_get(t->dev, t->row_grad, &t->grad_b, 0,
                              k * sizeof(float)) < 0 ||
                   bs_dev_get(t->dev, t->host, &t->total, 0,
                              t->active * sizeof(float)) < 0))
        r = bs_trainer_failed(t, e);
    for (j = 0; r == 0 && j < k; j++) {
        double part = t->slot[j] != BS_CODE_NONE ? (double)t->host[t->slot[j]]
                                                 : -push * (double)l->gain[j];

        t->row_grad[j] =
            (float)(part - ((double)t->row_grad[j] +
                            (double)l->bias[j] * l->along_1 + l->rest_1));
    }
    return r;
}

static int
put_row_gradient(struct bs_trainer *t, struct bs_mem *to, const double *from,
                 double *sum, struct bs_err *e)
{
    size_t j;

    for (j = 0; j < t->o.concepts; j++) {
        t->host[j] = (float)from[j];
        *sum += (double)t->host[j] * (double)t->host[j];
    }
    return bs_trainer_put(t, to, t->host, t->o.concepts, e);
}

int
bs_trainer_norm_backward(struct bs_trainer *t, double *sum, struct bs_err *e)
{
    struct bs_trainer_norm *l = t->layer_norm;
    size_t n = t->o.concepts;
    int r;

    memset(l->g_sum, 0, t->m * sizeof *l->g_sum);
    memset(l->gv_sum, 0, t->m * sizeof *l->gv_sum);
    memset(l->shift_grad, 0, n * sizeof *l->shift_grad);
    memset(l->gain_grad, 0, n * sizeof *l->gain_grad);
    r = add_codes(t, &t->codes, e);
    if (r == 0 && t->has_other)
        r = add_codes(t, &t->other, e);
    if (r == 0 && bs_trainer_pushes(t))
        r = push(t, e);
    if (r == 0)
        r = token_sums(t, e);
    if (r == 0)
        r = weight_gradient(t, e);
    if (r == 0)
        r = offset_gradient(t, e);
    if (r == 0)
        r = put_row_gradient(t, &t->grad_ln_g, l->gain_grad, sum, e);
    if (r == 0)
        r = put_row_gradient(t, &t->grad_ln_b, l->shift_grad, sum, e);
    return r == 0
               ? bs_trainer_squares(t, &t->grad_dense, n * t->o.width, sum, e)
               : r;
}
