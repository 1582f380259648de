/*
 * gen-options.c - see gen-options.h.
 */
#include "cmd/gen-options.h"

#include <math.h>
#include <unistd.h>

#include "common/num.h"

enum { NOISE_RECORD = 3 };

/* What the command line gives as it stands, before defaults. */
struct raw {
    int preset, scheduler, noise, seeds, format, safety, tokenizer, math, list;
    int on_error, tap_dtype;
    uint64_t steps, per_caption, batch;
    double guidance;
    const char *size;
};

static const char *const preset_names[] = {"paper", NULL};
static const char *const scheduler_names[] = {"pndm",  "ddim",  "dpmpp",
                                              "euler", "unipc", NULL};
static const char *const scheduler_classes[] = {
    "PNDMScheduler", "DDIMScheduler", "DPMSolverMultistepScheduler",
    "EulerDiscreteScheduler", "UniPCMultistepScheduler"};
/* those of draws.h, then what is no generator */
static const char *const noise_names[] = {"torch-cpu", "torch-cpu-f16",
                                          "torch-cuda", "record", NULL};
static const char *const tokenizer_names[] = {"auto", "slow", "fast", NULL};
static const char *const math_names[] = {"f32", "bf16", NULL};
static const char *const dtype_names[] = {"f16", "f32", "bf16", NULL};
static const enum bs_dtype dtypes[] = {BS_DTYPE_F16, BS_DTYPE_F32,
                                       BS_DTYPE_BF16};
static const char *const on_error_names[] = {"skip", "fail", NULL};

/* "512" or "512x768". */
static void
parse_size(const struct bs_cmd *cmd, const char *text, size_t *width,
           size_t *height)
{
    const char *x = strchr(text, 'x');
    size_t len = x != NULL ? (size_t)(x - text) : strlen(text);
    char first[16];
    uint64_t w = 0, h = 0;

    snprintf(first, sizeof first, "%.*s",
             (int)(len < sizeof first ? len : sizeof first - 1), text);
    if (len >= sizeof first || bs_num_u64(first, 8, 1 << 14, &w) != NULL ||
        bs_num_u64(x != NULL ? x + 1 : first, 8, 1 << 14, &h) != NULL ||
        w % 8 != 0 || h % 8 != 0)
        bs_opt_misuse(cmd,
                      "option '--size': '%s' is not WIDTHxHEIGHT, each a "
                      "multiple of 8 up to 16384",
                      text);
    *width = (size_t)w;
    *height = (size_t)h;
}

static void
settle(const struct bs_cmd *cmd, struct bs_gen_command_options *o,
       const struct raw *raw)
{
    struct bs_gen_options *g = &o->gen;
    struct bs_diffusion_options *m = &g->model;
    bool paper = raw->preset == 0;
    const char *size = raw->size == NULL && paper ? "512" : raw->size;

    if (size != NULL)
        parse_size(cmd, size, &m->width, &m->height);
    m->steps = (size_t)(raw->steps == 0 && paper ? 50 : raw->steps);
    m->guidance = isnan(raw->guidance) && paper ? 7.5 : raw->guidance;
    m->batch = (size_t)raw->batch;
    m->math = (enum bs_math)raw->math;
    m->tokenizer = (enum bs_diffusion_tokenizer)raw->tokenizer;
    if (raw->scheduler >= 0)
        m->scheduler = scheduler_classes[raw->scheduler];
    if (raw->noise != NOISE_RECORD)
        m->noise = (enum bs_draws_kind)raw->noise;
    m->safety = true;
    g->given_noise = raw->noise == NOISE_RECORD;
    g->seeds = (enum bs_gen_seeds)raw->seeds;
    g->format = (enum bs_gen_format)raw->format;
    g->safety = (enum bs_gen_safety)raw->safety;
    g->per_caption = (size_t)raw->per_caption;
    g->provenance = o->std.provenance;
    g->max_record = (size_t)o->std.memory;
    g->tap = o->taps.item;
    g->taps = o->taps.count;
    g->tap_dtype = dtypes[raw->tap_dtype];
    g->steer = o->steers.item;
    g->steers = o->steers.count;
    o->columns.format = (enum bs_table_format)raw->list;
    o->fail = raw->on_error == 1;
}

static void
check(const struct bs_cmd *cmd, struct bs_gen_command_options *o)
{
    struct bs_gen_options *g = &o->gen;

    if (g->folder == NULL)
        bs_opt_misuse(cmd, "no model: '-m' is needed");
    if (g->seeds == BS_SEEDS_TORCH && o->std.shard != NULL)
        bs_opt_misuse(cmd, "'--seed-mode=torch' goes by the order of all "
                           "records: not with '--shard'");
    if (!(g->model.eta >= 0 && g->model.eta <= 1))
        bs_opt_misuse(cmd, "'--eta' is from 0 to 1");
    if ((g->taps > 0) != (o->tap_file != NULL))
        bs_opt_misuse(cmd, "'--tap' and '--tap-file' go together");
    if (g->taps > 0 && strcmp(o->tap_file, "-") == 0 &&
        (o->std.output == NULL || strcmp(o->std.output, "-") == 0))
        bs_opt_misuse(cmd, "images and '--tap-file' both to the standard "
                           "output");
    if (g->taps > 0 && g->resume != NULL)
        bs_opt_misuse(cmd, "'--tap' does not go with '--resume', which makes "
                           "nothing again");
    /* A rerun of a command that has not run yet. */
    if (g->resume != NULL && o->std.output != NULL &&
        strcmp(g->resume, o->std.output) == 0 && access(g->resume, F_OK) != 0)
        g->resume = NULL;
}

int
bs_gen_parse(struct bs_gen_command_options *o, int argc, char *argv[])
{
    struct bs_gen_options *g = &o->gen;
    struct bs_diffusion_options *m = &g->model;
    struct raw raw = {.preset = -1, .scheduler = -1, .guidance = NAN};
    const struct bs_opt opt[] = {
        OPT_FILE('m', "model", "folder", &g->folder,
                 "text-to-image model, as the hub lays it out"),
        OPT_FILE(0, "unet", "folder", &m->unet,
                 "take the UNet from another folder"),
        OPT_STR(0, "variant", "name", &m->variant,
                "prefer weight files of this variant, as fp16"),
        OPT_ENUM(0, "preset", "name", &raw.preset, preset_names,
                 "paper: 512 x 512 pixels, 50 steps, guidance 7.5"),
        OPT_STR(0, "size", "WxH", &raw.size,
                "pixels of an image (default: the model's)"),
        OPT_U64(0, "steps", "n", &raw.steps, 1, 1000,
                "steps of the scheduler (default 50)"),
        OPT_F64('g', "guidance", "scale", &raw.guidance,
                "classifier-free guidance (default 7.5; 1: none)"),
        OPT_STR(0, "negative", "text", &m->negative,
                "caption to be led away from (default: empty)"),
        OPT_ENUM(0, "scheduler", "name", &raw.scheduler, scheduler_names,
                 "in place of the model's: pndm, ddim, dpmpp, euler, unipc"),
        OPT_F64(0, "eta", "share", &m->eta,
                "noise that ddim adds at each step, 0 to 1 (default 0)"),
        OPT_U64(0, "seed", "n", &g->seed, 0, UINT64_MAX,
                "of the noise (default 0)"),
        OPT_ENUM(0, "seed-mode", "how", &raw.seeds, bs_gen_seeds_names,
                 "hash of seed and key (default), torch: one generator, "
                 "record"),
        OPT_ENUM(0, "noise", "kind", &raw.noise, noise_names,
                 "torch-cpu (default), torch-cpu-f16, torch-cuda, record"),
        OPT_U64(0, "per-caption", "n", &raw.per_caption, 1, 1000000,
                "images of each caption, under KEY/0, KEY/1, ..."),
        OPT_ENUM('f', "format", "format", &raw.format, bs_gen_format_names,
                 "of the images: png (default), jpg75, webp, rgb"),
        OPT_FLAG(0, "latents", &g->latents,
                 "write the latents of each image, too"),
        OPT_ENUM(0, "safety", "what", &raw.safety, bs_gen_safety_names,
                 "with images that the checker flags: drop (default), "
                 "black, keep"),
        OPT_ENUM(0, "tokenizer", "rules", &raw.tokenizer, tokenizer_names,
                 "of captions: auto (default), slow, fast"),
        OPT_ENUM('i', "input-format", "format", &raw.list,
                 bs_table_format_names,
                 "of lists: auto (default), lines, tsv, csv, jsonl"),
        OPT_STR(0, "caption-column", "name", &o->columns.caption,
                "column of captions"),
        OPT_STR(0, "key-column", "name", &o->columns.key, "column of keys"),
        OPT_ENUM(0, "on-error", "what", &raw.on_error, on_error_names,
                 "at a record without a caption: skip (default), fail"),
        OPT_ENUM(0, "math", "type", &raw.math, math_names,
                 "type to compute in: f32 (default), bf16"),
        OPT_U64(0, "batch", "n", &raw.batch, 1, 1024,
                "images at once (default 1; never changes the output)"),
        OPT_FILE(0, "resume", "file", &g->resume,
                 "take over what an earlier run wrote"),
        OPT_FILES(0, "tap", "block@steps[:side]", &o->taps,
                  "write what a transformer block adds, to --tap-file"),
        OPT_FILE(0, "tap-file", "file", &o->tap_file,
                 "features of --tap, which appear when complete"),
        OPT_ENUM(0, "tap-dtype", "type", &raw.tap_dtype, dtype_names,
                 "type of these: f16 (default), f32, bf16"),
        OPT_FILES(0, "steer", "file", &o->steers,
                  "add concepts to what a transformer block adds"),
        BS_STD_THREADS(&o->std),
        BS_STD_DEVICE(&o->std),
        BS_STD_WAIT_GPU(&o->std),
        BS_STD_SELECT(&o->std),
        BS_STD_INPUT(&o->std),
        BS_STD_OUTPUT(&o->std),
        OPT_DONE};
    const struct bs_cmd cmd = {.name = "bs-gen",
                               .synopsis = "-m folder [options] [input ...]",
                               .brief = "captions to images",
                               .opt = opt,
                               .features = bs_std_features};
    int operand = bs_std_parse(&cmd, &o->std, argc, argv);

    settle(&cmd, o, &raw);
    check(&cmd, o);
    return operand;
}
