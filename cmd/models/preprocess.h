/*
 * preprocess.h - the image of a record as the pixels that a model looks at.
 *
 * What torchvision does with a Pillow image: Resize(resize, bicubic) of the
 * shorter side, then CenterCrop(size); bit for bit.
 */
#ifndef BS_MODELS_PREPROCESS_H
#define BS_MODELS_PREPROCESS_H

#include "common/bs.h"
#include "common/err.h"
#include "formats/doc.h"
#include "formats/image.h"

struct bs_preprocess {
    size_t resize; /* shorter side after the resize, at least size */
    size_t size;   /* side of the square that is cut out */
};

/* The tensor that holds the record's image (jpg, png, webp, rgb): its data is
 * the record's, its name static.  False if there is none. */
bool bs_preprocess_find(const struct bs_doc *rec, struct bs_tensor *image);

/*
 * Decode, resize and crop `image` to out, U8 [size, size, 3].  e says what is
 * wrong with the image; e->code is BS_EX_OSERR where it is not the image but a
 * lack of memory.
 */
enum bs_image_status bs_preprocess_run(const struct bs_preprocess *p,
                                       const struct bs_tensor *image,
                                       uint8_t *out, struct bs_err *e);

#endif
