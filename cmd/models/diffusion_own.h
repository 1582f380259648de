/*
 * diffusion_own.h - what the parts of diffusion.h share.
 */
#ifndef BS_MODELS_DIFFUSION_OWN_H
#define BS_MODELS_DIFFUSION_OWN_H

#include "cmd/models/clip_text.h"
#include "cmd/models/diffusion.h"
#include "cmd/models/pipeline_folder.h"
#include "cmd/models/safety.h"
#include "cmd/models/scheduler.h"
#include "cmd/models/unet.h"
#include "cmd/models/vae.h"
#include "formats/clip_bpe.h"

enum { BS_DIFFUSION_PARTS = 4 };

struct bs_diffusion {
    struct bs_diffusion_options options;
    struct bs_dev *dev;
    struct bs_pipeline_folder *folder;
    struct bs_safetensors *files[BS_DIFFUSION_PARTS];
    const char *names[BS_DIFFUSION_PARTS]; /* of their components */
    size_t parts;
    struct bs_json_doc *schedule; /* scheduler_config.json */

    struct bs_clip_bpe *tokenizer;
    struct bs_clip_text *text;
    struct bs_unet *unet;
    struct bs_vae *vae;
    struct bs_scheduler *scheduler;
    struct bs_safety *safety; /* NULL: none, or not asked for */

    size_t factor;                  /* pixels a latent, on a side */
    size_t channels, height, width; /* of the latents */
    size_t values;                  /* in the latents of an image */
    size_t tokens, hidden;          /* of a text's context */
    size_t out;                     /* channels of an image */
    bool guided;                    /* the UNet sees every image twice */

    /* Of a batch, on the host; latents channels last. */
    int32_t *ids;      /* [batch, tokens] */
    float *negative;   /* context of the negative caption */
    float *sample;     /* [batch, values] */
    float *input;      /* [2 batch, values]: what the UNet is shown */
    float *prediction; /* the same */
    float *noise;      /* [batch, values] */
    float *drawn;      /* [values], channels first */
    float *image;      /* as the VAE gives it */
    struct bs_draws *draws;
    /* and on the device */
    struct bs_mem context; /* [2 batch, tokens, hidden] */
    struct bs_mem latents; /* [2 batch, values] */

    char class[80]; /* of the scheduler */
    char about[400];
};

/* The captions of jobs to d->context, from place `first` on. */
int bs_diffusion_encode(struct bs_diffusion *d, struct bs_diffusion_job *jobs,
                        size_t count, size_t first,
                        struct bs_err *e) BS_CHECKED;

/* The device's error, to e; its negative code. */
int bs_diffusion_failed(struct bs_diffusion *d, struct bs_err *e);

#endif
