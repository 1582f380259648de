/*
 * cooc_spectrum.h - the largest eigenvalues of G / N and their vectors, from
 * the rows of Z, without G.
 *
 * Sums run over the records in the order of their keys, in parts that depend on
 * the rows alone: the bits do not depend on threads, nor on the order or the
 * parts in which the rows were read.
 */
#ifndef BS_MODELS_COOC_SPECTRUM_H
#define BS_MODELS_COOC_SPECTRUM_H

#include "cmd/models/cooc_set.h"
#include "common/bs.h"
#include "common/err.h"
#include "common/pool.h"
#include "kernels/krylov.h"

/* Bytes that bs_cooc_spectrum works in; SIZE_MAX where that is no number. */
size_t bs_cooc_spectrum_bytes(uint32_t concepts, size_t wanted);

/* *k receives the results, for bs_krylov_release also where this fails.  Asked
 * to stop: -BS_EX_TEMPFAIL. */
int bs_cooc_spectrum(struct bs_krylov *k, const struct bs_cooc_set *set,
                     uint32_t concepts, size_t wanted, double tolerance,
                     struct bs_pool *pool, struct bs_err *e) BS_CHECKED;

/*
 * How the vectors of two spectra lie to each other; cooc.h says what cosine
 * [a][b], angle and overlap [min(a, b)] are.
 */
struct bs_cooc_alignment {
    size_t a, b;
    double *cosine, *angle, *overlap;
};
int bs_cooc_align(struct bs_cooc_alignment *x, const struct bs_krylov *base,
                  const struct bs_krylov *set, struct bs_err *e) BS_CHECKED;
void bs_cooc_alignment_release(struct bs_cooc_alignment *x);

#endif
