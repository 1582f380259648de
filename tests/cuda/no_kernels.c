/*
 * no_kernels.c - in the place of kernels/cuda_image.c where there is no nvcc: the
 * emulation has the kernels itself, so that all the rest can still be run.
 */
#include "kernels/cuda.h"

#define IMAGE(image) [BS_IMAGE_##image] = "emulated",
const void *const bs_cuda_images[BS_CUDA_IMAGE_COUNT] = {BS_CUDA_IMAGES(IMAGE)};
