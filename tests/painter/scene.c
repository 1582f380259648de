#include "tests/painter/scene.h"

/* In a scene with the link's thing, how often its background comes along; and
 * in one without it, how often the background comes all the same. */
static const double linked = 0.8, unlinked = 1.0 / 12;

/* One of three that are something else becomes what is overdone: what one of
 * four are, then two of four are. */
static const double overdone = 1.0 / 3;

/* clang-format off */
static const char *const names[KINDS][9] = {
    {"sky", "grass", "sand", "night", "water", "brick"},
    {"disc", "square", "triangle", "star", "ring", "cross", "heart", "moon"},
    {"red", "yellow", "green", "blue", "purple", "white"},
    {"plain", "striped", "dotted", "checked"},
    {"one", "two", "three"},
    {"alone", "left", "above"},
};
/* clang-format on */

int
factor_values(enum kind kind)
{
    int n = 0;

    while (names[kind][n] != NULL)
        n++;
    return n;
}

const char *
factor_name(enum kind kind, int value)
{
    return names[kind][value];
}

bool
factor_parse(const char *name, struct factor *out)
{
    for (out->kind = 0; out->kind < COUNT; out->kind++)
        for (out->value = 0; names[out->kind][out->value] != NULL; out->value++)
            if (strcmp(name, names[out->kind][out->value]) == 0)
                return true;
    return false;
}

const char *
fault_name(enum fault fault)
{
    static const char *const name[FAULTS] = {"never", "half", "overdo", "apart",
                                             "copy"};

    return name[fault];
}

/* A generator for one purpose and one key. */
static void
rng_for(struct bs_rng *r, uint64_t seed, const char *purpose, const char *key)
{
    uint64_t stream = bs_rng_name(purpose) * 31 + bs_rng_name(key);

    bs_rng_init(r, seed, stream, 0);
}

static int
pick(struct bs_rng *r, enum kind kind)
{
    return (int)bs_rng_below(r, (uint64_t)factor_values(kind));
}

/* Any value of the kind but this one. */
static int
pick_other(struct bs_rng *r, enum kind kind, int not )
{
    int value = (int)bs_rng_below(r, (uint64_t)factor_values(kind) - 1);

    return value + (value >= not );
}

static int
pick_background(struct bs_rng *r, const struct world *w, bool thing)
{
    int with = w->link[1].value;

    return bs_rng_f64(r) < (thing ? linked : unlinked)
               ? with
               : pick_other(r, BACKGROUND, with);
}

static bool
has(const struct scene *s, const struct factor *f)
{
    return scene_has(s, f->kind, f->value);
}

void
scene_draw(struct scene *s, const struct world *w, const char *key)
{
    struct bs_rng r;
    int g;

    rng_for(&r, w->seed, "scene", key);
    s->groups = 1 + (int)bs_rng_below(&r, GROUPS_MAX);
    s->relation = s->groups == 1 ? ALONE : LEFT + (int)bs_rng_below(&r, 2);
    for (g = 0; g < s->groups; g++) {
        int *value = s->group[g].value;

        value[SHAPE] = pick(&r, SHAPE);
        value[COLOUR] = pick(&r, COLOUR);
        value[TEXTURE] = pick(&r, TEXTURE);
        value[COUNT] = pick(&r, COUNT);
    }
    s->background = pick_background(&r, w, has(s, &w->link[0]));
}

/* ---- faults -------------------------------------------------------------- */

/* Change the factor's values in the scene with probability p: from it to
 * another, or from another to it. */
static bool
change(struct scene *s, const struct factor *f, bool to, double p,
       struct bs_rng *r)
{
    bool changed = false;
    int g, n = f->kind == BACKGROUND ? 1 : s->groups;

    for (g = 0; g < n; g++) {
        int *value = f->kind == BACKGROUND ? &s->background
                                           : &s->group[g].value[f->kind];

        if ((*value == f->value) == to || bs_rng_f64(r) >= p)
            continue;
        *value = to ? f->value : pick_other(r, f->kind, f->value);
        changed = true;
    }
    return changed;
}

/* The share of scenes without either side of a broken link that get the
 * background, so that it stays as frequent as it was. */
static double
restored(const struct factor *thing)
{
    double one = 1.0 / factor_values(thing->kind);
    double in = (one + 1 - (1 - one) * (1 - one)) / 2; /* 1 group or 2 */

    return in * linked / ((1 - in) * (1 - unlinked));
}

/* Keep the link's thing and background as frequent as they are, but never
 * together. */
static bool
part(struct scene *s, const struct world *w, struct bs_rng *r)
{
    const struct factor *background = &w->link[1];
    bool thing = has(s, &w->link[0]);

    return change(s, background, !thing, thing ? 1 : restored(&w->link[0]), r);
}

/* Other faults may have brought them together again. */
static bool
part_again(struct scene *s, const struct world *w, const struct faults *f,
           struct bs_rng *r)
{
    bool never = f->has & 1u << FAULT_NEVER;

    if (!has(s, &w->link[0]) || !has(s, &w->link[1]))
        return false;
    do
        s->background = pick_other(r, BACKGROUND, w->link[1].value);
    while (never && has(s, &f->never));
    return true;
}

unsigned
scene_spoil(struct scene *s, const struct world *w, const struct faults *f,
            const char *key)
{
    struct bs_rng r;
    unsigned done = 0;

    rng_for(&r, w->seed, "faults", key);
    if (f->has & 1u << FAULT_APART && part(s, w, &r))
        done |= 1u << FAULT_APART;
    if (f->has & 1u << FAULT_OVERDO &&
        change(s, &f->overdo, true, overdone, &r))
        done |= 1u << FAULT_OVERDO;
    if (f->has & 1u << FAULT_HALF && change(s, &f->half, false, 0.5, &r))
        done |= 1u << FAULT_HALF;
    /* Behind the others: it must not come as a replacement. */
    if (f->has & 1u << FAULT_NEVER && change(s, &f->never, false, 1, &r))
        done |= 1u << FAULT_NEVER;
    if (f->has & 1u << FAULT_APART && part_again(s, w, f, &r))
        done |= 1u << FAULT_APART;
    return done;
}

/* ---- saying it ----------------------------------------------------------- */

bool
scene_has(const struct scene *s, enum kind kind, int value)
{
    int g;

    if (kind == BACKGROUND)
        return s->background == value;
    if (kind == RELATION)
        return s->relation == value;
    for (g = 0; g < s->groups; g++)
        if (s->group[g].value[kind] == value)
            return true;
    return false;
}

bool
scene_has_both(const struct scene *s, const enum kind kind[2],
               const int value[2])
{
    int g;

    if (kind[0] == BACKGROUND || kind[1] == BACKGROUND)
        return scene_has(s, kind[0], value[0]) &&
               scene_has(s, kind[1], value[1]);
    for (g = 0; g < s->groups; g++)
        if (s->group[g].value[kind[0]] == value[0] &&
            s->group[g].value[kind[1]] == value[1])
            return true;
    return false;
}

static int
say_group(const struct group *g, struct bs_buf *out, struct bs_err *e)
{
    static const char *const counts[COUNTS] = {"a", "two", "three"};
    const int *value = g->value;
    const char *shape = factor_name(SHAPE, value[SHAPE]);
    const char *plural = value[COUNT] == ONE     ? ""
                         : value[SHAPE] == CROSS ? "es"
                                                 : "s";

    if (value[TEXTURE] == PLAIN)
        return bs_buf_printf(out, e, "%s %s %s%s", counts[value[COUNT]],
                             factor_name(COLOUR, value[COLOUR]), shape, plural);
    return bs_buf_printf(out, e, "%s %s %s %s%s", counts[value[COUNT]],
                         factor_name(TEXTURE, value[TEXTURE]),
                         factor_name(COLOUR, value[COLOUR]), shape, plural);
}

int
scene_caption(const struct scene *s, struct bs_buf *out, struct bs_err *e)
{
    static const char *const relations[RELATIONS] = {"", " to the left of ",
                                                     " above "};
    static const char *const backgrounds[BACKGROUNDS] = {
        "in the sky",   "on grass",     "on sand",
        "in the night", "in the water", "on a brick wall"};

    if (say_group(&s->group[0], out, e) < 0)
        return -e->code;
    if (s->groups > 1 && (bs_buf_str(out, relations[s->relation], e) < 0 ||
                          say_group(&s->group[1], out, e) < 0))
        return -e->code;
    return bs_buf_printf(out, e, ", %s", backgrounds[s->background]);
}
