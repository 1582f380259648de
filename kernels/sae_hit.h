/*
 * sae_hit.h - a product that may belong to a code; the same on every device.
 * Included by C, and by .cu files as C++.  Private to kernels/.
 */
#ifndef BS_KERNELS_SAE_HIT_H
#define BS_KERNELS_SAE_HIT_H

#include <stdint.h>

/* Bounds of a pre-activation, equal once it is known. */
struct bs_hit {
    float low, high;
    uint32_t row, idx;
};

#endif
