/*
 * DINOv2 against what transformers and timm computed (tests/golden/dinov2), the
 * pictures from their files on, at every math and batch; and the errors of
 * models that are none.
 */
#include "cmd/models/dinov2.h"
#include "cmd/models/embed.h"
#include "tests/unit/tap.h"

#include <math.h>

#include "common/io.h"

enum { PICTURES = 2 };

static const char *const models[] = {"registers", "plain", "giant", "timm"};
static const size_t sizes[] = {42, 70, 84};

static char *
golden(char out[400], const char *name)
{
    snprintf(out, 400, "%s/tests/golden/dinov2/%s", getenv("BS_SRC"), name);
    return out;
}

/* Largest difference, and the least cosine of a row. */
static void
compare(const float *got, const float *want, size_t rows, size_t k,
        double *worst, double *cosine)
{
    size_t i, j;

    *worst = 0;
    *cosine = 1;
    for (i = 0; i < rows; i++) {
        double ab = 0, aa = 0, bb = 0, c;

        for (j = 0; j < k; j++) {
            double a = got[i * k + j], b = want[i * k + j];

            /* not '>': a NaN must not pass */
            if (!(fabs(a - b) <= *worst))
                *worst = fabs(a - b);
            ab += a * b;
            aa += a * a;
            bb += b * b;
        }
        c = ab / sqrt(aa * bb);
        if (!(c >= *cosine))
            *cosine = c;
    }
}

/* Tensor `size` of a golden file. */
static const struct bs_tensor *
by_size(const struct bs_safetensors *files, size_t size)
{
    char name[24];

    snprintf(name, sizeof name, "%zu", size);
    return bs_safetensors_find(files, name);
}

/* A forward pass over the golden pixels, in batches of `batch`. */
static float *
forward(struct bs_dev *dev, const char *folder, enum bs_math math, size_t size,
        size_t batch, const struct bs_tensor *pixels, size_t *rows, size_t *k)
{
    struct bs_safetensors *files = NULL;
    struct bs_dinov2_config config;
    struct bs_dinov2 *m = NULL;
    struct bs_err e = {0};
    float *out = NULL;
    size_t i, n;

    if (bs_safetensors_open(&files, folder, &e) < 0 ||
        bs_dinov2_configure(&config, files, &e) < 0 ||
        bs_dinov2_open(&m, &config, files, dev, math, size, batch, &e) < 0)
        goto done;
    n = bs_dinov2_tokens(m) * config.hidden;
    *rows = PICTURES * bs_dinov2_tokens(m);
    *k = config.hidden;
    out = bs_alloc_array(PICTURES * n, sizeof *out);
    for (i = 0; out != NULL && i < PICTURES; i += batch) {
        const uint8_t *rgb[PICTURES];
        size_t b;

        for (b = 0; b < batch; b++)
            rgb[b] = (const uint8_t *)pixels->data + (i + b) * size * size * 3;
        if (bs_dinov2_forward(m, rgb, batch, out + i * n, &e) < 0)
            goto done;
    }
done:
    if (e.code != 0)
        printf("# %s\n", e.text);
    bs_dinov2_close(m);
    bs_safetensors_close(files);
    return out;
}

static void
test_forward(struct bs_dev *dev, const char *name, const struct bs_tensor *px,
             const struct bs_safetensors *want, size_t size)
{
    static const double bar[] = {2e-5, 5e-2}, least[] = {0.999999, 0.9995};
    const struct bs_tensor *t = by_size(want, size);
    char folder[400];
    int math;

    golden(folder, name);
    for (math = BS_MATH_F32; math <= BS_MATH_BF16; math++) {
        size_t rows = 0, k = 0;
        double worst = INFINITY, cosine = 0;
        float *one =
            forward(dev, folder, (enum bs_math)math, size, 1, px, &rows, &k);
        float *two = forward(dev, folder, (enum bs_math)math, size, PICTURES,
                             px, &rows, &k);

        if (one != NULL && t->bytes == rows * k * sizeof(float))
            compare(one, t->data, rows, k, &worst, &cosine);
        ok(worst <= bar[math] && cosine >= least[math],
           "%s at %zu, %s: max abs %.2g, cosine %.7f", name, size,
           math == BS_MATH_F32 ? "f32" : "bf16", worst, cosine);
        ok(one != NULL && two != NULL &&
               memcmp(one, two, rows * k * sizeof *one) == 0,
           "%s at %zu: the batch changes no bit", name, size);
        bs_free(one);
        bs_free(two);
    }
}

/* ---- the pipeline -------------------------------------------------------- */

struct collected {
    float *features;
    size_t records, skipped;
    char grid[16], prefix[8];
};

static int
collect(void *arg, const struct bs_doc *rec)
{
    struct collected *c = arg;
    const struct bs_tensor *x = bs_doc_tensor(rec, "x");

    if (c->records < PICTURES)
        memcpy(c->features + c->records * x->bytes / sizeof(float), x->data,
               x->bytes);
    snprintf(c->grid, sizeof c->grid, "%s", bs_doc_meta(rec, "grid"));
    snprintf(c->prefix, sizeof c->prefix, "%s", bs_doc_meta(rec, "prefix"));
    c->records++;
    return 0;
}

static int
count_skipped(void *arg, const char *key, const char *why)
{
    struct collected *c = arg;

    printf("# %s: %s\n", key, why);
    c->skipped++;
    return 0;
}

/* A record of the picture file `name`, cut to `keep` bytes. */
static int
put_picture(struct bs_embed *em, const char *name, size_t keep)
{
    struct bs_buf bytes = {0};
    struct bs_doc rec = {0};
    struct bs_err e = {0};
    char path[400];
    uint64_t shape[1];
    int r = bs_read_file(golden(path, name), 1 << 20, &bytes, &e);

    shape[0] = bytes.len < keep ? bytes.len : keep;
    if (r == 0)
        r = bs_doc_set(&rec, "key", "picture", &e);
    if (r == 0)
        r = bs_doc_put(&rec, "png", BS_DTYPE_U8, 1, shape, bytes.data, &e);
    if (r == 0)
        r = bs_embed_put(em, &rec);
    bs_doc_release(&rec);
    bs_buf_release(&bytes);
    return r;
}

static void
test_pipeline(struct bs_dev *dev, const struct bs_safetensors *want)
{
    char folder[400];
    struct bs_embed_options o = {.model = golden(folder, "registers"),
                                 .pixels = {80, 70},
                                 .dtype = BS_DTYPE_F32,
                                 .digest = true};
    const struct bs_tensor *t = by_size(want, 70);
    struct collected got = {.features = bs_alloc_array(t->bytes, 1)};
    const struct bs_embed_sink sink = {collect, count_skipped, &got};
    const struct bs_embed_stats *s;
    struct bs_embed *em = NULL;
    struct bs_err e = {0};
    double worst = INFINITY, cosine = 0;
    int r = bs_embed_open(&em, &o, &sink, dev, &e);

    if (!ok(r == 0, "the pipeline opens %s", e.text))
        return;
    r = put_picture(em, "images/a.png", SIZE_MAX);
    if (r == 0)
        r = put_picture(em, "images/a.png", 700);
    if (r == 0)
        r = put_picture(em, "images/b.png", SIZE_MAX);
    if (r == 0)
        r = put_picture(em, "images/b.png", 0);
    if (r == 0)
        r = bs_embed_flush(em);
    s = bs_embed_stats(em);
    ok(r == 0 && s->images == 2 && bs_embed_skips(s) == 2 && got.skipped == 2,
       "two of four pictures are whole %s", bs_embed_error(em)->text);
    ok(s->skipped[BS_IMAGE_TRUNCATED] == 1 && s->skipped[BS_IMAGE_EMPTY] == 1,
       "one is cut, one empty");
    ok(strcmp(got.grid, "5x5") == 0 && strcmp(got.prefix, "5") == 0,
       "a record tells its tokens");
    if (got.records == PICTURES)
        compare(got.features, t->data, (size_t)(t->shape[0] * t->shape[1]),
                (size_t)t->shape[2], &worst, &cosine);
    ok(worst <= 2e-5, "from file to features: max abs %.2g", worst);
    ok(strstr(bs_embed_model(em), "\"sha256\":\"") != NULL,
       "the model is told by its content: %s", bs_embed_model(em));
    bs_embed_close(em);
    bs_free(got.features);
}

int
main(void)
{
    char path[400];
    struct bs_safetensors *pixels = NULL, *want = NULL;
    struct bs_dev *dev = NULL;
    struct bs_err e = {0};
    size_t i, k;

    if (!ok(bs_dev_open(&dev, "cpu", 2, &e) == 0 &&
                bs_safetensors_open(&pixels, golden(path, "pixels.safetensors"),
                                    &e) == 0,
            "device and pixels %s", e.text))
        return tap_done();
    for (i = 0; i < BS_LEN(models); i++) {
        char name[64];

        snprintf(name, sizeof name, "%s/expect.safetensors", models[i]);
        if (!ok(bs_safetensors_open(&want, golden(path, name), &e) == 0,
                "%s %s", name, e.text))
            break;
        for (k = 0; k < BS_LEN(sizes); k++)
            test_forward(dev, models[i], by_size(pixels, sizes[k]), want,
                         sizes[k]);
        if (i == 0)
            test_pipeline(dev, want);
        bs_safetensors_close(want);
    }
    bs_safetensors_close(pixels);
    bs_dev_close(dev);
    return tap_done();
}
