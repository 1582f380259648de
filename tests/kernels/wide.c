/*
 * wide.c - the tile shapes of AVX-512 for processors without it: the same
 * template with 64-byte vectors, which the compiler takes apart, and bf16
 * products in plain arithmetic.  So every shape, tail and packing runs
 * everywhere.
 */
#include "tests/kernels/wide.h"

/* Nothing here is called from another object. */
#pragma GCC diagnostic ignored "-Wpsabi"

#define ISA_NAME wide
#define VW 16
#define MR 12
#define NV 2
#include "kernels/isa_bf16.h"
#include "kernels/isa_body.h"
