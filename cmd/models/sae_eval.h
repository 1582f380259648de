/*
 * sae_eval.h - an autoencoder on features: encode, decode, and the sums that
 * the metrics are made of.  One pass, in batches; the batches change nothing.
 */
#ifndef BS_MODELS_SAE_EVAL_H
#define BS_MODELS_SAE_EVAL_H

#include "cmd/models/atoms.h"
#include "cmd/models/eval_dictionary.h"
#include "cmd/models/eval_metrics.h"
#include "cmd/models/eval_pairs.h"
#include "cmd/models/eval_sums.h"
#include "cmd/models/sae.h"
#include "common/pool.h"
#include "formats/doc.h"

struct bs_sae_eval;

/*
 * What `choice` wants of reconstruction, codes, ood and coactivation is made;
 * the sums of codes always.  All but `choice` are borrowed until the close;
 * `atoms` are those of s->dec_w.  `memory` bounds the pairs of concepts.
 */
int bs_sae_eval_open(struct bs_sae_eval **out, const struct bs_sae *s,
                     const struct bs_atoms *atoms,
                     const struct bs_metric_choice *choice, uint64_t memory,
                     struct bs_dev *dev, struct bs_pool *pool,
                     struct bs_err *e) BS_CHECKED;
void bs_sae_eval_close(struct bs_sae_eval *ev);

/*
 * Add a record of features.  -BS_EX_DATA for features of another width or not
 * finite; -BS_EX_OSERR where the pairs take more than `memory` although they
 * were asked for by name (otherwise they are given up: see
 * bs_sae_eval_full).
 */
int bs_sae_eval_put(struct bs_sae_eval *ev, const struct bs_doc *rec,
                    struct bs_err *e) BS_CHECKED;

/* After the last record: set the metrics.  `stopped`: only those that take no
 * time.  Releases the model's copies on the device.  -BS_EX_TEMPFAIL where
 * bs_stop_wanted meanwhile. */
int bs_sae_eval_finish(struct bs_sae_eval *ev, bool stopped,
                       struct bs_cell cell[BS_METRICS],
                       struct bs_err *e) BS_CHECKED;

/* The pairs of concepts took more memory than allowed. */
bool bs_sae_eval_full(const struct bs_sae_eval *ev);
/* Sums of each concept; cosines with the data, NULL where not asked for. */
const struct bs_eval_sums *bs_sae_eval_sums(const struct bs_sae_eval *ev);
const double *bs_sae_eval_ood(const struct bs_sae_eval *ev);

#endif
