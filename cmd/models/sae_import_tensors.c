/*
 * sae_import_tensors.c - tensors and settings of a foreign model, checked; see
 * sae_import_own.h.
 */
#include <math.h>
#include <stdio.h>

#include "cmd/models/sae_import_own.h"
#include "common/dtype.h"
#include "common/mem.h"

#define CONCEPTS_MAX ((uint64_t)1 << 24)
#define WIDTH_MAX ((uint64_t)1 << 20)

const struct bs_tensor *
bs_import_find(const struct bs_import *in, const char *name)
{
    char whole[128];

    snprintf(whole, sizeof whole, "%s%s", in->prefix, name);
    return bs_safetensors_find(in->files, whole);
}

static int
find(const struct bs_tensor **out, const struct bs_import *in, const char *name,
     struct bs_err *e)
{
    *out = bs_import_find(in, name);
    return *out != NULL ? 0
                        : bs_err_set(e, BS_EX_DATA, "tensor '%s%s' is missing",
                                     in->prefix, name);
}

int
bs_import_floats(const struct bs_tensor *t, struct bs_err *e)
{
    if (t->dtype == BS_DTYPE_F16 || t->dtype == BS_DTYPE_BF16 ||
        t->dtype == BS_DTYPE_F32 || t->dtype == BS_DTYPE_F64)
        return 0;
    return bs_err_set(e, BS_EX_DATA,
                      "tensor '%s' is %s, not F16, BF16, F32 or F64", t->name,
                      bs_dtype_name(t->dtype));
}

/* ---- sizes -----------------------------------------------------------------
 */

static int
length(size_t *out, const struct bs_import *in, const char *name, uint64_t max,
       struct bs_err *e)
{
    const struct bs_tensor *t;
    int r = find(&t, in, name, e);

    if (r < 0)
        return r;
    if (t->rank != 1 || t->shape[0] < 1 || t->shape[0] > max)
        return bs_err_set(e, BS_EX_DATA,
                          "tensor '%s' is no vector of 1..%ju values", t->name,
                          (uintmax_t)max);
    *out = (size_t)t->shape[0];
    return 0;
}

int
bs_import_sizes(struct bs_sae *s, const struct bs_import *in,
                const char *concepts, const char *width, struct bs_err *e)
{
    int r = length(&s->concepts, in, concepts, CONCEPTS_MAX, e);

    return r < 0 ? r : length(&s->width, in, width, WIDTH_MAX, e);
}

int
bs_import_sizes_of(struct bs_sae *s, const struct bs_import *in,
                   const char *name, struct bs_err *e)
{
    const struct bs_tensor *t;
    int r = find(&t, in, name, e);

    if (r < 0)
        return r;
    if (t->rank != 2 || t->shape[0] < 1 || t->shape[0] > CONCEPTS_MAX ||
        t->shape[1] < 1 || t->shape[1] > WIDTH_MAX)
        return bs_err_set(e, BS_EX_DATA,
                          "tensor '%s' is not [concepts, width] of "
                          "1..16777216 by 1..1048576",
                          t->name);
    s->concepts = (size_t)t->shape[0];
    s->width = (size_t)t->shape[1];
    return 0;
}

/* ---- values ----------------------------------------------------------------
 */

void
bs_import_values(float *out, const struct bs_tensor *t, size_t from, size_t n)
{
    enum { PIECE = 1024 };
    size_t size = bs_dtype_size(t->dtype), i, k;
    double raw[PIECE]; /* aligned, for any of the types */

    for (i = 0; i < n; i += PIECE) {
        size_t here = n - i < PIECE ? n - i : PIECE;

        memcpy(raw, (const char *)t->data + (from + i) * size, here * size);
        if (t->dtype != BS_DTYPE_F64)
            bs_to_f32(out + i, t->dtype, raw, here);
        else
            for (k = 0; k < here; k++)
                out[i + k] = (float)raw[k];
    }
}

static int
read_finite(float **out, const struct bs_tensor *t, struct bs_err *e)
{
    size_t n = t->bytes / bs_dtype_size(t->dtype), i;

    *out = bs_alloc_array(n, sizeof **out);
    if (*out == NULL)
        return bs_err_memory(e, t->name, n * sizeof **out);
    bs_import_values(*out, t, 0, n);
    for (i = 0; i < n; i++)
        if (!(fabsf((*out)[i]) < INFINITY)) {
            bs_free(*out);
            *out = NULL;
            return bs_err_set(e, BS_EX_DATA,
                              "tensor '%s': value %zu is not finite", t->name,
                              i);
        }
    return 0;
}

static int
wrong_shape(const struct bs_tensor *t, size_t rows, size_t columns,
            struct bs_err *e)
{
    char is[BS_DOC_RANK_MAX * 22 + 1] = "";
    size_t len = 0;
    unsigned i;

    for (i = 0; i < t->rank; i++)
        len += (size_t)snprintf(is + len, sizeof is - len, "%s%ju",
                                i > 0 ? ", " : "", (uintmax_t)t->shape[i]);
    if (columns == 0)
        return bs_err_set(e, BS_EX_DATA, "tensor '%s' is [%s], not [%zu]",
                          t->name, is, rows);
    return bs_err_set(e, BS_EX_DATA, "tensor '%s' is [%s], not [%zu, %zu]",
                      t->name, is, rows, columns);
}

int
bs_import_vector(float **out, const struct bs_import *in, const char *name,
                 size_t n, struct bs_err *e)
{
    const struct bs_tensor *t;
    int r = find(&t, in, name, e);

    if (r == 0)
        r = bs_import_floats(t, e);
    if (r == 0 && (t->rank != 1 || t->shape[0] != n))
        r = wrong_shape(t, n, 0, e);
    return r < 0 ? r : read_finite(out, t, e);
}

int
bs_import_scalar(float *out, const struct bs_import *in, const char *name,
                 struct bs_err *e)
{
    const struct bs_tensor *t;
    float *value = NULL;
    int r = find(&t, in, name, e);

    if (r == 0)
        r = bs_import_floats(t, e);
    if (r == 0 && t->bytes != bs_dtype_size(t->dtype))
        r = bs_err_set(e, BS_EX_DATA, "tensor '%s' is not one value", t->name);
    if (r == 0)
        r = read_finite(&value, t, e);
    if (r == 0)
        *out = *value;
    bs_free(value);
    return r;
}

/* *a, [columns, rows], as [rows, columns]. */
static int
turn(float **a, size_t rows, size_t columns, struct bs_err *e)
{
    enum { TILE = 32 };
    float *to = bs_alloc_array(rows, columns * sizeof *to), *from = *a;
    size_t i, j, y, x;

    if (to == NULL)
        return bs_err_memory(e, "weights", rows * columns * sizeof *to);
    for (i = 0; i < rows; i += TILE)
        for (j = 0; j < columns; j += TILE)
            for (y = i; y < rows && y < i + TILE; y++)
                for (x = j; x < columns && x < j + TILE; x++)
                    to[y * columns + x] = from[x * rows + y];
    bs_free(from);
    *a = to;
    return 0;
}

int
bs_import_matrix(float **out, const struct bs_import *in, const char *name,
                 size_t rows, size_t columns, bool turned, struct bs_err *e)
{
    const struct bs_tensor *t;
    bool fits, other;
    int r = find(&t, in, name, e);

    if (r == 0)
        r = bs_import_floats(t, e);
    if (r < 0)
        return r;
    fits = t->rank == 2 && t->shape[0] == rows && t->shape[1] == columns;
    other = t->rank == 2 && t->shape[0] == columns && t->shape[1] == rows;
    if (!fits && !other)
        return turned ? wrong_shape(t, columns, rows, e)
                      : wrong_shape(t, rows, columns, e);
    r = read_finite(out, t, e);
    return r < 0 || (fits && !(other && turned)) ? r
                                                 : turn(out, rows, columns, e);
}

int
bs_import_known(const struct bs_import *in, const char *const *names,
                struct bs_err *e)
{
    size_t skip = strlen(in->prefix), i, k;

    for (i = 0; i < bs_safetensors_count(in->files); i++) {
        const char *name = bs_safetensors_at(in->files, i)->name;
        bool known = false;

        for (k = 0; names[k] != NULL && !known; k++)
            known = strncmp(name, in->prefix, skip) == 0 &&
                    strcmp(name + skip, names[k]) == 0;
        if (!known)
            return bs_err_set(e, BS_EX_DATA,
                              "tensor '%s' is no part of what a model here can "
                              "express",
                              name);
    }
    return 0;
}

/* ---- cfg.json --------------------------------------------------------------
 */

static const struct bs_json *
member(const struct bs_import *in, const char *key)
{
    const struct bs_json *v =
        in->cfg != NULL ? bs_json_get(in->cfg, key) : NULL;

    return v != NULL && v->type != BS_JSON_NULL ? v : NULL;
}

int
bs_import_cfg_u64(const struct bs_import *in, const char *key, uint64_t max,
                  uint64_t *out, struct bs_err *e)
{
    const struct bs_json *v = member(in, key);

    if (v == NULL)
        return 0;
    if (!bs_json_u64(v, max, out))
        return bs_err_set(e, BS_EX_DATA,
                          "cfg.json: '%s' is no whole number up to %ju", key,
                          (uintmax_t)max);
    return 1;
}

int
bs_import_cfg_bool(const struct bs_import *in, const char *key, bool *out,
                   struct bs_err *e)
{
    const struct bs_json *v = member(in, key);

    if (v == NULL)
        return 0;
    if (v->type != BS_JSON_BOOL)
        return bs_err_set(e, BS_EX_DATA,
                          "cfg.json: '%s' is neither true nor false", key);
    *out = v->truth;
    return 1;
}

int
bs_import_cfg_text(const struct bs_import *in, const char *key,
                   const char **out, struct bs_err *e)
{
    const struct bs_json *v = member(in, key);

    if (v == NULL)
        return 0;
    if (v->type != BS_JSON_STRING)
        return bs_err_set(e, BS_EX_DATA, "cfg.json: '%s' is no text", key);
    *out = v->text;
    return 1;
}

int
bs_import_cfg_size(const struct bs_import *in, const char *key, size_t size,
                   struct bs_err *e)
{
    uint64_t said = 0;
    int r = bs_import_cfg_u64(in, key, UINT32_MAX, &said, e);

    /* sparsify's 0 means "not given here". */
    if (r <= 0 || said == 0 || said == size)
        return r < 0 ? r : 0;
    return bs_err_set(e, BS_EX_DATA,
                      "cfg.json: '%s' is %ju, but the tensors' is %zu", key,
                      (uintmax_t)said, size);
}

/* ---- selection -------------------------------------------------------------
 */

int
bs_import_topk(struct bs_sae *s, const struct bs_import *in, uint64_t k,
               struct bs_err *e)
{
    if (!isnan(in->options->tau))
        return bs_err_set(e, BS_EX_USAGE,
                          "selects the k largest: '--tau' is "
                          "not for it");
    if (in->options->k > 0)
        k = in->options->k;
    if (k == 0)
        return bs_err_set(e, BS_EX_USAGE, "says no k: '-k' is needed");
    if (k > s->concepts)
        return bs_err_set(e, BS_EX_DATA, "k is %ju of %zu concepts",
                          (uintmax_t)k, s->concepts);
    s->select = BS_SAE_TOPK;
    s->k = (uint32_t)k;
    return 0;
}

int
bs_import_relu(struct bs_sae *s, struct bs_err *e)
{
    s->select = BS_SAE_JUMPRELU;
    s->taus = bs_alloc_array(s->concepts, sizeof *s->taus);
    return s->taus != NULL
               ? 0
               : bs_err_memory(e, "thresholds", s->concepts * sizeof(float));
}
