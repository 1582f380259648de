/*
 * keys.h - record keys from the names of files, and names as valid text.
 */
#ifndef BS_MODELS_KEYS_H
#define BS_MODELS_KEYS_H

#include "cmd/models/tally.h"
#include "common/bs.h"
#include "common/err.h"
#include "formats/arena.h"

enum { BS_PATH_MAX = 4096 }; /* bytes of a path that is looked at */

/* Length of a path without the extension of a picture ("a.v2.JPG": 4), or its
 * whole length where it has none. */
size_t bs_stem_length(const char *path);
bool bs_is_picture_name(const char *path);

/*
 * The key of a picture, in `arena`: prefix and the first len bytes of name with
 * every byte outside [A-Za-z0-9_/-] as '_', without empty and "." components.
 * One that is longer than 200 bytes is cut and ends in '-' and 16 digits of its
 * hash; one that `taken` holds gets "-2", "-3", ... behind it.
 */
int bs_key_make(const char **key, struct bs_arena *arena, const char *prefix,
                const char *name, size_t len, struct bs_tally *taken,
                struct bs_err *e) BS_CHECKED;

/* len bytes as UTF-8 text, in `arena`: a byte that is not part of a valid
 * sequence, and NUL, becomes U+FFFD.  NULL where there is no memory. */
const char *bs_text_repair(struct bs_arena *arena, const char *bytes,
                           size_t len) BS_CHECKED;

#endif
