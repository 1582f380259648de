/*
 * gen_run.c - see gen_run.h.
 */
#include "cmd/models/gen_hooks.h"

#include "common/num.h"
#include "common/stop.h"
#include "formats/stream.h"

const char *const bs_gen_seeds_names[] = {"hash", "torch", "record", NULL};

enum { KEY_ROOM = BS_KEY_MAX + 32, NUMBER_ROOM = 8 };

/* An image that waits for its batch. */
struct waiting {
    char key[KEY_ROOM];
    char *caption;
    float *noise;          /* given, or NULL */
    struct bs_draws draws; /* where its noise begins, with one generator */
};

struct bs_gen_run {
    struct bs_gen_options options;
    struct bs_gen_sink sink;
    struct bs_diffusion *model;
    struct bs_gen_hooks *hooks; /* NULL: none */
    struct bs_gen_taps *taps;   /* of these, or NULL */
    struct bs_gen_style style;
    struct bs_gen_resume *resume;
    struct bs_draws generator; /* the one, of BS_SEEDS_TORCH */
    struct waiting *wait;
    struct bs_diffusion_job *job; /* of the same place */
    size_t count, batch;
    bool stopped;
    struct bs_buf bytes;
    struct bs_gen_counts all, segment;
    char sha256[65], model_json[200];
    struct bs_buf params, tap_params;
};

/* ---- open -----------------------------------------------------------------
 */

static int
describe_model(struct bs_gen_run *run, struct bs_err *e)
{
    const char *math =
        run->style.options->math == BS_MATH_BF16 ? "bf16" : "f32";
    int r;

    if (!run->options.provenance)
        return 0;
    r = bs_diffusion_digest(run->model, run->sha256, e);
    if (r < 0)
        return r;
    run->style.model = run->sha256;
    snprintf(run->model_json, sizeof run->model_json,
             "{\"math\":\"%s\",\"name\":\"StableDiffusionPipeline\","
             "\"sha256\":\"%s\"}",
             math, run->sha256);
    return 0;
}

static int
plan(struct bs_gen_run *run, struct bs_err *e)
{
    const struct bs_diffusion_options *o = run->style.options;
    size_t pixels = o->width * o->height * 3, i, n;

    run->batch = o->batch;
    bs_diffusion_latents(run->model, run->style.shape);
    n = run->style.shape[0] * run->style.shape[1] * run->style.shape[2];
    run->wait = bs_alloc_array(run->batch, sizeof *run->wait);
    run->job = bs_alloc_array(run->batch, sizeof *run->job);
    if (run->wait == NULL || run->job == NULL)
        return bs_err_memory(e, "batch", run->batch * sizeof *run->wait);
    for (i = 0; i < run->batch; i++) {
        run->job[i].rgb = bs_alloc(pixels);
        if (run->options.latents)
            run->job[i].latents = bs_alloc_array(n, sizeof(float));
        if (run->job[i].rgb == NULL ||
            (run->options.latents && run->job[i].latents == NULL))
            return bs_err_memory(e, "batch", run->batch * pixels);
    }
    return 0;
}

int
bs_gen_open(struct bs_gen_run **out, const struct bs_gen_options *options,
            const struct bs_gen_sink *sink, struct bs_dev *dev,
            struct bs_err *e)
{
    struct bs_gen_run *run = bs_alloc_array(1, sizeof *run);
    int r;

    *out = NULL;
    if (run == NULL)
        return bs_err_memory(e, "run", sizeof *run);
    run->options = *options;
    run->sink = *sink;
    run->style.format = options->format;
    run->style.safety = options->safety;
    run->style.latents = options->latents;
    run->style.seeded = options->seeds != BS_SEEDS_TORCH;
    bs_draws_seed(&run->generator, options->model.noise, options->seed);
    r = bs_gen_format_check(options->format, e);
    if (r == 0 && options->resume != NULL)
        r = bs_gen_resume_open(&run->resume, options->resume,
                               options->max_record, e);
    if (r == 0)
        r = bs_diffusion_open(&run->model, options->folder, &options->model,
                              dev, e);
    if (r == 0) {
        run->style.options = bs_diffusion_options(run->model);
        r = plan(run, e);
    }
    if (r == 0)
        r = bs_gen_hooks_open(&run->hooks, &run->options, run->model, dev, e);
    run->taps = bs_gen_hooks_taps(run->hooks);
    if (r == 0)
        r = describe_model(run, e);
    if (r == 0)
        r = bs_gen_params_write(&run->params, &run->options, run->style.options,
                                run->hooks, false, e);
    if (r == 0 && run->taps != NULL)
        r = bs_gen_params_write(&run->tap_params, &run->options,
                                run->style.options, run->hooks, true, e);
    if (r < 0) {
        bs_gen_close(run);
        return r;
    }
    *out = run;
    return 0;
}

/* Forget what waits. */
static void
drop_waiting(struct bs_gen_run *run)
{
    size_t i;

    for (i = 0; i < run->count; i++) {
        bs_free(run->wait[i].caption);
        bs_free(run->wait[i].noise);
        run->wait[i].caption = NULL;
        run->wait[i].noise = NULL;
    }
    run->count = 0;
}

void
bs_gen_close(struct bs_gen_run *run)
{
    size_t i;

    if (run == NULL)
        return;
    drop_waiting(run);
    for (i = 0; run->job != NULL && i < run->batch; i++) {
        bs_free(run->job[i].rgb);
        bs_free(run->job[i].latents);
    }
    bs_free(run->wait);
    bs_free(run->job);
    bs_gen_resume_close(run->resume);
    bs_gen_hooks_close(run->hooks);
    bs_diffusion_close(run->model);
    bs_buf_release(&run->bytes);
    bs_buf_release(&run->params);
    bs_buf_release(&run->tap_params);
    bs_free(run);
}

/* ---- a batch --------------------------------------------------------------
 */

static int
on_step(void *arg, size_t step, size_t steps)
{
    struct bs_gen_run *run = arg;

    if (bs_stop_wanted())
        return 1;
    run->sink.step(run->sink.arg, step, steps);
    return 0;
}

/* Image i of the batch. */
static int
write_image(struct bs_gen_run *run, size_t i, struct bs_err *e)
{
    struct waiting *w = &run->wait[i];
    struct bs_diffusion_job *job = &run->job[i];
    struct bs_doc rec = {0};
    int r;

    run->segment.cut += job->tokens > bs_diffusion_tokens(run->model);
    run->segment.flagged += job->flagged;
    if (job->flagged && run->options.safety == BS_SAFETY_DROP)
        return 0;
    run->segment.images++;
    r = bs_gen_record(&rec, &run->style, w->key, job, &run->bytes, e);
    if (r == 0)
        r = run->sink.record(run->sink.arg, &rec);
    bs_doc_release(&rec);
    if (r == 0 && run->taps != NULL)
        r = bs_gen_taps_emit(run->taps, i, w->key, w->caption, run->sink.tap,
                             run->sink.arg, e);
    return r;
}

/* Make and write what waits; when asked to stop, it is dropped. */
static int
run_batch(struct bs_gen_run *run, struct bs_err *e)
{
    size_t i;
    int r;

    if (run->count == 0 || run->stopped)
        return 0;
    r = bs_diffusion_generate(run->model, run->job, run->count, on_step, run,
                              e);
    run->stopped = r > 0;
    for (i = 0; i < run->count && r == 0; i++)
        r = write_image(run, i, e);
    drop_waiting(run);
    return r < 0 ? r : 0;
}

/* ---- records --------------------------------------------------------------
 */

/* The number of a record's own seed. */
static const char *
seed_of(const struct bs_doc *rec, uint64_t *seed)
{
    const char *text = bs_doc_meta(rec, "seed");

    if (text == NULL)
        return "no seed";
    return bs_num_u64(text, 0, UINT64_MAX, seed) != NULL ? "its seed is no "
                                                           "whole number"
                                                         : NULL;
}

/* Why the record cannot be made an image of, or NULL. */
static const char *
find_fault(const struct bs_gen_run *run, const struct bs_doc *rec)
{
    const struct bs_gen_options *o = &run->options;
    const struct bs_tensor *noise = bs_doc_tensor(rec, "noise");
    const char *caption = bs_doc_meta(rec, "caption");
    const char *key = bs_doc_meta(rec, "key");
    const size_t *shape = run->style.shape;
    uint64_t seed;

    if (caption == NULL || caption[0] == '\0')
        return "no caption";
    if (strlen(key) + (o->per_caption > 0 ? NUMBER_ROOM : 0) +
            bs_gen_taps_suffix(run->taps) >
        BS_KEY_MAX)
        return "its key leaves no room for what comes behind it";
    if (o->given_noise &&
        (noise == NULL || noise->dtype != BS_DTYPE_F32 || noise->rank != 3 ||
         noise->shape[0] != shape[0] || noise->shape[1] != shape[1] ||
         noise->shape[2] != shape[2]))
        return "no tensor 'noise', F32, of the latents' shape";
    return o->seeds == BS_SEEDS_RECORD ? seed_of(rec, &seed) : NULL;
}

/* The seed of image i of a record. */
static uint64_t
choose_seed(const struct bs_gen_run *run, const struct bs_doc *rec,
            const char *key, size_t i)
{
    uint64_t seed = run->options.seed;

    if (run->options.seeds == BS_SEEDS_HASH)
        return bs_gen_seed(seed, key);
    if (run->options.seeds == BS_SEEDS_RECORD)
        (void)seed_of(rec, &seed);
    return seed + i;
}

static int
copy_noise(struct waiting *w, const struct bs_doc *rec, struct bs_err *e)
{
    const struct bs_tensor *t = bs_doc_tensor(rec, "noise");

    w->noise = bs_alloc(t->bytes);
    if (w->noise == NULL)
        return bs_err_memory(e, "noise", t->bytes);
    memcpy(w->noise, t->data, t->bytes);
    return 0;
}

/* With one generator, where this image's noise begins; the next one's comes
 * behind it. */
static int
take_draws(struct bs_gen_run *run, struct waiting *w, struct bs_err *e)
{
    if (run->options.seeds != BS_SEEDS_TORCH)
        return 0;
    w->draws = run->generator;
    return bs_diffusion_skip(run->model, &run->generator, e);
}

/* Image i of the record, to wait in place `w`. */
static int
enqueue(struct bs_gen_run *run, const struct bs_doc *rec, const char *key,
        size_t i, struct bs_err *e)
{
    struct waiting *w = &run->wait[run->count];
    struct bs_diffusion_job *job = &run->job[run->count];
    int r;

    run->count++;
    snprintf(w->key, sizeof w->key, "%s", key);
    w->caption = bs_strdup(bs_doc_meta(rec, "caption"));
    if (w->caption == NULL)
        return bs_err_memory(e, "caption", 0);
    r = take_draws(run, w, e);
    if (r == 0 && run->options.given_noise)
        r = copy_noise(w, rec, e);
    job->caption = w->caption;
    job->seed = choose_seed(run, rec, key, i);
    job->noise = w->noise;
    job->draws = run->options.seeds == BS_SEEDS_TORCH ? &w->draws : NULL;
    if (r == 0 && run->count == run->batch)
        r = run_batch(run, e);
    return r;
}

/* What an earlier run made comes behind what waits: 1 where it did. */
static int
take_over(struct bs_gen_run *run, const struct bs_doc *rec, const char *key,
          struct bs_err *e)
{
    struct bs_gen_counts *s = &run->segment;
    struct bs_gen_made made;
    struct waiting skipped;
    size_t tokens;
    int r = run->resume == NULL
                ? 0
                : bs_gen_resume_find(run->resume, key, &made, e);

    if (r <= 0)
        return r;
    r = run_batch(run, e);
    if (r < 0 || run->stopped)
        return r < 0 ? r : 1;
    r = run->sink.raw(run->sink.arg, made.bytes, made.len);
    if (r == 0)
        r = take_draws(run, &skipped, e);
    if (r == 0)
        r = bs_diffusion_count(run->model, bs_doc_meta(rec, "caption"), &tokens,
                               e);
    if (r < 0)
        return r;
    s->images++;
    s->resumed++;
    s->flagged += made.flagged;
    s->cut += tokens > bs_diffusion_tokens(run->model);
    return 1;
}

static int
put(void *arg, const struct bs_doc *rec, struct bs_err *e)
{
    struct bs_gen_run *run = arg;
    const char *why = find_fault(run, rec), *own = bs_doc_meta(rec, "key");
    size_t n = run->options.per_caption, i;
    char key[KEY_ROOM];
    int r = 0;

    if (why != NULL) {
        run->segment.skipped++;
        return run->sink.skipped(run->sink.arg, own, why);
    }
    for (i = 0; i < (n > 0 ? n : 1) && r >= 0 && !run->stopped; i++) {
        if (n > 0)
            snprintf(key, sizeof key, "%s/%zu", own, i);
        else
            snprintf(key, sizeof key, "%s", own);
        r = take_over(run, rec, key, e);
        if (r == 0)
            r = enqueue(run, rec, key, i, e);
    }
    return r < 0 ? r : 0;
}

/* ---- the rest of the stage ------------------------------------------------
 */

static int
begin(void *arg, const struct bs_doc *head, struct bs_err *e)
{
    struct bs_gen_run *run = arg;

    (void)head;
    (void)e;
    run->segment = (struct bs_gen_counts){0};
    return 0;
}

int
bs_gen_head(const struct bs_gen_run *run, struct bs_doc *head, struct bs_err *e)
{
    int r;

    if (!run->options.provenance)
        return 0;
    r = bs_doc_set(head, "bs.model", run->model_json, e);
    if (r == 0 && run->options.seeds != BS_SEEDS_RECORD)
        r = bs_doc_setf(head, "bs.seed", e, "%ju",
                        (uintmax_t)run->options.seed);
    return r;
}

static int
fill_head(void *arg, struct bs_doc *ours, struct bs_err *e)
{
    struct bs_gen_run *run = arg;
    int r = bs_gen_head(run, ours, e);

    if (r == 0 && run->resume != NULL)
        r = bs_gen_resume_agree(run->resume, ours, e);
    return r < 0 || run->taps == NULL ? r : run->sink.taps_begin(run->sink.arg);
}

static int
flush(void *arg, struct bs_err *e)
{
    struct bs_gen_run *run = arg;
    int r = run_batch(run, e);

    return r < 0 ? r : run->stopped;
}

static int
stats(void *arg, struct bs_buf *json, bool stopped, struct bs_err *e)
{
    struct bs_gen_run *run = arg;
    struct bs_gen_counts *s = &run->segment, *all = &run->all;
    int r;

    all->images += s->images;
    all->resumed += s->resumed;
    all->flagged += s->flagged;
    all->skipped += s->skipped;
    all->cut += s->cut;
    if (s->images == 0 && s->skipped > 0 && s->flagged == 0 && !stopped)
        return bs_err_set(e, BS_EX_DATA,
                          "none of %ju records has a caption to use",
                          (uintmax_t)s->skipped);
    r = run->taps != NULL ? run->sink.taps_end(run->sink.arg) : 0;
    if (r < 0)
        return r;
    return bs_buf_printf(
        json, e, "{\"cut\":%ju,\"flagged\":%ju,\"images\":%ju,\"skipped\":%ju}",
        (uintmax_t)s->cut, (uintmax_t)s->flagged, (uintmax_t)s->images,
        (uintmax_t)s->skipped);
}

struct bs_stage
bs_gen_stage(struct bs_gen_run *run)
{
    return (struct bs_stage){NULL, begin, fill_head, put, flush, stats, run};
}

const char *
bs_gen_params(const struct bs_gen_run *run)
{
    return (const char *)run->params.data;
}

const char *
bs_gen_tap_params(const struct bs_gen_run *run)
{
    return (const char *)run->tap_params.data;
}

const char *
bs_gen_describe(const struct bs_gen_run *run)
{
    return bs_diffusion_describe(run->model);
}

const struct bs_gen_counts *
bs_gen_counts(const struct bs_gen_run *run)
{
    return &run->all;
}
