/*
 * From captions to images against what transformers and diffusers computed
 * (tests/golden/gen): text encoders, whole pipelines with every scheduler, the
 * safety checker; batches, threads and generators that change no bit; and the
 * errors of models that are none.
 */
#include "cmd/models/clip_text.h"
#include "cmd/models/diffusion.h"
#include "cmd/models/safety.h"
#include "tests/unit/golden-gen.h"

#include <sys/stat.h>
#include <unistd.h>

/* ---- text encoders --------------------------------------------------------
 */

static void
test_text(struct bs_dev *dev, const char *model, enum bs_math math)
{
    char name[100];
    struct bs_safetensors *files, *expect;
    const struct bs_tensor *ids, *want;
    struct bs_clip_text_config c;
    struct bs_clip_text *text;
    struct bs_mem out = {0};
    struct bs_err e = {0};
    size_t batch, tokens, row;
    int32_t *in;
    float *all, *one;

    snprintf(name, sizeof name, "%s/model.safetensors", model);
    files = open_files(name);
    snprintf(name, sizeof name, "%s/expect.safetensors", model);
    expect = open_files(name);
    ids = tensor(expect, "in", "ids");
    want = tensor(expect, "out", "");
    batch = (size_t)ids->shape[0];
    tokens = (size_t)ids->shape[1];
    in = bs_alloc(ids->bytes);
    all = bs_alloc(want->bytes);
    one = bs_alloc(want->bytes);
    if (in == NULL || all == NULL || one == NULL)
        exit(1);
    memcpy(in, ids->data, ids->bytes);
    must(bs_clip_text_configure(&c, files, &e), &e);
    must(bs_clip_text_open(&text, &c, files, dev, math, batch, &e), &e);
    must(bs_dev_alloc(dev, &out, want->bytes), bs_dev_error(dev));
    must(bs_clip_text_forward(text, in, batch, tokens, &out, &e), &e);
    must(bs_dev_get(dev, all, &out, 0, want->bytes), bs_dev_error(dev));
    ok(distance(all, want) <= (math == BS_MATH_F32 ? 1e-5 : 3e-2),
       "%s, %s: off by %.2g", model, math == BS_MATH_F32 ? "f32" : "bf16",
       distance(all, want));
    ok(bs_clip_text_used(text) ==
           bs_safetensors_count(files) - (strcmp(model, "text1") == 0),
       "%s: every tensor is used", model);
    row = want->bytes / batch;
    must(bs_clip_text_forward(text, in + 2 * tokens, 1, tokens, &out, &e), &e);
    must(bs_dev_get(dev, one, &out, 0, row), bs_dev_error(dev));
    ok(memcmp(one, (char *)all + 2 * row, row) == 0,
       "%s: a text alone gives the same", model);
    in[1] = (int32_t)c.vocabulary;
    ok(bs_clip_text_forward(text, in, 1, tokens, &out, &e) == -BS_EX_DATA, "%s",
       e.text);
    bs_dev_free(dev, &out);
    bs_clip_text_close(text);
    bs_safetensors_close(files);
    bs_safetensors_close(expect);
    bs_free(in);
    bs_free(all);
    bs_free(one);
}

/* ---- pipelines ------------------------------------------------------------
 */

struct pipeline {
    const char *name; /* of the case in expect.safetensors */
    struct bs_diffusion_options options;
    const char *config; /* scheduler_config.json in place of the folder's */
};

#define BAR 2e-5 /* of the latents */

static const char *const captions[] = {"a red fox in the snow",
                                       "Two cups of coffee, on a table"};
static const uint64_t seeds[] = {7, 123456789012};

struct images {
    struct bs_diffusion_job job[2];
    size_t rgb, latents; /* bytes of an image's */
};

static void
images_open(struct images *m, const struct bs_diffusion *d)
{
    const struct bs_diffusion_options *o = bs_diffusion_options(d);
    size_t shape[3], i;

    bs_diffusion_latents(d, shape);
    m->rgb = o->width * o->height * 3;
    m->latents = shape[0] * shape[1] * shape[2] * sizeof(float);
    for (i = 0; i < 2; i++)
        m->job[i] = (struct bs_diffusion_job){
            .caption = captions[i],
            .seed = seeds[i],
            .rgb = bs_alloc(m->rgb),
            .latents = bs_alloc(m->latents),
        };
}

static void
images_close(struct images *m)
{
    size_t i;

    for (i = 0; i < 2; i++) {
        bs_free(m->job[i].rgb);
        bs_free(m->job[i].latents);
    }
}

static bool
same(const struct images *a, size_t i, const struct images *b, size_t k)
{
    return memcmp(a->job[i].rgb, b->job[k].rgb, a->rgb) == 0 &&
           memcmp(a->job[i].latents, b->job[k].latents, a->latents) == 0;
}

static struct bs_diffusion *
open_folder(const char *folder, const struct bs_diffusion_options *options,
            struct bs_dev *dev)
{
    struct bs_diffusion *d;
    struct bs_err e = {0};

    must(bs_diffusion_open(&d, folder, options, dev, &e), &e);
    return d;
}

static struct bs_diffusion *
open_pipeline(const struct bs_diffusion_options *options, struct bs_dev *dev)
{
    char path[400];

    return open_folder(golden(path, "pipeline"), options, dev);
}

static const char *const components[] = {
    "model_index.json",  "unet",           "vae",      "text_encoder",
    "feature_extractor", "safety_checker", "tokenizer"};

/* The folder with another scheduler; removed again with config NULL. */
static void
change_scheduler(const char *folder, const char *config)
{
    char path[450], to[400], name[100];
    size_t i;
    FILE *f;

    for (i = 0; i < BS_LEN(components); i++) {
        snprintf(name, sizeof name, "pipeline/%s", components[i]);
        snprintf(to, sizeof to, "%s/%s", folder, components[i]);
        if (config == NULL ? unlink(to) : symlink(golden(path, name), to))
            exit(1);
    }
    snprintf(to, sizeof to, "%s/scheduler", folder);
    snprintf(path, sizeof path, "%s/scheduler_config.json", to);
    if (config == NULL) {
        ok(unlink(path) == 0 && rmdir(to) == 0 && rmdir(folder) == 0,
           "nothing is left behind");
        return;
    }
    f = mkdir(to, 0777) == 0 ? fopen(path, "w") : NULL;
    if (f == NULL)
        exit(1);
    fputs(config, f);
    fclose(f);
}

static int
count_steps(void *user, size_t step, size_t steps)
{
    size_t *seen = user;

    (void)steps;
    return step == (*seen)++ ? 0 : -1;
}

static void
test_pipeline(const struct bs_safetensors *expect, const struct pipeline *p,
              struct bs_dev *dev, bool safety)
{
    struct bs_diffusion_options o = p->options;
    const struct bs_tensor *latents = tensor(expect, p->name, "latents");
    const struct bs_tensor *rgb = tensor(expect, p->name, "rgb");
    struct bs_diffusion *d;
    struct images got, alone;
    struct bs_err e = {0};
    char folder[] = "/tmp/u-diffusion.XXXXXX";
    size_t differ = 0, seen = 0, most = 0, i, k;
    double worst = 0;

    o.batch = 2;
    o.safety = safety;
    if (p->config != NULL && mkdtemp(folder) != NULL)
        change_scheduler(folder, p->config);
    d = p->config != NULL ? open_folder(folder, &o, dev)
                          : open_pipeline(&o, dev);
    images_open(&got, d);
    images_open(&alone, d);
    must(bs_diffusion_generate(d, got.job, 2, count_steps, &seen, &e), &e);
    ok(seen == bs_diffusion_evaluations(d), "%s: %zu evaluations of %s",
       p->name, seen, bs_diffusion_options(d)->scheduler);
    if (got.rgb * 2 != rgb->bytes || got.latents * 2 != latents->bytes) {
        ok(0, "%s: of another size", p->name);
        exit(1);
    }
    for (k = 0; k < 2; k++) {
        struct bs_tensor part = *latents;

        part.bytes /= 2;
        part.data = (const char *)latents->data + k * part.bytes;
        worst = fmax(worst, distance(got.job[k].latents, &part));
        for (i = 0; i < got.rgb; i++) {
            int off = abs(got.job[k].rgb[i] -
                          ((const uint8_t *)rgb->data)[k * got.rgb + i]);

            differ += off > 0;
            most = (size_t)off > most ? (size_t)off : most;
        }
    }
    ok(worst <= BAR, "%s: latents off by %.2g", p->name, worst);
    ok(most <= 1 && differ * 200 <= 2 * got.rgb,
       "%s: %zu of %zu bytes differ, by %zu", p->name, differ, 2 * got.rgb,
       most);
    /* in another order, one at a time */
    for (k = 2; k-- > 0;)
        must(bs_diffusion_generate(d, &alone.job[k], 1, NULL, NULL, &e), &e);
    ok(same(&got, 0, &alone, 0) && same(&got, 1, &alone, 1),
       "%s: the batch changes no bit", p->name);
    if (safety)
        for (k = 0; k < 2; k++)
            ok(got.job[k].flagged ==
                   ((const uint8_t *)tensor(expect, "flagged", "")->data)[k],
               "image %zu is %sflagged", k, got.job[k].flagged ? "" : "not ");
    images_close(&got);
    images_close(&alone);
    bs_diffusion_close(d);
    if (p->config != NULL)
        change_scheduler(folder, NULL);
}

/* Noise that is given, generators that go on, other devices' noise. */
static void
test_noise(const struct bs_safetensors *expect, struct bs_dev *dev)
{
    struct bs_diffusion_options o = {
        .scheduler = "DDIMScheduler",
        .steps = 2,
        .eta = 1,
        .batch = 2,
        .guidance = NAN,
    };
    struct bs_diffusion *d = open_pipeline(&o, dev);
    struct bs_tensor one = *tensor(expect, "one", "latents");
    struct bs_draws draws, second;
    struct images seeded, other;
    struct bs_err e = {0};
    size_t i;
    float *noise;

    images_open(&seeded, d);
    images_open(&other, d);
    noise = bs_alloc(seeded.latents);
    if (noise == NULL)
        exit(1);
    seeded.job[1].seed = seeded.job[0].seed;
    must(bs_diffusion_generate(d, seeded.job, 2, NULL, NULL, &e), &e);
    bs_draws_seed(&draws, BS_DRAWS_CPU, seeds[0]);
    second = draws;
    bs_draws_next(&draws, noise, seeded.latents / sizeof *noise);
    other.job[0].noise = noise;
    other.job[0].draws = &draws;
    must(bs_diffusion_skip(d, &second, &e), &e);
    other.job[1].draws = &second;
    must(bs_diffusion_generate(d, other.job, 2, NULL, NULL, &e), &e);
    ok(same(&seeded, 0, &other, 0), "given noise is the first draw");
    one.bytes /= 2;
    one.data = (const char *)one.data + one.bytes;
    ok(distance(other.job[1].latents, &one) <= BAR,
       "the second image's comes behind it: off by %.2g",
       distance(other.job[1].latents, &one));
    images_close(&seeded);
    images_close(&other);
    bs_diffusion_close(d);
    for (i = 0; i < 2; i++) {
        o.noise = i == 0 ? BS_DRAWS_CPU_F16 : BS_DRAWS_CUDA;
        o.eta = 0;
        d = open_pipeline(&o, dev);
        images_open(&seeded, d);
        images_open(&other, d);
        bs_draws_seed(&draws, o.noise, seeds[0]);
        bs_draws_next(&draws, noise, seeded.latents / sizeof *noise);
        other.job[0].noise = noise;
        must(bs_diffusion_generate(d, seeded.job, 1, NULL, NULL, &e), &e);
        must(bs_diffusion_generate(d, other.job, 1, NULL, NULL, &e), &e);
        ok(same(&seeded, 0, &other, 0), "noise as '%s'",
           bs_draws_names[o.noise]);
        images_close(&seeded);
        images_close(&other);
        bs_diffusion_close(d);
    }
    bs_free(noise);
}

/* torch.randn(..., dtype=torch.float16) of a multiple of 16 numbers is the
 * float32 draw, rounded; tests/kernels/k-noise.c has the others. */
static void
test_draws(void)
{
    struct bs_draws a, b;
    float x[304], y[304];
    size_t odd = 0, i;

    bs_draws_seed(&a, BS_DRAWS_CPU, 5);
    bs_draws_seed(&b, BS_DRAWS_CPU_F16, 5);
    bs_draws_next(&a, x, BS_LEN(x));
    bs_draws_next(&b, y, BS_LEN(y));
    for (i = 0; i < BS_LEN(x); i++)
        odd += !(fabsf(x[i] - y[i]) <= fabsf(x[i]) / 2048 + 1e-7f);
    ok(odd == 0 && memcmp(x, y, sizeof x) != 0, "numbers of half precision");
    bs_draws_next(&a, x, 100);
    bs_draws_seed(&b, BS_DRAWS_CPU, 5);
    bs_draws_next(&b, y, BS_LEN(y));
    bs_draws_next(&b, y, 100);
    ok(memcmp(x, y, 100 * sizeof *x) == 0, "a generator goes on");
}

static void
test_cosines(const struct bs_safetensors *expect, struct bs_dev *dev)
{
    struct bs_safetensors *files =
        open_files("pipeline/safety_checker/model.safetensors");
    const struct bs_tensor *want = tensor(expect, "cosines", "");
    const struct bs_tensor *rgb = tensor(expect, "pndm", "rgb");
    struct bs_safety *m;
    struct bs_err e = {0};
    double cosines[20], worst = 0;
    size_t i, k;
    bool flagged;

    must(bs_safety_open(&m, files, NULL, dev, BS_MATH_F32, &e), &e);
    ok(bs_safety_used(m) == bs_safetensors_count(files) &&
           bs_safety_concepts(m) == 20,
       "safety checker: every tensor is used");
    for (k = 0; k < 2; k++) {
        must(bs_safety_check(m, (const uint8_t *)rgb->data + k * rgb->bytes / 2,
                             32, 32, &flagged, cosines, &e),
             &e);
        for (i = 0; i < 20; i++) {
            float w;

            memcpy(&w, (const char *)want->data + (20 * k + i) * sizeof w,
                   sizeof w);
            worst = fmax(worst, fabs(cosines[i] - (double)w));
        }
    }
    /* the reference resizes with another library */
    ok(worst <= 2e-3, "safety checker: cosines off by %.2g", worst);
    bs_safety_close(m);
    bs_safetensors_close(files);
}

/* ---- what cannot be ---------------------------------------------------------
 */

static int
stop_at_2(void *user, size_t step, size_t steps)
{
    (void)user;
    (void)steps;
    return step == 2 ? 42 : 0;
}

static void
refused(struct bs_dev *dev, const struct bs_diffusion_options *options,
        int code, const char *says)
{
    struct bs_diffusion *d;
    struct bs_err e = {0};
    char path[400];
    int r = bs_diffusion_open(&d, golden(path, "pipeline"), options, dev, &e);

    ok(r == -code && d == NULL && strstr(e.text, says) != NULL, "%s", e.text);
}

static void
test_odd(struct bs_dev *dev)
{
    struct bs_diffusion_options o = {.guidance = NAN};
    struct bs_diffusion *d;
    struct images m;
    struct bs_err e = {0};
    char path[400], hex[65];

    o.width = 36;
    refused(dev, &o, BS_EX_USAGE, "36x32");
    o.width = 0;
    o.steps = 2000;
    refused(dev, &o, BS_EX_USAGE, "steps");
    o.steps = 0;
    o.eta = 1;
    refused(dev, &o, BS_EX_USAGE, "eta");
    o.eta = 0;
    o.unet = golden(path, "sd2");
    refused(dev, &o, BS_EX_DATA, "the UNet makes 3 channels of 5");
    o.unet = golden(path, "vae");
    refused(dev, &o, BS_EX_DATA, "UNet2DConditionModel");
    o.unet = golden(path, "none");
    refused(dev, &o, BS_EX_NOINPUT, "none");
    o.unet = NULL;
    o.scheduler = "HeunDiscreteScheduler";
    refused(dev, &o, BS_EX_DATA, "HeunDiscreteScheduler");
    o.scheduler = NULL;
    o.negative = "\xff";
    refused(dev, &o, BS_EX_DATA, "negative caption");
    o.negative = NULL;
    d = open_pipeline(&o, dev);
    images_open(&m, d);
    ok(strcmp(bs_diffusion_options(d)->scheduler, "PNDMScheduler") == 0 &&
           bs_diffusion_options(d)->steps == 50 &&
           bs_diffusion_evaluations(d) == 51 && bs_diffusion_tokens(d) == 38,
       "defaults: %s", bs_diffusion_describe(d));
    must(bs_diffusion_digest(d, hex, &e), &e);
    ok(strlen(hex) == 64, "digest %s", hex);
    ok(bs_diffusion_generate(d, m.job, 1, stop_at_2, NULL, &e) == 42,
       "a run may be stopped");
    ok(bs_diffusion_generate(d, m.job, 2, NULL, NULL, &e) == -BS_EX_SOFTWARE,
       "%s", e.text);
    m.job[0].caption = "caf\xe9";
    e = (struct bs_err){0};
    ok(bs_diffusion_generate(d, m.job, 1, NULL, NULL, &e) == -BS_EX_DATA, "%s",
       e.text);
    images_close(&m);
    bs_diffusion_close(d);
}

#define BETAS                                        \
    "\"beta_end\": 0.012, \"beta_start\": 0.00085, " \
    "\"beta_schedule\": \"scaled_linear\", \"timestep_spacing\": \"leading\""

int
main(void)
{
    static const struct pipeline all[] = {
        {"pndm", {.steps = 6, .guidance = NAN}, NULL},
        {"ddim",
         {.scheduler = "DDIMScheduler", .steps = 5, .guidance = NAN},
         NULL},
        {"eta",
         {.scheduler = "DDIMScheduler",
          .steps = 4,
          .eta = 0.7,
          .guidance = 7.5},
         NULL},
        {"v",
         {.steps = 5, .guidance = NAN},
         "{\"_class_name\": \"DDIMScheduler\", " BETAS
         ", \"set_alpha_to_one\": false, "
         "\"prediction_type\": \"v_prediction\"}"},
        {"sde",
         {.steps = 4, .guidance = NAN},
         "{\"_class_name\": \"DPMSolverMultistepScheduler\", " BETAS
         ", \"algorithm_type\": \"sde-dpmsolver++\"}"},
        {"dpm",
         {.scheduler = "DPMSolverMultistepScheduler",
          .steps = 6,
          .guidance = NAN},
         NULL},
        {"euler",
         {.scheduler = "EulerDiscreteScheduler", .steps = 5, .guidance = NAN},
         NULL},
        {"unipc",
         {.scheduler = "UniPCMultistepScheduler", .steps = 6, .guidance = NAN},
         NULL},
        {"plain",
         {.scheduler = "DDIMScheduler", .steps = 3, .guidance = 1},
         NULL},
        {"wide",
         {.scheduler = "DDIMScheduler",
          .steps = 2,
          .guidance = 3,
          .negative = "blurry",
          .width = 40,
          .height = 24},
         NULL},
    };
    struct bs_safetensors *expect = open_files("pipeline/expect.safetensors");
    struct bs_err e = {0};
    struct bs_dev *dev;
    size_t i;

    must(bs_dev_open(&dev, "cpu", 2, &e), &e);
    test_draws();
    test_text(dev, "text1", BS_MATH_F32);
    test_text(dev, "text1", BS_MATH_BF16);
    test_text(dev, "text2", BS_MATH_F32);
    for (i = 0; i < BS_LEN(all); i++)
        test_pipeline(expect, &all[i], dev, i == 0);
    test_noise(expect, dev);
    test_cosines(expect, dev);
    test_odd(dev);
    bs_dev_close(dev);
    bs_safetensors_close(expect);
    return tap_done();
}
