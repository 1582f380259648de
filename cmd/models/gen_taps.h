/*
 * gen_taps.h - the residual updates of a UNet's transformers, as records of
 * features.
 *
 * A tap is written BLOCK@STEPS[:cond|uncond]: a block as the reference names
 * it, "mid_block.attentions.0"; evaluations of the UNet (gen_steps.h); and the
 * half of a guided batch, cond where none is said.
 *
 * A record holds x [height * width, channels], row by row, what the block adds
 * to its input, and the metadata caption, grid, prefix (0), block, step,
 * timestep and side.  Its key is the image's where there is one tap of one
 * step, else KEY/BLOCK/SIDE/STEP, with '-' for the dots of the block.
 *
 * Source: arXiv 2504.15473, section 3.2.
 */
#ifndef BS_MODELS_GEN_TAPS_H
#define BS_MODELS_GEN_TAPS_H

#include "cmd/models/diffusion.h"
#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"
#include "formats/doc.h"

struct bs_gen_taps;

/* -BS_EX_USAGE for a tap that the model does not have. */
int bs_gen_taps_open(struct bs_gen_taps **out, const char *const *spec,
                     size_t count, enum bs_dtype dtype, struct bs_diffusion *d,
                     struct bs_dev *dev, struct bs_err *e) BS_CHECKED;
void bs_gen_taps_close(struct bs_gen_taps *t);

/* Bytes that a record's key may be longer than its image's. */
size_t bs_gen_taps_suffix(const struct bs_gen_taps *t);
/* Append the taps as a JSON array of texts. */
int bs_gen_taps_json(const struct bs_gen_taps *t, struct bs_buf *out,
                     struct bs_err *e) BS_CHECKED;

/* An update of a pass (bs_unet_tap): keep what is asked for. */
int bs_gen_taps_take(struct bs_gen_taps *t, const struct bs_unet_block *block,
                     size_t step, size_t batch, const struct bs_mem *update,
                     struct bs_err *e) BS_CHECKED;

/* Whether a block is tapped: the names, until NULL. */
const char *bs_gen_taps_block(const struct bs_gen_taps *t, size_t i);

/* Give the records of image i of the last batch to `record`, whose result below
 * 0 ends it.  -BS_EX_DATA for a value that is not finite, or is not in the
 * type. */
int bs_gen_taps_emit(struct bs_gen_taps *t, size_t i, const char *key,
                     const char *caption,
                     int (*record)(void *arg, const struct bs_doc *rec),
                     void *arg, struct bs_err *e) BS_CHECKED;

#endif
