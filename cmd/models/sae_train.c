/*
 * sae_train.c - see sae_train.h.
 */
#include "cmd/models/sae_train.h"

#include <math.h>

#include "common/clock.h"
#include "common/stop.h"

/* Steps of warm-up where a share was asked for, of an unknown number. */
enum { WARMUP_UNKNOWN = 100 };

struct run {
    const struct bs_train_job *job;
    struct bs_train_result *result;
    struct bs_train_state state;
    struct bs_token_source *source;
    struct bs_feed *feed;
    struct bs_trainer *trainer;
    struct bs_train_start start;
    struct bs_train_log log;
    bool once; /* the inputs can be read once only */

    double saved_at, logged_at; /* seconds */
    uint64_t logged_tokens;
};

static void
report(const struct run *t, enum bs_train_stage stage, uint64_t done,
       uint64_t total, const struct bs_trainer_metrics *m)
{
    struct bs_train_report r = {stage, done, total, m};

    t->job->report(t->job->command, &r);
}

/* ---- the beginning ---------------------------------------------------------
 */

static int
open_source(struct run *t, struct bs_err *e)
{
    const struct bs_train_job *job = t->job;
    struct bs_token_options o = {
        .path = job->path,
        .paths = job->paths,
        .choice = (enum bs_token_choice)job->config.tokens,
        .allow_partial = job->allow_partial,
        .max_record = job->max_record,
        .limit = job->config.limit,
        .width = job->resume != NULL ? job->resume->model.width
                 : job->init != NULL ? job->init->width
                                     : 0,
        .wanted = job->wanted,
        .command = job->command};
    int r = bs_token_source_open(&t->source, &o, e);

    if (r < 0)
        return r;
    t->start.source = t->source;
    t->once = bs_token_once(job->path, job->paths) != NULL;
    return 0;
}

/* How many steps, from the number of tokens of a pass. */
static int
plan_steps(struct run *t, uint64_t tokens, struct bs_err *e)
{
    const struct bs_train_config *c = &t->state.config;
    uint64_t each = tokens / c->batch, all = UINT64_MAX;

    if (each == 0)
        return bs_err_set(e, BS_EX_DATA,
                          "the input holds %ju tokens, fewer than a batch of "
                          "%ju",
                          (uintmax_t)tokens, (uintmax_t)c->batch);
    if (c->epochs < UINT64_MAX / each)
        all = c->epochs * each;
    t->state.steps = all < c->steps ? all : c->steps;
    return 0;
}

static int
plan_warmup(struct run *t, struct bs_err *e)
{
    struct bs_train_state *s = &t->state;
    double share = s->config.warmup;
    bool known = s->steps != UINT64_MAX;

    if (share >= 1)
        s->warmup = (uint64_t)share;
    else if (known)
        s->warmup = (uint64_t)floor(share * (double)s->steps + 0.5);
    else
        s->warmup = share > 0 ? WARMUP_UNKNOWN : 0;
    if (known && s->warmup > s->steps)
        return bs_err_set(e, BS_EX_USAGE, "'--warmup' is %ju of %ju steps",
                          (uintmax_t)s->warmup, (uintmax_t)s->steps);
    return 0;
}

/* Read the inputs once to count, where steps depend on it, or to cluster. */
static int
survey(struct run *t, struct bs_err *e)
{
    const struct bs_train_config *c = &t->state.config;
    bool cluster = !t->once && bs_train_start_clusters(c);
    uint64_t tokens;
    int r;

    t->state.steps = c->steps;
    if (t->once || (c->epochs == UINT64_MAX && !cluster))
        return BS_TOKENS_RUN;
    r = bs_train_start_survey(&t->start, cluster, &tokens, e);
    if (r == BS_TOKENS_RUN && plan_steps(t, tokens, e) < 0)
        return -e->code;
    return r;
}

static int
open_feed(struct run *t, struct bs_err *e)
{
    const struct bs_train_state *s = &t->state;
    struct bs_feed_options o = bs_train_feed(&s->config, "train");

    o.passes = t->once ? 1 : s->config.epochs;
    o.batches = s->steps != UINT64_MAX ? s->steps - s->done : UINT64_MAX;
    return bs_feed_open(&t->feed, &o, t->source, e);
}

/* The model is released. */
static int
open_trainer(struct run *t, struct bs_sae *model, struct bs_err *e)
{
    struct bs_trainer_options o = bs_train_config_trainer(
        &t->state.config, model->width, t->state.steps, t->state.warmup);

    int r = bs_trainer_open(&t->trainer, &o, model, t->job->dev, e);

    bs_sae_release(model);
    return r;
}

/* The trainer of a model that is drawn here. */
static int
open_drawn(struct run *t, struct bs_err *e)
{
    struct bs_trainer_options o;
    struct bs_sae model = {0};
    int r = bs_feed_fill(t->feed, e);

    if (r == BS_TOKENS_RUN && bs_train_start_samples(&t->state.config))
        r = bs_train_start_sample(&t->start, t->feed, e);
    if (r != BS_TOKENS_RUN)
        return r;
    o = bs_train_config_trainer(&t->state.config,
                                bs_token_source_width(t->source),
                                t->state.steps, t->state.warmup);
    r = bs_train_start_model(&t->start, &model, &o, e);
    bs_train_start_release(&t->start);
    if (r == 0)
        r = open_trainer(t, &model, e);
    return r < 0 ? r : BS_TOKENS_RUN;
}

static int
begin(struct run *t, struct bs_err *e)
{
    struct bs_train_state *s = &t->state;
    int r;

    s->config = t->job->config;
    s->at.hash = bs_xxh64("", 0, 0);
    r = survey(t, e);
    if (r == BS_TOKENS_RUN && plan_warmup(t, e) < 0)
        return -e->code;
    if (r != BS_TOKENS_RUN)
        return r;
    s->at.segments = bs_token_source_segments(t->source);
    if (open_feed(t, e) < 0)
        return -e->code;
    if (t->job->init == NULL)
        r = open_drawn(t, e);
    else if (open_trainer(t, t->job->init, e) < 0)
        return -e->code;
    if (r == BS_TOKENS_RUN &&
        bs_train_log_open(&t->log, t->job->metrics, NULL, e) < 0)
        return -e->code;
    return r;
}

/* ---- going on --------------------------------------------------------------
 */

static int
go_on(struct run *t, struct bs_err *e)
{
    struct bs_train_checkpoint *from = t->job->resume;
    int r;

    t->state = from->state;
    r = bs_token_source_expect(t->source, from->inputs, from->parents, e);
    if (r == 0)
        r = open_trainer(t, &from->model, e);
    if (r == 0)
        r = bs_trainer_restore(t->trainer, &from->doc, e);
    if (r < 0)
        return bs_err_prefix(e, "cannot use '%s'", from->path);
    r = bs_train_log_open(&t->log, t->job->metrics, &t->state.log, e);
    if (r == 0)
        r = open_feed(t, e);
    if (r < 0)
        return r;
    if (t->state.done == t->state.steps) /* all but the model was there */
        return BS_TOKENS_RUN;
    report(t, BS_TRAIN_SEEKING, 0, t->state.at.taken, NULL);
    return bs_feed_seek(t->feed, &t->state.at, e);
}

/* ---- steps -----------------------------------------------------------------
 */

static int
save(struct run *t, struct bs_err *e)
{
    int r;

    if (t->job->checkpoint == NULL)
        return 0;
    r = bs_train_log_sync(&t->log, &t->state.log, e);
    if (r == 0)
        r = bs_train_checkpoint_write(t->job->checkpoint, &t->state, t->trainer,
                                      t->source, e);
    t->saved_at = bs_clock();
    return r;
}

static bool
save_due(const struct run *t)
{
    const struct bs_train_job *job = t->job;

    if (job->every_steps > 0)
        return t->state.done % job->every_steps == 0;
    return job->every_seconds > 0 &&
           bs_clock() - t->saved_at >= (double)job->every_seconds;
}

static bool
log_due(const struct run *t)
{
    return t->state.done == 1 || t->state.done % t->job->metrics_every == 0;
}

static int
add_to_log(struct run *t, struct bs_err *e)
{
    double now = bs_clock(), seconds = now - t->logged_at;
    double rate = (double)(t->state.last.tokens - t->logged_tokens) /
                  (seconds > 1e-9 ? seconds : 1e-9);

    t->state.logged = t->state.done;
    t->logged_at = now;
    t->logged_tokens = t->state.last.tokens;
    return bs_train_log_add(&t->log, &t->state.last, t->state.at.pass,
                            t->state.config.concepts, rate, e);
}

static int
step(struct run *t, const float *x, const struct bs_feed_position *at,
     struct bs_err *e)
{
    uint64_t batch = t->state.config.batch, steps = t->state.steps;
    int r = bs_trainer_step(t->trainer, x, (size_t)batch, &t->state.last, e);

    if (r < 0)
        return bs_err_prefix(e, "step %ju", (uintmax_t)t->state.done + 1);
    t->state.done++;
    t->state.at = *at;
    report(t, BS_TRAIN_STEPS, t->state.done * batch,
           steps != UINT64_MAX ? steps * batch : 0, &t->state.last);
    return log_due(t) ? add_to_log(t, e) : 0;
}

/* Step after step: END, STOP, or < 0. */
static int
train(struct run *t, struct bs_err *e)
{
    struct bs_feed_position at;
    const float *x;
    int r;

    t->saved_at = t->logged_at = bs_clock();
    t->logged_tokens = t->state.last.tokens;
    while ((r = bs_feed_next(t->feed, &x, &at, e)) == BS_TOKENS_RUN) {
        r = step(t, x, &at, e);
        if (r == 0 && save_due(t))
            r = save(t, e);
        if (r < 0)
            return r;
        if (bs_stop_wanted())
            return BS_TOKENS_STOP;
    }
    return r;
}

/* ---- the end ---------------------------------------------------------------
 */

/* The last step is in the log, whatever its number. */
static int
finish(struct run *t, struct bs_err *e)
{
    struct bs_train_result *out = t->result;
    int r = 0;

    if (t->state.logged != t->state.done)
        r = add_to_log(t, e);
    if (r == 0)
        r = save(t, e);
    if (r == 0)
        r = bs_trainer_model(t->trainer, &out->model, e);
    if (r == 0)
        r = bs_token_source_parents(t->source, t->state.at.segments,
                                    &out->parents, e);
    snprintf(out->model.name, sizeof out->model.name, "%s",
             t->state.config.name);
    out->steps = t->state.steps;
    out->epochs = t->state.at.pass + 1;
    out->last = t->state.last;
    return r;
}

static int
run(struct run *t, struct bs_err *e)
{
    bool resumes = t->job->resume != NULL;
    int r = open_source(t, e);

    if (r < 0)
        return r;
    r = resumes ? go_on(t, e) : begin(t, e);
    /* what k-means took is not to be done twice */
    if (r == BS_TOKENS_RUN && !resumes &&
        bs_train_start_clusters(&t->state.config) && save(t, e) < 0)
        return -e->code;
    if (r == BS_TOKENS_RUN)
        r = train(t, e);
    if (r == BS_TOKENS_END)
        return finish(t, e);
    if (r < 0)
        return r;
    t->result->stopped = true;
    t->result->saved = t->trainer != NULL && t->job->checkpoint != NULL;
    return t->result->saved ? save(t, e) : 0;
}

int
bs_train_run(struct bs_train_result *out, const struct bs_train_job *job,
             struct bs_err *e)
{
    struct run t = {.job = job, .result = out, .log = {.fd = -1}};
    int r;

    *out = (struct bs_train_result){0};
    t.start = (struct bs_train_start){.config = &t.state.config,
                                      .dev = job->dev,
                                      .report = job->report,
                                      .command = job->command};
    r = run(&t, e);
    bs_feed_close(t.feed);
    bs_trainer_close(t.trainer);
    bs_train_start_release(&t.start);
    bs_token_source_close(t.source);
    if (bs_train_log_close(&t.log, e) < 0 && r == 0)
        r = -e->code;
    return r;
}

void
bs_train_result_release(struct bs_train_result *r)
{
    bs_sae_release(&r->model);
    bs_buf_release(&r->parents);
}
