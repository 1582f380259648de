/*
 * scheduler_config.c - scheduler_config.json with the defaults of its class.
 */
#include <math.h>

#include "cmd/models/config.h"
#include "cmd/models/scheduler_own.h"

static const char *const classes[] = {
    [BS_PNDM] = "PNDMScheduler",
    [BS_DDIM] = "DDIMScheduler",
    [BS_DPM_SOLVER] = "DPMSolverMultistepScheduler",
    [BS_EULER] = "EulerDiscreteScheduler",
    [BS_UNIPC] = "UniPCMultistepScheduler",
};

#define WORDS(...)                      \
    (const char *const[]){__VA_ARGS__}, \
        sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

static int
read_class(struct bs_scheduler_config *c, const struct bs_json *v,
           const char *name, struct bs_err *e)
{
    size_t i;

    if (name == NULL)
        name = bs_json_get_string(v, "_class_name");
    if (name == NULL)
        return bs_err_set(e, BS_EX_DATA, "no '_class_name'");
    for (i = 0; i < BS_LEN(classes); i++)
        if (strcmp(name, classes[i]) == 0) {
            c->class = (enum bs_scheduler_class)i;
            return 0;
        }
    return bs_err_set(e, BS_EX_DATA,
                      "scheduler '%.60s' is none of PNDMScheduler, "
                      "DDIMScheduler, DPMSolverMultistepScheduler, "
                      "EulerDiscreteScheduler, UniPCMultistepScheduler",
                      name);
}

/* trained_betas: one for each training timestep. */
static int
read_trained(struct bs_scheduler_config *c, const struct bs_json *v,
             struct bs_err *e)
{
    const struct bs_json *list = bs_json_get(v, "trained_betas"), *b;
    size_t i = 0;

    if (!bs_config_has(v, "trained_betas"))
        return 0;
    if (list->type != BS_JSON_ARRAY || list->count != c->train)
        return bs_err_set(e, BS_EX_DATA,
                          "'trained_betas' is no list of %zu numbers",
                          c->train);
    c->trained = bs_alloc_array(c->train, sizeof *c->trained);
    if (c->trained == NULL)
        return bs_err_memory(e, "betas", c->train * sizeof *c->trained);
    for (b = list->child; b != NULL; b = b->next) {
        if (b->type != BS_JSON_NUMBER || !(b->number > 0 && b->number < 1))
            return bs_err_set(e, BS_EX_DATA,
                              "'trained_betas' holds what is not between 0 "
                              "and 1");
        c->trained[i++] = (float)b->number;
    }
    return 0;
}

static int
read_betas(struct bs_scheduler_config *c, const struct bs_json *v,
           struct bs_err *e)
{
    size_t word = 0;
    int r;

    if ((r = bs_config_size(v, "num_train_timesteps", 1000, 2, BS_TRAIN_MAX,
                            &c->train, e)) < 0 ||
        (r = bs_config_real(v, "beta_start", 0.0001, 1e-12, 0.9999, &c->first,
                            e)) < 0 ||
        (r = bs_config_real(v, "beta_end", 0.02, 1e-12, 0.9999, &c->last, e)) <
            0 ||
        (r = bs_config_word(
             v, "beta_schedule",
             WORDS("linear", "scaled_linear", "squaredcos_cap_v2"), 0, &word,
             e)) < 0)
        return r;
    c->beta = (enum bs_scheduler_beta)word;
    r = read_trained(c, v, e);
    if (r == 0 && c->class != BS_PNDM)
        r = bs_config_bool(v, "rescale_betas_zero_snr", false, &c->zero_snr, e);
    return r;
}

/* What the classes with sigmas share. */
static int
read_sigmas(struct bs_scheduler_config *c, const struct bs_json *v,
            struct bs_err *e)
{
    bool karras, exponential, lu = false, range = c->class != BS_DPM_SOLVER;
    size_t word = 0;
    int r;

    if ((r = bs_config_bool(v, "use_karras_sigmas", false, &karras, e)) < 0 ||
        (r = bs_config_bool(v, "use_exponential_sigmas", false, &exponential,
                            e)) < 0 ||
        (c->class == BS_DPM_SOLVER &&
         (r = bs_config_bool(v, "use_lu_lambdas", false, &lu, e)) < 0) ||
        (r = bs_config_unset(v, "use_beta_sigmas", e)) < 0 ||
        (r = bs_config_word(v, "final_sigmas_type", WORDS("zero", "sigma_min"),
                            0, &word, e)) < 0 ||
        (range && (r = bs_config_real(v, "sigma_min", 0, 1e-9, 1e9,
                                      &c->sigma_min, e)) < 0) ||
        (range && (r = bs_config_real(v, "sigma_max", 0, 1e-9, 1e9,
                                      &c->sigma_max, e)) < 0))
        return r;
    if (c->class != BS_EULER &&
        ((r = bs_config_unset(v, "use_flow_sigmas", e)) < 0 ||
         (r = bs_config_unset(v, "use_dynamic_shifting", e)) < 0 ||
         (r = bs_config_unset(v, "thresholding", e)) < 0))
        return r;
    if (karras && exponential)
        return bs_err_set(e, BS_EX_DATA,
                          "'use_karras_sigmas' and 'use_exponential_sigmas' "
                          "are both set");
    c->final_zero = word == 0;
    c->sigmas = karras        ? BS_SIGMAS_KARRAS
                : lu          ? BS_SIGMAS_LU
                : exponential ? BS_SIGMAS_EXPONENTIAL
                              : BS_SIGMAS_OWN;
    return 0;
}

static int
read_ddim(struct bs_scheduler_config *c, const struct bs_json *v,
          struct bs_err *e)
{
    int r;

    if ((r = bs_config_bool(v, "set_alpha_to_one", true, &c->alpha_one, e)) <
            0 ||
        (r = bs_config_bool(v, "clip_sample", true, &c->clip, e)) < 0 ||
        (r = bs_config_real(v, "clip_sample_range", 1, 0, 1e9, &c->clip_range,
                            e)) < 0)
        return r;
    return bs_config_unset(v, "thresholding", e);
}

static int
read_pndm(struct bs_scheduler_config *c, const struct bs_json *v,
          struct bs_err *e)
{
    bool skip;
    int r = bs_config_bool(v, "skip_prk_steps", false, &skip, e);

    c->prk = !skip;
    return r < 0
               ? r
               : bs_config_bool(v, "set_alpha_to_one", false, &c->alpha_one, e);
}

static int
read_dpm(struct bs_scheduler_config *c, const struct bs_json *v,
         struct bs_err *e)
{
    size_t algorithm = 0, solver = 0;
    int r = read_sigmas(c, v, e);

    if (r < 0 ||
        (r = bs_config_size(v, "solver_order", 2, 1, BS_ORDER_MAX, &c->order,
                            e)) < 0 ||
        (r = bs_config_word(v, "algorithm_type",
                            WORDS("dpmsolver", "dpmsolver++", "sde-dpmsolver",
                                  "sde-dpmsolver++", "deis"),
                            BS_DPMPP, &algorithm, e)) < 0 ||
        (r = bs_config_word(v, "solver_type",
                            WORDS("midpoint", "heun", "logrho", "bh1", "bh2"),
                            0, &solver, e)) < 0 ||
        (r = bs_config_bool(v, "lower_order_final", true, &c->lower_final, e)) <
            0 ||
        (r = bs_config_bool(v, "euler_at_final", false, &c->euler_final, e)) <
            0 ||
        (r = bs_config_real(v, "lambda_min_clipped", -INFINITY, -INFINITY, 1e9,
                            &c->lambda_min, e)) < 0 ||
        (r = bs_config_unset(v, "variance_type", e)) < 0)
        return r;
    /* other solvers' names, which the class takes for its own default */
    c->algorithm =
        algorithm == 4 ? BS_DPMPP : (enum bs_scheduler_algorithm)algorithm;
    c->heun = solver == 1;
    if (c->final_zero && (c->algorithm == BS_DPM || c->algorithm == BS_SDE_DPM))
        return bs_err_set(e, BS_EX_DATA,
                          "'final_sigmas_type' 'zero' is not for this "
                          "'algorithm_type'");
    if (c->order == 3 && c->algorithm == BS_SDE_DPM)
        return bs_err_set(e, BS_EX_DATA,
                          "'solver_order' 3 is not for this "
                          "'algorithm_type'");
    return 0;
}

static int
read_euler(struct bs_scheduler_config *c, const struct bs_json *v,
           struct bs_err *e)
{
    size_t interpolation = 0, type = 0;
    int r = read_sigmas(c, v, e);

    if (r < 0 ||
        (r = bs_config_word(v, "interpolation_type",
                            WORDS("linear", "log_linear"), 0, &interpolation,
                            e)) < 0 ||
        (r = bs_config_word(v, "timestep_type", WORDS("discrete", "continuous"),
                            0, &type, e)) < 0)
        return r;
    c->log_linear = interpolation == 1;
    c->continuous = type == 1;
    return 0;
}

/* disable_corrector: the steps behind which UniPC does not correct. */
static int
read_disabled(struct bs_scheduler_config *c, const struct bs_json *v,
              struct bs_err *e)
{
    const struct bs_json *list = bs_json_get(v, "disable_corrector"), *i;
    uint64_t n;

    if (!bs_config_has(v, "disable_corrector"))
        return 0;
    for (i = list->child; i != NULL; i = i->next) {
        if (list->type != BS_JSON_ARRAY || !bs_json_u64(i, 31, &n))
            return bs_err_set(e, BS_EX_DATA,
                              "'disable_corrector' is no list of numbers up to "
                              "31");
        c->corrector_off |= UINT32_C(1) << n;
    }
    return 0;
}

static int
read_unipc(struct bs_scheduler_config *c, const struct bs_json *v,
           struct bs_err *e)
{
    size_t solver = 0;
    int r = read_sigmas(c, v, e);

    if (r < 0 ||
        (r = bs_config_size(v, "solver_order", 2, 1, BS_ORDER_MAX, &c->order,
                            e)) < 0 ||
        (r = bs_config_bool(v, "predict_x0", true, &c->predict_x0, e)) < 0 ||
        (r = bs_config_word(v, "solver_type",
                            WORDS("bh2", "bh1", "midpoint", "heun", "logrho"),
                            0, &solver, e)) < 0 ||
        (r = bs_config_bool(v, "lower_order_final", true, &c->lower_final, e)) <
            0 ||
        (r = bs_config_unset(v, "solver_p", e)) < 0 ||
        (r = bs_config_unset(v, "shift_terminal", e)) < 0)
        return r;
    if (c->final_zero && !c->lower_final && c->order > 1)
        return bs_err_set(e, BS_EX_DATA,
                          "'final_sigmas_type' 'zero' needs "
                          "'lower_order_final'");
    if (c->final_zero && solver == 1)
        return bs_err_set(e, BS_EX_DATA,
                          "'solver_type' 'bh1' needs 'final_sigmas_type' "
                          "'sigma_min'");
    c->bh1 = solver == 1;
    return read_disabled(c, v, e);
}

static int
check(const struct bs_scheduler_config *c, struct bs_err *e)
{
    if (c->steps == 0 || c->steps > c->train)
        return bs_err_set(e, BS_EX_USAGE,
                          "%zu steps; this schedule takes 1 to %zu", c->steps,
                          c->train);
    if (c->class == BS_PNDM && c->prk && c->steps < 4)
        return bs_err_set(e, BS_EX_USAGE,
                          "%zu steps; this schedule takes 4 at least",
                          c->steps);
    if (c->eta != 0 && (c->class != BS_DDIM || !(c->eta > 0 && c->eta <= 1)))
        return bs_err_set(e, BS_EX_USAGE,
                          c->class == BS_DDIM
                              ? "eta is not from 0 to 1"
                              : "only DDIMScheduler takes an eta");
    if (c->class == BS_PNDM && c->predicts == BS_PREDICTS_SAMPLE)
        return bs_err_set(e, BS_EX_DATA,
                          "'prediction_type' 'sample' is not for "
                          "PNDMScheduler");
    return 0;
}

int
bs_scheduler_configure(struct bs_scheduler_config *c, const struct bs_json *v,
                       const struct bs_scheduler_options *options,
                       struct bs_err *e)
{
    static int (*const read[])(struct bs_scheduler_config *,
                               const struct bs_json *, struct bs_err *) = {
        read_pndm, read_ddim, read_dpm, read_euler, read_unipc};
    size_t word = 0;
    bool classic;
    int r;

    *c = (struct bs_scheduler_config){.steps = options->steps,
                                      .eta = options->eta};
    if ((r = read_class(c, v, options->name, e)) < 0 ||
        (r = read_betas(c, v, e)) < 0 ||
        (r = bs_config_word(v, "prediction_type",
                            WORDS("epsilon", "sample", "v_prediction"), 0,
                            &word, e)) < 0)
        return r;
    c->predicts = (enum bs_scheduler_predicts)word;
    classic = c->class == BS_PNDM || c->class == BS_DDIM;
    if ((r = bs_config_word(v, "timestep_spacing",
                            WORDS("linspace", "leading", "trailing"),
                            classic ? BS_SPACING_LEADING : BS_SPACING_LINSPACE,
                            &word, e)) < 0 ||
        (r = bs_config_size(v, "steps_offset", 0, 0, BS_TRAIN_MAX, &c->offset,
                            e)) < 0 ||
        (r = read[c->class](c, v, e)) < 0)
        return r;
    c->spacing = (enum bs_scheduler_spacing)word;
    if (options->pipeline) {
        c->offset = 1;
        c->clip = false;
    }
    return check(c, e);
}
