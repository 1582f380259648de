/*
 * train_log.h - the metrics of a training: a line of JSON for a step, written
 * at once.
 *
 *     {"step":10,"tokens":81920,"epoch":0,"loss":0.41,"rec":0.40,"aux":0.01,
 *      "r2":0.61,"r2_all":0.63,"l0":5,"norm":0.8,"rate":0.0005,"dead":120,
 *      "dead_share":0.00375,"tokens_s":5210}
 *
 * (one line).  All but tokens_s depends on options and data alone.  A number
 * that is not finite is null.
 */
#ifndef BS_MODELS_TRAIN_LOG_H
#define BS_MODELS_TRAIN_LOG_H

#include "cmd/models/sae_trainer.h"
#include "formats/digest.h"

struct bs_train_log {
    int fd; /* -1: no log */
    const char *path;
    uint64_t bytes; /* of what was written, and their XXH64 */
    struct bs_xxh64 hash;
};

/* What a checkpoint says of a log. */
struct bs_train_log_mark {
    uint64_t bytes, hash;
};

/*
 * path NULL: no log; "-": stdout; borrowed.  from NULL: an older file is
 * emptied.  Else the file must begin with what `from` says (-BS_EX_DATA), and
 * is cut behind it; a pipe or a terminal is written on.
 */
int bs_train_log_open(struct bs_train_log *l, const char *path,
                      const struct bs_train_log_mark *from,
                      struct bs_err *e) BS_CHECKED;
int bs_train_log_add(struct bs_train_log *l, const struct bs_trainer_metrics *m,
                     uint64_t epoch, uint64_t concepts, double tokens_s,
                     struct bs_err *e) BS_CHECKED;
/* What was written is on the disk, and described by *mark. */
int bs_train_log_sync(struct bs_train_log *l, struct bs_train_log_mark *mark,
                      struct bs_err *e) BS_CHECKED;
/* Late write errors surface here. */
int bs_train_log_close(struct bs_train_log *l, struct bs_err *e) BS_CHECKED;

#endif
