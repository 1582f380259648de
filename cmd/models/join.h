/*
 * join.h - records of one input with what a second one says of the same key.
 *
 * The second input is read whole into a temporary file; memory: its keys and 24
 * bytes for each.
 */
#ifndef BS_MODELS_JOIN_H
#define BS_MODELS_JOIN_H

#include "cmd/models/spool.h"
#include "common/bs.h"
#include "common/err.h"
#include "formats/doc.h"
#include "formats/keyset.h"

struct bs_join {
    struct bs_doc parents; /* its bs.parents: the segments that were read */
    uint64_t unpaired;     /* records of the first input without a partner */

    const char *prefix; /* from here on private */
    struct bs_spool spool;
    struct bs_keyset keys; /* numbers in `place` */
    struct bs_buf place;   /* struct place, one a record */
    uint64_t used;
    struct bs_buf bytes; /* of the partner */
    struct bs_doc partner;
};

/*
 * Read the second input.  A key that it has twice is an error.  prefix (NULL:
 * none) goes before names of it that the first has with another value; without
 * one those are an error.  *j must be empty; release it also when this fails.
 */
int bs_join_load(struct bs_join *j, const char *path, unsigned flags,
                 size_t max_record, const char *prefix,
                 struct bs_err *e) BS_CHECKED;

/* *made, which is empty, becomes the record with its partner's metadata and
 * tensors, lent until the next call: 1, or 0 where it has no partner. */
int bs_join_make(struct bs_join *j, const struct bs_doc *rec,
                 struct bs_doc *made, struct bs_err *e) BS_CHECKED;

/* Records of the second input that no record asked for. */
uint64_t bs_join_unused(const struct bs_join *j);
void bs_join_release(struct bs_join *j);

#endif
