/*
 * train_start.h - how a training begins: how many tokens there are, and a model
 * drawn from the first of them.
 *
 * The sample is what the shuffle buffer holds when it is first full, evenly:
 * 32,768 tokens for the mean or the median, three a candidate for the seeding
 * of k-means.  Candidates of an archetypal dictionary are the centroids behind
 * one pass of mini-batch k-means over the inputs, or, where these can be read
 * once only, four over the sample.
 */
#ifndef BS_MODELS_TRAIN_START_H
#define BS_MODELS_TRAIN_START_H

#include "cmd/models/kmeans.h"
#include "cmd/models/token_feed.h"
#include "cmd/models/train_config.h"

/* What a training is doing. */
enum bs_train_stage {
    BS_TRAIN_COUNTING, /* tokens of the inputs */
    BS_TRAIN_SEEDING,  /* k-means; nothing is counted */
    BS_TRAIN_KMEANS,   /* tokens */
    BS_TRAIN_SEEKING,  /* tokens, up to where the checkpoint was */
    BS_TRAIN_STEPS     /* tokens */
};

struct bs_train_report {
    enum bs_train_stage stage;
    uint64_t done, total;                     /* total 0: not known */
    const struct bs_trainer_metrics *metrics; /* of a step, else NULL */
};

struct bs_train_start {
    const struct bs_train_config *config;
    struct bs_token_source *source;
    struct bs_dev *dev; /* for k-means */
    void (*report)(void *command, const struct bs_train_report *r);
    void *command;

    struct bs_kmeans *kmeans; /* private */
    float *centre;
};

/* How a feed for this training is made, whatever its passes and batches:
 * `name` is "train" or "k-means". */
struct bs_feed_options bs_train_feed(const struct bs_train_config *c,
                                     const char *name);

/* Whether the start is drawn from tokens at all; whether from k-means. */
bool bs_train_start_samples(const struct bs_train_config *c);
bool bs_train_start_clusters(const struct bs_train_config *c);

/* Each of these returns an enum bs_token_item (RUN: done; STOP) or < 0. */

/* One pass over the inputs: count the tokens, and with `cluster` k-means. */
int bs_train_start_survey(struct bs_train_start *s, bool cluster,
                          uint64_t *tokens, struct bs_err *e) BS_CHECKED;
/* What is drawn from the first tokens alone: of a feed that was filled. */
int bs_train_start_sample(struct bs_train_start *s, const struct bs_feed *feed,
                          struct bs_err *e) BS_CHECKED;

/* The model at the first step. */
int bs_train_start_model(struct bs_train_start *s, struct bs_sae *out,
                         const struct bs_trainer_options *o,
                         struct bs_err *e) BS_CHECKED;
void bs_train_start_release(struct bs_train_start *s);

#endif
