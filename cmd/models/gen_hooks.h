/*
 * gen_hooks.h - what watches the UNet of a run: interventions, then taps, which
 * see what was made of an update.
 */
#ifndef BS_MODELS_GEN_HOOKS_H
#define BS_MODELS_GEN_HOOKS_H

#include "cmd/models/gen_run.h"
#include "cmd/models/gen_taps.h"

struct bs_gen_hooks;

/* *out is NULL where the options have neither. */
int bs_gen_hooks_open(struct bs_gen_hooks **out,
                      const struct bs_gen_options *options,
                      struct bs_diffusion *d, struct bs_dev *dev,
                      struct bs_err *e) BS_CHECKED;
void bs_gen_hooks_close(struct bs_gen_hooks *h);

/* The taps, or NULL; also of NULL. */
struct bs_gen_taps *bs_gen_hooks_taps(struct bs_gen_hooks *h);

/* Append bs.params of a run as canonical JSON, with a NUL; taps: of the stream
 * of taps. */
int bs_gen_params_write(struct bs_buf *b, const struct bs_gen_options *options,
                        const struct bs_diffusion_options *model,
                        const struct bs_gen_hooks *h, bool taps,
                        struct bs_err *e) BS_CHECKED;

#endif
