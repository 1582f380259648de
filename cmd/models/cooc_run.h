/*
 * cooc_run.h - all rows of G of all sets, range by range on several threads,
 * into the tables; and, in order, to whoever writes the matrices.
 *
 * Memory, besides the sets and the tables: a counter and a row of each set
 * for each thread and, if rows are asked for, those of threads + 2 ranges.
 */
#ifndef BS_MODELS_COOC_RUN_H
#define BS_MODELS_COOC_RUN_H

#include "cmd/models/cooc_set.h"
#include "cmd/models/cooc_tables.h"
#include "common/bs.h"
#include "common/err.h"

/* Of one set. */
struct bs_cooc_table {
    struct bs_cooc_hists hists;
    struct bs_cooc_partners partners[BS_COOC_MEASURES];
    struct bs_cooc_changes lost, gained;
};

/*
 * Row `concept` of a set's G from its diagonal on, as far as it is not zero:
 * concepts ascending and, of each, the sets in turn.  0 or negative.
 */
typedef int bs_cooc_row_fn(void *arg, size_t set, uint32_t concept,
                           const struct bs_cooc_pair *pair, size_t n,
                           struct bs_err *e);

/*
 * margin: of all n sets.  table [n] starts zero; release it also where this
 * fails.  `memory` bounds the workers', at least a worker's; fn may be NULL.
 * Asked to stop: -BS_EX_TEMPFAIL.
 */
int bs_cooc_run(struct bs_cooc_table *table, const struct bs_cooc_set *sets,
                const struct bs_cooc_margin *margin, size_t n,
                const struct bs_cooc_config *config, unsigned threads,
                size_t memory, bs_cooc_row_fn *fn, void *arg,
                struct bs_err *e) BS_CHECKED;
void bs_cooc_table_release(struct bs_cooc_table *t);

#endif
