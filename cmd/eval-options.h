/*
 * eval-options.h - the command line of bs-sae eval.
 */
#ifndef BS_CMD_EVAL_OPTIONS_H
#define BS_CMD_EVAL_OPTIONS_H

#include "cmd/models/eval_report.h"
#include "cmd/shared.h"

struct bs_eval_options {
    struct bs_std std;
    struct bs_metric_choice metrics;
    bool features; /* are to be read */
    enum bs_report_format format;
    bool automatic;       /* the format: a table on a terminal, else as it is */
    const char *concepts; /* where the rows of concepts go, or NULL */
    struct bs_sae sae;
    struct bs_opt_list against;
    struct bs_sae *other; /* [against.count]: their dictionaries only */
    struct bs_columns columns;
};

/* Read the options into *o, and the models; the index of the first operand.
 * Exits with 64 for misuse, otherwise where a model cannot be used. */
int bs_eval_command_line(struct bs_eval_options *o, int argc, char *argv[]);

#endif
