/*
 * labels.h - names of the streams that a command compares.
 */
#ifndef BS_CMD_LABELS_H
#define BS_CMD_LABELS_H

#include "cmd/models/head.h"
#include "cmd/shared.h"

/*
 * The n labels of "a,b,c" (`given`) or, where that is NULL, those of the paths:
 * "runs/sd15.codes.bs" is "sd15", what a label cannot have becomes '_', and one
 * that is taken gets a number; stdin is `unnamed`.  `streams` says in messages
 * what they are of.  Exits with 64 for misuse.
 */
void bs_labels_set(const struct bs_cmd *cmd, char (*label)[BS_LABEL_SIZE],
                   size_t n, const char *given, char *const *path,
                   const char *unnamed, const char *streams);

#endif
