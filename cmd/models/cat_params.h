/*
 * cat_params.h - what the options of cat.h do to the records, as bs.params.
 */
#ifndef BS_MODELS_CAT_PARAMS_H
#define BS_MODELS_CAT_PARAMS_H

#include "cmd/models/cat.h"
#include "common/mem.h"

/* True if what comes out is a new set of records, or new records. */
bool bs_cat_changes(const struct bs_cat_options *o);

/* Append the canonical JSON and a NUL. */
int bs_cat_params(const struct bs_cat_options *o, struct bs_buf *out,
                  struct bs_err *e) BS_CHECKED;

#endif
