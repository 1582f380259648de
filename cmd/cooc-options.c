/*
 * cooc-options.c - see cooc-options.h.
 */
#include "cmd/cooc-options.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cmd/labels.h"
#include "common/num.h"

/* Options that become something else once all are read. */
struct raw {
    int grain, scope, pool, curve, list, by, format; /* list -1: none */
    uint64_t support, partners, changes, vectors;
    const char *tau, *labels;
    int matrix;
};

/* ---- thresholds ----------------------------------------------------------
 */

/* 0, and ten a decade from 1e-8 to 100, as the series R10 rounds them. */
static void
usual_taus(struct bs_cooc_config *c)
{
    static const char *const r10[] = {"1",    "1.25", "1.6", "2",   "2.5",
                                      "3.15", "4",    "5",   "6.3", "8"};
    char text[16];
    int decade;
    size_t i;

    c->tau[c->taus++] = 0;
    for (decade = -8; decade < 2; decade++)
        for (i = 0; i < BS_LEN(r10); i++) {
            snprintf(text, sizeof text, "%se%d", r10[i], decade);
            c->tau[c->taus++] = strtod(text, NULL);
        }
    c->tau[c->taus++] = 100;
}

/* The number at *at, which moves to the ',' or ':' behind it. */
static double
take_number(const struct bs_cmd *cmd, const char **at)
{
    size_t len = strcspn(*at, ",:");
    char text[40];
    const char *why;
    double v = 0;

    snprintf(text, sizeof text, "%.*s", (int)(len < 39 ? len : 39), *at);
    why = len < 39 ? bs_num_f64(text, 0, 1e300, &v) : "too long";
    if (why != NULL)
        bs_opt_misuse(cmd, "option '--tau': '%s' is %s", text, why);
    *at += len;
    return v;
}

static void
add_tau(const struct bs_cmd *cmd, struct bs_cooc_config *c, double v)
{
    if (c->taus == BS_COOC_TAUS_MAX)
        bs_opt_misuse(cmd, "'--tau': more than %d thresholds",
                      (int)BS_COOC_TAUS_MAX);
    if (c->taus > 0 && !(v > c->tau[c->taus - 1]))
        bs_opt_misuse(cmd, "'--tau': thresholds must ascend");
    c->tau[c->taus++] = v;
}

/* "lo:hi:n": n in geometric steps. */
static void
add_taus(const struct bs_cmd *cmd, struct bs_cooc_config *c, double lo,
         double hi, double n)
{
    double i;

    if (!(lo > 0 && hi > lo && n >= 2 && n <= BS_COOC_TAUS_MAX &&
          n == floor(n)))
        bs_opt_misuse(cmd,
                      "'--tau': lo:hi:n needs 0 < lo < hi and n of 2 to "
                      "%d",
                      (int)BS_COOC_TAUS_MAX);
    add_tau(cmd, c, lo);
    for (i = 1; i < n - 1; i++)
        add_tau(cmd, c, lo * pow(hi / lo, i / (n - 1)));
    add_tau(cmd, c, hi);
}

static void
set_taus(const struct bs_cmd *cmd, struct bs_cooc_config *c, const char *text)
{
    double v[3];

    if (text == NULL) {
        usual_taus(c);
        return;
    }
    for (;;) {
        size_t n = 0;

        for (;;) {
            v[n++] = take_number(cmd, &text);
            if (*text != ':' || n == 3)
                break;
            text++;
        }
        if (n == 1)
            add_tau(cmd, c, v[0]);
        else if (n == 3 && *text != ':')
            add_taus(cmd, c, v[0], v[1], v[2]);
        else
            bs_opt_misuse(cmd, "'--tau': a threshold or lo:hi:n");
        if (*text++ == '\0')
            return;
    }
}

/* ---- the rest ------------------------------------------------------------
 */

static void
settle(const struct bs_cmd *cmd, struct bs_cooc_command_line *c,
       const struct raw *raw)
{
    static const enum bs_report_format formats[] = {
        BS_REPORT_TSV, BS_REPORT_TSV, BS_REPORT_JSONL, BS_REPORT_TABLE};
    struct bs_cooc_options *o = &c->options;

    c->in.grain = (enum bs_cooc_grain)raw->grain;
    c->in.scope = (enum bs_scope)raw->scope;
    c->in.max = raw->pool != 0;
    c->in.store.budget = (size_t)c->std.memory / 2;
    o->tables.curve = (enum bs_cooc_curve)raw->curve;
    o->tables.support = raw->support;
    o->tables.partners = (size_t)raw->partners;
    o->tables.changes = (size_t)raw->changes;
    o->vectors = (size_t)raw->vectors;
    o->matrix = raw->matrix != 0;
    if (!(o->tolerance > 0 && o->tolerance < 1))
        bs_opt_misuse(cmd, "'--tolerance' must be between 0 and 1");
    set_taus(cmd, &o->tables, raw->tau);
    bs_cooc_config_taus(&o->tables);
    c->listing = raw->list >= 0;
    c->list.what = (enum bs_cooc_what)raw->list;
    c->list.by = (enum bs_cooc_measure)raw->by;
    c->list.format = formats[raw->format];
    c->automatic = raw->format == 0;
}

/* Operands, and options that do not go together. */
static void
check_use(const struct bs_cmd *cmd, const struct bs_cooc_command_line *c,
          const struct raw *raw, int operands)
{
    if (c->listing && (c->partial || c->merge || raw->labels != NULL))
        bs_opt_misuse(cmd, "'--list' does not go with '--%s'",
                      c->partial ? "partial"
                      : c->merge ? "merge"
                                 : "label");
    if (c->merge && (c->partial || raw->labels != NULL))
        bs_opt_misuse(cmd, "'--merge' does not go with '--%s'",
                      c->partial ? "partial" : "label");
    if (c->listing && operands > 1)
        bs_opt_misuse(cmd, "one result at a time is listed");
    if (!c->merge && operands > BS_COOC_STREAMS_MAX)
        bs_opt_misuse(cmd, "more than %d streams", (int)BS_COOC_STREAMS_MAX);
    if (c->in.max && c->in.grain == BS_COOC_TOKEN)
        bs_opt_misuse(cmd, "'--pool' is of images: '-g image'");
}

static void
set_params(struct bs_cooc_command_line *c, const struct raw *raw)
{
    const struct bs_cooc_options *o = &c->options;
    const char *grain = bs_cooc_grain_names[c->in.grain];
    const char *pool = bs_cooc_pool_names[c->in.max];
    const char *scope = bs_scope_names[c->in.scope];
    struct bs_err e = {0};
    int r;

    if (c->partial)
        r = bs_buf_printf(&c->params, &e,
                          "{\"granularity\":\"%s\",\"partial\":true,"
                          "\"pool\":\"%s\",\"scope\":\"%s\"}",
                          grain, pool, scope);
    else
        r = bs_buf_printf(
            &c->params, &e,
            "{\"changes\":%zu,\"curve\":\"%s\",\"granularity\":\"%s\","
            "\"matrix\":%s,\"min_count\":%ju,\"partners\":%zu,\"pool\":\"%s\","
            "\"scope\":\"%s\",\"support\":%ju,\"tau\":\"%s\","
            "\"tolerance\":%.9g,\"unpaired\":%s,\"vectors\":%zu}",
            o->tables.changes, bs_cooc_curve_names[o->tables.curve], grain,
            o->matrix ? "true" : "false", (uintmax_t)o->min_count,
            o->tables.partners, pool, scope, (uintmax_t)o->tables.support,
            raw->tau != NULL ? raw->tau : "usual", o->tolerance,
            o->unpaired ? "true" : "false", o->vectors);
    if (r < 0)
        bs_die_err(&e, NULL);
}

int
bs_cooc_parse(struct bs_cooc_command_line *c, int argc, char *argv[])
{
    static const char *const formats[] = {"auto", "tsv", "jsonl", "table",
                                          NULL};
    static char dash[] = "-", *none[] = {dash};
    struct raw raw = {.list = -1,
                      .support = 5,
                      .partners = 10,
                      .changes = 1000,
                      .vectors = 100,
                      .matrix = 1};
    struct bs_cooc_options *o = &c->options;
    struct bs_std *std = &c->std;
    int i, operands;

    /* clang-format off */
    const struct bs_opt opt[] = {
        OPT_ENUM('g', "granularity", "what", &raw.grain, bs_cooc_grain_names, "a row is a token (default) or an image"),
        OPT_ENUM(0, "scope", "which", &raw.scope, bs_scope_names, "tokens that count: all (default), patch, cls"),
        OPT_ENUM(0, "pool", "how", &raw.pool, bs_cooc_pool_names, "an image's value, over its tokens: sum (default), max"),
        OPT_FLAG(0, "unpaired", &o->unpaired, "count records without a partner in every stream, too"),
        OPT_ENUM(0, "curve", "what", &raw.curve, bs_cooc_curve_names, "hold against thresholds: energy (default), count, cosine"),
        OPT_STR(0, "tau", "t,...", &raw.tau, "thresholds, or lo:hi:n (default: 0, ten a decade to 100)"),
        OPT_U64(0, "vectors", "n", &raw.vectors, 0, 4000, "largest eigenvalues, and vectors (default 100)"),
        OPT_F64(0, "tolerance", "t", &o->tolerance, "residual of an eigenvalue, relative to it (default 1e-9)"),
        OPT_U64(0, "partners", "n", &raw.partners, 0, BS_COOC_PARTNERS_MAX, "partners of a concept by each measure (default 10)"),
        OPT_U64(0, "changes", "n", &raw.changes, 0, 1000000, "pairs lost and gained the most (default 1000)"),
        OPT_U64(0, "support", "n", &raw.support, 1, UINT32_MAX, "rows in which such pairs fire together (default 5)"),
        OPT_NEGATE("matrix", &raw.matrix, "write the matrices themselves (default)"),
        OPT_U64(0, "min-count", "n", &o->min_count, 1, UINT32_MAX, "elements of so many rows, in the matrices (default 1)"),
        OPT_STR(0, "label", "name,...", &raw.labels, "names of the streams (default: their files')"),
        OPT_FLAG(0, "partial", &c->partial, "write rows for --merge instead of results"),
        OPT_FLAG(0, "merge", &c->merge, "read what --partial wrote"),
        OPT_STR(0, "shard", "i/n", &std->shard, "take the records of key hash i modulo n; auto: by job array"),
        OPT_SECONDS(0, "time-limit", "time", &std->time_limit, 31536000, "give up after this long"),
        OPT_ENUM('l', "list", "table", &raw.list, bs_cooc_what_names, "list of a result: partners, changes, curve, spectrum, ..."),
        OPT_STR('m', "model", "label,...", &c->list.streams, "list of these streams (default: all)"),
        OPT_ENUM(0, "by", "measure", &raw.by, bs_cooc_measure_names, "partners by cosine (default), count, lift, jaccard"),
        OPT_STR(0, "concepts", "n,...", &c->list.concepts, "list these concepts (default: all)"),
        OPT_U64('n', "limit", "count", &c->list.limit, 0, UINT64_MAX, "list so many of each stream, or partners of a concept"),
        OPT_ENUM('f', "format", "name", &raw.format, formats, "auto (table on a terminal, else tsv), tsv, jsonl, table"),
        OPT_SIZE(0, "memory", "size", &std->memory, 1 << 20, UINT64_MAX, "work in so much memory, then in a file (default 2G)"),
        OPT_FLAG(0, "allow-partial", &std->allow_partial, "accept input that ended early"),
        BS_STD_THREADS(std),
        BS_STD_OUTPUT(std),
        OPT_DONE,
    };
    /* clang-format on */
    const struct bs_cmd cmd = {
        .name = "bs-cooc",
        .synopsis = "[options] [file ...]",
        .brief = "which concepts fire together, in real and generated images",
        .opt = opt,
        .features = bs_std_features};

    i = bs_std_parse(&cmd, std, argc, argv);
    operands = argc - i;
    settle(&cmd, c, &raw);
    check_use(&cmd, c, &raw, operands);
    if (!c->merge && !c->listing) {
        c->in.streams = operands > 0 ? (size_t)operands : 1;
        bs_labels_set(&cmd, c->in.label, c->in.streams, raw.labels,
                      operands > 0 ? argv + i : none, "codes", "streams");
    }
    set_params(c, &raw);
    return i;
}
