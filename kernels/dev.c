/*
 * dev.c - see dev.h.  Opens a backend, and checks the ranges of every call
 * before the backend sees it.
 */
#include "kernels/dev.h"

#include "common/mem.h"
#include "common/num.h"
#include "kernels/cpu.h"
#include "kernels/cuda.h"
#include "kernels/dev_ops.h"
#include "kernels/ranges.h"

static int
open_cpu(struct bs_dev **out, unsigned threads, struct bs_err *e)
{
    const struct bs_isa *isa = bs_cpu_isa(e);

    return isa != NULL ? bs_cpu_open(out, isa, threads, e) : -e->code;
}

/* A GPU where one can be had, and no word where there is no driver; but why it
 * could not be had where there is one. */
static int
open_auto(struct bs_dev **out, unsigned threads, uint64_t wait,
          struct bs_err *e)
{
    struct bs_err why = {0};
    bool there = false;
    size_t n;
    int r;

    if (bs_cuda_built() && bs_cuda_open(out, 0, wait, &there, &why) == 0)
        return 0;
    r = open_cpu(out, threads, e);
    if (r < 0 || !there)
        return r;
    n = strlen((*out)->describe);
    snprintf((*out)->describe + n, sizeof(*out)->describe - n, "; %s",
             why.text);
    return 0;
}

static int
open_cuda(struct bs_dev **out, const char *name, uint64_t wait,
          struct bs_err *e)
{
    const char *number = name[4] == ':' ? name + 5 : "0";
    uint64_t ordinal;
    bool there;

    if (bs_num_u64(number, 0, INT32_MAX, &ordinal) != NULL)
        return bs_err_set(e, BS_EX_USAGE, "no device '%s': cuda or cuda:N",
                          name);
    if (!bs_cuda_built())
        return bs_err_set(e, BS_EX_UNAVAIL,
                          "device '%s': built without GPU kernels", name);
    return bs_cuda_open(out, (int)ordinal, wait, &there, e);
}

int
bs_dev_open(struct bs_dev **out, const char *name, unsigned threads,
            struct bs_err *e)
{
    return bs_dev_open_alone(out, name, threads, 0, e);
}

int
bs_dev_open_alone(struct bs_dev **out, const char *name, unsigned threads,
                  uint64_t wait, struct bs_err *e)
{
    *out = NULL;
    if (strcmp(name, "cuda") == 0 || strncmp(name, "cuda:", 5) == 0)
        return open_cuda(out, name, wait, e);
    if (strcmp(name, "cpu") == 0)
        return open_cpu(out, threads, e);
    if (strcmp(name, "auto") == 0)
        return open_auto(out, threads, wait, e);
    return bs_err_set(e, BS_EX_USAGE,
                      "no device '%s': auto, cpu, cuda or cuda:N", name);
}

void
bs_dev_close(struct bs_dev *d)
{
    if (d != NULL)
        d->ops->close(d);
}

const char *
bs_dev_describe(struct bs_dev *d)
{
    if (d->describe_more != NULL)
        d->describe_more(d);
    d->describe_more = NULL;
    return d->describe;
}

const struct bs_err *
bs_dev_error(const struct bs_dev *d)
{
    return &d->err;
}

const char *
bs_dev_features(void)
{
#if defined(__x86_64__)
#define CPU "cpu: portable avx2 avx512 avx512bf16"
#else
#define CPU "cpu: portable"
#endif
    return bs_cuda_built() ? CPU "; cuda: sm_80 sm_90 ptx" : CPU "; no gpu";
}

int
bs_dev_lacks(struct bs_dev *d, const char *op)
{
    return bs_err_set(&d->err, BS_EX_UNAVAIL,
                      "device '%.40s' has no operation '%s'; '--device=cpu' "
                      "has",
                      d->describe, op);
}

/* ---- memory ----------------------------------------------------------------
 */

int
bs_dev_alloc(struct bs_dev *d, struct bs_mem *m, size_t bytes)
{
    *m = (struct bs_mem){0};
    return d->ops->alloc(d, m, bytes);
}

void
bs_dev_free(struct bs_dev *d, struct bs_mem *m)
{
    if (m->p != NULL)
        d->ops->free(d, m);
    *m = (struct bs_mem){0};
}

struct bs_mem
bs_mem_from(const struct bs_mem *m, size_t offset)
{
    struct bs_mem part = {0};

    if (offset < m->bytes) {
        part.p = (char *)m->p + offset;
        part.bytes = m->bytes - offset;
    }
    return part;
}

static int
check_copy(struct bs_dev *d, const char *op, const struct bs_mem *m,
           size_t offset, size_t bytes)
{
    size_t end;

    return bs_range_check(d, op, "device memory", m,
                          bs_add(offset, bytes, &end) ? end : SIZE_MAX);
}

int
bs_dev_put(struct bs_dev *d, struct bs_mem *m, size_t offset, const void *host,
           size_t bytes)
{
    int r = check_copy(d, "put", m, offset, bytes);

    if (r < 0 || bytes == 0)
        return r;
    return d->ops->put(d, (char *)m->p + offset, host, bytes);
}

int
bs_dev_get(struct bs_dev *d, void *host, const struct bs_mem *m, size_t offset,
           size_t bytes)
{
    int r = check_copy(d, "get", m, offset, bytes);

    if (r < 0 || bytes == 0)
        return r;
    return d->ops->get(d, host, (const char *)m->p + offset, bytes);
}

int
bs_dev_sync(struct bs_dev *d)
{
    return d->ops->sync(d);
}

/* ---- operations ------------------------------------------------------------
 */

int
bs_dev_weight(struct bs_dev *d, struct bs_weight **out, const void *w,
              enum bs_dtype type, size_t n, size_t k, enum bs_math math)
{
    *out = NULL;
    if (type != BS_DTYPE_F32 && type != BS_DTYPE_F16 && type != BS_DTYPE_BF16)
        return bs_err_set(&d->err, BS_EX_SOFTWARE, "weight: type %s",
                          bs_dtype_name(type));
    return BS_DEV_CALL(d, weight, d, out, w, type, n, k, math);
}

void
bs_dev_weight_free(struct bs_dev *d, struct bs_weight *w)
{
    if (w != NULL)
        d->ops->weight_free(d, w);
}

int
bs_dev_gemm(struct bs_dev *d, const struct bs_weight *w, const struct bs_mem *x,
            size_t ldx, struct bs_mem *y, size_t ldy, size_t m,
            const struct bs_mem *bias, enum bs_epilogue epilogue,
            const struct bs_mem *scale)
{
    struct bs_dev_gemm a = {w,
                            x->p,
                            ldx,
                            y->p,
                            ldy,
                            m,
                            bias != NULL ? bias->p : NULL,
                            scale != NULL ? scale->p : NULL,
                            epilogue};
    size_t row = bs_range_product(sizeof(float), w->n, 1);
    int r;

    if (m == 0 || w->n == 0)
        return 0;
    if (m > 1 && (ldx < w->k || ldy < w->n))
        return bs_err_set(&d->err, BS_EX_SOFTWARE, "gemm: rows overlap");
    r = bs_range_check(d, "gemm", "x", x, bs_range_rows(m, w->k, ldx));
    if (r == 0)
        r = bs_range_check(d, "gemm", "y", y, bs_range_rows(m, w->n, ldy));
    if (r == 0 && bias != NULL)
        r = bs_range_check(d, "gemm", "bias", bias, row);
    if (r == 0 && scale != NULL)
        r = bs_range_check(d, "gemm", "scale", scale, row);
    return r < 0 ? r : BS_DEV_CALL(d, gemm, d, &a);
}

int
bs_dev_attention(struct bs_dev *d, const struct bs_attention *a)
{
    struct bs_dev_attention op = {a->q.p,   a->k.p,     a->v.p,  a->out.p,
                                  a->ldq,   a->ldk,     a->ldv,  a->ldo,
                                  a->batch, a->queries, a->keys, a->heads,
                                  a->dim,   a->causal,  a->math};
    size_t width = bs_range_product(1, a->heads, a->dim);
    size_t queries = bs_range_product(1, a->batch, a->queries);
    size_t keys = bs_range_product(1, a->batch, a->keys);
    int r;

    if (queries == 0 || width == 0)
        return 0;
    if (a->dim > 512)
        return bs_err_set(&d->err, BS_EX_SOFTWARE,
                          "attention: heads of %zu columns, 512 at most",
                          a->dim);
    if (keys == 0 || (a->causal && a->queries != a->keys))
        return bs_err_set(&d->err, BS_EX_SOFTWARE,
                          "attention: %zu queries of %zu keys", a->queries,
                          a->keys);
    if (a->ldq < width || a->ldk < width || a->ldv < width || a->ldo < width)
        return bs_err_set(&d->err, BS_EX_SOFTWARE, "attention: rows overlap");
    r = bs_range_check(d, "attention", "q", &a->q,
                       bs_range_rows(queries, width, a->ldq));
    if (r == 0)
        r = bs_range_check(d, "attention", "k", &a->k,
                           bs_range_rows(keys, width, a->ldk));
    if (r == 0)
        r = bs_range_check(d, "attention", "v", &a->v,
                           bs_range_rows(keys, width, a->ldv));
    if (r == 0)
        r = bs_range_check(d, "attention", "out", &a->out,
                           bs_range_rows(queries, width, a->ldo));
    return r < 0 ? r : BS_DEV_CALL(d, attention, d, &op);
}

int
bs_dev_layer_norm(struct bs_dev *d, const struct bs_mem *x, struct bs_mem *y,
                  size_t m, size_t k, const struct bs_mem *gamma,
                  const struct bs_mem *beta, float eps)
{
    struct bs_dev_layer_norm a = {x->p, y->p, m, k, gamma->p, beta->p, eps};
    size_t row = bs_range_product(sizeof(float), k, 1);
    size_t bytes = bs_range_product(sizeof(float), m, k);
    int r;

    if (bytes == 0)
        return 0;
    r = bs_range_check(d, "layer_norm", "x", x, bytes);
    if (r == 0)
        r = bs_range_check(d, "layer_norm", "y", y, bytes);
    if (r == 0)
        r = bs_range_check(d, "layer_norm", "gamma", gamma, row);
    if (r == 0)
        r = bs_range_check(d, "layer_norm", "beta", beta, row);
    return r < 0 ? r : BS_DEV_CALL(d, layer_norm, d, &a);
}

static int
check_gate(struct bs_dev *d, const char *op, const struct bs_mem *x,
           const struct bs_mem *y, size_t m, size_t k)
{
    size_t bytes = bs_range_product(sizeof(float), m, k);
    int r = bs_range_check(d, op, "x", x, bs_range_product(2, bytes, 1));

    return r < 0 ? r : bs_range_check(d, op, "y", y, bytes);
}

int
bs_dev_swiglu(struct bs_dev *d, const struct bs_mem *x, struct bs_mem *y,
              size_t m, size_t k)
{
    struct bs_dev_gate a = {x->p, y->p, m, k};
    int r = check_gate(d, "swiglu", x, y, m, k);

    return r < 0 || m == 0 || k == 0 ? r : BS_DEV_CALL(d, swiglu, d, &a);
}

int
bs_dev_geglu(struct bs_dev *d, const struct bs_mem *x, struct bs_mem *y,
             size_t m, size_t k)
{
    struct bs_dev_gate a = {x->p, y->p, m, k};
    int r = check_gate(d, "geglu", x, y, m, k);

    return r < 0 || m == 0 || k == 0 ? r : BS_DEV_CALL(d, geglu, d, &a);
}

int
bs_dev_add(struct bs_dev *d, const struct bs_mem *x, size_t ldx,
           struct bs_mem *y, size_t ldy, size_t m, size_t k)
{
    struct bs_dev_add a = {x->p, ldx, y->p, ldy, m, k};
    int r;

    if (m > 1 && (ldx < k || ldy < k))
        return bs_err_set(&d->err, BS_EX_SOFTWARE, "add: rows overlap");
    r = bs_range_check(d, "add", "x", x, bs_range_rows(m, k, ldx));
    if (r == 0)
        r = bs_range_check(d, "add", "y", y, bs_range_rows(m, k, ldy));
    return r < 0 || m == 0 || k == 0 ? r : BS_DEV_CALL(d, add, d, &a);
}

int
bs_dev_patchify(struct bs_dev *d, const struct bs_mem *rgb, struct bs_mem *y,
                size_t batch, size_t height, size_t width, size_t patch,
                const float mean[3], const float std[3])
{
    struct bs_dev_patchify a = {rgb->p, y->p,  batch, height,
                                width,  patch, mean,  std};
    size_t bytes =
        bs_range_product(3, batch, bs_range_product(height, width, 1));
    int r;

    if (patch == 0 || height % patch != 0 || width % patch != 0)
        return bs_err_set(&d->err, BS_EX_SOFTWARE,
                          "patchify: %zu x %zu pixels in patches of %zu", width,
                          height, patch);
    if (bytes == 0)
        return 0;
    r = bs_range_check(d, "patchify", "rgb", rgb, bytes);
    if (r == 0)
        r = bs_range_check(d, "patchify", "y", y,
                           bs_range_product(sizeof(float), bytes, 1));
    return r < 0 ? r : BS_DEV_CALL(d, patchify, d, &a);
}

int
bs_dev_assemble(struct bs_dev *d, const struct bs_mem *patches,
                const struct bs_mem *lead, const struct bs_mem *pos,
                struct bs_mem *y, size_t batch, size_t n, size_t prefix,
                size_t k)
{
    struct bs_dev_assemble a = {patches->p, lead->p, pos->p, y->p,
                                batch,      n,       prefix, k};
    size_t tokens, row = bs_range_product(sizeof(float), k, 1);
    int r;

    if (!bs_add(prefix, n, &tokens))
        tokens = SIZE_MAX;
    if (bs_range_product(row, batch, tokens) == 0)
        return 0;
    r = bs_range_check(d, "assemble", "y", y,
                       bs_range_product(row, batch, tokens));
    if (r == 0)
        r = bs_range_check(d, "assemble", "patches", patches,
                           bs_range_product(row, batch, n));
    if (r == 0)
        r = bs_range_check(d, "assemble", "lead", lead,
                           bs_range_product(row, prefix, 1));
    if (r == 0)
        r = bs_range_check(d, "assemble", "pos", pos,
                           bs_range_product(row, n, 1));
    return r < 0 ? r : BS_DEV_CALL(d, assemble, d, &a);
}
