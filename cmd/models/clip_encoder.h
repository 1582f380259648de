/*
 * clip_encoder.h - the layers of CLIP's transformers, which its text model and
 * its vision model share (CLIPEncoder of transformers).
 *
 *     x += out_proj(attention(layer_norm1(x)))
 *     x += fc2(activation(fc1(layer_norm2(x))))
 *
 * Source: Radford et al. 2021; transformers' CLIPEncoderLayer.
 */
#ifndef BS_MODELS_CLIP_ENCODER_H
#define BS_MODELS_CLIP_ENCODER_H

#include "cmd/models/weights.h"
#include "formats/json.h"

struct bs_clip_shape {
    size_t hidden; /* width of a token */
    size_t layers;
    size_t heads;
    size_t inner; /* width inside the MLP */
    enum bs_epilogue activation;
    float eps; /* of every norm */
};

/*
 * Read hidden_size, num_hidden_layers, num_attention_heads, intermediate_size,
 * hidden_act and layer_norm_eps of a config.json; `shape` holds the defaults of
 * the class.  -BS_EX_DATA for numbers that no such model has.
 */
int bs_clip_configure(struct bs_clip_shape *shape, const struct bs_json *v,
                      struct bs_err *e) BS_CHECKED;

struct bs_clip_layer {
    struct bs_norm norm1, norm2;
    struct bs_linear qkv, out, fc1, fc2;
};

/* The layers "encoder.layers.N." under the loader's prefix; NULL with the
 * loader's error.  What is NULL may be dropped. */
struct bs_clip_layer *
bs_clip_layers_load(struct bs_loader *l,
                    const struct bs_clip_shape *shape) BS_CHECKED;
void bs_clip_layers_drop(struct bs_dev *dev, struct bs_clip_layer *layer,
                         const struct bs_clip_shape *shape);

/* What a pass works on, in device memory. */
struct bs_clip_room {
    struct bs_dev *dev;
    enum bs_math math;
    struct bs_mem x;    /* [rows, hidden]: the residual stream */
    struct bs_mem y;    /* the same size */
    struct bs_mem wide; /* [rows, max(3 hidden, inner)] */
};

/* Allocate for rows tokens. */
int bs_clip_room_open(struct bs_clip_room *room, struct bs_dev *dev,
                      enum bs_math math, const struct bs_clip_shape *shape,
                      size_t rows, struct bs_err *e) BS_CHECKED;
void bs_clip_room_close(struct bs_clip_room *room);

/* All layers over room->x: batch sequences of `tokens`.  0 or the device's
 * error. */
int bs_clip_layers_forward(const struct bs_clip_layer *layer,
                           const struct bs_clip_shape *shape,
                           const struct bs_clip_room *room, size_t batch,
                           size_t tokens, bool causal) BS_CHECKED;

#endif
