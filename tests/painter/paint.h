/*
 * paint.h - a scene as pixels.
 *
 * Things are signed distances, so that every edge is smooth at any size.
 * Where they lie, how large and how turned they are, and the small differences
 * of colour, grain and light, come from a generator: another one is another
 * picture of the same scene.
 */
#ifndef BS_PAINTER_PAINT_H
#define BS_PAINTER_PAINT_H

#include "formats/image.h"
#include "tests/painter/scene.h"

struct painter;

int painter_open(struct painter **out, struct bs_err *e) BS_CHECKED;
void painter_close(struct painter *p);

/* Paint the scene over all of `img`, a square. */
void painter_paint(struct painter *p, const struct scene *s, struct bs_rng *r,
                   struct bs_image *img);

#endif
