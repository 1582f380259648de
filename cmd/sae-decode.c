/*
 * sae-decode.c - bs-sae decode: sparse codes to features.
 */
#include <stdio.h>

#include "cmd/models/sae_decode.h"
#include "cmd/sae-commands.h"
#include "cmd/shared.h"

struct command {
    struct bs_std std;
    const char *model;
    int dtype;
    struct bs_out out;
    struct bs_relay relay;
    struct bs_progress progress;
};

static const char *const dtypes[] = {"f32", "f16", "bf16", NULL};

static void
check(int r, const struct bs_err *e)
{
    if (r < 0)
        bs_die_err(e, NULL);
}

static void
fill_head(void *arg, struct bs_doc *head, const struct bs_doc *parent)
{
    const struct command *c = arg;
    char params[40];

    snprintf(params, sizeof params, "{\"dtype\":\"%s\"}", dtypes[c->dtype]);
    bs_std_head(head, &c->std, "feature", params, parent);
}

static bool
wanted(void *arg, const char *key)
{
    struct command *c = arg;

    bs_progress_step(&c->progress, c->relay.taken);
    return bs_std_mine(&c->std, key);
}

static int
parse(struct command *c, int argc, char *argv[])
{
    const struct bs_opt opt[] = {
        OPT_FILE('m', "model", "file", &c->model, "the model, of bs-model(5)"),
        OPT_ENUM(0, "dtype", "type", &c->dtype, dtypes,
                 "type to write: f32 (default), f16, bf16"),
        BS_STD_THREADS(&c->std),
        BS_STD_DEVICE(&c->std),
        BS_STD_WAIT_GPU(&c->std),
        BS_STD_SELECT(&c->std),
        BS_STD_INPUT(&c->std),
        BS_STD_OUTPUT(&c->std),
        OPT_DONE};
    const struct bs_cmd cmd = {.name = "bs-sae decode",
                               .synopsis = "-m file [options] [input ...]",
                               .brief = "sparse codes to features",
                               .opt = opt,
                               .features = bs_std_features};
    int operand = bs_std_parse(&cmd, &c->std, argc, argv);

    if (c->model == NULL)
        bs_opt_misuse(&cmd, "no model: '-m' is needed");
    c->relay.command = c;
    c->relay.provenance = c->std.provenance;
    c->relay.limit = c->std.limit;
    return operand;
}

int
bs_sae_decode_main(int argc, char *argv[])
{
    static const enum bs_dtype types[] = {BS_DTYPE_F32, BS_DTYPE_F16,
                                          BS_DTYPE_BF16};
    struct command c = {.std = BS_STD_DEFAULT,
                        .relay = {.head = fill_head, .wanted = wanted}};
    struct bs_sae sae;
    struct bs_sae_decode *decode;
    struct bs_stage stage;
    struct bs_dev *dev;
    struct bs_err e = {0};
    int i = parse(&c, argc, argv);

    check(bs_sae_load(&sae, c.model, &e), &e);
    bs_std_open(&c.out, &c.relay.writer, &c.std);
    check(bs_dev_open_alone(&dev, c.std.device, (unsigned)c.std.threads,
                            c.std.wait_gpu, &e),
          &e);
    check(bs_sae_decode_open(&decode, &sae, types[c.dtype], dev, c.relay.writer,
                             &e),
          &e);
    stage = bs_sae_decode_stage(decode);
    c.relay.stage = &stage;
    bs_progress_start(&c.progress, "records", 0, c.std.progress);
    bs_std_relay(&c.relay, &c.out, &c.std, argc - i, argv + i);
    bs_progress_end(&c.progress);
    bs_sae_decode_close(decode);
    bs_sae_release(&sae);
    bs_dev_close(dev);
    if (c.relay.stopped)
        bs_warn("ended early: %s", bs_stop_reason());
    return bs_std_close(&c.out, c.relay.writer,
                        c.relay.stopped ? BS_EX_TEMPFAIL : BS_EX_OK);
}
