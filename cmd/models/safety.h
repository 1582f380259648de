/*
 * safety.h - StableDiffusionSafetyChecker of diffusers: whether an image is
 * near a concept that is not to be shown.
 *
 * CLIP's vision model gives a vector; where its cosine with a concept exceeds
 * the concept's threshold by more than 0.0005 (a difference that rounds to
 * 0.001) the image is flagged.  A special care concept that is near lowers the
 * other thresholds by 0.01, as in the reference.
 */
#ifndef BS_MODELS_SAFETY_H
#define BS_MODELS_SAFETY_H

#include "cmd/models/clip_encoder.h"

struct bs_safety;

/*
 * Load the checker.  pixels: what the feature extractor's
 * preprocessor_config.json says, or NULL for CLIP's own (a shorter side of 224,
 * bicubic, the middle).  The device stays the caller's and must outlive it; the
 * files may be closed.
 */
int bs_safety_open(struct bs_safety **out, struct bs_safetensors *files,
                   const struct bs_json *pixels, struct bs_dev *dev,
                   enum bs_math math, struct bs_err *e) BS_CHECKED;
void bs_safety_close(struct bs_safety *m);

/* Tensors of the files that the checker uses, and its concepts: the special
 * ones and the others. */
size_t bs_safety_used(const struct bs_safety *m);
size_t bs_safety_concepts(const struct bs_safety *m);

/* rgb: U8 [height, width, 3].  cosines: [bs_safety_concepts], or NULL. */
int bs_safety_check(struct bs_safety *m, const uint8_t *rgb, size_t height,
                    size_t width, bool *flagged, double *cosines,
                    struct bs_err *e) BS_CHECKED;

#endif
