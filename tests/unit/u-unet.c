/*
 * The UNet and the decoder of images against what diffusers computed
 * (tests/golden/gen): predictions, residual updates and edits of them, pixels;
 * batches and threads that change no bit; and the errors of models that are
 * none.
 */
#include "cmd/models/unet.h"
#include "cmd/models/vae.h"
#include "tests/unit/golden-gen.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"

#define WEIGHTS "/diffusion_pytorch_model.safetensors"
#define EXPECT "/expect.safetensors"

/* A file of a model; `name` begins with a slash. */
static char *
file_of(char out[400], const char *model, const char *name)
{
    char path[200];

    snprintf(path, sizeof path, "%s%s", model, name);
    return golden(out, path);
}

static struct bs_safetensors *
open_model(const char *model, const char *name)
{
    char path[200];

    snprintf(path, sizeof path, "%s%s", model, name);
    return open_files(path);
}

/* The prediction at a step. */
static const struct bs_tensor *
prediction(const struct bs_safetensors *files, size_t step)
{
    char part[24];

    snprintf(part, sizeof part, "%zu", step);
    return tensor(files, "out", part);
}

/* A tensor of f32 on the device; data of files is not aligned. */
static struct bs_mem
device(struct bs_dev *dev, const struct bs_tensor *t)
{
    struct bs_mem m;

    if (bs_dev_alloc(dev, &m, t->bytes) < 0 ||
        bs_dev_put(dev, &m, 0, t->data, t->bytes) < 0)
        exit(1);
    return m;
}

/* ---- UNet -----------------------------------------------------------------
 */

struct net {
    struct bs_safetensors *files, *expect;
    struct bs_unet_config config;
    struct bs_unet *unet;
    struct bs_dev *dev;
    struct bs_mem latents, text, out;
    size_t bytes; /* of a prediction */
};

static void
net_open(struct net *n, struct bs_dev *dev, const char *model,
         enum bs_math math)
{
    const struct bs_tensor *x, *text, *steps;
    struct bs_err e = {0};
    double timestep[4];
    size_t i;

    n->dev = dev;
    n->files = open_model(model, WEIGHTS);
    n->expect = open_model(model, EXPECT);
    x = tensor(n->expect, "in", "latents");
    text = tensor(n->expect, "in", "text");
    steps = tensor(n->expect, "in", "steps");
    n->latents = device(dev, x);
    n->text = device(dev, text);
    n->bytes = prediction(n->expect, 0)->bytes;
    for (i = 0; i < steps->bytes / sizeof(float); i++) {
        float t;

        memcpy(&t, (const char *)steps->data + i * sizeof t, sizeof t);
        timestep[i] = (double)t;
    }
    if (bs_dev_alloc(dev, &n->out, n->bytes) < 0 ||
        bs_unet_configure(&n->config, n->files, &e) < 0 ||
        bs_unet_open(&n->unet, &n->config, n->files, dev, math,
                     (size_t)x->shape[1], (size_t)x->shape[2], 2, &e) < 0 ||
        bs_unet_schedule(n->unet, timestep, i, &e) < 0 ||
        bs_unet_context(n->unet, &n->text, 2, (size_t)text->shape[1], &e) < 0) {
        ok(0, "%s: %s", model, e.text);
        exit(1);
    }
}

static void
net_close(struct net *n)
{
    bs_unet_close(n->unet);
    bs_dev_free(n->dev, &n->latents);
    bs_dev_free(n->dev, &n->text);
    bs_dev_free(n->dev, &n->out);
    bs_safetensors_close(n->files);
    bs_safetensors_close(n->expect);
}

static float *
forward(struct net *n, size_t step)
{
    float *out = bs_alloc(n->bytes);
    struct bs_err e = {0};

    if (out == NULL ||
        bs_unet_forward(n->unet, step, &n->latents, &n->out, &e) < 0 ||
        bs_dev_get(n->dev, out, &n->out, 0, n->bytes) < 0) {
        ok(0, "forward: %s", e.text);
        exit(1);
    }
    return out;
}

static void
test_forward(struct bs_dev *dev, const char *model, enum bs_math math)
{
    double bar = math == BS_MATH_F32 ? 1e-5 : 3e-2, worst;
    struct net n;
    size_t i;
    float *out;

    net_open(&n, dev, model, math);
    for (i = 0; i < (strcmp(model, "sd1") == 0 ? 2 : 1); i++) {
        out = forward(&n, i);
        worst = distance(out, prediction(n.expect, i));
        ok(worst <= bar, "%s, %s, step %zu: off by %.2g", model,
           math == BS_MATH_F32 ? "f32" : "bf16", i, worst);
        bs_free(out);
    }
    ok(bs_unet_used(n.unet) == bs_safetensors_count(n.files),
       "%s: every tensor is used", model);
    net_close(&n);
}

/* The second image alone, on another number of threads. */
static void
test_batch(const char *model)
{
    struct bs_err e = {0};
    struct net n, one;
    struct bs_dev *dev[2];
    float *both, *alone;
    size_t half, text;

    if (bs_dev_open(&dev[0], "cpu", 1, &e) < 0 ||
        bs_dev_open(&dev[1], "cpu", 3, &e) < 0)
        exit(1);
    net_open(&n, dev[0], model, BS_MATH_F32);
    net_open(&one, dev[1], model, BS_MATH_F32);
    both = forward(&n, 0);
    half = one.bytes /= 2;
    text = one.text.bytes / 2;
    memmove(one.latents.p, (char *)one.latents.p + one.latents.bytes / 2,
            one.latents.bytes / 2);
    memmove(one.text.p, (char *)one.text.p + text, text);
    if (bs_unet_context(one.unet, &one.text, 1,
                        text / sizeof(float) / one.config.level[0].context,
                        &e) < 0)
        exit(1);
    alone = forward(&one, 0);
    ok(memcmp(alone, (char *)both + half, half) == 0,
       "%s: batch and threads change no bit", model);
    bs_free(both);
    bs_free(alone);
    net_close(&n);
    net_close(&one);
    bs_dev_close(dev[0]);
    bs_dev_close(dev[1]);
}

/* ---- taps -----------------------------------------------------------------
 */

struct tapped {
    const struct bs_safetensors *expect;
    struct bs_dev *dev;
    double worst;
    size_t calls;
    float scale; /* of the update, from now on */
};

static int
take_update(void *user, const struct bs_unet_block *block, size_t step,
            size_t batch, struct bs_mem *update, struct bs_err *e)
{
    struct tapped *t = user;
    const struct bs_tensor *want = tensor(t->expect, "update", block->name);
    size_t n = batch * block->height * block->width * block->channels, i;
    float *values = bs_alloc(n * sizeof *values);
    double d;

    (void)step;
    (void)e;
    if (values == NULL || update->bytes != n * sizeof *values ||
        want->bytes != update->bytes ||
        bs_dev_get(t->dev, values, update, 0, update->bytes) < 0)
        exit(1);
    d = distance(values, want);
    if (!(d <= t->worst))
        t->worst = d;
    t->calls++;
    for (i = 0; i < n; i++)
        values[i] *= t->scale;
    if (bs_dev_put(t->dev, update, 0, values, update->bytes) < 0)
        exit(1);
    bs_free(values);
    return 0;
}

static int
refuse(void *user, const struct bs_unet_block *block, size_t step, size_t batch,
       struct bs_mem *update, struct bs_err *e)
{
    (void)user;
    (void)step;
    (void)batch;
    (void)update;
    return bs_err_set(e, BS_EX_TEMPFAIL, "stopped at %s", block->name);
}

static void
test_taps(struct bs_dev *dev, const char *model, size_t step)
{
    static const struct bs_err none;
    struct tapped t = {.dev = dev, .scale = 1};
    const struct bs_unet_block *b = NULL;
    struct bs_err e = none;
    float *plain, *watched, *edited;
    struct net n;
    size_t i;

    net_open(&n, dev, model, BS_MATH_F32);
    t.expect = n.expect;
    plain = forward(&n, step);
    for (i = 0; bs_unet_block(n.unet, i) != NULL; i++) {
        b = bs_unet_block(n.unet, i);
        if (bs_unet_watch(n.unet, b->name, take_update, &t, &e) < 0)
            exit(1);
    }
    watched = forward(&n, step);
    ok(t.calls == i && t.worst <= 1e-5,
       "%s: updates of %zu blocks, off by %.2g", model, i, t.worst);
    ok(distance(watched, prediction(n.expect, step)) <= 1e-5,
       "%s: looking changes nothing", model);
    t.scale = 0;
    edited = forward(&n, step);
    ok(memcmp(plain, edited, n.bytes) != 0, "%s: an edit does", model);
    for (i = 0; bs_unet_block(n.unet, i) != NULL; i++)
        if (bs_unet_watch(n.unet, bs_unet_block(n.unet, i)->name, NULL, NULL,
                          &e) < 0)
            exit(1);
    bs_free(watched);
    watched = forward(&n, step);
    ok(memcmp(plain, watched, n.bytes) == 0, "%s: until nobody watches", model);
    ok(bs_unet_watch(n.unet, b->name, refuse, NULL, &e) == 0 &&
           bs_unet_forward(n.unet, step, &n.latents, &n.out, &e) ==
               -BS_EX_TEMPFAIL,
       "%s: %s", model, e.text);
    e = none;
    ok(bs_unet_watch(n.unet, "mid_block", refuse, NULL, &e) == -BS_EX_USAGE,
       "%s", e.text);
    bs_free(plain);
    bs_free(watched);
    bs_free(edited);
    net_close(&n);
}

static void
test_order(struct bs_dev *dev)
{
    struct bs_err e[4] = {{0}};
    struct net n;

    net_open(&n, dev, "sd1", BS_MATH_F32);
    ok(bs_unet_forward(n.unet, 2, &n.latents, &n.out, &e[0]) == -BS_EX_SOFTWARE,
       "a step that is not planned: %s", e[0].text);
    ok(bs_unet_context(n.unet, &n.text, 3, 9, &e[1]) == -BS_EX_SOFTWARE,
       "a batch too large: %s", e[1].text);
    n.text.bytes--;
    ok(bs_unet_context(n.unet, &n.text, 2, 9, &e[2]) == -BS_EX_SOFTWARE,
       "a text too short: %s", e[2].text);
    ok(bs_unet_forward(n.unet, 0, &n.latents, &n.out, &e[3]) == -BS_EX_SOFTWARE,
       "no text: %s", e[3].text);
    net_close(&n);
}

/* ---- VAE ------------------------------------------------------------------
 */

static void
test_vae(struct bs_dev *dev, enum bs_math math)
{
    struct bs_safetensors *files = open_model("vae", WEIGHTS);
    struct bs_safetensors *expect = open_model("vae", EXPECT);
    const struct bs_tensor *x = tensor(expect, "in", "latents");
    const struct bs_tensor *want = bs_safetensors_find(expect, "out");
    const struct bs_tensor *bytes = bs_safetensors_find(expect, "bytes");
    struct bs_mem latents = device(dev, x);
    struct bs_vae_config config;
    struct bs_vae *vae = NULL;
    struct bs_err e = {0};
    float *out = bs_alloc(want->bytes);
    uint8_t *rgb = bs_alloc(bytes->bytes);
    size_t differ = 0, i;
    double worst = INFINITY;

    ok(bs_vae_configure(&config, files, &e) == 0 &&
           bs_vae_open(&vae, &config, files, dev, math, (size_t)x->shape[1],
                       (size_t)x->shape[2], &e) == 0 &&
           bs_vae_decode(vae, &latents, out, &e) == 0,
       "vae, %s: decodes%s", math == BS_MATH_F32 ? "f32" : "bf16", e.text);
    ok(bs_vae_factor(&config) == 4 &&
           bs_vae_used(vae) == bs_safetensors_count(files),
       "vae: every tensor is used");
    worst = distance(out, want);
    ok(worst <= (math == BS_MATH_F32 ? 1e-5 : 3e-2), "vae: off by %.2g", worst);
    bs_vae_bytes(rgb, out, bytes->bytes);
    for (i = 0; i < bytes->bytes; i++)
        differ += rgb[i] != ((const uint8_t *)bytes->data)[i];
    ok(math != BS_MATH_F32 || differ <= 1, "vae: %zu bytes differ", differ);
    bs_free(out);
    bs_free(rgb);
    bs_vae_close(vae);
    bs_dev_free(dev, &latents);
    bs_safetensors_close(files);
    bs_safetensors_close(expect);
}

static void
test_bytes(void)
{
    static const float x[] = {-1,  1,         0,        -7,         7,
                              NAN, -INFINITY, INFINITY, 1.0f / 255, 3.0f / 255};
    static const uint8_t want[] = {0, 255, 128, 0, 255, 0, 0, 255, 128, 129};
    uint8_t got[BS_LEN(x)];

    bs_vae_bytes(got, x, BS_LEN(x));
    ok(memcmp(got, want, sizeof want) == 0, "values to bytes");
}

/* ---- models that are none -------------------------------------------------
 */

/* A copy of a model with one change of its config, and one of its weights. */
static struct bs_safetensors *
changed(const char *model, const char *from, const char *to, bool cut)
{
    struct bs_buf text = {0};
    struct bs_safetensors *files = NULL;
    struct bs_err e = {0};
    char path[400], folder[] = "changed", name[100], *at;
    FILE *f;

    mkdir(folder, 0777);
    if (bs_read_file(file_of(path, model, "/config.json"), 1 << 20, &text, &e) <
            0 ||
        bs_buf_add(&text, "", 1, &e) < 0)
        exit(1);
    at = strstr((char *)text.data, from);
    snprintf(name, sizeof name, "%s/config.json", folder);
    f = fopen(name, "w");
    if (at == NULL || f == NULL) {
        ok(0, "no %s in the config of %s", from, model);
        exit(1);
    }
    fwrite(text.data, 1, (size_t)(at - (char *)text.data), f);
    fputs(to, f);
    fputs(at + strlen(from), f);
    fclose(f);
    text.len = 0;
    snprintf(name, sizeof name, "%s/model.safetensors", folder);
    if (bs_read_file(file_of(path, model, WEIGHTS), 1 << 24, &text, &e) < 0)
        exit(1);
    f = fopen(name, "w");
    if (f == NULL)
        exit(1);
    if (cut) { /* an infinity for the last value */
        text.data[text.len - 2] = 0x80;
        text.data[text.len - 1] = 0x7f;
    }
    fwrite(text.data, 1, text.len, f);
    fclose(f);
    if (bs_safetensors_open(&files, folder, &e) < 0) {
        ok(0, "%s", e.text);
        exit(1);
    }
    bs_buf_release(&text);
    return files;
}

static void
test_odd_unet(struct bs_dev *dev, const char *from, const char *to, bool cut,
              const char *says)
{
    struct bs_safetensors *files = changed("sd1", from, to, cut);
    struct bs_unet_config config;
    struct bs_unet *unet = NULL;
    struct bs_err e = {0};
    int r = bs_unet_configure(&config, files, &e);

    if (r == 0)
        r = bs_unet_open(&unet, &config, files, dev, BS_MATH_F32, 4, 4, 1, &e);
    ok(r == -BS_EX_DATA && unet == NULL && strstr(e.text, says) != NULL, "%s",
       e.text);
    bs_safetensors_close(files);
}

static void
test_odd_vae(struct bs_dev *dev, const char *from, const char *to,
             const char *says)
{
    struct bs_safetensors *files = changed("vae", from, to, false);
    struct bs_vae_config config;
    struct bs_vae *vae = NULL;
    struct bs_err e = {0};
    int r = bs_vae_configure(&config, files, &e);

    if (r == 0)
        r = bs_vae_open(&vae, &config, files, dev, BS_MATH_F32, 4, 4, &e);
    ok(r == -BS_EX_DATA && vae == NULL && strstr(e.text, says) != NULL, "%s",
       e.text);
    bs_safetensors_close(files);
}

/* Sizes past all memory. */
static void
test_huge(struct bs_dev *dev)
{
    struct bs_safetensors *files = open_model("sd1", WEIGHTS);
    struct bs_unet_config config;
    struct bs_unet *unet;
    struct bs_err e = {0};

    ok(bs_unet_configure(&config, files, &e) == 0 &&
           bs_unet_open(&unet, &config, files, dev, BS_MATH_F32, SIZE_MAX / 4,
                        SIZE_MAX / 4, 2, &e) == -BS_EX_OSERR &&
           unet == NULL,
       "%s", e.text);
    bs_safetensors_close(files);
}

static void
test_odd(struct bs_dev *dev)
{
    test_odd_unet(dev, "\"UNet2DConditionModel\"", "\"UNet2DModel\"", false,
                  "_class_name");
    test_odd_unet(dev, "\"CrossAttnUpBlock2D\"", "\"AttnUpBlock2D\"", false,
                  "AttnUpBlock2D");
    test_odd_unet(dev, "\"UpBlock2D\",", "", false, "up_block_types");
    test_odd_unet(dev, "\"class_embed_type\": null",
                  "\"class_embed_type\": \"timestep\"", false,
                  "class_embed_type");
    test_odd_unet(dev, "\"norm_num_groups\": 4", "\"norm_num_groups\": 5",
                  false, "groups");
    test_odd_unet(dev, "\"attention_head_dim\": 4", "\"attention_head_dim\": 7",
                  false, "heads");
    test_odd_unet(dev, "\"in_channels\": 4", "\"in_channels\": 1e99", false,
                  "in_channels");
    test_odd_unet(dev, "\"in_channels\": 4", "\"in_channels\": 9", false,
                  "'conv_in.weight' has the shape [8,4,3,3], not [8,9,3,3]");
    test_odd_unet(dev, "\"layers_per_block\": 1", "\"layers_per_block\": 2",
                  false, "no tensor 'down_blocks.0.resnets.1");
    test_odd_unet(dev, "\"mid_block_type\": \"UNetMidBlock2DCrossAttn\"",
                  "\"mid_block_type\": null", false, "mid_block_type");
    test_odd_unet(dev, "{", "[", false, "config.json");
    test_odd_unet(dev, "{", "{", true, "holds a NaN or an infinity");
    test_odd_vae(dev, "\"UpDecoderBlock2D\"", "\"AttnUpDecoderBlock2D\"",
                 "AttnUpDecoderBlock2D");
    test_odd_vae(dev, "\"scaling_factor\": 0.31", "\"scaling_factor\": 0",
                 "scaling_factor");
    test_odd_vae(dev, "\"latent_channels\": 4", "\"latent_channels\": 16",
                 "has the shape");
    test_odd_vae(dev, "\"norm_num_groups\": 4", "\"norm_num_groups\": 3",
                 "groups");
}

int
main(void)
{
    char folder[] = "/tmp/u-unet.XXXXXX";
    struct bs_err e = {0};
    struct bs_dev *dev;

    if (mkdtemp(folder) == NULL || chdir(folder) != 0 ||
        bs_dev_open(&dev, "cpu", 2, &e) < 0)
        return 1;
    test_forward(dev, "sd1", BS_MATH_F32);
    test_forward(dev, "sd1", BS_MATH_BF16);
    test_forward(dev, "sd2", BS_MATH_F32);
    test_forward(dev, "sd2", BS_MATH_BF16);
    test_batch("sd1");
    test_batch("sd2");
    test_taps(dev, "sd1", 1);
    test_taps(dev, "sd2", 0);
    test_vae(dev, BS_MATH_F32);
    test_vae(dev, BS_MATH_BF16);
    test_bytes();
    test_odd(dev);
    test_huge(dev);
    bs_dev_close(dev);
    /* A device keeps its first error. */
    if (bs_dev_open(&dev, "cpu", 2, &e) < 0)
        return 1;
    test_order(dev);
    bs_dev_close(dev);
    unlink("changed/config.json");
    unlink("changed/model.safetensors");
    ok(rmdir("changed") == 0 && rmdir(folder) == 0, "nothing is left behind");
    return tap_done();
}
