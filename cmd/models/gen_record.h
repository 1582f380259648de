/*
 * gen_record.h - bs-gen's record of a generated image.
 */
#ifndef BS_MODELS_GEN_RECORD_H
#define BS_MODELS_GEN_RECORD_H

#include "cmd/models/diffusion.h"
#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"
#include "formats/doc.h"

enum bs_gen_format {
    BS_GEN_PNG,
    BS_GEN_JPG75, /* as Pillow saves by default */
    BS_GEN_WEBP,  /* lossless */
    BS_GEN_RGB    /* pixels */
};
/* "png", "jpg75", "webp", "rgb", NULL */
extern const char *const bs_gen_format_names[];

/* -BS_EX_UNAVAIL where this build cannot write the format. */
int bs_gen_format_check(enum bs_gen_format format, struct bs_err *e) BS_CHECKED;

/* What becomes of an image that the safety checker flags. */
enum bs_gen_safety {
    BS_SAFETY_DROP, /* no record */
    BS_SAFETY_BLACK,
    BS_SAFETY_KEEP
};
/* "drop", "black", "keep", NULL */
extern const char *const bs_gen_safety_names[];

/* Seed of a record: the low 32 bits, all that torch's CPU generator takes, of
 * XXH64(key, seed). */
uint32_t bs_gen_seed(uint64_t seed, const char *key);

/* What records have in common. */
struct bs_gen_style {
    const struct bs_diffusion_options *options;
    enum bs_gen_format format;
    enum bs_gen_safety safety;
    bool latents;    /* with a tensor of them, F32 [channels, rows, columns] */
    size_t shape[3]; /* of the latents */
    const char *model; /* SHA-256, or NULL */
    bool seeded;       /* whether a job's seed is what its noise is of */
};

/*
 * Fill `rec`, which borrows from the job and from `bytes` (of the encoded
 * image, emptied first).  A flagged image is made black where the style says
 * so.
 */
int bs_gen_record(struct bs_doc *rec, const struct bs_gen_style *style,
                  const char *key, struct bs_diffusion_job *job,
                  struct bs_buf *bytes, struct bs_err *e) BS_CHECKED;

#endif
