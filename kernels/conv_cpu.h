/*
 * conv_cpu.h - packed convolutions of the CPU device.  Private to them.
 */
#ifndef BS_KERNELS_CONV_CPU_H
#define BS_KERNELS_CONV_CPU_H

#include "kernels/gemm_cpu.h"

struct bs_cpu_conv {
    struct bs_conv head;
    /* Transformed tile by tile: [out, in, 3, 3], each panel [in][9][nr] in f32
     * or bf16; or a matrix [out, side, side, in]. */
    bool winograd;
    struct bs_weight *w;
};

/* [out, in, side, side] to [out, side, side, in], elements of `size` bytes. */
void bs_conv_taps_first(void *out, const void *in,
                        const struct bs_conv_shape *s, size_t size);

/* See winograd_cpu.c. */
int bs_cpu_winograd(struct bs_cpu *c, const struct bs_dev_conv2d *a) BS_CHECKED;

#endif
