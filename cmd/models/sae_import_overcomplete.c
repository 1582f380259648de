/*
 * sae_import_overcomplete.c - state dicts of overcomplete: TopK, BatchTopK and
 * Jump autoencoders with a plain or a relaxed archetypal dictionary; see
 * sae_import.h.
 *
 * A state dict lacks what is an attribute of the Python object: k, the running
 * threshold, delta, the normalisation.  The converter of the pickle writes them
 * as metadata under the names that they have there.
 */
#include <float.h>
#include <math.h>

#include "cmd/models/sae_import_own.h"
#include "common/mem.h"
#include "common/num.h"

static const char *const known[] = {"encoder.final_block.0.weight",
                                    "encoder.final_block.0.bias",
                                    "encoder.final_block.1.weight",
                                    "encoder.final_block.1.bias",
                                    "encoder.final_block.1.running_mean",
                                    "encoder.final_block.1.running_var",
                                    "encoder.final_block.1.num_batches_tracked",
                                    "encoder.weight",
                                    "encoder.bias",
                                    "thresholds",
                                    "dictionary._weights",
                                    "dictionary.multiplier",
                                    "dictionary.C",
                                    "dictionary.W",
                                    "dictionary.Relax",
                                    "encoder.tied_to._weights",
                                    "encoder.tied_to.multiplier",
                                    "encoder.tied_to.C",
                                    "encoder.tied_to.W",
                                    "encoder.tied_to.Relax",
                                    NULL};

/* ---- attributes ------------------------------------------------------------
 */

static bool
is_class(const struct bs_import *in, const char *name)
{
    const char *said = bs_safetensors_meta(in->files, "class");

    return said != NULL && strcmp(said, name) == 0;
}

/* A number of the metadata, where it is there. */
static int
attribute(double *out, const struct bs_import *in, const char *name,
          struct bs_err *e)
{
    const char *text = bs_safetensors_meta(in->files, name), *why;

    if (text == NULL)
        return 0;
    why = bs_num_f64(text, 0, FLT_MAX, out);
    return why == NULL
               ? 0
               : bs_err_set(e, BS_EX_DATA, "metadata '%s': %s", name, why);
}

static int
thresholds(struct bs_sae *s, const struct bs_import *in, struct bs_err *e)
{
    size_t j;
    int r;

    if (in->options->k > 0 || !isnan(in->options->tau))
        return bs_err_set(e, BS_EX_USAGE,
                          "has a threshold of each concept: '-k' and '--tau' "
                          "are not for it");
    r = bs_import_vector(&s->taus, in, "thresholds", s->concepts, e);
    /* What reaches exp(threshold) is kept; here, what is above tau. */
    for (j = 0; r == 0 && j < s->concepts; j++) {
        float least = expf(s->taus[j]);

        s->taus[j] = nextafterf(least, -INFINITY);
        if (!(least < INFINITY))
            r = bs_err_set(e, BS_EX_DATA,
                           "the threshold of concept %zu overflows", j);
    }
    s->select = BS_SAE_JUMPRELU;
    return r;
}

/* k alone: topk; tau alone: threshold; both: k on average in training, tau
 * afterwards. */
static int
select_codes(struct bs_sae *s, const struct bs_import *in, struct bs_err *e)
{
    double tau = in->options->tau, k = 0;
    int r = 0;

    if (bs_import_find(in, "thresholds") != NULL)
        return thresholds(s, in, e);
    if (isnan(tau) && in->options->k == 0) {
        r = attribute(&tau, in, "running_threshold", e);
        if (r == 0 && is_class(in, "TopKSAE"))
            r = attribute(&k, in, "top_k", e);
    }
    if (r < 0)
        return r;
    if (isnan(tau) && is_class(in, "BatchTopKSAE") && in->options->k == 0)
        return bs_err_set(e, BS_EX_USAGE,
                          "says no threshold: '--tau' is "
                          "needed (the released RA-SAE: "
                          "0.829)");
    if (isnan(tau) && k < 1 && in->options->k == 0)
        return bs_err_set(e, BS_EX_USAGE,
                          "says neither k nor a threshold: '-k', '--tau' or "
                          "both are needed");
    if (isnan(tau))
        return bs_import_topk(s, in, k < UINT32_MAX ? (uint64_t)k : UINT32_MAX,
                              e);
    if (in->options->k > s->concepts)
        return bs_err_set(e, BS_EX_DATA, "k is %ju of %zu concepts",
                          (uintmax_t)in->options->k, s->concepts);
    s->select = in->options->k > 0 ? BS_SAE_BATCH_TOPK : BS_SAE_THRESHOLD;
    s->k = in->options->k;
    s->tau = (float)tau;
    return s->tau > 0
               ? 0
               : bs_err_set(e, BS_EX_DATA, "its threshold is not above 0");
}

/* ---- dictionary ------------------------------------------------------------
 */

static int
atoms_rule(enum bs_sae_atoms *out, const struct bs_import *in, struct bs_err *e)
{
    const char *said = bs_safetensors_meta(in->files, "normalization");
    int i;

    *out = BS_SAE_ATOMS_L2;
    if (in->options->atoms >= 0)
        *out = (enum bs_sae_atoms)in->options->atoms;
    if (in->options->atoms >= 0 || said == NULL)
        return 0;
    for (i = 0; bs_sae_atoms_names[i] != NULL; i++)
        if (strcmp(said, bs_sae_atoms_names[i]) == 0) {
            *out = (enum bs_sae_atoms)i;
            return 0;
        }
    return bs_err_set(
        e, BS_EX_DATA,
        "metadata 'normalization': '%.40s' is none of l2, max_l2, "
        "l1, max_l1, identity",
        said);
}

static double
norm(const float *x, size_t n, bool absolute)
{
    double sum = 0;
    size_t i;

    for (i = 0; i < n; i++)
        sum += absolute ? fabs((double)x[i]) : (double)x[i] * (double)x[i];
    return absolute ? sum : sqrt(sum);
}

/* dec_w = rows of length 1, or of at most 1, times exp(m). */
static int
scale_atoms(struct bs_sae *s, enum bs_sae_atoms rule, double scale,
            struct bs_err *e)
{
    bool absolute = rule == BS_SAE_ATOMS_L1 || rule == BS_SAE_ATOMS_MAX_L1;
    bool by_row = rule == BS_SAE_ATOMS_L1 || rule == BS_SAE_ATOMS_L2;
    double most = 0;
    size_t j, c;

    for (j = 0; j < s->concepts && !by_row; j++)
        most = fmax(most, norm(s->dec_w + j * s->width, s->width, absolute));
    if (!by_row && rule != BS_SAE_ATOMS_IDENTITY && most == 0)
        return bs_err_set(e, BS_EX_DATA, "every atom is zero");
    for (j = 0; j < s->concepts; j++) {
        float *row = s->dec_w + j * s->width;
        double by = rule == BS_SAE_ATOMS_IDENTITY ? 1
                    : by_row ? norm(row, s->width, absolute) + 1e-8
                             : most;

        for (c = 0; c < s->width; c++)
            row[c] = (float)((double)row[c] / by * scale);
    }
    return 0;
}

static int
plain_dictionary(struct bs_sae *s, const struct bs_import *in, struct bs_err *e)
{
    enum bs_sae_atoms rule;
    float m = 0;
    int r = atoms_rule(&rule, in, e);

    if (r == 0)
        r = bs_import_scalar(&m, in, "dictionary.multiplier", e);
    if (r == 0)
        r = bs_import_matrix(&s->dec_w, in, "dictionary._weights", s->concepts,
                             s->width, false, e);
    return r < 0 ? r : scale_atoms(s, rule, exp((double)m), e);
}

static int
dictionary(struct bs_sae *s, const struct bs_import *in, struct bs_err *e)
{
    double delta = 1;
    int r;

    if (bs_import_find(in, "dictionary.C") == NULL)
        return plain_dictionary(s, in, e);
    r = attribute(&delta, in, "delta", e);
    s->ra_delta =
        (float)(isnan(in->options->delta) ? delta : in->options->delta);
    return r < 0 ? r : bs_import_archetypal(s, in, e);
}

/* ---- encoder ---------------------------------------------------------------
 */

/* A batch norm as it is after training, gain (u - mean) / sqrt(var + eps) +
 * bias, is part of the linear map before it. */
static int
fold_batch_norm(struct bs_sae *s, const struct bs_import *in, struct bs_err *e)
{
    float *mean = NULL, *var = NULL;
    size_t j, c;
    int r = bs_import_vector(&mean, in, "encoder.final_block.1.running_mean",
                             s->concepts, e);

    if (r == 0)
        r = bs_import_vector(&var, in, "encoder.final_block.1.running_var",
                             s->concepts, e);
    for (j = 0; j < s->concepts && r == 0; j++) {
        double gain = (double)s->ln_g[j] / sqrt((double)var[j] + 1e-5);

        if (!(var[j] >= 0))
            r = bs_err_set(e, BS_EX_DATA,
                           "tensor 'encoder.final_block.1.running_var': value "
                           "%zu is negative",
                           j);
        for (c = 0; c < s->width; c++)
            s->enc_w[j * s->width + c] =
                (float)((double)s->enc_w[j * s->width + c] * gain);
        s->enc_b[j] = (float)(((double)s->enc_b[j] - (double)mean[j]) * gain +
                              (double)s->ln_b[j]);
    }
    bs_free(mean);
    bs_free(var);
    bs_free(s->ln_g);
    bs_free(s->ln_b);
    s->ln_g = s->ln_b = NULL;
    return r;
}

/* One linear layer and, perhaps, a norm. */
static int
linear_encoder(struct bs_sae *s, const struct bs_import *in, struct bs_err *e)
{
    int r = bs_import_matrix(&s->enc_w, in, "encoder.final_block.0.weight",
                             s->concepts, s->width, false, e);

    if (r == 0)
        r = bs_import_vector(&s->enc_b, in, "encoder.final_block.0.bias",
                             s->concepts, e);
    if (r < 0 || (bs_import_find(in, "encoder.final_block.1.weight") == NULL &&
                  bs_import_find(in, "encoder.final_block.1.bias") == NULL))
        return r;
    r = bs_import_vector(&s->ln_g, in, "encoder.final_block.1.weight",
                         s->concepts, e);
    if (r == 0)
        r = bs_import_vector(&s->ln_b, in, "encoder.final_block.1.bias",
                             s->concepts, e);
    if (r < 0 ||
        bs_import_find(in, "encoder.final_block.1.running_var") == NULL)
        return r;
    return fold_batch_norm(s, in, e);
}

static int
tied_encoder(struct bs_sae *s, struct bs_err *e)
{
    size_t n = s->concepts * s->width;

    s->enc_w = bs_alloc_array(s->concepts, s->width * sizeof *s->enc_w);
    if (s->enc_w == NULL)
        return bs_err_memory(e, "encoder", n * sizeof *s->enc_w);
    memcpy(s->enc_w, s->dec_w, n * sizeof *s->enc_w);
    return 0;
}

/* One weight a concept and width, its own or the dictionary's; bias or none. */
static int
tieable_encoder(struct bs_sae *s, const struct bs_import *in, struct bs_err *e)
{
    int r;

    if (bs_import_find(in, "encoder.weight") != NULL)
        r = bs_import_matrix(&s->enc_w, in, "encoder.weight", s->concepts,
                             s->width, false, e);
    else if (bs_import_find(in, "encoder.tied_to.multiplier") != NULL)
        r = tied_encoder(s, e);
    else
        return bs_err_set(e, BS_EX_DATA,
                          "tensor '%sencoder.final_block.0.weight' is missing",
                          in->prefix);
    return r < 0 || bs_import_find(in, "encoder.bias") == NULL
               ? r
               : bs_import_vector(&s->enc_b, in, "encoder.bias", s->concepts,
                                  e);
}

int
bs_import_overcomplete(struct bs_sae *s, const struct bs_import *in,
                       struct bs_err *e)
{
    bool archetypal = bs_import_find(in, "dictionary.C") != NULL;
    int r = bs_import_known(in, known, e);

    if (r == 0)
        r = bs_import_sizes_of(
            s, in, archetypal ? "dictionary.Relax" : "dictionary._weights", e);
    if (r == 0)
        r = select_codes(s, in, e);
    if (r == 0)
        r = dictionary(s, in, e);
    if (r < 0)
        return r;
    return bs_import_find(in, "encoder.final_block.0.weight") != NULL
               ? linear_encoder(s, in, e)
               : tieable_encoder(s, in, e);
}
