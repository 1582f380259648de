/*
 * sae_encoder.h - an autoencoder's encoder on a device: tokens to codes.
 *
 * A layer norm over the concepts is folded into the products: with mu and sigma
 * of a token's pre-activations known beforehand (their mean is linear in the
 * token, their variance a quadratic form),
 *     gamma (u - mu) / sigma + beta
 * is the product of (x / sigma, 1 / sigma, -mu / sigma, 1) with (gamma w,
 * gamma b, gamma, beta).
 */
#ifndef BS_MODELS_SAE_ENCODER_H
#define BS_MODELS_SAE_ENCODER_H

#include "cmd/models/sae.h"
#include "kernels/sae_ops.h"

struct bs_sae_encoder;

/* `s` is borrowed until closed.  -BS_EX_DATA for weights that do not allow it
 * (a layer norm of concepts that are all the same). */
int bs_sae_encoder_open(struct bs_sae_encoder **out, const struct bs_sae *s,
                        struct bs_dev *dev, struct bs_err *e) BS_CHECKED;
void bs_sae_encoder_close(struct bs_sae_encoder *enc);

/*
 * The codes of m tokens x f32 [m, width], finite, as s->select says (batchtopk:
 * by its threshold, tau).  k: the most a token may have (topk).  Values are
 * f32, in the order of a code.
 */
int bs_sae_encoder_run(struct bs_sae_encoder *enc, const float *x, size_t m,
                       struct bs_ragged *out, struct bs_err *e) BS_CHECKED;

#endif
