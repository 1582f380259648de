/*
 * energy-options.c - see energy-options.h.
 */
#include "cmd/energy-options.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cmd/labels.h"

/* What the command line gives as it stands, before defaults. */
struct raw {
    int pooling, scope, form, preset, interval;
    double temperature, level;
    uint64_t bootstrap, permutations, min_images;
    const char *labels;
};

/* The paper's: its definition 2, the histograms of figure 6, figure 13. */
static const char *const preset_names[] = {"def", "fig6", "fig13", NULL};
static const struct {
    enum bs_energy_form form;
    double temperature;
} presets[] = {{BS_FORM_RAW, 1}, {BS_FORM_RAW, 0.8}, {BS_FORM_RELATIVE, 0.4}};

/* ---- checks ---------------------------------------------------------------
 */

static void
settle(const struct bs_cmd *cmd, struct bs_energy_options *o,
       const struct raw *raw)
{
    struct bs_energy_config *c = &o->config;
    size_t preset = raw->preset >= 0 ? (size_t)raw->preset : 2;

    c->form =
        raw->form >= 0 ? (enum bs_energy_form)raw->form : presets[preset].form;
    c->temperature = !isnan(raw->temperature) ? raw->temperature
                                              : presets[preset].temperature;
    c->interval = (enum bs_energy_interval)raw->interval;
    c->level = raw->level;
    c->permutations = (size_t)raw->permutations;
    c->min_images = (size_t)raw->min_images;
    c->bootstrap = (size_t)raw->bootstrap;
    if (c->interval == BS_INTERVAL_BOOTSTRAP && c->bootstrap == 0)
        c->bootstrap = 1000;
    o->pooling = c->pooling = (enum bs_pooling)raw->pooling;
    o->scope = (enum bs_scope)raw->scope;
    if (!(c->temperature > 0))
        bs_opt_misuse(cmd, "'--temperature' must be above 0");
    if (!(c->level > 0 && c->level < 1))
        bs_opt_misuse(cmd, "'--confidence' must be between 0 and 1");
}

static void
set_params(struct bs_energy_options *o)
{
    const struct bs_energy_config *c = &o->config;

    if (o->partial) {
        snprintf(o->params, sizeof o->params,
                 "{\"partial\":true,\"pool\":\"%s\",\"scope\":\"%s\"}",
                 bs_pooling_names[o->pooling], bs_scope_names[o->scope]);
        return;
    }
    snprintf(o->params, sizeof o->params,
             "{\"bootstrap\":%zu,\"form\":\"%s\",\"interval\":\"%s\","
             "\"level\":%.9g,\"min_images\":%zu,\"permutations\":%zu,"
             "\"pool\":\"%s\",\"scope\":\"%s\",\"seed\":%ju,"
             "\"temperature\":%.9g,\"top\":%ju}",
             c->bootstrap, bs_energy_form_names[c->form],
             bs_energy_interval_names[c->interval], c->level, c->min_images,
             c->permutations, bs_pooling_names[o->pooling],
             bs_scope_names[o->scope], (uintmax_t)c->seed, c->temperature,
             (uintmax_t)o->top);
}

int
bs_energy_parse(struct bs_energy_options *o, int argc, char *argv[])
{
    struct raw raw = {.form = -1,
                      .preset = -1,
                      .temperature = NAN,
                      .level = 0.95,
                      .permutations = 1000,
                      .min_images = 1};
    struct bs_std *std = &o->std;
    const struct bs_opt opt[] = {
        OPT_ENUM(0, "pool", "how", &raw.pooling, bs_pooling_names,
                 "energy of an image, over its tokens: sum (default), mean, "
                 "max"),
        OPT_ENUM(0, "scope", "which", &raw.scope, bs_scope_names,
                 "tokens that count: all (default), patch, cls"),
        OPT_ENUM(0, "form", "form", &raw.form, bs_energy_form_names,
                 "of the difference: relative (default), raw"),
        OPT_F64('t', "temperature", "T", &raw.temperature,
                "delta = sigmoid(difference / T) (default 0.4)"),
        OPT_ENUM(0, "preset", "name", &raw.preset, preset_names,
                 "form and T of the paper: def (raw, 1), fig6 (raw, 0.8), "
                 "fig13"),
        OPT_ENUM(0, "interval", "kind", &raw.interval, bs_energy_interval_names,
                 "delta (method; default), bootstrap, bernstein, mcdiarmid"),
        OPT_F64(0, "confidence", "share", &raw.level,
                "level of the intervals (default 0.95)"),
        OPT_U64(0, "bootstrap", "n", &raw.bootstrap, 0, 100000,
                "resamples of the pairs (default 0; 1000 for its interval)"),
        OPT_U64(0, "permutations", "n", &raw.permutations, 1, 1000000,
                "sign flips of each test (default 1000)"),
        OPT_U64(0, "min-images", "n", &raw.min_images, 1, UINT32_MAX,
                "test concepts that fire in so many pairs (default 1)"),
        OPT_U64(0, "top", "n", &o->top, 1, 1000,
                "concepts that differ most to name a pair (default 8)"),
        OPT_STR(0, "label", "name,...", &raw.labels,
                "names of the generated streams (default: their files')"),
        OPT_FLAG(0, "partial", &o->partial,
                 "write sums for --merge instead of statistics"),
        OPT_FLAG(0, "merge", &o->merge, "read what --partial wrote"),
        OPT_U64(0, "seed", "n", &o->config.seed, 0, UINT64_MAX,
                "of flips, resamples and halves (default 0)"),
        OPT_STR(0, "shard", "i/n", &std->shard,
                "take the records of key hash i modulo n; auto: by job array"),
        OPT_SECONDS(0, "time-limit", "time", &std->time_limit, 31536000,
                    "give up reading after this long"),
        BS_STD_THREADS(std),
        BS_STD_INPUT(std),
        BS_STD_OUTPUT(std),
        OPT_DONE};
    const struct bs_cmd cmd = {
        .name = "bs-energy",
        .synopsis = "[options] real gen ...",
        .brief = "energies of concepts in real and generated images, compared",
        .opt = opt,
        .features = bs_std_features};
    int i = bs_std_parse(&cmd, std, argc, argv);

    settle(&cmd, o, &raw);
    if (o->merge && (o->partial || raw.labels != NULL))
        bs_opt_misuse(&cmd, "'--merge' does not go with '--%s'",
                      o->partial ? "partial" : "label");
    if (!o->merge && argc - i < 2)
        bs_opt_misuse(&cmd, "two inputs at least: real, then generated");
    if (argc - i > 1 + BS_ENERGY_MODELS_MAX && !o->merge)
        bs_opt_misuse(&cmd, "more than %d generated streams",
                      BS_ENERGY_MODELS_MAX);
    if (!o->merge) {
        o->models = (size_t)(argc - i) - 1;
        bs_labels_set(&cmd, o->label, o->models, raw.labels, argv + i + 1,
                      "gen", "generated streams");
    }
    set_params(o);
    return i;
}
