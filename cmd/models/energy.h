/*
 * energy.h - the stream of kind "energy" that bs-energy writes and bs-rank
 * reads.
 *
 * head: bs.kind energy, `concepts` (K), `pool` (sum|mean|max), `scope`
 * (all|patch|cls), `form` (relative|raw), `temperature`, `interval`, `level`
 * (of the intervals, 0.95), `models` (JSON array of labels, in order).
 *
 * records, in this order; `table` in the metadata says what each is:
 *
 *   concept   one a generated stream; key: its label.  Metadata `pairs` n,
 *             `only_real`, `only_gen` (unpaired records, left out).  [K] each:
 *             real gen            F64  mean energy a pair
 *             raw rel             F64  gen - real; raw / (gen + real), NaN
 *                                      where both are 0
 *             raw_se rel_se       F64  standard errors (paired; delta method)
 *             delta               F64  sigma(form / temperature)
 *             lo hi               F64  interval of delta, kind `interval`
 *             mcdiarmid bernstein F64  half widths of delta, both-sided
 *             boot_lo boot_hi     F64  percentile paired bootstrap of delta
 *             p q q_by p_max      F64  sign flip; BH; BY; maxT (family-wise)
 *             real_tokens gen_tokens real_images gen_images  U64  fires
 *   contrast  one a pair of generated streams; key: A/B; metadata `a`, `b`,
 *             `pairs`.  [K] F64: difference (delta_a - delta_b), se, lo, hi, p,
 *             q
 *   null      the real split in halves; key: null; [K] F64 delta; metadata
 *             `split` pairs
 *   pair      one a pair; key: the pair's key; tensors over the M generated
 *             streams (NaN where one lacks it): l2 F64 [M], mean F64 [M] (of
 *             sigma(difference / 0.8) over concepts), top_idx U32 [M,t],
 *             top_diff F64 [M,t] (largest absolute difference first); caption
 *             and other metadata of the real record
 *
 * A partial (--partial) has the same head with `partial` "1" and only records
 * of table "sums", whose layout is private to bs-energy.
 */
#ifndef BS_MODELS_ENERGY_H
#define BS_MODELS_ENERGY_H

#include "common/bs.h"

#define BS_ENERGY_KIND "energy"

#endif
