/*
 * sae-train.c - bs-sae train: features to a sparse autoencoder.
 *
 * Memory: the model with two moments a weight and its gradient, the shuffle
 * buffer, two batches of tokens.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/sae-commands.h"
#include "cmd/sae-train-options.h"

struct command {
    struct bs_train_options o;
    struct bs_train_checkpoint checkpoint;
    struct bs_sae init;
    struct bs_train_job job;
    struct bs_progress progress;
    int stage; /* that progress shows, or -1 */
};

static void
check(int r, const struct bs_err *e)
{
    if (r == -BS_EX_USAGE)
        bs_sae_train_misuse(e);
    if (r < 0)
        bs_die_err(e, NULL);
}

static bool
wanted(void *arg, const char *key)
{
    const struct command *c = arg;

    return bs_std_mine(&c->o.std, key);
}

static void
show(void *arg, const struct bs_train_report *r)
{
    static const char *const units[] = {"tokens counted", "tokens sampled",
                                        "tokens clustered", "tokens read again",
                                        "tokens"};
    struct command *c = arg;
    const struct bs_trainer_metrics *m = r->metrics;

    if (c->stage != (int)r->stage) {
        if (c->stage >= 0)
            bs_progress_end(&c->progress);
        c->stage = (int)r->stage;
        bs_progress_start(&c->progress, units[r->stage], r->total,
                          c->o.std.progress);
        if (c->job.resume != NULL && m != NULL)
            bs_progress_before(&c->progress, c->job.resume->state.last.tokens);
    }
    if (m != NULL)
        bs_progress_note(
            &c->progress, "loss %.4g, R2 %.4f (%.4f), L0 %.2f, dead %.2f %%",
            m->loss, m->r2, m->r2_all, m->l0,
            100.0 * (double)m->dead / (double)c->job.config.concepts);
    bs_progress_step(&c->progress, r->done);
}

/* ---- what to do ------------------------------------------------------------
 */

/* Read the checkpoint to go on from; false where there is none yet, but would
 * be if this command had run before. */
static bool
read_checkpoint(struct command *c)
{
    struct bs_train_options *o = &c->o;
    struct bs_err e = {0};
    bool same = o->resume != NULL && o->checkpoint != NULL &&
                strcmp(o->resume, o->checkpoint) == 0;

    if (o->resume == NULL || (same && access(o->resume, F_OK) != 0))
        return false;
    check(bs_train_checkpoint_read(&c->checkpoint, o->resume, &e), &e);
    if (o->checkpoint == NULL)
        o->checkpoint = o->resume;
    return true;
}

/* The options in full: of the checkpoint, or by start model and recipe. */
static void
settle(struct command *c)
{
    struct bs_train_config *given = &c->o.given, *config = &c->job.config;
    struct bs_train_config fixed, model;
    struct bs_err e = {0};

    if (c->o.init != NULL) {
        check(bs_sae_load(&c->init, c->o.init, &e), &e);
        bs_train_config_of_model(&fixed, &model, given->recipe, &c->init);
        bs_train_config_merge(&fixed, given); /* the rest is free */
        check(bs_train_config_agree(given, &fixed, "the start model", &e), &e);
        c->job.init = &c->init;
    }
    if (read_checkpoint(c)) {
        c->job.resume = &c->checkpoint;
        *config = c->checkpoint.state.config;
        if (c->o.init != NULL)
            memcpy(given->init, c->init.sha256, sizeof given->init);
        check(bs_train_config_agree(given, config, "the checkpoint", &e), &e);
    } else {
        *config = *given;
        if (c->o.init != NULL)
            bs_train_config_merge(config, &model);
        bs_train_config_complete(config);
    }
    check(bs_train_config_check(config, &e), &e);
    (void)bs_train_config_shard(config, &c->o.std.shard_index,
                                &c->o.std.shard_count);
    if (c->job.resume == NULL && config->steps == UINT64_MAX &&
        config->rate_end != config->rate &&
        bs_token_once(c->job.path, c->job.paths) != NULL)
        bs_warn("how long the input is cannot be known: the rate stays at %g; "
                "'--steps' makes it fall",
                config->rate);
}

/* Inputs that can be read once make one epoch. */
static void
settle_epochs(struct command *c)
{
    struct bs_train_config *given = &c->o.given;
    const char *once = bs_token_once(c->job.path, c->job.paths);
    struct bs_err e = {0};

    if (once == NULL)
        return;
    if (given->epochs != UINT64_MAX && given->epochs > 1) {
        (void)bs_err_set(&e, BS_EX_USAGE,
                         "'%s' can be read once only; '--epochs' needs files",
                         once);
        bs_sae_train_misuse(&e);
    }
    given->epochs = 1;
}

/* That the model can be written is to be known before days of training. */
static void
check_output(const struct bs_train_options *o)
{
    bool piped = o->std.output == NULL || strcmp(o->std.output, "-") == 0;
    struct stat st;
    struct bs_out out;
    struct bs_err e = {0};

    if (piped && isatty(STDOUT_FILENO) == 1)
        bs_die(BS_EX_USAGE, "a model is not written to a terminal; use "
                            "'-o file' or a pipe");
    if (piped && o->metrics != NULL && strcmp(o->metrics, "-") == 0) {
        (void)bs_err_set(&e, BS_EX_USAGE,
                         "model and metrics cannot both go to stdout; use "
                         "'-o file'");
        bs_sae_train_misuse(&e);
    }
    /* to open a pipe and close it again would be an end to its reader */
    if (!piped && (stat(o->std.output, &st) != 0 || S_ISREG(st.st_mode))) {
        check(bs_out_open(&out, o->std.output, &e), &e);
        bs_out_abandon(&out);
        bs_out_sweep(o->std.output);
    }
    if (o->checkpoint != NULL)
        bs_out_sweep(o->checkpoint);
}

static void
set_job(struct command *c, int argc, char *argv[])
{
    static const char *const stdin_only[] = {"-"};
    const struct bs_train_options *o = &c->o;
    struct bs_train_job *job = &c->job;

    job->path = argc > 0 ? (const char *const *)argv : stdin_only;
    job->paths = argc > 0 ? (size_t)argc : 1;
    settle_epochs(c);
    settle(c);
    job->allow_partial = o->std.allow_partial;
    job->max_record = (size_t)o->std.memory;
    job->wanted = wanted;
    job->checkpoint = o->checkpoint;
    job->every_steps = o->every_steps;
    job->every_seconds = o->every_seconds;
    job->metrics = o->metrics;
    job->metrics_every = o->metrics_every;
    job->report = show;
    job->command = c;
}

/* ---- what came of it -------------------------------------------------------
 */

static int
add_provenance(struct bs_doc *more, const struct command *c,
               const struct bs_train_result *result, struct bs_err *e)
{
    const struct bs_trainer_metrics *m = &result->last;
    struct bs_buf json = {0};
    int r = bs_train_config_json(&c->job.config, &json, e);

    if (r == 0)
        r = bs_doc_set(more, "bs.tool", bs_opt_version(), e);
    if (r == 0)
        r = bs_doc_set(more, "bs.params", (const char *)json.data, e);
    if (r == 0)
        r = bs_doc_set(more, "bs.parents", (const char *)result->parents.data,
                       e);
    if (r == 0)
        r = bs_doc_setf(more, "bs.stats", e,
                        "{\"dead\":%ju,\"epochs\":%ju,\"steps\":%ju,"
                        "\"tokens\":%ju}",
                        (uintmax_t)m->dead, (uintmax_t)result->epochs,
                        (uintmax_t)m->step, (uintmax_t)m->tokens);
    bs_buf_release(&json);
    return r;
}

static void
write_model(struct command *c, struct bs_train_result *result)
{
    struct bs_sae *s = &result->model;
    struct bs_doc more = {0};
    struct bs_err e = {0};
    int r = c->o.std.provenance ? add_provenance(&more, c, result, &e) : 0;

    if (!c->o.keep_parts) {
        bs_free(s->ra_c);
        bs_free(s->ra_w);
        bs_free(s->ra_relax);
        s->ra_c = s->ra_w = s->ra_relax = NULL;
    }
    if (r == 0)
        r = bs_sae_save(s, &more, c->o.std.output, &e);
    check(r, &e);
    bs_doc_release(&more);
}

static int
finish(struct command *c, struct bs_train_result *result)
{
    const struct bs_trainer_metrics *m = &result->last;
    uint64_t planned = c->job.config.steps;

    if (result->stopped) {
        bs_warn("ended early: %s; %s%s", bs_stop_reason(),
                result->saved ? "to go on: --resume="
                              : "there is no checkpoint to go on from",
                result->saved ? c->job.checkpoint : "");
        return bs_finish(BS_EX_TEMPFAIL);
    }
    if (planned != UINT64_MAX && m->step < planned)
        bs_warn("the input ended after %ju of %ju steps", (uintmax_t)m->step,
                (uintmax_t)planned);
    write_model(c, result);
    bs_info("%ju steps, %ju tokens, %ju epochs: loss %.4g, R2 %.4f, %.2f codes "
            "a token, %ju of %ju concepts dead",
            (uintmax_t)m->step, (uintmax_t)m->tokens, (uintmax_t)result->epochs,
            m->loss, m->r2, m->l0, (uintmax_t)m->dead,
            (uintmax_t)c->job.config.concepts);
    return bs_finish(BS_EX_OK);
}

int
bs_sae_train_main(int argc, char *argv[])
{
    static struct command c = {
        .o = {.std = BS_STD_DEFAULT, .metrics_every = 10}, .stage = -1};
    struct bs_train_result result;
    struct bs_err e = {0};
    int i = bs_sae_train_parse(&c.o, argc, argv), r;

    set_job(&c, argc - i, argv + i);
    check_output(&c.o);
    check(bs_dev_open_alone(&c.job.dev, c.o.std.device,
                            (unsigned)c.o.std.threads, c.o.std.wait_gpu, &e),
          &e);
    if (bs_prog_verbose() > 1) /* it looks for libraries */
        bs_info("%s", bs_dev_describe(c.job.dev));
    r = bs_train_run(&result, &c.job, &e);
    if (c.stage >= 0)
        bs_progress_end(&c.progress);
    check(r, &e);
    r = finish(&c, &result);
    bs_train_result_release(&result);
    bs_train_checkpoint_release(&c.checkpoint);
    bs_sae_release(&c.init);
    bs_dev_close(c.job.dev);
    return r;
}
