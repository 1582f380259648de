/*
 * eval-options.c - see eval-options.h.
 */
#include "cmd/eval-options.h"

#include "cmd/sae-select.h"

/* Options that become something else once all are read. */
struct options {
    const char *model, *metrics, *columns;
    struct bs_sae_choice choice;
    int format;
};

static void
check(int r, const struct bs_err *e)
{
    if (r < 0)
        bs_die_err(e, NULL);
}

static bool
is_stdout(const char *path)
{
    return path == NULL || strcmp(path, "-") == 0;
}

/* ---- options that do not go together -------------------------------------
 */

static void
check_options(const struct bs_cmd *cmd, const struct bs_eval_options *o,
              const struct options *x, int operands)
{
    size_t i, j;

    if (x->model == NULL)
        bs_opt_misuse(cmd, "no model: '-m' is needed");
    if (x->columns != NULL && o->concepts == NULL)
        bs_opt_misuse(cmd, "'--columns' are those of '--per-concept'");
    if (o->concepts != NULL && is_stdout(o->concepts) &&
        is_stdout(o->std.output))
        bs_opt_misuse(cmd, "one of '--output' and '--per-concept' goes to a "
                           "file");
    for (i = 0; i < o->against.count; i++)
        for (j = 0; j < i; j++)
            if (strcmp(o->against.item[i], o->against.item[j]) == 0)
                bs_opt_misuse(cmd, "'--against=%s' comes twice",
                              o->against.item[i]);
    if (o->metrics.named && o->against.count == 0 &&
        bs_metric_wanted(&o->metrics, BS_GROUP_MATCH))
        bs_opt_misuse(cmd, "metrics of a match need '--against'");
    if (!o->features && (operands > 0 || x->choice.select >= 0 ||
                         x->choice.k > 0 || !isnan(x->choice.tau)))
        bs_opt_misuse(cmd, "no metric that is asked for needs features");
}

/* ---- models ---------------------------------------------------------------
 */

static void
load_others(struct bs_eval_options *o)
{
    struct bs_err e = {0};
    size_t i;

    o->other = bs_alloc_array(o->against.count, sizeof *o->other);
    if (o->other == NULL)
        bs_die(BS_EX_OSERR, "out of memory");
    for (i = 0; i < o->against.count; i++) {
        check(bs_sae_load(&o->other[i], o->against.item[i], &e), &e);
        bs_sae_release_encoder(&o->other[i]);
        if (o->other[i].width != o->sae.width)
            bs_die(BS_EX_DATA,
                   "'%s': a dictionary of width %zu, but the "
                   "model's is %zu",
                   o->against.item[i], o->other[i].width, o->sae.width);
    }
}

/* ---- from options to a run -----------------------------------------------
 */

static void
choose_metrics(const struct bs_cmd *cmd, struct bs_eval_options *o,
               const char *names)
{
    struct bs_err e = {0};

    if (bs_metric_choose(&o->metrics, names, &e) < 0)
        bs_opt_misuse(cmd, "%s", e.text);
    o->features = bs_metric_needs_features(&o->metrics);
}

static void
choose_columns(const struct bs_cmd *cmd, struct bs_eval_options *o,
               const char *names)
{
    struct bs_eval_findings labels = {.others = o->against.count};
    struct bs_err e = {0};
    size_t i;

    labels.other = bs_alloc_array(labels.others, sizeof *labels.other);
    if (labels.other == NULL)
        bs_die(BS_EX_OSERR, "out of memory");
    for (i = 0; i < labels.others; i++)
        labels.other[i].label = o->against.item[i];
    if (bs_eval_concept_columns(&o->columns, names, &o->metrics, &labels, &e) <
        0)
        bs_opt_misuse(cmd, "%s", e.text);
    bs_free(labels.other);
}

int
bs_eval_command_line(struct bs_eval_options *o, int argc, char *argv[])
{
    static const char *const names[] = {"auto", "tsv", "jsonl", "table", NULL};
    static const enum bs_report_format formats[] = {
        BS_REPORT_TSV, BS_REPORT_TSV, BS_REPORT_JSONL, BS_REPORT_TABLE};
    struct options x = {.choice = BS_SAE_CHOICE_DEFAULT};
    struct bs_std *std = &o->std;
    struct bs_err e = {0};
    int operand;

    /* clang-format off */
    const struct bs_opt opt[] = {
        OPT_FILE('m', "model", "file", &x.model, "the model, of bs-model(5)"),
        OPT_FILES('a', "against", "file", &o->against, "another model to compare with (may be repeated)"),
        OPT_STR(0, "metrics", "name,...", &x.metrics, "these metrics, or groups of them (default: all)"),
        OPT_FILE(0, "per-concept", "file", &o->concepts, "also write a row of numbers a concept"),
        OPT_STR(0, "columns", "name,...", &x.columns, "show these columns of concepts"),
        OPT_ENUM('f', "format", "name", &x.format, names, "auto (table on a terminal, else tsv), tsv, jsonl, table"),
        BS_SAE_CHOICE(&x.choice),
        BS_STD_THREADS(std),
        BS_STD_DEVICE(std),
        BS_STD_WAIT_GPU(std),
        BS_STD_SELECT(std),
        OPT_SIZE(0, "memory", "size", &std->memory, 1 << 20, UINT64_MAX, "bound of a record, and of pairs of concepts (default 1G)"),
        OPT_FLAG(0, "allow-partial", &std->allow_partial, "accept input that ended early"),
        OPT_FILE('o', "output", "file", &std->output, "write to file, which appears when complete"),
        OPT_NEGATE("progress", &std->progress, "show progress on stderr (default: on a terminal)"),
        OPT_FLAG('q', "quiet", &std->quiet, "print errors only"),
        OPT_COUNT('v', "verbose", &std->verbose, "say what is done"),
        OPT_DONE,
    };
    /* clang-format on */
    const struct bs_cmd cmd = {
        .name = "bs-sae eval",
        .synopsis = "-m file [options] [input ...]",
        .brief = "metrics of an autoencoder and its dictionary",
        .opt = opt,
        .features = bs_std_features,
    };

    operand = bs_std_parse(&cmd, std, argc, argv);
    choose_metrics(&cmd, o, x.metrics);
    check_options(&cmd, o, &x, argc - operand);
    o->format = formats[x.format];
    o->automatic = x.format == 0;
    if (o->concepts != NULL)
        choose_columns(&cmd, o, x.columns);
    check(bs_sae_load(&o->sae, x.model, &e), &e);
    if (o->features)
        bs_sae_choose(&cmd, &x.choice, &o->sae);
    load_others(o);
    return operand;
}
