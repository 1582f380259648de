/*
 * sae_import.h - autoencoders of other programs, as models of bs-model(5).
 *
 *   sparsify      cfg.json and sae.safetensors (EleutherAI)
 *   saelens       cfg.json and sae_weights.safetensors (SAELens)
 *   openai        a state dict of openai/sparse_autoencoder
 *   overcomplete  a state dict of overcomplete, the released RA-SAE among them
 *
 * All are safetensors files; a pickle is never read.  Which one it is, is told
 * by the tensors' names.  What a model here cannot express (a skip connection,
 * groups, normalised input, more layers) is refused and named: an import that
 * succeeds encodes and decodes as the original.
 */
#ifndef BS_MODELS_SAE_IMPORT_H
#define BS_MODELS_SAE_IMPORT_H

#include "cmd/models/sae.h"
#include "formats/digest.h"

enum bs_sae_format {
    BS_SAE_FORMAT_AUTO,
    BS_SAE_FORMAT_SPARSIFY,
    BS_SAE_FORMAT_SAELENS,
    BS_SAE_FORMAT_OPENAI,
    BS_SAE_FORMAT_OVERCOMPLETE
};
extern const char *const bs_sae_format_names[]; /* "auto", "sparsify", ... */

/* How overcomplete makes the atoms of a plain dictionary from its weights. */
enum bs_sae_atoms {
    BS_SAE_ATOMS_L2, /* rows of length 1 */
    BS_SAE_ATOMS_MAX_L2,
    BS_SAE_ATOMS_L1,
    BS_SAE_ATOMS_MAX_L1,
    BS_SAE_ATOMS_IDENTITY
};
extern const char *const bs_sae_atoms_names[]; /* "l2", "max_l2", ... */

struct bs_sae_import_options {
    enum bs_sae_format from;
    uint32_t k;       /* 0: as the file says */
    double tau;       /* NaN: as the file says */
    double delta;     /* NaN: as the file says, else 1 (archetypal) */
    int atoms;        /* enum bs_sae_atoms; -1: as the file says, else l2 */
    bool keep_parts;  /* of an archetypal dictionary: ra_c, ra_w, ra_relax */
    unsigned threads; /* as for bs_pool_open */
};

/* Where a model came from. */
struct bs_sae_origin {
    enum bs_sae_format format;
    char sha256[BS_SHA256_HEX_SIZE]; /* of its files: bs_safetensors_digest */
};

/*
 * Read the model at `path`, a file or a folder; `s` is overwritten.
 * -BS_EX_DATA for what is damaged or cannot be expressed, -BS_EX_USAGE where
 * the file lacks a number (k, tau) that the options do not give.
 */
int bs_sae_import(struct bs_sae *s, const char *path,
                  const struct bs_sae_import_options *options,
                  struct bs_sae_origin *origin, struct bs_err *e) BS_CHECKED;

#endif
