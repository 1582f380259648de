/*
 * captions.h - the caption of a candidate, from the files beside its picture.
 */
#ifndef BS_MODELS_CAPTIONS_H
#define BS_MODELS_CAPTIONS_H

#include "cmd/models/candidate.h"

/*
 * "a.txt" holds the caption of "a.jpg"; "a.json" holds it in caption, text or
 * prompt, and other metadata in its other strings.  Both may be there: then the
 * text is the caption.  Fills c->caption and c->extra, or refuses the candidate
 * where a file is damaged or too long.
 */
int bs_captions_read(struct bs_candidate *c, struct bs_err *e) BS_CHECKED;

/* Whether metadata of this name may come from outside. */
bool bs_captions_may_name(const char *name);

#endif
