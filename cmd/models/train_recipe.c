/*
 * train_recipe.c - the recipes of train_config.h: defaults as published
 * trainings had them.
 */
#include <stdio.h>

#include "cmd/models/token_source.h"
#include "cmd/models/train_config.h"

const char *const bs_train_recipe_names[] = {"ra-sae", "topk", "batchtopk",
                                             "openai", NULL};

static void
recipe(struct bs_train_config *c, enum bs_train_recipe which)
{
    bs_train_config_unset(c);
    c->recipe = (int)which;
    c->select = which == BS_RECIPE_BATCHTOPK ? BS_SAE_BATCH_TOPK : BS_SAE_TOPK;
    if (which == BS_RECIPE_RA_SAE) {
        c->concepts = 32000;
        c->k = 5;
        c->dictionary = BS_DICT_ARCHETYPAL;
        c->layer_norm = 1;
        c->aux = BS_AUX_REANIMATE;
        c->rate = 5e-4;
        c->rate_end = 1e-6;
        c->warmup = 0.05;
        c->decay = 1e-5;
        c->batch = 8192;
        c->epochs = 50;
    } else if (which == BS_RECIPE_OPENAI) {
        c->concepts = 32768;
        c->k = 32;
        c->dictionary = BS_DICT_UNIT;
        c->pre_bias = BS_PRE_MEDIAN;
        c->loss = BS_LOSS_FVU;
        c->aux = BS_AUX_AUXK;
        c->dead = 10000000;
        c->rate = 1e-4;
        c->eps = 6.25e-10;
        c->clip = 0;
        c->batch = 131072;
        c->epochs = 1;
    } else {
        c->concepts = 16000;
        c->k = 10;
        c->dictionary = BS_DICT_L2;
        c->rate = 5e-4;
        c->batch = 1024;
        c->epochs = 20;
    }
}

/* What holds where a recipe says nothing else. */
static void
common(struct bs_train_config *c, const struct bs_train_config *so_far)
{
    /* by enum bs_trainer_aux */
    static const double weights[] = {0, 1.0 / 32, 1e-3, 0.1};

    bs_train_config_unset(c);
    c->points = so_far->concepts;
    c->delta = 1;
    c->multiplier = 1;
    c->layer_norm = 0;
    c->enc_bias = 1;
    c->pre_bias = BS_PRE_NONE;
    c->loss = BS_LOSS_MSE;
    c->aux = BS_AUX_NONE;
    c->aux_weight = so_far->aux >= 0 ? weights[so_far->aux] : 0;
    c->aux_k = 256;
    c->dead = 1000000;
    c->ema = 0.9;
    c->rate_end = so_far->rate;
    c->beta1 = 0.9;
    c->beta2 = 0.999;
    c->eps = 1e-8;
    c->decay = 0;
    c->clip = 1;
    c->warmup = 0;
    c->math = BS_MATH_F32;
    c->seed = 0;
    c->tokens = BS_TOKENS_ALL;
    c->shuffle = 262144;
    snprintf(c->name, sizeof c->name, "%s",
             bs_train_recipe_names[so_far->recipe]);
}

void
bs_train_config_complete(struct bs_train_config *c)
{
    struct bs_train_config layer;

    recipe(&layer,
           c->recipe >= 0 ? (enum bs_train_recipe)c->recipe : BS_RECIPE_RA_SAE);
    if (c->steps != UINT64_MAX)
        layer.epochs = UINT64_MAX;
    bs_train_config_merge(c, &layer);
    common(&layer, c);
    bs_train_config_merge(c, &layer);
}
