/*
 * sae_import_own.h - what the readers of foreign autoencoders share; private to
 * cmd/models/sae_import*.c.
 */
#ifndef BS_MODELS_SAE_IMPORT_OWN_H
#define BS_MODELS_SAE_IMPORT_OWN_H

#include "cmd/models/sae_import.h"
#include "formats/json.h"
#include "formats/safetensors.h"

struct bs_import {
    const struct bs_safetensors *files;
    const struct bs_json *cfg; /* the object of cfg.json, or NULL */
    const char *prefix;        /* before every tensor's name: "" or "module." */
    const struct bs_sae_import_options *options;
};

/* Readers of one format: fill all of *s but its name, where it has one. */
int bs_import_sparsify(struct bs_sae *s, const struct bs_import *in,
                       struct bs_err *e) BS_CHECKED;
int bs_import_saelens(struct bs_sae *s, const struct bs_import *in,
                      struct bs_err *e) BS_CHECKED;
int bs_import_openai(struct bs_sae *s, const struct bs_import *in,
                     struct bs_err *e) BS_CHECKED;
int bs_import_overcomplete(struct bs_sae *s, const struct bs_import *in,
                           struct bs_err *e) BS_CHECKED;
/* The dictionary of a relaxed archetypal one, whose sizes are set. */
int bs_import_archetypal(struct bs_sae *s, const struct bs_import *in,
                         struct bs_err *e) BS_CHECKED;

/* A tensor by its name without the prefix, or NULL. */
const struct bs_tensor *bs_import_find(const struct bs_import *in,
                                       const char *name);
/* The concepts are the length of one vector, the width that of another. */
int bs_import_sizes(struct bs_sae *s, const struct bs_import *in,
                    const char *concepts, const char *width,
                    struct bs_err *e) BS_CHECKED;
/* The same from a matrix [concepts, width]. */
int bs_import_sizes_of(struct bs_sae *s, const struct bs_import *in,
                       const char *name, struct bs_err *e) BS_CHECKED;

/*
 * A tensor's values as f32, every one finite, into *out (bs_alloc'ed).  A
 * matrix [rows, columns] is turned round where the file has it as [columns,
 * rows]; where it is square, `turned` says how that format lies.
 */
int bs_import_vector(float **out, const struct bs_import *in, const char *name,
                     size_t n, struct bs_err *e) BS_CHECKED;
int bs_import_matrix(float **out, const struct bs_import *in, const char *name,
                     size_t rows, size_t columns, bool turned,
                     struct bs_err *e) BS_CHECKED;
int bs_import_scalar(float *out, const struct bs_import *in, const char *name,
                     struct bs_err *e) BS_CHECKED;
/* n values from the tensor's value `from` on; no check of what they are. */
void bs_import_values(float *out, const struct bs_tensor *t, size_t from,
                      size_t n);
/* F16, BF16, F32 or F64. */
int bs_import_floats(const struct bs_tensor *t, struct bs_err *e) BS_CHECKED;

/* Every tensor's name is in the list, which NULL ends. */
int bs_import_known(const struct bs_import *in, const char *const *names,
                    struct bs_err *e) BS_CHECKED;

/* Members of cfg.json: 1 there, 0 not there (or null), < 0 of a wrong type. */
int bs_import_cfg_u64(const struct bs_import *in, const char *key, uint64_t max,
                      uint64_t *out, struct bs_err *e) BS_CHECKED;
int bs_import_cfg_bool(const struct bs_import *in, const char *key, bool *out,
                       struct bs_err *e) BS_CHECKED;
int bs_import_cfg_text(const struct bs_import *in, const char *key,
                       const char **out, struct bs_err *e) BS_CHECKED;
/* A size that cfg.json may name must be what the tensors say. */
int bs_import_cfg_size(const struct bs_import *in, const char *key, size_t size,
                       struct bs_err *e) BS_CHECKED;

/* The model selects k a token: the option's, else the file's (0: unknown). */
int bs_import_topk(struct bs_sae *s, const struct bs_import *in, uint64_t k,
                   struct bs_err *e) BS_CHECKED;
/* All that is positive: the thresholds are 0. */
int bs_import_relu(struct bs_sae *s, struct bs_err *e) BS_CHECKED;

#endif
