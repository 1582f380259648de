/*
 * match_own.h - a matching being made.  Private to match.c and match_price.c.
 */
#ifndef BS_MODELS_MATCH_OWN_H
#define BS_MODELS_MATCH_OWN_H

#include "cmd/models/match.h"
#include "cmd/models/match_pairs.h"

struct bs_matcher {
    const struct bs_atoms *rows, *cols; /* the smaller dictionary's, the other's
                                         */
    const struct bs_match_options *options;
    struct bs_dev *dev;
    struct bs_pool *pool;
    struct bs_match_pairs pairs;
    double *beyond; /* [rows]: no column of a length but the candidates is
                       nearer */
    uint32_t *pick; /* [cols]: the rows or columns that are looked up */
    size_t top;     /* room of idx and val for each of them */
    uint32_t *idx;
    float *val;
    unsigned rounds;
};

/* Of one kind. */
struct bs_match_round {
    bool magnitude;               /* weights are magnitudes */
    bool priced;                  /* all pairs were held against prices once */
    uint32_t *match;              /* [rows] */
    int64_t *u, *v;               /* prices of rows and columns */
    int64_t *u_before, *v_before; /* when all was priced last */
    bool *open;                   /* [rows]: some pairs were not looked at */
    double *excess; /* [rows]: by which a pair may exceed its prices */
    float *bias;    /* [cols] */
};

/* Nearest atoms that are looked at. */
enum { BS_MATCH_TOP = 64 };

static inline double
bs_match_real(int64_t units)
{
    return (double)units * BS_COSINE_UNIT;
}

/* Hold all pairs against the prices; those that exceed them, or nearly, become
 * candidates.  Returns how many exceed them. */
ptrdiff_t bs_match_price(struct bs_matcher *m, struct bs_match_round *t,
                         struct bs_err *e) BS_CHECKED;

#endif
