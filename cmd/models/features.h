/*
 * features.h - a record of features as tokens in f32: what an autoencoder
 * reads.
 */
#ifndef BS_MODELS_FEATURES_H
#define BS_MODELS_FEATURES_H

#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"
#include "formats/doc.h"

/*
 * The tensor x [tokens, width] of a record, F16, BF16 or F32; width 0: any but
 * 0; whose: "the model's", for the message.  -BS_EX_DATA where there is none
 * such; its values are not looked at.
 */
int bs_features_find(const struct bs_tensor **out, const struct bs_doc *rec,
                     size_t width, const char *whose,
                     struct bs_err *e) BS_CHECKED;

/*
 * Append the tensor x [tokens, width] of a record, F16, BF16 or F32, as f32
 * rows to *to; *tokens: how many.  -BS_EX_DATA, naming the record, where there
 * is none, of another width, or a value that is not finite.
 */
int bs_features_read(struct bs_buf *to, size_t *tokens,
                     const struct bs_doc *rec, size_t width,
                     struct bs_err *e) BS_CHECKED;

#endif
