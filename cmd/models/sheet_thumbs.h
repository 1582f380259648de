/*
 * sheet_thumbs.h - small square pictures of the images that are asked for by
 * key: what a model saw of them (preprocess.h).
 *
 * Memory: 3 side^2 bytes for each picture.
 */
#ifndef BS_MODELS_SHEET_THUMBS_H
#define BS_MODELS_SHEET_THUMBS_H

#include "cmd/models/preprocess.h"
#include "cmd/models/rank_scan.h"
#include "common/bs.h"
#include "common/err.h"
#include "formats/keyset.h"

enum bs_thumb_state {
    BS_THUMB_ABSENT, /* no record of this key */
    BS_THUMB_BAD,    /* its image cannot be read */
    BS_THUMB_OK
};

/* Set `side` and `sight`, ask, load, get. */
struct bs_thumbs {
    size_t side;
    struct bs_preprocess sight; /* in any unit; 0: as bs-embed by default, the
                                   shorter side 8/7 of the square's */
    uint64_t bad, absent; /* set by the load */

    struct bs_keyset keys; /* from here on private */
    uint8_t *state;        /* [keys] */
    uint8_t *rgb;          /* [keys][side][side][3] */
};

int bs_thumbs_ask(struct bs_thumbs *t, const char *key,
                  struct bs_err *e) BS_CHECKED;
/* Read a stream (or folder, or archive) of images.  -BS_EX_USAGE where the
 * pictures that were asked for take more than in->max_record. */
int bs_thumbs_load(struct bs_thumbs *t, const char *path,
                   const struct bs_rank_input *in, struct bs_err *e) BS_CHECKED;
/* *rgb is U8 [side, side, 3], lent, where the state is OK. */
enum bs_thumb_state bs_thumbs_get(const struct bs_thumbs *t, const char *key,
                                  const uint8_t **rgb);
void bs_thumbs_release(struct bs_thumbs *t);

#endif
