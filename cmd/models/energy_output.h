/*
 * energy_output.h - what bs-energy writes: the tables of cmd/models/energy.h.
 */
#ifndef BS_MODELS_ENERGY_OUTPUT_H
#define BS_MODELS_ENERGY_OUTPUT_H

#include "cmd/models/energy_input.h"
#include "cmd/models/energy_stats.h"
#include "common/bs.h"
#include "common/err.h"
#include "formats/stream.h"

/* Set in a head what the tables were computed with. */
int bs_energy_config_head(const struct bs_energy_config *config,
                          struct bs_doc *head, struct bs_err *e) BS_CHECKED;

/* Write the records: concepts, contrasts, the null, pairs with their `top`
 * concepts.  An error of the writer is in bs_writer_error, too. */
int bs_energy_write(struct bs_writer *w, const struct bs_energy_input *in,
                    const struct bs_energy_config *config,
                    const struct bs_energy_result *result, size_t top,
                    struct bs_err *e) BS_CHECKED;

#endif
