/*
 * sae_import_hub.c - autoencoders of sparsify, SAELens and OpenAI; see
 * sae_import.h.
 */
#include <math.h>
#include <stdio.h>

#include "cmd/models/sae_import_own.h"
#include "common/mem.h"
#include "common/num.h"

static int
duplicate(float **out, const float *from, size_t n, struct bs_err *e)
{
    *out = bs_alloc_array(n, sizeof **out);
    if (*out == NULL)
        return bs_err_memory(e, "bias", n * sizeof **out);
    memcpy(*out, from, n * sizeof **out);
    return 0;
}

/* ---- sparsify --------------------------------------------------------------
 */

/* Settings that change what the autoencoder computes. */
static int
sparsify_settings(const struct bs_import *in, struct bs_err *e)
{
    static const char *const flags[] = {"skip_connection", "transcode",
                                        "signed"};
    const char *activation = "topk";
    size_t i;
    int r = bs_import_cfg_text(in, "activation", &activation, e);

    if (r >= 0 && strcmp(activation, "topk") != 0)
        r = bs_err_set(e, BS_EX_DATA,
                       "cfg.json: activation '%.40s' cannot be expressed",
                       activation);
    for (i = 0; i < BS_LEN(flags) && r >= 0; i++) {
        bool set = false;

        r = bs_import_cfg_bool(in, flags[i], &set, e);
        if (set)
            r = bs_err_set(e, BS_EX_DATA, "cfg.json: '%s' cannot be expressed",
                           flags[i]);
    }
    return r;
}

int
bs_import_sparsify(struct bs_sae *s, const struct bs_import *in,
                   struct bs_err *e)
{
    static const char *const known[] = {"encoder.weight", "encoder.bias",
                                        "W_dec", "b_dec", NULL};
    uint64_t k = 0;
    int r = sparsify_settings(in, e);

    if (r >= 0)
        r = bs_import_known(in, known, e);
    if (r >= 0)
        r = bs_import_sizes(s, in, "encoder.bias", "b_dec", e);
    if (r >= 0)
        r = bs_import_cfg_size(in, "d_in", s->width, e);
    if (r >= 0)
        r = bs_import_cfg_size(in, "num_latents", s->concepts, e);
    if (r >= 0)
        r = bs_import_cfg_u64(in, "k", UINT32_MAX, &k, e);
    if (r >= 0)
        r = bs_import_topk(s, in, k, e);
    if (r >= 0)
        r = bs_import_matrix(&s->enc_w, in, "encoder.weight", s->concepts,
                             s->width, false, e);
    if (r >= 0)
        r = bs_import_vector(&s->enc_b, in, "encoder.bias", s->concepts, e);
    if (r >= 0)
        r = bs_import_matrix(&s->dec_w, in, "W_dec", s->concepts, s->width,
                             false, e);
    if (r >= 0)
        r = bs_import_vector(&s->dec_b, in, "b_dec", s->width, e);
    return r < 0 ? r : duplicate(&s->pre_b, s->dec_b, s->width, e);
}

/* ---- SAELens ---------------------------------------------------------------
 */

struct lens {
    const char *architecture; /* "topk", "jumprelu", "standard" */
    uint64_t k;
    bool centred;  /* apply_b_dec_to_input */
    bool rescaled; /* rescale_acts_by_decoder_norm */
};

/* Before version 6, a top-k autoencoder was a standard one with another
 * activation function. */
static int
lens_architecture(struct lens *l, const struct bs_import *in, struct bs_err *e)
{
    static const char *const keys[] = {"activation_fn_str", "activation_fn"};
    const struct bs_json *args = bs_json_get(in->cfg, "activation_fn_kwargs");
    const char *function = "relu";
    size_t i;
    int r = bs_import_cfg_text(in, "architecture", &l->architecture, e);

    for (i = 0; i < BS_LEN(keys) && r >= 0; i++)
        r = bs_import_cfg_text(in, keys[i], &function, e);
    if (r >= 0 && strcmp(function, "topk") == 0) {
        l->architecture = "topk";
        bs_json_get_u64(args, "k", UINT32_MAX, &l->k);
    } else if (r >= 0 && strcmp(function, "relu") != 0)
        r = bs_err_set(e, BS_EX_DATA,
                       "cfg.json: activation function '%.40s' cannot be "
                       "expressed",
                       function);
    if (r >= 0)
        r = bs_import_cfg_u64(in, "k", UINT32_MAX, &l->k, e);
    return r;
}

/* Input that is scaled token by token; a boolean before version 6. */
static int
lens_normalisation(const struct bs_import *in, struct bs_err *e)
{
    const struct bs_json *v = bs_json_get(in->cfg, "normalize_activations");

    if (v == NULL || v->type == BS_JSON_NULL ||
        (v->type == BS_JSON_BOOL && !v->truth) ||
        (v->type == BS_JSON_STRING && strcmp(v->text, "none") == 0))
        return 0;
    return bs_err_set(e, BS_EX_DATA,
                      "cfg.json: 'normalize_activations' is '%.40s', which "
                      "cannot be expressed",
                      v->type == BS_JSON_STRING ? v->text : "true");
}

static int
lens_settings(struct lens *l, const struct bs_import *in, struct bs_err *e)
{
    int r;

    *l = (struct lens){.architecture = "standard", .centred = true};
    if (in->cfg == NULL)
        return bs_err_set(e, BS_EX_DATA,
                          "there is no cfg.json beside the weights");
    r = lens_architecture(l, in, e);
    if (r >= 0)
        r = lens_normalisation(in, e);
    if (r >= 0)
        r = bs_import_cfg_bool(in, "apply_b_dec_to_input", &l->centred, e);
    if (r >= 0)
        r = bs_import_cfg_bool(in, "rescale_acts_by_decoder_norm", &l->rescaled,
                               e);
    if (r >= 0 && strcmp(l->architecture, "topk") != 0 &&
        strcmp(l->architecture, "jumprelu") != 0 &&
        strcmp(l->architecture, "standard") != 0)
        r = bs_err_set(e, BS_EX_DATA,
                       "cfg.json: architecture '%.40s' cannot be expressed",
                       l->architecture);
    return r < 0 ? r : 0;
}

/* Codes are chosen by pre |atom| and mean that much of a unit atom: the lengths
 * go into the encoder. */
static int
fold_lengths(struct bs_sae *s, struct bs_err *e)
{
    size_t j, c;

    for (j = 0; j < s->concepts; j++) {
        float *enc = s->enc_w + j * s->width, *dec = s->dec_w + j * s->width;
        double sum = 0, length;

        for (c = 0; c < s->width; c++)
            sum += (double)dec[c] * (double)dec[c];
        length = sqrt(sum);
        if (length == 0)
            return bs_err_set(e, BS_EX_DATA,
                              "tensor 'W_dec': row %zu is zero, but "
                              "'rescale_acts_by_decoder_norm' divides by it",
                              j);
        for (c = 0; c < s->width; c++) {
            enc[c] = (float)((double)enc[c] * length);
            dec[c] = (float)((double)dec[c] / length);
        }
        s->enc_b[j] = (float)((double)s->enc_b[j] * length);
    }
    return 0;
}

/* Old files may hold a gain of the outputs, which was all ones in most. */
static int
lens_gain(const struct bs_sae *s, const struct bs_import *in, struct bs_err *e)
{
    float *gain = NULL;
    size_t j;
    int r;

    if (bs_import_find(in, "scaling_factor") == NULL)
        return 0;
    r = bs_import_vector(&gain, in, "scaling_factor", s->concepts, e);
    for (j = 0; j < s->concepts && r == 0; j++)
        if (gain[j] != 1)
            r = bs_err_set(e, BS_EX_DATA,
                           "tensor 'scaling_factor': value %zu is not 1, which "
                           "cannot be expressed",
                           j);
    bs_free(gain);
    return r;
}

static int
lens_weights(struct bs_sae *s, const struct bs_import *in, const struct lens *l,
             struct bs_err *e)
{
    int r = bs_import_matrix(&s->enc_w, in, "W_enc", s->concepts, s->width,
                             true, e);

    if (r == 0)
        r = bs_import_vector(&s->enc_b, in, "b_enc", s->concepts, e);
    if (r == 0)
        r = bs_import_matrix(&s->dec_w, in, "W_dec", s->concepts, s->width,
                             false, e);
    if (r == 0)
        r = bs_import_vector(&s->dec_b, in, "b_dec", s->width, e);
    if (r == 0 && l->centred)
        r = duplicate(&s->pre_b, s->dec_b, s->width, e);
    if (r == 0)
        r = lens_gain(s, in, e);
    return r < 0 || !l->rescaled ? r : fold_lengths(s, e);
}

int
bs_import_saelens(struct bs_sae *s, const struct bs_import *in,
                  struct bs_err *e)
{
    static const char *const known[] = {"W_enc", "b_enc",     "W_dec",
                                        "b_dec", "threshold", "scaling_factor",
                                        NULL};
    struct lens l;
    int r = lens_settings(&l, in, e);

    if (r == 0)
        r = bs_import_known(in, known, e);
    if (r == 0)
        r = bs_import_sizes(s, in, "b_enc", "b_dec", e);
    if (r == 0)
        r = bs_import_cfg_size(in, "d_in", s->width, e);
    if (r == 0)
        r = bs_import_cfg_size(in, "d_sae", s->concepts, e);
    if (r < 0)
        return r;
    if (strcmp(l.architecture, "topk") == 0)
        r = bs_import_topk(s, in, l.k, e);
    else if (in->options->k > 0 || !isnan(in->options->tau))
        r = bs_err_set(e, BS_EX_USAGE,
                       "has a threshold of each concept: '-k' and '--tau' are "
                       "not for it");
    else if (strcmp(l.architecture, "jumprelu") == 0)
        r = bs_import_vector(&s->taus, in, "threshold", s->concepts, e);
    else
        r = bs_import_relu(s, e);
    if (r == 0 && strcmp(l.architecture, "jumprelu") == 0)
        s->select = BS_SAE_JUMPRELU;
    return r < 0 ? r : lens_weights(s, in, &l, e);
}

/* ---- OpenAI ----------------------------------------------------------------
 */

/* What model.py saves names its activation; TopK then means that every token is
 * normalised first.  What train.py trains has neither. */
static int
openai_activation(struct bs_sae *s, const struct bs_import *in,
                  struct bs_err *e)
{
    const char *activation = bs_safetensors_meta(in->files, "activation");
    const char *said = bs_safetensors_meta(in->files, "k"), *why;
    uint64_t k = 0;

    if (activation != NULL && strcmp(activation, "ReLU") == 0)
        return bs_import_relu(s, e);
    if (activation != NULL && strcmp(activation, "TopK") == 0)
        return bs_err_set(e, BS_EX_DATA,
                          "activation 'TopK' normalises every token, which "
                          "cannot be expressed");
    if (activation != NULL)
        return bs_err_set(e, BS_EX_DATA,
                          "activation '%.40s' cannot be expressed", activation);
    why = said != NULL ? bs_num_u64(said, 1, UINT32_MAX, &k) : NULL;
    if (why != NULL)
        return bs_err_set(e, BS_EX_DATA, "metadata 'k': %s", why);
    return bs_import_topk(s, in, k, e);
}

int
bs_import_openai(struct bs_sae *s, const struct bs_import *in, struct bs_err *e)
{
    static const char *const known[] = {"encoder.weight",
                                        "decoder.weight",
                                        "pre_bias",
                                        "latent_bias",
                                        "stats_last_nonzero",
                                        "latents_activation_frequency",
                                        "latents_mean_square",
                                        NULL};
    int r = bs_import_known(in, known, e);

    if (r == 0)
        r = bs_import_sizes(s, in, "latent_bias", "pre_bias", e);
    if (r == 0)
        r = openai_activation(s, in, e);
    if (r == 0)
        r = bs_import_matrix(&s->enc_w, in, "encoder.weight", s->concepts,
                             s->width, false, e);
    if (r == 0)
        r = bs_import_vector(&s->enc_b, in, "latent_bias", s->concepts, e);
    if (r == 0)
        r = bs_import_matrix(&s->dec_w, in, "decoder.weight", s->concepts,
                             s->width, true, e);
    if (r == 0)
        r = bs_import_vector(&s->dec_b, in, "pre_bias", s->width, e);
    return r < 0 ? r : duplicate(&s->pre_b, s->dec_b, s->width, e);
}
