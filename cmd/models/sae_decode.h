/*
 * sae_decode.h - bs-sae decode's stage of a relay: codes to features.
 */
#ifndef BS_MODELS_SAE_DECODE_H
#define BS_MODELS_SAE_DECODE_H

#include "cmd/models/relay.h"
#include "cmd/models/sae.h"
#include "kernels/sae_ops.h"

struct bs_sae_decode;

/*
 * Codes of the model become x [tokens, width] of type F16, BF16 or F32.  `s`,
 * `dev` and `w` are borrowed; errors of w are also in bs_writer_error.  Codes
 * of another dictionary are -BS_EX_DATA.
 */
int bs_sae_decode_open(struct bs_sae_decode **out, const struct bs_sae *s,
                       enum bs_dtype dtype, struct bs_dev *dev,
                       struct bs_writer *w, struct bs_err *e) BS_CHECKED;
void bs_sae_decode_close(struct bs_sae_decode *de);
struct bs_stage bs_sae_decode_stage(struct bs_sae_decode *de);

#endif
