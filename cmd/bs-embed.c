/*
 * bs-embed - images to DINOv2 features
 *
 * Reads records of images and writes, under the same keys and with the same
 * metadata, records of features: one token a row.  Each segment of the input
 * becomes one of the output.  Memory: the model and a few batches of images.
 */
#include "cmd/models/embed_run.h"
#include "cmd/shared.h"

enum { WARNINGS_MAX = 20 };

enum { ON_ERROR_SKIP, ON_ERROR_FAIL };

struct command {
    struct bs_std std;
    struct bs_embed_options options;
    int on_error;
    struct bs_out out;
    struct bs_progress progress;
    struct bs_embed_run run;
    struct bs_relay relay;
    uint64_t skipped;
};

static void
check(int r, const struct bs_err *e)
{
    if (r < 0)
        bs_die_err(e, NULL);
}

static int
on_record(void *arg, const struct bs_doc *rec)
{
    struct command *c = arg;

    if (bs_writer_record(c->relay.writer, rec) < 0)
        bs_std_write_failed(&c->out, c->relay.writer);
    bs_progress_step(&c->progress, c->progress.done + 1);
    return 0;
}

static int
on_skipped(void *arg, const char *key, const char *why)
{
    struct command *c = arg;

    if (c->on_error == ON_ERROR_FAIL)
        bs_die(BS_EX_DATA, "record '%s': %s", key, why);
    if (c->skipped++ < WARNINGS_MAX)
        bs_warn("record '%s' skipped: %s", key, why);
    return 0;
}

static void
fill_head(void *arg, struct bs_doc *head, const struct bs_doc *parent)
{
    const struct command *c = arg;

    bs_std_head(head, &c->std, "feature", bs_embed_params(c->run.embed),
                parent);
}

static bool
wanted(void *arg, const char *key)
{
    const struct command *c = arg;

    return bs_std_mine(&c->std, key);
}

/* Options into c; the index of the first operand. */
static int
parse(struct command *c, int argc, char *argv[])
{
    static const char *const dtypes[] = {"f16", "f32", "bf16", NULL};
    static const enum bs_dtype types[] = {BS_DTYPE_F16, BS_DTYPE_F32,
                                          BS_DTYPE_BF16};
    static const char *const maths[] = {"f32", "bf16", NULL};
    static const char *const on_error[] = {"skip", "fail", NULL};
    struct bs_embed_options *o = &c->options;
    uint64_t size = 224, resize = 0, batch = 0;
    int dtype = 0, math = 0, which = 0, operand;

    const struct bs_opt opt[] = {
        OPT_FILE('m', "model", "path", &o->model,
                 "folder (or file) of the model's safetensors"),
        OPT_ENUM(0, "tokens", "which", &which, bs_embed_tokens_names,
                 "rows to write: all (default), patch, cls"),
        OPT_ENUM(0, "dtype", "type", &dtype, dtypes,
                 "type to write: f16 (default), f32, bf16"),
        OPT_ENUM(0, "math", "type", &math, maths,
                 "type to compute in: f32 (default), bf16"),
        OPT_U64(0, "size", "pixels", &size, 1, 8192,
                "side of the square that is seen (default 224)"),
        OPT_U64(0, "resize", "pixels", &resize, 1, 16384,
                "shorter side before the crop (default 8/7 size)"),
        OPT_ENUM(0, "on-error", "what", &c->on_error, on_error,
                 "at a bad image: skip (default), fail"),
        OPT_U64(0, "batch", "n", &batch, 1, 4096,
                "images at once (never changes the output)"),
        BS_STD_THREADS(&c->std),
        BS_STD_DEVICE(&c->std),
        BS_STD_WAIT_GPU(&c->std),
        BS_STD_SELECT(&c->std),
        BS_STD_INPUT(&c->std),
        BS_STD_OUTPUT(&c->std),
        OPT_DONE};
    const struct bs_cmd cmd = {.name = "bs-embed",
                               .synopsis = "-m path [options] [input ...]",
                               .brief = "images to DINOv2 features",
                               .opt = opt,
                               .features = bs_std_features};

    operand = bs_std_parse(&cmd, &c->std, argc, argv);
    if (o->model == NULL)
        bs_opt_misuse(&cmd, "no model: '-m' is needed");
    o->pixels.size = (size_t)size;
    o->pixels.resize = (size_t)(resize > 0 ? resize : size * 8 / 7);
    if (o->pixels.resize < o->pixels.size)
        bs_opt_misuse(&cmd, "'--resize' is less than the size, %ju",
                      (uintmax_t)size);
    o->tokens = (enum bs_embed_tokens)which;
    o->dtype = types[dtype];
    o->math = (enum bs_math)math;
    o->batch = (size_t)batch;
    o->threads = (unsigned)c->std.threads;
    o->digest = c->std.provenance;
    c->relay.command = c;
    c->run.provenance = c->relay.provenance = c->std.provenance;
    c->relay.limit = c->std.limit;
    return operand;
}

static int
finish(struct command *c)
{
    bool stopped = c->relay.stopped;

    bs_progress_end(&c->progress);
    if (c->skipped > WARNINGS_MAX)
        bs_warn("%ju records skipped in all", (uintmax_t)c->skipped);
    if (c->run.overflows > 0)
        bs_warn("%ju values are too large for F16 and became infinity; "
                "'--dtype=f32' keeps them",
                (uintmax_t)c->run.overflows);
    if (stopped)
        bs_warn("ended early: %s", bs_stop_reason());
    return bs_std_close(&c->out, c->relay.writer,
                        stopped ? BS_EX_TEMPFAIL : BS_EX_OK);
}

int
main(int argc, char *argv[])
{
    struct command c = {.std = BS_STD_DEFAULT,
                        .relay = {.head = fill_head, .wanted = wanted}};
    const struct bs_embed_sink sink = {on_record, on_skipped, &c};
    const struct bs_stage stage = bs_embed_stage(&c.run);
    struct bs_dev *dev;
    struct bs_err e = {0};
    int i = parse(&c, argc, argv);

    c.relay.stage = &stage;
    bs_std_open(&c.out, &c.relay.writer, &c.std);
    check(bs_dev_open_alone(&dev, c.std.device, c.options.threads,
                            c.std.wait_gpu, &e),
          &e);
    if (bs_prog_verbose() > 1) /* it looks for libraries */
        bs_info("%s", bs_dev_describe(dev));
    check(bs_embed_open(&c.run.embed, &c.options, &sink, dev, &e), &e);
    bs_info("%s", bs_embed_describe(c.run.embed));
    bs_progress_start(&c.progress, "images", 0, c.std.progress);
    bs_std_relay(&c.relay, &c.out, &c.std, argc - i, argv + i);
    bs_embed_close(c.run.embed);
    bs_dev_close(dev);
    return finish(&c);
}
