/*
 * resize.h - Pillow's 8-bit image resize, bit-exact, and the sizes that
 * torchvision's Resize and CenterCrop ask for.
 *
 * Two passes, horizontal then vertical, each rounded to 8 bits, with integer
 * coefficients of 22 bits (Pillow, src/libImaging/Resample.c, 8-bit path). Only
 * the rows and columns that the crop shows are computed: output pixels do not
 * depend on one another.
 */
#ifndef BS_KERNELS_RESIZE_H
#define BS_KERNELS_RESIZE_H

#include "common/bs.h"
#include "common/err.h"

enum bs_filter { BS_FILTER_BICUBIC, BS_FILTER_BILINEAR, BS_FILTER_LANCZOS };

struct bs_crop {
    size_t x, y, width, height;
};

/*
 * Resize src, U8 [height, width, 3], to out_width x out_height with `filter`
 * and write the part `crop` of the result to dst, U8 [crop.height, crop.width,
 * 3].  A pass whose size does not change is skipped, as Pillow skips it.
 * Sizes from 1 to 2^24; crop of at least one pixel, within the output.
 * -BS_EX_USAGE for other sizes, -BS_EX_OSERR where scratch memory (about
 * crop.width * height * 3 bytes) is not to be had.
 */
int bs_resize(const uint8_t *src, size_t width, size_t height, uint8_t *dst,
              size_t out_width, size_t out_height, enum bs_filter filter,
              const struct bs_crop *crop, struct bs_err *e) BS_CHECKED;

/*
 * The size that torchvision's Resize(shorter) gives: the shorter side becomes
 * `shorter`, the longer keeps the proportion, cut to a whole number.  Sizes
 * from 1 to 2^24.
 */
void bs_resize_fit(size_t width, size_t height, size_t shorter,
                   size_t *out_width, size_t *out_height);

/*
 * The window of torchvision's CenterCrop: half of what is left over, rounded
 * to even.  -BS_EX_USAGE where the image is smaller than the window (which
 * torchvision pads with black).
 */
int bs_center_crop(size_t width, size_t height, size_t crop_width,
                   size_t crop_height, struct bs_crop *out,
                   struct bs_err *e) BS_CHECKED;

#endif
