/*
 * energy_input.h - what bs-energy reads: streams of codes, or the partial
 * energies that were made from parts of them.
 *
 * A partial is a stream of kind energy with `partial` "1", a record of table
 * "sums" for each record of codes: metadata `set` (0: real; 1, 2, ...: the
 * generated streams), tensors concept U32 [n], energy I64 [n], fires U32 [n];
 * and the metadata of the codes' record.
 */
#ifndef BS_MODELS_ENERGY_INPUT_H
#define BS_MODELS_ENERGY_INPUT_H

#include "cmd/models/energy_set.h"
#include "cmd/models/head.h"
#include "cmd/models/source.h"
#include "common/bs.h"
#include "common/err.h"
#include "formats/doc.h"
#include "formats/stream.h"

enum { BS_ENERGY_MODELS_MAX = BS_LABELS_MAX };

struct bs_energy_input {
    enum bs_pooling pooling;
    enum bs_scope scope;
    size_t models;
    char label[BS_ENERGY_MODELS_MAX][BS_LABEL_SIZE];
    struct bs_origin origin; /* what all streams must agree in */
    struct bs_energy_set set[1 + BS_ENERGY_MODELS_MAX];
    struct bs_doc parents; /* bs.parents of what was read */

    /* The command's: whether a record is wanted. */
    bool (*wanted)(void *command, const char *key);
    void *command;

    struct bs_pooler pooler; /* private */
};

/*
 * Read all segments of a stream of codes into set[number].  Returns 1, 0 where
 * bs_stop_wanted, or < 0: "record 'a': token 3: ...", the caller names the
 * input.
 */
int bs_energy_read_codes(struct bs_energy_input *in, size_t number,
                         struct bs_source *s, struct bs_err *e) BS_CHECKED;

/* The same for a partial; the first (models 0) says what the others must. */
int bs_energy_read_partial(struct bs_energy_input *in, struct bs_source *s,
                           struct bs_err *e) BS_CHECKED;

/* Set in a head what says of which energies it is. */
int bs_energy_input_head(const struct bs_energy_input *in, struct bs_doc *head,
                         struct bs_err *e) BS_CHECKED;
/* Write the records of a partial, sets in turn, by key; head and end are the
 * caller's.  An error of the writer is in bs_writer_error, too. */
int bs_energy_write_partial(struct bs_writer *w,
                            const struct bs_energy_input *in,
                            struct bs_err *e) BS_CHECKED;

/* Sort all sets. */
int bs_energy_input_sort(struct bs_energy_input *in,
                         struct bs_err *e) BS_CHECKED;
void bs_energy_input_release(struct bs_energy_input *in);

#endif
