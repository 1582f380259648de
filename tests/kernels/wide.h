/*
 * wide.h - an instruction set for the tests: see wide.c, which is linked to
 * every program here.
 */
#ifndef BS_TESTS_WIDE_H
#define BS_TESTS_WIDE_H

#include "kernels/isa.h"

extern const struct bs_isa bs_isa_wide;

#endif
