/*
 * diffusion.h - captions to images with a latent diffusion model.
 *
 * A folder of the Hugging Face layout (pipeline_folder.h) gives the tokenizer,
 * text encoder, UNet, VAE, scheduler and safety checker; one call denoises a
 * batch of captions and decodes it.  What comes out is what diffusers'
 * StableDiffusionPipeline gives for the same folder, seed and arguments, within
 * float rounding.
 *
 * The parts and what passes between them, all f32:
 *   clip_text.h   token ids [n, 77] -> context [n, 77, width], device memory
 *   unet.h        latents [n, height, width, 4] channels last, device memory,
 *                 one timestep for all n, context -> prediction, same shape
 *   scheduler.h   latents and prediction on the host, in any one layout ->
 *                 latents of the next step
 *   vae.h         latents -> rgb U8 [n, 8 height, 8 width, 3]
 * Noise is drawn in torch's layout [4, height, width] an image, on the host.
 * With guidance the UNet sees 2 n images, the n unconditional ones first.
 *
 * An image depends on its caption, its seed and the options, never on the
 * batch that it is made in.
 */
#ifndef BS_MODELS_DIFFUSION_H
#define BS_MODELS_DIFFUSION_H

#include "cmd/models/draws.h"
#include "cmd/models/unet.h"
#include "common/bs.h"
#include "common/err.h"
#include "kernels/dev.h"

struct bs_diffusion;

/* How captions become tokens (clip_bpe.h). */
enum bs_diffusion_tokenizer {
    BS_TOKENIZER_AUTO, /* by the class in model_index.json: CLIPTokenizer is the
                          slow one, as it was when the models came out */
    BS_TOKENIZER_SLOW,
    BS_TOKENIZER_FAST
};

/* Zero-initialised: what the folder and its pipeline class give as defaults.
 * The texts are borrowed as long as the model is open. */
struct bs_diffusion_options {
    const char *unet;      /* another folder to take the UNet from, or NULL */
    const char *variant;   /* preferred weight files ("fp16"), or NULL */
    const char *scheduler; /* class name in place of the folder's, or NULL */
    const char *negative;  /* negative caption; NULL: "" */
    enum bs_diffusion_tokenizer tokenizer;
    enum bs_draws_kind noise;
    enum bs_math math;
    size_t width, height; /* pixels, multiples of 8; 0: the UNet's sample_size
                             times the VAE's factor */
    size_t batch;         /* images at most in one call; 0: 1 */
    size_t steps;         /* 0: 50 */
    double guidance;      /* NAN: 7.5; 1 or less: no guidance */
    double eta;           /* of DDIM: needs noise at each step */
    bool safety;          /* load and ask the safety checker, where it is */
};

/* One image to make.  The caller owns all that it points to. */
struct bs_diffusion_job {
    const char *caption; /* UTF-8 */
    uint64_t seed;
    const struct bs_draws *draws; /* to go on from, in place of a new generator
                                     with the seed, or NULL */
    const float *noise; /* [4, height / 8, width / 8] in place of the first
                           draw, which is not made then; or NULL */
    uint8_t *rgb;       /* out: [height, width, 3] */
    float *latents;     /* out: [4, height / 8, width / 8], or NULL */
    size_t tokens;      /* out: of the caption, those that were cut counted */
    bool flagged;       /* out: the safety checker's word */
};

/* Called before each evaluation of the UNet; a value other than 0 stops the
 * run, which returns it. */
typedef int bs_diffusion_step(void *user, size_t step, size_t steps);

/*
 * Open a folder and bring its weights to the device, which stays the caller's
 * and must outlive the model.  -BS_EX_NOINPUT where the folder or a part is not
 * there, -BS_EX_DATA for a part that is damaged, of an unknown class, or lacks
 * a tensor, which the message names; -BS_EX_USAGE for sizes, steps and eta that
 * the model cannot do.
 */
int bs_diffusion_open(struct bs_diffusion **out, const char *folder,
                      const struct bs_diffusion_options *options,
                      struct bs_dev *dev, struct bs_err *e) BS_CHECKED;
void bs_diffusion_close(struct bs_diffusion *d);

/* The options with every default filled in: scheduler the class in use, safety
 * whether there is a checker. */
const struct bs_diffusion_options *
bs_diffusion_options(const struct bs_diffusion *d);

/* Evaluations of the UNet that an image takes (PNDM: steps + 1). */
size_t bs_diffusion_evaluations(const struct bs_diffusion *d);

/* The timestep of an evaluation. */
double bs_diffusion_time(const struct bs_diffusion *d, size_t evaluation);
/* Whether the UNet sees every image twice, the unconditional ones first. */
bool bs_diffusion_guided(const struct bs_diffusion *d);

/* The UNet's transformer blocks and what they add: bs_unet_block and
 * bs_unet_watch.  A step is an evaluation. */
const struct bs_unet_block *bs_diffusion_block(const struct bs_diffusion *d,
                                               size_t i);
int bs_diffusion_watch(struct bs_diffusion *d, const char *block,
                       bs_unet_tap *fn, void *user,
                       struct bs_err *e) BS_CHECKED;

/* Shape of an image's latents: channels, rows, columns. */
void bs_diffusion_latents(const struct bs_diffusion *d, size_t shape[3]);

/* Tokens of a caption that are seen, without start and end. */
size_t bs_diffusion_tokens(const struct bs_diffusion *d);
/* How many a caption has; -BS_EX_DATA where it is no UTF-8. */
int bs_diffusion_count(struct bs_diffusion *d, const char *caption,
                       size_t *tokens, struct bs_err *e) BS_CHECKED;

/* Draw what one image takes, so that `draws` is where the next begins. */
int bs_diffusion_skip(const struct bs_diffusion *d, struct bs_draws *draws,
                      struct bs_err *e) BS_CHECKED;

/* For people: class, scheduler, size, steps, guidance. */
const char *bs_diffusion_describe(const struct bs_diffusion *d);

/* SHA-256 of all that the images depend on in the folder, as hexadecimal
 * digits: weights, configurations, vocabulary.  Reads all of it. */
int bs_diffusion_digest(const struct bs_diffusion *d, char hex[65],
                        struct bs_err *e) BS_CHECKED;

/* Make `count` images, at most options.batch.  -BS_EX_DATA for a caption that
 * is no UTF-8, and where what comes out is not finite. */
int bs_diffusion_generate(struct bs_diffusion *d, struct bs_diffusion_job *jobs,
                          size_t count, bs_diffusion_step *step, void *user,
                          struct bs_err *e) BS_CHECKED;

#endif
