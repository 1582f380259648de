/*
 * sae_trainer.h - one training of a sparse autoencoder: a model, its optimiser,
 * and the steps between.
 *
 * Where tokens come from, and when a checkpoint is written, is sae_train.h's.
 * A trainer's state after n steps depends on its options, its start and the
 * tokens of each step, on nothing else: not on threads, and not on whether it
 * was saved and restored in between.
 *
 * One step on m tokens x:
 *
 *     pre   = LN?(enc_w (x - pre_b) + enc_b)
 *     z     = relu(pre), the k largest of each token (topk) or the k m largest
 *             of all (batchtopk, and those equal to the least of them)
 *     x^    = z D + dec_b;  e = x - x^
 *     loss  = rec(e) + aux * auxiliary term
 *
 * gradients, clipped together to the norm `clip`, AdamW.  References:
 * overcomplete 0.3 (archetypal dictionary, reanimation; facts in each
 * function's comment), OpenAI's and EleutherAI's trainers (AuxK, unit norm).
 */
#ifndef BS_MODELS_SAE_TRAINER_H
#define BS_MODELS_SAE_TRAINER_H

#include "cmd/models/sae.h"
#include "kernels/dev.h"

enum bs_trainer_dictionary {
    BS_DICT_PLAIN,     /* dec_w as it is trained */
    BS_DICT_UNIT,      /* rows of length 1 before each step; gradients along an
                          atom are taken out of it (OpenAI, sparsify) */
    BS_DICT_L2,        /* rows of length 1 before each step, the gradient as it
                          is (overcomplete's DictionaryLayer) */
    BS_DICT_ARCHETYPAL /* exp(m) (rownorm(relu W) C + Relax) */
};
extern const char *const bs_trainer_dictionary_names[];

enum bs_trainer_loss {
    BS_LOSS_MSE, /* mean of e^2 over all entries (overcomplete) */
    BS_LOSS_FVU  /* sum of e^2 / sum of (x - mean of the step's x)^2 (sparsify)
                  */
};
extern const char *const bs_trainer_loss_names[]; /* "mse", "fvu" */

enum bs_trainer_aux {
    BS_AUX_NONE,
    BS_AUX_AUXK,      /* e from the aux_k largest dead concepts of a token, as
                         in arXiv 2406.04093 */
    BS_AUX_REANIMATE, /* - mean over tokens and concepts of pre, of the concepts
                         without a code in this step */
    BS_AUX_REANIMATE_SUM /* - sum of pre of those / (their number + 1e-6):
                            overcomplete's reanimation_regularizer */
};
extern const char *const bs_trainer_aux_names[];

struct bs_trainer_options {
    size_t concepts, width;
    enum bs_sae_select select; /* topk or batchtopk */
    uint32_t k;
    bool enc_bias, layer_norm;
    bool pre_bias; /* pre_b = dec_b, one parameter */
    enum bs_trainer_dictionary dictionary;
    float delta;     /* archetypal: longest row of Relax */
    bool multiplier; /* archetypal: train m */
    enum bs_trainer_loss loss;
    enum bs_trainer_aux aux_kind;
    float aux; /* weight of the auxiliary term */
    uint32_t aux_k;
    uint64_t dead_tokens; /* dead: without a code in so many tokens, at least 1
                             (AuxK and the metrics) */
    float ema; /* of batchtopk's threshold: t = ema t + (1 - ema) now */
    /*
     * AdamW.  The rate of step i, from 0, is rate i / (warmup - 1) for i <
     * warmup, then rate_end + (rate - rate_end) (1 + cos(pi (i - warmup) /
     * (steps - warmup))) / 2, and rate_end from `steps` on (overcomplete's
     * CosineScheduler).  steps 0: not known, the rate stays once it has risen.
     */
    uint64_t steps, warmup;
    double rate, rate_end, beta1, beta2, eps, decay;
    float clip; /* of all gradients together; 0: none */
    /*
     * BS_MATH_BF16: tokens and weights are rounded to bf16 for the encoder's
     * products, as torch's autocast does; all sums, what is decoded, losses,
     * gradients and moments are f32, and the gradient passes the rounding as
     * though it were not there.  The CPU is no faster by it, and has the bits
     * of its screened products all the same.
     */
    enum bs_math math;
    uint64_t seed;
};

/* What a step did. */
struct bs_trainer_metrics {
    uint64_t step, tokens; /* steps and tokens so far, this one counted */
    double loss, rec, aux; /* of this step */
    double r2;     /* 1 - sum e^2 / sum (x - column means)^2, of this step */
    double r2_all; /* the same about one mean of all entries (overcomplete) */
    double l0;     /* codes a token */
    double norm;   /* of the gradient, before clipping */
    double rate;
    uint64_t dead; /* concepts without a code in the last dead_tokens */
};

struct bs_trainer;

/*
 * Start from `init`, whose shape must be the options' (-BS_EX_DATA else): the
 * weights as they are there, the archetypal parts too; the moments 0.  `init`
 * may be released afterwards; `dev` is borrowed until the trainer is closed.
 */
int bs_trainer_open(struct bs_trainer **out, const struct bs_trainer_options *o,
                    const struct bs_sae *init, struct bs_dev *dev,
                    struct bs_err *e) BS_CHECKED;
void bs_trainer_close(struct bs_trainer *t);

/*
 * A start drawn from o->seed and the data: encoder and dictionary as the
 * reference of the dictionary's kind begins.  points: f32 [n, width], the
 * candidates of an archetypal dictionary (k-means centroids; n > 0 then only);
 * centre: f32 [width], the start of pre_b, or NULL for 0.
 */
int bs_trainer_start(struct bs_sae *out, const struct bs_trainer_options *o,
                     const float *points, size_t n, const float *centre,
                     struct bs_err *e) BS_CHECKED;

/* One step on m > 0 tokens x f32 [m, width].  -BS_EX_DATA where a token, the
 * loss or the gradient is not finite; all is then as before the step. */
int bs_trainer_step(struct bs_trainer *t, const float *x, size_t m,
                    struct bs_trainer_metrics *out,
                    struct bs_err *e) BS_CHECKED;

/* The model as it is now, with its archetypal parts; owned by the caller. */
int bs_trainer_model(struct bs_trainer *t, struct bs_sae *out,
                     struct bs_err *e) BS_CHECKED;

/*
 * The trainer's whole state as tensors and metadata of `doc`, named "opt.*":
 * moments, counters, what bs_sae does not hold.  The document borrows memory of
 * the trainer until its next call.  Together with the model it restores the
 * trainer: bs_trainer_open with that model, then bs_trainer_restore, and the
 * steps that follow are those of a trainer never stopped, bit by bit.
 */
int bs_trainer_save(struct bs_trainer *t, struct bs_doc *doc,
                    struct bs_err *e) BS_CHECKED;
int bs_trainer_restore(struct bs_trainer *t, const struct bs_doc *doc,
                       struct bs_err *e) BS_CHECKED;

#endif
