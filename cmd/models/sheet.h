/*
 * sheet.h - contact sheets: a PNG a concept, with the real images where it is
 * strongest, the generated images of the same captions, and the other way
 * round.
 */
#ifndef BS_MODELS_SHEET_H
#define BS_MODELS_SHEET_H

#include "cmd/models/rank_energy.h"
#include "cmd/models/rank_list.h"
#include "cmd/models/rank_top.h"
#include "cmd/models/sheet_thumbs.h"
#include "common/bs.h"
#include "common/err.h"

struct bs_sheet_options {
    const char *folder;           /* made where it is not there */
    const char *images[BS_SIDES]; /* paths */
    size_t side;                  /* pixels of a picture */
    bool heat;                    /* lay the patches' codes over the pictures */
};

struct bs_sheet_counts {
    uint64_t sheets, bad, absent; /* images of the streams that are not shown */
};

/* -BS_EX_UNAVAIL where this build cannot write PNG. */
int bs_sheet_check(const struct bs_sheet_options *s,
                   struct bs_err *e) BS_CHECKED;

/* What sheets have in common, in pixels and as 0xRRGGBB. */
enum {
    SHEET_MARGIN = 8,
    SHEET_GAP = 4,
    SHEET_TITLE = 40, /* the lines on top */
    SHEET_LABEL = 12, /* the line over a row */
    SHEET_BELOW = 14, /* the line under a picture */
    SHEET_WIDTH_LEAST = 640,
    SHEET_PAPER = 0xffffff,
    SHEET_INK = 0x202020,
    SHEET_GREY = 0x707070,
    SHEET_EMPTY = 0xd8d8d8
};
/* Make the folder where it is not there. */
int bs_sheet_folder(const char *folder, struct bs_err *e) BS_CHECKED;
/* What is in the place of a picture that cannot be shown. */
void bs_sheet_absent(struct bs_image *sheet, size_t x, size_t y, size_t side,
                     enum bs_thumb_state state);

/*
 * Write FOLDER/concept-00042.png for each concept of the list; each file
 * appears when it is complete.  A picture of t->side pixels shows the code of
 * each patch as a warm colour, in proportion to the largest of the sheet.
 */
int bs_sheets_write(const struct bs_sheet_options *s,
                    const struct bs_rank_energy *en,
                    const struct bs_rank_list *list,
                    const struct bs_rank_options *o, const struct bs_tops *tops,
                    const struct bs_rank_input *in,
                    struct bs_sheet_counts *counts,
                    struct bs_err *e) BS_CHECKED;

#endif
