/*
 * u-train-config.c - layers of options: recipes, what overrides what, and the
 * way through JSON and back.
 */
#include "cmd/models/train_config.h"

#include <math.h>

#include "tests/unit/streams.h"
#include "tests/unit/tap.h"

static struct bs_train_config
unset(void)
{
    struct bs_train_config c;

    bs_train_config_unset(&c);
    return c;
}

static struct bs_train_config
of_recipe(enum bs_train_recipe recipe)
{
    struct bs_train_config c = unset();

    c.recipe = (int)recipe;
    bs_train_config_complete(&c);
    return c;
}

static bool
text_is(const struct bs_train_config *c, const char *want)
{
    struct bs_buf b = {0};
    struct bs_err e = {0};
    bool good;

    need(bs_train_config_json(c, &b, &e) == 0);
    good = strcmp((char *)b.data, want) == 0;
    if (!good)
        printf("# %s\n", (char *)b.data);
    bs_buf_release(&b);
    return good;
}

static void
test_recipes(void)
{
    struct bs_train_config c = unset(), d;
    struct bs_err e = {0};
    int i;

    bs_train_config_complete(&c);
    d = of_recipe(BS_RECIPE_RA_SAE);
    ok(text_is(&c, "{\"aux\":\"reanimate\",\"aux-k\":256,\"aux-weight\":0.001,"
                   "\"batch\":8192,\"beta1\":0.9,\"beta2\":0.999,\"clip\":1,"
                   "\"concepts\":32000,\"dead\":1000000,\"decay\":1e-05,"
                   "\"delta\":1,\"dictionary\":\"archetypal\",\"ema\":0.9,"
                   "\"enc-bias\":true,\"epochs\":50,\"eps\":1e-08,"
                   "\"layer-norm\":true,\"loss\":\"mse\",\"math\":\"f32\","
                   "\"multiplier\":true,\"name\":\"ra-sae\",\"points\":32000,"
                   "\"pre-bias\":\"none\",\"rate\":0.0005,\"rate-end\":1e-06,"
                   "\"recipe\":\"ra-sae\",\"seed\":0,\"select\":\"topk\","
                   "\"shuffle\":262144,\"tokens\":\"all\",\"top\":5,"
                   "\"warmup\":0.05}"),
       "nothing said: RA-SAE");
    ok(memcmp(&c, &d, sizeof c) == 0, "the same by its name");
    for (i = 0; bs_train_recipe_names[i] != NULL; i++) {
        c = of_recipe((enum bs_train_recipe)i);
        ok(bs_train_config_check(&c, &e) == 0, "recipe %s is sound",
           bs_train_recipe_names[i]);
    }
    c = of_recipe(BS_RECIPE_OPENAI);
    ok(c.aux == BS_AUX_AUXK && c.aux_weight == 1.0 / 32 && c.aux_k == 256 &&
           c.pre_bias == BS_PRE_MEDIAN && c.dictionary == BS_DICT_UNIT &&
           c.rate_end == c.rate && c.dead == 10000000,
       "openai");
    c = of_recipe(BS_RECIPE_BATCHTOPK);
    ok(c.select == BS_SAE_BATCH_TOPK && c.dictionary == BS_DICT_L2 &&
           c.aux_weight == 0,
       "batchtopk");
}

static void
test_layers(void)
{
    struct bs_train_config c = unset(), fixed, model;
    struct bs_sae s = {.concepts = 7, .width = 3, .k = 2, .name = "mine"};
    float some[21];

    c.concepts = 100;
    c.rate = 1e-2;
    c.aux = BS_AUX_AUXK;
    c.steps = 9;
    bs_train_config_complete(&c);
    ok(c.concepts == 100 && c.points == 100 && c.aux_weight == 1.0 / 32 &&
           c.rate == 1e-2 && c.rate_end == 1e-6 && c.epochs == UINT64_MAX &&
           c.k == 5,
       "what is given stands, the rest follows it");
    c = of_recipe(BS_RECIPE_TOPK);
    ok(c.epochs == 20 && c.steps == UINT64_MAX, "epochs where no steps are");
    s.enc_b = some;
    snprintf(s.sha256, sizeof s.sha256, "%s", "abc");
    bs_train_config_of_model(&fixed, &model, -1, &s);
    c = unset();
    c.k = 3;
    bs_train_config_merge(&c, &model);
    bs_train_config_complete(&c);
    ok(c.concepts == 7 && c.k == 3 && c.enc_bias == 1 && c.layer_norm == 0 &&
           c.pre_bias == BS_PRE_NONE && c.dictionary == BS_DICT_PLAIN &&
           strcmp(c.init, "abc") == 0 && strcmp(c.name, "mine") == 0,
       "a start model decides on its parts");
    s.ra_c = some;
    s.points = 7;
    s.ra_delta = 0.5f;
    bs_train_config_of_model(&fixed, &model, -1, &s);
    ok(model.dictionary == BS_DICT_ARCHETYPAL && model.delta == 0.5 &&
           fixed.points == 7,
       "archetypal parts, too");
}

static void
test_agree(void)
{
    struct bs_train_config given = unset(), base = of_recipe(BS_RECIPE_TOPK);
    struct bs_err e = {0};

    ok(bs_train_config_agree(&given, &base, "x", &e) == 0,
       "nothing given agrees with anything");
    given.k = 10;
    given.recipe = BS_RECIPE_TOPK;
    ok(bs_train_config_agree(&given, &base, "x", &e) == 0, "so does the same");
    given.k = 11;
    ok(bs_train_config_agree(&given, &base, "the checkpoint", &e) ==
               -BS_EX_USAGE &&
           strcmp(e.text, "'--top' is 10 in the checkpoint, not 11") == 0,
       "another does not: %s", e.text);
    given = unset();
    given.steps = 5;
    e = (struct bs_err){0};
    ok(bs_train_config_agree(&given, &base, "the checkpoint", &e) ==
               -BS_EX_USAGE &&
           strcmp(e.text, "'--steps' is not set in the checkpoint, not 5") == 0,
       "nor what was not set: %s", e.text);
}

static void
test_json(void)
{
    static const double odd[] = {1.0 / 3, 1e-300, 123456789.123, 0.1 + 0.2,
                                 5e-4};
    struct bs_train_config c = of_recipe(BS_RECIPE_OPENAI), d;
    struct bs_buf b = {0};
    struct bs_err e = {0};
    size_t i;
    static const char *const wrong[] = {
        "",
        "[]x",
        "{\"no-such\":1}",
        "{\"top\":-1}",
        "{\"top\":1.5}",
        "{\"select\":\"best\"}",
        "{\"select\":1}",
        "{\"rate\":\"x\"}",
        "{\"layer-norm\":1}",
        "{\"top\":1,\"top\":2}",
        "[1,2]",
        "{\"shard\":\"1234567890123456789012345678901234567890\"}",
    };

    snprintf(c.name, sizeof c.name, "%s", "a \"quoted\" caf\303\251");
    snprintf(c.shard, sizeof c.shard, "%s", "1/3");
    c.seed = UINT64_MAX - 1;
    for (i = 0; i < BS_LEN(odd); i++) {
        c.decay = odd[i];
        b.len = 0;
        need(bs_train_config_json(&c, &b, &e) == 0);
        ok(bs_train_config_parse(&d, (char *)b.data, &e) == 0 &&
               d.decay == c.decay && d.seed == c.seed &&
               strcmp(c.name, d.name) == 0 && strcmp(c.shard, d.shard) == 0 &&
               text_is(&d, (char *)b.data),
           "through JSON and back: %.17g", odd[i]);
    }
    bs_buf_release(&b);
    for (i = 0; i < BS_LEN(wrong); i++) {
        e = (struct bs_err){0};
        ok(bs_train_config_parse(&d, wrong[i], &e) == -BS_EX_DATA,
           "refused: %s (%s)", wrong[i], e.text);
    }
}

static void
test_check(void)
{
    struct bs_train_config c = of_recipe(BS_RECIPE_TOPK), good = c;
    struct bs_err e = {0};

#define WRONG(field, value, why)                        \
    c = good;                                           \
    c.field = value;                                    \
    e = (struct bs_err){0};                             \
    ok(bs_train_config_check(&c, &e) == -BS_EX_USAGE && \
           strstr(e.text, why) != NULL,                 \
       #field " = " #value ": %s", e.text)

    WRONG(concepts, 9, "'-k' is 10 of 9 concepts");
    WRONG(k, 0, "'--top' must be 1 to");
    WRONG(batch, 0, "'--batch'");
    WRONG(rate, 0, "must be above 0");
    WRONG(rate, NAN, "'--rate'");
    WRONG(rate_end, -1, "must not be below 0");
    WRONG(beta1, 1, "must be below 1");
    WRONG(beta2, -0.5, "must not be below 0");
    WRONG(eps, 0, "must be above 0");
    WRONG(clip, INFINITY, "'--clip' must be below");
    WRONG(select, BS_SAE_THRESHOLD, "only 'topk' and 'batchtopk'");
    WRONG(aux_weight, 0.5, "belongs to an auxiliary term");
    WRONG(epochs, UINT64_MAX, "'--epochs' is not set");
    WRONG(steps, 0, "must be above 0");
    c = unset();
    e = (struct bs_err){0};
    ok(bs_train_config_check(&c, &e) == -BS_EX_USAGE, "an empty one: %s",
       e.text);
}

int
main(void)
{
    test_recipes();
    test_layers();
    test_agree();
    test_json();
    test_check();
    return tap_done();
}
