/*
 * embed.c - see embed.h.  One thread puts, runs batches and calls the sink; the
 * workers only turn a job's bytes into pixels.
 */
#include "cmd/models/embed.h"

#include <math.h>
#include <pthread.h>

#include "cmd/models/dinov2.h"
#include "cmd/models/relay.h"
#include "common/order.h"
#include "common/pool.h"

enum {
    BATCH_ROWS = 2048,          /* tokens that keep a processor's caches busy */
    LOOKAHEAD_BYTES = 256 << 20 /* of encoded images */
};

const char *const bs_embed_tokens_names[] = {"all", "patch", "cls", NULL};

/* An image on its way: metadata of the record to be, bytes, then pixels. */
struct job {
    struct bs_doc rec;
    struct bs_tensor image; /* its data, as copied to `bytes` */
    void *bytes;
    size_t cost; /* of the lookahead */
    uint8_t *rgb;
    enum bs_image_status status;
    struct bs_err err;
};

struct bs_embed {
    struct bs_embed_options options;
    struct bs_embed_sink sink;
    struct bs_dinov2_config config;
    struct bs_dinov2 *model;
    struct bs_order *order;
    size_t ahead;      /* bytes of the jobs in `order` */
    struct job **wait; /* decoded, for the next batch */
    size_t waiting;
    const uint8_t **rgb;
    float *features;     /* of a batch */
    void *values;        /* of one record, as it is written */
    size_t first, count; /* rows of an image that are written */
    char grid[48], prefix[24];
    struct bs_embed_stats stats;
    struct bs_err err;
    char about[200], model_json[200], params[120];
};

/* ---- jobs ---------------------------------------------------------------- */

static void
job_free(struct job *j)
{
    if (j == NULL)
        return;
    bs_doc_release(&j->rec);
    bs_free(j->bytes);
    bs_free(j->rgb);
    bs_free(j);
}

static void
job_drop(void *job)
{
    job_free(job);
}

/* On a worker: pixels out of bytes, which go at once. */
static void
decode(void *arg, void *job)
{
    const struct bs_embed *em = arg;
    struct job *j = job;
    size_t side = em->options.pixels.size;

    j->rgb = bs_alloc(side * side * 3);
    if (j->rgb == NULL)
        (void)bs_err_memory(&j->err, "pixels", side * side * 3);
    else
        j->status =
            bs_preprocess_run(&em->options.pixels, &j->image, j->rgb, &j->err);
    bs_free(j->bytes);
    j->bytes = NULL;
}

static int
copy_metadata(struct bs_embed *em, struct bs_doc *to, const struct bs_doc *from)
{
    int r = bs_relay_metadata(to, from, &em->err);

    if (r == 0)
        r = bs_doc_set(to, "grid", em->grid, &em->err);
    return r < 0 ? r : bs_doc_set(to, "prefix", em->prefix, &em->err);
}

static struct job *
job_make(struct bs_embed *em, const struct bs_doc *rec,
         const struct bs_tensor *image)
{
    struct job *j = bs_alloc_array(1, sizeof *j);

    if (j == NULL || (j->bytes = bs_alloc(image->bytes)) == NULL) {
        (void)bs_err_memory(&em->err, "image", image->bytes);
        job_free(j);
        return NULL;
    }
    if (copy_metadata(em, &j->rec, rec) < 0) {
        job_free(j);
        return NULL;
    }
    memcpy(j->bytes, image->data, image->bytes);
    j->image = *image;
    j->image.data = j->bytes;
    j->cost = image->bytes;
    return j;
}

/* ---- results ------------------------------------------------------------- */

/* Count what overflows the features' type; -BS_EX_DATA for a value that is not
 * finite. */
static int
check_values(struct bs_embed *em, const char *key, const float *x, size_t n)
{
    /* the least that rounds to infinity; bf16 and f32 have the same range but
     * for a last half step */
    float limit = em->options.dtype == BS_DTYPE_F16 ? 65520.0f : INFINITY;
    uint64_t over = 0;
    size_t i;
    int odd = 0;

    for (i = 0; i < n; i++) {
        odd |= !(fabsf(x[i]) < INFINITY);
        over += fabsf(x[i]) >= limit;
    }
    if (odd)
        return bs_err_set(&em->err, BS_EX_DATA,
                          "record '%s': a feature is not finite (are the "
                          "model's weights damaged?)",
                          key);
    em->stats.overflows += over;
    return 0;
}

/* Write one image's rows. */
static int
emit(struct bs_embed *em, struct job *j, const float *features)
{
    uint64_t shape[2] = {em->count, em->config.hidden};
    size_t n = em->count * em->config.hidden;
    const float *x = features + em->first * em->config.hidden;
    int r = check_values(em, bs_doc_meta(&j->rec, "key"), x, n);

    if (r < 0)
        return r;
    bs_from_f32(em->values, em->options.dtype, x, n);
    r = bs_doc_put(&j->rec, "x", em->options.dtype, 2, shape, em->values,
                   &em->err);
    if (r == 0)
        r = em->sink.record(em->sink.arg, &j->rec);
    em->stats.images++;
    return r;
}

static int
run_batch(struct bs_embed *em)
{
    size_t n = bs_dinov2_tokens(em->model) * em->config.hidden, i;
    int r;

    for (i = 0; i < em->waiting; i++)
        em->rgb[i] = em->wait[i]->rgb;
    r = bs_dinov2_forward(em->model, em->rgb, em->waiting, em->features,
                          &em->err);
    for (i = 0; i < em->waiting; i++) {
        if (r == 0)
            r = emit(em, em->wait[i], em->features + i * n);
        job_free(em->wait[i]);
    }
    em->waiting = 0;
    return r;
}

static int
skip(struct bs_embed *em, struct job *j)
{
    int r;

    if (j->err.code == BS_EX_OSERR) {
        em->err = j->err;
        return -BS_EX_OSERR;
    }
    em->stats.skipped[j->status]++;
    r = em->sink.skipped(em->sink.arg, bs_doc_meta(&j->rec, "key"),
                         j->err.text);
    job_free(j);
    return r;
}

/* The oldest job joins the batch, which runs when it is full. */
static int
settle(struct bs_embed *em, struct job *j)
{
    em->ahead -= j->cost;
    if (j->status != BS_IMAGE_OK || j->err.code != 0)
        return skip(em, j);
    em->wait[em->waiting++] = j;
    return em->waiting < em->options.batch ? 0 : run_batch(em);
}

int
bs_embed_put(struct bs_embed *em, const struct bs_doc *rec)
{
    struct bs_tensor image;
    struct job *j;
    int r = 0;

    if (!bs_preprocess_find(rec, &image)) {
        em->stats.no_image++;
        return em->sink.skipped(em->sink.arg, bs_doc_meta(rec, "key"),
                                "no tensor 'jpg', 'png', 'webp' or 'rgb'");
    }
    while (r == 0 &&
           (!bs_order_room(em->order) || em->ahead > LOOKAHEAD_BYTES)) {
        j = bs_order_take(em->order);
        if (j == NULL)
            break;
        r = settle(em, j);
    }
    if (r < 0)
        return r;
    j = job_make(em, rec, &image);
    if (j == NULL)
        return -em->err.code;
    em->ahead += j->cost;
    bs_order_put(em->order, j);
    return 0;
}

int
bs_embed_flush(struct bs_embed *em)
{
    struct job *j;
    int r = 0;

    while (r == 0 && (j = bs_order_take(em->order)) != NULL)
        r = settle(em, j);
    return r == 0 && em->waiting > 0 ? run_batch(em) : r;
}

/* ---- opening ------------------------------------------------------------- */

/* The digest of the weights, computed while they are packed. */
struct digest {
    const struct bs_safetensors *files;
    pthread_t thread;
    char hex[BS_SHA256_HEX_SIZE];
    int result;
    struct bs_err err;
};

static void *
digest_main(void *arg)
{
    struct digest *d = arg;

    d->result = bs_safetensors_digest(d->files, d->hex, &d->err);
    return NULL;
}

/* Tokens of an image. */
static size_t
image_rows(const struct bs_embed *em)
{
    size_t side = em->options.pixels.size / em->config.patch;

    return 1 + em->config.registers + side * side;
}

/* Which rows of an image are written, and how a record says so. */
static void
choose_rows(struct bs_embed *em)
{
    size_t prefix = 1 + em->config.registers;
    size_t side = em->options.pixels.size / em->config.patch;
    size_t patches = side * side;

    em->first = em->options.tokens == BS_EMBED_PATCH ? prefix : 0;
    em->count = em->options.tokens == BS_EMBED_ALL     ? prefix + patches
                : em->options.tokens == BS_EMBED_PATCH ? patches
                                                       : 1;
    prefix = em->options.tokens == BS_EMBED_ALL     ? prefix
             : em->options.tokens == BS_EMBED_PATCH ? 0
                                                    : 1;
    if (em->options.tokens == BS_EMBED_CLS)
        side = 0;
    snprintf(em->grid, sizeof em->grid, "%zux%zu", side, side);
    snprintf(em->prefix, sizeof em->prefix, "%zu", prefix);
}

static void
describe(struct bs_embed *em, const struct bs_safetensors *files,
         const char *sha256)
{
    const struct bs_dinov2_config *c = &em->config;
    const char *math = em->options.math == BS_MATH_BF16 ? "bf16" : "f32";

    snprintf(em->params, sizeof em->params,
             "{\"dtype\":\"%s\",\"resize\":%zu,\"size\":%zu,\"tokens\":\"%s\"}",
             bs_dtype_name(em->options.dtype), em->options.pixels.resize,
             em->options.pixels.size,
             bs_embed_tokens_names[em->options.tokens]);
    snprintf(em->about, sizeof em->about,
             "%s: %zu layers of %zu, %zu heads, %zu registers; %zu of %zu "
             "tensors used; batches of %zu",
             c->name, c->layers, c->hidden, c->heads, c->registers,
             bs_dinov2_used(em->model), bs_safetensors_count(files),
             em->options.batch);
    if (sha256[0] != '\0')
        snprintf(em->model_json, sizeof em->model_json,
                 "{\"math\":\"%s\",\"name\":\"%s\",\"sha256\":\"%s\"}", math,
                 c->name, sha256);
    else
        snprintf(em->model_json, sizeof em->model_json,
                 "{\"math\":\"%s\",\"name\":\"%s\"}", math, c->name);
}

/* Load the network; the digest runs beside it. */
static int
open_model(struct bs_embed *em, struct bs_safetensors *files,
           struct bs_dev *dev, struct bs_err *e)
{
    struct digest d = {.files = files};
    bool threaded = false;
    int r;

    if (em->options.digest &&
        pthread_create(&d.thread, NULL, digest_main, &d) == 0)
        threaded = true;
    r = bs_dinov2_open(&em->model, &em->config, files, dev, em->options.math,
                       em->options.pixels.size, em->options.batch, e);
    if (threaded)
        pthread_join(d.thread, NULL);
    else if (em->options.digest && r == 0)
        digest_main(&d);
    if (r == 0 && d.result < 0) {
        *e = d.err;
        r = d.result;
    }
    if (r == 0)
        describe(em, files, d.hex);
    return r;
}

static int
check_size(const struct bs_embed *em, struct bs_err *e)
{
    const struct bs_preprocess *p = &em->options.pixels;

    if (p->size % em->config.patch != 0)
        return bs_err_set(e, BS_EX_USAGE,
                          "a size of %zu is no multiple of the model's patch, "
                          "%zu",
                          p->size, em->config.patch);
    return 0;
}

/* Buffers of a batch, and the workers. */
static int
open_line(struct bs_embed *em, struct bs_err *e)
{
    size_t batch = em->options.batch, image;
    unsigned threads = em->options.threads;

    image = bs_dinov2_tokens(em->model) * em->config.hidden * sizeof(float);
    em->wait = bs_alloc_array(batch, sizeof *em->wait);
    em->rgb = bs_alloc_array(batch, sizeof *em->rgb);
    em->features = bs_alloc_array(batch, image);
    em->values = bs_alloc(image);
    if (em->wait == NULL || em->rgb == NULL || em->features == NULL ||
        em->values == NULL)
        return bs_err_memory(e, "features", image);
    if (threads == 0)
        threads = bs_pool_processors();
    return bs_order_open(&em->order, threads, 2 * batch + threads, decode, em,
                         e);
}

int
bs_embed_open(struct bs_embed **out, const struct bs_embed_options *options,
              const struct bs_embed_sink *sink, struct bs_dev *dev,
              struct bs_err *e)
{
    struct bs_embed *em = bs_alloc_array(1, sizeof *em);
    struct bs_safetensors *files = NULL;
    int r;

    *out = NULL;
    if (em == NULL)
        return bs_err_memory(e, "embedder", sizeof *em);
    em->options = *options;
    em->sink = *sink;
    r = bs_safetensors_open(&files, options->model, e);
    if (r == 0)
        r = bs_dinov2_configure(&em->config, files, e);
    if (r == 0)
        r = check_size(em, e);
    if (r == 0) {
        choose_rows(em);
        if (em->options.batch == 0)
            em->options.batch = 1 + (BATCH_ROWS - 1) / image_rows(em);
        r = open_model(em, files, dev, e);
    }
    if (r == 0)
        r = open_line(em, e);
    bs_safetensors_close(files);
    if (r < 0) {
        bs_embed_close(em);
        return r;
    }
    *out = em;
    return 0;
}

void
bs_embed_close(struct bs_embed *em)
{
    if (em == NULL)
        return;
    if (em->order != NULL)
        bs_order_close(em->order, job_drop);
    while (em->waiting > 0)
        job_free(em->wait[--em->waiting]);
    bs_dinov2_close(em->model);
    bs_free(em->wait);
    bs_free(em->rgb);
    bs_free(em->features);
    bs_free(em->values);
    bs_free(em);
}

/* ---- what it says -------------------------------------------------------- */

const char *
bs_embed_model(const struct bs_embed *em)
{
    return em->model_json;
}

const char *
bs_embed_params(const struct bs_embed *em)
{
    return em->params;
}

const char *
bs_embed_describe(const struct bs_embed *em)
{
    return em->about;
}

const struct bs_err *
bs_embed_error(const struct bs_embed *em)
{
    return &em->err;
}

const struct bs_embed_stats *
bs_embed_stats(const struct bs_embed *em)
{
    return &em->stats;
}

void
bs_embed_stats_reset(struct bs_embed *em)
{
    em->stats = (struct bs_embed_stats){0};
}

uint64_t
bs_embed_skips(const struct bs_embed_stats *s)
{
    uint64_t n = s->no_image;
    size_t i;

    for (i = 0; i < BS_LEN(s->skipped); i++)
        n += s->skipped[i];
    return n;
}

int
bs_embed_stats_json(const struct bs_embed_stats *s, struct bs_buf *out,
                    struct bs_err *e)
{
    const char *comma = "";
    size_t i;
    int r =
        bs_buf_printf(out, e, "{\"images\":%ju,\"overflows\":%ju,\"skipped\":{",
                      (uintmax_t)s->images, (uintmax_t)s->overflows);

    for (i = 0; i < BS_LEN(s->skipped) && r == 0; i++)
        if (s->skipped[i] > 0) {
            r = bs_buf_printf(out, e, "%s\"%s\":%ju", comma,
                              bs_image_status_name((enum bs_image_status)i),
                              (uintmax_t)s->skipped[i]);
            comma = ",";
        }
    if (r == 0 && s->no_image > 0)
        r = bs_buf_printf(out, e, "%s\"no_image\":%ju", comma,
                          (uintmax_t)s->no_image);
    return r < 0 ? r : bs_buf_str(out, "}}", e);
}
