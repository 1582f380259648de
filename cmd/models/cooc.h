/*
 * cooc.h - the stream of kind "cooc" that bs-cooc writes: co-activation of
 * concepts (conceptual blindspots, appendix F).
 *
 * Z has a row a token (or an image: its tokens pooled) and a column a concept;
 * N rows, rows without a code counted in.  G = Z^T Z; n_ij is in how many rows
 * both concepts fire, n_i = n_ii.  The first stream is the baseline.
 *
 * head: bs.kind cooc, `concepts` (K), `streams` (JSON array of labels, in
 * order), `granularity` (token|image), `scope` (all|patch|cls), `pool`
 * (sum|max; of images), `paired` (1: only records whose key every stream has),
 * `curve` (energy|count|cosine: what was held against the thresholds),
 * `support`, `min_count`.
 *
 * records, in this order; `table` in the metadata says what each is and
 * `stream` of which; keys are LABEL/TABLE and what is said here:
 *
 *   matrix     key LABEL/matrix/FIRST, FIRST of 8 digits: rows first..last of
 *              the upper triangle of G with its diagonal, those with n_ij >=
 *              min_count.  Metadata `first`, `last`, `rows` (N).  ptr U64
 *              [last - first + 2]; idx U32, count U32 (n_ij), sum F64 (G_ij,
 *              the exact sum rounded once) [ptr's last]; ascending indexes
 *   concept    metadata `records`, `rows` (N), `left_out` (records without a
 *              partner).  [K]: fires U64 (n_i), mean F64 (of z_i over the
 *              rows), square F64 (G_ii / N)
 *   curve      [tau]: tau F64; l0 U64, entries of the whole matrix above tau;
 *              pairs U64, those with i < j.  Streams but the first: shared,
 *              pairs_shared U64, those that the baseline has, too; nonshared,
 *              pairs_nonshared F64 = 1 - shared / l0; jaccard, pairs_jaccard
 *              F64 = shared / (l0 + the baseline's l0 - shared); NaN for 0 / 0
 *   partners   key LABEL/partners/MEASURE for cosine, count, lift and jaccard:
 *              the n partners of each concept with n_ij >= support that have
 *              the largest, equal ones by index.  [K, n]: idx U32 (all ones
 *              where there are fewer), value F64, count U32, sum F64 (G_ij);
 *              base F64 (the value in the baseline) but for the first stream
 *   lost,      streams but the first: the pairs i < j whose cosine is furthest
 *   gained     below (above) that of the baseline, furthest first, equal ones
 *              by i, then j; both concepts fire in `support` rows of either
 *              stream at least, and together in one of them.  [n]: i, j U32;
 *              cosine, base_cosine F64; count, base_count U32
 *   spectrum   metadata `trace` (of G / N), `found`, `converged`, `products`.
 *              [found]: value F64, the largest eigenvalues of G / N; share F64
 *              (of the trace); residual F64 (|G v / N - value v|); vector F64
 *              [found, K], of length 1, the largest component positive
 *   alignment  streams but the first: cosine F64 [a, b] = |<u_a, v_b>| of the
 *              baseline's vectors u and the stream's v; angle F64 [min(a, b)],
 *              the principal angles of their spans in radians, ascending;
 *              overlap F64 [min(a, b)]: the mean squared cosine of the
 *              principal angles of the first 1, 2, ... vectors of each
 *
 * cosine = G_ij / sqrt(G_ii G_jj), lift = n_ij N / (n_i n_j), jaccard = n_ij /
 * (n_i + n_j - n_ij).
 *
 * A partial (--partial) has the same head with `partial` "1", without what
 * results are of, and only records of table "rows", whose layout is private to
 * bs-cooc.
 */
#ifndef BS_MODELS_COOC_H
#define BS_MODELS_COOC_H

#include "cmd/models/head.h"
#include "common/bs.h"

#define BS_COOC_KIND "cooc"

enum { BS_COOC_STREAMS_MAX = BS_LABELS_MAX };

enum bs_cooc_grain { BS_COOC_TOKEN, BS_COOC_IMAGE };
extern const char *const bs_cooc_grain_names[]; /* "token", "image" */

enum bs_cooc_measure {
    BS_COOC_COSINE,
    BS_COOC_COUNT,
    BS_COOC_LIFT,
    BS_COOC_JACCARD,
    BS_COOC_MEASURES
};
extern const char *const bs_cooc_measure_names[]; /* "cosine", "count", ... */

/* What is held against the thresholds of a curve: G_ij / N, n_ij / N, cosine.
 */
enum bs_cooc_curve { BS_CURVE_ENERGY, BS_CURVE_COUNT, BS_CURVE_COSINE };
extern const char *const bs_cooc_curve_names[];

#endif
