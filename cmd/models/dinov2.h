/*
 * dinov2.h - the DINOv2 vision transformers, with and without registers.
 *
 * Read from a folder in the layout of transformers (Dinov2Model,
 * Dinov2WithRegistersModel and the classes built on them) or of timm
 * (vit_*_patch14_[reg4_]dinov2).  A forward pass gives what the reference calls
 * last_hidden_state (timm: forward_features): the class token, the registers
 * and the patches, row by row, all through the final norm.
 */
#ifndef BS_MODELS_DINOV2_H
#define BS_MODELS_DINOV2_H

#include "cmd/models/weights.h"

/* ---- configuration (dinov2_config.c) ------------------------------------- */

struct bs_dinov2_config {
    char name[64]; /* by shape, as its authors name it: "dinov2_vitb14_reg" */
    bool timm;     /* whose tensor names the weights have */
    size_t hidden; /* width of a token */
    size_t layers;
    size_t heads;
    size_t inner; /* width inside the MLP; with swiglu, of its gated half */
    size_t patch; /* pixels */
    size_t grid;  /* side of the stored grid of positions */
    size_t registers;
    bool swiglu;
    bool qkv_bias;
    bool class_position; /* the class token has a position of its own */
    bool antialias;      /* how positions are resized to another grid */
    float eps;
    float mean[3], std[3]; /* of the pixels, for the normalisation */
};

/*
 * Read config.json (and preprocessor_config.json for mean and std, where it is
 * there).  -BS_EX_DATA, with what is supported, for another kind of model, and
 * for numbers that no such model has.
 */
int bs_dinov2_configure(struct bs_dinov2_config *config,
                        struct bs_safetensors *files,
                        struct bs_err *e) BS_CHECKED;

/* ---- positions (positions.c) --------------------------------------------- */

/*
 * Resize a square grid of positions, f32 [from, from, k], to [height, width, k]
 * as torch's bicubic interpolate(size=...) does on the CPU, in f32: kernel A =
 * -0.75 at four clamped taps, or with antialias A = -0.5, widened where it
 * shrinks and normalised.
 */
int bs_positions_resize(float *out, size_t height, size_t width,
                        const float *in, size_t from, size_t k, bool antialias,
                        struct bs_err *e) BS_CHECKED;

/* ---- weights (dinov2_weights.c) ------------------------------------------ */

struct bs_dinov2_layer {
    struct bs_norm norm1, norm2;
    struct bs_linear qkv, proj, in, out;
    struct bs_mem scale1, scale2;
};

struct bs_dinov2_weights {
    struct bs_linear embed; /* patches to tokens */
    float *lead;            /* [1 + registers, hidden], position added */
    float *positions;       /* [grid * grid, hidden] */
    struct bs_dinov2_layer *layer;
    struct bs_norm norm;
    size_t tensors; /* of the files, that were used */
};

/*
 * Check every tensor against the configuration and bring it to the device.
 * -BS_EX_DATA names the tensor that is missing or odd.  On failure `w` is to be
 * released as well.
 */
int bs_dinov2_load(struct bs_dinov2_weights *w,
                   const struct bs_dinov2_config *config,
                   const struct bs_safetensors *files, struct bs_dev *dev,
                   enum bs_math math, struct bs_err *e) BS_CHECKED;
void bs_dinov2_unload(struct bs_dinov2_weights *w,
                      const struct bs_dinov2_config *config,
                      struct bs_dev *dev);

/* ---- the model (dinov2.c) ------------------------------------------------ */

struct bs_dinov2;

/*
 * Load the model and plan its memory for batches of at most `batch` images of
 * size x size pixels (a multiple of config.patch).  The device stays the
 * caller's and must outlive the model; the files may be closed.
 */
int bs_dinov2_open(struct bs_dinov2 **out,
                   const struct bs_dinov2_config *config,
                   const struct bs_safetensors *files, struct bs_dev *dev,
                   enum bs_math math, size_t size, size_t batch,
                   struct bs_err *e) BS_CHECKED;
void bs_dinov2_close(struct bs_dinov2 *m);

/* Rows of one image's result: 1 + registers + (size / patch)^2. */
size_t bs_dinov2_tokens(const struct bs_dinov2 *m);
/* Tensors of the files that the model uses. */
size_t bs_dinov2_used(const struct bs_dinov2 *m);

/*
 * rgb: `count` pointers (at most batch) to U8 [size, size, 3].  out: f32
 * [count, tokens, hidden].  An image's result depends neither on the others
 * nor on their number.
 */
int bs_dinov2_forward(struct bs_dinov2 *m, const uint8_t *const *rgb,
                      size_t count, float *out, struct bs_err *e) BS_CHECKED;

#endif
