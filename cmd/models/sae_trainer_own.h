/*
 * sae_trainer_own.h - what the parts of the trainer share.  Private to them and
 * their tests.
 */
#ifndef BS_MODELS_SAE_TRAINER_OWN_H
#define BS_MODELS_SAE_TRAINER_OWN_H

#include "cmd/models/sae_trainer.h"
#include "kernels/sae_train_ops.h"

/* ---- parameters ------------------------------------------------------------
 */

enum bs_trainer_param {
    BS_PARAM_ENC_W,    /* [concepts, width] */
    BS_PARAM_ENC_B,    /* [concepts, 1] */
    BS_PARAM_LN_G,     /* [concepts, 1] */
    BS_PARAM_LN_B,     /* [concepts, 1] */
    BS_PARAM_DEC_W,    /* [concepts, width]; not archetypal */
    BS_PARAM_RA_W,     /* [concepts, points] */
    BS_PARAM_RA_RELAX, /* [concepts, width] */
    BS_PARAM_RA_M,     /* [1, 1]; where it is trained */
    BS_PARAM_BIAS,     /* [1, width]: pre_b and dec_b */
    BS_PARAMS
};

/* A parameter and its moments, on the device; cols 0: the model has none. */
struct bs_trainer_tensor {
    struct bs_adam_rows at;
    enum bs_project project;
    float radius;
    bool lazy; /* rows are brought up to date when they are needed */
};

/* ---- a step ----------------------------------------------------------------
 */

/* Codes, what they leave over, and their gradients. */
struct bs_trainer_codes {
    struct bs_ragged rows;
    struct bs_groups *groups;
    size_t first;         /* slot of their first atom */
    struct bs_mem error;  /* [m, width] */
    double squares;       /* of it */
    double scale;         /* of the error, as the gradient of what is decoded */
    struct bs_mem coef;   /* [codes]: values */
    struct bs_mem dz;     /* [codes]: their gradients */
    struct bs_mem weight; /* [codes]: layer norm */
};

/* Sums over the concepts without a code: of gain w, gain b, gain, shift. */
struct bs_trainer_dead {
    size_t n;
    double *w; /* [width] */
    double b, gain, shift;
    double push; /* minus the gradient of each of their pre-activations */
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
    struct bs_encoder *enc, *enc_dead;
    struct bs_trainer_archetypes *archetypes;
    struct bs_trainer_norm *layer_norm;
    struct bs_mem *dict; /* [concepts, width]: atoms in use are up to date */

    /* tokens: as they came; less the bias; as the encoder multiplies them */
    size_t m;
    struct bs_mem x, centred, narrow, narrow_w; /* the last two: bf16 */
    const struct bs_mem *in, *in_w;             /* [m, width], [concepts, .] */
    const struct bs_mem *wide;                  /* [m, wide_cols] */
    size_t wide_cols;
    double *mean; /* [width] of the tokens */
    double spread;

    struct bs_mem idx, val; /* of topk */
    float now_tau;
    struct bs_trainer_codes codes, other; /* other: AuxK's */
    bool has_other;
    size_t active;   /* atoms with a code */
    uint32_t *atoms; /* [active] */
    uint32_t *slot;  /* [concepts]: place among them, or BS_CODE_NONE */
    uint32_t *list;  /* [concepts] */
    struct bs_trainer_dead dead;

    double rec, aux, loss, norm;

    /* gradients */
    struct bs_mem grad_enc, grad_dec, total; /* [active, width], [active] */
    struct bs_mem grad_dense;                /* [concepts, width]: layer norm */
    struct bs_mem common;                    /* of a row without a code */
    struct bs_mem grad_b, grad_ln_g, grad_ln_b; /* [concepts] */
    struct bs_mem grad_bias, grad_m;            /* [width], [1] */
    float *row_grad;                            /* [concepts]: of enc_b */
    float *host;                                /* [concepts] */
    double *sum;                                /* [2 * width] */

    void *lent[2 * BS_PARAMS]; /* to a document */
};

/* ---- sae_trainer.c ---------------------------------------------------------
 */

/* The device's error, on its way up. */
int bs_trainer_failed(const struct bs_trainer *t, struct bs_err *e);
/* Have at least rows x cols floats of device memory; what it held is lost. */
int bs_trainer_room(struct bs_trainer *t, struct bs_mem *m, size_t rows,
                    size_t cols, struct bs_err *e) BS_CHECKED;
/* The same, filled. */
int bs_trainer_put(struct bs_trainer *t, struct bs_mem *m, const float *from,
                   size_t n, struct bs_err *e) BS_CHECKED;

/* ---- sae_trainer_adam.c ----------------------------------------------------
 */

/* The rate of step i, from 0. */
double bs_trainer_rate(const struct bs_trainer_options *o, uint64_t i);
/* Have the numbers of all steps up to `step`. */
int bs_trainer_steps(struct bs_trainer *t, uint32_t step,
                     struct bs_err *e) BS_CHECKED;
/* Bring rows of a parameter, if there is one, up to step `now`. */
int bs_trainer_adam(struct bs_trainer *t, enum bs_trainer_param which,
                    uint32_t now, const struct bs_adam_grad *g,
                    struct bs_err *e) BS_CHECKED;
/* All rows up to date, those of the dictionary, too. */
int bs_trainer_catch_up(struct bs_trainer *t, struct bs_err *e) BS_CHECKED;

/* ---- the parts of a step ---------------------------------------------------
 */

/* Tokens to codes, errors and the loss. */
int bs_trainer_forward(struct bs_trainer *t, const float *x,
                       struct bs_err *e) BS_CHECKED;
/* The `top` codes of each token by an encoder, whose row i is concept map[i]
 * (NULL: i). */
int bs_trainer_encode(struct bs_trainer *t, struct bs_encoder *enc,
                      const uint32_t *map, size_t top,
                      struct bs_trainer_codes *c, struct bs_err *e) BS_CHECKED;
/* Fill an encoder with rows of the weights, NULL: all. */
int bs_trainer_fill(struct bs_trainer *t, struct bs_encoder *enc,
                    const uint32_t *rows, size_t n,
                    struct bs_err *e) BS_CHECKED;
/* Group codes, give their atoms slots and bring these up to date, decode:
 * c->error = from - what is decoded. */
int bs_trainer_decode(struct bs_trainer *t, struct bs_trainer_codes *c,
                      const struct bs_mem *from, struct bs_err *e) BS_CHECKED;
/* What squares of errors are divided by. */
double bs_trainer_measure(const struct bs_trainer *t);

/* The auxiliary term: t->aux, and what its gradients need. */
int bs_trainer_auxiliary(struct bs_trainer *t, struct bs_err *e) BS_CHECKED;
/* Whether concepts without a code are pushed in this step. */
bool bs_trainer_pushes(const struct bs_trainer *t);

/* All gradients, and their norm; then all parameters. */
int bs_trainer_backward(struct bs_trainer *t, struct bs_err *e) BS_CHECKED;
int bs_trainer_update(struct bs_trainer *t, struct bs_err *e) BS_CHECKED;
int bs_trainer_squares(struct bs_trainer *t, const struct bs_mem *grad,
                       size_t n, double *sum, struct bs_err *e) BS_CHECKED;

/* ---- sae_trainer_dict.c ----------------------------------------------------
 */

int bs_trainer_dict_open(struct bs_trainer *t, const struct bs_sae *s,
                         struct bs_err *e) BS_CHECKED;
void bs_trainer_dict_close(struct bs_trainer *t);
/* Atoms up to date; row: [n]. */
int bs_trainer_dict_ready(struct bs_trainer *t, const uint32_t *row, size_t n,
                          struct bs_err *e) BS_CHECKED;
/* From d loss / d decoded: grad_dec of what is trained, its squares to *sum. */
int bs_trainer_dict_backward(struct bs_trainer *t, double *sum,
                             struct bs_err *e) BS_CHECKED;
int bs_trainer_dict_update(struct bs_trainer *t, float scale,
                           struct bs_err *e) BS_CHECKED;
/* The archetypal parts of the model. */
int bs_trainer_dict_model(struct bs_trainer *t, struct bs_sae *out,
                          struct bs_err *e) BS_CHECKED;
/* A parameter's values; *out is owned, and stays NULL where there is none. */
int bs_trainer_get(struct bs_trainer *t, const struct bs_mem *m, size_t n,
                   float **out, struct bs_err *e) BS_CHECKED;

/* ---- sae_trainer_norm.c ----------------------------------------------------
 */

int bs_trainer_norm_open(struct bs_trainer *t, float eps,
                         struct bs_err *e) BS_CHECKED;
void bs_trainer_norm_close(struct bs_trainer *t);
float bs_trainer_norm_eps(const struct bs_trainer *t);
/* Mean and deviation of each token's pre-activations, and t->wide. */
int bs_trainer_norm_forward(struct bs_trainer *t, struct bs_err *e) BS_CHECKED;
/* The sum of the dead concepts' pre-activations over all tokens. */
int bs_trainer_norm_dead(struct bs_trainer *t, double *sum,
                         struct bs_err *e) BS_CHECKED;
/* The encoder's gradients: t->grad_dense, t->row_grad, gain and shift; squares
 * of the last three to *sum. */
int bs_trainer_norm_backward(struct bs_trainer *t, double *sum,
                             struct bs_err *e) BS_CHECKED;

#endif
