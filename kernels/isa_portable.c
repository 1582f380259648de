/*
 * isa_portable.c - the inner loops for any processor, 16-byte vectors: SSE2 or
 * NEON, or what the compiler makes of them.
 */
#include "kernels/isa_body.h"
