#include "tests/painter/paint.h"

#include "common/mem.h"

#include <math.h>

/*
 * Coordinates: the picture is the square from 0 to 1, y downwards; a thing is
 * drawn in coordinates of its own, in which it is about as large as the circle
 * of radius 1.
 */

struct point {
    double x, y;
};

struct rgb {
    double r, g, b; /* 0..1 */
};

enum { CELLS = 64, CORNERS_MAX = 24, THINGS_MAX = 6 };

struct outline {
    int corners;
    struct point corner[CORNERS_MAX];
};

struct painter {
    struct outline outline[SHAPES]; /* of those that have corners */
    double noise[CELLS][CELLS];     /* 0..1, of the picture in work */
};

/* A thing in its place. */
struct thing {
    int shape, texture;
    struct rgb colour;
    double x, y, size, turn, phase;
};

static const double pi = 3.14159265358979323846;

static double
clamp01(double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

static struct rgb
mix(struct rgb a, struct rgb b, double share)
{
    return (struct rgb){a.r + (b.r - a.r) * share, a.g + (b.g - a.g) * share,
                        a.b + (b.b - a.b) * share};
}

static struct rgb
scale(struct rgb a, double by)
{
    return (struct rgb){a.r * by, a.g * by, a.b * by};
}

static double
between(struct bs_rng *r, double low, double high)
{
    return low + (high - low) * bs_rng_f64(r);
}

/* ---- shapes -------------------------------------------------------------- */

/* Corners on circles of the radii `a` and `b` in turn, the first on top. */
static void
radial(struct outline *o, int corners, double a, double b)
{
    int i;

    o->corners = corners;
    for (i = 0; i < corners; i++) {
        double angle = 2 * pi * i / corners - pi / 2;
        double radius = i % 2 == 0 ? a : b;

        o->corner[i] = (struct point){radius * cos(angle), radius * sin(angle)};
    }
}

static void
cross(struct outline *o)
{
    static const int turn[4][2] = {{1, 1}, {-1, 1}, {-1, -1}, {1, -1}};
    const double arm = 0.32;
    int q;

    o->corners = 12;
    for (q = 0; q < 4; q++) {
        struct point *c = &o->corner[3 * q];
        double x = turn[q][0], y = turn[q][1];
        bool swap = q % 2 == 1;

        c[swap ? 2 : 0] = (struct point){x, y * arm};
        c[1] = (struct point){x * arm, y * arm};
        c[swap ? 0 : 2] = (struct point){x * arm, y};
    }
}

static void
heart(struct outline *o)
{
    int i;

    o->corners = CORNERS_MAX;
    for (i = 0; i < CORNERS_MAX; i++) {
        double t = 2 * pi * i / CORNERS_MAX;
        double y = 13 * cos(t) - 5 * cos(2 * t) - 2 * cos(3 * t) - cos(4 * t);

        o->corner[i] = (struct point){pow(sin(t), 3) * 1.05, -(y + 2.5) / 15.0};
    }
}

static void
outlines(struct painter *p)
{
    radial(&p->outline[SQUARE], 4, 1.15, 1.15);
    radial(&p->outline[TRIANGLE], 3, 1.15, 1.15);
    radial(&p->outline[STAR], 10, 1.2, 0.5);
    cross(&p->outline[CROSS]);
    heart(&p->outline[HEART]);
}

/* Signed distance to a polygon: to the nearest edge, negative inside. */
static double
polygon(const struct outline *o, struct point p)
{
    double best = 1e9;
    bool inside = false;
    int i, j;

    for (i = 0, j = o->corners - 1; i < o->corners; j = i++) {
        struct point a = o->corner[i], b = o->corner[j];
        double ex = b.x - a.x, ey = b.y - a.y;
        double px = p.x - a.x, py = p.y - a.y;
        double along = clamp01((px * ex + py * ey) / (ex * ex + ey * ey));
        double dx = px - ex * along, dy = py - ey * along;

        best = fmin(best, dx * dx + dy * dy);
        if ((a.y > p.y) != (b.y > p.y) && px < ex * py / ey)
            inside = !inside;
    }
    return inside ? -sqrt(best) : sqrt(best);
}

static double
distance(const struct painter *p, int shape, struct point at)
{
    double radius = hypot(at.x, at.y);

    switch (shape) {
    case DISC:
        return radius - 0.95;
    case RING:
        return fabs(radius - 0.76) - 0.27;
    case MOON:
        return fmax(radius - 1, 0.82 - hypot(at.x - 0.5, at.y));
    default:
        return polygon(&p->outline[shape], at);
    }
}

/* ---- noise --------------------------------------------------------------- */

static void
noise_fill(struct painter *p, struct bs_rng *r)
{
    int x, y;

    for (y = 0; y < CELLS; y++)
        for (x = 0; x < CELLS; x++)
            p->noise[y][x] = bs_rng_f64(r);
}

/* Smooth noise that repeats after CELLS. */
static double
noise(const struct painter *p, double x, double y)
{
    double fx = floor(x), fy = floor(y);
    double u = x - fx, v = y - fy;
    int x0 = (int)fx & (CELLS - 1), y0 = (int)fy & (CELLS - 1);
    int x1 = (x0 + 1) & (CELLS - 1), y1 = (y0 + 1) & (CELLS - 1);
    double top, bottom;

    u = u * u * (3 - 2 * u);
    v = v * v * (3 - 2 * v);
    top = p->noise[y0][x0] * (1 - u) + p->noise[y0][x1] * u;
    bottom = p->noise[y1][x0] * (1 - u) + p->noise[y1][x1] * u;
    return top * (1 - v) + bottom * v;
}

/* ---- backgrounds --------------------------------------------------------- */

static struct rgb
sky(const struct painter *p, double x, double y)
{
    struct rgb blue = mix((struct rgb){0.36, 0.60, 0.90},
                          (struct rgb){0.75, 0.88, 0.97}, y / 2);
    double cloud = 0.6 * noise(p, x * 4, y * 7) + 0.4 * noise(p, x * 9, y * 15);

    return mix(blue, (struct rgb){1, 1, 1}, clamp01(cloud * 5 - 2.7));
}

static struct rgb
grass(const struct painter *p, double x, double y)
{
    double blade = noise(p, x * 56 + 4 * noise(p, x * 6, y * 6), y * 9);

    return mix((struct rgb){0.12, 0.34, 0.10}, (struct rgb){0.45, 0.70, 0.22},
               blade * (0.7 + 0.3 * y));
}

static struct rgb
sand(const struct painter *p, double x, double y)
{
    double bend = 3 * noise(p, x * 3, y * 3);
    double ripple = 0.5 + 0.5 * sin(y * 55 + x * 12 + bend * 3);
    double grain = noise(p, x * 63, y * 63);

    return mix((struct rgb){0.72, 0.58, 0.36}, (struct rgb){0.95, 0.85, 0.62},
               0.6 * ripple + 0.4 * grain);
}

static struct rgb
night(const struct painter *p, double x, double y)
{
    struct rgb dark = mix((struct rgb){0.02, 0.03, 0.12},
                          (struct rgb){0.10, 0.10, 0.28}, y / 2);
    double light = noise(p, x * 50, y * 50);

    return mix(dark, (struct rgb){1, 1, 0.9}, clamp01((light - 0.93) * 14));
}

static struct rgb
water(const struct painter *p, double x, double y)
{
    double swell = 2.5 * noise(p, x * 5, y * 5);
    double wave = 0.5 + 0.5 * sin(y * 70 + 2.2 * sin(x * 24 + swell) + swell);

    return mix((struct rgb){0.02, 0.30, 0.42}, (struct rgb){0.35, 0.78, 0.78},
               wave * wave);
}

static struct rgb
brick(const struct painter *p, double x, double y)
{
    double row = floor(y * 11), v = y * 11 - row;
    double column = x * 5.5 + 0.5 * fmod(row, 2);
    double u = column - floor(column);
    double tone = noise(p, floor(column) * 7 + 0.5, row * 5 + 0.5);
    double mortar = fmax(fabs(u - 0.5) - 0.46, (fabs(v - 0.5) - 0.41) / 2) * 60;
    struct rgb stone = mix((struct rgb){0.50, 0.20, 0.14},
                           (struct rgb){0.74, 0.38, 0.27}, tone);

    return mix(stone, (struct rgb){0.80, 0.77, 0.72}, clamp01(mortar + 0.5));
}

static struct rgb
ground(const struct painter *p, int background, double x, double y)
{
    switch (background) {
    case SKY:
        return sky(p, x, y);
    case GRASS:
        return grass(p, x, y);
    case SAND:
        return sand(p, x, y);
    case NIGHT:
        return night(p, x, y);
    case WATER:
        return water(p, x, y);
    default:
        return brick(p, x, y);
    }
}

/* ---- things -------------------------------------------------------------- */

static double
fraction(double x)
{
    return x - floor(x);
}

/* The colour at a place of a thing: the texture is its own, not the world's. */
static struct rgb
surface(const struct thing *t, struct point at)
{
    double x = at.x * t->size + t->phase, y = at.y * t->size + t->phase;
    struct rgb dark = scale(t->colour, 0.3);
    double u, v;

    switch (t->texture) {
    case STRIPED:
        return mix(t->colour, dark,
                   clamp01(sin((x + y) * 2 * pi * 12) * 2 + 0.5));
    case DOTTED:
        u = fraction(x * 11) - 0.5;
        v = fraction(y * 11) - 0.5;
        return mix(t->colour, dark, clamp01((0.33 - hypot(u, v)) * 8 + 0.5));
    case CHECKED:
        u = sin(x * 2 * pi * 8);
        v = sin(y * 2 * pi * 8);
        return mix(t->colour, dark, clamp01(u * v * 6 + 0.5));
    default:
        return t->colour;
    }
}

static struct rgb
tint(int colour, struct bs_rng *r)
{
    static const struct rgb palette[COLOURS] = {
        {0.86, 0.12, 0.12}, {0.97, 0.83, 0.12}, {0.15, 0.66, 0.25},
        {0.14, 0.30, 0.85}, {0.58, 0.20, 0.70}, {0.96, 0.96, 0.96}};
    struct rgb c = palette[colour];

    c.r = clamp01(c.r + between(r, -0.04, 0.04));
    c.g = clamp01(c.g + between(r, -0.04, 0.04));
    c.b = clamp01(c.b + between(r, -0.04, 0.04));
    return c;
}

/* Where the things of group g may lie: the corners of a rectangle. */
static void
region(const struct scene *s, int g, struct point *low, struct point *high)
{
    *low = (struct point){0, 0};
    *high = (struct point){1, 1};
    if (s->relation == LEFT)
        *(g == 0 ? &high->x : &low->x) = 0.5;
    if (s->relation == ABOVE)
        *(g == 0 ? &high->y : &low->y) = 0.5;
}

static bool
collides(const struct thing *t, const struct thing *others, int n)
{
    int i;

    for (i = 0; i < n; i++)
        if (hypot(t->x - others[i].x, t->y - others[i].y) <
            0.92 * (t->size + others[i].size))
            return true;
    return false;
}

/* Put a thing of some size into its region, beside those that are there:
 * smaller and smaller until it fits, so that everything asked for is drawn. */
static void
place(struct thing *t, struct point low, struct point high,
      const struct thing *others, int n, struct bs_rng *r)
{
    int tries;

    for (tries = 0; tries < 400; tries++) {
        double edge = t->size * 0.9;

        t->x = between(r, low.x + edge, high.x - edge);
        t->y = between(r, low.y + edge, high.y - edge);
        if (!collides(t, others, n))
            return;
        if (tries % 20 == 19)
            t->size *= 0.95;
    }
}

static int
arrange(const struct scene *s, struct thing *things, struct bs_rng *r)
{
    struct point low, high;
    int g, i, n = 0;

    for (g = 0; g < s->groups; g++) {
        const int *value = s->group[g].value;

        region(s, g, &low, &high);
        for (i = 0; i <= value[COUNT]; i++, n++) {
            struct thing *t = &things[n];

            t->shape = value[SHAPE];
            t->texture = value[TEXTURE];
            t->colour = tint(value[COLOUR], r);
            t->turn = between(r, -0.35, 0.35);
            t->phase = between(r, 0, 1);
            t->size = between(r, 0.15, value[COUNT] == THREE ? 0.19 : 0.24);
            place(t, low, high, things, n, r);
        }
    }
    return n;
}

/* The thing over what is there: a dark rim, its surface inside. */
static struct rgb
cover(const struct painter *p, const struct thing *t, double x, double y,
      double pixel, struct rgb under)
{
    double c = cos(t->turn), s = sin(t->turn);
    double dx = (x - t->x) / t->size, dy = (y - t->y) / t->size;
    struct point at = {c * dx + s * dy, c * dy - s * dx};
    double d, inside, rim;
    struct rgb colour;

    if (dx * dx + dy * dy > 1.6)
        return under;
    d = distance(p, t->shape, at) * t->size / pixel;
    inside = clamp01(0.5 - d);
    if (inside == 0)
        return under;
    rim = clamp01(d + 1.7);
    colour = mix(surface(t, at), scale(t->colour, 0.25), rim);
    return mix(under, colour, inside);
}

static uint8_t
byte(double value)
{
    return (uint8_t)(clamp01(value) * 255 + 0.5);
}

void
painter_paint(struct painter *p, const struct scene *s, struct bs_rng *r,
              struct bs_image *img)
{
    struct thing things[THINGS_MAX];
    double pixel = 1.0 / (double)img->width;
    double light, shift_x, shift_y;
    size_t i, j;
    int n, k;

    noise_fill(p, r);
    light = between(r, 0.92, 1.08);
    shift_x = between(r, 0, 1);
    shift_y = between(r, 0, 1);
    n = arrange(s, things, r);
    for (j = 0; j < img->height; j++) {
        for (i = 0; i < img->width; i++) {
            double x = ((double)i + 0.5) * pixel, y = ((double)j + 0.5) * pixel;
            uint8_t *out = img->rgb + (j * img->width + i) * 3;
            struct rgb c;

            c = ground(p, s->background, x + shift_x, y + shift_y);
            for (k = 0; k < n; k++)
                c = cover(p, &things[k], x, y, pixel, c);
            out[0] = byte(c.r * light);
            out[1] = byte(c.g * light);
            out[2] = byte(c.b * light);
        }
    }
}

int
painter_open(struct painter **out, struct bs_err *e)
{
    *out = bs_alloc_array(1, sizeof **out);
    if (*out == NULL)
        return bs_err_memory(e, "painter", sizeof **out);
    outlines(*out);
    return 0;
}

void
painter_close(struct painter *p)
{
    bs_free(p);
}
