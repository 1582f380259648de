/*
 * energy-options.h - the options of bs-energy.
 */
#ifndef BS_CMD_ENERGY_OPTIONS_H
#define BS_CMD_ENERGY_OPTIONS_H

#include "cmd/models/energy_input.h"
#include "cmd/models/energy_stats.h"
#include "cmd/shared.h"

struct bs_energy_options {
    struct bs_std std;
    struct bs_energy_config config; /* `concepts` is the input's */
    enum bs_pooling pooling;
    enum bs_scope scope;
    uint64_t top;
    bool partial, merge;
    size_t models; /* operands but the first; 0 with --merge */
    char label[BS_ENERGY_MODELS_MAX][BS_LABEL_SIZE];
    char params[400]; /* canonical JSON of what changes the result */
};

/* The index of the first operand; exits with 64 for misuse. */
int bs_energy_parse(struct bs_energy_options *o, int argc, char *argv[]);

#endif
