/*
 * gen-options.h - the options of bs-gen.
 */
#ifndef BS_CMD_GEN_OPTIONS_H
#define BS_CMD_GEN_OPTIONS_H

#include "cmd/models/caption_list.h"
#include "cmd/models/gen_run.h"
#include "cmd/shared.h"

struct bs_gen_command_options {
    struct bs_std std;
    struct bs_gen_options gen;
    struct bs_caption_columns columns;
    bool fail; /* at a record without a caption */
    struct bs_opt_list taps, steers;
    const char *tap_file;
};

/* The index of the first operand; exits with 64 for misuse. */
int bs_gen_parse(struct bs_gen_command_options *o, int argc, char *argv[]);

#endif
