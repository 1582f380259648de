/*
 * sae_export.h - models of bs-model(5) as other programs' files; the reverse of
 * sae_import.h.
 *
 *   sparsify, saelens     a folder: cfg.json and the weights
 *   openai, overcomplete  one safetensors file: a state dict
 *
 * What a format cannot express is refused and named.  What it expresses
 * otherwise is folded: a bias before the encoder into the one behind it, "at
 * least tau" into "above the number below tau".
 */
#ifndef BS_MODELS_SAE_EXPORT_H
#define BS_MODELS_SAE_EXPORT_H

#include "cmd/models/sae_import.h"

/*
 * Write the model as `to` (not BS_SAE_FORMAT_AUTO), with the metadata of `more`
 * (NULL: none) in the safetensors file.  path: the folder, which is made where
 * it is not there; or the file, NULL or "-" being stdout.  -BS_EX_DATA for a
 * model that the format cannot express.
 */
int bs_sae_export(const struct bs_sae *s, enum bs_sae_format to,
                  const struct bs_doc *more, const char *path,
                  struct bs_err *e) BS_CHECKED;

/* True where a folder is written. */
bool bs_sae_export_folder(enum bs_sae_format to);

#endif
