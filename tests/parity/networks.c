/*
 * networks.c - what gen.py and bench-gen.py drive: a network of the generators
 * on inputs from a file.
 *
 *   networks unet|vae|text|safety WEIGHTS INPUT f32|bf16 THREADS
 *
 * INPUT is a safetensors file with F32 "latents" [batch, height, width,
 * channels], for a UNet also "text" [batch, tokens, width] and "steps" [n]; for
 * a text encoder with I32 "ids" [batch, tokens]; for a safety checker with U8
 * "rgb" [batch, height, width, 3].  Then requests are read from stdin, one a
 * line, and answered with a line "SECONDS BYTES" and that many bytes: "STEP" (a
 * prediction), "STEP BLOCK" (the update of a transformer), the number of an
 * image (for the VAE its pixels, for the checker its cosines), or any (the
 * context of all texts).
 */
#include "cmd/models/clip_text.h"
#include "cmd/models/safety.h"
#include "cmd/models/unet.h"
#include "cmd/models/vae.h"

#include <time.h>

struct net {
    struct bs_dev *dev;
    struct bs_unet *unet;
    struct bs_vae *vae;
    struct bs_clip_text *text;
    struct bs_safety *safety;
    int32_t *ids;
    size_t batch, tokens, height, width; /* of texts; of images */
    uint8_t *rgb;
    struct bs_mem latents, out;
    size_t image;  /* floats of latents of an image of the VAE */
    float *result; /* of `bytes` */
    size_t bytes;
    uint8_t *update; /* of the block that is asked for */
    size_t update_bytes;
};

static void
must(int r, const struct bs_err *e)
{
    if (r >= 0)
        return;
    fprintf(stderr, "networks: %s\n", e->text);
    exit(1);
}

static void *
need(void *p)
{
    if (p == NULL)
        exit(1);
    return p;
}

static const struct bs_tensor *
input(const struct bs_safetensors *s, const char *name)
{
    return need((void *)(uintptr_t)bs_safetensors_find(s, name));
}

static void
to_device(struct net *n, struct bs_mem *m, const struct bs_tensor *t)
{
    must(bs_dev_alloc(n->dev, m, t->bytes), bs_dev_error(n->dev));
    must(bs_dev_put(n->dev, m, 0, t->data, t->bytes), bs_dev_error(n->dev));
}

static void
open_unet(struct net *n, struct bs_safetensors *files,
          const struct bs_safetensors *in, enum bs_math math)
{
    const struct bs_tensor *x = input(in, "latents"), *text = input(in, "text");
    const struct bs_tensor *steps = input(in, "steps");
    size_t count = steps->bytes / sizeof(float), i;
    double *t = need(bs_alloc_array(count, sizeof *t));
    struct bs_unet_config c;
    struct bs_mem context;
    struct bs_err e = {0};

    for (i = 0; i < count; i++) {
        float f;

        memcpy(&f, (const char *)steps->data + i * sizeof f, sizeof f);
        t[i] = (double)f;
    }
    to_device(n, &context, text);
    must(bs_unet_configure(&c, files, &e), &e);
    must(bs_unet_open(&n->unet, &c, files, n->dev, math, (size_t)x->shape[1],
                      (size_t)x->shape[2], (size_t)x->shape[0], &e),
         &e);
    must(bs_unet_schedule(n->unet, t, count, &e), &e);
    must(bs_unet_context(n->unet, &context, (size_t)x->shape[0],
                         (size_t)text->shape[1], &e),
         &e);
    bs_dev_free(n->dev, &context);
    bs_free(t);
    n->bytes = x->bytes / c.in * c.out;
}

static void
open_vae(struct net *n, struct bs_safetensors *files,
         const struct bs_safetensors *in, enum bs_math math)
{
    const struct bs_tensor *x = input(in, "latents");
    struct bs_vae_config c;
    struct bs_err e = {0};
    size_t side;

    must(bs_vae_configure(&c, files, &e), &e);
    must(bs_vae_open(&n->vae, &c, files, n->dev, math, (size_t)x->shape[1],
                     (size_t)x->shape[2], &e),
         &e);
    side = bs_vae_factor(&c);
    n->image = (size_t)(x->shape[1] * x->shape[2] * x->shape[3]);
    n->bytes = n->image / c.latent * side * side * c.out * sizeof(float);
}

static void *
copy_of(const struct bs_tensor *t)
{
    return memcpy(need(bs_alloc(t->bytes)), t->data, t->bytes);
}

static void
open_text(struct net *n, struct bs_safetensors *files,
          const struct bs_safetensors *in, enum bs_math math)
{
    const struct bs_tensor *ids = input(in, "ids");
    struct bs_clip_text_config c;
    struct bs_err e = {0};

    n->ids = copy_of(ids);
    n->batch = (size_t)ids->shape[0];
    n->tokens = (size_t)ids->shape[1];
    must(bs_clip_text_configure(&c, files, &e), &e);
    must(bs_clip_text_open(&n->text, &c, files, n->dev, math, n->batch, &e),
         &e);
    n->bytes = n->batch * n->tokens * c.shape.hidden * sizeof(float);
}

static void
open_safety(struct net *n, struct bs_safetensors *files,
            const struct bs_safetensors *in, enum bs_math math)
{
    const struct bs_tensor *rgb = input(in, "rgb");
    struct bs_err e = {0};

    n->rgb = copy_of(rgb);
    n->height = (size_t)rgb->shape[1];
    n->width = (size_t)rgb->shape[2];
    must(bs_safety_open(&n->safety, files, NULL, n->dev, math, &e), &e);
    n->bytes = bs_safety_concepts(n->safety) * sizeof(double);
}

static void
open_network(struct net *n, const char *kind, struct bs_safetensors *files,
             const struct bs_safetensors *in, enum bs_math math)
{
    bool latents = strcmp(kind, "unet") == 0 || strcmp(kind, "vae") == 0;

    if (latents)
        to_device(n, &n->latents, input(in, "latents"));
    if (strcmp(kind, "unet") == 0)
        open_unet(n, files, in, math);
    else if (latents)
        open_vae(n, files, in, math);
    else if (strcmp(kind, "text") == 0)
        open_text(n, files, in, math);
    else
        open_safety(n, files, in, math);
}

/* n->result of a request without a block. */
static void
compute(struct net *n, size_t number)
{
    struct bs_err e = {0};
    bool flagged;

    if (n->safety != NULL) {
        must(bs_safety_check(n->safety,
                             n->rgb + number * n->height * n->width * 3,
                             n->height, n->width, &flagged,
                             (double *)(void *)n->result, &e),
             &e);
        return;
    }
    if (n->vae != NULL) {
        struct bs_mem x =
            bs_mem_from(&n->latents, number * n->image * sizeof(float));

        must(bs_vae_decode(n->vae, &x, n->result, &e), &e);
        return;
    }
    if (n->text != NULL)
        must(bs_clip_text_forward(n->text, n->ids, n->batch, n->tokens, &n->out,
                                  &e),
             &e);
    else
        must(bs_unet_forward(n->unet, number, &n->latents, &n->out, &e), &e);
    must(bs_dev_get(n->dev, n->result, &n->out, 0, n->bytes), &e);
}

static int
keep_update(void *user, const struct bs_unet_block *block, size_t step,
            size_t batch, struct bs_mem *update, struct bs_err *e)
{
    struct net *n = user;

    (void)block;
    (void)step;
    (void)batch;
    (void)e;
    bs_free(n->update);
    n->update = need(bs_alloc(update->bytes));
    n->update_bytes = update->bytes;
    return bs_dev_get(n->dev, n->update, update, 0, update->bytes);
}

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The most memory that was held, in MB; getrusage would count what the parent
 * held before exec. */
static long
peak_memory(void)
{
    FILE *f = fopen("/proc/self/status", "re");
    char line[200];
    long kb = 0;

    while (f != NULL && kb == 0 && fgets(line, sizeof line, f) != NULL)
        sscanf(line, "VmHWM: %ld", &kb);
    if (f != NULL)
        fclose(f);
    return kb / 1000;
}

static void
answer(struct net *n, const char *request)
{
    char block[100] = "";
    size_t number = strtoul(request, NULL, 10), bytes = n->bytes;
    const void *result = n->result;
    struct bs_err e = {0};
    double start;

    sscanf(request, "%*u %99s", block);
    if (block[0] != '\0')
        must(bs_unet_watch(n->unet, block, keep_update, n, &e), &e);
    start = now();
    compute(n, number);
    start = now() - start;
    if (block[0] != '\0') {
        must(bs_unet_watch(n->unet, block, NULL, NULL, &e), &e);
        result = n->update;
        bytes = n->update_bytes;
    }
    printf("%.6f %zu\n", start, bytes);
    fwrite(result, 1, bytes, stdout);
    fflush(stdout);
}

int
main(int argc, char *argv[])
{
    struct bs_safetensors *files, *in;
    struct net n = {0};
    struct bs_err e = {0};
    enum bs_math math;
    char line[200];

    if (argc != 6)
        return 64;
    math = strcmp(argv[4], "bf16") == 0 ? BS_MATH_BF16 : BS_MATH_F32;
    must(bs_dev_open(&n.dev, "cpu", (unsigned)strtoul(argv[5], NULL, 10), &e),
         &e);
    must(bs_safetensors_open(&files, argv[2], &e), &e);
    must(bs_safetensors_open(&in, argv[3], &e), &e);
    open_network(&n, argv[1], files, in, math);
    must(bs_dev_alloc(n.dev, &n.out, n.bytes), bs_dev_error(n.dev));
    n.result = need(bs_alloc(n.bytes));
    bs_safetensors_close(in);
    while (fgets(line, sizeof line, stdin) != NULL)
        answer(&n, line);
    fprintf(stderr, "# %s; at most %ld MB\n", bs_dev_describe(n.dev),
            peak_memory());
    bs_dev_free(n.dev, &n.latents);
    bs_dev_free(n.dev, &n.out);
    bs_unet_close(n.unet);
    bs_vae_close(n.vae);
    bs_clip_text_close(n.text);
    bs_safety_close(n.safety);
    bs_safetensors_close(files);
    bs_free(n.result);
    bs_free(n.update);
    bs_free(n.ids);
    bs_free(n.rgb);
    bs_dev_close(n.dev);
    return 0;
}
