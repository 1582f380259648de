/*
 * unet_own.h - what the parts of the UNet share.
 */
#ifndef BS_MODELS_UNET_OWN_H
#define BS_MODELS_UNET_OWN_H

#include "cmd/models/transformer2d.h"
#include "cmd/models/unet.h"

/* A block of a level: resnets, each followed by a transformer where there are
 * any, then a convolution that halves or doubles the sides. */
struct bs_unet_stage {
    size_t layers;
    struct bs_resnet *resnet;
    struct bs_transformer2d *attention; /* NULL: none; in the middle just one */
    size_t attentions;
    struct bs_convolution sampler; /* no weight: none */
    size_t time_at;                /* column of the first resnet's in the table
                                      of times; the next is `out` further */
    size_t block;                  /* number of the first transformer */
};

struct bs_unet_weights {
    struct bs_linear time1, time2;
    struct bs_convolution in, out;
    struct bs_norm norm;
    struct bs_unet_stage down[BS_UNET_LEVELS], mid, up[BS_UNET_LEVELS];
    size_t times;  /* columns of the table of times */
    size_t blocks; /* transformers */
    size_t tensors;
};

/* Check every tensor against the configuration and bring it to the device.  On
 * failure `w` is to be released as well. */
int bs_unet_load(struct bs_unet_weights *w, const struct bs_unet_config *config,
                 const struct bs_safetensors *files, struct bs_dev *dev,
                 enum bs_math math, struct bs_err *e) BS_CHECKED;
void bs_unet_unload(struct bs_unet_weights *w, struct bs_dev *dev);

/* An image that the way down leaves, and what it is put together with. */
struct bs_unet_joint {
    struct bs_mem mem;
    size_t level;
    size_t below, left; /* channels */
};

enum { BS_UNET_JOINTS = 1 + BS_UNET_LEVELS * (64 + 1) };

struct bs_unet_watch {
    struct bs_unet_block block;
    bs_unet_tap *fn; /* NULL: nobody */
    void *user;
};

struct bs_unet {
    struct bs_unet_config config;
    struct bs_unet_weights weights;
    struct bs_dev *dev;
    size_t batch; /* at most */
    size_t height[BS_UNET_LEVELS], width[BS_UNET_LEVELS];
    size_t joints;
    struct bs_unet_joint joint[BS_UNET_JOINTS];
    struct bs_mem tail;    /* what a stage of the way up ends with */
    struct bs_mem scratch; /* resnets' or transformers' */
    struct bs_resnet_room resnets;
    struct bs_transformer_room transformers; /* its batch is that of the text */
    struct bs_mem times;                     /* [steps, weights.times] */
    size_t steps;
    struct bs_unet_watch *watch; /* [weights.blocks] */
};

/* The device's error, to e; its negative code. */
int bs_unet_failed(struct bs_unet *m, struct bs_err *e);

#endif
