/*
 * sheet_pairs.h - a contact sheet of pairs: each generated image below the real
 * one of its caption.
 */
#ifndef BS_MODELS_SHEET_PAIRS_H
#define BS_MODELS_SHEET_PAIRS_H

#include "cmd/models/rank_energy.h"
#include "cmd/models/rank_list.h"
#include "cmd/models/sheet.h"
#include "common/bs.h"
#include "common/err.h"

/* Write FOLDER/identical.png or FOLDER/divergent.png with the pairs that
 * bs_rank_distances lists of the one listed model. */
int bs_sheet_pairs_write(const struct bs_sheet_options *s,
                         const struct bs_rank_energy *en,
                         const struct bs_rank_options *o, bool identical,
                         const struct bs_rank_input *in,
                         struct bs_sheet_counts *counts,
                         struct bs_err *e) BS_CHECKED;

#endif
