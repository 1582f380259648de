/*
 * scheduler.h - from noise to an image: which timesteps a UNet is asked about
 * and what becomes of its predictions.
 *
 * PNDM (PLMS, or with its Runge-Kutta start), DDIM, DPM-Solver and DPM-Solver++
 * (multistep, orders 1 to 3, with noise too), Euler and UniPC, configured by a
 * scheduler_config.json with the defaults of diffusers' classes: every beta
 * schedule, prediction type and timestep spacing, zero terminal SNR, Karras and
 * exponential sigmas, final sigmas.
 *
 * Arithmetic follows diffusers 0.42 (PyTorch on x86-64) step by step in f32, so
 * that the coefficients and samples agree to a few units in the last place
 * (tests/parity/scheduler.py).  A sample is an array of f32; its layout and
 * how many images it holds are the caller's.
 *
 * Sources: Song et al. 2021 (DDIM), Liu et al. 2022 (PNDM), Karras et al. 2022
 * (Euler, sigmas), Lu et al. 2022 (DPM-Solver++), Zhao et al. 2023 (UniPC).
 */
#ifndef BS_MODELS_SCHEDULER_H
#define BS_MODELS_SCHEDULER_H

#include "common/bs.h"
#include "common/err.h"
#include "formats/json.h"

struct bs_scheduler;

struct bs_scheduler_options {
    const char *name; /* class, e.g. "DDIMScheduler"; NULL: "_class_name" */
    bool pipeline;    /* as StableDiffusionPipeline loads it: steps_offset 1,
                         clip_sample false, whatever the file says */
    size_t steps;     /* at least 1 */
    double eta;       /* DDIM: how much noise comes in, 0..1 */
};

/*
 * -BS_EX_DATA for a configuration that is damaged, of another class or with an
 * option that is not supported (thresholding, beta and flow sigmas, learned
 * variance, a nested solver); -BS_EX_USAGE for steps that the schedule has no
 * timesteps for, and for noise with a class that takes none.
 */
int bs_scheduler_open(struct bs_scheduler **out, const struct bs_json *config,
                      const struct bs_scheduler_options *options,
                      struct bs_err *e) BS_CHECKED;
void bs_scheduler_close(struct bs_scheduler *s);

/* How often the UNet is asked (PNDM: steps + 1), and about which timestep; the
 * timesteps of Euler may be fractions. */
size_t bs_scheduler_count(const struct bs_scheduler *s);
float bs_scheduler_time(const struct bs_scheduler *s, size_t i);
/* Standard deviation that the first sample has: standard noise is multiplied
 * by it. */
float bs_scheduler_start(const struct bs_scheduler *s);
/* Whether every step takes fresh standard noise. */
bool bs_scheduler_noisy(const struct bs_scheduler *s);

/* Begin with a sample of n values, n > 0; what was done before is forgotten. */
int bs_scheduler_begin(struct bs_scheduler *s, size_t n,
                       struct bs_err *e) BS_CHECKED;
/* What the UNet is shown of the sample: for Euler scaled, else the same. */
void bs_scheduler_input(const struct bs_scheduler *s, const float *sample,
                        float *input);
/*
 * Take the UNet's prediction for bs_scheduler_input and go one step: `sample`
 * is replaced.  noise: n values where bs_scheduler_noisy, else NULL.  After
 * bs_scheduler_count steps the sample is the image's latents.
 */
void bs_scheduler_step(struct bs_scheduler *s, const float *prediction,
                       const float *noise, float *sample);

#endif
