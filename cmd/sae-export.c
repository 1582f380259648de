/*
 * sae-export.c - bs-sae export: models as other programs' files.
 */
#include <stdio.h>
#include <unistd.h>

#include "cmd/models/sae_export.h"
#include "cmd/sae-commands.h"
#include "cmd/shared.h"

struct command {
    struct bs_std std;
    const char *model;
    int to;
};

static void
check(int r, const struct bs_err *e)
{
    if (r < 0)
        bs_die_err(e, NULL);
}

static void
check_options(const struct bs_cmd *cmd, const struct command *c)
{
    const char *output = c->std.output;
    bool pipe = output == NULL || strcmp(output, "-") == 0;

    if (c->model == NULL)
        bs_opt_misuse(cmd, "no model: '-m' is needed");
    if (c->to == BS_SAE_FORMAT_AUTO)
        bs_opt_misuse(cmd, "no format: '--to' is needed");
    if (pipe && bs_sae_export_folder((enum bs_sae_format)c->to))
        bs_opt_misuse(cmd, "'--to=%s' makes a folder: '-o' is needed",
                      bs_sae_format_names[c->to]);
    if (pipe && isatty(STDOUT_FILENO) == 1)
        bs_die(BS_EX_USAGE, "a model is not written to a terminal; use "
                            "'-o file' or a pipe");
}

static void
parse(struct command *c, int argc, char *argv[])
{
    const struct bs_opt opt[] = {
        OPT_FILE('m', "model", "file", &c->model, "the model, of bs-model(5)"),
        OPT_ENUM(0, "to", "format", &c->to, bs_sae_format_names + 1,
                 "sparsify, saelens (folders), openai, overcomplete (files)"),
        OPT_FILE('o', "output", "path", &c->std.output,
                 "the file, or the folder"),
        OPT_NEGATE("provenance", &c->std.provenance,
                   "record how the output was made"),
        OPT_FLAG('q', "quiet", &c->std.quiet, "print errors only"),
        OPT_COUNT('v', "verbose", &c->std.verbose, "say what was written"),
        OPT_DONE};
    const struct bs_cmd cmd = {.name = "bs-sae export",
                               .synopsis = "-m file --to=format [options]",
                               .brief = "models as other programs' files",
                               .opt = opt,
                               .features = bs_std_features};
    int operand;

    c->to = -1;
    operand = bs_std_parse(&cmd, &c->std, argc, argv);
    c->to++; /* the list's first name, "auto", is no choice here */
    if (operand < argc)
        bs_opt_misuse(&cmd, "'%s' is too much: the model is '-m'",
                      argv[operand]);
    check_options(&cmd, c);
}

static void
set_provenance(struct bs_doc *more, const struct command *c,
               const struct bs_sae *s)
{
    struct bs_err e = {0};

    check(bs_doc_set(more, "bs.tool", bs_opt_version(), &e), &e);
    check(bs_doc_setf(more, "bs.params", &e, "{\"model\":\"%s\",\"to\":\"%s\"}",
                      s->sha256, bs_sae_format_names[c->to]),
          &e);
}

int
bs_sae_export_main(int argc, char *argv[])
{
    struct command c = {.std = BS_STD_DEFAULT};
    struct bs_doc more = {0};
    struct bs_sae sae;
    struct bs_err e = {0};

    parse(&c, argc, argv);
    check(bs_sae_load(&sae, c.model, &e), &e);
    if (c.std.provenance)
        set_provenance(&more, &c, &sae);
    check(
        bs_sae_export(&sae, (enum bs_sae_format)c.to, &more, c.std.output, &e),
        &e);
    bs_info("%s: %zu concepts of width %zu", bs_sae_format_names[c.to],
            sae.concepts, sae.width);
    bs_doc_release(&more);
    bs_sae_release(&sae);
    return bs_finish(BS_EX_OK);
}
