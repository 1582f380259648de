/*
 * diffusion_open.c - the parts of a pipeline, loaded and made to fit together.
 */
#include <math.h>

#include "cmd/models/diffusion_own.h"
#include "common/mem.h"

enum { SIDE_MAX = 1 << 14, STEPS_MAX = 1 << 16 };

int
bs_diffusion_failed(struct bs_diffusion *d, struct bs_err *e)
{
    *e = *bs_dev_error(d->dev);
    return -e->code;
}

/* ---- components -----------------------------------------------------------
 */

static int
expect(struct bs_diffusion *d, const char *name, const char *class,
       struct bs_err *e)
{
    const char *const classes[] = {class, NULL};

    return bs_pipeline_folder_expect(d->folder, name, classes, e);
}

/* The weights of a component, which stay open. */
static int
open_files(struct bs_diffusion *d, const char *name, const char *class,
           struct bs_safetensors **files, struct bs_err *e)
{
    int r = expect(d, name, class, e);

    if (r == 0)
        r = bs_pipeline_folder_weights(d->folder, name, files, e);
    if (r < 0)
        return r;
    d->names[d->parts] = name;
    d->files[d->parts++] = *files;
    return 0;
}

static int
check_class(struct bs_diffusion *d, const char *path, struct bs_err *e)
{
    const char *class = bs_pipeline_folder_class(d->folder);

    if (class != NULL && strcmp(class, "StableDiffusionPipeline") == 0)
        return 0;
    return bs_err_set(e, BS_EX_DATA,
                      "'%s/model_index.json': the pipeline is a '%.60s', not a "
                      "'StableDiffusionPipeline'",
                      path, class != NULL ? class : "(nothing)");
}

/* ---- tokenizer ------------------------------------------------------------
 */

static int
read_texts(struct bs_diffusion *d, struct bs_clip_bpe_files *files,
           struct bs_err *e)
{
    const struct {
        const char *name;
        struct bs_buf *to;
    } text[] = {{"vocab.json", &files->vocab},
                {"merges.txt", &files->merges},
                {"tokenizer_config.json", &files->config},
                {"special_tokens_map.json", &files->special},
                {"added_tokens.json", &files->added}};
    size_t i;
    int r = 0;

    for (i = 0; i < BS_LEN(text) && r >= 0; i++) {
        r = bs_pipeline_folder_text(d->folder, "tokenizer", text[i].name,
                                    text[i].to, e);
        if (r == 0 && i < 2)
            r = bs_err_set(e, BS_EX_NOINPUT,
                           "no '%s' in the tokenizer's folder", text[i].name);
    }
    return r < 0 ? r : 0;
}

static int
open_tokenizer(struct bs_diffusion *d, struct bs_err *e)
{
    static const char *const classes[] = {"CLIPTokenizer", "CLIPTokenizerFast",
                                          NULL};
    struct bs_clip_bpe_files files = {0};
    enum bs_clip_rules rules =
        d->options.tokenizer == BS_TOKENIZER_FAST ? BS_CLIP_FAST : BS_CLIP_SLOW;
    int r = bs_pipeline_folder_expect(d->folder, "tokenizer", classes, e);

    if (r < 0)
        return r;
    if (d->options.tokenizer == BS_TOKENIZER_AUTO &&
        strcmp(bs_pipeline_folder_component(d->folder, "tokenizer"),
               classes[1]) == 0)
        rules = BS_CLIP_FAST;
    d->options.tokenizer =
        rules == BS_CLIP_FAST ? BS_TOKENIZER_FAST : BS_TOKENIZER_SLOW;
    r = read_texts(d, &files, e);
    if (r == 0) {
        r = bs_clip_bpe_open(&d->tokenizer, &files, rules, e);
        if (r < 0)
            r = bs_err_prefix(e, "tokenizer");
    }
    bs_buf_release(&files.vocab);
    bs_buf_release(&files.merges);
    bs_buf_release(&files.config);
    bs_buf_release(&files.special);
    bs_buf_release(&files.added);
    return r;
}

/* ---- text encoder ---------------------------------------------------------
 */

static int
open_text(struct bs_diffusion *d, struct bs_err *e)
{
    struct bs_clip_text_config c;
    struct bs_safetensors *files;
    int r = open_files(d, "text_encoder", "CLIPTextModel", &files, e);

    if (r == 0)
        r = bs_clip_text_configure(&c, files, e);
    if (r < 0)
        return r;
    d->tokens = bs_clip_bpe_limit(d->tokenizer);
    d->hidden = c.shape.hidden;
    if (d->tokens > c.positions || bs_clip_bpe_ids(d->tokenizer) > c.vocabulary)
        return bs_err_set(e, BS_EX_DATA,
                          "'%s': the text encoder knows %zu tokens at %zu "
                          "places, the tokenizer gives %zu at %zu",
                          bs_safetensors_path(files), c.vocabulary, c.positions,
                          bs_clip_bpe_ids(d->tokenizer), d->tokens);
    return bs_clip_text_open(&d->text, &c, files, d->dev, d->options.math,
                             d->options.batch, e);
}

/* ---- sizes, UNet and VAE --------------------------------------------------
 */

static int
choose_size(struct bs_diffusion *d, size_t sample_size, struct bs_err *e)
{
    struct bs_diffusion_options *o = &d->options;
    size_t unit = d->factor > 8 ? d->factor : 8;

    if (sample_size == 0 && (o->width == 0 || o->height == 0))
        return bs_err_set(e, BS_EX_USAGE,
                          "the UNet's 'sample_size' is not set: say how large "
                          "the images are to be");
    o->width = o->width != 0 ? o->width : sample_size * d->factor;
    o->height = o->height != 0 ? o->height : sample_size * d->factor;
    if (o->width % unit != 0 || o->height % unit != 0 || o->width > SIDE_MAX ||
        o->height > SIDE_MAX)
        return bs_err_set(e, BS_EX_USAGE,
                          "a size of %zux%zu: width and height are multiples "
                          "of %zu up to %d",
                          o->width, o->height, unit, SIDE_MAX);
    d->width = o->width / d->factor;
    d->height = o->height / d->factor;
    return 0;
}

static int
check_fit(const struct bs_diffusion *d, const struct bs_unet_config *unet,
          const struct bs_vae_config *vae, struct bs_err *e)
{
    size_t i;

    if (unet->in != vae->latent || unet->out != vae->latent)
        return bs_err_set(e, BS_EX_DATA,
                          "the UNet makes %zu channels of %zu, the VAE has "
                          "latents of %zu",
                          unet->out, unet->in, vae->latent);
    if (vae->out != 3)
        return bs_err_set(e, BS_EX_DATA,
                          "the VAE makes images of %zu channels, not 3",
                          vae->out);
    for (i = 0; i < unet->levels; i++)
        if (unet->level[i].context != d->hidden)
            return bs_err_set(e, BS_EX_DATA,
                              "the UNet attends to texts of a width of %zu, "
                              "the text encoder gives %zu",
                              unet->level[i].context, d->hidden);
    return 0;
}

static int
open_networks(struct bs_diffusion *d, struct bs_err *e)
{
    struct bs_diffusion_options *o = &d->options;
    struct bs_safetensors *unet, *vae;
    struct bs_unet_config u;
    struct bs_vae_config v;
    size_t rows = d->guided ? 2 * o->batch : o->batch;
    int r = open_files(d, "unet", "UNet2DConditionModel", &unet, e);

    if (r == 0)
        r = open_files(d, "vae", "AutoencoderKL", &vae, e);
    if (r == 0)
        r = bs_unet_configure(&u, unet, e);
    if (r == 0)
        r = bs_vae_configure(&v, vae, e);
    if (r == 0)
        r = check_fit(d, &u, &v, e);
    if (r < 0)
        return r;
    d->channels = v.latent;
    d->out = v.out;
    d->factor = bs_vae_factor(&v);
    r = choose_size(d, u.sample_size, e);
    if (r == 0)
        r = bs_unet_open(&d->unet, &u, unet, d->dev, o->math, d->height,
                         d->width, rows, e);
    if (r == 0)
        r = bs_vae_open(&d->vae, &v, vae, d->dev, o->math, d->height, d->width,
                        e);
    return r;
}

/* ---- scheduler ------------------------------------------------------------
 */

static int
open_scheduler(struct bs_diffusion *d, struct bs_err *e)
{
    struct bs_diffusion_options *o = &d->options;
    const struct bs_scheduler_options options = {
        .name = o->scheduler,
        .pipeline = true,
        .steps = o->steps,
        .eta = o->eta,
    };
    const char *class;
    int r = bs_pipeline_folder_json(d->folder, "scheduler",
                                    "scheduler_config.json", &d->schedule, e);

    if (r < 0)
        return r;
    class = o->scheduler != NULL
                ? o->scheduler
                : bs_json_get_string(bs_json_root(d->schedule), "_class_name");
    snprintf(d->class, sizeof d->class, "%s", class != NULL ? class : "");
    o->scheduler = d->class;
    r = bs_scheduler_open(&d->scheduler, bs_json_root(d->schedule), &options,
                          e);
    return r == -BS_EX_DATA ? bs_err_prefix(e, "scheduler_config.json") : r;
}

static int
plan_steps(struct bs_diffusion *d, struct bs_err *e)
{
    size_t n = bs_scheduler_count(d->scheduler), i;
    double *time = bs_alloc_array(n, sizeof *time);
    int r;

    if (time == NULL)
        return bs_err_memory(e, "timesteps", n * sizeof *time);
    for (i = 0; i < n; i++)
        time[i] = (double)bs_scheduler_time(d->scheduler, i);
    r = bs_unet_schedule(d->unet, time, n, e);
    bs_free(time);
    return r;
}

/* ---- safety checker -------------------------------------------------------
 */

static int
open_safety(struct bs_diffusion *d, struct bs_err *e)
{
    struct bs_json_doc *pixels = NULL;
    struct bs_safetensors *files;
    int r = 0;

    if (!d->options.safety ||
        bs_pipeline_folder_component(d->folder, "safety_checker") == NULL) {
        d->options.safety = false;
        return 0;
    }
    r = open_files(d, "safety_checker", "StableDiffusionSafetyChecker", &files,
                   e);
    if (r == 0 &&
        bs_pipeline_folder_component(d->folder, "feature_extractor") != NULL)
        r = bs_pipeline_folder_json(d->folder, "feature_extractor",
                                    "preprocessor_config.json", &pixels, e);
    if (r == 0)
        r = bs_safety_open(&d->safety, files,
                           pixels != NULL ? bs_json_root(pixels) : NULL, d->dev,
                           d->options.math, e);
    bs_json_free(pixels);
    return r;
}

/* ---- memory ---------------------------------------------------------------
 */

static int
plan(struct bs_diffusion *d, struct bs_err *e)
{
    const struct bs_diffusion_options *o = &d->options;
    size_t rows = d->guided ? 2 * o->batch : o->batch, text, all, pixels;

    d->values = d->channels * d->height * d->width; /* bounded by now */
    pixels = o->width * o->height;
    if (!bs_mul(rows, d->values * sizeof(float), &all) ||
        !bs_mul(rows, d->tokens, &text) ||
        !bs_mul(text, d->hidden * sizeof(float), &text))
        return bs_err_memory(e, "batch", SIZE_MAX);
    d->ids = bs_alloc_array(o->batch, d->tokens * sizeof *d->ids);
    d->negative = bs_alloc_array(d->tokens, d->hidden * sizeof(float));
    d->sample = bs_alloc_array(o->batch, d->values * sizeof(float));
    d->noise = bs_alloc_array(o->batch, d->values * sizeof(float));
    d->input = bs_alloc(all);
    d->prediction = bs_alloc(all);
    d->drawn = bs_alloc_array(d->values, sizeof(float));
    d->image = bs_alloc_array(pixels, d->out * sizeof(float));
    d->draws = bs_alloc_array(o->batch, sizeof *d->draws);
    if (d->ids == NULL || d->negative == NULL || d->sample == NULL ||
        d->noise == NULL || d->input == NULL || d->prediction == NULL ||
        d->drawn == NULL || d->image == NULL || d->draws == NULL)
        return bs_err_memory(e, "batch", all);
    if (bs_dev_alloc(d->dev, &d->context, text) < 0 ||
        bs_dev_alloc(d->dev, &d->latents, all) < 0)
        return bs_diffusion_failed(d, e);
    return 0;
}

/* The context of the negative caption is the same for all. */
static int
encode_negative(struct bs_diffusion *d, struct bs_err *e)
{
    struct bs_diffusion_job text = {.caption = d->options.negative};
    int r;

    if (!d->guided)
        return 0;
    r = bs_diffusion_encode(d, &text, 1, 0, e);
    if (r < 0)
        return bs_err_prefix(e, "negative caption");
    return bs_dev_get(d->dev, d->negative, &d->context, 0,
                      d->tokens * d->hidden * sizeof(float)) < 0
               ? bs_diffusion_failed(d, e)
               : 0;
}

/* ---- open -----------------------------------------------------------------
 */

static int
settle(struct bs_diffusion *d, const struct bs_diffusion_options *options,
       struct bs_err *e)
{
    struct bs_diffusion_options *o = &d->options;

    *o = *options;
    o->batch = o->batch != 0 ? o->batch : 1;
    o->steps = o->steps != 0 ? o->steps : 50;
    o->guidance = isnan(o->guidance) ? 7.5 : o->guidance;
    o->negative = o->negative != NULL ? o->negative : "";
    d->guided = o->guidance > 1;
    if (o->steps > STEPS_MAX)
        return bs_err_set(e, BS_EX_USAGE, "%zu steps: %d at most", o->steps,
                          STEPS_MAX);
    return 0;
}

static void
describe(struct bs_diffusion *d)
{
    const struct bs_diffusion_options *o = &d->options;

    snprintf(d->about, sizeof d->about,
             "%zu x %zu pixels, %zu steps of %s (%zu evaluations), guidance "
             "%g, %zu image%s at once%s",
             o->width, o->height, o->steps, o->scheduler,
             bs_diffusion_evaluations(d), o->guidance, o->batch,
             o->batch == 1 ? "" : "s", o->safety ? ", safety checker" : "");
}

static int
open_parts(struct bs_diffusion *d, const char *folder, struct bs_err *e)
{
    const struct bs_diffusion_options *o = &d->options;
    int r;

    if ((r = bs_pipeline_folder_open(&d->folder, folder, o->unet, o->variant,
                                     e)) < 0 ||
        (r = check_class(d, folder, e)) < 0 || (r = open_scheduler(d, e)) < 0 ||
        (r = open_tokenizer(d, e)) < 0 || (r = open_text(d, e)) < 0 ||
        (r = open_networks(d, e)) < 0 || (r = open_safety(d, e)) < 0 ||
        (r = plan_steps(d, e)) < 0 || (r = plan(d, e)) < 0)
        return r;
    if (o->noise == BS_DRAWS_CUDA && d->values > BS_DRAWS_CUDA_MAX)
        return bs_err_set(e, BS_EX_USAGE,
                          "'torch-cuda' noise: %zu values an image, %d at most",
                          d->values, (int)BS_DRAWS_CUDA_MAX);
    return encode_negative(d, e);
}

int
bs_diffusion_open(struct bs_diffusion **out, const char *folder,
                  const struct bs_diffusion_options *options,
                  struct bs_dev *dev, struct bs_err *e)
{
    struct bs_diffusion *d = bs_alloc_array(1, sizeof *d);
    int r;

    *out = NULL;
    if (d == NULL)
        return bs_err_memory(e, "model", sizeof *d);
    d->dev = dev;
    r = settle(d, options, e);
    if (r == 0)
        r = open_parts(d, folder, e);
    if (r < 0) {
        bs_diffusion_close(d);
        return r;
    }
    describe(d);
    *out = d;
    return 0;
}

void
bs_diffusion_close(struct bs_diffusion *d)
{
    size_t i;

    if (d == NULL)
        return;
    bs_clip_text_close(d->text);
    bs_unet_close(d->unet);
    bs_vae_close(d->vae);
    bs_safety_close(d->safety);
    bs_scheduler_close(d->scheduler);
    bs_clip_bpe_close(d->tokenizer);
    bs_json_free(d->schedule);
    for (i = 0; i < d->parts; i++)
        bs_safetensors_close(d->files[i]);
    bs_pipeline_folder_close(d->folder);
    bs_dev_free(d->dev, &d->context);
    bs_dev_free(d->dev, &d->latents);
    bs_free(d->ids);
    bs_free(d->negative);
    bs_free(d->sample);
    bs_free(d->input);
    bs_free(d->prediction);
    bs_free(d->noise);
    bs_free(d->drawn);
    bs_free(d->image);
    bs_free(d->draws);
    bs_free(d);
}

/* ---- what it is -----------------------------------------------------------
 */

const struct bs_diffusion_options *
bs_diffusion_options(const struct bs_diffusion *d)
{
    return &d->options;
}

size_t
bs_diffusion_evaluations(const struct bs_diffusion *d)
{
    return bs_scheduler_count(d->scheduler);
}

double
bs_diffusion_time(const struct bs_diffusion *d, size_t evaluation)
{
    return (double)bs_scheduler_time(d->scheduler, evaluation);
}

bool
bs_diffusion_guided(const struct bs_diffusion *d)
{
    return d->guided;
}

const struct bs_unet_block *
bs_diffusion_block(const struct bs_diffusion *d, size_t i)
{
    return bs_unet_block(d->unet, i);
}

int
bs_diffusion_watch(struct bs_diffusion *d, const char *block, bs_unet_tap *fn,
                   void *user, struct bs_err *e)
{
    return bs_unet_watch(d->unet, block, fn, user, e);
}

void
bs_diffusion_latents(const struct bs_diffusion *d, size_t shape[3])
{
    shape[0] = d->channels;
    shape[1] = d->height;
    shape[2] = d->width;
}

size_t
bs_diffusion_tokens(const struct bs_diffusion *d)
{
    return d->tokens - 2;
}

const char *
bs_diffusion_describe(const struct bs_diffusion *d)
{
    return d->about;
}

int
bs_diffusion_digest(const struct bs_diffusion *d, char hex[65],
                    struct bs_err *e)
{
    return bs_pipeline_folder_digest(d->folder, d->files, d->names, d->parts,
                                     hex, e);
}
