/*
 * cuda_image.c - the compiled kernels, kernels/<op>.cu, as a part of this
 * binary.  The Makefile names the folder of the files, BS_CUDA_DIR, and knows
 * that this object depends on them.
 */
#include "kernels/cuda.h"

#ifdef BS_CUDA_DIR

#define EMBED(image)                                          \
    __asm__(".section .rodata\n"                              \
            ".balign 64\n"                                    \
            "bs_cuda_image_" #image ":\n"                     \
            ".incbin \"" BS_CUDA_DIR "/" #image ".fatbin\"\n" \
            ".previous\n");                                   \
    extern const char bs_cuda_image_##image[];
BS_CUDA_IMAGES(EMBED)

#define IMAGE(image) [BS_IMAGE_##image] = bs_cuda_image_##image,
const void *const bs_cuda_images[BS_CUDA_IMAGE_COUNT] = {BS_CUDA_IMAGES(IMAGE)};

#else

const void *const bs_cuda_images[BS_CUDA_IMAGE_COUNT] = {NULL};

#endif
