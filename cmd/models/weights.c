/*
 * weights.c - see weights.h.  Host memory: the largest matrix that is stacked
 * from several; of the mapping only what is in hand, so that there is one copy
 * of the weights, the device's.
 */
#include "cmd/models/weights.h"

#include <stdarg.h>

/* ---- names ----------------------------------------------------------------
 */

size_t
bs_loader_enter(struct bs_loader *l, const char *fmt, ...)
{
    size_t mark = strlen(l->prefix);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(l->prefix + mark, sizeof l->prefix - mark, fmt, ap);
    va_end(ap);
    return mark;
}

void
bs_loader_leave(struct bs_loader *l, size_t mark)
{
    l->prefix[mark] = '\0';
}

static void
full_name(const struct bs_loader *l, char name[2 * BS_LOADER_NAME],
          const char *stem, const char *leaf)
{
    snprintf(name, 2 * BS_LOADER_NAME, "%s%s%s%s", l->prefix, stem,
             leaf != NULL ? "." : "", leaf != NULL ? leaf : "");
}

bool
bs_loader_has(const struct bs_loader *l, const char *stem, const char *leaf)
{
    char name[2 * BS_LOADER_NAME];

    full_name(l, name, stem, leaf);
    return bs_safetensors_find(l->files, name) != NULL;
}

/* ---- one tensor -----------------------------------------------------------
 */

static int
odd_shape(struct bs_loader *l, const struct bs_tensor *t, unsigned rank,
          const uint64_t *want)
{
    char text[2][96];
    const uint64_t *shape[2] = {t->shape, want};
    unsigned ranks[2] = {t->rank, rank}, i, k;

    for (k = 0; k < 2; k++) {
        size_t n = (size_t)snprintf(text[k], sizeof text[k], "[");

        for (i = 0; i < ranks[k] && n < sizeof text[k]; i++)
            n += (size_t)snprintf(text[k] + n, sizeof text[k] - n, "%s%ju",
                                  i > 0 ? "," : "", (uintmax_t)shape[k][i]);
    }
    return bs_err_set(l->e, BS_EX_DATA,
                      "'%s': tensor '%s' has the shape %s], not %s]",
                      bs_safetensors_path(l->files), t->name, text[0], text[1]);
}

/* Whether the exponent of a value is all ones; data has no alignment. */
static bool
all_finite(const struct bs_tensor *t)
{
    const uint8_t *data = t->data;
    size_t i, n = t->bytes / bs_dtype_size(t->dtype);
    uint32_t mask = t->dtype == BS_DTYPE_F16 ? 0x7c00 : 0x7f80, bad = 0, u;
    uint16_t h;

    if (t->dtype == BS_DTYPE_F32)
        for (i = 0; i < n; i++) {
            memcpy(&u, data + 4 * i, sizeof u);
            bad |= (u & 0x7f800000) == 0x7f800000;
        }
    else
        for (i = 0; i < n; i++) {
            memcpy(&h, data + 2 * i, sizeof h);
            bad |= (h & mask) == mask;
        }
    return bad == 0;
}

static const struct bs_tensor *
find(struct bs_loader *l, const char *stem, const char *leaf)
{
    char name[2 * BS_LOADER_NAME];
    const struct bs_tensor *t;

    full_name(l, name, stem, leaf);
    t = bs_safetensors_find(l->files, name);
    if (t == NULL)
        (void)bs_err_set(l->e, BS_EX_DATA, "'%s': no tensor '%s'",
                         bs_safetensors_path(l->files), name);
    return t;
}

const struct bs_tensor *
bs_loader_tensor(struct bs_loader *l, const char *stem, const char *leaf,
                 unsigned rank, const uint64_t *shape)
{
    const char *path = bs_safetensors_path(l->files);
    const struct bs_tensor *t = find(l, stem, leaf);

    if (t == NULL)
        return NULL;
    if (t->rank != rank || memcmp(t->shape, shape, rank * sizeof *shape) != 0) {
        (void)odd_shape(l, t, rank, shape);
        return NULL;
    }
    if (t->dtype != BS_DTYPE_F32 && t->dtype != BS_DTYPE_F16 &&
        t->dtype != BS_DTYPE_BF16) {
        (void)bs_err_set(l->e, BS_EX_DATA,
                         "'%s': tensor '%s' is %s, not F32, F16 or BF16", path,
                         t->name, bs_dtype_name(t->dtype));
        return NULL;
    }
    if (!all_finite(t)) {
        (void)bs_err_set(l->e, BS_EX_DATA,
                         "'%s': tensor '%s' holds a NaN or an infinity", path,
                         t->name);
        return NULL;
    }
    l->used++;
    return t;
}

/* `n` values of `t` as f32; the file aligns them to nothing. */
static int
to_f32(struct bs_loader *l, const struct bs_tensor *t, float *out, size_t n)
{
    void *aligned = bs_alloc(t->bytes);

    if (aligned == NULL)
        return bs_err_memory(l->e, t->name, t->bytes);
    memcpy(aligned, t->data, t->bytes);
    bs_safetensors_forget(t);
    bs_to_f32(out, t->dtype, aligned, n);
    bs_free(aligned);
    return 0;
}

float *
bs_loader_values(struct bs_loader *l, const char *stem, const char *leaf,
                 unsigned rank, const uint64_t *shape)
{
    const struct bs_tensor *t = bs_loader_tensor(l, stem, leaf, rank, shape);
    size_t n;
    float *out;

    if (t == NULL)
        return NULL;
    n = t->bytes / bs_dtype_size(t->dtype);
    out = bs_alloc_array(n, sizeof *out);
    if (out == NULL)
        (void)bs_err_memory(l->e, t->name, n * sizeof *out);
    else if (to_f32(l, t, out, n) < 0) {
        bs_free(out);
        out = NULL;
    }
    return out;
}

/* ---- to the device --------------------------------------------------------
 */

int
bs_loader_failed(struct bs_loader *l)
{
    *l->e = *bs_dev_error(l->dev);
    return -l->e->code;
}

int
bs_loader_put(struct bs_loader *l, struct bs_mem *m, const float *host,
              size_t n)
{
    if (bs_dev_alloc(l->dev, m, n * sizeof *host) < 0 ||
        bs_dev_put(l->dev, m, 0, host, n * sizeof *host) < 0)
        return bs_loader_failed(l);
    return 0;
}

int
bs_load_vector(struct bs_loader *l, struct bs_mem *m, const char *stem,
               const char *leaf, size_t n)
{
    uint64_t shape[1] = {n};
    float *host = bs_loader_values(l, stem, leaf, 1, shape);
    int r = host == NULL ? -l->e->code : bs_loader_put(l, m, host, n);

    bs_free(host);
    return r;
}

int
bs_load_norm(struct bs_loader *l, struct bs_norm *n, const char *stem, size_t k)
{
    int r = bs_load_vector(l, &n->gamma, stem, "weight", k);

    return r < 0 ? r : bs_load_vector(l, &n->beta, stem, "bias", k);
}

static int
pack(struct bs_loader *l, struct bs_weight **out, const void *w,
     enum bs_dtype type, size_t n, size_t k)
{
    return bs_dev_weight(l->dev, out, w, type, n, k, l->math) < 0
               ? bs_loader_failed(l)
               : 0;
}

/* The matrix STEM.weight, written as such or as a 1 x 1 convolution. */
static const struct bs_tensor *
matrix(struct bs_loader *l, const char *stem, size_t n, size_t k)
{
    uint64_t shape[4] = {n, k, 1, 1};
    const struct bs_tensor *t = find(l, stem, "weight");

    return t == NULL ? NULL
                     : bs_loader_tensor(l, stem, "weight", t->rank == 4 ? 4 : 2,
                                        shape);
}

int
bs_load_linear(struct bs_loader *l, struct bs_linear *m, const char *stem,
               size_t n, size_t k, bool bias)
{
    const struct bs_tensor *t = matrix(l, stem, n, k);
    int r =
        t == NULL ? -l->e->code : pack(l, &m->weight, t->data, t->dtype, n, k);

    if (r == 0)
        bs_safetensors_forget(t);
    if (r == 0 && bias)
        r = bs_load_vector(l, &m->bias, stem, "bias", n);
    return r;
}

static int
stack_weights(struct bs_loader *l, struct bs_linear *m,
              const char *const *stems, size_t count, size_t n, size_t k)
{
    uint8_t *all = NULL;
    enum bs_dtype type = BS_DTYPE_F32;
    size_t i;
    int r = 0;

    for (i = 0; i < count && r == 0; i++) {
        const struct bs_tensor *t = matrix(l, stems[i], n, k);

        if (t == NULL) {
            r = -l->e->code;
            break;
        }
        if (i == 0) {
            type = t->dtype;
            all = bs_alloc(count * t->bytes);
        }
        if (all == NULL)
            r = bs_err_memory(l->e, t->name, count * t->bytes);
        else if (t->dtype != type)
            r = bs_err_set(l->e, BS_EX_DATA,
                           "'%s': tensor '%s' is %s, its neighbour %s",
                           bs_safetensors_path(l->files), t->name,
                           bs_dtype_name(t->dtype), bs_dtype_name(type));
        else
            memcpy(all + i * t->bytes, t->data, t->bytes);
        if (r == 0)
            bs_safetensors_forget(t);
    }
    if (r == 0)
        r = pack(l, &m->weight, all, type, count * n, k);
    bs_free(all);
    return r;
}

static int
stack_biases(struct bs_loader *l, struct bs_linear *m, const char *const *stems,
             size_t count, size_t n)
{
    uint64_t shape[1] = {n};
    float *all = bs_alloc_array(count * n, sizeof *all);
    size_t i;
    int r = 0;

    if (all == NULL)
        return bs_err_memory(l->e, "bias", count * n * sizeof *all);
    for (i = 0; i < count && r == 0; i++) {
        const struct bs_tensor *t =
            bs_loader_tensor(l, stems[i], "bias", 1, shape);

        r = t == NULL ? -l->e->code : to_f32(l, t, all + i * n, n);
    }
    if (r == 0)
        r = bs_loader_put(l, &m->bias, all, count * n);
    bs_free(all);
    return r;
}

int
bs_load_stacked(struct bs_loader *l, struct bs_linear *m,
                const char *const *stems, size_t count, size_t n, size_t k,
                bool bias)
{
    int r = stack_weights(l, m, stems, count, n, k);

    return r < 0 || !bias ? r : stack_biases(l, m, stems, count, n);
}

int
bs_load_convolution(struct bs_loader *l, struct bs_convolution *c,
                    const char *stem, const struct bs_conv_shape *shape,
                    bool bias)
{
    uint64_t want[4] = {shape->out, shape->in, shape->side, shape->side};
    const struct bs_tensor *t = bs_loader_tensor(l, stem, "weight", 4, want);

    if (t == NULL)
        return -l->e->code;
    if (bs_dev_conv(l->dev, &c->weight, t->data, t->dtype, shape, l->math) < 0)
        return bs_loader_failed(l);
    bs_safetensors_forget(t);
    return bias ? bs_load_vector(l, &c->bias, stem, "bias", shape->out) : 0;
}

/* ---- release --------------------------------------------------------------
 */

void
bs_drop_linear(struct bs_dev *dev, struct bs_linear *m)
{
    bs_dev_weight_free(dev, m->weight);
    bs_dev_free(dev, &m->bias);
    m->weight = NULL;
}

void
bs_drop_norm(struct bs_dev *dev, struct bs_norm *n)
{
    bs_dev_free(dev, &n->gamma);
    bs_dev_free(dev, &n->beta);
}

void
bs_drop_convolution(struct bs_dev *dev, struct bs_convolution *c)
{
    bs_dev_conv_free(dev, c->weight);
    bs_dev_free(dev, &c->bias);
    c->weight = NULL;
}
