/*
 * cooc-options.h - the options of bs-cooc.
 */
#ifndef BS_CMD_COOC_OPTIONS_H
#define BS_CMD_COOC_OPTIONS_H

#include "cmd/models/cooc_input.h"
#include "cmd/models/cooc_list.h"
#include "cmd/models/cooc_output.h"
#include "cmd/shared.h"

struct bs_cooc_command_line {
    struct bs_std std;
    struct bs_cooc_options options; /* `concepts` of its tables: the input's */
    struct bs_cooc_input in; /* how to read, how much to keep in memory, and
                                the streams: operands, 0 with --merge */
    bool partial, merge;
    struct bs_buf params; /* canonical JSON of what changes the result */

    bool listing; /* write a table of a result instead */
    struct bs_cooc_list list;
    bool automatic; /* its format */
};

/* The index of the first operand; exits with 64 for misuse. */
int bs_cooc_parse(struct bs_cooc_command_line *c, int argc, char *argv[]);

#endif
