/*
 * sae-import.c - bs-sae import: autoencoders of other programs, as models.
 *
 * Memory: the model; of a relaxed archetypal dictionary its weights stay on
 * disk.
 */
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "cmd/models/sae_import.h"
#include "cmd/sae-commands.h"
#include "cmd/shared.h"

struct command {
    struct bs_std std;
    struct bs_sae_import_options options;
    int from;
    uint64_t k;
    const char *name;
};

static void
check(int r, const struct bs_err *e)
{
    if (r < 0)
        bs_die_err(e, NULL);
}

static void
check_options(const struct bs_cmd *cmd, struct command *c, int operands)
{
    struct bs_sae_import_options *o = &c->options;

    o->from = (enum bs_sae_format)c->from;
    o->k = (uint32_t)c->k;
    o->threads = (unsigned)c->std.threads;
    if (operands != 1)
        bs_opt_misuse(cmd, operands == 0 ? "nothing to import"
                                         : "one model at a time");
    if (!isnan(o->tau) && !(o->tau > 0))
        bs_opt_misuse(cmd, "'--tau' must be above 0");
    if (!isnan(o->delta) && !(o->delta >= 0))
        bs_opt_misuse(cmd, "'--delta' must not be negative");
    if (c->name != NULL && strlen(c->name) >= sizeof((struct bs_sae *)0)->name)
        bs_opt_misuse(cmd, "'--name' is too long");
}

/* Options into c; the path of what is imported. */
static const char *
parse(struct command *c, int argc, char *argv[])
{
    const struct bs_opt opt[] = {
        OPT_ENUM(0, "from", "format", &c->from, bs_sae_format_names,
                 "sparsify, saelens, openai, overcomplete (default: by name of "
                 "tensors)"),
        OPT_U64('k', "top", "n", &c->k, 1, UINT32_MAX,
                "codes a token, where the file does not say"),
        OPT_F64(0, "tau", "value", &c->options.tau,
                "least code, where the file does not say (overcomplete)"),
        OPT_F64(0, "delta", "value", &c->options.delta,
                "longest relaxation of an archetypal atom (default 1)"),
        OPT_ENUM(0, "atoms", "rule", &c->options.atoms, bs_sae_atoms_names,
                 "norm of atoms: l2 (default), max_l2, l1, max_l1, identity"),
        OPT_FLAG(0, "keep-parts", &c->options.keep_parts,
                 "keep what an archetypal dictionary is made of"),
        OPT_STR(0, "name", "text", &c->name, "what the model calls itself"),
        BS_STD_THREADS(&c->std),
        OPT_FILE('o', "output", "file", &c->std.output,
                 "write to file, which appears when complete"),
        OPT_NEGATE("provenance", &c->std.provenance,
                   "record how the output was made"),
        OPT_FLAG('q', "quiet", &c->std.quiet, "print errors only"),
        OPT_COUNT('v', "verbose", &c->std.verbose, "say what was found"),
        OPT_DONE};
    const struct bs_cmd cmd = {.name = "bs-sae import",
                               .synopsis = "[options] model",
                               .brief = "autoencoders of other programs, as "
                                        "models",
                               .opt = opt,
                               .features = bs_std_features};
    int operand = bs_std_parse(&cmd, &c->std, argc, argv);

    check_options(&cmd, c, argc - operand);
    return argv[operand];
}

/* The options that made a difference, and what was imported. */
static void
set_provenance(struct bs_doc *more, const struct command *c,
               const struct bs_sae_origin *origin)
{
    struct bs_buf json = {0};
    struct bs_err e = {0};
    const struct bs_sae_import_options *o = &c->options;
    int r = bs_buf_str(&json, "{", &e);

    if (r == 0 && o->atoms >= 0)
        r = bs_buf_printf(&json, &e, "\"atoms\":\"%s\",",
                          bs_sae_atoms_names[o->atoms]);
    if (r == 0 && !isnan(o->delta))
        r = bs_buf_printf(&json, &e, "\"delta\":%.9g,", o->delta);
    if (r == 0)
        r = bs_buf_printf(&json, &e, "\"from\":\"%s\"",
                          bs_sae_format_names[origin->format]);
    if (r == 0 && o->k > 0)
        r = bs_buf_printf(&json, &e, ",\"k\":%ju", (uintmax_t)o->k);
    if (r == 0)
        r = bs_buf_printf(&json, &e, ",\"sha256\":\"%s\"", origin->sha256);
    if (r == 0 && !isnan(o->tau))
        r = bs_buf_printf(&json, &e, ",\"tau\":%.9g", o->tau);
    if (r == 0)
        r = bs_buf_str(&json, "}", &e);
    if (r == 0)
        r = bs_buf_add(&json, "", 1, &e);
    if (r == 0)
        r = bs_doc_set(more, "bs.tool", bs_opt_version(), &e);
    if (r == 0)
        r = bs_doc_set(more, "bs.params", (const char *)json.data, &e);
    bs_buf_release(&json);
    check(r, &e);
}

static void
describe(const struct bs_sae *s, const struct bs_sae_origin *origin)
{
    bs_info("%s: %zu concepts of width %zu, %s%s%s",
            bs_sae_format_names[origin->format], s->concepts, s->width,
            bs_sae_select_names[s->select],
            s->ln_g != NULL ? ", layer norm" : "",
            s->ra_c != NULL ? ", archetypal parts kept" : "");
}

int
bs_sae_import_main(int argc, char *argv[])
{
    struct command c = {.std = BS_STD_DEFAULT,
                        .options = {.tau = NAN, .delta = NAN, .atoms = -1}};
    struct bs_sae_origin origin;
    struct bs_doc more = {0};
    struct bs_sae sae;
    struct bs_err e = {0};
    const char *path = parse(&c, argc, argv);

    if ((c.std.output == NULL || strcmp(c.std.output, "-") == 0) &&
        isatty(STDOUT_FILENO) == 1)
        bs_die(BS_EX_USAGE, "a model is not written to a terminal; use "
                            "'-o file' or a pipe");
    check(bs_sae_import(&sae, path, &c.options, &origin, &e), &e);
    if (c.name != NULL)
        snprintf(sae.name, sizeof sae.name, "%s", c.name);
    if (c.std.provenance)
        set_provenance(&more, &c, &origin);
    check(bs_sae_save(&sae, &more, c.std.output, &e), &e);
    describe(&sae, &origin);
    bs_doc_release(&more);
    bs_sae_release(&sae);
    return bs_finish(BS_EX_OK);
}
