/*
 * target.h - what a fuzz target exports; libFuzzer's or replay.c's main() calls
 * it.  It returns 0, and aborts where a promise is broken.
 */
#ifndef BS_TESTS_FUZZ_TARGET_H
#define BS_TESTS_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A broken promise. */
static inline void
must(int good)
{
    if (!good)
        abort();
}

#endif
