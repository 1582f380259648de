/*
 * gen_resume.h - what an earlier run made before it was stopped, to be taken
 * over instead of made again.
 *
 * The file may be partial or cut: what its frames prove counts.  Records are
 * looked for in the order of the run; one that is not next is not found, and is
 * made again.  Memory: one frame.
 */
#ifndef BS_MODELS_GEN_RESUME_H
#define BS_MODELS_GEN_RESUME_H

#include "common/bs.h"
#include "common/err.h"
#include "formats/doc.h"

struct bs_gen_resume;

/* -BS_EX_NOINPUT where the file is not there. */
int bs_gen_resume_open(struct bs_gen_resume **out, const char *path,
                       size_t max_record, struct bs_err *e) BS_CHECKED;
void bs_gen_resume_close(struct bs_gen_resume *r);

/* Whether a head says the same as ours of what makes the images: bs.kind,
 * bs.params, bs.model, bs.seed.  To be asked before the first record; it reads
 * on to the file's head.  -BS_EX_DATA where it does not. */
int bs_gen_resume_agree(struct bs_gen_resume *r, const struct bs_doc *head,
                        struct bs_err *e) BS_CHECKED;

/* A record that was made, lent until the next call. */
struct bs_gen_made {
    const uint8_t *bytes;
    size_t len;
    bool flagged;
};

/* 1 with the record `key`, or 0. */
int bs_gen_resume_find(struct bs_gen_resume *r, const char *key,
                       struct bs_gen_made *made, struct bs_err *e) BS_CHECKED;

#endif
