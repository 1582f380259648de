/*
 * gen-count.h - how many images there will be, for who waits.
 */
#ifndef BS_CMD_GEN_COUNT_H
#define BS_CMD_GEN_COUNT_H

#include "cmd/gen-options.h"

/*
 * Read the inputs argv[0..argc-1], or stdin where there are none, and count the
 * images that they ask for.  0 where that cannot be known: an input that cannot
 * be read twice, or is damaged, which is said later.
 */
uint64_t bs_gen_count(const struct bs_gen_command_options *o, int argc,
                      char *argv[]);

#endif
