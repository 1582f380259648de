/*
 * sheet.c - see sheet.h.  Memory: the small pictures of all sheets, and one
 * sheet.
 */
#include "cmd/models/sheet.h"

#include <errno.h>
#include <math.h>
#include <sys/stat.h>

#include "cmd/models/sheet_canvas.h"
#include "cmd/models/sheet_thumbs.h"
#include "kernels/resize.h"

enum { ROWS = 4 };

/* All that the sheets have in common. */
struct sheets {
    const struct bs_sheet_options *options;
    const struct bs_rank_energy *en;
    const struct bs_rank_options *listed;
    const struct bs_tops *tops;
    struct bs_thumbs thumbs[BS_SIDES];
    uint8_t *heated, *heat; /* a picture each */
};

/* Row 0 and 1 are the best real images and their counterparts; 2 and 3 the best
 * generated ones and theirs. */
static enum bs_side
list_side(int row)
{
    return row < 2 ? BS_SIDE_REAL : BS_SIDE_GEN;
}

static enum bs_side
shown_side(int row)
{
    return row == 0 || row == 3 ? BS_SIDE_REAL : BS_SIDE_GEN;
}

static const char *const row_labels[ROWS] = {
    "real images in which it is strongest",
    "generated from the same captions",
    "generated images in which it is strongest",
    "real images of the same captions",
};

int
bs_sheet_check(const struct bs_sheet_options *s, struct bs_err *e)
{
    uint8_t pixel[3] = {0};
    const struct bs_image dot = {1, 1, pixel};
    struct bs_buf png = {0};
    int r = bs_image_encode_png(&dot, &png, e);

    bs_buf_release(&png);
    return r < 0 ? bs_err_prefix(e, "cannot write '%s'", s->folder) : 0;
}

int
bs_sheet_folder(const char *folder, struct bs_err *e)
{
    return mkdir(folder, 0777) == 0 || errno == EEXIST
               ? 0
               : bs_err_errno(e, BS_EX_IO, "cannot make '%s'", folder);
}

void
bs_sheet_absent(struct bs_image *sheet, size_t x, size_t y, size_t side,
                enum bs_thumb_state state)
{
    bs_canvas_box(sheet, x, y, side, side, SHEET_EMPTY);
    bs_canvas_text(sheet, x + 2, y + side / 2 - 3, side - 4, 1, SHEET_GREY,
                   state == BS_THUMB_BAD ? "not readable" : "no image");
}

/* ---- pictures ------------------------------------------------------------
 */

/* Ask for an image of a list and, if there is one, its counterpart. */
static int
ask_both(struct sheets *s, int side, const struct bs_top *top, struct bs_err *e)
{
    const char *key = bs_tops_key(s->tops, top->image);
    int r = bs_thumbs_ask(&s->thumbs[side], key, e);

    return r < 0 || isnan(top->other)
               ? r
               : bs_thumbs_ask(&s->thumbs[!side], key, e);
}

static int
ask_all(struct sheets *s, struct bs_err *e)
{
    const struct bs_tops *t = s->tops;
    size_t list, i;
    int side, r = 0;

    for (side = 0; side < BS_SIDES; side++)
        for (list = 0; list < t->lists; list++)
            for (i = 0; i < t->count[side][list] && r == 0; i++)
                r = ask_both(s, side, &t->top[side][list * t->places + i], e);
    return r;
}

/* The largest code among the heats of a concept's images. */
static float
hottest(const struct bs_tops *t, size_t list)
{
    const struct bs_heat *heat = (const void *)t->heat.data;
    const float *value = (const void *)t->values.data;
    float most = 0;
    size_t i, j;
    int side, which;

    for (side = 0; side < BS_SIDES; side++)
        for (i = 0; i < t->count[side][list]; i++)
            for (which = 0; which < 2; which++) {
                int32_t n = t->top[side][list * t->places + i].heat[which];
                const struct bs_heat *h = &heat[n < 0 ? 0 : n];

                for (j = 0; n >= 0 && j < (size_t)h->rows * h->columns; j++)
                    most = fmaxf(most, value[h->at + j]);
            }
    return most;
}

/* The patches' codes as a grey picture of the pictures' size, in s->heat. */
static int
spread(struct sheets *s, const struct bs_heat *h, float most, struct bs_err *e)
{
    const float *value = (const void *)s->tops->values.data;
    size_t side = s->options->side, n = (size_t)h->rows * h->columns, i;
    const struct bs_crop all = {0, 0, side, side};
    uint8_t *grid = bs_alloc_array(n, 3);
    int r;

    if (grid == NULL)
        return bs_err_memory(e, "heat", n);
    for (i = 0; i < n; i++)
        memset(grid + i * 3,
               most > 0 ? (int)(value[h->at + i] / most * 255 + 0.5f) : 0, 3);
    r = bs_resize(grid, h->columns, h->rows, s->heat, side, side,
                  BS_FILTER_BILINEAR, &all, e);
    bs_free(grid);
    return r;
}

/* The picture with its heat in s->heated: darker where the concept is not,
 * orange where it is. */
static void
lay_over(struct sheets *s, const uint8_t *rgb)
{
    static const int warm[3] = {255, 96, 0};
    size_t n = s->options->side * s->options->side * 3, i;

    for (i = 0; i < n; i++) {
        int t = s->heat[i], base = rgb[i] * (153 + t * 102 / 255) / 255;

        s->heated[i] = (uint8_t)(base + (warm[i % 3] - base) * t / 510);
    }
}

/* ---- a sheet -------------------------------------------------------------
 */

/* One image with its heat, or what is in its place. */
static int
put_picture(struct sheets *s, struct bs_image *sheet, size_t x, size_t y,
            int row, const struct bs_top *top, float most, struct bs_err *e)
{
    const struct bs_heat *heat = (const void *)s->tops->heat.data;
    int32_t n = top->heat[row % 2];
    const uint8_t *rgb = NULL;
    enum bs_thumb_state state = bs_thumbs_get(
        &s->thumbs[shown_side(row)], bs_tops_key(s->tops, top->image), &rgb);

    if (state != BS_THUMB_OK) {
        bs_sheet_absent(sheet, x, y, s->options->side, state);
        return 0;
    }
    if (n >= 0) {
        if (spread(s, &heat[n], most, e) < 0)
            return -e->code;
        lay_over(s, rgb);
        rgb = s->heated;
    }
    bs_canvas_put(sheet, x, y, rgb, s->options->side);
    return 0;
}

/* Under a picture: the score, and the key where it is a list's own. */
static void
put_score(struct sheets *s, struct bs_image *sheet, size_t x, size_t y, int row,
          const struct bs_top *top)
{
    double score = row % 2 == 0 ? top->score : top->other;
    char text[300];

    if (isnan(score))
        snprintf(text, sizeof text, "-");
    else if (row % 2 == 0)
        snprintf(text, sizeof text, "%.3g %s", score,
                 bs_tops_key(s->tops, top->image));
    else
        snprintf(text, sizeof text, "%.3g", score);
    bs_canvas_text(sheet, x, y, s->options->side, 1, SHEET_GREY, text);
}

static int
put_row(struct sheets *s, struct bs_image *sheet, size_t list, int row,
        float most, struct bs_err *e)
{
    const struct bs_tops *t = s->tops;
    enum bs_side side = list_side(row);
    size_t high = SHEET_LABEL + s->options->side + SHEET_BELOW + SHEET_GAP, i;
    size_t y = SHEET_MARGIN + SHEET_TITLE + (size_t)row * high +
               (row >= 2 ? SHEET_MARGIN : 0);
    int r = 0;

    bs_canvas_text(sheet, SHEET_MARGIN, y, sheet->width - 2 * SHEET_MARGIN, 1,
                   SHEET_INK, row_labels[row]);
    for (i = 0; i < t->count[side][list] && r == 0; i++) {
        const struct bs_top *top = &t->top[side][list * t->places + i];
        size_t x = SHEET_MARGIN + i * (s->options->side + SHEET_GAP);

        r = put_picture(s, sheet, x, y + SHEET_LABEL, row, top, most, e);
        put_score(s, sheet, x, y + SHEET_LABEL + s->options->side + 2, row,
                  top);
    }
    if (i == 0)
        bs_canvas_text(sheet, SHEET_MARGIN, y + SHEET_LABEL, 100, 1, SHEET_GREY,
                       "none");
    return r;
}

static void
put_title(struct sheets *s, struct bs_image *sheet,
          const struct bs_rank_row *row)
{
    const struct bs_rank_energy *en = s->en;
    size_t m = row->model, width = sheet->width - 2 * SHEET_MARGIN;
    uint32_t k = row->concept;
    double q = bs_rank_f64(en, m, k, BS_RANK_Q);
    char text[300];
    int n;

    snprintf(text, sizeof text, "concept %ju  %s", (uintmax_t)k,
             bs_rank_side(en, m, k, s->listed));
    bs_canvas_text(sheet, SHEET_MARGIN, SHEET_MARGIN, width, 2, SHEET_INK,
                   text);
    n = snprintf(text, sizeof text,
                 "%.60s  delta %.3g [%.3g, %.3g]  energy real %.3g, generated "
                 "%.3g",
                 en->model[m].label, bs_rank_f64(en, m, k, BS_RANK_DELTA),
                 bs_rank_f64(en, m, k, BS_RANK_LO),
                 bs_rank_f64(en, m, k, BS_RANK_HI),
                 bs_rank_f64(en, m, k, BS_RANK_REAL),
                 bs_rank_f64(en, m, k, BS_RANK_GEN));
    if (!isnan(q))
        snprintf(text + n, sizeof text - (size_t)n, "  q %.2g", q);
    bs_canvas_text(sheet, SHEET_MARGIN, SHEET_MARGIN + 20, width, 1, SHEET_GREY,
                   text);
}

static int
draw(struct sheets *s, struct bs_image *sheet, const struct bs_rank_row *row,
     struct bs_err *e)
{
    size_t list = s->tops->list_of[row->concept];
    float most = hottest(s->tops, list);
    int i, r = 0;

    put_title(s, sheet, row);
    for (i = 0; i < ROWS && r == 0; i++)
        r = put_row(s, sheet, list, i, most, e);
    return r;
}

/* ---- files ---------------------------------------------------------------
 */

static int
write_sheet(struct sheets *s, const struct bs_rank_row *row, struct bs_err *e)
{
    size_t side = s->options->side;
    size_t width =
        2 * SHEET_MARGIN + s->tops->places * (side + SHEET_GAP) - SHEET_GAP;
    size_t height = 3 * SHEET_MARGIN + SHEET_TITLE +
                    ROWS * (SHEET_LABEL + side + SHEET_BELOW + SHEET_GAP);
    struct bs_image sheet = {0};
    struct bs_buf path = {0};
    int r = bs_canvas_init(
        &sheet, width > SHEET_WIDTH_LEAST ? width : SHEET_WIDTH_LEAST, height,
        SHEET_PAPER, e);

    if (r == 0)
        r = draw(s, &sheet, row, e);
    if (r == 0)
        r = bs_buf_printf(&path, e, "%s/concept-%05ju.png", s->options->folder,
                          (uintmax_t)row->concept);
    if (r == 0)
        r = bs_buf_add(&path, "", 1, e);
    if (r == 0)
        r = bs_canvas_save(&sheet, (const char *)path.data, e);
    bs_buf_release(&path);
    bs_image_release(&sheet);
    return r;
}

static int
prepare(struct sheets *s, const struct bs_rank_input *in, struct bs_err *e)
{
    const struct bs_sheet_options *o = s->options;
    size_t bytes = o->side * o->side * 3;
    int side, r;

    s->heated = bs_alloc(bytes);
    s->heat = bs_alloc(bytes);
    if (s->heated == NULL || s->heat == NULL)
        return bs_err_memory(e, "pictures", bytes);
    for (side = 0; side < BS_SIDES; side++) {
        s->thumbs[side].side = o->side;
        s->thumbs[side].sight = s->tops->sight[side];
    }
    r = ask_all(s, e);
    for (side = 0; side < BS_SIDES && r == 0; side++)
        r = bs_thumbs_load(&s->thumbs[side], o->images[side], in, e);
    return r == 0 ? bs_sheet_folder(o->folder, e) : r;
}

int
bs_sheets_write(const struct bs_sheet_options *o,
                const struct bs_rank_energy *en,
                const struct bs_rank_list *list,
                const struct bs_rank_options *listed,
                const struct bs_tops *tops, const struct bs_rank_input *in,
                struct bs_sheet_counts *counts, struct bs_err *e)
{
    struct sheets s = {.options = o, .en = en, .listed = listed, .tops = tops};
    size_t i;
    int side, r = prepare(&s, in, e);

    for (i = 0; i < list->rows && r == 0; i++)
        r = write_sheet(&s, &list->row[i], e);
    counts->sheets = i;
    for (side = 0; side < BS_SIDES; side++) {
        counts->bad += s.thumbs[side].bad;
        counts->absent += s.thumbs[side].absent;
        bs_thumbs_release(&s.thumbs[side]);
    }
    bs_free(s.heated);
    bs_free(s.heat);
    return r;
}
