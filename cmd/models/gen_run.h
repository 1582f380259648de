/*
 * gen_run.h - bs-gen's stage of a relay: captions to images.
 *
 * Records wait until a batch is full; images come out in the order of their
 * captions.  An image depends on its key, its caption and the options, never on
 * the batch that it is made in.
 */
#ifndef BS_MODELS_GEN_RUN_H
#define BS_MODELS_GEN_RUN_H

#include "cmd/models/gen_record.h"
#include "cmd/models/gen_resume.h"
#include "cmd/models/relay.h"

enum bs_gen_seeds {
    BS_SEEDS_HASH,  /* of the seed and the record's key */
    BS_SEEDS_TORCH, /* one generator, which goes on from image to image */
    BS_SEEDS_RECORD /* what the records say; behind the first of a caption, one
                       more each */
};
/* "hash", "torch", "record", NULL */
extern const char *const bs_gen_seeds_names[];

struct bs_gen_options {
    struct bs_diffusion_options model;
    const char *folder;
    uint64_t seed;
    enum bs_gen_seeds seeds;
    size_t per_caption; /* 0: one, under the record's own key */
    bool given_noise;   /* the first draw is the record's tensor `noise` */
    enum bs_gen_format format;
    enum bs_gen_safety safety;
    bool latents; /* write them, too */
    bool provenance;
    const char *resume;     /* an earlier run's output, or NULL */
    size_t max_record;      /* of it */
    const char *const *tap; /* gen_taps.h */
    size_t taps;
    enum bs_dtype tap_dtype;
    const char *const *steer; /* files of gen_steer.h */
    size_t steers;
};

struct bs_gen_counts {
    uint64_t images;  /* written, those of an earlier run counted */
    uint64_t resumed; /* of these, taken over */
    uint64_t flagged; /* by the safety checker; not of those taken over */
    uint64_t skipped; /* records without a caption, or with one that is bad */
    uint64_t cut;     /* captions that were too long */
};

struct bs_gen_run;

/* What a run tells its command. */
struct bs_gen_sink {
    /* An image record: a document, or the bytes of one. */
    int (*record)(void *arg, const struct bs_doc *rec);
    int (*raw)(void *arg, const uint8_t *bytes, size_t len);
    /* A record that cannot be a caption, and why. */
    int (*skipped)(void *arg, const char *key, const char *why);
    /* Before an evaluation of the UNet. */
    void (*step)(void *arg, size_t step, size_t steps);
    /* With taps: a segment of them begins, a record, it ends. */
    int (*taps_begin)(void *arg);
    int (*tap)(void *arg, const struct bs_doc *rec);
    int (*taps_end)(void *arg);
    void *arg;
};

/*
 * Open the model and what is to be resumed.  The device, the options' texts and
 * the sink's arg stay the caller's and must outlive the run.
 */
int bs_gen_open(struct bs_gen_run **out, const struct bs_gen_options *options,
                const struct bs_gen_sink *sink, struct bs_dev *dev,
                struct bs_err *e) BS_CHECKED;
void bs_gen_close(struct bs_gen_run *run);

/* The stage, whose arg is `run`.  On bs_stop_wanted the batch in hand is
 * dropped, between two evaluations. */
struct bs_stage bs_gen_stage(struct bs_gen_run *run);

/* The options that change the result, as canonical JSON: bs.params of images,
 * and of taps. */
const char *bs_gen_params(const struct bs_gen_run *run);
const char *bs_gen_tap_params(const struct bs_gen_run *run);
/* Set bs.model and bs.seed, where there is provenance. */
int bs_gen_head(const struct bs_gen_run *run, struct bs_doc *head,
                struct bs_err *e) BS_CHECKED;
/* For people: see bs_diffusion_describe. */
const char *bs_gen_describe(const struct bs_gen_run *run);
/* Since the start. */
const struct bs_gen_counts *bs_gen_counts(const struct bs_gen_run *run);

#endif
