/*
 * sae_train.h - a training from its inputs to its model: where tokens come
 * from, when it is put aside, when it ends.
 *
 * The model depends on the options and the inputs, not on threads, not on
 * checkpoints, not on how often the training was stopped and gone on with.
 */
#ifndef BS_MODELS_SAE_TRAIN_H
#define BS_MODELS_SAE_TRAIN_H

#include "cmd/models/train_checkpoint.h"
#include "cmd/models/train_start.h"

struct bs_train_job {
    struct bs_train_config config; /* complete and checked */
    /* The start: config.init's model; or a checkpoint to go on from, whose
     * config this is; or neither.  The models are released when the trainer has
     * them, since they may be large. */
    struct bs_sae *init;
    struct bs_train_checkpoint *resume;

    const char *const *path; /* inputs */
    size_t paths;
    bool allow_partial;
    size_t max_record;
    bool (*wanted)(void *command, const char *key);

    const char *checkpoint; /* where to put it aside, or NULL */
    uint64_t every_steps;   /* ... after so many steps, */
    uint64_t every_seconds; /* or so many seconds; 0: not by these */
    const char *metrics;    /* file, or NULL */
    uint64_t metrics_every; /* steps, > 0 */
    struct bs_dev *dev;

    void (*report)(void *command, const struct bs_train_report *r);
    void *command;
};

struct bs_train_result {
    bool stopped; /* by bs_stop_wanted: there is no model */
    bool saved;   /* stopped, and there is a checkpoint to go on from */
    struct bs_sae model;
    struct bs_buf parents;          /* bs.parents, with a NUL */
    uint64_t steps;                 /* of the schedule, UINT64_MAX: not known */
    uint64_t epochs;                /* begun */
    struct bs_trainer_metrics last; /* of the last step */
};

/* Train.  The result is the caller's, on failure too. */
int bs_train_run(struct bs_train_result *out, const struct bs_train_job *job,
                 struct bs_err *e) BS_CHECKED;
void bs_train_result_release(struct bs_train_result *r);

#endif
