/*
 * rank-options.c - see rank-options.h.
 */
#include "cmd/rank-options.h"

#include <math.h>

enum { PLACES = 10, SHEETS = 100, SIDE = 128 };

enum { PAIRS_NONE, PAIRS_DIVERGENT, PAIRS_IDENTICAL };

/* Options that become something else once all are read. */
struct options {
    bool correlate, merge;
    int pairs, by, fdr, format; /* by -1: the usual */
    uint64_t top, side;
};

/* ---- options that do not go together -------------------------------------
 */

static void
check_lists(const struct bs_cmd *cmd, const struct bs_rank_options *o,
            const struct options *x)
{
    if (o->universal + o->specific + x->correlate + (x->pairs != PAIRS_NONE) >
        1)
        bs_opt_misuse(cmd, "'--universal', '--specific', '--pairs' and "
                           "'--correlate' exclude each other");
    if (!(o->below <= 0.5 && o->above >= 0.5))
        bs_opt_misuse(cmd, "'--below' is at most 0.5, '--above' at least 0.5");
    if (!(o->margin > 0 && o->margin < 0.5))
        bs_opt_misuse(cmd, "'--margin' is between 0 and 0.5");
    if (x->correlate && x->by >= BS_RANK_BY_Q)
        bs_opt_misuse(cmd, "models are correlated by delta, raw or relative");
}

static void
check_images(const struct bs_cmd *cmd, const struct bs_rank_command *c,
             const struct options *x)
{
    const struct bs_sheet_options *sheet = &c->run.sheet;
    const char *const *codes = c->run.codes, *const *images = sheet->images;
    bool pairs = x->pairs != PAIRS_NONE;
    bool wanted = c->partial || x->top > 0 || (sheet->folder && !pairs);

    if ((codes[0] != NULL) != (codes[1] != NULL) ||
        (images[0] != NULL) != (images[1] != NULL))
        bs_opt_misuse(cmd, "a real and a generated stream go together");
    if ((sheet->folder != NULL) != (images[0] != NULL))
        bs_opt_misuse(cmd, "'--sheets', '--real-images' and '--gen-images' "
                           "go together");
    if ((wanted || sheet->heat) && (x->correlate || pairs))
        bs_opt_misuse(cmd, "'--top', '--partial' and '--heat' belong to lists "
                           "of concepts");
    if (x->merge && (codes[0] != NULL || c->partial))
        bs_opt_misuse(cmd, "'--merge' takes parts instead of codes");
    if (wanted && codes[0] == NULL && !x->merge)
        bs_opt_misuse(cmd, "images are found in codes: '--real-codes' and "
                           "'--gen-codes' are needed");
    if (!wanted && (codes[0] != NULL || x->merge))
        bs_opt_misuse(cmd, "codes and parts are for '--top', '--sheets' and "
                           "'--partial'");
    if (sheet->heat && (sheet->folder == NULL || x->merge))
        bs_opt_misuse(cmd, "'--heat' needs '--sheets' and codes");
}

/* ---- from options to a run -----------------------------------------------
 */

static enum bs_rank_what
what_of(const struct options *x)
{
    if (x->correlate)
        return BS_RANK_CORRELATE;
    if (x->pairs != PAIRS_NONE)
        return x->pairs == PAIRS_DIVERGENT ? BS_RANK_DIVERGENT
                                           : BS_RANK_IDENTICAL;
    return x->top > 0 ? BS_RANK_TOPS : BS_RANK_CONCEPTS;
}

static void
settle(struct bs_rank_command *c, const struct options *x)
{
    static const enum bs_report_format formats[] = {
        BS_REPORT_TSV, BS_REPORT_TSV, BS_REPORT_JSONL, BS_REPORT_TABLE};
    struct bs_rank_run *run = &c->run;
    struct bs_rank_options *o = &run->options;

    run->what = what_of(x);
    o->by = x->by >= 0     ? (enum bs_rank_by)x->by
            : x->correlate ? BS_RANK_BY_RELATIVE
                           : BS_RANK_BY_DELTA;
    o->fdr = (enum bs_rank_fdr)x->fdr;
    if (o->specific && isnan(o->max_q))
        o->max_q = 0.05;
    if (run->sheet.folder != NULL && o->limit == UINT64_MAX)
        o->limit = SHEETS;
    run->places = x->top > 0 ? (size_t)x->top : PLACES;
    run->sheet.side = (size_t)x->side;
    run->input.flags = c->std.allow_partial ? BS_READER_PARTIAL : 0;
    run->input.max_record = (size_t)c->std.memory;
    run->output.format = formats[x->format];
    c->automatic = x->format == 0;
}

/* The operands: energies, and with --merge the parts; none with --partial. */
static void
take_operands(const struct bs_cmd *cmd, struct bs_rank_command *c, bool merge,
              int argc, char *argv[])
{
    if (c->partial && argc > 0)
        bs_opt_misuse(cmd, "'--partial' reads codes only, not '%s'", argv[0]);
    if (merge && argc < 2)
        bs_opt_misuse(cmd, "'--merge' reads energies and parts");
    if (!merge && argc > 1)
        bs_opt_misuse(cmd, "one stream of energies at a time");
    c->run.energy = argc > 0 ? argv[0] : "-";
    c->run.part = (const char *const *)argv + 1;
    c->run.parts = merge ? (size_t)argc - 1 : 0;
}

void
bs_rank_command_line(struct bs_rank_command *c, int argc, char *argv[])
{
    static const char *const pairs[] = {"none", "divergent", "identical", NULL};
    static const char *const formats[] = {"auto", "tsv", "jsonl", "table",
                                          NULL};
    struct bs_rank_run *run = &c->run;
    struct bs_rank_options *o = &run->options;
    struct options x = {.by = -1, .side = SIDE};
    int first;

    /* clang-format off */
    const struct bs_opt opt[] = {
        OPT_FLAG(0, "suppressed", &o->suppressed, "list concepts that generated images lack"),
        OPT_FLAG(0, "exaggerated", &o->exaggerated, "list concepts that generated images overdo"),
        OPT_FLAG(0, "universal", &o->universal, "list those that are so in every model"),
        OPT_FLAG(0, "specific", &o->specific, "list those of one model that the others are free of"),
        OPT_ENUM(0, "pairs", "which", &x.pairs, pairs, "list the most divergent or identical pairs"),
        OPT_FLAG(0, "correlate", &x.correlate, "correlate models: Pearson and Spearman"),
        OPT_STR('m', "model", "label,...", &run->models, "list these models (default: all)"),
        OPT_STR(0, "concepts", "n,...", &run->concepts, "look at these concepts (default: all)"),
        OPT_F64(0, "below", "delta", &o->below, "suppressed is below this (default 0.1)"),
        OPT_F64(0, "above", "delta", &o->above, "exaggerated is above this (default 0.9)"),
        OPT_F64(0, "max-q", "q", &o->max_q, "and q is at most this"),
        OPT_ENUM(0, "fdr", "method", &x.fdr, bs_rank_fdr_names, "which q: bh (default), by, maxt"),
        OPT_F64(0, "margin", "delta", &o->margin, "free of: delta is within this of 0.5 (default 0.1)"),
        OPT_U64(0, "min-images", "n", &o->min_images, 0, UINT64_MAX, "leave out concepts that fire in fewer images"),
        OPT_ENUM(0, "by", "what", &x.by, bs_rank_by_names, "rank by delta (default), raw, relative, q, concept"),
        OPT_U64('n', "limit", "count", &o->limit, 0, UINT64_MAX, "list so many of each model at most"),
        OPT_STR(0, "columns", "name,...", &run->output.columns, "show these columns"),
        OPT_ENUM('f', "format", "name", &x.format, formats, "auto (table on a terminal, else tsv), tsv, jsonl, table"),
        OPT_U64(0, "top", "n", &x.top, 1, BS_TOP_MAX, "list the n top images of each concept instead"),
        OPT_FILE(0, "real-codes", "file", &run->codes[BS_SIDE_REAL], "codes of the real images"),
        OPT_FILE(0, "gen-codes", "file", &run->codes[BS_SIDE_GEN], "codes of the generated images"),
        OPT_FLAG(0, "partial", &c->partial, "write the top images of a part, for --merge"),
        OPT_FLAG(0, "merge", &x.merge, "read parts (behind the energies) instead of codes"),
        OPT_FILE(0, "sheets", "folder", &run->sheet.folder, "write a contact sheet of each concept, as PNG"),
        OPT_FILE(0, "real-images", "file", &run->sheet.images[BS_SIDE_REAL], "the real images"),
        OPT_FILE(0, "gen-images", "file", &run->sheet.images[BS_SIDE_GEN], "the generated images"),
        OPT_FLAG(0, "heat", &run->sheet.heat, "show on the sheets where the concept is"),
        OPT_U64(0, "side", "pixels", &x.side, 32, 512, "side of a picture on a sheet (default 128)"),
        OPT_DONE,
    };
    /* clang-format on */
    const struct bs_opt shared[] = {BS_STD_INPUT(&c->std),
                                    BS_STD_OUTPUT(&c->std), OPT_DONE};
    const struct bs_cmd cmd = {
        .name = "bs-rank",
        .synopsis = "[options] [energies [part ...]]",
        .brief = "rank concepts by how wrong a generator gets them",
        .opt = opt,
        .shared = shared,
        .features = bs_std_features,
    };

    first = bs_std_parse(&cmd, &c->std, argc, argv);
    check_lists(&cmd, o, &x);
    check_images(&cmd, c, &x);
    settle(c, &x);
    take_operands(&cmd, c, x.merge, argc - first, argv + first);
}
