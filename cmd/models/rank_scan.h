/*
 * rank_scan.h - an input read from end to end, item by item, with errors that
 * say where.
 */
#ifndef BS_MODELS_RANK_SCAN_H
#define BS_MODELS_RANK_SCAN_H

#include "cmd/models/source.h"
#include "common/bs.h"
#include "common/err.h"
#include "formats/doc.h"

struct bs_rank_input {
    unsigned flags; /* enum bs_reader_flags */
    size_t max_record;
};

/* One head, record or end (enum bs_item) of an input; 0 or < 0. */
typedef int bs_rank_item_fn(void *arg, int item, const struct bs_doc *doc,
                            struct bs_err *e);

/*
 * Every item of the input to fn.  Errors of fn come out as "'NAME': ..." and,
 * at a record, "'NAME': record 'KEY': ...".  Asked to stop: -BS_EX_TEMPFAIL.
 */
int bs_rank_scan(const char *path, const struct bs_rank_input *in,
                 bs_rank_item_fn *fn, void *arg, struct bs_err *e) BS_CHECKED;

enum { BS_RANK_SHA256 = 65 };

/* The sha256 that a head's bs.model names, "" where it names none. */
int bs_rank_dictionary(char out[BS_RANK_SHA256], const struct bs_doc *head,
                       struct bs_err *e) BS_CHECKED;

/*
 * The tensor's n values, of this type and shape [n]: NULL where there is none;
 * *wrong and e say where it is another.
 */
const void *bs_rank_values(const struct bs_doc *doc, const char *name,
                           enum bs_dtype dtype, size_t n, bool *wrong,
                           struct bs_err *e) BS_CHECKED;

#endif
