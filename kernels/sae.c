/*
 * sae.c - see sae.h.  Checks the ranges of every call before the backend sees
 * it.
 */
#include "kernels/sae_ops.h"

#include "common/mem.h"
#include "kernels/dev_ops.h"
#include "kernels/ranges.h"

#include <inttypes.h>

/* ---- encode ----------------------------------------------------------------
 */

int
bs_dev_encoder(struct bs_dev *d, struct bs_encoder **out, const float *w,
               const float *bias, size_t n, size_t k, enum bs_screen screen)
{
    *out = NULL;
    if (n >= BS_CODE_NONE)
        return bs_err_set(&d->err, BS_EX_DATA, "encoder: %zu concepts", n);
    if (bs_range_rows(n, k, k) == SIZE_MAX)
        return bs_err_memory(&d->err, "encoder", SIZE_MAX);
    return BS_DEV_CALL(d, encoder, d, out, w, bias, n, k, screen);
}

void
bs_dev_encoder_free(struct bs_dev *d, struct bs_encoder *enc)
{
    if (enc != NULL)
        d->ops->encoder_free(d, enc);
}

static int
check_rows(struct bs_dev *d, const struct bs_encoder *enc,
           const struct bs_mem *x, size_t ldx, size_t m)
{
    if (m > 1 && ldx < enc->k)
        return bs_err_set(&d->err, BS_EX_SOFTWARE, "encode: rows overlap");
    if (m >= UINT32_MAX)
        return bs_err_set(&d->err, BS_EX_SOFTWARE, "encode: %zu rows", m);
    return bs_range_check(d, "encode", "x", x, bs_range_rows(m, enc->k, ldx));
}

int
bs_dev_encode_topk(struct bs_dev *d, const struct bs_encoder *enc,
                   const struct bs_mem *x, size_t ldx, size_t m, size_t top,
                   struct bs_mem *idx, struct bs_mem *val)
{
    struct bs_dev_encode a = {
        .enc = enc, .x = x->p, .ldx = ldx, .m = m, .top = top};
    int r = check_rows(d, enc, x, ldx, m);

    if (r == 0 && (top == 0 || top > enc->n || top > BS_TOP_MAX))
        r = bs_err_set(&d->err, BS_EX_SOFTWARE,
                       "encode: the top %zu of %zu concepts", top, enc->n);
    if (r == 0)
        r = bs_range_check(d, "encode", "idx", idx, bs_range_rows(m, top, top));
    if (r == 0)
        r = bs_range_check(d, "encode", "val", val, bs_range_rows(m, top, top));
    if (r < 0 || m == 0)
        return r;
    a.idx = idx->p;
    a.val = val->p;
    return BS_DEV_CALL(d, encode_topk, d, &a);
}

int
bs_dev_encode_threshold(struct bs_dev *d, const struct bs_encoder *enc,
                        const struct bs_mem *x, size_t ldx, size_t m,
                        const float *tau, bool strict, size_t limit,
                        struct bs_ragged *out)
{
    struct bs_dev_encode a = {.enc = enc,
                              .x = x->p,
                              .ldx = ldx,
                              .m = m,
                              .tau = tau,
                              .strict = strict,
                              .limit = limit};
    int r = check_rows(d, enc, x, ldx, m);

    out->rows = 0;
    return r < 0 ? r : BS_DEV_CALL(d, encode_threshold, d, &a, out);
}

int
bs_dev_encode_batch(struct bs_dev *d, const struct bs_encoder *enc,
                    const struct bs_mem *x, size_t ldx, size_t m, size_t total,
                    struct bs_ragged *out, float *threshold)
{
    struct bs_dev_encode a = {
        .enc = enc, .x = x->p, .ldx = ldx, .m = m, .top = total};
    int r = check_rows(d, enc, x, ldx, m);

    out->rows = 0;
    *threshold = 0;
    if (r == 0 && total == 0)
        r = bs_err_set(&d->err, BS_EX_SOFTWARE, "encode: the top 0 of a batch");
    return r < 0 ? r : BS_DEV_CALL(d, encode_batch, d, &a, out, threshold);
}

void
bs_ragged_release(struct bs_ragged *r)
{
    bs_free(r->ptr);
    bs_free(r->idx);
    bs_free(r->val);
    *r = (struct bs_ragged){0};
}

/* ---- decode ----------------------------------------------------------------
 */

/* Running sums must start at 0 and not fall; indices must name a concept. */
int
bs_check_codes(struct bs_dev *d, const char *op, const struct bs_code_rows *c,
               size_t concepts)
{
    size_t n, i;

    if (c->ptr == NULL && !bs_mul(c->m, c->top, &n))
        return bs_err_set(&d->err, BS_EX_SOFTWARE, "%s: too many codes", op);
    if (c->ptr != NULL) {
        if (c->ptr[0] != 0)
            return bs_err_set(&d->err, BS_EX_DATA,
                              "%s: the first row starts at %" PRIu32, op,
                              c->ptr[0]);
        for (i = 0; i < c->m; i++)
            if (c->ptr[i + 1] < c->ptr[i])
                return bs_err_set(&d->err, BS_EX_DATA,
                                  "%s: row %zu ends before it starts", op, i);
        n = c->ptr[c->m];
    }
    for (i = 0; i < n; i++)
        if (c->idx[i] >= concepts && c->idx[i] != BS_CODE_NONE)
            return bs_err_set(&d->err, BS_EX_DATA,
                              "%s: code %zu: concept %" PRIu32 " of %zu", op, i,
                              c->idx[i], concepts);
    return 0;
}

int
bs_dev_decode(struct bs_dev *d, const struct bs_code_rows *codes,
              const struct bs_mem *dict, size_t concepts, size_t width,
              const struct bs_mem *bias, struct bs_mem *y)
{
    struct bs_dev_decode a = {
        codes, dict->p, concepts, width, bias != NULL ? bias->p : NULL, y->p};
    int r;

    r = bs_range_check(d, "decode", "dict", dict,
                       bs_range_rows(concepts, width, width));
    if (r == 0 && bias != NULL)
        r = bs_range_check(d, "decode", "bias", bias,
                           bs_range_rows(1, width, width));
    if (r == 0)
        r = bs_range_check(d, "decode", "y", y,
                           bs_range_rows(codes->m, width, width));
    if (r == 0)
        r = bs_check_codes(d, "decode", codes, concepts);
    return r < 0 || codes->m == 0 || width == 0 ? r
                                                : BS_DEV_CALL(d, decode, d, &a);
}
