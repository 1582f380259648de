/*
 * cooc_input.h - what bs-cooc reads: streams of codes, or the parts that were
 * made of some of their records.
 *
 * A part is a stream of kind cooc with `partial` "1", a record of table "rows"
 * for each record of codes: metadata `set` (0, 1, ...: the stream), `tokens`;
 * tensors len U32 [rows] and entry U64 [n], as in cooc_set.h.
 */
#ifndef BS_MODELS_COOC_INPUT_H
#define BS_MODELS_COOC_INPUT_H

#include "cmd/models/cooc.h"
#include "cmd/models/cooc_set.h"
#include "cmd/models/energy_set.h"
#include "cmd/models/source.h"
#include "common/bs.h"
#include "common/err.h"
#include "formats/stream.h"

extern const char *const bs_cooc_pool_names[]; /* "sum", "max" */

struct bs_cooc_input {
    enum bs_cooc_grain grain;
    enum bs_scope scope;
    bool max; /* an image's value is its tokens' largest, not their sum */
    size_t streams;
    char label[BS_COOC_STREAMS_MAX][BS_LABEL_SIZE];
    struct bs_origin origin; /* what all streams must agree in */
    struct bs_cooc_set set[BS_COOC_STREAMS_MAX];
    struct bs_cooc_store store; /* its budget is the caller's */
    struct bs_doc parents;      /* bs.parents of what was read */

    /* The command's: whether a record is wanted. */
    bool (*wanted)(void *command, const char *key);
    void *command;

    struct bs_pooler pooler; /* private from here */
    struct bs_codes codes;
    struct bs_buf entry, len; /* of the record being read */
};

/*
 * Read all segments of a stream of codes into set[number].  Returns 1, 0 where
 * bs_stop_wanted, or < 0: "record 'a': token 3: ...", the caller names the
 * input.
 */
int bs_cooc_read_codes(struct bs_cooc_input *in, size_t number,
                       struct bs_source *s, struct bs_err *e) BS_CHECKED;
/* The same for a part; the first (streams 0) says what the others must. */
int bs_cooc_read_partial(struct bs_cooc_input *in, struct bs_source *s,
                         struct bs_err *e) BS_CHECKED;

/* Set in a head what says of which codes, and how taken, the result is. */
int bs_cooc_input_head(const struct bs_cooc_input *in, struct bs_doc *head,
                       struct bs_err *e) BS_CHECKED;
/* Write the records of a part, of sets that were ordered unpaired; head and end
 * are the caller's.  An error of the writer is in bs_writer_error, too. */
int bs_cooc_write_partial(struct bs_writer *w, const struct bs_cooc_input *in,
                          struct bs_err *e) BS_CHECKED;

void bs_cooc_input_release(struct bs_cooc_input *in);

#endif
