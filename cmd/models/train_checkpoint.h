/*
 * train_checkpoint.h - a training put aside in one safetensors file, to be gone
 * on with.
 *
 * The file is a model of bs-model(5) with more in it: the tensors and metadata
 * opt.* are the trainer's (sae_trainer.h), and the metadata
 *
 *     train.version  "1"
 *     train.config   the options (train_config.h)
 *     train.state    where in the data, steps of the schedule, the log
 *     train.inputs   the segments read, with their content ids
 *     train.parents  bs.parents of these
 *     train.check    XXH64 of all other metadata and of all tensors
 *
 * and the tensor train.last F64 [11], the metrics of the last step.
 *
 * Tokens are not in it: the shuffle buffer is made again by reading.
 */
#ifndef BS_MODELS_TRAIN_CHECKPOINT_H
#define BS_MODELS_TRAIN_CHECKPOINT_H

#include "cmd/models/token_feed.h"
#include "cmd/models/train_config.h"
#include "cmd/models/train_log.h"

struct bs_train_state {
    struct bs_train_config config;
    uint64_t steps;  /* of the schedule, UINT64_MAX: not known */
    uint64_t warmup; /* of these */
    uint64_t done;   /* steps */
    uint64_t logged; /* the last of them whose metrics are in the log */
    struct bs_trainer_metrics last; /* of the last one */
    struct bs_feed_position at;
    struct bs_train_log_mark log;
};

/* Write the state, the trainer's and what the source has read, as bs_out
 * does: after a crash at any moment there is the old file or the new one. */
int bs_train_checkpoint_write(const char *path,
                              const struct bs_train_state *state,
                              struct bs_trainer *trainer,
                              struct bs_token_source *source,
                              struct bs_err *e) BS_CHECKED;

/* One that was read.  What it lends lives until it is closed. */
struct bs_train_checkpoint {
    struct bs_train_state state;
    struct bs_sae model;
    struct bs_doc doc; /* for bs_trainer_restore */
    const char *inputs, *parents;
    const char *path; /* borrowed */
    void *map;        /* private, as is what follows */
    size_t bytes;
};

/* -BS_EX_NOINPUT where there is none; -BS_EX_DATA where it is cut, damaged, or
 * no checkpoint. */
int bs_train_checkpoint_read(struct bs_train_checkpoint *c, const char *path,
                             struct bs_err *e) BS_CHECKED;
void bs_train_checkpoint_release(struct bs_train_checkpoint *c);

#endif
