/*
 * u-sae.c - autoencoders against overcomplete's codes and reconstructions
 * (tests/golden/make-sae.py), and the model file there and back.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/models/sae.h"
#include "cmd/models/sae_encoder.h"
#include "common/mem.h"
#include "formats/safetensors.h"
#include "tests/unit/tap.h"

static char path[4096];

static const char *
golden(const char *kind, const char *what)
{
    snprintf(path, sizeof path, "%s/tests/golden/sae/%s%s.safetensors",
             getenv("BS_SRC"), kind, what);
    return path;
}

/* A tensor's bytes, aligned; the caller frees them. */
static void *
values(const struct bs_safetensors *f, const char *name, size_t *n)
{
    const struct bs_tensor *t = bs_safetensors_find(f, name);
    void *copy = bs_alloc(t->bytes);

    memcpy(copy, t->data, t->bytes);
    *n = t->bytes / 4;
    return copy;
}

static bool
near(float a, float b)
{
    return fabsf(a - b) <= 1e-5f * fmaxf(1, fabsf(b));
}

static void
same_codes(const struct bs_safetensors *f, const struct bs_ragged *codes)
{
    size_t rows, n, i, far = 0;
    uint32_t *ptr = values(f, "ptr", &rows), *idx = values(f, "idx", &n);
    float *val = values(f, "val", &n);

    ok(codes->rows + 1 == rows && codes->ptr[rows - 1] == n &&
           memcmp(codes->ptr, ptr, rows * sizeof *ptr) == 0,
       "as many codes, %zu", n);
    ok(memcmp(codes->idx, idx, n * sizeof *idx) == 0, "of the same concepts");
    for (i = 0; i < n; i++)
        far += !near(codes->val[i], val[i]);
    ok(far == 0, "with the same values");
    bs_free(ptr);
    bs_free(idx);
    bs_free(val);
}

static void
same_decoded(const struct bs_safetensors *f, const struct bs_sae *s,
             const struct bs_ragged *codes, struct bs_dev *dev)
{
    struct bs_code_rows rows = {codes->rows, 0, codes->ptr, codes->idx,
                                codes->val};
    struct bs_mem dict = {s->dec_w, s->concepts * s->width * sizeof(float)};
    struct bs_mem y = {0};
    size_t n, i, far = 0;
    float *want = values(f, "y", &n), *got = bs_alloc_array(n, sizeof *got);

    ok(bs_dev_alloc(dev, &y, n * sizeof *got) == 0 &&
           bs_dev_decode(dev, &rows, &dict, s->concepts, s->width, NULL, &y) ==
               0 &&
           bs_dev_get(dev, got, &y, 0, n * sizeof *got) == 0,
       "decoded");
    for (i = 0; i < n; i++)
        far += !near(got[i], want[i]);
    ok(far == 0, "to the same features");
    bs_dev_free(dev, &y);
    bs_free(want);
    bs_free(got);
}

static void
golden_case(const char *kind, struct bs_dev *dev)
{
    struct bs_safetensors *f;
    struct bs_sae_encoder *enc;
    struct bs_ragged codes = {0};
    struct bs_sae s;
    struct bs_err e = {0};
    size_t n;
    float *x;

    if (!ok(bs_sae_load(&s, golden(kind, ""), &e) == 0, "%s: loaded %s", kind,
            e.text) ||
        !ok(bs_safetensors_open(&f, golden(kind, "-case"), &e) == 0, "case"))
        return;
    x = values(f, "x", &n);
    ok(bs_sae_encoder_open(&enc, &s, dev, &e) == 0 &&
           bs_sae_encoder_run(enc, x, n / s.width, &codes, &e) == 0,
       "encoded %s", e.text);
    same_codes(f, &codes);
    same_decoded(f, &s, &codes, dev);
    bs_sae_encoder_close(enc);
    bs_ragged_release(&codes);
    bs_safetensors_close(f);
    bs_sae_release(&s);
    bs_free(x);
}

static void
there_and_back(void)
{
    struct bs_doc more = {0};
    struct bs_sae s, t;
    struct bs_err e = {0};

    ok(bs_sae_load(&s, golden("layernorm", ""), &e) == 0 &&
           bs_doc_set(&more, "bs.tool", "test", &e) == 0 &&
           bs_sae_save(&s, &more, "model.tmp", &e) == 0,
       "saved %s", e.text);
    ok(bs_sae_load(&t, "model.tmp", &e) == 0, "read again %s", e.text);
    ok(t.concepts == s.concepts && t.width == s.width && t.select == s.select &&
           t.tau == s.tau && t.ln_eps == s.ln_eps &&
           strcmp(t.name, s.name) == 0 && strcmp(t.sha256, s.sha256) == 0,
       "the same sizes and settings");
    ok(memcmp(t.enc_w, s.enc_w, s.concepts * s.width * 4) == 0 &&
           memcmp(t.dec_w, s.dec_w, s.concepts * s.width * 4) == 0 &&
           memcmp(t.ln_b, s.ln_b, s.concepts * 4) == 0 && t.pre_b == NULL,
       "the same weights");
    unlink("model.tmp");
    bs_doc_release(&more);
    bs_sae_release(&s);
    bs_sae_release(&t);
}

/* Refused, with a word of why: the model as saved, changed by fn. */
static void
refused(const char *why, void (*change)(struct bs_doc *doc, struct bs_err *e))
{
    struct bs_doc doc = {0};
    struct bs_buf bytes = {0};
    struct bs_sae s, t;
    struct bs_err e = {0};
    FILE *file = fopen("model.tmp", "wb");

    if (bs_sae_load(&s, golden("layernorm", ""), &e) < 0 ||
        bs_sae_document(&doc, &s, &e) < 0)
        ok(0, "%s", e.text);
    change(&doc, &e);
    if (bs_doc_write(&doc, &bytes, &e) < 0)
        ok(0, "%s", e.text);
    fwrite(bytes.data, 1, bytes.len, file);
    fclose(file);
    ok(bs_sae_load(&t, "model.tmp", &e) == -BS_EX_DATA &&
           strstr(e.text, why) != NULL,
       "refused: %s (%s)", why, e.text);
    unlink("model.tmp");
    bs_doc_release(&doc);
    bs_buf_release(&bytes);
    bs_sae_release(&s);
}

static void
set(struct bs_doc *doc, const char *name, const char *value, struct bs_err *e)
{
    if (bs_doc_set(doc, name, value, e) < 0)
        ok(0, "%s", e->text);
}

static void
no_version(struct bs_doc *doc, struct bs_err *e)
{
    set(doc, "bs.sae", NULL, e);
}

static void
next_version(struct bs_doc *doc, struct bs_err *e)
{
    set(doc, "bs.sae", "2", e);
}

static void
strange_rule(struct bs_doc *doc, struct bs_err *e)
{
    set(doc, "select", "best", e);
}

static void
no_k(struct bs_doc *doc, struct bs_err *e)
{
    set(doc, "select", "topk", e);
}

static void
negative_tau(struct bs_doc *doc, struct bs_err *e)
{
    set(doc, "tau", "-1", e);
}

static void
no_thresholds(struct bs_doc *doc, struct bs_err *e)
{
    set(doc, "select", "jumprelu", e);
}

/* Put other values under a name. */
static void
put(struct bs_doc *doc, const char *name, uint64_t rows, uint64_t columns,
    const void *data, enum bs_dtype type, struct bs_err *e)
{
    uint64_t shape[2] = {rows, columns};

    if (bs_doc_put(doc, name, type, columns > 0 ? 2 : 1, shape, data, e) < 0)
        ok(0, "%s", e->text);
}

static float others[40 * 19];

static void
short_bias(struct bs_doc *doc, struct bs_err *e)
{
    put(doc, "enc_b", 39, 0, others, BS_DTYPE_F32, e);
}

static void
whole_numbers(struct bs_doc *doc, struct bs_err *e)
{
    put(doc, "enc_b", 40, 0, others, BS_DTYPE_I32, e);
}

static void
not_finite(struct bs_doc *doc, struct bs_err *e)
{
    others[7] = NAN;
    put(doc, "enc_w", 40, 19, others, BS_DTYPE_F32, e);
}

static void
flat_dictionary(struct bs_doc *doc, struct bs_err *e)
{
    put(doc, "dec_w", 40 * 19, 0, others, BS_DTYPE_F32, e);
}

static void
relaxed_nothing(struct bs_doc *doc, struct bs_err *e)
{
    others[7] = 0;
    put(doc, "ra_relax", 40, 19, others, BS_DTYPE_F32, e);
}

int
main(void)
{
    struct bs_dev *dev;
    struct bs_err e = {0};

    if (bs_dev_open(&dev, "cpu", 2, &e) < 0)
        ok(0, "%s", e.text);
    golden_case("topk", dev);
    golden_case("batchtopk", dev);
    golden_case("layernorm", dev);
    bs_dev_close(dev);
    there_and_back();
    refused("not a model of bs-model(5)", no_version);
    refused("version '2'", next_version);
    refused("'select': 'best'", strange_rule);
    refused("'k': is missing", no_k);
    refused("'tau': too small", negative_tau);
    refused("'taus' belongs", no_thresholds);
    refused("'enc_b' has another shape", short_bias);
    refused("'enc_b' is I32", whole_numbers);
    refused("'enc_w': value 7 is not finite", not_finite);
    refused("'dec_w' is not [concepts, width]", flat_dictionary);
    refused("'ra_c' is missing", relaxed_nothing);
    return tap_done();
}
