/*
 * fuzz-image.c - any bytes as an image: the decoders, under small limits.  What
 * decodes is resized and encoded, so that every byte of it is read.
 */
#include "formats/image.h"
#include "kernels/resize.h"
#include "tests/fuzz/target.h"

static void
use(const struct bs_image *img)
{
    struct bs_err e = {0};
    struct bs_buf jpeg = {0};
    uint8_t small[8 * 8 * 3];
    const struct bs_crop crop = {.width = 8, .height = 8};

    must(bs_resize(img->rgb, img->width, img->height, small, 8, 8,
                   BS_FILTER_BILINEAR, &crop, &e) == 0);
    must(bs_image_encode_jpeg(img, 75, &jpeg, &e) == 0);
    bs_buf_release(&jpeg);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct bs_image_limits limits = {
        .bytes = (size_t)1 << 20,
        .side = 4096,
        .pixels = (size_t)1 << 20,
    };
    enum bs_image_status status, header;
    struct bs_image img;
    struct bs_err e = {0}, e2 = {0};
    size_t width, height;

    status = bs_image_decode(data, len, &limits, &img, &e);
    header = bs_image_size(data, len, &limits, &width, &height, &e2);
    must((status == BS_IMAGE_OK) == (img.rgb != NULL));
    must((status == BS_IMAGE_OK) == (e.code == 0));
    must(status != BS_IMAGE_OK ||
         (header == BS_IMAGE_OK && width == img.width && height == img.height));
    if (status == BS_IMAGE_OK)
        use(&img);
    bs_image_release(&img);
    return 0;
}
