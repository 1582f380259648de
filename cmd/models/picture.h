/*
 * picture.h - look at one candidate's bytes and make it a record.
 */
#ifndef BS_MODELS_PICTURE_H
#define BS_MODELS_PICTURE_H

#include "cmd/models/candidate.h"

struct bs_picture {
    struct bs_candidate *candidate; /* owned */
    struct bs_found found;          /* borrows from here */
    struct bs_buf encoded;          /* the JPEG, where there is a round trip */
    struct bs_err fatal;            /* what no status can say: no memory */
};

/* NULL where there is no memory; then the candidate stays the caller's. */
struct bs_picture *bs_picture_new(struct bs_candidate *c) BS_CHECKED;

/* Read, check, decode, build the record.  Any thread may do it. */
void bs_picture_examine(struct bs_picture *p,
                        const struct bs_gather_options *options);

void bs_picture_free(struct bs_picture *p);

#endif
