/*
 * kmeans.h - mini-batch k-means over tokens: candidates of an archetypal
 * dictionary.
 *
 * Seeding: k-means++ over the tokens of the first call (D. Arthur, S.
 * Vassilvitskii 2007); then a step a batch with a rate of 1 / count for each
 * centroid (D. Sculley, "Web-scale k-means clustering", 2010).  A centroid that
 * no token is nearest to stays.  Ties: the lower index.  Depends on the seed
 * and the tokens alone, not on threads.
 */
#ifndef BS_MODELS_KMEANS_H
#define BS_MODELS_KMEANS_H

#include "kernels/dev.h"

struct bs_kmeans;

int bs_kmeans_open(struct bs_kmeans **out, size_t points, size_t width,
                   uint64_t seed, struct bs_dev *dev,
                   struct bs_err *e) BS_CHECKED;
void bs_kmeans_close(struct bs_kmeans *k);
/* Seed from m tokens x f32 [m, width]; -BS_EX_DATA where they hold fewer than
 * `points` different ones. */
int bs_kmeans_seed(struct bs_kmeans *k, const float *x, size_t m,
                   struct bs_err *e) BS_CHECKED;
/* One batch; *inertia (may be NULL): mean squared distance to the nearest. */
int bs_kmeans_step(struct bs_kmeans *k, const float *x, size_t m,
                   double *inertia, struct bs_err *e) BS_CHECKED;
/* f32 [points, width], lent until the next call. */
const float *bs_kmeans_centroids(const struct bs_kmeans *k);

/*
 * Where the sum of distances to m tokens is least: Weiszfeld's iteration from
 * the mean, at most 100 steps, until a step is below 1e-6 of the spread.
 * centre: f32 [width].
 */
int bs_geometric_median(const float *x, size_t m, size_t width, float *centre,
                        struct bs_err *e) BS_CHECKED;

#endif
