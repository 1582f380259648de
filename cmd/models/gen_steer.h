/*
 * gen_steer.h - concepts added to what a UNet's transformer adds, to see what
 * they do.
 *
 * One intervention is a JSON file:
 *   block     a transformer block, as "mid_block.attentions.0"
 *   steps     evaluations of the UNet (gen_steps.h); default "all"
 *   sae       autoencoder of the block's updates (bs-model(5)), by its path
 *             from the file
 *   concepts  a list of numbers: C below
 *   beta      a number
 *   norm      "share", "norm" or "none"; default: share with a region, norm
 *             without
 *   region    "all" (default), "top-left", "top-right", "bottom-left",
 *             "bottom-right", or a mask: a list of rows of 0 and 1, laid over
 *             the grid of any size (nearest)
 *   inside    "add" (default) or "set"
 *   outside   "remove" (default) or "keep"
 *   side      half of a guided batch: "cond" (default), "uncond", "both"
 *
 * With the update x and its code Z at a place of the grid, atoms f and
 *     b = beta |Z| / sum of |Z| over the grid   (share)
 *         beta |Z|                              (norm)
 *         beta                                  (none)
 * where |Z| is the Euclidean length of the place's code:
 *     in the region, add   x += sum over C of b f_c
 *     in the region, set   x += sum over C of (b - Z_c) f_c
 *     outside, remove      x -= sum over C of Z_c f_c
 *
 * Source: arXiv 2504.15473, equations 1 to 3; the paper prints norm for regions
 * and share for the whole, whose values of beta fit the other way round.
 */
#ifndef BS_MODELS_GEN_STEER_H
#define BS_MODELS_GEN_STEER_H

#include "cmd/models/diffusion.h"
#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"

struct bs_gen_steer;

/*
 * Read an intervention and its autoencoder.  -BS_EX_NOINPUT where either is not
 * there; -BS_EX_DATA for what is damaged or unknown, and for a model without
 * that block, those steps or that width.
 */
int bs_gen_steer_open(struct bs_gen_steer **out, const char *path,
                      struct bs_diffusion *d, struct bs_dev *dev,
                      struct bs_err *e) BS_CHECKED;
void bs_gen_steer_close(struct bs_gen_steer *s);

const char *bs_gen_steer_block(const struct bs_gen_steer *s);
/* SHA-256 of the file and of its autoencoder, as JSON. */
const char *bs_gen_steer_json(const struct bs_gen_steer *s);

/* An update of the block (bs_unet_tap): change it, where this step is meant. */
int bs_gen_steer_apply(struct bs_gen_steer *s, size_t step, size_t batch,
                       struct bs_mem *update, struct bs_err *e) BS_CHECKED;

#endif
