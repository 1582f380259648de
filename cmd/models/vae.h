/*
 * vae.h - the decoder of AutoencoderKL of diffusers: latents to pixels.
 */
#ifndef BS_MODELS_VAE_H
#define BS_MODELS_VAE_H

#include "cmd/models/weights.h"

enum { BS_VAE_LEVELS = 8 };

struct bs_vae_config {
    size_t latent; /* channels of the latents */
    size_t out;    /* channels of the image */
    size_t levels; /* resolutions; the image is 2^(levels - 1) times larger */
    size_t channels[BS_VAE_LEVELS];
    size_t layers; /* resnets on the way down; one more on the way up */
    size_t groups;
    float scaling;  /* latents are divided by this first */
    bool attention; /* in the middle */
    bool post_quant;
};

/* Read config.json; see bs_unet_configure. */
int bs_vae_configure(struct bs_vae_config *config, struct bs_safetensors *files,
                     struct bs_err *e) BS_CHECKED;

struct bs_vae;

/*
 * Load the decoder (nothing of the encoder) and plan its memory for one image
 * of height x width latents.  Memory beside the weights: about 2.6 KB a pixel
 * of the image (Stable Diffusion: 670 MB at 512 x 512).
 */
int bs_vae_open(struct bs_vae **out, const struct bs_vae_config *config,
                const struct bs_safetensors *files, struct bs_dev *dev,
                enum bs_math math, size_t height, size_t width,
                struct bs_err *e) BS_CHECKED;
void bs_vae_close(struct bs_vae *m);

/* Tensors of the files that the decoder uses. */
size_t bs_vae_used(const struct bs_vae *m);

/* How many times larger than the latents an image is on a side. */
size_t bs_vae_factor(const struct bs_vae_config *config);

/*
 * latents: f32 [height, width, latent channels] on the device, as the UNet has
 * them (scaled).  out: f32 [factor height, factor width, channels] on the host,
 * about -1..1.
 */
int bs_vae_decode(struct bs_vae *m, const struct bs_mem *latents, float *out,
                  struct bs_err *e) BS_CHECKED;

/* n values as diffusers makes bytes of them: (x / 2 + 1/2) clamped to 0..1,
 * times 255, to the nearest, ties to even; NaN becomes 0. */
void bs_vae_bytes(uint8_t *out, const float *x, size_t n);

#endif
