/*
 * u-sae-import.c - autoencoders of other programs reconstruct here what they
 * reconstruct there (tests/golden/make-sae-import.py), also after an export and
 * an import.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/models/sae_encoder.h"
#include "cmd/models/sae_export.h"
#include "common/mem.h"
#include "formats/safetensors.h"
#include "tests/unit/tap.h"

static const struct bs_sae_import_options defaults = {
    .tau = NAN, .delta = NAN, .atoms = -1, .threads = 2};

static const char *
golden(const char *name)
{
    static char path[4096];

    snprintf(path, sizeof path, "%s/tests/golden/sae-import/%s",
             getenv("BS_SRC"), name);
    return path;
}

/* A tensor's bytes, aligned; the caller frees them. */
static float *
values(const char *name, size_t *n)
{
    struct bs_safetensors *f;
    struct bs_err e = {0};
    const struct bs_tensor *t;
    float *copy = NULL;

    if (bs_safetensors_open(&f, golden("want.safetensors"), &e) < 0) {
        ok(0, "%s", e.text);
        return NULL;
    }
    t = bs_safetensors_find(f, name);
    *n = t->bytes / sizeof *copy;
    copy = bs_alloc(t->bytes);
    memcpy(copy, t->data, t->bytes);
    bs_safetensors_close(f);
    return copy;
}

/* What the model makes of the tokens; NULL where it fails. */
static float *
reconstruct(const struct bs_sae *s, struct bs_dev *dev, const float *x,
            size_t m)
{
    size_t bytes = s->concepts * s->width * sizeof(float);
    struct bs_sae_encoder *enc;
    struct bs_ragged codes = {0};
    struct bs_mem dict = {s->dec_w, bytes}, y = {0};
    struct bs_mem bias = {s->dec_b, s->width * sizeof(float)};
    struct bs_err e = {0};
    float *out = bs_alloc_array(m, s->width * sizeof *out);

    if (bs_sae_encoder_open(&enc, s, dev, &e) < 0 ||
        bs_sae_encoder_run(enc, x, m, &codes, &e) < 0) {
        ok(0, "%s", e.text);
        return out;
    }
    if (bs_dev_alloc(dev, &y, m * s->width * sizeof *out) < 0 ||
        bs_dev_decode(
            dev, &(struct bs_code_rows){m, 0, codes.ptr, codes.idx, codes.val},
            &dict, s->concepts, s->width, s->dec_b != NULL ? &bias : NULL,
            &y) < 0 ||
        bs_dev_get(dev, out, &y, 0, m * s->width * sizeof *out) < 0)
        ok(0, "%s", bs_dev_error(dev)->text);
    bs_dev_free(dev, &y);
    bs_ragged_release(&codes);
    bs_sae_encoder_close(enc);
    return out;
}

static void
same(const struct bs_sae *s, struct bs_dev *dev, const char *name,
     const char *what)
{
    size_t n, m, i;
    float *x = values("x", &n), *want = values(name, &n), *got;
    double far = 0;

    m = n / s->width;
    got = reconstruct(s, dev, x, m);
    for (i = 0; i < n; i++)
        far = fmax(far, fabs((double)got[i] - (double)want[i]) /
                            fmax(1, fabs((double)want[i])));
    ok(far <= 1e-5, "%s, %s: the same reconstructions (%.1e)", name, what, far);
    bs_free(x);
    bs_free(want);
    bs_free(got);
}

/* Export, import again, and compare; `refusal` NULL where it works. */
static void
round_trip(const struct bs_sae *s, struct bs_dev *dev, const char *name,
           enum bs_sae_format to, const char *refusal)
{
    const char *path = "exported.tmp";
    const char *format = bs_sae_format_names[to];
    struct bs_sae_origin origin;
    struct bs_sae again;
    struct bs_err e = {0};
    int r = bs_sae_export(s, to, NULL, path, &e);

    if (refusal != NULL) {
        ok(r == -BS_EX_DATA && strstr(e.text, refusal) != NULL,
           "%s to %s is refused: %s", name, format, e.text);
        return;
    }
    if (r == 0)
        r = bs_sae_import(&again, path, &defaults, &origin, &e);
    if (ok(r == 0 && origin.format == to, "%s to %s and back %s", name, format,
           e.text)) {
        same(&again, dev, name, format);
        bs_sae_release(&again);
    }
    unlink("exported.tmp/cfg.json");
    unlink("exported.tmp/sae.safetensors");
    unlink("exported.tmp/sae_weights.safetensors");
    rmdir(path);
    unlink(path);
}

static const struct expected {
    const char *file, *name;
    enum bs_sae_format from;
    uint32_t k;
    double tau, delta;
    enum bs_sae_select select;
    /* Why the four formats refuse it, or NULL. */
    const char *sparsify, *saelens, *openai, *overcomplete;
} cases[] = {
    {"sparsify", "sparsify", BS_SAE_FORMAT_SPARSIFY, 0, NAN, NAN, BS_SAE_TOPK,
     NULL, NULL, NULL, "bias behind"},
    {"saelens-topk", "saelens-topk", BS_SAE_FORMAT_SAELENS, 0, NAN, NAN,
     BS_SAE_TOPK, NULL, NULL, NULL, "bias behind"},
    {"saelens-jumprelu", "saelens-jumprelu", BS_SAE_FORMAT_SAELENS, 0, NAN, NAN,
     BS_SAE_JUMPRELU, "jumprelu", NULL, "jumprelu", "bias behind"},
    {"saelens-standard", "saelens-standard", BS_SAE_FORMAT_SAELENS, 0, NAN, NAN,
     BS_SAE_JUMPRELU, "jumprelu", NULL, "jumprelu", "bias behind"},
    {"openai.safetensors", "openai", BS_SAE_FORMAT_OPENAI, 3, NAN, NAN,
     BS_SAE_TOPK, NULL, NULL, NULL, "bias behind"},
    {"topk.safetensors", "topk", BS_SAE_FORMAT_OVERCOMPLETE, 0, NAN, NAN,
     BS_SAE_TOPK, NULL, NULL, NULL, NULL},
    {"released.safetensors", "released", BS_SAE_FORMAT_OVERCOMPLETE, 0, 0.829,
     0.7, BS_SAE_THRESHOLD, "layer norm", "layer norm", "layer norm", NULL},
    {"batchnorm.safetensors", "batchnorm", BS_SAE_FORMAT_OVERCOMPLETE, 0, NAN,
     NAN, BS_SAE_THRESHOLD, "threshold", NULL, "threshold", NULL},
    {"jump.safetensors", "jump", BS_SAE_FORMAT_OVERCOMPLETE, 0, NAN, NAN,
     BS_SAE_JUMPRELU, "jumprelu", NULL, "jumprelu", NULL},
    {"tied.safetensors", "tied", BS_SAE_FORMAT_OVERCOMPLETE, 0, NAN, NAN,
     BS_SAE_TOPK, NULL, NULL, NULL, NULL},
};

static void
foreign(const struct expected *c, struct bs_dev *dev)
{
    struct bs_sae_import_options options = defaults;
    struct bs_sae_origin origin;
    struct bs_sae s;
    struct bs_err e = {0};

    options.k = c->k;
    options.tau = c->tau;
    options.delta = c->delta;
    if (!ok(bs_sae_import(&s, golden(c->file), &options, &origin, &e) == 0,
            "%s: imported %s", c->name, e.text))
        return;
    ok(origin.format == c->from && s.select == c->select && s.concepts == 24 &&
           s.width == 7,
       "%s: of its format and sizes", c->name);
    same(&s, dev, c->name, "imported");
    round_trip(&s, dev, c->name, BS_SAE_FORMAT_SPARSIFY, c->sparsify);
    round_trip(&s, dev, c->name, BS_SAE_FORMAT_SAELENS, c->saelens);
    round_trip(&s, dev, c->name, BS_SAE_FORMAT_OPENAI, c->openai);
    round_trip(&s, dev, c->name, BS_SAE_FORMAT_OVERCOMPLETE, c->overcomplete);
    bs_sae_release(&s);
}

/* A model with a centre before the encoder and another bias behind. */
static void
two_biases(struct bs_dev *dev)
{
    struct bs_sae_origin origin;
    struct bs_sae s;
    struct bs_err e = {0};
    size_t c;

    ok(bs_sae_import(&s, golden("sparsify"), &defaults, &origin, &e) == 0,
       "imported");
    /* W (x - p) + b with another p: moved into b, which undoes it. */
    for (c = 0; c < s.width; c++) {
        size_t j;

        for (j = 0; j < s.concepts; j++)
            s.enc_b[j] += s.enc_w[j * s.width + c] * (float)(c + 1);
        s.pre_b[c] += (float)(c + 1);
    }
    same(&s, dev, "sparsify", "another centre");
    round_trip(&s, dev, "sparsify", BS_SAE_FORMAT_SPARSIFY, NULL);
    round_trip(&s, dev, "sparsify", BS_SAE_FORMAT_SAELENS, NULL);
    round_trip(&s, dev, "sparsify", BS_SAE_FORMAT_OPENAI, NULL);
    bs_sae_release(&s);
}

/* The parts of an archetypal dictionary are kept projected, and make the same
 * dictionary again. */
static void
parts(struct bs_dev *dev)
{
    struct bs_sae_import_options options = defaults;
    struct bs_sae_origin origin;
    struct bs_sae s;
    struct bs_err e = {0};
    double longest = 0, sum = 0;
    size_t j, c;

    options.tau = 0.829;
    options.delta = 0.7;
    options.keep_parts = true;
    ok(bs_sae_import(&s, golden("released.safetensors"), &options, &origin,
                     &e) == 0 &&
           s.ra_c != NULL && s.ra_w != NULL && s.ra_relax != NULL &&
           s.points == 29,
       "archetypal parts kept %s", e.text);
    for (j = 0; j < s.concepts; j++) {
        double length = 0;

        for (c = 0; c < s.width; c++)
            length += pow((double)s.ra_relax[j * s.width + c], 2);
        longest = fmax(longest, sqrt(length));
    }
    for (c = 0; c < s.points; c++)
        sum += s.ra_w[c] >= 0 ? (double)s.ra_w[c] : NAN;
    ok(fabs(sum - 1) < 1e-6, "weights are convex");
    ok(longest < 0.7 + 1e-6, "no relaxation longer than delta");
    round_trip(&s, dev, "released", BS_SAE_FORMAT_OVERCOMPLETE, NULL);
    bs_sae_release(&s);
}

int
main(void)
{
    struct bs_dev *dev;
    struct bs_err e = {0};
    size_t i;

    if (bs_dev_open(&dev, "cpu", 2, &e) < 0)
        ok(0, "%s", e.text);
    for (i = 0; i < BS_LEN(cases); i++)
        foreign(&cases[i], dev);
    two_biases(dev);
    parts(dev);
    bs_dev_close(dev);
    return tap_done();
}
