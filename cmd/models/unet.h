/*
 * unet.h - UNet2DConditionModel of diffusers, the network that denoises the
 * latents of Stable Diffusion 1 and 2, driven by its config.json.
 *
 * Latents are f32 [batch, height, width, channels] on the device, channels
 * last; the prediction has the same shape.  What does not change from step to
 * step is computed once: the keys and values of the text, and what the
 * timesteps add to each block.
 *
 * Memory beside the weights, at 64 x 64 latents and f32: about 180 MB a batch
 * of one (Stable Diffusion 1.5).
 */
#ifndef BS_MODELS_UNET_H
#define BS_MODELS_UNET_H

#include "cmd/models/weights.h"

/* ---- configuration (unet_config.c) ----------------------------------------
 */

enum { BS_UNET_LEVELS = 8 };

struct bs_unet_config {
    size_t in, out;     /* channels of the latents, of the prediction */
    size_t sample_size; /* side of the latents that it was made for; 0: none */
    size_t levels;      /* resolutions */
    size_t time;        /* width of the time embedding */
    size_t groups;      /* of every group norm */
    float eps;
    bool cosine_first; /* flip_sin_to_cos */
    double freq_shift;

    struct {
        size_t channels;
        size_t layers;  /* resnets on the way down; one more on the way up */
        size_t heads;   /* of attention */
        size_t depth;   /* layers of a transformer */
        size_t context; /* width of the text */
        bool down_attention, up_attention;
    } level[BS_UNET_LEVELS];
};

/*
 * Read config.json; what is absent has the defaults of the class.  -BS_EX_DATA
 * for what is not known here, and for numbers that no such model has.
 */
int bs_unet_configure(struct bs_unet_config *config,
                      struct bs_safetensors *files,
                      struct bs_err *e) BS_CHECKED;

/* ---- the model (unet.c) ---------------------------------------------------
 */

struct bs_unet;

/*
 * Load the model and plan its memory for batches of at most `batch` latents of
 * height x width (any size from 1; what does not halve evenly is rounded up on
 * the way down, as the reference does).  The device stays the caller's and must
 * outlive the model; the files may be closed.
 */
int bs_unet_open(struct bs_unet **out, const struct bs_unet_config *config,
                 const struct bs_safetensors *files, struct bs_dev *dev,
                 enum bs_math math, size_t height, size_t width, size_t batch,
                 struct bs_err *e) BS_CHECKED;
void bs_unet_close(struct bs_unet *m);

/* Tensors of the files that the model uses. */
size_t bs_unet_used(const struct bs_unet *m);

/* Prepare the `count` timesteps of a run; forward names one by its number. */
int bs_unet_schedule(struct bs_unet *m, const double *timesteps, size_t count,
                     struct bs_err *e) BS_CHECKED;

/* Prepare the text of a batch: f32 [batch, tokens, context width] on the device
 * (levels of different context widths are not known).  It may go afterwards. */
int bs_unet_context(struct bs_unet *m, const struct bs_mem *context,
                    size_t batch, size_t tokens, struct bs_err *e) BS_CHECKED;

/*
 * Predict for a batch as large as that of the text.  An image's prediction
 * depends neither on the others nor on their number.  out may be latents.
 */
int bs_unet_forward(struct bs_unet *m, size_t step,
                    const struct bs_mem *latents, struct bs_mem *out,
                    struct bs_err *e) BS_CHECKED;

/* ---- residual updates of the transformers ---------------------------------
 */

struct bs_unet_block {
    char name[64]; /* as the reference names the module:
                      "down_blocks.2.attentions.1", "mid_block.attentions.0" */
    size_t height, width, channels;
};

/* The transformer blocks in the order of their evaluation; NULL past the last.
 */
const struct bs_unet_block *bs_unet_block(const struct bs_unet *m, size_t i);

/*
 * Called in a forward pass with what the block adds to its input (its output
 * less its input, in the reference): f32 [batch, height, width, channels] on
 * the device, which may be changed.  A result below 0, with the error set,
 * ends the pass.
 */
typedef int bs_unet_tap(void *user, const struct bs_unet_block *block,
                        size_t step, size_t batch, struct bs_mem *update,
                        struct bs_err *e);

/* Have the block's updates shown to fn from now on; NULL: no more.
 * -BS_EX_USAGE, with the names that there are, for an unknown block. */
int bs_unet_watch(struct bs_unet *m, const char *block, bs_unet_tap *fn,
                  void *user, struct bs_err *e) BS_CHECKED;

#endif
