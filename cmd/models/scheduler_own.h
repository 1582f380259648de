/*
 * scheduler_own.h - the parts of scheduler.h.  Private to scheduler*.c.
 */
#ifndef BS_MODELS_SCHEDULER_OWN_H
#define BS_MODELS_SCHEDULER_OWN_H

#include "cmd/models/scheduler.h"

enum bs_scheduler_class {
    BS_PNDM,
    BS_DDIM,
    BS_DPM_SOLVER, /* multistep */
    BS_EULER,
    BS_UNIPC
};

enum bs_scheduler_beta { BS_BETA_LINEAR, BS_BETA_SCALED, BS_BETA_COSINE };
enum bs_scheduler_predicts {
    BS_PREDICTS_NOISE,
    BS_PREDICTS_SAMPLE,
    BS_PREDICTS_V
};
enum bs_scheduler_spacing {
    BS_SPACING_LINSPACE,
    BS_SPACING_LEADING,
    BS_SPACING_TRAILING
};
enum bs_scheduler_sigmas {
    BS_SIGMAS_OWN,
    BS_SIGMAS_KARRAS,
    BS_SIGMAS_EXPONENTIAL,
    BS_SIGMAS_LU
};
/* DPM-Solver's: of the noise or (++) of the sample, without or with noise. */
enum bs_scheduler_algorithm { BS_DPM, BS_DPMPP, BS_SDE_DPM, BS_SDE_DPMPP };

enum { BS_ORDER_MAX = 3, BS_TRAIN_MAX = 100000 };

struct bs_scheduler_config {
    enum bs_scheduler_class class;
    size_t train;       /* num_train_timesteps */
    double first, last; /* beta_start, beta_end */
    enum bs_scheduler_beta beta;
    float *trained; /* betas themselves, [train], or NULL */
    enum bs_scheduler_predicts predicts;
    enum bs_scheduler_spacing spacing;
    size_t offset; /* steps_offset */
    bool zero_snr, alpha_one, prk, clip, euler_final, lower_final;
    bool continuous, log_linear, predict_x0, heun, bh1;
    bool final_zero; /* final_sigmas_type */
    double clip_range, lambda_min;
    enum bs_scheduler_sigmas sigmas;
    double sigma_min, sigma_max; /* 0: the schedule's */
    size_t order;
    enum bs_scheduler_algorithm algorithm;
    uint32_t corrector_off; /* UniPC: bit k, no corrector after step k */
    size_t steps;
    double eta;
};

struct bs_scheduler {
    struct bs_scheduler_config c;
    float *alpha;     /* cumulative products, [train] */
    float alpha_last; /* where there is no timestep before */
    float *time;      /* [count] */
    float *sigma;     /* [count + 1]; not of PNDM and DDIM */
    size_t count;
    size_t prk; /* of the evaluations, in Runge-Kutta steps */

    size_t n;       /* values of a sample */
    size_t at;      /* the next evaluation */
    size_t kept;    /* predictions so far */
    size_t order;   /* of UniPC's last step */
    float *past[4]; /* predictions (PNDM, UniPC, DPM), the last one last */
    float *held;    /* PNDM's and UniPC's sample of an earlier step */
    float *sum;     /* PNDM's mean of predictions */
    float *room;    /* what they point into */
};

/* Read the configuration; `c->trained` is the caller's, on failure too. */
int bs_scheduler_configure(struct bs_scheduler_config *c,
                           const struct bs_json *v,
                           const struct bs_scheduler_options *options,
                           struct bs_err *e) BS_CHECKED;
/* Fill in alpha, time and sigma (scheduler_plan.c). */
int bs_scheduler_plan(struct bs_scheduler *s, struct bs_err *e) BS_CHECKED;

/* Put a prediction behind those kept, of which the oldest goes. */
void bs_scheduler_keep(struct bs_scheduler *s, const float *prediction);

/* One step each (scheduler_multistep.c). */
void bs_scheduler_dpm(struct bs_scheduler *s, const float *prediction,
                      const float *noise, float *sample);
void bs_scheduler_unipc(struct bs_scheduler *s, const float *prediction,
                        float *sample);

#endif
