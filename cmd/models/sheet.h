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
