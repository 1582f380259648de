/*
 * ledger.h - what became of all candidates: counts by status, and a log with a
 * line of JSON for each.
 */
#ifndef BS_MODELS_LEDGER_H
#define BS_MODELS_LEDGER_H

#include "cmd/models/gather.h"

struct bs_ledger {
    uint64_t count[BS_GATHER_STATUSES];
    uint64_t total;
    /* what else is worth a word; the caller's to fill before the summary */
    uint64_t strays, cuts, wanted;
    const char *stopped;
    int fd; /* of the log, -1 for none */
    struct bs_buf line;
};

/* path NULL: no log.  An older file of that name is emptied. */
int bs_ledger_open(struct bs_ledger *l, const char *path,
                   struct bs_err *e) BS_CHECKED;
/* Count it and write its line, at once. */
int bs_ledger_add(struct bs_ledger *l, const struct bs_found *f,
                  struct bs_err *e) BS_CHECKED;
/* {"candidates":12,"ok":9,...}: the statuses that occurred. */
int bs_ledger_stats(const struct bs_ledger *l, struct bs_buf *out,
                    struct bs_err *e) BS_CHECKED;
/* Nothing is missing. */
bool bs_ledger_clean(const struct bs_ledger *l);
/* "12 candidates: 9 ok, 2 animated, 1 empty; ended early: SIGTERM", with a NUL.
 */
int bs_ledger_summary(const struct bs_ledger *l, struct bs_buf *out,
                      struct bs_err *e) BS_CHECKED;
/* Late write errors surface here. */
int bs_ledger_close(struct bs_ledger *l, struct bs_err *e) BS_CHECKED;

#endif
