/*
 * peak.c - prints what the processor can do at most: GF/s of f32 multiply-adds
 * in registers, `peak [THREADS]`; 0 where that is unknown.
 */
#include "tests/bench/bench.h"

int
main(int argc, char *argv[])
{
    unsigned threads = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;

    if (threads == 0)
        threads = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    printf("%.1f\n", peak_gflops(threads));
    return 0;
}
