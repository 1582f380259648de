/*
 * sae_trainer_own.h - what the parts of the trainer share.  Private to them and
 * their tests.
 */
#ifndef BS_MODELS_SAE_TRAINER_OWN_H
#define BS_MODELS_SAE_TRAINER_OWN_H

#include "cmd/models/sae_trainer.h"
#include "kernels/sae_train_ops.h"

enum bs_trainer_param {
    BS_PARAM_ENC_W, /* [concepts, width] */
    BS_PARAM_ENC_B, /* [concepts, 1] */
    BS_PARAM_DEC_W, /* [concepts, width] */
    BS_PARAM_BIAS,  /* [1, width]: pre_b and dec_b */
    BS_PARAMS
};

/* A parameter and its moments, on the device; cols 0: the model has none. */
struct bs_trainer_tensor {
    struct bs_adam_rows at;
    enum bs_project project;
    float radius;
    /* Rows are brought up to date only when they are needed. */
    bool lazy;
};

struct bs_trainer {
    struct bs_trainer_options o;
    struct bs_dev *dev;
    char name[sizeof((struct bs_sae *)0)->name];

    /* the state */
    struct bs_trainer_tensor param[BS_PARAMS];
    uint32_t step; /* steps done */
    uint64_t tokens;
    uint64_t *fired; /* [concepts]: `tokens` when it last had a code */
    float tau;

    struct bs_adam_step *steps; /* [step]; 0 is not used */
    size_t steps_room;
    struct bs_encoder *enc;

    /* of the step at hand */
    size_t m, room;
    struct bs_mem x, centred, error; /* [m, width] */
    struct bs_mem idx, val;          /* [m, k]: topk */
    double *mean;                    /* [width] */
    double spread;
    struct bs_ragged codes;
    struct bs_groups *groups;
    struct bs_mem coef, dz;           /* [codes] */
    struct bs_mem grad_enc, grad_dec; /* [atoms, width] */
    struct bs_mem grad_enc_b;         /* [atoms] */
    struct bs_mem common, common_b; /* of a row without a code: [width], [1] */
    struct bs_mem bias_grad, through; /* [width] */
    float *row_grad;                  /* [concepts]: of the encoder's bias */
    float *column;                    /* [2 * width] */
    uint32_t *slot;                   /* [concepts]: atom's place, or none */
    float now_tau;
    double squares, loss, rec, aux, norm;

    void *lent[2 * BS_PARAMS]; /* to a document */
};

/* The device's error, on its way up. */
int bs_trainer_failed(const struct bs_trainer *t, struct bs_err *e);

/* Have at least `bytes` of device memory; what it held is lost. */
int bs_trainer_room(struct bs_trainer *t, struct bs_mem *m, size_t bytes,
                    struct bs_err *e) BS_CHECKED;

/* The rate of step i, from 0. */
double bs_trainer_rate(const struct bs_trainer_options *o, uint64_t i);
/* Have the numbers of all steps up to `step`. */
int bs_trainer_steps(struct bs_trainer *t, uint32_t step,
                     struct bs_err *e) BS_CHECKED;
/* One operation on a parameter: bring rows up to step `now`. */
int bs_trainer_adam(struct bs_trainer *t, enum bs_trainer_param which,
                    uint32_t now, const struct bs_adam_grad *g,
                    struct bs_err *e) BS_CHECKED;
/* All rows up to date. */
int bs_trainer_catch_up(struct bs_trainer *t, struct bs_err *e) BS_CHECKED;

#endif
