/*
 * sae-encode.c - bs-sae encode: features to sparse codes.
 *
 * Memory: the model, twice for the device, and two batches of tokens.
 */
#include <stdio.h>

#include "cmd/models/sae_encode.h"
#include "cmd/sae-commands.h"
#include "cmd/sae-select.h"
#include "cmd/shared.h"

struct command {
    struct bs_std std;
    const char *model;
    struct bs_sae_choice choice;
    int dtype;
    struct bs_sae sae;
    struct bs_out out;
    struct bs_relay relay;
    struct bs_progress progress;
    char params[200];
};

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

    bs_std_head(head, &c->std, "code", c->params, parent);
}

static bool
wanted(void *arg, const char *key)
{
    struct command *c = arg;

    bs_progress_step(&c->progress, c->relay.taken);
    return bs_std_mine(&c->std, key);
}

/* Options into c and the model read; the index of the first operand. */
static int
parse(struct command *c, int argc, char *argv[])
{
    static const char *const dtypes[] = {"f16", "f32", NULL};
    const struct bs_opt opt[] = {
        OPT_FILE('m', "model", "file", &c->model, "the model, of bs-model(5)"),
        BS_SAE_CHOICE(&c->choice),
        OPT_ENUM(0, "dtype", "type", &c->dtype, dtypes,
                 "type of the values: f16 (default), f32"),
        BS_STD_THREADS(&c->std),
        BS_STD_DEVICE(&c->std),
        BS_STD_WAIT_GPU(&c->std),
        BS_STD_SELECT(&c->std),
        BS_STD_INPUT(&c->std),
        BS_STD_OUTPUT(&c->std),
        OPT_DONE};
    const struct bs_cmd cmd = {.name = "bs-sae encode",
                               .synopsis = "-m file [options] [input ...]",
                               .brief = "features to sparse codes",
                               .opt = opt,
                               .features = bs_std_features};
    struct bs_err e = {0};
    int operand = bs_std_parse(&cmd, &c->std, argc, argv);

    if (c->model == NULL)
        bs_opt_misuse(&cmd, "no model: '-m' is needed");
    check(bs_sae_load(&c->sae, c->model, &e), &e);
    bs_sae_choose(&cmd, &c->choice, &c->sae);
    if (c->sae.select == BS_SAE_TOPK)
        snprintf(c->params, sizeof c->params,
                 "{\"dtype\":\"%s\",\"k\":%ju,\"select\":\"topk\"}",
                 dtypes[c->dtype], (uintmax_t)c->sae.k);
    else
        snprintf(c->params, sizeof c->params,
                 "{\"dtype\":\"%s\",\"select\":\"%s\",\"tau\":%.9g}",
                 dtypes[c->dtype], bs_sae_select_names[c->sae.select],
                 (double)c->sae.tau);
    c->relay.command = c;
    c->relay.provenance = c->std.provenance;
    c->relay.limit = c->std.limit;
    return operand;
}

static int
finish(struct command *c, const struct bs_sae_encode_stats *total)
{
    bool stopped = c->relay.stopped;

    bs_progress_end(&c->progress);
    bs_info("%ju records, %ju tokens, %.3f codes a token",
            (uintmax_t)total->records, (uintmax_t)total->tokens,
            total->tokens > 0 ? (double)total->codes / (double)total->tokens
                              : 0.0);
    if (total->vanished > 0)
        bs_warn("%ju codes are too small for F16 and were left out; "
                "'--dtype=f32' keeps them",
                (uintmax_t)total->vanished);
    if (stopped)
        bs_warn("ended early: %s", bs_stop_reason());
    return bs_std_close(&c->out, c->relay.writer,
                        stopped ? BS_EX_TEMPFAIL : BS_EX_OK);
}

int
bs_sae_encode_main(int argc, char *argv[])
{
    struct command c = {.std = BS_STD_DEFAULT,
                        .choice = BS_SAE_CHOICE_DEFAULT,
                        .relay = {.head = fill_head, .wanted = wanted}};
    struct bs_sae_encode_options options = {0};
    struct bs_sae_encode_stats total;
    struct bs_sae_encode *encode;
    struct bs_stage stage;
    struct bs_dev *dev;
    struct bs_err e = {0};
    int i = parse(&c, argc, argv);

    options.dtype = c.dtype == 0 ? BS_DTYPE_F16 : BS_DTYPE_F32;
    options.digest = c.std.provenance;
    bs_std_open(&c.out, &c.relay.writer, &c.std);
    check(bs_dev_open_alone(&dev, c.std.device, (unsigned)c.std.threads,
                            c.std.wait_gpu, &e),
          &e);
    check(
        bs_sae_encode_open(&encode, &c.sae, &options, dev, c.relay.writer, &e),
        &e);
    stage = bs_sae_encode_stage(encode);
    c.relay.stage = &stage;
    bs_progress_start(&c.progress, "records", 0, c.std.progress);
    bs_std_relay(&c.relay, &c.out, &c.std, argc - i, argv + i);
    total = *bs_sae_encode_total(encode);
    bs_sae_encode_close(encode);
    bs_sae_release(&c.sae);
    bs_dev_close(dev);
    return finish(&c, &total);
}
