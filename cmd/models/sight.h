/*
 * sight.h - how bs-embed looked at the images that a stream was made of.
 */
#ifndef BS_MODELS_SIGHT_H
#define BS_MODELS_SIGHT_H

#include "cmd/models/preprocess.h"
#include "formats/doc.h"

/* Ask the parents of a head (bs.parents), theirs behind them: the first whose
 * parameters say it.  *to stays as it is where none does; a text that cannot be
 * understood says nothing. */
void bs_sight_find(struct bs_preprocess *to, const struct bs_doc *head);

#endif
