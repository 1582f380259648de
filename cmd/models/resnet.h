/*
 * resnet.h - ResnetBlock2D of diffusers, which its UNets and autoencoders are
 * built of:
 *     h = conv1(silu(norm1(x))) + time;  y = conv2(silu(norm2(h))) +
 * shortcut(x) with a 1 x 1 convolution as the shortcut where the channels
 * differ.
 */
#ifndef BS_MODELS_RESNET_H
#define BS_MODELS_RESNET_H

#include "cmd/models/weights.h"

/* Images of a batch, channels last, `ld` floats from pixel to pixel. */
struct bs_images {
    struct bs_mem mem;
    size_t ld;
};

struct bs_resnet {
    size_t in, out;
    struct bs_norm norm1, norm2;
    struct bs_convolution conv1, conv2;
    struct bs_linear shortcut; /* no weight: none */
    /* Of the time embedding, after its activation; its bias has that of conv1
     * added, and conv1 none.  No weight: none. */
    struct bs_linear time;
};

/* `time` is the width of the time embedding, 0 without. */
int bs_resnet_load(struct bs_loader *l, struct bs_resnet *r, size_t in,
                   size_t out, size_t time) BS_CHECKED;
void bs_resnet_drop(struct bs_dev *dev, struct bs_resnet *r);

/* What the resnets of a model share. */
struct bs_resnet_room {
    struct bs_dev *dev;
    size_t groups;
    float eps;
    /* Room for the largest batch: `first` for in channels a pixel where x is
     * kept or there is no shortcut, `second` for out. */
    struct bs_mem first, second;
};

/*
 * y may be x where there is no shortcut.  Without `keep`, x may be overwritten.
 * time: f32 [out], the result of r->time, or NULL.  0 or the device's error.
 */
int bs_resnet_forward(const struct bs_resnet *r,
                      const struct bs_resnet_room *room,
                      const struct bs_images *x, const struct bs_images *y,
                      size_t batch, size_t height, size_t width, bool keep,
                      const struct bs_mem *time) BS_CHECKED;

/* Whether forward uses room->first. */
bool bs_resnet_needs_first(const struct bs_resnet *r, bool keep);

#endif
