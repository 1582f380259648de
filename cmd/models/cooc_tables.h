/*
 * cooc_tables.h - what is kept of G, row by row: how many entries are above
 * thresholds and which of them the baseline has, each concept's partners, the
 * pairs that changed most.
 *
 * Everything here is a count, or a choice by a total order, so that it does not
 * depend on the order in which rows come, nor on how they are shared out.
 */
#ifndef BS_MODELS_COOC_TABLES_H
#define BS_MODELS_COOC_TABLES_H

#include "cmd/models/cooc.h"
#include "cmd/models/cooc_count.h"
#include "common/bs.h"
#include "common/err.h"

enum { BS_COOC_TAUS_MAX = 1000, BS_COOC_PARTNERS_MAX = 100 };

struct bs_cooc_config {
    uint32_t concepts;
    enum bs_cooc_curve curve;
    double tau[BS_COOC_TAUS_MAX]; /* ascending */
    size_t taus;
    size_t partners, changes;
    uint64_t support; /* rows in which partners fire together; at least 1 */

    uint16_t octave[2050]; /* private: thresholds below each power of two */
};

/* After the thresholds were set. */
void bs_cooc_config_taus(struct bs_cooc_config *c);

/* What rows of a set are compared with. */
struct bs_cooc_side {
    double rows; /* N */
    const struct bs_cooc_margin *margin;
};

/* n_ij and G_ij as one of the measures of cooc.h, 0 where that is 0 / 0. */
double bs_cooc_value(const struct bs_cooc_side *side,
                     enum bs_cooc_measure measure, uint32_t i,
                     const struct bs_cooc_pair *pair);

/* ---- curves --------------------------------------------------------------
 */

/* [taus + 1]: entries that are above so many of the thresholds. */
struct bs_cooc_hist {
    uint64_t *pairs;    /* i < j */
    uint64_t *diagonal; /* i = j */
};

/* Of a set, and of what it shares with the baseline. */
struct bs_cooc_hists {
    struct bs_cooc_hist own, shared;
};

int bs_cooc_hists_init(struct bs_cooc_hists *h, size_t taus,
                       struct bs_err *e) BS_CHECKED;
void bs_cooc_hists_add(struct bs_cooc_hists *h, const struct bs_cooc_hists *x,
                       size_t taus);
void bs_cooc_hists_clear(struct bs_cooc_hists *h, size_t taus);
void bs_cooc_hists_release(struct bs_cooc_hists *h);

/* Of each pair of the row from the diagonal on, how many thresholds it is
 * above: to bin [row->n], and counted. */
void bs_cooc_bins(uint16_t *bin, struct bs_cooc_hist *hist,
                  const struct bs_cooc_row *row,
                  const struct bs_cooc_side *side,
                  const struct bs_cooc_config *config);

/* ---- partners ------------------------------------------------------------
 */

/* cooc.h says what they are; [concepts, partners] each. */
struct bs_cooc_partners {
    uint32_t *idx, *count;
    double *value, *sum, *base;
};

int bs_cooc_partners_init(struct bs_cooc_partners *p, uint32_t concepts,
                          size_t places, bool base,
                          struct bs_err *e) BS_CHECKED;
void bs_cooc_partners_release(struct bs_cooc_partners *p);

/* Those of the row's concept, by each measure: p [BS_COOC_MEASURES].  base_row
 * and base: of the baseline, NULL where the set is it. */
void bs_cooc_choose(struct bs_cooc_partners *p, const struct bs_cooc_row *row,
                    const struct bs_cooc_side *side,
                    const struct bs_cooc_row *base_row,
                    const struct bs_cooc_side *base,
                    const struct bs_cooc_config *config);

/* ---- changes -------------------------------------------------------------
 */

struct bs_cooc_change {
    uint32_t i, j, count, base_count;
    double cosine, base_cosine;
};

/* The first `room` by how far they are apart; sorted. */
struct bs_cooc_changes {
    struct bs_cooc_change *list;
    size_t n, room;
};

int bs_cooc_changes_init(struct bs_cooc_changes *c, size_t room,
                         struct bs_err *e) BS_CHECKED;
void bs_cooc_changes_offer(struct bs_cooc_changes *c,
                           const struct bs_cooc_change *change);
void bs_cooc_changes_release(struct bs_cooc_changes *c);

/* Pairs from the diagonal on, of the same row of two sets: what is shared goes
 * to the histogram, what changed is offered. */
struct bs_cooc_compared {
    const struct bs_cooc_row *row;
    const uint16_t *bin;
    struct bs_cooc_side side;
};
void bs_cooc_compare(struct bs_cooc_hist *shared, struct bs_cooc_changes *lost,
                     struct bs_cooc_changes *gained,
                     const struct bs_cooc_compared *base,
                     const struct bs_cooc_compared *set,
                     const struct bs_cooc_config *config);

#endif
