/*
 * vae_own.h - what the parts of the decoder share.
 */
#ifndef BS_MODELS_VAE_OWN_H
#define BS_MODELS_VAE_OWN_H

#include "cmd/models/resnet.h"
#include "cmd/models/vae.h"

/* A block of a level: resnets, then a convolution that doubles the sides. */
struct bs_vae_stage {
    size_t layers;
    struct bs_resnet *resnet;
    struct bs_convolution sampler; /* no weight: none */
};

struct bs_vae_weights {
    struct bs_convolution post_quant; /* no weight: none */
    struct bs_convolution in, out;
    struct bs_resnet mid[2];
    struct bs_norm attention_norm, norm;
    struct bs_linear qkv, attention_out; /* no weight: none */
    struct bs_vae_stage up[BS_VAE_LEVELS];
    size_t tensors;
};

/* See bs_unet_load. */
int bs_vae_load(struct bs_vae_weights *w, const struct bs_vae_config *config,
                const struct bs_safetensors *files, struct bs_dev *dev,
                enum bs_math math, struct bs_err *e) BS_CHECKED;
void bs_vae_unload(struct bs_vae_weights *w, struct bs_dev *dev);

#endif
