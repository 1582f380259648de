/*
 * sae.h - a sparse autoencoder in memory, and its file: bs-model(5).
 *
 *     pre   = LN?(enc_w (x - pre_b) + enc_b)        [concepts]
 *     code  = select(relu(pre))
 *     x^    = sum of code * dec_w[concept] + dec_b
 *
 * select: the k largest; or those that reach tau; see enum bs_sae_select.
 * dec_w is the dictionary D as it is used, whatever it was made from.
 */
#ifndef BS_MODELS_SAE_H
#define BS_MODELS_SAE_H

#include "common/bs.h"
#include "common/err.h"
#include "formats/doc.h"

enum bs_sae_select {
    BS_SAE_TOPK,       /* the k largest of each token */
    BS_SAE_BATCH_TOPK, /* k a token on average in training; tau afterwards */
    BS_SAE_THRESHOLD,  /* pre >= tau, one tau (RA-SAE as released: 0.829) */
    BS_SAE_JUMPRELU    /* pre > taus[concept] */
};
extern const char *const bs_sae_select_names[]; /* "topk", "batchtopk", ... */

/* Arrays are owned, bs_alloc'ed; NULL where the model has none. */
struct bs_sae {
    size_t concepts, width;
    enum bs_sae_select select;
    uint32_t k;
    float tau;
    float *taus;        /* [concepts]: jumprelu */
    float *enc_w;       /* [concepts, width] */
    float *enc_b;       /* [concepts] */
    float *pre_b;       /* [width]: subtracted from x */
    float *ln_g, *ln_b; /* [concepts]: LayerNorm over the concepts */
    float ln_eps;
    float *dec_w; /* [concepts, width] */
    float *dec_b; /* [width] */

    /* A relaxed archetypal dictionary's parts, where it is to be trained on:
     * dec_w = exp(ra_m) (rownorm(relu ra_w) ra_c + ra_relax).  ra_w may be
     * absent although ra_c is there. */
    size_t points;   /* candidates: rows of ra_c */
    float *ra_c;     /* [points, width] */
    float *ra_w;     /* [concepts, points] */
    float *ra_relax; /* [concepts, width] */
    float ra_m, ra_delta;

    char name[128];  /* what the model calls itself, e.g. "ra-sae" */
    char sha256[65]; /* of the file, once loaded or saved */
};

/* Load a model file; every shape and value checked: -BS_EX_DATA. */
int bs_sae_load(struct bs_sae *s, const char *path,
                struct bs_err *e) BS_CHECKED;
/* Write the file as bs_out does (NULL or "-": stdout), with the metadata of
 * `more` (NULL: none) besides the model's; sets s->sha256 where that is a file. */
int bs_sae_save(struct bs_sae *s, const struct bs_doc *more, const char *path,
                struct bs_err *e) BS_CHECKED;
/* The document that is written; it borrows the model's arrays. */
int bs_sae_document(struct bs_doc *doc, const struct bs_sae *s,
                    struct bs_err *e) BS_CHECKED;
void bs_sae_release(struct bs_sae *s);
/* Release all arrays but the dictionary's: dec_w and dec_b. */
void bs_sae_release_encoder(struct bs_sae *s);

#endif
