/*
 * sheet_canvas.c - see sheet_canvas.h.
 */
#include "cmd/models/sheet_canvas.h"

#include "common/io.h"
#include "common/mem.h"
#include "formats/utf8.h"

static void
dot(struct bs_image *c, size_t x, size_t y, uint32_t colour)
{
    uint8_t *p;

    if (x >= c->width || y >= c->height)
        return;
    p = c->rgb + (y * c->width + x) * 3;
    p[0] = (uint8_t)(colour >> 16);
    p[1] = (uint8_t)(colour >> 8);
    p[2] = (uint8_t)colour;
}

void
bs_canvas_box(struct bs_image *c, size_t x, size_t y, size_t width,
              size_t height, uint32_t colour)
{
    size_t i, j;

    for (j = 0; j < height; j++)
        for (i = 0; i < width; i++)
            dot(c, x + i, y + j, colour);
}

int
bs_canvas_init(struct bs_image *c, size_t width, size_t height, uint32_t colour,
               struct bs_err *e)
{
    size_t pixels, bytes;

    if (!bs_mul(width, height, &pixels) || !bs_mul(pixels, 3, &bytes))
        bytes = SIZE_MAX;
    *c = (struct bs_image){width, height, bs_alloc(bytes)};
    if (c->rgb == NULL)
        return bs_err_memory(e, "sheet", bytes);
    bs_canvas_box(c, 0, 0, width, height, colour);
    return 0;
}

void
bs_canvas_put(struct bs_image *c, size_t x, size_t y, const uint8_t *rgb,
              size_t side)
{
    size_t j, n = side;

    if (x >= c->width)
        return;
    if (n > c->width - x)
        n = c->width - x;
    for (j = 0; j < side && y + j < c->height; j++)
        memcpy(c->rgb + ((y + j) * c->width + x) * 3, rgb + j * side * 3,
               n * 3);
}

static void
letter(struct bs_image *c, size_t x, size_t y, size_t scale, uint32_t colour,
       char ch)
{
    const uint8_t *row = bs_sheet_font[ch - ' '];
    size_t i, j;

    for (j = 0; j < 7; j++)
        for (i = 0; i < 5; i++)
            if ((row[j] >> (4 - i) & 1) != 0)
                bs_canvas_box(c, x + i * scale, y + j * scale, scale, scale,
                              colour);
}

void
bs_canvas_text(struct bs_image *c, size_t x, size_t y, size_t width,
               size_t scale, uint32_t colour, const char *text)
{
    size_t room = width / (BS_LETTER_WIDTH * scale), i;

    for (i = 0; i < room && *text != '\0'; i++) {
        size_t n = bs_utf8_length(text, strlen(text));
        char ch = n == 1 && *text >= ' ' && *text <= '~' ? *text : '?';

        text += n > 0 ? n : 1;
        if (i + 1 == room && *text != '\0')
            ch = '~';
        letter(c, x + i * BS_LETTER_WIDTH * scale, y, scale, colour, ch);
    }
}

int
bs_canvas_save(const struct bs_image *c, const char *path, struct bs_err *e)
{
    struct bs_buf png = {0};
    struct bs_out out;
    int r = bs_image_encode_png(c, &png, e);

    if (r == 0)
        r = bs_out_open(&out, path, e);
    if (r == 0) {
        if (bs_write(out.fd, png.data, png.len) < 0)
            r = bs_err_errno(e, BS_EX_IO, "cannot write '%s'", path);
        if (r == 0)
            r = bs_out_commit(&out, e);
        if (r < 0)
            bs_out_abandon(&out);
    }
    bs_buf_release(&png);
    return r;
}
