/*
 * rank.h - a whole run of bs-rank: read, select, look up images, report.
 */
#ifndef BS_MODELS_RANK_H
#define BS_MODELS_RANK_H

#include "cmd/models/rank_print.h"
#include "cmd/models/rank_scan.h"
#include "cmd/models/sheet.h"
#include "common/bs.h"
#include "common/err.h"

enum bs_rank_what {
    BS_RANK_CONCEPTS,
    BS_RANK_TOPS,      /* the images of the listed concepts */
    BS_RANK_DIVERGENT, /* pairs */
    BS_RANK_IDENTICAL,
    BS_RANK_CORRELATE
};

struct bs_rank_run {
    enum bs_rank_what what;
    const char *energy;   /* path, "-" for stdin */
    const char *models;   /* "label,label" to list, or NULL for all */
    const char *concepts; /* "number,number" to look at, or NULL for all */
    struct bs_rank_input input;
    struct bs_rank_options options; /* its `models` and `concepts`: set here */
    struct bs_rank_output output;
    size_t places;               /* top images of a concept */
    const char *codes[BS_SIDES]; /* paths, or NULL */
    const char *const *part;     /* paths of parts instead */
    size_t parts;
    struct bs_sheet_options sheet; /* folder NULL: none */
    struct bs_sheet_counts counts; /* of pictures, set by the run */
};

int bs_rank_run(struct bs_rank_run *run, struct bs_err *e) BS_CHECKED;

/* The lists of all concepts of run->codes, for bs_tops_write: the two readings.
 * Release *tops also where this fails. */
int bs_rank_part(struct bs_tops *tops, const struct bs_rank_run *run,
                 struct bs_err *e) BS_CHECKED;

#endif
