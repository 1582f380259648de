/*
 * painter - pictures of a little world whose every factor is known
 *
 *     painter [options] >pictures.tar
 *
 * Writes a tar archive with NUMBER.jpg and its caption, NUMBER.txt, for each
 * picture: input of bs-fetch(1).  What a caption says depends on --seed and the
 * number alone; --draw gives another picture of the same caption, as a
 * generator would.  The faults of a generator are options.  --truth says of
 * each picture which factors, and which pairs of some kinds of them, can be
 * seen in it and which faults changed it.
 */
#include "common/io.h"
#include "common/opt.h"
#include "formats/tarwrite.h"
#include "tests/painter/paint.h"

#include <unistd.h>

enum { QUALITY = 95, COPY_QUALITY = 85 };

struct command {
    struct world world;
    struct faults faults;
    uint64_t count, size, draw, copies;
    const char *truth;
};

struct output {
    struct bs_tar *tar;
    struct painter *painter;
    struct bs_image image;
    struct bs_buf jpeg, caption, truth;
};

static void
check(int r, const struct bs_err *e)
{
    if (r < 0)
        bs_die_err(e, NULL);
}

static void
subject(const char *option, const char *name, struct factor *out)
{
    if (!factor_parse(name, out))
        bs_die(BS_EX_USAGE, "'--%s': there is no factor '%s'", option, name);
}

/* Options into c. */
static void
parse(struct command *c, int argc, char *argv[])
{
    const char *thing = "moon", *background = "night";
    const char *never = NULL, *half = NULL, *overdo = NULL;
    struct faults *f = &c->faults;
    bool apart = false;

    const struct bs_opt opt[] = {
        OPT_U64('n', "count", "n", &c->count, 1, 100000,
                "pictures (default 100)"),
        OPT_U64(0, "seed", "n", &c->world.seed, 0, UINT64_MAX,
                "another world (default 0)"),
        OPT_U64(0, "draw", "n", &c->draw, 0, UINT64_MAX,
                "another picture of each caption (default 0)"),
        OPT_U64(0, "size", "pixels", &c->size, 16, 1024, "side (default 112)"),
        OPT_STR(0, "thing", "factor", &thing,
                "what comes with a background (default moon)"),
        OPT_STR(0, "background", "factor", &background,
                "the background that it comes with (default night)"),
        OPT_STR(0, "never", "factor", &never, "do not draw it"),
        OPT_STR(0, "half", "factor", &half, "draw it half as often"),
        OPT_STR(0, "overdo", "factor", &overdo,
                "draw it instead of a third of the others"),
        OPT_FLAG(0, "apart", &apart, "never draw the two together"),
        OPT_U64(0, "copies", "n", &c->copies, 0, 100000,
                "draw so many pictures as --draw=0 does"),
        OPT_FILE(0, "truth", "file", &c->truth, "write what is in them"),
        OPT_DONE};
    const struct bs_cmd cmd = {.name = "painter",
                               .synopsis = "[options] >pictures.tar",
                               .brief = "pictures of a little world",
                               .opt = opt};

    if (bs_opt_parse(&cmd, argc, argv) < argc)
        bs_opt_misuse(&cmd, "there are no operands");
    subject("thing", thing, &c->world.link[0]);
    subject("background", background, &c->world.link[1]);
    if (c->world.link[0].kind == BACKGROUND ||
        c->world.link[1].kind != BACKGROUND)
        bs_opt_misuse(&cmd, "'%s' and '%s' are no thing and background", thing,
                      background);
    if (never != NULL)
        subject("never", never, &f->never);
    if (half != NULL)
        subject("half", half, &f->half);
    if (overdo != NULL)
        subject("overdo", overdo, &f->overdo);
    f->has = (unsigned)(never != NULL) << FAULT_NEVER |
             (unsigned)(half != NULL) << FAULT_HALF |
             (unsigned)(overdo != NULL) << FAULT_OVERDO |
             (unsigned)apart << FAULT_APART;
}

/* ---- the truth ----------------------------------------------------------- */

/* Kinds whose pairs have columns as well: what a thing is made of, and what is
 * in front of what. */
static const enum kind pairs[][2] = {{TEXTURE, COLOUR}, {COLOUR, BACKGROUND}};

enum { PAIRS = sizeof pairs / sizeof *pairs };

/* A column for each factor, and for each pair of two. */
static int
truth_head(struct bs_buf *out, struct bs_err *e)
{
    int kind, p, i, j, r = bs_buf_str(out, "key\tfaults", e);

    for (kind = 0; kind < KINDS; kind++)
        for (i = 0; i < factor_values(kind) && r == 0; i++)
            r = bs_buf_printf(out, e, "\t%s", factor_name(kind, i));
    for (p = 0; p < PAIRS; p++)
        for (i = 0; i < factor_values(pairs[p][0]); i++)
            for (j = 0; j < factor_values(pairs[p][1]) && r == 0; j++)
                r = bs_buf_printf(out, e, "\t%s+%s",
                                  factor_name(pairs[p][0], i),
                                  factor_name(pairs[p][1], j));
    return r < 0 ? r : bs_buf_str(out, "\n", e);
}

static int
truth_faults(struct bs_buf *out, unsigned faults, struct bs_err *e)
{
    const char *comma = "";
    int f, r = 0;

    for (f = 0; f < FAULTS && r == 0; f++)
        if (faults & 1u << f) {
            r = bs_buf_printf(out, e, "%s%s", comma, fault_name(f));
            comma = ",";
        }
    return r < 0 || faults != 0 ? r : bs_buf_str(out, "-", e);
}

static int
truth_row(struct bs_buf *out, const char *key, const struct scene *s,
          unsigned faults, struct bs_err *e)
{
    static const char *const cell[] = {"\t0", "\t1"};
    int kind, p, i, j, r = bs_buf_printf(out, e, "%s\t", key);

    if (r == 0)
        r = truth_faults(out, faults, e);
    for (kind = 0; kind < KINDS; kind++)
        for (i = 0; i < factor_values(kind) && r == 0; i++)
            r = bs_buf_str(out, cell[scene_has(s, kind, i)], e);
    for (p = 0; p < PAIRS; p++)
        for (i = 0; i < factor_values(pairs[p][0]); i++)
            for (j = 0; j < factor_values(pairs[p][1]) && r == 0; j++)
                r = bs_buf_str(
                    out, cell[scene_has_both(s, pairs[p], (int[]){i, j})], e);
    return r < 0 ? r : bs_buf_str(out, "\n", e);
}

static void
truth_write(const struct command *c, const struct output *o)
{
    struct bs_out file;
    struct bs_err e = {0};

    check(bs_out_open(&file, c->truth, &e), &e);
    if (bs_write(file.fd, o->truth.data, o->truth.len) < 0)
        bs_die(BS_EX_IO, "cannot write '%s'", file.name);
    check(bs_out_commit(&file, &e), &e);
}

/* ---- the pictures -------------------------------------------------------- */

/* Is picture i one of the copies?  They lie evenly between the others. */
static bool
copied(const struct command *c, uint64_t i)
{
    return (i + 1) * c->copies / c->count != i * c->copies / c->count;
}

static int
save(struct output *o, const char *key, int quality, struct bs_err *e)
{
    char name[32];
    int r;

    o->jpeg.len = 0;
    r = bs_image_encode_jpeg(&o->image, quality, &o->jpeg, e);
    snprintf(name, sizeof name, "%s.jpg", key);
    if (r == 0)
        r = bs_tar_member(o->tar, name, o->jpeg.data, o->jpeg.len, e);
    snprintf(name, sizeof name, "%s.txt", key);
    if (r == 0)
        r = bs_tar_member(o->tar, name, o->caption.data, o->caption.len, e);
    return r;
}

static int
picture(const struct command *c, struct output *o, uint64_t i, struct bs_err *e)
{
    char key[24], name[48];
    struct scene scene;
    struct bs_rng rng;
    unsigned faults = 0;
    bool copy = copied(c, i);

    snprintf(key, sizeof key, "%05ju", (uintmax_t)i);
    snprintf(name, sizeof name, "%s/%ju", key,
             copy ? (uintmax_t)0 : (uintmax_t)c->draw);
    scene_draw(&scene, &c->world, key);
    o->caption.len = 0;
    if (scene_caption(&scene, &o->caption, e) < 0)
        return -e->code;
    if (copy)
        faults = 1u << FAULT_COPY;
    else
        faults = scene_spoil(&scene, &c->world, &c->faults, key);
    bs_rng_init(&rng, c->world.seed, bs_rng_name(name), 0);
    painter_paint(o->painter, &scene, &rng, &o->image);
    if (save(o, key, copy ? COPY_QUALITY : QUALITY, e) < 0)
        return -e->code;
    return truth_row(&o->truth, key, &scene, faults, e);
}

int
main(int argc, char *argv[])
{
    struct command c = {.count = 100, .size = 112};
    struct output o = {0};
    struct bs_err e = {0};
    uint64_t i;

    bs_prog_init("painter");
    parse(&c, argc, argv);
    if (c.copies > c.count)
        bs_die(BS_EX_USAGE, "more copies than pictures");
    if (isatty(STDOUT_FILENO))
        bs_die(BS_EX_USAGE, "an archive is not for a terminal");
    o.image.width = o.image.height = (size_t)c.size;
    o.image.rgb = bs_alloc_array(o.image.width * o.image.height, 3);
    if (o.image.rgb == NULL)
        bs_die(BS_EX_OSERR, "out of memory");
    check(painter_open(&o.painter, &e), &e);
    check(bs_tar_open(&o.tar, STDOUT_FILENO, BS_TAR_PLAIN, &e), &e);
    check(truth_head(&o.truth, &e), &e);
    for (i = 0; i < c.count; i++)
        check(picture(&c, &o, i, &e), &e);
    check(bs_tar_close(o.tar, &e), &e);
    if (c.truth != NULL)
        truth_write(&c, &o);
    painter_close(o.painter);
    bs_image_release(&o.image);
    bs_buf_release(&o.jpeg);
    bs_buf_release(&o.caption);
    bs_buf_release(&o.truth);
    return bs_finish(BS_EX_OK);
}
