/*
 * walk.h - the pictures of a folder, in bytewise order of their paths.
 */
#ifndef BS_MODELS_WALK_H
#define BS_MODELS_WALK_H

#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"

/* Zero-initialised means empty. */
struct bs_walk {
    struct bs_buf text;  /* paths within the folder, each NUL-terminated */
    struct bs_buf order; /* uint64_t: where they start, sorted */
    size_t count;
};

/*
 * Find every file under `root` that is named like a picture.  Hidden files and
 * folders are passed over; links to files are followed, links to folders are
 * not, so that no loop can be; what is neither file nor folder is passed over.
 */
int bs_walk_init(struct bs_walk *w, const char *root,
                 struct bs_err *e) BS_CHECKED;
const char *bs_walk_path(const struct bs_walk *w, size_t i);
void bs_walk_release(struct bs_walk *w);

#endif
