/*
 * staged.c - see staged.h.  A device of its own, whose operations are those of
 * the CUDA device between copies.
 */
#include "tests/kernels/staged_own.h"

#include <dlfcn.h>
#include <errno.h>

#include "common/mem.h"
#include "kernels/cuda.h"

/* Nothing calls it; that it is there says that bf16 is computed apart. */
static void
no_bf16(const uint16_t *a, size_t lda, const uint16_t *b, size_t k, float *c,
        size_t rows, bool first)
{
    (void)a, (void)lda, (void)b, (void)k, (void)c, (void)rows, (void)first;
}

const struct bs_isa bs_isa_cuda = {.name = "cuda", .gemm_bf16 = no_bf16};
const struct bs_isa bs_isa_libraries = {.name = "cuda with libraries",
                                        .gemm_bf16 = no_bf16};

bool
staged_is_cuda(const struct bs_isa *isa)
{
    return isa->name == bs_isa_cuda.name || isa->name == bs_isa_libraries.name;
}

static bool emulated;

void
staged_fake(void)
{
    static const char *const files[] = {"libcuda.so.1", "libcublasLt.so.13",
                                        "libcudnn.so.9"};
    const char *folder = getenv("BS_FAKE");
    char path[4096];
    size_t i;

    if (folder == NULL || *folder == '\0')
        return;
    emulated = true;
    for (i = 0; i < BS_LEN(files); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        emulated &= dlopen(path, RTLD_NOW | RTLD_GLOBAL) != NULL;
    }
}

bool
staged_driver(void)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);

    if (library != NULL)
        dlclose(library);
    return library != NULL;
}

bool
staged_slow(const struct bs_isa *isa)
{
    return emulated && staged_is_cuda(isa);
}

void
staged_note(const char *name)
{
    static const char *noted[16];
    static size_t n;
    const char *folder = getenv("BS_OPS_LOG");
    char path[4096];
    size_t i;
    FILE *f;

    if (folder == NULL || *folder == '\0' || n == BS_LEN(noted))
        return;
    for (i = 0; i < n; i++)
        if (strcmp(noted[i], name) == 0)
            return;
    snprintf(path, sizeof path, "%s/%s", folder, program_invocation_short_name);
    f = fopen(path, n == 0 ? "w" : "a");
    noted[n++] = name;
    if (f == NULL)
        return;
    fprintf(f, "%s\n", name);
    fclose(f);
}

struct staged {
    struct bs_dev dev;
    struct bs_dev *cuda;
};

struct bs_dev *
staged_cuda(struct bs_dev *d)
{
    return ((struct staged *)d)->cuda;
}

/* ---- copies ----------------------------------------------------------------
 */

void *
staged_lend(struct staged_arrays *s, const void *host, size_t bytes,
            bool written)
{
    size_t i;

    if (host == NULL || s->r < 0)
        return NULL;
    for (i = 0; i < s->n; i++)
        if (s->at[i].host == host) {
            s->at[i].written |= written;
            return s->at[i].mem.p;
        }
    s->n++;
    s->at[i].host = (void *)(uintptr_t)host;
    s->at[i].bytes = bytes;
    s->at[i].written = written;
    s->r = bs_dev_alloc(s->cuda, &s->at[i].mem, bytes);
    if (s->r == 0)
        s->r = bs_dev_put(s->cuda, &s->at[i].mem, 0, host, bytes);
    return s->at[i].mem.p;
}

const void *
staged_read(struct staged_arrays *s, const void *host, size_t bytes)
{
    return staged_lend(s, host, bytes, false);
}

int
staged_finish(struct staged_arrays *s, struct bs_dev *d, int r)
{
    size_t i;

    if (s->r < 0)
        r = s->r;
    for (i = 0; i < s->n; i++) {
        if (r == 0 && s->at[i].written)
            r = bs_dev_get(s->cuda, s->at[i].host, &s->at[i].mem, 0,
                           s->at[i].bytes);
        bs_dev_free(s->cuda, &s->at[i].mem);
    }
    if (r < 0) {
        d->err = s->cuda->err;
        s->cuda->err.code = 0;
    }
    return r;
}

size_t
staged_rows(size_t rows, size_t cols, size_t ld)
{
    return rows > 0 ? ((rows - 1) * ld + cols) * sizeof(float) : 0;
}

int
staged_failed(struct bs_dev *d, int r)
{
    struct staged_arrays none = {.cuda = staged_cuda(d)};

    return r < 0 ? staged_finish(&none, d, r) : r;
}

/* ---- operations ------------------------------------------------------------
 */

#define CALL(s, op, ...) \
    ((s).r < 0 ? (s).r : (s).cuda->ops->op((s).cuda, __VA_ARGS__))

static int
staged_weight(struct bs_dev *d, struct bs_weight **out, const void *w,
              enum bs_dtype type, size_t n, size_t k, enum bs_math math)
{
    return staged_failed(
        d, bs_dev_weight(staged_cuda(d), out, w, type, n, k, math));
}

static void
staged_weight_free(struct bs_dev *d, struct bs_weight *w)
{
    bs_dev_weight_free(staged_cuda(d), w);
}

static int
staged_gemm(struct bs_dev *d, const struct bs_dev_gemm *a)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};
    size_t row = a->w->n * sizeof(float);
    struct bs_dev_gemm b = *a;

    b.x = staged_read(&s, a->x, staged_rows(a->m, a->w->k, a->ldx));
    b.y = staged_lend(&s, a->y, staged_rows(a->m, a->w->n, a->ldy), true);
    b.bias = staged_read(&s, a->bias, row);
    b.scale = staged_read(&s, a->scale, row);
    return staged_finish(&s, d, CALL(s, gemm, &b));
}

static int
staged_attention(struct bs_dev *d, const struct bs_dev_attention *a)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};
    size_t queries = a->batch * a->queries, keys = a->batch * a->keys;
    size_t width = a->heads * a->dim;
    struct bs_dev_attention b = *a;

    b.q = staged_read(&s, a->q, staged_rows(queries, width, a->ldq));
    b.k = staged_read(&s, a->k, staged_rows(keys, width, a->ldk));
    b.v = staged_read(&s, a->v, staged_rows(keys, width, a->ldv));
    b.out = staged_lend(&s, a->out, staged_rows(queries, width, a->ldo), true);
    return staged_finish(&s, d, CALL(s, attention, &b));
}

static int
staged_layer_norm(struct bs_dev *d, const struct bs_dev_layer_norm *a)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};
    size_t row = a->k * sizeof(float);
    struct bs_dev_layer_norm b = *a;

    b.x = staged_read(&s, a->x, a->m * row);
    b.y = staged_lend(&s, a->y, a->m * row, true);
    b.gamma = staged_read(&s, a->gamma, row);
    b.beta = staged_read(&s, a->beta, row);
    return staged_finish(&s, d, CALL(s, layer_norm, &b));
}

static struct bs_dev_gate
lend_gate(struct staged_arrays *s, const struct bs_dev_gate *a)
{
    struct bs_dev_gate b = *a;

    b.x = staged_read(s, a->x, a->m * 2 * a->k * sizeof(float));
    b.y = staged_lend(s, a->y, a->m * a->k * sizeof(float), true);
    return b;
}

static int
staged_swiglu(struct bs_dev *d, const struct bs_dev_gate *a)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};
    struct bs_dev_gate b = lend_gate(&s, a);

    return staged_finish(&s, d, CALL(s, swiglu, &b));
}

static int
staged_geglu(struct bs_dev *d, const struct bs_dev_gate *a)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};
    struct bs_dev_gate b = lend_gate(&s, a);

    return staged_finish(&s, d, CALL(s, geglu, &b));
}

static int
staged_add(struct bs_dev *d, const struct bs_dev_add *a)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};
    struct bs_dev_add b = *a;

    b.x = staged_read(&s, a->x, staged_rows(a->m, a->k, a->ldx));
    b.y = staged_lend(&s, a->y, staged_rows(a->m, a->k, a->ldy), true);
    return staged_finish(&s, d, CALL(s, add, &b));
}

static int
staged_patchify(struct bs_dev *d, const struct bs_dev_patchify *a)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};
    size_t values = a->batch * a->height * a->width * 3;
    struct bs_dev_patchify b = *a;

    b.rgb = staged_read(&s, a->rgb, values);
    b.y = staged_lend(&s, a->y, values * sizeof(float), true);
    return staged_finish(&s, d, CALL(s, patchify, &b));
}

static int
staged_assemble(struct bs_dev *d, const struct bs_dev_assemble *a)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};
    size_t row = a->k * sizeof(float);
    struct bs_dev_assemble b = *a;

    b.patches = staged_read(&s, a->patches, a->batch * a->n * row);
    b.lead = staged_read(&s, a->lead, a->prefix * row);
    b.pos = staged_read(&s, a->pos, a->n * row);
    b.y = staged_lend(&s, a->y, a->batch * (a->prefix + a->n) * row, true);
    return staged_finish(&s, d, CALL(s, assemble, &b));
}

static int
staged_encoder(struct bs_dev *d, struct bs_encoder **out, const float *w,
               const float *bias, size_t n, size_t k, enum bs_screen screen)
{
    return staged_failed(
        d, bs_dev_encoder(staged_cuda(d), out, w, bias, n, k, screen));
}

static void
staged_encoder_free(struct bs_dev *d, struct bs_encoder *enc)
{
    bs_dev_encoder_free(staged_cuda(d), enc);
}

/* The operands that all ways to encode have. */
static struct bs_dev_encode
lend_encode(struct staged_arrays *s, const struct bs_dev_encode *a)
{
    size_t codes = a->m * a->top * sizeof(float);
    struct bs_dev_encode b = *a;

    b.x = staged_read(s, a->x, staged_rows(a->m, a->enc->k, a->ldx));
    b.idx = staged_lend(s, a->idx, codes, true);
    b.val = staged_lend(s, a->val, codes, true);
    return b;
}

static int
staged_topk(struct bs_dev *d, const struct bs_dev_encode *a)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};
    struct bs_dev_encode b = lend_encode(&s, a);

    return staged_finish(&s, d, CALL(s, encode_topk, &b));
}

static int
staged_threshold(struct bs_dev *d, const struct bs_dev_encode *a,
                 struct bs_ragged *out)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};
    struct bs_dev_encode b = lend_encode(&s, a);

    return staged_finish(&s, d, CALL(s, encode_threshold, &b, out));
}

static int
staged_batch(struct bs_dev *d, const struct bs_dev_encode *a,
             struct bs_ragged *out, float *threshold)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};
    struct bs_dev_encode b = lend_encode(&s, a);

    return staged_finish(&s, d, CALL(s, encode_batch, &b, out, threshold));
}

static int
staged_decode(struct bs_dev *d, const struct bs_dev_decode *a)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};
    size_t row = a->width * sizeof(float);
    struct bs_dev_decode b = *a;

    b.dict = staged_read(&s, a->dict, a->concepts * row);
    b.bias = staged_read(&s, a->bias, row);
    b.y = staged_lend(&s, a->y, a->codes->m * row, true);
    return staged_finish(&s, d, CALL(s, decode, &b));
}

static int
staged_conv(struct bs_dev *d, struct bs_conv **out, const void *w,
            enum bs_dtype type, const struct bs_conv_shape *shape,
            enum bs_math math)
{
    return staged_failed(
        d, bs_dev_conv(staged_cuda(d), out, w, type, shape, math));
}

static void
staged_conv_free(struct bs_dev *d, struct bs_conv *w)
{
    bs_dev_conv_free(staged_cuda(d), w);
}

static int
staged_conv2d(struct bs_dev *d, const struct bs_dev_conv2d *a)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};
    const struct bs_conv_shape *shape = &a->w->shape;
    size_t in = a->batch * a->height * a->width;
    size_t out = a->batch * a->out_height * a->out_width;
    struct bs_dev_conv2d b = *a;

    b.x = staged_read(&s, a->x, staged_rows(in, shape->in, a->ldx));
    b.y = staged_lend(&s, a->y, staged_rows(out, shape->out, a->ldy), true);
    b.bias = staged_read(&s, a->bias, shape->out * sizeof(float));
    b.residual =
        staged_read(&s, a->residual, staged_rows(out, shape->out, a->ldr));
    return staged_finish(&s, d, CALL(s, conv2d, &b));
}

static int
staged_group_norm(struct bs_dev *d, const struct bs_dev_group_norm *a)
{
    struct staged_arrays s = {.cuda = staged_cuda(d)};
    size_t pixels = a->batch * a->pixels, row = a->channels * sizeof(float);
    struct bs_dev_group_norm b = *a;

    b.x = staged_read(&s, a->x, staged_rows(pixels, a->channels, a->ldx));
    b.y = staged_lend(&s, a->y, staged_rows(pixels, a->channels, a->ldy), true);
    b.gamma = staged_read(&s, a->gamma, row);
    b.beta = staged_read(&s, a->beta, row);
    return staged_finish(&s, d, CALL(s, group_norm, &b));
}

/* ---- life ------------------------------------------------------------------
 */

static void
staged_close(struct bs_dev *d)
{
    bs_dev_close(staged_cuda(d));
    bs_free(d);
}

static const struct bs_dev_ops staged_ops = {
    .close = staged_close,
    .weight = staged_weight,
    .weight_free = staged_weight_free,
    .gemm = staged_gemm,
    .attention = staged_attention,
    .layer_norm = staged_layer_norm,
    .swiglu = staged_swiglu,
    .geglu = staged_geglu,
    .add = staged_add,
    .patchify = staged_patchify,
    .assemble = staged_assemble,
    .encoder = staged_encoder,
    .encoder_free = staged_encoder_free,
    .encode_topk = staged_topk,
    .encode_threshold = staged_threshold,
    .encode_batch = staged_batch,
    .decode = staged_decode,
    .train = &staged_train_ops,
    .conv = staged_conv,
    .conv_free = staged_conv_free,
    .conv2d = staged_conv2d,
    .group_norm = staged_group_norm,
};

static int
open_staged(struct bs_dev **out, bool libraries, struct bs_err *e)
{
    struct staged *s = bs_alloc_array(1, sizeof *s);
    bool there;
    int r;

    *out = NULL;
    if (s == NULL)
        return bs_err_memory(e, "device", sizeof *s);
    s->dev.ops = &staged_ops;
    r = bs_cuda_open(&s->cuda, 0, 0, &there, e);
    if (r < 0) {
        bs_free(s);
        return r;
    }
    ((struct bs_cuda *)s->cuda)->own_kernels = !libraries;
    /* So that small calls take several chunks, have more hits than room, and
     * more images than are run at once. */
    if (emulated) {
        ((struct bs_cuda *)s->cuda)->scores_bytes = 1;
        ((struct bs_cuda *)s->cuda)->hits_room = 50;
        ((struct bs_cuda *)s->cuda)->attention_blocks = 8;
    }
    *out = &s->dev;
    return 0;
}

int
staged_open(struct bs_dev **out, struct bs_err *e)
{
    return open_staged(out, false, e);
}

int
staged_open_libraries(struct bs_dev **out, struct bs_err *e)
{
    return open_staged(out, true, e);
}

bool
staged_libraries(char *why, size_t room)
{
    struct bs_err e = {0};
    struct bs_dev *d;
    struct bs_cuda *c;
    bool good;

    if (!staged_there(why, room) || staged_open_libraries(&d, &e) < 0)
        return false;
    c = (struct bs_cuda *)((struct staged *)d)->cuda;
    snprintf(why, room, "%s; %s", bs_cuda_lt_about(c), bs_cuda_dnn_about(c));
    good = strncmp(bs_cuda_lt_about(c), "no ", 3) != 0 &&
           strncmp(bs_cuda_dnn_about(c), "no ", 3) != 0;
    bs_dev_close(d);
    return good;
}

bool
staged_there(char *why, size_t room)
{
    struct bs_err e = {0};
    struct bs_dev *d;

    staged_fake();
    if (!bs_cuda_built()) {
        snprintf(why, room, "built without GPU kernels");
        return false;
    }
    if (staged_open(&d, &e) < 0) {
        snprintf(why, room, "%s", e.text);
        return false;
    }
    bs_dev_close(d);
    return true;
}
