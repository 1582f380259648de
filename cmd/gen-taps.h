/*
 * gen-taps.h - bs-gen's second output, of taps: a stream of features.
 */
#ifndef BS_CMD_GEN_TAPS_H
#define BS_CMD_GEN_TAPS_H

#include "cmd/gen-options.h"

struct bs_gen_tap_output {
    struct bs_std std; /* whose output is the file of taps */
    struct bs_out out;
    struct bs_writer *writer;
    uint64_t records; /* of the segment */
};

/* These die on failure.  `relay`: of the segment that begins or ends. */
void bs_gen_tap_open(struct bs_gen_tap_output *t,
                     const struct bs_gen_command_options *o);
void bs_gen_tap_begin(struct bs_gen_tap_output *t, const struct bs_gen_run *run,
                      const struct bs_relay *relay);
void bs_gen_tap_record(struct bs_gen_tap_output *t, const struct bs_doc *rec);
void bs_gen_tap_end(struct bs_gen_tap_output *t, const struct bs_relay *relay);
void bs_gen_tap_close(struct bs_gen_tap_output *t);

#endif
