/*
 * visit.h - all segments of a source, one after the other, for what makes one
 * result of many streams.
 */
#ifndef BS_MODELS_VISIT_H
#define BS_MODELS_VISIT_H

#include "cmd/models/source.h"
#include "common/bs.h"
#include "common/err.h"
#include "formats/doc.h"

struct bs_visit {
    /* 0, or negative with the error set.  What is lent is lent for the call. */
    int (*head)(void *arg, const struct bs_doc *head, struct bs_err *e);
    int (*record)(void *arg, const struct bs_doc *rec, struct bs_err *e);
    void *arg;
    struct bs_doc *parents; /* each segment is added to its bs.parents */
};

/*
 * Read a source to its end.  Returns 1, 0 where bs_stop_wanted, or negative:
 * what the functions said (a record's with "record 'key': " before it) or what
 * is wrong with the source; the caller names the input.
 */
int bs_visit(struct bs_source *s, const struct bs_visit *v,
             struct bs_err *e) BS_CHECKED;

#endif
