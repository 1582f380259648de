/*
 * sae_encode.h - bs-sae encode's stage of a relay: features to codes.
 *
 * A record of features x [tokens, width] becomes, under the same key and with
 * the same metadata, a record of codes: fixed (idx, val [tokens, k]) where the
 * model selects the k largest, else variable (ptr, idx, val).
 */
#ifndef BS_MODELS_SAE_ENCODE_H
#define BS_MODELS_SAE_ENCODE_H

#include "cmd/models/relay.h"
#include "cmd/models/sae.h"
#include "kernels/sae_ops.h"

struct bs_sae_encode_options {
    enum bs_dtype dtype; /* of the values: F16 or F32 */
    bool digest;         /* name the model in the head */
};

struct bs_sae_encode_stats {
    uint64_t records, tokens, codes;
    uint64_t vanished; /* values that F16 has as 0; they are left out */
};

struct bs_sae_encode;

/* `s` and `dev` are borrowed; `w`, too, whose errors are also in
 * bs_writer_error. */
int bs_sae_encode_open(struct bs_sae_encode **out, const struct bs_sae *s,
                       const struct bs_sae_encode_options *options,
                       struct bs_dev *dev, struct bs_writer *w,
                       struct bs_err *e) BS_CHECKED;
void bs_sae_encode_close(struct bs_sae_encode *en);
/* Counters of all segments so far. */
const struct bs_sae_encode_stats *
bs_sae_encode_total(const struct bs_sae_encode *en);
struct bs_stage bs_sae_encode_stage(struct bs_sae_encode *en);

#endif
