/*
 * cooc_output.h - what bs-cooc computes, and the records of cooc.h that it
 * writes of it.
 */
#ifndef BS_MODELS_COOC_OUTPUT_H
#define BS_MODELS_COOC_OUTPUT_H

#include "cmd/models/cooc_input.h"
#include "cmd/models/cooc_run.h"
#include "cmd/models/cooc_spectrum.h"
#include "common/bs.h"
#include "common/err.h"
#include "formats/stream.h"

struct bs_cooc_options {
    struct bs_cooc_config tables; /* its `concepts` is the input's */
    bool unpaired;
    bool matrix;
    uint64_t min_count; /* of an element, to be in the matrix */
    size_t vectors;
    double tolerance; /* of the eigenvalues */
};

/* Of each stream in turn.  Zero-initialised means empty. */
struct bs_cooc_result {
    size_t streams;
    struct bs_cooc_margin *margin;
    struct bs_cooc_table *table;
    struct bs_krylov *spectrum;
    struct bs_cooc_alignment *alignment; /* the first is empty */
};

/* Set in a head what the tables were made with. */
int bs_cooc_options_head(const struct bs_cooc_options *o, struct bs_doc *head,
                         struct bs_err *e) BS_CHECKED;

/*
 * Compute everything, of sets that were ordered and checked, and write the
 * matrices while they are counted.  `memory` is for all of it, what the sets
 * have included.  An error of the writer is in bs_writer_error, too.  Release
 * *r also where this fails.
 */
int bs_cooc_compute(struct bs_cooc_result *r, const struct bs_cooc_input *in,
                    const struct bs_cooc_options *o, struct bs_writer *w,
                    struct bs_pool *pool, size_t memory,
                    struct bs_err *e) BS_CHECKED;
/* Write the other records. */
int bs_cooc_write(struct bs_writer *w, const struct bs_cooc_result *r,
                  const struct bs_cooc_input *in,
                  const struct bs_cooc_options *o, struct bs_err *e) BS_CHECKED;
void bs_cooc_result_release(struct bs_cooc_result *r);

#endif
