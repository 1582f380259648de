/*
 * features.c - see features.h.
 */
#include "cmd/models/features.h"

#include <math.h>

#include "common/dtype.h"

int
bs_features_find(const struct bs_tensor **out, const struct bs_doc *rec,
                 size_t width, const char *whose, struct bs_err *e)
{
    const struct bs_tensor *x = *out = bs_doc_tensor(rec, "x");

    if (x == NULL)
        return bs_err_set(e, BS_EX_DATA, "no features: 'x' is missing");
    if (x->rank != 2 || x->shape[1] == 0)
        return bs_err_set(e, BS_EX_DATA, "x is not [tokens, width]");
    if (x->dtype != BS_DTYPE_F16 && x->dtype != BS_DTYPE_BF16 &&
        x->dtype != BS_DTYPE_F32)
        return bs_err_set(e, BS_EX_DATA, "x is %s, not F16, BF16 or F32",
                          bs_dtype_name(x->dtype));
    if (width > 0 && x->shape[1] != width)
        return bs_err_set(e, BS_EX_DATA, "features of width %ju, but %s is %zu",
                          (uintmax_t)x->shape[1], whose, width);
    return 0;
}

static int
append(struct bs_buf *to, const struct bs_tensor *x, size_t width,
       struct bs_err *e)
{
    size_t n = (size_t)(x->shape[0] * x->shape[1]), from = to->len, i;
    const float *v;
    int r = bs_buf_fill(to, 0, n * sizeof(float), e);

    if (r < 0)
        return r;
    bs_to_f32((float *)(void *)(to->data + from), x->dtype, x->data, n);
    v = (const float *)(const void *)(to->data + from);
    for (i = 0; i < n; i++)
        if (!(fabsf(v[i]) < INFINITY))
            return bs_err_set(e, BS_EX_DATA,
                              "token %zu holds a value that is not finite",
                              i / width);
    return 0;
}

int
bs_features_read(struct bs_buf *to, size_t *tokens, const struct bs_doc *rec,
                 size_t width, struct bs_err *e)
{
    const struct bs_tensor *x;
    int r = bs_features_find(&x, rec, width, "the model's", e);

    if (r == 0)
        r = append(to, x, width, e);
    if (r < 0)
        return bs_err_prefix(e, "record '%s'", bs_doc_meta(rec, "key"));
    *tokens = (size_t)x->shape[0];
    return 0;
}
