/*
 * preprocess.c - see preprocess.h.  Memory: one decoded image and a strip of
 * it.
 */
#include "cmd/models/preprocess.h"

#include "kernels/resize.h"

bool
bs_preprocess_find(const struct bs_doc *rec, struct bs_tensor *image)
{
    static const char *const names[] = {"jpg", "png", "webp", "rgb"};
    size_t i;

    for (i = 0; i < BS_LEN(names); i++) {
        const struct bs_tensor *t = bs_doc_tensor(rec, names[i]);

        if (t != NULL) {
            *image = *t;
            image->name = names[i];
            return true;
        }
    }
    return false;
}

/* Offset of a centred part, the half rounded to even as Python's round. */
static size_t
centre(size_t whole, size_t part)
{
    size_t spare = whole - part, half = spare / 2;

    return spare % 2 == 1 && half % 2 == 1 ? half + 1 : half;
}

/* The part of an image in memory that the model sees. */
static enum bs_image_status
cut(const struct bs_preprocess *p, const uint8_t *rgb, size_t width,
    size_t height, uint8_t *out, struct bs_err *e)
{
    size_t w = p->resize, h = p->resize;
    struct bs_crop crop = {.width = p->size, .height = p->size};

    if (width <= height)
        h = p->resize * height / width;
    else
        w = p->resize * width / height;
    crop.x = centre(w, p->size);
    crop.y = centre(h, p->size);
    return bs_resize(rgb, width, height, out, w, h, BS_FILTER_BICUBIC, &crop,
                     e) < 0
               ? BS_IMAGE_LIMIT
               : BS_IMAGE_OK;
}

/* Pixels that are in the record as they are. */
static enum bs_image_status
raw(const struct bs_preprocess *p, const struct bs_tensor *t, uint8_t *out,
    struct bs_err *e)
{
    const struct bs_image_limits *limits = &bs_image_limits_default;
    uint64_t height = t->shape[0], width = t->shape[1];

    if (t->dtype != BS_DTYPE_U8 || t->rank != 3 || t->shape[2] != 3 ||
        height == 0 || width == 0) {
        (void)bs_err_set(e, BS_EX_DATA,
                         "tensor 'rgb' is not U8 [height, width, 3]");
        return BS_IMAGE_BAD;
    }
    if (height > limits->side || width > limits->side ||
        height * width > limits->pixels) {
        (void)bs_err_set(e, BS_EX_DATA, "%ju x %ju pixels are too many",
                         (uintmax_t)width, (uintmax_t)height);
        return BS_IMAGE_LIMIT;
    }
    return cut(p, t->data, (size_t)width, (size_t)height, out, e);
}

enum bs_image_status
bs_preprocess_run(const struct bs_preprocess *p, const struct bs_tensor *image,
                  uint8_t *out, struct bs_err *e)
{
    struct bs_image img = {0};
    enum bs_image_status status;

    if (strcmp(image->name, "rgb") == 0)
        return raw(p, image, out, e);
    if (image->dtype != BS_DTYPE_U8 || image->rank != 1) {
        (void)bs_err_set(e, BS_EX_DATA, "tensor '%s' is not U8 [bytes]",
                         image->name);
        return BS_IMAGE_BAD;
    }
    status = bs_image_decode(image->data, image->bytes,
                             &bs_image_limits_default, &img, e);
    if (status == BS_IMAGE_OK) {
        status = cut(p, img.rgb, img.width, img.height, out, e);
        bs_image_release(&img);
    }
    return status;
}
