/*
 * train_config.c - see train_config.h.  One table names the members; all forms
 * and layers read it.
 */
#include "cmd/models/train_config.h"

#include <math.h>
#include <stdlib.h>

#include "cmd/models/token_source.h"
#include "common/num.h"
#include "formats/json.h"

const char *const bs_train_pre_bias_names[] = {"none", "zero", "mean", "median",
                                               NULL};
const char *const bs_train_math_names[] = {"f32", "bf16", NULL};
static const char *const switch_names[] = {"false", "true", NULL};

/* ---- members ---------------------------------------------------------------
 */

enum kind { CHOICE, SWITCH, COUNT, NUMBER, TEXT };

struct member {
    const char *name; /* of the option */
    enum kind kind;
    size_t offset, size;
    const char *const *names; /* CHOICE, SWITCH */
};

#define MEMBER(name, kind, field, names)                      \
    {                                                         \
        name, kind, offsetof(struct bs_train_config, field),  \
            sizeof((struct bs_train_config *)0)->field, names \
    }

/* Sorted by name, as canonical JSON is. */
static const struct member members[] = {
    MEMBER("aux", CHOICE, aux, bs_trainer_aux_names),
    MEMBER("aux-k", COUNT, aux_k, NULL),
    MEMBER("aux-weight", NUMBER, aux_weight, NULL),
    MEMBER("batch", COUNT, batch, NULL),
    MEMBER("beta1", NUMBER, beta1, NULL),
    MEMBER("beta2", NUMBER, beta2, NULL),
    MEMBER("clip", NUMBER, clip, NULL),
    MEMBER("concepts", COUNT, concepts, NULL),
    MEMBER("dead", COUNT, dead, NULL),
    MEMBER("decay", NUMBER, decay, NULL),
    MEMBER("delta", NUMBER, delta, NULL),
    MEMBER("dictionary", CHOICE, dictionary, bs_trainer_dictionary_names),
    MEMBER("ema", NUMBER, ema, NULL),
    MEMBER("enc-bias", SWITCH, enc_bias, switch_names),
    MEMBER("epochs", COUNT, epochs, NULL),
    MEMBER("eps", NUMBER, eps, NULL),
    MEMBER("init", TEXT, init, NULL),
    MEMBER("layer-norm", SWITCH, layer_norm, switch_names),
    MEMBER("limit", COUNT, limit, NULL),
    MEMBER("loss", CHOICE, loss, bs_trainer_loss_names),
    MEMBER("math", CHOICE, math, bs_train_math_names),
    MEMBER("multiplier", SWITCH, multiplier, switch_names),
    MEMBER("name", TEXT, name, NULL),
    MEMBER("points", COUNT, points, NULL),
    MEMBER("pre-bias", CHOICE, pre_bias, bs_train_pre_bias_names),
    MEMBER("rate", NUMBER, rate, NULL),
    MEMBER("rate-end", NUMBER, rate_end, NULL),
    MEMBER("recipe", CHOICE, recipe, bs_train_recipe_names),
    MEMBER("seed", COUNT, seed, NULL),
    MEMBER("select", CHOICE, select, bs_sae_select_names),
    MEMBER("shard", TEXT, shard, NULL),
    MEMBER("shuffle", COUNT, shuffle, NULL),
    MEMBER("steps", COUNT, steps, NULL),
    MEMBER("tokens", CHOICE, tokens, bs_token_choice_names),
    MEMBER("top", COUNT, k, NULL),
    MEMBER("warmup", NUMBER, warmup, NULL),
};

static void *
at(struct bs_train_config *c, const struct member *m)
{
    return (char *)c + m->offset;
}

static const void *
value_of(const struct bs_train_config *c, const struct member *m)
{
    return (const char *)c + m->offset;
}

static int
as_int(const void *value)
{
    return *(const int *)value;
}

static uint64_t
as_count(const void *value)
{
    return *(const uint64_t *)value;
}

static double
as_number(const void *value)
{
    return *(const double *)value;
}

static bool
is_set(const struct member *m, const void *value)
{
    switch (m->kind) {
    case COUNT:
        return as_count(value) != UINT64_MAX;
    case NUMBER:
        return !isnan(as_number(value));
    case TEXT:
        return *(const char *)value != '\0';
    default:
        return as_int(value) >= 0;
    }
}

static bool
same(const struct member *m, const void *a, const void *b)
{
    switch (m->kind) {
    case COUNT:
        return as_count(a) == as_count(b);
    case NUMBER:
        return as_number(a) == as_number(b);
    case TEXT:
        return strcmp(a, b) == 0;
    default:
        return as_int(a) == as_int(b);
    }
}

void
bs_train_config_unset(struct bs_train_config *c)
{
    size_t i;

    memset(c, 0, sizeof *c);
    for (i = 0; i < BS_LEN(members); i++) {
        void *value = at(c, &members[i]);

        if (members[i].kind == COUNT)
            *(uint64_t *)value = UINT64_MAX;
        else if (members[i].kind == NUMBER)
            *(double *)value = NAN;
        else if (members[i].kind != TEXT)
            *(int *)value = -1;
    }
}

void
bs_train_config_merge(struct bs_train_config *to,
                      const struct bs_train_config *from)
{
    size_t i;

    for (i = 0; i < BS_LEN(members); i++) {
        const struct member *m = &members[i];

        if (!is_set(m, value_of(to, m)))
            memcpy(at(to, m), value_of(from, m), m->size);
    }
}

/* ---- text ------------------------------------------------------------------
 */

/* The fewest digits that are this number again. */
static void
shortest(char *out, size_t room, double x)
{
    int digits;

    for (digits = 1; digits <= 17; digits++) {
        snprintf(out, room, "%.*g", digits, x);
        if (strtod(out, NULL) == x)
            return;
    }
}

/* As in a message; names and counts as they are. */
static void
spell(char *out, size_t room, const struct member *m, const void *value)
{
    if (m->kind == COUNT)
        snprintf(out, room, "%ju", (uintmax_t)as_count(value));
    else if (m->kind == NUMBER)
        shortest(out, room, as_number(value));
    else if (m->kind == TEXT)
        snprintf(out, room, "%s", (const char *)value);
    else
        snprintf(out, room, "%s", m->names[as_int(value)]);
}

int
bs_train_config_agree(const struct bs_train_config *given,
                      const struct bs_train_config *base, const char *where,
                      struct bs_err *e)
{
    char is[130], was[130] = "not set";
    size_t i;

    for (i = 0; i < BS_LEN(members); i++) {
        const struct member *m = &members[i];
        const void *mine = value_of(given, m), *theirs = value_of(base, m);

        if (!is_set(m, mine) || same(m, mine, theirs))
            continue;
        spell(is, sizeof is, m, mine);
        if (is_set(m, theirs))
            spell(was, sizeof was, m, theirs);
        return bs_err_set(e, BS_EX_USAGE, "'--%s' is %s in %s, not %s", m->name,
                          was, where, is);
    }
    return 0;
}

int
bs_train_config_json(const struct bs_train_config *c, struct bs_buf *json,
                     struct bs_err *e)
{
    char text[130];
    size_t i;
    int r = bs_buf_str(json, "{", e);
    bool first = true;

    for (i = 0; i < BS_LEN(members) && r == 0; i++) {
        const struct member *m = &members[i];

        if (!is_set(m, value_of(c, m)))
            continue;
        spell(text, sizeof text, m, value_of(c, m));
        r = bs_buf_printf(json, e, "%s\"%s\":", first ? "" : ",", m->name);
        if (r == 0)
            r = m->kind == CHOICE || m->kind == TEXT
                    ? bs_json_quote(json, text, e)
                    : bs_buf_str(json, text, e);
        first = false;
    }
    return r < 0 ? r : bs_buf_add(json, "}", 2, e);
}

/* The value of one member from JSON; false where it cannot be that. */
static bool
read_member(struct bs_train_config *c, const struct member *m,
            const struct bs_json *v)
{
    void *value = at(c, m);
    const char *text = v->type == BS_JSON_STRING ? v->text : NULL;
    int i;

    switch (m->kind) {
    case COUNT:
        return bs_json_u64(v, UINT64_MAX - 1, value);
    case NUMBER:
        *(double *)value = v->number;
        return v->type == BS_JSON_NUMBER;
    case SWITCH:
        *(int *)value = v->truth;
        return v->type == BS_JSON_BOOL;
    case TEXT:
        if (text == NULL || strlen(text) >= m->size)
            return false;
        snprintf(value, m->size, "%s", text);
        return true;
    default:
        for (i = 0; text != NULL && m->names[i] != NULL; i++)
            if (strcmp(m->names[i], text) == 0) {
                *(int *)value = i;
                return true;
            }
        return false;
    }
}

int
bs_train_config_parse(struct bs_train_config *c, const char *json,
                      struct bs_err *e)
{
    struct bs_json_doc *doc;
    const struct bs_json *v;
    size_t i;
    int r = bs_json_parse(&doc, json, strlen(json), 0, e);

    bs_train_config_unset(c);
    if (r < 0)
        return r;
    for (v = bs_json_root(doc)->child; v != NULL && r == 0; v = v->next) {
        for (i = 0; i < BS_LEN(members); i++)
            if (v->key != NULL && strcmp(members[i].name, v->key) == 0)
                break;
        if (i == BS_LEN(members) || !read_member(c, &members[i], v))
            r = bs_err_set(e, BS_EX_DATA, "option '%.40s' makes no sense",
                           v->key != NULL ? v->key : "");
    }
    bs_json_free(doc);
    return r;
}

/* ---- checks ----------------------------------------------------------------
 */

/* Whether x lies in the range (open at `above`, and at `below` where that is
 * not infinite). */
struct range {
    const char *name;
    double least, below;
    bool above; /* more than the least, not equal */
};

static int
check_numbers(const struct bs_train_config *c, struct bs_err *e)
{
    static const struct range ranges[] = {
        {"aux-weight", 0, INFINITY, false},
        {"beta1", 0, 1, false},
        {"beta2", 0, 1, false},
        {"clip", 0, INFINITY, false},
        {"decay", 0, INFINITY, false},
        {"delta", 0, INFINITY, false},
        {"ema", 0, 1, false},
        {"eps", 0, INFINITY, true},
        {"rate", 0, INFINITY, true},
        {"rate-end", 0, INFINITY, false},
        {"warmup", 0, 1e15, false},
    };
    size_t i, j;

    for (i = 0; i < BS_LEN(ranges); i++) {
        const struct range *g = &ranges[i];
        double x;

        for (j = 0; strcmp(members[j].name, g->name) != 0; j++)
            ;
        x = as_number(value_of(c, &members[j]));
        if (!(x >= g->least) || (g->above && x == g->least))
            return bs_err_set(e, BS_EX_USAGE, "'--%s' must %s %g", g->name,
                              g->above ? "be above" : "not be below", g->least);
        if (!(x < g->below))
            return bs_err_set(e, BS_EX_USAGE, "'--%s' must be below %g",
                              g->name, g->below);
    }
    return 0;
}

/* Counts that must be there, and their ranges. */
static int
check_counts(const struct bs_train_config *c, struct bs_err *e)
{
    const struct {
        const char *name;
        uint64_t value, least, most;
    } ranges[] = {{"concepts", c->concepts, 1, BS_TRAIN_CONCEPTS_MAX},
                  {"top", c->k, 1, BS_TRAIN_K_MAX},
                  {"points", c->points, 1, BS_TRAIN_CONCEPTS_MAX},
                  {"aux-k", c->aux_k, 1, BS_TRAIN_CONCEPTS_MAX},
                  {"dead", c->dead, 1, UINT64_MAX - 1},
                  {"batch", c->batch, 1, BS_TRAIN_BATCH_MAX},
                  {"shuffle", c->shuffle, 0, BS_TRAIN_SHUFFLE_MAX}};
    size_t i;

    for (i = 0; i < BS_LEN(ranges); i++)
        if (ranges[i].value < ranges[i].least ||
            ranges[i].value > ranges[i].most)
            return bs_err_set(e, BS_EX_USAGE, "'--%s' must be %ju to %ju",
                              ranges[i].name, (uintmax_t)ranges[i].least,
                              (uintmax_t)ranges[i].most);
    if (c->epochs == 0 || c->steps == 0)
        return bs_err_set(e, BS_EX_USAGE, "'--%s' must be above 0",
                          c->epochs == 0 ? "epochs" : "steps");
    if (c->epochs == UINT64_MAX && c->steps == UINT64_MAX)
        return bs_err_set(e, BS_EX_USAGE, "'--epochs' is not set");
    return 0;
}

bool
bs_train_config_shard(const struct bs_train_config *c, uint64_t *index,
                      uint64_t *count)
{
    const char *slash = strchr(c->shard, '/');
    char first[sizeof c->shard];

    *index = 0;
    *count = 1;
    if (c->shard[0] == '\0')
        return true;
    if (slash == NULL)
        return false;
    snprintf(first, sizeof first, "%.*s", (int)(slash - c->shard), c->shard);
    return bs_num_u64(slash + 1, 1, UINT32_MAX, count) == NULL &&
           bs_num_u64(first, 0, *count - 1, index) == NULL;
}

int
bs_train_config_check(const struct bs_train_config *c, struct bs_err *e)
{
    uint64_t index, count;
    int r = check_counts(c, e);

    if (r < 0)
        return r;
    if (!bs_train_config_shard(c, &index, &count))
        return bs_err_set(e, BS_EX_USAGE, "'--shard' is not i/n");
    if (c->select != BS_SAE_TOPK && c->select != BS_SAE_BATCH_TOPK)
        return bs_err_set(e, BS_EX_USAGE,
                          "only 'topk' and 'batchtopk' can be trained; "
                          "'--select' chooses");
    if (c->k > c->concepts)
        return bs_err_set(e, BS_EX_USAGE, "'-k' is %ju of %ju concepts",
                          (uintmax_t)c->k, (uintmax_t)c->concepts);
    if (c->aux == BS_AUX_AUXK && c->aux_k > c->concepts)
        return bs_err_set(e, BS_EX_USAGE, "'--aux-k' is %ju of %ju concepts",
                          (uintmax_t)c->aux_k, (uintmax_t)c->concepts);
    if (c->aux == BS_AUX_NONE && c->aux_weight > 0)
        return bs_err_set(e, BS_EX_USAGE,
                          "'--aux-weight' belongs to an auxiliary term, and "
                          "'--aux' is none");
    return check_numbers(c, e);
}

/* ---- to and from others ----------------------------------------------------
 */

void
bs_train_config_of_model(struct bs_train_config *fixed,
                         struct bs_train_config *defaults, int recipe,
                         const struct bs_sae *s)
{
    bs_train_config_unset(fixed);
    fixed->concepts = s->concepts;
    fixed->layer_norm = s->ln_g != NULL;
    fixed->enc_bias = s->enc_b != NULL;
    fixed->pre_bias = s->pre_b != NULL ? BS_PRE_ZERO : BS_PRE_NONE;
    if (s->ra_c != NULL)
        fixed->points = s->points;
    *defaults = *fixed;
    defaults->select = (int)s->select;
    if (s->k > 0)
        defaults->k = s->k;
    if (s->ra_c != NULL) {
        defaults->dictionary = BS_DICT_ARCHETYPAL;
        if (s->ra_delta > 0)
            defaults->delta = (double)s->ra_delta;
    } else if (recipe < 0 || recipe == BS_RECIPE_RA_SAE) {
        defaults->dictionary = BS_DICT_PLAIN;
    }
    snprintf(defaults->name, sizeof defaults->name, "%s", s->name);
    snprintf(defaults->init, sizeof defaults->init, "%s", s->sha256);
}

struct bs_trainer_options
bs_train_config_trainer(const struct bs_train_config *c, size_t width,
                        uint64_t steps, uint64_t warmup)
{
    return (struct bs_trainer_options){
        .concepts = (size_t)c->concepts,
        .width = width,
        .select = (enum bs_sae_select)c->select,
        .k = (uint32_t)c->k,
        .enc_bias = c->enc_bias != 0,
        .layer_norm = c->layer_norm != 0,
        .pre_bias = c->pre_bias != BS_PRE_NONE,
        .dictionary = (enum bs_trainer_dictionary)c->dictionary,
        .delta = (float)c->delta,
        .multiplier = c->multiplier != 0,
        .loss = (enum bs_trainer_loss)c->loss,
        .aux_kind = (enum bs_trainer_aux)c->aux,
        .aux = (float)c->aux_weight,
        .aux_k = (uint32_t)c->aux_k,
        .dead_tokens = c->dead,
        .ema = (float)c->ema,
        .steps = steps != UINT64_MAX ? steps : 0,
        .warmup = warmup,
        .rate = c->rate,
        .rate_end = c->rate_end,
        .beta1 = c->beta1,
        .beta2 = c->beta2,
        .eps = c->eps,
        .decay = c->decay,
        .clip = (float)c->clip,
        .math = (enum bs_math)c->math,
        .seed = c->seed,
    };
}
