/*
 * clip_text.h - CLIPTextModel of transformers: token ids to the context that a
 * UNet attends to.
 *
 * Both encoders of Stable Diffusion are this: ViT-L/14's of version 1 (quick
 * GELU, 12 layers) and OpenCLIP-H's of version 2, whose folder says that it has
 * 23 layers (GELU), which leaves out the last of 24.  The context is
 * last_hidden_state: what the last layer gives, through the final norm.
 */
#ifndef BS_MODELS_CLIP_TEXT_H
#define BS_MODELS_CLIP_TEXT_H

#include "cmd/models/clip_encoder.h"

struct bs_clip_text_config {
    struct bs_clip_shape shape;
    size_t vocabulary; /* token ids that are known */
    size_t positions;  /* tokens at most */
};

/* Read config.json; what is absent has the defaults of CLIPTextConfig. */
int bs_clip_text_configure(struct bs_clip_text_config *config,
                           struct bs_safetensors *files,
                           struct bs_err *e) BS_CHECKED;

struct bs_clip_text;

/*
 * Load the model and plan its memory for batches of at most `batch` texts.  The
 * device stays the caller's; it and the files, where the table of tokens is
 * read, must outlive the model.
 */
int bs_clip_text_open(struct bs_clip_text **out,
                      const struct bs_clip_text_config *config,
                      const struct bs_safetensors *files, struct bs_dev *dev,
                      enum bs_math math, size_t batch,
                      struct bs_err *e) BS_CHECKED;
void bs_clip_text_close(struct bs_clip_text *m);

/* Tensors of the files that the model uses. */
size_t bs_clip_text_used(const struct bs_clip_text *m);

/*
 * ids: [batch, tokens], at most config.positions tokens.  out: f32 [batch,
 * tokens, hidden] on the device.  A text's result depends neither on the others
 * nor on their number.  -BS_EX_DATA for an id that is not in the vocabulary.
 */
int bs_clip_text_forward(struct bs_clip_text *m, const int32_t *ids,
                         size_t batch, size_t tokens, struct bs_mem *out,
                         struct bs_err *e) BS_CHECKED;

#endif
