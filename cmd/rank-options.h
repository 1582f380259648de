/*
 * rank-options.h - the command line of bs-rank.
 */
#ifndef BS_CMD_RANK_OPTIONS_H
#define BS_CMD_RANK_OPTIONS_H

#include "cmd/models/rank.h"
#include "cmd/shared.h"

struct bs_rank_command {
    struct bs_std std;
    struct bs_rank_run run;
    bool partial;   /* write a part instead of a report */
    bool automatic; /* the format: a table on a terminal, else as it is */
    struct bs_out out;
    struct bs_writer *writer;
};

/* Read the options and operands into *c, which has its defaults then; exits
 * with 64 for misuse. */
void bs_rank_command_line(struct bs_rank_command *c, int argc, char *argv[]);

#endif
