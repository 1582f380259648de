/*
 * sae_file.c - the model file of bs-model(5), in and out; see sae.h.
 */
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "cmd/models/sae.h"
#include "common/dtype.h"
#include "common/io.h"
#include "common/mem.h"
#include "common/num.h"
#include "formats/digest.h"
#include "formats/doc.h"
#include "formats/safetensors.h"

#define VERSION "1"
#define CONCEPTS_MAX ((uint64_t)1 << 24)
#define WIDTH_MAX ((uint64_t)1 << 20)

const char *const bs_sae_select_names[] = {"topk", "batchtopk", "threshold",
                                           "jumprelu", NULL};

/* One tensor of the file: where it lies in memory, and its shape in words of
 * the model: 0 ends it. */
enum { CONCEPTS = 1, WIDTH, POINTS };

struct field {
    const char *name;
    size_t offset; /* of a float * in struct bs_sae */
    int shape[2];
};

#define FIELD(name, ...)                      \
    {                                         \
#name, offsetof(struct bs_sae, name), \
        {                                     \
            __VA_ARGS__                       \
        }                                     \
    }

static const struct field fields[] = {FIELD(enc_w, CONCEPTS, WIDTH),
                                      FIELD(enc_b, CONCEPTS),
                                      FIELD(pre_b, WIDTH),
                                      FIELD(ln_g, CONCEPTS),
                                      FIELD(ln_b, CONCEPTS),
                                      FIELD(taus, CONCEPTS),
                                      FIELD(dec_w, CONCEPTS, WIDTH),
                                      FIELD(dec_b, WIDTH),
                                      FIELD(ra_c, POINTS, WIDTH),
                                      FIELD(ra_w, CONCEPTS, POINTS),
                                      FIELD(ra_relax, CONCEPTS, WIDTH)};

static float **
slot(struct bs_sae *s, const struct field *f)
{
    return (float **)(void *)((char *)s + f->offset);
}

/* The field's shape in this model; returns its rank. */
static unsigned
shape_of(const struct bs_sae *s, const struct field *f, uint64_t shape[2])
{
    const size_t sizes[] = {0, s->concepts, s->width, s->points};
    unsigned rank = 0;

    for (; rank < 2 && f->shape[rank] != 0; rank++)
        shape[rank] = sizes[f->shape[rank]];
    return rank;
}

/* ---- loading ---------------------------------------------------------------
 */

/* A number that must be there, or one that may be (NULL is then fine). */
static int
read_u64(const struct bs_safetensors *f, const char *name, uint64_t min,
         uint64_t max, uint64_t *out, struct bs_err *e)
{
    const char *text = bs_safetensors_meta(f, name);
    const char *why =
        text != NULL ? bs_num_u64(text, min, max, out) : "is missing";

    return why == NULL
               ? 0
               : bs_err_set(e, BS_EX_DATA, "metadata '%s': %s", name, why);
}

static int
read_f32(const struct bs_safetensors *f, const char *name, double min,
         float *out, struct bs_err *e)
{
    const char *text = bs_safetensors_meta(f, name), *why;
    double value;

    if (text == NULL)
        return 0;
    why = bs_num_f64(text, min, FLT_MAX, &value);
    if (why != NULL)
        return bs_err_set(e, BS_EX_DATA, "metadata '%s': %s", name, why);
    *out = (float)value;
    return 0;
}

static int
read_metadata(struct bs_sae *s, const struct bs_safetensors *f,
              struct bs_err *e)
{
    const char *version = bs_safetensors_meta(f, "bs.sae");
    const char *select = bs_safetensors_meta(f, "select");
    const char *name = bs_safetensors_meta(f, "name");
    uint64_t k = 0;
    int r;

    if (version == NULL)
        return bs_err_set(e, BS_EX_DATA,
                          "not a model of bs-model(5); 'bs-sae import' reads "
                          "those of other programs");
    if (strcmp(version, VERSION) != 0)
        return bs_err_set(e, BS_EX_DATA,
                          "a model of version '%.20s', not " VERSION, version);
    s->select = BS_SAE_TOPK;
    while (
        bs_sae_select_names[s->select] != NULL &&
        (select == NULL || strcmp(select, bs_sae_select_names[s->select]) != 0))
        s->select++;
    if (bs_sae_select_names[s->select] == NULL)
        return bs_err_set(e, BS_EX_DATA,
                          "metadata 'select': '%.40s' is none "
                          "of topk, batchtopk, threshold, "
                          "jumprelu",
                          select != NULL ? select : "");
    snprintf(s->name, sizeof s->name, "%s", name != NULL ? name : "sae");
    s->ln_eps = 1e-5f;
    r = s->select == BS_SAE_TOPK || bs_safetensors_meta(f, "k") != NULL
            ? read_u64(f, "k", 1, UINT32_MAX, &k, e)
            : 0;
    s->k = (uint32_t)k;
    if (r == 0)
        r = read_f32(f, "tau", 0, &s->tau, e);
    if (r == 0)
        r = read_f32(f, "ln_eps", 0, &s->ln_eps, e);
    if (r == 0)
        r = read_f32(f, "ra_m", -FLT_MAX, &s->ra_m, e);
    return r < 0 ? r : read_f32(f, "ra_delta", 0, &s->ra_delta, e);
}

/* Concepts and width are those of the dictionary, points those of ra_c. */
static int
read_sizes(struct bs_sae *s, const struct bs_safetensors *f, struct bs_err *e)
{
    const struct bs_tensor *d = bs_safetensors_find(f, "dec_w");
    const struct bs_tensor *c = bs_safetensors_find(f, "ra_c");

    if (d == NULL)
        return bs_err_set(e, BS_EX_DATA, "tensor 'dec_w' is missing");
    if (d->rank != 2 || d->shape[0] < 1 || d->shape[0] > CONCEPTS_MAX ||
        d->shape[1] < 1 || d->shape[1] > WIDTH_MAX)
        return bs_err_set(e, BS_EX_DATA,
                          "tensor 'dec_w' is not [concepts, width] of "
                          "1..16777216 by 1..1048576");
    if (c != NULL &&
        (c->rank != 2 || c->shape[0] < 1 || c->shape[0] > CONCEPTS_MAX))
        return bs_err_set(e, BS_EX_DATA,
                          "tensor 'ra_c' is not [points, width]");
    s->concepts = (size_t)d->shape[0];
    s->width = (size_t)d->shape[1];
    s->points = c != NULL ? (size_t)c->shape[0] : 0;
    return 0;
}

static bool
is_float(enum bs_dtype type)
{
    return type == BS_DTYPE_F32 || type == BS_DTYPE_F16 ||
           type == BS_DTYPE_BF16;
}

/* The tensor's values as f32, every one finite. */
static int
read_values(float **out, const struct bs_tensor *t, struct bs_err *e)
{
    enum { PIECE = 4096 };
    size_t size = bs_dtype_size(t->dtype), n = t->bytes / size, i;
    uint64_t raw[PIECE / 2]; /* aligned, for any of the types */
    const char *from = t->data;

    *out = bs_alloc_array(n, sizeof **out);
    if (*out == NULL)
        return bs_err_memory(e, t->name, t->bytes);
    for (i = 0; i < n; i += PIECE) {
        size_t here = n - i < PIECE ? n - i : PIECE;

        memcpy(raw, from + i * size, here * size);
        bs_to_f32(*out + i, t->dtype, raw, here);
    }
    for (i = 0; i < n; i++)
        if (!(fabsf((*out)[i]) < INFINITY))
            return bs_err_set(e, BS_EX_DATA,
                              "tensor '%s': value %zu is not finite", t->name,
                              i);
    return 0;
}

static int
read_field(struct bs_sae *s, const struct bs_safetensors *files,
           const struct field *f, struct bs_err *e)
{
    const struct bs_tensor *t = bs_safetensors_find(files, f->name);
    uint64_t shape[2];
    unsigned rank = shape_of(s, f, shape);

    if (t == NULL)
        return 0;
    if (!is_float(t->dtype))
        return bs_err_set(e, BS_EX_DATA,
                          "tensor '%s' is %s, not F32, F16 or BF16", f->name,
                          bs_dtype_name(t->dtype));
    if (t->rank != rank || memcmp(t->shape, shape, rank * sizeof *shape) != 0)
        return bs_err_set(e, BS_EX_DATA,
                          "tensor '%s' has another shape than %ju concepts of "
                          "width %ju ask for",
                          f->name, (uintmax_t)s->concepts, (uintmax_t)s->width);
    return read_values(slot(s, f), t, e);
}

/* What must be there together. */
static int
check_parts(const struct bs_sae *s, struct bs_err *e)
{
    if (s->enc_w == NULL)
        return bs_err_set(e, BS_EX_DATA, "tensor 'enc_w' is missing");
    if ((s->ln_g == NULL) != (s->ln_b == NULL))
        return bs_err_set(e, BS_EX_DATA, "tensor '%s' is missing",
                          s->ln_g == NULL ? "ln_g" : "ln_b");
    if ((s->select == BS_SAE_JUMPRELU) != (s->taus != NULL))
        return bs_err_set(e, BS_EX_DATA,
                          "tensor 'taus' belongs to select jumprelu");
    if ((s->ra_w != NULL || s->ra_relax != NULL) && s->ra_c == NULL)
        return bs_err_set(e, BS_EX_DATA, "tensor 'ra_c' is missing");
    if (s->select == BS_SAE_TOPK && s->k > s->concepts)
        return bs_err_set(e, BS_EX_DATA, "k is %ju of %zu concepts",
                          (uintmax_t)s->k, s->concepts);
    return 0;
}

/* The model's content id: the SHA-256 of the file's bytes. */
static int
digest_of(const char *path, char hex[BS_SHA256_HEX_SIZE], struct bs_err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), r;

    if (fd < 0)
        return bs_err_errno(e, BS_EX_NOINPUT, "cannot open");
    r = bs_sha256_fd(fd, hex, e);
    close(fd);
    return r;
}

int
bs_sae_load(struct bs_sae *s, const char *path, struct bs_err *e)
{
    struct bs_safetensors *files;
    size_t i;
    int r = bs_safetensors_open(&files, path, e);

    *s = (struct bs_sae){0};
    if (r < 0)
        return r;
    r = read_metadata(s, files, e);
    if (r == 0)
        r = read_sizes(s, files, e);
    for (i = 0; i < BS_LEN(fields) && r == 0; i++)
        r = read_field(s, files, &fields[i], e);
    if (r == 0)
        r = check_parts(s, e);
    if (r == 0)
        r = digest_of(path, s->sha256, e);
    bs_safetensors_close(files);
    if (r < 0) {
        bs_sae_release(s);
        return bs_err_prefix(e, "cannot use '%s'", path);
    }
    return 0;
}

/* ---- saving ----------------------------------------------------------------
 */

static int
set_f32(struct bs_doc *doc, const char *name, float value, struct bs_err *e)
{
    return bs_doc_setf(doc, name, e, "%.9g", (double)value);
}

static int
fill_metadata(struct bs_doc *doc, const struct bs_sae *s, struct bs_err *e)
{
    int r = bs_doc_set(doc, "bs.sae", VERSION, e);

    if (r == 0)
        r = bs_doc_set(doc, "select", bs_sae_select_names[s->select], e);
    if (r == 0)
        r = bs_doc_set(doc, "name", s->name[0] != '\0' ? s->name : "sae", e);
    if (r == 0 && s->k > 0)
        r = bs_doc_setf(doc, "k", e, "%ju", (uintmax_t)s->k);
    if (r == 0 &&
        (s->select == BS_SAE_THRESHOLD || s->select == BS_SAE_BATCH_TOPK))
        r = set_f32(doc, "tau", s->tau, e);
    if (r == 0 && s->ln_g != NULL)
        r = set_f32(doc, "ln_eps", s->ln_eps, e);
    if (r == 0 && s->ra_c != NULL)
        r = set_f32(doc, "ra_m", s->ra_m, e);
    if (r == 0 && s->ra_c != NULL)
        r = set_f32(doc, "ra_delta", s->ra_delta, e);
    return r;
}

int
bs_sae_document(struct bs_doc *doc, const struct bs_sae *s, struct bs_err *e)
{
    struct bs_sae view = *s;
    size_t i;
    int r = fill_metadata(doc, s, e);

    for (i = 0; i < BS_LEN(fields) && r == 0; i++) {
        const float *data = *slot(&view, &fields[i]);
        uint64_t shape[2];
        unsigned rank = shape_of(s, &fields[i], shape);

        if (data != NULL)
            r = bs_doc_put(doc, fields[i].name, BS_DTYPE_F32, rank, shape, data,
                           e);
    }
    return r;
}

int
bs_sae_save(struct bs_sae *s, const struct bs_doc *more, const char *path,
            struct bs_err *e)
{
    struct bs_doc doc = {0};
    struct bs_out out;
    bool file = false;
    size_t i;
    int r = bs_sae_document(&doc, s, e);

    for (i = 0; more != NULL && i < more->metas && r == 0; i++)
        r = bs_doc_set(&doc, more->meta[i].name, more->meta[i].value, e);
    if (r == 0)
        r = bs_out_open(&out, path, e);
    if (r == 0) {
        file = out.path != NULL;
        r = bs_doc_save(&doc, out.fd, e);
        r = r < 0 ? bs_err_prefix(e, "cannot write '%s'", out.name)
                  : bs_out_commit(&out, e);
        if (r < 0)
            bs_out_abandon(&out);
    }
    bs_doc_release(&doc);
    /* what is no file cannot be read again */
    return r < 0 || !file ? r : digest_of(path, s->sha256, e);
}

void
bs_sae_release_encoder(struct bs_sae *s)
{
    float *dec_w = s->dec_w, *dec_b = s->dec_b;
    size_t i;

    s->dec_w = s->dec_b = NULL;
    for (i = 0; i < BS_LEN(fields); i++) {
        bs_free(*slot(s, &fields[i]));
        *slot(s, &fields[i]) = NULL;
    }
    s->dec_w = dec_w;
    s->dec_b = dec_b;
}

void
bs_sae_release(struct bs_sae *s)
{
    size_t i;

    for (i = 0; i < BS_LEN(fields); i++)
        bs_free(*slot(s, &fields[i]));
    *s = (struct bs_sae){0};
}
