/*
 * transformer2d.h - Transformer2DModel of diffusers as its UNets have it: the
 * pixels of an image attend to each other and to the text.
 *
 *     t = proj_in(norm(x));  each layer:
 *         t += attn1(norm1(t));  t += attn2(norm2(t), text);
 *         t += ff(norm3(t)), gated by GELU
 *     x += proj_out(t)
 *
 * proj_in and proj_out are matrices, also where the model calls them 1 x 1
 * convolutions.
 */
#ifndef BS_MODELS_TRANSFORMER2D_H
#define BS_MODELS_TRANSFORMER2D_H

#include "cmd/models/resnet.h"

struct bs_transformer_layer {
    struct bs_norm norm1, norm2, norm3;
    struct bs_linear qkv, out1;     /* of the pixels */
    struct bs_linear q, kv, out2;   /* from the pixels to the text */
    struct bs_linear ff_in, ff_out; /* of value and gate; of their product */
    struct bs_mem text;             /* keys and values: [batch * tokens, 2 k] */
};

struct bs_transformer2d {
    size_t channels, heads, context, depth;
    struct bs_norm norm;
    struct bs_linear proj_in, proj_out;
    struct bs_transformer_layer *layer;
};

/* Channels, heads, context (its width) and depth are set. */
int bs_transformer2d_load(struct bs_loader *l,
                          struct bs_transformer2d *t) BS_CHECKED;
void bs_transformer2d_drop(struct bs_dev *dev, struct bs_transformer2d *t);

/* What the transformers of a model share. */
struct bs_transformer_room {
    struct bs_dev *dev;
    enum bs_math math;
    size_t groups;
    size_t batch, tokens; /* of the text */
    /* Room for the largest batch, in floats a pixel and channel: */
    struct bs_mem stream; /* 1: t */
    struct bs_mem part;   /* 1: a result of a norm, of attention, of update */
    struct bs_mem wide;   /* 8: query, key and value; value and gate */
    struct bs_mem gated;  /* 4 */
};

/* Bring the keys and values of a text f32 [batch * tokens, context] to the
 * layers. */
int bs_transformer2d_text(struct bs_transformer2d *t,
                          const struct bs_transformer_room *room,
                          const struct bs_mem *text) BS_CHECKED;

/* The update of x, to room->part [batch, pixels, channels]; x stays. */
int bs_transformer2d_update(const struct bs_transformer2d *t,
                            const struct bs_transformer_room *room,
                            const struct bs_images *x,
                            size_t pixels) BS_CHECKED;

/* x += update */
int bs_transformer2d_forward(const struct bs_transformer2d *t,
                             const struct bs_transformer_room *room,
                             const struct bs_images *x,
                             size_t pixels) BS_CHECKED;

#endif
