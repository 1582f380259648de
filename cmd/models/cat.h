/*
 * cat.h - inputs through selection, combination and conversion to an output.
 *
 * In the order in which it happens: a record is read and proven, picked,
 * sampled, counted against the limit, merged (its key is new), joined, widened,
 * and given to the sink.
 */
#ifndef BS_MODELS_CAT_H
#define BS_MODELS_CAT_H

#include "cmd/models/pick.h"
#include "cmd/models/sink.h"
#include "common/bs.h"
#include "common/err.h"
#include "common/progress.h"

struct bs_cat_options {
    const char *const *path; /* none: stdin */
    size_t paths;
    unsigned flags; /* enum bs_reader_flags */
    size_t max_record;

    struct bs_pick_options pick;
    uint64_t sample; /* so many at random; UINT64_MAX: all */
    uint64_t seed;
    uint64_t limit; /* UINT64_MAX: none */

    const char *join, *prefix;
    bool merge;
    bool keep_first; /* in a merge, of records with the same key */
    bool widen;      /* BF16 tensors become F32 */
    uint64_t split;  /* for bs.params: the sink does it; 0: no */

    bool keep_heads; /* whatever happens: they are only looked at */
    bool whole;      /* the sink cannot say that a result is partial */
    bool provenance;
    const char *tool;             /* of new heads */
    struct bs_progress *progress; /* may be NULL */
};

struct bs_cat_counts {
    uint64_t read, written;
    uint64_t ignored;          /* files and members that meant nothing */
    uint64_t duplicates;       /* left out of a merge */
    uint64_t unpaired, unused; /* in a join: of the first, of the second */
    size_t missing;            /* keys that were asked for */
    bool stopped;              /* by a signal or the time limit */
};

/* Run to the end; the sink stays the caller's to close. */
int bs_cat_run(const struct bs_cat_options *options, struct bs_sink *sink,
               struct bs_cat_counts *counts, struct bs_err *e) BS_CHECKED;

#endif
