/*
 * Taps and interventions against forward hooks in diffusers
 * (tests/golden/gen/steer), and the errors of those that are none.
 */
#include "cmd/models/gen_hooks.h"
#include "tests/unit/golden-gen.h"

#include <unistd.h>

#include "cmd/models/gen_steps.h"

#define BLOCK "mid_block.attentions.0"
enum { STEPS = 5, PLACES = 16, CHANNELS = 12 };

static const char *const captions[] = {"a red fox in the snow",
                                       "Two cups of coffee, on a table"};
static const uint64_t seeds[] = {7, 123456789012};

static struct bs_diffusion *
open_model(struct bs_dev *dev, size_t batch, double guidance)
{
    const struct bs_diffusion_options o = {.scheduler = "DDIMScheduler",
                                           .steps = STEPS,
                                           .batch = batch,
                                           .guidance = guidance};
    struct bs_diffusion *d;
    struct bs_err e = {0};
    char path[400];

    must(bs_diffusion_open(&d, golden(path, "pipeline"), &o, dev, &e), &e);
    return d;
}

/* Two images, whose latents go to out. */
static void
run(struct bs_diffusion *d, float *out)
{
    struct bs_diffusion_job job[2];
    uint8_t rgb[2][32 * 32 * 3];
    struct bs_err e = {0};
    size_t i, n = 4 * 8 * 8;

    for (i = 0; i < 2; i++)
        job[i] = (struct bs_diffusion_job){.caption = captions[i],
                                           .seed = seeds[i],
                                           .rgb = rgb[i],
                                           .latents = out + i * n};
    must(bs_diffusion_generate(d, job, 2, NULL, NULL, &e), &e);
}

/* ---- taps -----------------------------------------------------------------
 */

struct kept {
    size_t records;
    char key[8][120], step[8][20];
    float x[8][PLACES * CHANNELS];
};

static int
keep(void *arg, const struct bs_doc *rec)
{
    struct kept *k = arg;
    const struct bs_tensor *x = bs_doc_tensor(rec, "x");
    bool good = x != NULL && x->rank == 2 && x->shape[0] == PLACES &&
                x->shape[1] == CHANNELS && k->records < 8 &&
                strcmp(bs_doc_meta(rec, "grid"), "4x4") == 0 &&
                strcmp(bs_doc_meta(rec, "prefix"), "0") == 0 &&
                strcmp(bs_doc_meta(rec, "block"), BLOCK) == 0;

    if (!good) {
        ok(0, "an odd record");
        exit(1);
    }
    snprintf(k->key[k->records], 120, "%s", bs_doc_meta(rec, "key"));
    snprintf(k->step[k->records], 20, "%s %s", bs_doc_meta(rec, "step"),
             bs_doc_meta(rec, "timestep"));
    bs_to_f32(k->x[k->records++], x->dtype, x->data, PLACES * CHANNELS);
    return 0;
}

/* Record r against step `step` of image `image`, [steps, images, places, k]. */
static double
off(const struct kept *k, size_t r, const struct bs_tensor *want, size_t step,
    size_t image)
{
    struct bs_tensor part = *want;

    part.bytes = PLACES * CHANNELS * sizeof(float);
    part.data = (const char *)want->data + (2 * step + image) * part.bytes;
    return distance(k->x[r], &part);
}

static void
test_taps(const struct bs_safetensors *expect, struct bs_dev *dev)
{
    static const char *const specs[] = {BLOCK "@first,3", BLOCK "@4:uncond"};
    struct bs_diffusion *d = open_model(dev, 2, NAN);
    struct bs_gen_options o = {
        .tap = specs, .taps = 2, .tap_dtype = BS_DTYPE_F32};
    const struct bs_tensor *cond = tensor(expect, "cond", "");
    const struct bs_tensor *uncond = tensor(expect, "uncond", "");
    struct bs_gen_hooks *h;
    static struct kept k;
    static float latents[2 * 256];
    struct bs_err e = {0};
    double worst;

    must(bs_gen_hooks_open(&h, &o, d, dev, &e), &e);
    run(d, latents);
    must(bs_gen_taps_emit(bs_gen_hooks_taps(h), 1, "k", "c", keep, &k, &e), &e);
    ok(k.records == 3 &&
           strcmp(k.key[1], "k/mid_block-attentions-0/cond/3") == 0 &&
           strcmp(k.key[2], "k/mid_block-attentions-0/uncond/4") == 0 &&
           strcmp(k.step[0], "0 801") == 0,
       "three records: %s at %s, %s, %s", k.key[0], k.step[0], k.key[1],
       k.key[2]);
    worst = fmax(off(&k, 0, cond, 0, 1),
                 fmax(off(&k, 1, cond, 3, 1), off(&k, 2, uncond, 4, 1)));
    ok(worst <= 2e-5, "updates off by %.2g", worst);
    bs_gen_hooks_close(h);
    bs_diffusion_close(d);
    /* one tap of one step, in half precision */
    d = open_model(dev, 2, NAN);
    o.tap = specs + 1;
    o.taps = 1;
    o.tap_dtype = BS_DTYPE_F16;
    must(bs_gen_hooks_open(&h, &o, d, dev, &e), &e);
    run(d, latents);
    k.records = 0;
    must(bs_gen_taps_emit(bs_gen_hooks_taps(h), 0, "k", "c", keep, &k, &e), &e);
    ok(k.records == 1 && strcmp(k.key[0], "k") == 0 &&
           bs_gen_taps_suffix(bs_gen_hooks_taps(h)) == 0,
       "one record has its image's key");
    ok(off(&k, 0, uncond, 4, 0) <= 1e-3, "as F16: off by %.2g",
       off(&k, 0, uncond, 4, 0));
    bs_gen_hooks_close(h);
    bs_diffusion_close(d);
}

/* ---- interventions ----------------------------------------------------------
 */

static void
test_steer(const struct bs_safetensors *expect, const char *name,
           struct bs_dev *dev)
{
    static const char *const spec[] = {BLOCK "@0"};
    char path[400], file[100];
    const char *files[1] = {path};
    struct bs_diffusion *d = open_model(dev, 2, NAN);
    struct bs_gen_options o = {.steer = files,
                               .steers = 1,
                               .tap = spec,
                               .taps = 1,
                               .tap_dtype = BS_DTYPE_F32};
    const struct bs_tensor *want = tensor(expect, name, "");
    static float latents[2 * 256];
    static struct kept k;
    struct bs_gen_hooks *h;
    struct bs_buf params = {0};
    struct bs_err e = {0};
    bool first = strcmp(name, "mask") != 0;
    double apart;

    snprintf(file, sizeof file, "steer/%s.json", name);
    (void)golden(path, file);
    must(bs_gen_hooks_open(&h, &o, d, dev, &e), &e);
    run(d, latents);
    ok(distance(latents, want) <= 2e-5, "%s: latents off by %.2g", name,
       distance(latents, want));
    k.records = 0;
    must(bs_gen_taps_emit(bs_gen_hooks_taps(h), 0, "k", "c", keep, &k, &e), &e);
    apart = off(&k, 0, tensor(expect, "cond", ""), 0, 0);
    ok(first ? apart > 1e-2 : apart < 1e-5,
       "%s: a tap sees what was made of the update: %.2g", name, apart);
    must(bs_gen_params_write(&params, &o, bs_diffusion_options(d), h, true, &e),
         &e);
    ok(strstr((char *)params.data, "\"steer\":[{\"sae\":\"") != NULL &&
           strstr((char *)params.data, "\"taps\":[\"" BLOCK "@0\"]") != NULL,
       "%s: both stand in the parameters", name);
    bs_buf_release(&params);
    bs_gen_hooks_close(h);
    bs_diffusion_close(d);
}

/* ---- what cannot be ---------------------------------------------------------
 */

static void
refuse_tap(struct bs_diffusion *d, struct bs_dev *dev, const char *spec,
           const char *says)
{
    struct bs_gen_options o = {.tap = &spec, .taps = 1};
    struct bs_gen_hooks *h;
    struct bs_err e = {0};

    ok(bs_gen_hooks_open(&h, &o, d, dev, &e) == -BS_EX_USAGE && h == NULL &&
           strstr(e.text, says) != NULL,
       "%s", e.text);
}

/* $ in the text becomes the path of the autoencoder. */
static void
refuse_steer(struct bs_diffusion *d, struct bs_dev *dev, const char *text,
             int code, const char *says)
{
    char path[] = "/tmp/u-gen-hooks.XXXXXX", sae[400], full[1200];
    const char *files[1] = {path};
    struct bs_gen_options o = {.steer = files, .steers = 1};
    struct bs_gen_hooks *h;
    struct bs_err e = {0};
    int fd = mkstemp(path);

    snprintf(full, sizeof full, "%.*s%s%s", (int)strcspn(text, "$"), text,
             strchr(text, '$') != NULL ? golden(sae, "steer/sae.safetensors")
                                       : "",
             strchr(text, '$') != NULL ? strchr(text, '$') + 1 : "");
    if (fd < 0 || write(fd, full, strlen(full)) != (ssize_t)strlen(full))
        exit(1);
    close(fd);
    ok(bs_gen_hooks_open(&h, &o, d, dev, &e) == -code && h == NULL &&
           strstr(e.text, says) != NULL,
       "%s", e.text);
    unlink(path);
}

#define HEAD "{\"block\":\"" BLOCK "\",\"sae\":\"$\",\"beta\":1"

static void
test_odd(struct bs_dev *dev)
{
    struct bs_diffusion *d = open_model(dev, 1, NAN);
    struct bs_diffusion *free = open_model(dev, 1, 1);

    refuse_tap(d, dev, BLOCK, "not BLOCK@STEPS");
    refuse_tap(d, dev, "mid_block@0", "there are down_blocks.0.attentions.0, ");
    refuse_tap(d, dev, BLOCK "@5", "numbers from 0 to 4");
    refuse_tap(d, dev, BLOCK "@", "steps ''");
    refuse_tap(d, dev, BLOCK "@3-1", "3-1");
    refuse_tap(d, dev, BLOCK "@1,,2", "1,,2");
    refuse_tap(d, dev, BLOCK "@0:both", "neither");
    refuse_tap(free, dev, BLOCK "@0:uncond", "guidance");
    refuse_steer(d, dev, "[]", BS_EX_DATA, "not an object");
    refuse_steer(d, dev, "{", BS_EX_DATA, "byte 1");
    refuse_steer(d, dev, "{\"x\":\"$\"}", BS_EX_DATA, "unknown member 'x'");
    refuse_steer(d, dev, "{\"sae\":\"$\"}", BS_EX_DATA, "no 'block'");
    refuse_steer(d, dev, "{\"block\":\"mid\",\"sae\":\"$\"}", BS_EX_DATA,
                 "no block 'mid'");
    refuse_steer(d, dev, "{\"block\":\"" BLOCK "\",\"sae\":\"$.none\"}",
                 BS_EX_NOINPUT, "none");
    refuse_steer(d, dev,
                 "{\"block\":\"down_blocks.0.attentions.0\",\"sae\":\"$\"}",
                 BS_EX_DATA, "width of 12, the block's have 8");
    refuse_steer(d, dev, HEAD "}", BS_EX_DATA, "'concepts'");
    refuse_steer(d, dev, HEAD ",\"concepts\":[20]}", BS_EX_DATA,
                 "from 0 to 19");
    refuse_steer(d, dev, HEAD ",\"concepts\":[1],\"steps\":\"9\"}", BS_EX_DATA,
                 "steps '9'");
    refuse_steer(d, dev, HEAD ",\"concepts\":[1],\"region\":\"left\"}",
                 BS_EX_DATA, "'left'");
    refuse_steer(d, dev, HEAD ",\"concepts\":[1],\"region\":[[1],[1,0]]}",
                 BS_EX_DATA, "rows of one length");
    refuse_steer(d, dev, HEAD ",\"concepts\":[1],\"region\":[[2]]}", BS_EX_DATA,
                 "0 and 1");
    refuse_steer(d, dev, HEAD ",\"concepts\":[1],\"region\":[]}", BS_EX_DATA,
                 "0 and 1");
    refuse_steer(d, dev, HEAD ",\"concepts\":[1],\"norm\":\"l1\"}", BS_EX_DATA,
                 "'norm'");
    refuse_steer(free, dev, HEAD ",\"concepts\":[1],\"side\":\"both\"}",
                 BS_EX_DATA, "guidance");
    bs_diffusion_close(d);
    bs_diffusion_close(free);
}

static void
test_steps(void)
{
    static const bool want[10] = {1, 0, 1, 1, 0, 1, 0, 0, 0, 1};
    bool got[10];
    struct bs_err e = {0};

    ok(bs_gen_steps(got, 10, "first,2-3,middle,last,3", &e) == 5 &&
           memcmp(got, want, sizeof want) == 0,
       "a choice of steps");
    ok(bs_gen_steps(got, 10, "all", &e) == 10 && got[9], "all steps");
}

int
main(void)
{
    struct bs_safetensors *expect = open_files("steer/expect.safetensors");
    struct bs_err e = {0};
    struct bs_dev *dev;

    must(bs_dev_open(&dev, "cpu", 2, &e), &e);
    test_steps();
    test_taps(expect, dev);
    test_steer(expect, "quadrant", dev);
    test_steer(expect, "global", dev);
    test_steer(expect, "mask", dev);
    test_odd(dev);
    bs_dev_close(dev);
    bs_safetensors_close(expect);
    return tap_done();
}
