/*
 * train_config.h - what a training is asked to do: everything that changes its
 * result, in one structure, which has the command line's options, the defaults
 * of a recipe, and a JSON text as its forms.
 *
 * A member may be unset; what is unset takes its value from a lower layer:
 * command line, start model, recipe, in this order.
 */
#ifndef BS_MODELS_TRAIN_CONFIG_H
#define BS_MODELS_TRAIN_CONFIG_H

#include "cmd/models/sae_trainer.h"
#include "common/mem.h"

enum bs_train_recipe {
    BS_RECIPE_RA_SAE,    /* arXiv 2506.19708: the released dictionary */
    BS_RECIPE_TOPK,      /* overcomplete's TopKSAE as its documentation trains
                            it */
    BS_RECIPE_BATCHTOPK, /* the same with its BatchTopKSAE */
    BS_RECIPE_OPENAI     /* arXiv 2406.04093 */
};
extern const char *const bs_train_recipe_names[];

enum bs_train_pre_bias {
    BS_PRE_NONE,  /* no such bias */
    BS_PRE_ZERO,  /* starts at 0 (at the start model's, where there is one) */
    BS_PRE_MEAN,  /* of the first tokens */
    BS_PRE_MEDIAN /* their geometric median */
};
extern const char *const bs_train_pre_bias_names[];
extern const char *const bs_train_math_names[]; /* "f32", "bf16" */

#define BS_TRAIN_CONCEPTS_MAX ((uint64_t)1 << 24)
#define BS_TRAIN_K_MAX ((uint64_t)1024)
#define BS_TRAIN_BATCH_MAX ((uint64_t)1 << 24)
#define BS_TRAIN_SHUFFLE_MAX ((uint64_t)1 << 31)

/* Unset: -1, UINT64_MAX, NaN, "". */
struct bs_train_config {
    /* the model */
    int recipe, select, dictionary;
    uint64_t concepts, k, points;
    double delta;
    int multiplier, layer_norm, enc_bias, pre_bias;
    char name[128];
    char init[65]; /* SHA-256 of the start model */
    /* the loss */
    int loss, aux;
    double aux_weight, ema;
    uint64_t aux_k, dead;
    /* the optimiser */
    double rate, rate_end, beta1, beta2, eps, decay, clip;
    double warmup; /* steps, or a share of all where less than 1 */
    int math;
    uint64_t seed;
    /* the data */
    int tokens;
    uint64_t batch, shuffle, epochs, steps, limit;
    char shard[24];
};

void bs_train_config_unset(struct bs_train_config *c);
/* What is unset in `to` is taken from `from`. */
void bs_train_config_merge(struct bs_train_config *to,
                           const struct bs_train_config *from);
/* What is still unset: from the recipe (RA-SAE where it is unset, too), then
 * from what all recipes have in common.  `epochs` stays unset where steps are
 * set; so do `limit`, `shard`, `init`, and `steps`. */
void bs_train_config_complete(struct bs_train_config *c);
/* -BS_EX_USAGE where something is set in `given` and has another value than
 * it has in `base`: "'--top' is 5 in WHERE, not 6". */
int bs_train_config_agree(const struct bs_train_config *given,
                          const struct bs_train_config *base, const char *where,
                          struct bs_err *e) BS_CHECKED;
/* -BS_EX_USAGE for values out of their range or that do not go together. */
int bs_train_config_check(const struct bs_train_config *c,
                          struct bs_err *e) BS_CHECKED;

/* The shard "index/count" (0/1 where it is unset); false for other text. */
bool bs_train_config_shard(const struct bs_train_config *c, uint64_t *index,
                           uint64_t *count);

/* Append as canonical JSON, by the names of the options, with a NUL; and back:
 * -BS_EX_DATA for what was not written so. */
int bs_train_config_json(const struct bs_train_config *c, struct bs_buf *json,
                         struct bs_err *e) BS_CHECKED;
int bs_train_config_parse(struct bs_train_config *c, const char *json,
                          struct bs_err *e) BS_CHECKED;

/* What the start model fixes, its sizes and parts; and that with what it says
 * besides, k and rule.  recipe: the one asked for, or -1; a model without the
 * parts of an archetypal dictionary is trained on with a plain one then. */
void bs_train_config_of_model(struct bs_train_config *fixed,
                              struct bs_train_config *defaults, int recipe,
                              const struct bs_sae *s);
/* The trainer's part, for tokens of this width and so many steps (UINT64_MAX:
 * not known). */
struct bs_trainer_options
bs_train_config_trainer(const struct bs_train_config *c, size_t width,
                        uint64_t steps, uint64_t warmup);

#endif
