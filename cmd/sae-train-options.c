/*
 * sae-train-options.c - see sae-train-options.h.
 */
#include "cmd/sae-train-options.h"

#include <stdio.h>

#include "common/num.h"

#define SYNOPSIS "[options] [input ...]"
#define BRIEF "features to a sparse autoencoder"

/* What is trained; the other rules are for use only. */
static const char *const selects[] = {"topk", "batchtopk", NULL};

/* "500" is steps, "10m" is time. */
static void
parse_every(const struct bs_cmd *cmd, struct bs_train_options *o,
            const char *text)
{
    if (bs_num_u64(text, 1, UINT64_MAX, &o->every_steps) == NULL)
        return;
    o->every_steps = 0;
    if (bs_num_seconds(text, 31536000, &o->every_seconds) != NULL ||
        o->every_seconds == 0)
        bs_opt_misuse(cmd,
                      "option '--every': '%s' is neither a number of steps nor "
                      "a time such as 10m",
                      text);
}

static void
set_text(const struct bs_cmd *cmd, char *to, size_t room, const char *option,
         const char *text)
{
    if (text != NULL && strlen(text) >= room)
        bs_opt_misuse(cmd, "'--%s' is too long", option);
    if (text != NULL)
        snprintf(to, room, "%s", text);
}

int
bs_sae_train_parse(struct bs_train_options *o, int argc, char *argv[])
{
    struct bs_train_config *c = &o->given;
    struct bs_std *std = &o->std;
    const char *every = "10m", *name = NULL;
    const struct bs_opt opt[] = {
        OPT_ENUM(0, "recipe", "name", &c->recipe, bs_train_recipe_names,
                 "defaults of: ra-sae (default), topk, batchtopk, openai"),
        OPT_U64(0, "concepts", "n", &c->concepts, 1, BS_TRAIN_CONCEPTS_MAX,
                "atoms of the dictionary"),
        OPT_U64('k', "top", "n", &c->k, 1, BS_TRAIN_K_MAX, "codes a token"),
        OPT_ENUM(0, "select", "rule", &c->select, selects,
                 "k a token: topk; k on average over a batch: batchtopk"),
        OPT_ENUM(0, "dictionary", "kind", &c->dictionary,
                 bs_trainer_dictionary_names, "plain, unit, l2, archetypal"),
        OPT_U64(0, "points", "n", &c->points, 1, BS_TRAIN_CONCEPTS_MAX,
                "candidates of archetypal atoms (default: as concepts)"),
        OPT_F64(0, "delta", "length", &c->delta,
                "longest relaxation of an archetypal atom (default 1)"),
        OPT_NEGATE("multiplier", &c->multiplier,
                   "train a factor of all archetypal atoms (default)"),
        OPT_NEGATE("layer-norm", &c->layer_norm,
                   "normalise pre-activations over the concepts"),
        OPT_NEGATE("enc-bias", &c->enc_bias,
                   "give the encoder a bias (default)"),
        OPT_ENUM(0, "pre-bias", "start", &c->pre_bias, bs_train_pre_bias_names,
                 "shared bias of tokens: none, or from zero, mean, median"),
        OPT_FILE(0, "init", "model", &o->init, "start from this model"),
        OPT_STR(0, "name", "text", &name, "what the model calls itself"),
        OPT_ENUM(0, "loss", "kind", &c->loss, bs_trainer_loss_names,
                 "mse (default), fvu"),
        OPT_ENUM(0, "aux", "kind", &c->aux, bs_trainer_aux_names,
                 "for dead concepts: none, auxk, reanimate, reanimate-sum"),
        OPT_F64(0, "aux-weight", "x", &c->aux_weight, "weight of that term"),
        OPT_U64(0, "aux-k", "n", &c->aux_k, 1, BS_TRAIN_CONCEPTS_MAX,
                "dead concepts a token, with auxk (default 256)"),
        OPT_U64(0, "dead", "tokens", &c->dead, 1, UINT64_MAX - 1,
                "dead is what had no code in so many (default 1000000)"),
        OPT_F64(0, "ema", "x", &c->ema,
                "memory of batchtopk's threshold (default 0.9)"),
        OPT_F64(0, "rate", "x", &c->rate, "learning rate of AdamW"),
        OPT_F64(0, "rate-end", "x", &c->rate_end,
                "rate at the end of the cosine (default: no fall)"),
        OPT_F64(0, "warmup", "n", &c->warmup,
                "steps until the full rate; below 1: a share of all"),
        OPT_F64(0, "beta1", "x", &c->beta1, "of AdamW (default 0.9)"),
        OPT_F64(0, "beta2", "x", &c->beta2, "of AdamW (default 0.999)"),
        OPT_F64(0, "eps", "x", &c->eps, "of AdamW (default 1e-8)"),
        OPT_F64(0, "decay", "x", &c->decay, "of weights (default 0)"),
        OPT_F64(0, "clip", "norm", &c->clip,
                "longest gradient, 0 for any (default 1)"),
        OPT_ENUM(0, "math", "type", &c->math, bs_train_math_names,
                 "type to compute in: f32 (default), bf16"),
        OPT_U64(0, "seed", "n", &c->seed, 0, UINT64_MAX - 1,
                "of the start and the order of tokens (default 0)"),
        OPT_ENUM(0, "tokens", "which", &c->tokens, bs_token_choice_names,
                 "rows to train on: all (default), patch, cls"),
        OPT_U64(0, "batch", "tokens", &c->batch, 1, BS_TRAIN_BATCH_MAX,
                "tokens a step"),
        OPT_U64(0, "shuffle", "tokens", &c->shuffle, 0, BS_TRAIN_SHUFFLE_MAX,
                "tokens to draw from (default 262144; 0: in order)"),
        OPT_U64(0, "epochs", "n", &c->epochs, 1, UINT64_MAX - 1,
                "times to go through the inputs"),
        OPT_U64(0, "steps", "n", &c->steps, 1, UINT64_MAX - 1,
                "end after so many"),
        OPT_FILE(0, "checkpoint", "file", &o->checkpoint,
                 "put the training aside there from time to time"),
        OPT_STR(0, "every", "n", &every,
                "how often: steps, or a time (default 10m)"),
        OPT_FILE(0, "resume", "file", &o->resume, "go on from this checkpoint"),
        OPT_FILE(0, "metrics", "file", &o->metrics,
                 "write metrics there, JSON lines"),
        OPT_U64(0, "metrics-every", "steps", &o->metrics_every, 1, UINT64_MAX,
                "how often (default 10)"),
        BS_STD_THREADS(std),
        BS_STD_DEVICE(std),
        BS_STD_WAIT_GPU(std),
        BS_STD_SELECT(std),
        BS_STD_INPUT(std),
        OPT_FLAG(0, "keep-parts", &o->keep_parts,
                 "keep what an archetypal dictionary is made of"),
        OPT_FILE('o', "output", "file", &std->output,
                 "write to file, which appears when complete"),
        OPT_NEGATE("provenance", &std->provenance,
                   "record how the output was made"),
        OPT_NEGATE("progress", &std->progress,
                   "show progress on stderr (default: on a terminal)"),
        OPT_FLAG('q', "quiet", &std->quiet, "print errors only"),
        OPT_COUNT('v', "verbose", &std->verbose,
                  "say what is done; twice: in detail"),
        OPT_DONE};
    const struct bs_cmd cmd = {.name = "bs-sae train",
                               .synopsis = SYNOPSIS,
                               .brief = BRIEF,
                               .opt = opt,
                               .features = bs_std_features};
    int operand;

    bs_train_config_unset(c);
    operand = bs_std_parse(&cmd, std, argc, argv);
    parse_every(&cmd, o, every);
    set_text(&cmd, c->name, sizeof c->name, "name", name);
    c->limit = std->limit;
    if (std->shard_count > 1)
        snprintf(c->shard, sizeof c->shard, "%ju/%ju",
                 (uintmax_t)std->shard_index, (uintmax_t)std->shard_count);
    return operand;
}

void
bs_sae_train_misuse(const struct bs_err *e)
{
    const struct bs_cmd cmd = {.name = "bs-sae train", .synopsis = SYNOPSIS};

    bs_opt_misuse(&cmd, "%s", e->text);
}
