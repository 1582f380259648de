/*
 * sae_export.c - see sae_export.h.  Memory: the model, and again what lies the
 * other way round there.
 */
#include "cmd/models/sae_export.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/io.h"
#include "common/mem.h"

/* What is written: borrows from the model, and owns what was made for it. */
struct sheet {
    const struct bs_sae *s;
    struct bs_doc doc;
    struct bs_buf cfg; /* text of cfg.json */
    float *made[8];
    size_t count;
};

static void
release(struct sheet *t)
{
    while (t->count > 0)
        bs_free(t->made[--t->count]);
    bs_doc_release(&t->doc);
    bs_buf_release(&t->cfg);
}

/* n floats, 0, that live as long as the sheet; NULL: no memory. */
static float *
make(struct sheet *t, size_t n, struct bs_err *e)
{
    float *p = bs_alloc_array(n, sizeof *p);

    if (p == NULL)
        (void)bs_err_memory(e, "weights", n * sizeof *p);
    else
        t->made[t->count++] = p;
    return p;
}

/* ---- tensors ---------------------------------------------------------------
 */

static int
put_vector(struct sheet *t, const char *name, const float *v, size_t n,
           struct bs_err *e)
{
    uint64_t shape = n;

    if (v == NULL)
        v = make(t, n, e);
    return v == NULL ? -e->code
                     : bs_doc_put(&t->doc, name, BS_DTYPE_F32, 1, &shape, v, e);
}

static int
put_scalar(struct sheet *t, const char *name, float value, struct bs_err *e)
{
    float *v = make(t, 1, e);

    if (v == NULL)
        return -e->code;
    *v = value;
    return bs_doc_put(&t->doc, name, BS_DTYPE_F32, 0, NULL, v, e);
}

static int
put_matrix(struct sheet *t, const char *name, const float *a, size_t rows,
           size_t columns, struct bs_err *e)
{
    uint64_t shape[2] = {rows, columns};

    return bs_doc_put(&t->doc, name, BS_DTYPE_F32, 2, shape, a, e);
}

/* a [concepts, width] as [width, concepts]. */
static int
put_turned(struct sheet *t, const char *name, const float *a, struct bs_err *e)
{
    enum { TILE = 32 };
    size_t rows = t->s->concepts, columns = t->s->width, i, j, y, x;
    float *to = make(t, rows * columns, e);

    if (to == NULL)
        return -e->code;
    for (i = 0; i < rows; i += TILE)
        for (j = 0; j < columns; j += TILE)
            for (y = i; y < rows && y < i + TILE; y++)
                for (x = j; x < columns && x < j + TILE; x++)
                    to[x * rows + y] = a[y * columns + x];
    return put_matrix(t, name, to, columns, rows, e);
}

/* The encoder's bias where the format subtracts `centre` (NULL: nothing) first
 * and not the model's pre_b: W (x - p) + b = W (x - c) + b + W (c - p). */
static int
put_bias(struct sheet *t, const char *name, const float *centre,
         struct bs_err *e)
{
    const struct bs_sae *s = t->s;
    float *bias;
    size_t j, c;

    if (centre == s->pre_b)
        return put_vector(t, name, s->enc_b, s->concepts, e);
    bias = make(t, s->concepts, e);
    if (bias == NULL)
        return -e->code;
    for (j = 0; j < s->concepts; j++) {
        double sum = s->enc_b != NULL ? (double)s->enc_b[j] : 0.0;

        for (c = 0; c < s->width; c++)
            sum += (double)s->enc_w[j * s->width + c] *
                   ((centre != NULL ? (double)centre[c] : 0.0) -
                    (s->pre_b != NULL ? (double)s->pre_b[c] : 0.0));
        bias[j] = (float)sum;
        if (!(fabsf(bias[j]) < INFINITY))
            return bs_err_set(e, BS_EX_DATA,
                              "the bias of concept %zu overflows", j);
    }
    return put_vector(t, name, bias, s->concepts, e);
}

static bool
same(const float *a, const float *b, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        if ((a != NULL ? a[i] : 0) != (b != NULL ? b[i] : 0))
            return false;
    return true;
}

/* What the format subtracts first and adds behind is one vector: dec_b; the
 * model's own pre_b where they are the same, so that no bias is folded. */
static const float *
shared_centre(const struct bs_sae *s)
{
    return same(s->pre_b, s->dec_b, s->width) ? s->pre_b : s->dec_b;
}

/* ---- what is refused -------------------------------------------------------
 */

static int
cannot(const char *what, enum bs_sae_format to, struct bs_err *e)
{
    return bs_err_set(e, BS_EX_DATA,
                      "cannot export: the model %s, which %s cannot express",
                      what, bs_sae_format_names[to]);
}

static int
no_norm(const struct bs_sae *s, enum bs_sae_format to, struct bs_err *e)
{
    return s->ln_g == NULL
               ? 0
               : cannot("has a layer norm over the concepts", to, e);
}

static int
only_topk(const struct bs_sae *s, enum bs_sae_format to, struct bs_err *e)
{
    char what[60];

    if (s->select == BS_SAE_TOPK)
        return 0;
    snprintf(what, sizeof what, "selects by '%s'",
             bs_sae_select_names[s->select]);
    return cannot(what, to, e);
}

/* ---- sparsify --------------------------------------------------------------
 */

static int
fill_sparsify(struct sheet *t, struct bs_err *e)
{
    const struct bs_sae *s = t->s;
    int r = no_norm(s, BS_SAE_FORMAT_SPARSIFY, e);

    if (r == 0)
        r = only_topk(s, BS_SAE_FORMAT_SPARSIFY, e);
    if (r == 0)
        r = put_matrix(t, "encoder.weight", s->enc_w, s->concepts, s->width, e);
    if (r == 0)
        r = put_bias(t, "encoder.bias", shared_centre(s), e);
    if (r == 0)
        r = put_matrix(t, "W_dec", s->dec_w, s->concepts, s->width, e);
    if (r == 0)
        r = put_vector(t, "b_dec", s->dec_b, s->width, e);
    return r < 0 ? r
                 : bs_buf_printf(&t->cfg, e,
                                 "{\"activation\": \"topk\", "
                                 "\"expansion_factor\": 32, "
                                 "\"normalize_decoder\": false, "
                                 "\"num_latents\": %zu, \"k\": %ju, "
                                 "\"multi_topk\": false, "
                                 "\"skip_connection\": false, "
                                 "\"transcode\": false, \"d_in\": %zu}\n",
                                 s->concepts, (uintmax_t)s->k, s->width);
}

/* ---- SAELens ---------------------------------------------------------------
 */

/* JumpReLU fires above a concept's threshold; ours of one tau from it on. */
static int
put_threshold(struct sheet *t, struct bs_err *e)
{
    const struct bs_sae *s = t->s;
    float *v;
    size_t j;

    if (s->select == BS_SAE_JUMPRELU)
        return put_vector(t, "threshold", s->taus, s->concepts, e);
    v = make(t, s->concepts, e);
    if (v == NULL)
        return -e->code;
    for (j = 0; j < s->concepts; j++)
        v[j] = nextafterf(s->tau, -INFINITY);
    return put_vector(t, "threshold", v, s->concepts, e);
}

static int
lens_cfg(struct sheet *t, bool centred, struct bs_err *e)
{
    const struct bs_sae *s = t->s;
    int r = bs_buf_printf(&t->cfg, e,
                          "{\"architecture\": \"%s\", \"d_in\": %zu, "
                          "\"d_sae\": %zu, ",
                          s->select == BS_SAE_TOPK ? "topk" : "jumprelu",
                          s->width, s->concepts);

    if (r == 0 && s->select == BS_SAE_TOPK)
        r = bs_buf_printf(&t->cfg, e,
                          "\"k\": %ju, "
                          "\"rescale_acts_by_decoder_norm\": false, ",
                          (uintmax_t)s->k);
    return r < 0 ? r
                 : bs_buf_printf(&t->cfg, e,
                                 "\"dtype\": \"float32\", "
                                 "\"device\": \"cpu\", "
                                 "\"apply_b_dec_to_input\": %s, "
                                 "\"normalize_activations\": \"none\", "
                                 "\"reshape_activations\": \"none\", "
                                 "\"metadata\": "
                                 "{\"sae_lens_version\": \"6.0.0\"}}\n",
                                 centred ? "true" : "false");
}

static int
fill_saelens(struct sheet *t, struct bs_err *e)
{
    const struct bs_sae *s = t->s;
    bool centred = s->pre_b != NULL;
    int r = no_norm(s, BS_SAE_FORMAT_SAELENS, e);

    if (r == 0)
        r = put_turned(t, "W_enc", s->enc_w, e);
    if (r == 0)
        r = put_bias(t, "b_enc", centred ? shared_centre(s) : NULL, e);
    if (r == 0)
        r = put_matrix(t, "W_dec", s->dec_w, s->concepts, s->width, e);
    if (r == 0)
        r = put_vector(t, "b_dec", s->dec_b, s->width, e);
    if (r == 0 && s->select != BS_SAE_TOPK)
        r = put_threshold(t, e);
    return r < 0 ? r : lens_cfg(t, centred, e);
}

/* ---- OpenAI ----------------------------------------------------------------
 */

static int
fill_openai(struct sheet *t, struct bs_err *e)
{
    const struct bs_sae *s = t->s;
    uint64_t concepts = s->concepts;
    float *zeros;
    int r = no_norm(s, BS_SAE_FORMAT_OPENAI, e);

    if (r == 0)
        r = only_topk(s, BS_SAE_FORMAT_OPENAI, e);
    if (r == 0)
        r = put_matrix(t, "encoder.weight", s->enc_w, s->concepts, s->width, e);
    if (r == 0)
        r = put_bias(t, "latent_bias", shared_centre(s), e);
    if (r == 0)
        r = put_turned(t, "decoder.weight", s->dec_w, e);
    if (r == 0)
        r = put_vector(t, "pre_bias", s->dec_b, s->width, e);
    zeros = r == 0 ? make(t, 2 * s->concepts, e) : NULL;
    if (zeros == NULL)
        return -e->code;
    r = bs_doc_put(&t->doc, "stats_last_nonzero", BS_DTYPE_I64, 1, &concepts,
                   zeros, e);
    return r < 0 ? r : bs_doc_setf(&t->doc, "k", e, "%ju", (uintmax_t)s->k);
}

/* ---- overcomplete ----------------------------------------------------------
 */

static int
put_dictionary(struct sheet *t, struct bs_err *e)
{
    const struct bs_sae *s = t->s;
    int r;

    if (s->ra_c == NULL || s->ra_w == NULL || s->ra_relax == NULL) {
        r = put_matrix(t, "dictionary._weights", s->dec_w, s->concepts,
                       s->width, e);
        if (r == 0)
            r = put_scalar(t, "dictionary.multiplier", 0, e);
        return r < 0 ? r : bs_doc_set(&t->doc, "normalization", "identity", e);
    }
    r = put_matrix(t, "dictionary.C", s->ra_c, s->points, s->width, e);
    if (r == 0)
        r = put_matrix(t, "dictionary.W", s->ra_w, s->concepts, s->points, e);
    if (r == 0)
        r = put_matrix(t, "dictionary.Relax", s->ra_relax, s->concepts,
                       s->width, e);
    if (r == 0)
        r = put_scalar(t, "dictionary.multiplier", s->ra_m, e);
    return r < 0
               ? r
               : bs_doc_setf(&t->doc, "delta", e, "%.9g", (double)s->ra_delta);
}

/* JumpSAE keeps what reaches exp(threshold). */
static int
put_jumps(struct sheet *t, struct bs_err *e)
{
    const struct bs_sae *s = t->s;
    float *v = make(t, s->concepts, e);
    size_t j;

    if (v == NULL)
        return -e->code;
    for (j = 0; j < s->concepts; j++)
        v[j] = logf(nextafterf(fmaxf(s->taus[j], 0), INFINITY));
    return put_vector(t, "thresholds", v, s->concepts, e);
}

static int
put_selection(struct sheet *t, struct bs_err *e)
{
    const struct bs_sae *s = t->s;
    const char *name = s->select == BS_SAE_TOPK       ? "TopKSAE"
                       : s->select == BS_SAE_JUMPRELU ? "JumpSAE"
                                                      : "BatchTopKSAE";
    int r = bs_doc_set(&t->doc, "class", name, e);

    if (r < 0)
        return r;
    if (s->select == BS_SAE_JUMPRELU)
        return put_jumps(t, e);
    if (s->select == BS_SAE_TOPK)
        return bs_doc_setf(&t->doc, "top_k", e, "%ju", (uintmax_t)s->k);
    return bs_doc_setf(&t->doc, "running_threshold", e, "%.9g", (double)s->tau);
}

static int
fill_overcomplete(struct sheet *t, struct bs_err *e)
{
    const struct bs_sae *s = t->s;
    int r = 0;

    if (!same(s->dec_b, NULL, s->dec_b != NULL ? s->width : 0))
        r = cannot("adds a bias behind the dictionary",
                   BS_SAE_FORMAT_OVERCOMPLETE, e);
    if (r == 0 && s->ln_g != NULL && s->ln_eps != 1e-5f)
        r = cannot("has a layer norm of another epsilon than 1e-5",
                   BS_SAE_FORMAT_OVERCOMPLETE, e);
    if (r == 0)
        r = put_matrix(t, "encoder.final_block.0.weight", s->enc_w, s->concepts,
                       s->width, e);
    if (r == 0)
        r = put_bias(t, "encoder.final_block.0.bias", NULL, e);
    if (r == 0 && s->ln_g != NULL)
        r = put_vector(t, "encoder.final_block.1.weight", s->ln_g, s->concepts,
                       e);
    if (r == 0 && s->ln_g != NULL)
        r = put_vector(t, "encoder.final_block.1.bias", s->ln_b, s->concepts,
                       e);
    if (r == 0)
        r = put_dictionary(t, e);
    return r < 0 ? r : put_selection(t, e);
}

/* ---- files -----------------------------------------------------------------
 */

static const struct target {
    int (*fill)(struct sheet *t, struct bs_err *e);
    const char *weights; /* the file's name in a folder, or NULL */
} targets[] = {
    [BS_SAE_FORMAT_SPARSIFY] = {fill_sparsify, "sae.safetensors"},
    [BS_SAE_FORMAT_SAELENS] = {fill_saelens, "sae_weights.safetensors"},
    [BS_SAE_FORMAT_OPENAI] = {fill_openai, NULL},
    [BS_SAE_FORMAT_OVERCOMPLETE] = {fill_overcomplete, NULL},
};

bool
bs_sae_export_folder(enum bs_sae_format to)
{
    return targets[to].weights != NULL;
}

/* Write the weights (name NULL) or a text to a file that appears at once. */
static int
write_file(const struct sheet *t, const char *path, bool weights,
           struct bs_err *e)
{
    struct bs_out out;
    int r = bs_out_open(&out, path, e);

    if (r < 0)
        return r;
    if (weights)
        r = bs_doc_save(&t->doc, out.fd, e);
    else if (bs_write(out.fd, t->cfg.data, t->cfg.len) < 0)
        r = bs_err_errno(e, BS_EX_IO, "write failed");
    r = r < 0 ? bs_err_prefix(e, "cannot write '%s'", out.name)
              : bs_out_commit(&out, e);
    if (r < 0)
        bs_out_abandon(&out);
    return r;
}

static int
write_within(const struct sheet *t, const char *folder, const char *name,
             bool weights, struct bs_err *e)
{
    struct bs_buf path = {0};
    int r = bs_buf_printf(&path, e, "%s/%s", folder, name);

    if (r == 0)
        r = bs_buf_add(&path, "", 1, e);
    if (r == 0)
        r = write_file(t, (const char *)path.data, weights, e);
    bs_buf_release(&path);
    return r;
}

static int
write_all(const struct sheet *t, const char *weights, const char *path,
          struct bs_err *e)
{
    int r;

    if (weights == NULL)
        return write_file(t, path, true, e);
    if (mkdir(path, 0777) < 0 && errno != EEXIST)
        return bs_err_errno(e, BS_EX_IO, "cannot make '%s'", path);
    r = write_within(t, path, weights, true, e);
    return r < 0 ? r : write_within(t, path, "cfg.json", false, e);
}

int
bs_sae_export(const struct bs_sae *s, enum bs_sae_format to,
              const struct bs_doc *more, const char *path, struct bs_err *e)
{
    struct sheet t = {.s = s};
    size_t i;
    int r = targets[to].fill(&t, e);

    for (i = 0; more != NULL && i < more->metas && r == 0; i++)
        r = bs_doc_set(&t.doc, more->meta[i].name, more->meta[i].value, e);
    if (r == 0)
        r = write_all(&t, targets[to].weights, path, e);
    release(&t);
    return r;
}
