/*
 * sae-train-options.h - the options of bs-sae train.
 */
#ifndef BS_CMD_SAE_TRAIN_OPTIONS_H
#define BS_CMD_SAE_TRAIN_OPTIONS_H

#include "cmd/models/sae_train.h"
#include "cmd/shared.h"

struct bs_train_options {
    struct bs_std std;
    struct bs_train_config given; /* what the command line says, no more */
    const char *init, *checkpoint, *resume, *metrics;
    uint64_t every_steps, every_seconds, metrics_every;
    bool keep_parts;
};

/* Parse; the index of the first operand. */
int bs_sae_train_parse(struct bs_train_options *o, int argc, char *argv[]);
/* Exit with 64 for what turned out to be misuse only with the inputs. */
void bs_sae_train_misuse(const struct bs_err *e) BS_NORETURN;

#endif
