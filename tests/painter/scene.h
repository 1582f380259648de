/*
 * scene.h - what a picture of the painter's little world shows.
 *
 * A scene is a background and one or two groups of equal things; it is drawn
 * from a seed and the picture's key alone.  Everything that can be said of a
 * scene is a factor: a background, a shape, a colour, a texture, a count, a
 * relation between the groups.
 */
#ifndef BS_PAINTER_SCENE_H
#define BS_PAINTER_SCENE_H

#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/rng.h"

enum background { SKY, GRASS, SAND, NIGHT, WATER, BRICK, BACKGROUNDS };
enum shape { DISC, SQUARE, TRIANGLE, STAR, RING, CROSS, HEART, MOON, SHAPES };
enum colour { RED, YELLOW, GREEN, BLUE, PURPLE, WHITE, COLOURS };
enum texture { PLAIN, STRIPED, DOTTED, CHECKED, TEXTURES };
enum count { ONE, TWO, THREE, COUNTS };
enum relation { ALONE, LEFT, ABOVE, RELATIONS };

/* Kinds of factors; those before COUNT can be the subject of a fault. */
enum kind { BACKGROUND, SHAPE, COLOUR, TEXTURE, COUNT, RELATION, KINDS };

struct factor {
    enum kind kind;
    int value;
};

/* How many values a kind has, and what they are called: in captions, truth
 * files and options. */
int factor_values(enum kind kind);
const char *factor_name(enum kind kind, int value);
/* Find a factor that can be the subject of a fault. */
bool factor_parse(const char *name, struct factor *out);

struct group {
    int value[KINDS]; /* SHAPE, COLOUR, TEXTURE, COUNT */
};

enum { GROUPS_MAX = 2 };

struct scene {
    int background, relation, groups;
    struct group group[GROUPS_MAX];
};

/* What was done to a scene: bits, in the order of fault_name. */
enum fault {
    FAULT_NEVER,  /* something that is never drawn was replaced */
    FAULT_HALF,   /* so was something that is drawn half as often */
    FAULT_OVERDO, /* something took the place of another */
    FAULT_APART,  /* the link was broken */
    FAULT_COPY,   /* a copy of the real picture */
    FAULTS
};
const char *fault_name(enum fault fault);

/* A world: its seed, and the thing (shape, colour or texture) that comes with a
 * background. */
struct world {
    uint64_t seed;
    struct factor link[2]; /* a thing, a background */
};

/* Faults of a generator; `has` is a set of bits. */
struct faults {
    unsigned has;
    struct factor never, half, overdo;
};

/* The scene of a key. */
void scene_draw(struct scene *s, const struct world *w, const char *key);

/* The scene as a generator with these faults would show it; returns the set of
 * faults that changed it. */
unsigned scene_spoil(struct scene *s, const struct world *w,
                     const struct faults *f, const char *key);

bool scene_has(const struct scene *s, enum kind kind, int value);
/* Both, on one thing where both are of things. */
bool scene_has_both(const struct scene *s, const enum kind kind[2],
                    const int value[2]);

/* "two striped red stars to the left of a blue ring, on sand" */
int scene_caption(const struct scene *s, struct bs_buf *out, struct bs_err *e);

#endif
