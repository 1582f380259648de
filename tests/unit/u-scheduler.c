/*
 * u-scheduler.c - schedules against what diffusers gave, configurations that
 * are refused, and that a batch of images is each image.
 */
#include "common/io.h"
#include "tests/unit/fake_model.h"
#include "tests/unit/tap.h"

#include <math.h>

enum { N = 16, SHOWN = 4, EVALUATIONS = 64 };

static double
member(const struct bs_json *v, const char *key)
{
    double x = 0;

    bs_json_get_number(v, key, &x);
    return x;
}

/* ---- golden ---------------------------------------------------------------
 */

static bool
same_times(const struct bs_scheduler *s, const struct bs_json *want)
{
    const struct bs_json *t = want->child;
    size_t i;

    if (want->count != bs_scheduler_count(s))
        return false;
    for (i = 0; t != NULL; t = t->next, i++)
        if (!(fabs(t->number - bs_scheduler_time(s, i)) <= 1e-3))
            return false;
    return true;
}

/* The largest difference over the largest value so far. */
static double
trace_error(const float *trace, const struct bs_json *want, double scale)
{
    const struct bs_json *row, *x;
    double worst = 0;
    size_t k = 0, i;

    for (row = want->child; row != NULL; row = row->next, k++)
        for (x = row->child, i = 0; x != NULL; x = x->next, i++) {
            double off = fabs(x->number - trace[k * N + i]);

            scale = fmax(scale, fabs(x->number));
            worst = off / scale <= worst ? worst : off / scale;
        }
    return worst;
}

static void
test_case(const struct bs_json *c)
{
    const struct bs_json *config = bs_json_get(c, "config");
    struct bs_scheduler_options o = {.steps = (size_t)member(c, "steps"),
                                     .eta = member(c, "eta")};
    float trace[EVALUATIONS * N];
    struct bs_scheduler *s;
    struct bs_err e = {0};
    struct bs_buf name = {0};
    double error = INFINITY;
    int r = bs_json_write(&name, config, &e);

    if (r == 0)
        r = bs_buf_add(&name, "", 1, &e);
    if (r == 0)
        r = bs_scheduler_open(&s, config, &o, &e);
    if (!ok(r == 0, "%zu steps of %.300s %s", o.steps, (char *)name.data,
            e.text))
        return;
    ok(same_times(s, bs_json_get(c, "times")), "timesteps");
    ok(fabs(bs_scheduler_start(s) - member(c, "start")) <=
           1e-6 * member(c, "start"),
       "the first deviation");
    if (bs_scheduler_count(s) <= EVALUATIONS && fake_run(s, N, trace, &e) == 0)
        error =
            trace_error(trace, bs_json_get(c, "trace"), bs_scheduler_start(s));
    if (!ok(error <= 2e-5, "samples"))
        printf("# error %g\n", error);
    bs_scheduler_close(s);
    bs_buf_release(&name);
}

static void
test_golden(void)
{
    struct bs_err e = {0};
    struct bs_buf all = {0};
    char path[600], *s, *end;

    snprintf(path, sizeof path, "%s/tests/golden/scheduler/cases.jsonl",
             getenv("BS_SRC"));
    ok(bs_read_file(path, 1 << 22, &all, &e) == 0, "the cases %s", e.text);
    for (s = (char *)all.data; (size_t)(s - (char *)all.data) < all.len;
         s = end + 1) {
        struct bs_json_doc *doc;

        end = memchr(s, '\n', all.len - (size_t)(s - (char *)all.data));
        if (ok(bs_json_parse(&doc, s, (size_t)(end - s), BS_JSON_NONFINITE,
                             &e) == 0,
               "a case"))
            test_case(bs_json_root(doc));
        bs_json_free(doc);
    }
    bs_buf_release(&all);
}

/* ---- refused --------------------------------------------------------------
 */

static void
test_refused(void)
{
    static const struct {
        const char *config;
        size_t steps;
        double eta;
        int code;
        const char *want;
    } cases[] = {
        {"{}", 5, 0, BS_EX_DATA, "no '_class_name'"},
        {"{\"_class_name\":\"DDPM\"}", 5, 0, BS_EX_DATA,
         "scheduler 'DDPM' is none of PNDMScheduler, DDIMScheduler, "
         "DPMSolverMultistepScheduler, EulerDiscreteScheduler, "
         "UniPCMultistepScheduler"},
        {"{\"_class_name\":\"DDIMScheduler\"}", 0, 0, BS_EX_USAGE,
         "0 steps; this schedule takes 1 to 1000"},
        {"{\"_class_name\":\"DDIMScheduler\"}", 1001, 0, BS_EX_USAGE,
         "1001 steps; this schedule takes 1 to 1000"},
        {"{\"_class_name\":\"DDIMScheduler\",\"steps_offset\":1}", 1000, 0,
         BS_EX_USAGE, "1000 steps ask for timestep 1000 of 1000"},
        {"{\"_class_name\":\"DDIMScheduler\",\"thresholding\":true}", 5, 0,
         BS_EX_DATA, "'thresholding' is not supported"},
        {"{\"_class_name\":\"DDIMScheduler\"}", 5, 2, BS_EX_USAGE,
         "eta is not from 0 to 1"},
        {"{\"_class_name\":\"EulerDiscreteScheduler\"}", 5, 1, BS_EX_USAGE,
         "only DDIMScheduler takes an eta"},
        {"{\"_class_name\":\"PNDMScheduler\"}", 3, 0, BS_EX_USAGE,
         "3 steps; this schedule takes 4 at least"},
        {"{\"_class_name\":\"PNDMScheduler\",\"prediction_type\":\"x\"}", 5, 0,
         BS_EX_DATA,
         "'prediction_type' is 'x', not 'epsilon', 'sample' or "
         "'v_prediction'"},
        {"{\"_class_name\":\"PNDMScheduler\",\"num_train_timesteps\":1e9}", 5,
         0, BS_EX_DATA,
         "'num_train_timesteps' is no whole number from 2 to 100000"},
        {"{\"_class_name\":\"PNDMScheduler\",\"trained_betas\":[0.1]}", 5, 0,
         BS_EX_DATA, "'trained_betas' is no list of 1000 numbers"},
        {"{\"_class_name\":\"PNDMScheduler\",\"beta_start\":NaN}", 5, 0,
         BS_EX_DATA, "'beta_start' is no number from 1e-12 to 0.9999"},
        {"{\"_class_name\":\"DPMSolverMultistepScheduler\","
         "\"timestep_spacing\":\"leading\"}",
         1000, 0, BS_EX_USAGE,
         "1000 steps are more than this schedule tells apart"},
        {"{\"_class_name\":\"DPMSolverMultistepScheduler\","
         "\"algorithm_type\":\"dpmsolver\"}",
         9, 0, BS_EX_DATA,
         "'final_sigmas_type' 'zero' is not for this 'algorithm_type'"},
        {"{\"_class_name\":\"DPMSolverMultistepScheduler\","
         "\"lambda_min_clipped\":99}",
         9, 0, BS_EX_DATA, "'lambda_min_clipped' leaves no timestep"},
        {"{\"_class_name\":\"UniPCMultistepScheduler\","
         "\"solver_type\":\"bh1\"}",
         9, 0, BS_EX_DATA,
         "'solver_type' 'bh1' needs 'final_sigmas_type' 'sigma_min'"},
        {"{\"_class_name\":\"UniPCMultistepScheduler\","
         "\"lower_order_final\":false}",
         9, 0, BS_EX_DATA,
         "'final_sigmas_type' 'zero' needs 'lower_order_final'"},
    };
    size_t i;

    for (i = 0; i < BS_LEN(cases); i++) {
        struct bs_scheduler_options o = {.steps = cases[i].steps,
                                         .eta = cases[i].eta};
        struct bs_json_doc *doc = NULL;
        struct bs_scheduler *s = NULL;
        struct bs_err e = {0};
        int r = bs_json_parse(&doc, cases[i].config, strlen(cases[i].config),
                              BS_JSON_NONFINITE, &e);

        if (r == 0)
            r = bs_scheduler_open(&s, bs_json_root(doc), &o, &e);
        if (!ok(r == -cases[i].code && s == NULL &&
                    strcmp(e.text, cases[i].want) == 0,
                "%s", cases[i].want))
            printf("# %d %s\n", r, e.text);
        bs_scheduler_close(s);
        bs_json_free(doc);
    }
}

/* ---- as the pipeline loads it; used again ---------------------------------
 */

static void
test_pipeline(void)
{
    static const char config[] = "{\"_class_name\":\"PNDMScheduler\","
                                 "\"clip_sample\":true,\"steps_offset\":0}";
    struct bs_scheduler_options o = {
        .name = "DDIMScheduler", .pipeline = true, .steps = 10};
    float once[10 * N], again[10 * N], more[10 * 2 * N];
    struct bs_json_doc *doc;
    struct bs_scheduler *s;
    struct bs_err e = {0};
    size_t k;
    bool same = true;

    ok(bs_json_parse(&doc, config, strlen(config), 0, &e) == 0 &&
           bs_scheduler_open(&s, bs_json_root(doc), &o, &e) == 0,
       "another class for the same file %s", e.text);
    bs_json_free(doc);
    ok(bs_scheduler_time(s, 9) == 1, "steps_offset is 1");
    ok(fake_run(s, N, once, &e) == 0 && fabsf(once[9 * N]) > 0.01f,
       "first run");
    ok(fake_run(s, 2 * N, more, &e) == 0 && fake_run(s, N, again, &e) == 0 &&
           memcmp(once, again, sizeof once) == 0,
       "a second run is the first");
    for (k = 0; k < 10; k++)
        same = same &&
               memcmp(more + k * 2 * N, once + k * N, N * sizeof(float)) == 0;
    ok(same, "a value depends on no other");
    bs_scheduler_close(s);
}

int
main(void)
{
    test_golden();
    test_refused();
    test_pipeline();
    return tap_done();
}
