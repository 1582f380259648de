/*
 * isa_body.h - template: the table of one instruction set, bs_isa_<ISA_NAME>.
 */
#ifndef BS_KERNELS_ISA_BODY_H
#define BS_KERNELS_ISA_BODY_H

#include "kernels/isa.h"
#include "kernels/isa_bytes.h"
#include "kernels/isa_dots.h"
#include "kernels/isa_panel.h"
#include "kernels/isa_rows.h"
#include "kernels/isa_screen.h"
#include "kernels/isa_tile.h"
#include "kernels/isa_winograd.h"

#ifndef ISA_NAME
#define ISA_NAME portable
#endif
#ifndef GEMM_BF16
#define GEMM_BF16 NULL
#endif

#define ISA_TABLE_(name) bs_isa_##name
#define ISA_TABLE(name) ISA_TABLE_(name)
#define ISA_STRING_(name) #name
#define ISA_STRING(name) ISA_STRING_(name)

const struct bs_isa ISA_TABLE(ISA_NAME) = {
    .name = ISA_STRING(ISA_NAME),
    .mr = MR,
    .nr = NR,
    .gemm = gemm,
    .gemm_bf16 = GEMM_BF16,
    .gemm_whole = gemm_whole,
    .whole_pays = WHOLE_PAYS,
    .gemm_bytes = gemm_bytes,
    .bytes_pay = BYTES_PAY,
    .dots = dots,
    .screen = screen,
    .widen = widen,
    .narrow = narrow,
    .scale = scale,
    .epilogue = epilogue,
    .pack = pack,
    .softmax = softmax,
    .scale_columns = scale_columns,
    .narrow_pairs = narrow_pairs,
    .layer_norm = layer_norm,
    .swiglu = swiglu,
    .geglu = geglu,
    .winograd_input = winograd_input,
    .winograd_weight = winograd_weight,
    .winograd_output = winograd_output,
    .channel_sums = channel_sums,
    .affine = affine,

    .gram = gram,
    .panel_dot = panel_dot,
    .panel_sub = panel_sub,
};

#endif
