/*
 * sae_encoder.c - see sae_encoder.h.
 */
#include "cmd/models/sae_encoder.h"

#include "cmd/models/sae_norm.h"
#include "common/mem.h"

struct bs_sae_encoder {
    const struct bs_sae *s;
    struct bs_dev *dev;
    struct bs_encoder *enc;
    size_t columns; /* of what the encoder multiplies */
    float *taus;    /* [concepts], or NULL: topk */

    /* layer norm: mean = mean_w . (x, 1); variance = |root (x, 1)|^2 */
    double *mean_w;         /* [width + 1] */
    struct bs_weight *root; /* [width + 1, width + 1] */
    struct bs_mem in, out;  /* (x, 1) and its product with root */
    float *one, *product;   /* the same in host memory */

    float *rows; /* what the encoder multiplies: [tokens, columns] */
    struct bs_mem x, idx, val;
    size_t room; /* tokens */
};

/* ---- layer norm ------------------------------------------------------------
 */

/* Row j of the encoder as the norm sees it: (w, b). */
static double
augmented(const struct bs_sae *s, size_t j, size_t c)
{
    if (c < s->width)
        return (double)s->enc_w[j * s->width + c];
    return s->enc_b != NULL ? (double)s->enc_b[j] : 0.0;
}

static void
fill_mean(const struct bs_sae *s, double *mean)
{
    size_t j, c, n = s->width + 1;

    for (c = 0; c < n; c++)
        mean[c] = 0;
    for (j = 0; j < s->concepts; j++)
        for (c = 0; c < n; c++)
            mean[c] += augmented(s, j, c);
    for (c = 0; c < n; c++)
        mean[c] /= (double)s->concepts;
}

/* The upper half of the covariance of the augmented rows, in f64. */
static int
fill_covariance(const struct bs_sae *s, const double *mean, double *cov,
                struct bs_err *e)
{
    size_t n = s->width + 1, j, a, b;
    double *row = bs_alloc_array(n, sizeof *row);

    if (row == NULL)
        return bs_err_memory(e, "layer norm", n * sizeof *row);
    for (a = 0; a < n * n; a++)
        cov[a] = 0;
    for (j = 0; j < s->concepts; j++) {
        for (a = 0; a < n; a++)
            row[a] = augmented(s, j, a) - mean[a];
        for (a = 0; a < n; a++)
            for (b = a; b < n; b++)
                cov[a * n + b] += row[a] * row[b];
    }
    for (a = 0; a < n * n; a++)
        cov[a] /= (double)s->concepts;
    bs_free(row);
    return 0;
}

static int
prepare_norm(struct bs_sae_encoder *enc, struct bs_err *e)
{
    size_t n = enc->s->width + 1, i;
    double *cov = bs_alloc_array(n, n * sizeof *cov);
    float *root = bs_alloc_array(n, n * sizeof *root);
    int r = 0;

    enc->mean_w = bs_alloc_array(n, sizeof *enc->mean_w);
    if (cov == NULL || root == NULL || enc->mean_w == NULL)
        r = bs_err_memory(e, "layer norm", n * n * sizeof *cov);
    if (r == 0) {
        fill_mean(enc->s, enc->mean_w);
        r = fill_covariance(enc->s, enc->mean_w, cov, e);
    }
    if (r == 0) {
        bs_norm_root(cov, n, 1e-14 * (double)n);
        for (i = 0; i < n * n; i++)
            root[i] = (float)cov[i];
        if (bs_dev_weight(enc->dev, &enc->root, root, BS_DTYPE_F32, n, n,
                          BS_MATH_F32_OWN) < 0) {
            *e = *bs_dev_error(enc->dev);
            r = -e->code;
        }
    }
    bs_free(cov);
    bs_free(root);
    return r;
}

/* The folded encoder's rows: (gamma w, gamma b, gamma, beta). */
static float *
fold(const struct bs_sae *s)
{
    size_t n = s->width + BS_NORM_EXTRA, j, c;
    float *w = bs_alloc_array(s->concepts, n * sizeof *w);

    for (j = 0; w != NULL && j < s->concepts; j++) {
        float *row = w + j * n;

        for (c = 0; c < s->width; c++)
            row[c] = s->ln_g[j] * s->enc_w[j * s->width + c];
        row[c++] = s->enc_b != NULL ? s->ln_g[j] * s->enc_b[j] : 0.0f;
        row[c++] = s->ln_g[j];
        row[c] = s->ln_b[j];
    }
    return w;
}

/* Tokens as the folded encoder takes them, from (x, 1) and its product. */
static void
normalise(const struct bs_sae_encoder *enc, size_t m)
{
    size_t n = enc->s->width + 1, i;

    for (i = 0; i < m; i++)
        bs_norm_token(enc->mean_w, enc->one + i * n, enc->product + i * n,
                      enc->s->width, (double)enc->s->ln_eps,
                      enc->rows + i * enc->columns, NULL, NULL);
}

/* ---- running --------------------------------------------------------------
 */

static int
failed(const struct bs_sae_encoder *enc, struct bs_err *e)
{
    *e = *bs_dev_error(enc->dev);
    return -e->code;
}

static void
drop_room(struct bs_sae_encoder *enc)
{
    bs_dev_free(enc->dev, &enc->x);
    bs_dev_free(enc->dev, &enc->in);
    bs_dev_free(enc->dev, &enc->out);
    bs_dev_free(enc->dev, &enc->idx);
    bs_dev_free(enc->dev, &enc->val);
    bs_free(enc->rows);
    bs_free(enc->one);
    bs_free(enc->product);
    enc->rows = enc->one = enc->product = NULL;
    enc->room = 0;
}

static int
make_room(struct bs_sae_encoder *enc, size_t m, struct bs_err *e)
{
    const struct bs_sae *s = enc->s;
    size_t rows = m * enc->columns * sizeof(float);
    size_t wide = m * (s->width + 1) * sizeof(float);
    size_t codes = m * s->k * sizeof(float);

    if (m <= enc->room)
        return 0;
    drop_room(enc);
    enc->rows = bs_alloc(rows);
    if (s->ln_g != NULL) {
        enc->one = bs_alloc(wide);
        enc->product = bs_alloc(wide);
    }
    if (enc->rows == NULL ||
        (s->ln_g != NULL && (enc->one == NULL || enc->product == NULL)))
        return bs_err_memory(e, "tokens", rows);
    if (bs_dev_alloc(enc->dev, &enc->x, rows) < 0 ||
        (s->ln_g != NULL && (bs_dev_alloc(enc->dev, &enc->in, wide) < 0 ||
                             bs_dev_alloc(enc->dev, &enc->out, wide) < 0)) ||
        (enc->taus == NULL && (bs_dev_alloc(enc->dev, &enc->idx, codes) < 0 ||
                               bs_dev_alloc(enc->dev, &enc->val, codes) < 0)))
        return failed(enc, e);
    enc->room = m;
    return 0;
}

/* Tokens less pre_b into rows of `columns` places, followed by a 1 where there
 * is room. */
static void
centre(const struct bs_sae_encoder *enc, const float *x, size_t m, float *to,
       size_t columns)
{
    const struct bs_sae *s = enc->s;
    size_t i, c;

    for (i = 0; i < m; i++) {
        const float *from = x + i * s->width;
        float *row = to + i * columns;

        for (c = 0; c < s->width; c++)
            row[c] = s->pre_b != NULL ? from[c] - s->pre_b[c] : from[c];
        if (c < columns)
            row[c] = 1.0f;
    }
}

/* Fill enc->rows. */
static int
prepare(struct bs_sae_encoder *enc, const float *x, size_t m, struct bs_err *e)
{
    size_t n = enc->s->width + 1, bytes = m * n * sizeof(float);

    if (enc->root == NULL) {
        centre(enc, x, m, enc->rows, enc->columns);
        return 0;
    }
    centre(enc, x, m, enc->one, n);
    if (bs_dev_put(enc->dev, &enc->in, 0, enc->one, bytes) < 0 ||
        bs_dev_gemm(enc->dev, enc->root, &enc->in, n, &enc->out, n, m, NULL,
                    BS_EPI_NONE, NULL) < 0 ||
        bs_dev_get(enc->dev, enc->product, &enc->out, 0, bytes) < 0)
        return failed(enc, e);
    normalise(enc, m);
    return 0;
}

/* Room for the codes of m tokens; what `out` held is lost. */
static int
reserve(struct bs_ragged *out, size_t m, size_t codes, struct bs_err *e)
{
    if (out->ptr == NULL || m > out->room_rows || codes > out->room) {
        bs_ragged_release(out);
        out->ptr = bs_alloc_array(m + 1, sizeof *out->ptr);
        out->idx = bs_alloc_array(codes, sizeof *out->idx);
        out->val = bs_alloc_array(codes, sizeof *out->val);
        out->room_rows = m;
        out->room = codes;
    }
    if (out->ptr == NULL || out->idx == NULL || out->val == NULL) {
        bs_ragged_release(out);
        return bs_err_memory(e, "codes", codes * sizeof *out->idx);
    }
    return 0;
}

/* Codes of k places a token, as ragged rows. */
static int
take_topk(struct bs_sae_encoder *enc, size_t m, struct bs_ragged *out,
          struct bs_err *e)
{
    size_t k = enc->s->k, codes = m * k, i, j, n = 0;

    if (reserve(out, m, codes, e) < 0)
        return -e->code;
    if (bs_dev_encode_topk(enc->dev, enc->enc, &enc->x, enc->columns, m, k,
                           &enc->idx, &enc->val) < 0 ||
        bs_dev_get(enc->dev, out->idx, &enc->idx, 0, codes * sizeof(float)) <
            0 ||
        bs_dev_get(enc->dev, out->val, &enc->val, 0, codes * sizeof(float)) < 0)
        return failed(enc, e);
    out->rows = m;
    out->ptr[0] = 0;
    for (i = 0; i < m; i++) {
        for (j = i * k; j < (i + 1) * k && out->idx[j] != BS_CODE_NONE; j++) {
            out->idx[n] = out->idx[j];
            out->val[n++] = out->val[j];
        }
        out->ptr[i + 1] = (uint32_t)n;
    }
    return 0;
}

int
bs_sae_encoder_run(struct bs_sae_encoder *enc, const float *x, size_t m,
                   struct bs_ragged *out, struct bs_err *e)
{
    int r = make_room(enc, m, e);

    if (r == 0)
        r = prepare(enc, x, m, e);
    if (r == 0 && bs_dev_put(enc->dev, &enc->x, 0, enc->rows,
                             m * enc->columns * sizeof(float)) < 0)
        r = failed(enc, e);
    if (r < 0)
        return r;
    if (enc->taus == NULL)
        return take_topk(enc, m, out, e);
    if (bs_dev_encode_threshold(enc->dev, enc->enc, &enc->x, enc->columns, m,
                                enc->taus, enc->s->select == BS_SAE_JUMPRELU,
                                UINT32_MAX, out) < 0)
        return failed(enc, e);
    return 0;
}

/* ---- opening --------------------------------------------------------------
 */

static int
fill_taus(struct bs_sae_encoder *enc, struct bs_err *e)
{
    const struct bs_sae *s = enc->s;
    size_t j;

    if (s->select == BS_SAE_TOPK)
        return 0;
    enc->taus = bs_alloc_array(s->concepts, sizeof *enc->taus);
    if (enc->taus == NULL)
        return bs_err_memory(e, "thresholds", s->concepts * sizeof(float));
    for (j = 0; j < s->concepts; j++)
        enc->taus[j] = s->taus != NULL ? s->taus[j] : s->tau;
    return 0;
}

static int
pack(struct bs_sae_encoder *enc, struct bs_err *e)
{
    const struct bs_sae *s = enc->s;
    float *folded = NULL;
    int r = 0;

    enc->columns = s->width;
    if (s->ln_g != NULL) {
        enc->columns += BS_NORM_EXTRA;
        folded = fold(s);
        if (folded == NULL)
            return bs_err_memory(e, "encoder", s->concepts * enc->columns);
        r = prepare_norm(enc, e);
    }
    if (r == 0 &&
        bs_dev_encoder(enc->dev, &enc->enc, folded != NULL ? folded : s->enc_w,
                       folded != NULL ? NULL : s->enc_b, s->concepts,
                       enc->columns, BS_SCREEN_AUTO) < 0)
        r = failed(enc, e);
    bs_free(folded);
    return r;
}

int
bs_sae_encoder_open(struct bs_sae_encoder **out, const struct bs_sae *s,
                    struct bs_dev *dev, struct bs_err *e)
{
    struct bs_sae_encoder *enc = bs_alloc_array(1, sizeof *enc);
    int r;

    *out = NULL;
    if (enc == NULL)
        return bs_err_memory(e, "encoder", sizeof *enc);
    enc->s = s;
    enc->dev = dev;
    r = fill_taus(enc, e);
    if (r == 0)
        r = pack(enc, e);
    if (r < 0)
        bs_sae_encoder_close(enc);
    else
        *out = enc;
    return r;
}

void
bs_sae_encoder_close(struct bs_sae_encoder *enc)
{
    if (enc == NULL)
        return;
    drop_room(enc);
    bs_dev_encoder_free(enc->dev, enc->enc);
    bs_dev_weight_free(enc->dev, enc->root);
    bs_free(enc->taus);
    bs_free(enc->mean_w);
    bs_free(enc);
}
