/*
 * atoms.h - the atoms of a dictionary as directions: their lengths, copies of
 * length 1, cosines, and which are nearest.
 *
 * An atom of length 0 has a cosine of 0 with everything.
 */
#ifndef BS_MODELS_ATOMS_H
#define BS_MODELS_ATOMS_H

#include "common/bs.h"
#include "common/err.h"
#include "kernels/sae_ops.h"

struct bs_atoms {
    size_t count, width;
    const float *w; /* [count, width], borrowed */
    double *norm;   /* [count] */
    float *unit;    /* [count, width]: w / norm, rounded */
};

/* w must be finite.  Memory: as much as w again. */
int bs_atoms_open(struct bs_atoms *a, const float *w, size_t count,
                  size_t width, struct bs_err *e) BS_CHECKED;
void bs_atoms_release(struct bs_atoms *a);

/* In f64, to 1e-15 of f32 atoms. */
double bs_atoms_cosine(const struct bs_atoms *a, size_t i,
                       const struct bs_atoms *b, size_t j);

/* Told how far a long computation is; step may be NULL. */
struct bs_watch {
    void (*step)(void *arg, uint64_t rows);
    void *arg;
};

/* For each of n rows the `top` atoms with the largest x . w + bias. */
struct bs_nearest {
    const float *x;       /* rows of `width` */
    const uint32_t *pick; /* [n]: which rows; NULL: the first n */
    size_t n;
    bool opposite;     /* of -x instead of x */
    const float *w;    /* [count, width] */
    const float *bias; /* [count], or NULL */
    size_t count, width;
    size_t top; /* 1 .. min(count, 1024) */
    const struct bs_watch *watch;
};

/*
 * The atoms to idx [n, top] and the sums, f32 as sae_ops.h defines them, to val
 * [n, top], in host memory; only sums above 0 are listed, in the order of a
 * code.  -BS_EX_TEMPFAIL where bs_stop_wanted.  Device memory: the atoms,
 * packed, and 4096 rows.
 */
int bs_nearest(const struct bs_nearest *q, struct bs_dev *dev, uint32_t *idx,
               float *val, struct bs_err *e) BS_CHECKED;

/* How far such a sum may be from that of rows and atoms of length 1 in exact
 * arithmetic, which unit copies round, where |bias| <= most_bias. */
double bs_nearest_error(size_t width, double most_bias);

#endif
