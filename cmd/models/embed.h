/*
 * embed.h - records of images in, records of features out.
 *
 * Worker threads decode and resize ahead while the device runs a batch; what
 * comes out is in the order of what went in, and depends neither on the number
 * of threads nor on the batch.  Memory beside the model's: per image of the
 * batch its features and 3 * size^2 bytes, as much again for those decoded
 * ahead, at most 256 MiB (or one record) of encoded images, and one decoded
 * image a thread.
 */
#ifndef BS_MODELS_EMBED_H
#define BS_MODELS_EMBED_H

#include "cmd/models/preprocess.h"
#include "common/bs.h"
#include "common/err.h"
#include "formats/doc.h"
#include "formats/image.h"
#include "kernels/dev.h"

enum bs_embed_tokens { BS_EMBED_ALL, BS_EMBED_PATCH, BS_EMBED_CLS };
/* "all", "patch", "cls", NULL */
extern const char *const bs_embed_tokens_names[];

struct bs_embed_options {
    const char *model; /* folder or file */
    struct bs_preprocess pixels;
    enum bs_embed_tokens tokens;
    enum bs_dtype dtype; /* of the features: F16, BF16, F32 */
    enum bs_math math;
    size_t batch;     /* images at once; 0: as many as suit the device */
    unsigned threads; /* that decode; 0: one a processor */
    bool digest;      /* compute the model's SHA-256 */
};

/* Where results go, in the order of the input. */
struct bs_embed_sink {
    /* A feature record, lent.  A negative result ends the work with it. */
    int (*record)(void *arg, const struct bs_doc *rec);
    /* An image that could not be read, and why. */
    int (*skipped)(void *arg, const char *key, const char *why);
    void *arg;
};

struct bs_embed_stats {
    uint64_t images;                      /* embedded */
    uint64_t skipped[BS_IMAGE_LIMIT + 1]; /* by enum bs_image_status */
    uint64_t no_image;                    /* records without one */
    uint64_t overflows; /* values too large for the features' type */
};

struct bs_embed;

/*
 * Open the model and start the workers.  The device stays the caller's and must
 * outlive it; so must the sink's arg.  -BS_EX_USAGE for a size that is no
 * multiple of the model's patch.
 */
int bs_embed_open(struct bs_embed **out, const struct bs_embed_options *options,
                  const struct bs_embed_sink *sink, struct bs_dev *dev,
                  struct bs_err *e) BS_CHECKED;
/* What was put and not flushed is dropped. */
void bs_embed_close(struct bs_embed *em);

/* The model as a JSON object with name, sha256 (where asked for) and math: what
 * a head's bs.model says. */
const char *bs_embed_model(const struct bs_embed *em);
/* The options that change the result, as canonical JSON: bs.params. */
const char *bs_embed_params(const struct bs_embed *em);
/* For people: shape, tensors used, images a batch. */
const char *bs_embed_describe(const struct bs_embed *em);

/*
 * Take a record in, whose metadata goes with it to its features.  May run a
 * batch and call the sink.  0, the sink's negative result, or < 0 with the
 * error in bs_embed_error.
 */
int bs_embed_put(struct bs_embed *em, const struct bs_doc *rec) BS_CHECKED;
/* Finish everything that was put. */
int bs_embed_flush(struct bs_embed *em) BS_CHECKED;
const struct bs_err *bs_embed_error(const struct bs_embed *em);

/* Counters since the start or the last reset. */
const struct bs_embed_stats *bs_embed_stats(const struct bs_embed *em);
uint64_t bs_embed_skips(const struct bs_embed_stats *s); /* all of them */
void bs_embed_stats_reset(struct bs_embed *em);
/* Append them as a JSON object. */
int bs_embed_stats_json(const struct bs_embed_stats *s, struct bs_buf *out,
                        struct bs_err *e) BS_CHECKED;

#endif
