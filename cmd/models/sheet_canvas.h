/*
 * sheet_canvas.h - drawing on a picture: boxes, pictures, small letters.
 *
 * Everything is cut at the picture's edge.  Colours are 0xRRGGBB.
 */
#ifndef BS_MODELS_SHEET_CANVAS_H
#define BS_MODELS_SHEET_CANVAS_H

#include "common/bs.h"
#include "common/err.h"
#include "formats/image.h"

enum { BS_LETTER_WIDTH = 6, BS_LETTER_HEIGHT = 9 }; /* with what is between */

extern const uint8_t bs_sheet_font[95][7];

/* A picture of one colour; the caller releases it. */
int bs_canvas_init(struct bs_image *c, size_t width, size_t height,
                   uint32_t colour, struct bs_err *e) BS_CHECKED;
void bs_canvas_box(struct bs_image *c, size_t x, size_t y, size_t width,
                   size_t height, uint32_t colour);
/* A square, U8 [side, side, 3]. */
void bs_canvas_put(struct bs_image *c, size_t x, size_t y, const uint8_t *rgb,
                   size_t side);
/* One line of UTF-8 text, letters enlarged by `scale`, within `width` pixels:
 * a text that is too long ends in '~'.  What is not ASCII comes out as '?'. */
void bs_canvas_text(struct bs_image *c, size_t x, size_t y, size_t width,
                    size_t scale, uint32_t colour, const char *text);
/* As a PNG, which appears when it is complete. */
int bs_canvas_save(const struct bs_image *c, const char *path,
                   struct bs_err *e) BS_CHECKED;

#endif
