/*
 * sheet_pairs.c - see sheet_pairs.h.  Memory: the small pictures, and the
 * sheet.
 */
#include "cmd/models/sheet_pairs.h"

#include <string.h>

#include "cmd/models/rank_pairs.h"
#include "cmd/models/sheet_canvas.h"

enum { COLUMNS = 10 };

struct pairs {
    const struct bs_sheet_options *options;
    const char *which, *model;
    struct bs_thumbs thumbs[BS_SIDES];
    struct bs_distant *pair;
    size_t count;
};

/* Pixels of a real row, its generated one and what stands between. */
static size_t
block_height(const struct pairs *p)
{
    return 2 * SHEET_LABEL + 2 * p->options->side + SHEET_BELOW + SHEET_MARGIN +
           SHEET_GAP;
}

static int
load(struct pairs *p, const struct bs_rank_energy *en,
     const struct bs_rank_input *in, struct bs_err *e)
{
    size_t i;
    int side, r = 0;

    for (side = 0; side < BS_SIDES && r == 0; side++) {
        struct bs_thumbs *t = &p->thumbs[side];

        t->side = p->options->side;
        t->sight = en->sight;
        for (i = 0; i < p->count && r == 0; i++)
            r = bs_thumbs_ask(t, p->pair[i].key, e);
        if (r == 0)
            r = bs_thumbs_load(t, p->options->images[side], in, e);
    }
    return r;
}

static void
put_picture(const struct pairs *p, struct bs_image *sheet, size_t x, size_t y,
            enum bs_side side, const char *key)
{
    const uint8_t *rgb = NULL;
    enum bs_thumb_state state = bs_thumbs_get(&p->thumbs[side], key, &rgb);

    if (state == BS_THUMB_OK)
        bs_canvas_put(sheet, x, y, rgb, p->options->side);
    else
        bs_sheet_absent(sheet, x, y, p->options->side, state);
}

/* Pairs from..to, in a block at y. */
static void
put_block(const struct pairs *p, struct bs_image *sheet, size_t from, size_t to,
          size_t y)
{
    size_t side = p->options->side, i, below = y + 2 * SHEET_LABEL + side;
    size_t width = sheet->width - 2 * SHEET_MARGIN;
    char text[300];

    bs_canvas_text(sheet, SHEET_MARGIN, y, width, 1, SHEET_INK, "real images");
    bs_canvas_text(sheet, SHEET_MARGIN, y + SHEET_LABEL + side + SHEET_GAP,
                   width, 1, SHEET_INK, "generated from the same captions");
    for (i = from; i < to; i++) {
        const struct bs_distant *d = &p->pair[i];
        size_t x = SHEET_MARGIN + (i - from) * (side + SHEET_GAP);

        put_picture(p, sheet, x, y + SHEET_LABEL, BS_SIDE_REAL, d->key);
        put_picture(p, sheet, x, below + SHEET_GAP, BS_SIDE_GEN, d->key);
        snprintf(text, sizeof text, "%.3g %s", d->l2, d->key);
        bs_canvas_text(sheet, x, below + SHEET_GAP + side + 2, side, 1,
                       SHEET_GREY, text);
    }
}

static void
draw(const struct pairs *p, struct bs_image *sheet)
{
    size_t width = sheet->width - 2 * SHEET_MARGIN, at;
    char text[300];

    snprintf(text, sizeof text, "%s pairs", p->which);
    bs_canvas_text(sheet, SHEET_MARGIN, SHEET_MARGIN, width, 2, SHEET_INK,
                   text);
    snprintf(text, sizeof text,
             "%.60s  the first %zu by the distance of their energies", p->model,
             p->count);
    bs_canvas_text(sheet, SHEET_MARGIN, SHEET_MARGIN + 20, width, 1, SHEET_GREY,
                   text);
    for (at = 0; at < p->count; at += COLUMNS)
        put_block(p, sheet, at,
                  at + COLUMNS < p->count ? at + COLUMNS : p->count,
                  SHEET_MARGIN + SHEET_TITLE + at / COLUMNS * block_height(p));
}

static int
write_sheet(const struct pairs *p, struct bs_err *e)
{
    size_t width =
        2 * SHEET_MARGIN - SHEET_GAP + COLUMNS * (p->options->side + SHEET_GAP);
    size_t blocks = (p->count + COLUMNS - 1) / COLUMNS;
    struct bs_image sheet = {0};
    struct bs_buf path = {0};
    int r = bs_canvas_init(
        &sheet, width > SHEET_WIDTH_LEAST ? width : SHEET_WIDTH_LEAST,
        SHEET_MARGIN + SHEET_TITLE + blocks * block_height(p), SHEET_PAPER, e);

    if (r == 0)
        r = bs_buf_printf(&path, e, "%s/%s.png", p->options->folder, p->which);
    if (r == 0)
        r = bs_buf_add(&path, "", 1, e);
    if (r == 0) {
        draw(p, &sheet);
        r = bs_canvas_save(&sheet, (const char *)path.data, e);
    }
    bs_buf_release(&path);
    bs_image_release(&sheet);
    return r;
}

static size_t
listed_model(const bool *models)
{
    size_t m = 0;

    while (!models[m])
        m++;
    return m;
}

int
bs_sheet_pairs_write(const struct bs_sheet_options *s,
                     const struct bs_rank_energy *en,
                     const struct bs_rank_options *o, bool identical,
                     const struct bs_rank_input *in,
                     struct bs_sheet_counts *counts, struct bs_err *e)
{
    size_t m = listed_model(o->models);
    struct pairs p = {.options = s,
                      .which = identical ? "identical" : "divergent",
                      .model = en->model[m].label};
    int side, r = bs_rank_distances(&p.pair, &p.count, en, m, o, identical, e);

    if (r == 0)
        r = load(&p, en, in, e);
    if (r == 0)
        r = bs_sheet_folder(s->folder, e);
    if (r == 0)
        r = write_sheet(&p, e);
    counts->sheets = r == 0;
    for (side = 0; side < BS_SIDES; side++) {
        counts->bad += p.thumbs[side].bad;
        counts->absent += p.thumbs[side].absent;
        bs_thumbs_release(&p.thumbs[side]);
    }
    bs_free(p.pair);
    return r;
}
